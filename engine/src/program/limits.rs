//! How large a program may be, in one place.
//!
//! None of these numbers is near what a network here needs: the deepest reference network has 600 operations, 67 million weights and
//! some 10^11 multiplications for a slice of 512 x 512 pixels. They are there so that a package which is signed and wrong is refused in
//! words, instead of taking a machine's memory or its afternoon.

// What passes these limits can be multiplied out in `usize` without overflow, if that has 64 bits.
const _: () = assert!(usize::BITS == 64, "the engine counts memory in 64 bits");

/// Most operations a program may have.
pub const MAX_OPS: usize = 4096;
/// Most channels any value may have.
pub const MAX_CHANNELS: usize = 65_536;
/// Most channels of all values together: executors keep some numbers for each.
pub const MAX_ALL_CHANNELS: usize = 1 << 22;
/// Most numbers of tensors, each counted as often as an operation reads it: executors pack them for every use. While a program is
/// [rewritten](super::rewrite) they take up to 16 bytes each.
pub const MAX_WEIGHTS: u64 = 1 << 27;
/// Largest convolution or pooling kernel, in pixels.
pub const MAX_KERNEL: u32 = 31;
/// Largest stride, in pixels.
pub const MAX_STRIDE: u32 = 16;
/// Largest permitted [`Program::multiple`](super::Program::multiple), in pixels.
pub const MAX_MULTIPLE: u32 = 1024;
/// Most classes: labels are bytes, and no use is near this.
pub const MAX_CLASSES: u32 = 64;

/// Largest side of an image, in pixels.
pub const MAX_SIDE: usize = 1 << 16;
/// Most memory the values of one slice may take while a program runs, in bytes of `f32`: see
/// [`Plan::peak_value_bytes`](super::Plan::peak_value_bytes). The reference networks need less than 0.1 GB.
pub const MAX_VALUE_BYTES: u64 = 4 << 30;
/// Most work for one slice, in multiplications: see [`Plan::work`](super::Plan::work).
pub const MAX_WORK: u64 = 1 << 40;
/// Most convolutions of one sum in integers. Joined skips need two, residual units three; a value that is added to itself would double
/// its terms with each addition.
pub const MAX_TERMS: usize = 64;
/// Most memory that an executor on the CPU takes for a network, in bytes: packed weights, values with what fills them up, working space.
pub const MAX_MEMORY_BYTES: u64 = 4 << 30;

/// Why a sound program does not run on images of some size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Not a size the program takes.
    #[error(
        "images of {rows} x {cols} pixels do not fit the program; both numbers must be positive multiples of {multiple} up to {MAX_SIDE}"
    )]
    Size {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
        /// What both must be a positive multiple of.
        multiple: usize,
    },
    /// Values too large for any machine here.
    #[error(
        "the values of one slice would take {bytes} bytes; at most {MAX_VALUE_BYTES} are allowed"
    )]
    Values {
        /// Bytes of `f32`.
        bytes: u64,
    },
    /// A slice that would take minutes or for ever.
    #[error(
        "one slice would take {multiplications} multiplications; at most {MAX_WORK} are allowed"
    )]
    Work {
        /// Multiplications, saturated.
        multiplications: u64,
    },
    /// More memory than an executor may take.
    #[error(
        "the network would take {bytes} bytes of memory; at most {MAX_MEMORY_BYTES} are allowed"
    )]
    Memory {
        /// Bytes of weights, values and working space.
        bytes: u64,
    },
}

/// Refuses more memory than [`MAX_MEMORY_BYTES`]; `None` is more than can be counted.
pub(crate) fn affordable(bytes: Option<u64>) -> Result<u64, FitError> {
    match bytes {
        Some(bytes) if bytes <= MAX_MEMORY_BYTES => Ok(bytes),
        more => Err(FitError::Memory {
            bytes: more.unwrap_or(u64::MAX),
        }),
    }
}

/// Refuses more work for a slice than [`MAX_WORK`], in multiplications.
pub(crate) fn bearable(multiplications: u64) -> Result<(), FitError> {
    if multiplications > MAX_WORK {
        return Err(FitError::Work { multiplications });
    }
    Ok(())
}
