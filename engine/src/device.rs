//! Choosing where a program runs: on the CPU, or on GPUs that are both compiled in and present.
//!
//! What runs on the CPU needs none of this: [`crate::executor`] only asks here for a GPU.
//!
//! Presence is asked of the driver before anything is computed. Burn's own `Device::default()` prefers a compiled-in GPU
//! backend without looking, and then panics on a machine that has none.

#[cfg(feature = "gpu")]
mod caches;
#[cfg(feature = "burn")]
mod found;

#[cfg(feature = "gpu")]
pub use caches::{CacheError, keep_caches_in};
#[cfg(feature = "burn")]
pub use found::{free_memory, has_halves, is_software, name, part, select, select_all};

/// Names accepted by `select`.
pub const NAMES: [&str; 5] = ["auto", "cpu", "cuda", "vulkan", "webgpu"];

/// Why no device was chosen. Each message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not one of [`NAMES`].
    #[error(
        "there is no device called `{0}`; choose auto, cpu, cuda, vulkan or webgpu, such as `cuda` or `cuda:0,1`"
    )]
    Unknown(String),
    /// The program was built without that backend.
    #[error(
        "this program was built without {name}; build it with `--features {name}`, or use the device cpu"
    )]
    NotCompiled {
        /// Name of the device and of the Cargo feature.
        name: &'static str,
    },
    /// The backend is there and no such device is.
    #[error(
        "no {name} device was found on this machine; install its driver, or use the device cpu"
    )]
    Absent {
        /// Name of the device.
        name: &'static str,
    },
    /// The GPU is there, and what its kernels are compiled with is not.
    #[error(
        "a cuda device was found, but not {missing}, which its kernels are compiled with when a program first runs; \
         install the CUDA toolkit (and set CUDA_PATH if it is not in /usr/local/cuda), or use the device cpu"
    )]
    Toolkit {
        /// What is missing.
        missing: &'static str,
    },
    /// The part behind the colon is not a list of numbers.
    #[error("`{0}` does not name devices; write numbers such as `cuda:0,1`, or `cuda:all`")]
    List(String),
    /// There are fewer devices than the number asks for.
    #[error("there is no device {name}:{index}; this machine has {found}, counted from 0")]
    Index {
        /// Name of the device.
        name: String,
        /// Number asked for.
        index: usize,
        /// How many there are.
        found: usize,
    },
    /// The same device twice.
    #[error("device {name}:{index} is named twice; name each device once")]
    Twice {
        /// Name of the device.
        name: String,
        /// Number given twice.
        index: usize,
    },
    /// It does not compute in what was asked for.
    #[error("the device {name} does not compute in {arithmetic}; choose the arithmetic {others}")]
    Arithmetic {
        /// Name of the device.
        name: &'static str,
        /// Name of the arithmetic.
        arithmetic: &'static str,
        /// What there is instead.
        others: &'static str,
    },
    /// A list where one device is needed.
    #[error("`{0}` names several devices, and only training runs on several; name one")]
    Several(String),
}
