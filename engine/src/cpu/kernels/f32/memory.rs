//! Memory for activations and weights: aligned to cache lines, shared by the threads of a team while they work on a slice.
#![allow(unsafe_code)]

use super::LINE;

/// A cache line, and the widest register.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Numbers that begin at a cache line.
pub(crate) struct Buffer(Vec<Line>);

impl Buffer {
    /// `len` zeros, rounded up to whole cache lines. `None` if there is no such memory.
    pub(crate) fn zeros(len: usize) -> Option<Self> {
        let lines = len.div_ceil(LINE);
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(lines).ok()?;
        buffer.resize(lines, Line([0.0; LINE]));
        Some(Self(buffer))
    }

    /// The numbers, and zeros up to the end of the last cache line.
    pub(crate) fn from_slice(values: &[f32]) -> Self {
        let line = |chunk: &[f32]| {
            let mut line = [0.0; LINE];
            line[..chunk.len()].copy_from_slice(chunk);
            Line(line)
        };
        Self(values.chunks(LINE).map(line).collect())
    }

    /// Numbers, those of the last line's rest included.
    pub(crate) const fn len(&self) -> usize {
        self.0.len() * LINE
    }

    /// All numbers.
    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: a line is `LINE` numbers in a row without padding, 64 bytes of alignment and of size.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.len()) }
    }

    /// All numbers, to be written.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as in `as_slice`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.len()) }
    }

    pub(super) const fn as_ptr(&self) -> *const f32 {
        self.0.as_ptr().cast()
    }

    /// The first number, for a team to work on.
    pub(super) const fn shared(&mut self) -> Shared {
        Shared(self.0.as_mut_ptr().cast())
    }
}

/// The memory that the threads of a team work on together.
///
/// Whoever reads or writes through it stays inside the buffer, writes only its own share of a step's results, and reads only
/// what was complete before the team last met; see [`super::Schedule`].
#[derive(Clone, Copy)]
pub(super) struct Shared(*mut f32);

// SAFETY: it is only an address; what is done with it is unsafe and promised to be free of races where it is done.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(super) const fn start(self) -> *mut f32 {
        self.0
    }
}

/// A piece of a buffer, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// First number.
    pub(crate) start: usize,
    /// How many.
    pub(crate) len: usize,
}

impl Region {
    pub(super) const fn end(self) -> usize {
        self.start + self.len
    }

    pub(super) const fn overlaps(self, other: Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_at_cache_lines_and_end_with_zeros() {
        let buffer = Buffer::from_slice(&[1.0; 17]);
        assert_eq!(buffer.as_ptr().addr() % 64, 0);
        assert_eq!(buffer.len(), 32);
        assert_eq!(buffer.as_slice()[16..19], [1.0, 0.0, 0.0]);
        assert!(Buffer::zeros(usize::MAX / 8).is_none());
    }
}
