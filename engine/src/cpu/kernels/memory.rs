//! Memory for vector registers: aligned, zeroed, and shared by the threads of one step.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;

use crate::cpu::arena::ALIGNMENT;

/// Bytes after the last planned one. Kernels read whole groups of bytes where only some count.
pub(crate) const SLACK: usize = 256;

#[derive(Clone)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

/// Aligned bytes that many threads may write at once, each its own part.
pub(crate) struct Memory {
    lines: Box<[UnsafeCell<Line>]>,
    bytes: usize,
}

// SAFETY: the only way to the bytes is `pointer`, whose users are the kernels; they divide what they write among threads,
// and meet before anything is read that another thread wrote.
unsafe impl Sync for Memory {}

impl Memory {
    /// `bytes` zeros, and [`SLACK`] more. `None` if there is no such memory.
    pub(crate) fn zeros(bytes: usize) -> Option<Self> {
        let count = bytes.checked_add(SLACK)?.div_ceil(ALIGNMENT);
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).ok()?;
        lines.resize_with(count, || UnsafeCell::new(Line([0; ALIGNMENT])));
        Some(Self {
            lines: lines.into_boxed_slice(),
            bytes,
        })
    }

    /// Bytes, the slack not counted.
    pub(crate) const fn len(&self) -> usize {
        self.bytes
    }

    /// Some of the bytes. Nobody else can write meanwhile.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub(crate) fn bytes(&mut self, start: usize, bytes: usize) -> &[u8] {
        assert!(
            start
                .checked_add(bytes)
                .is_some_and(|end| end <= self.bytes)
        );
        // SAFETY: the bytes lie in the memory, which nobody else has while it is borrowed mutably.
        unsafe { std::slice::from_raw_parts(self.pointer().add(start).cast_const(), bytes) }
    }

    /// The first byte. Valid for [`len`](Self::len) + [`SLACK`] bytes.
    pub(super) const fn pointer(&self) -> *mut u8 {
        UnsafeCell::raw_get(self.lines.as_ptr()).cast()
    }
}

/// Aligned numbers that never change once they are packed.
pub(crate) struct Packed<T> {
    memory: Memory,
    count: usize,
    of: std::marker::PhantomData<T>,
}

impl<T: Copy> Packed<T> {
    /// Copies numbers to aligned memory. Ends the program if there is none, as the vector they come in does.
    pub(crate) fn new(numbers: &[T]) -> Self {
        let memory = Memory::zeros(std::mem::size_of_val(numbers)).unwrap_or_else(|| {
            std::alloc::handle_alloc_error(std::alloc::Layout::for_value(numbers))
        });
        // SAFETY: the memory was made for as many bytes as the numbers have, is aligned for every number type, and nobody else
        // has it yet.
        unsafe {
            let to = memory.pointer().cast::<T>();
            std::ptr::copy_nonoverlapping(numbers.as_ptr(), to, numbers.len());
        }
        Self {
            memory,
            count: numbers.len(),
            of: std::marker::PhantomData,
        }
    }

    /// How many numbers.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(super) const fn pointer(&self) -> *const T {
        self.memory.pointer().cast_const().cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_zero_and_what_there_is_none_of_is_refused() {
        let mut memory = Memory::zeros(100).expect("100 bytes");
        assert_eq!(memory.pointer().addr() % ALIGNMENT, 0);
        assert_eq!(memory.bytes(0, 100), [0; 100]);
        assert!(Memory::zeros(usize::MAX).is_none());
        assert!(Memory::zeros(isize::MAX as usize - 2 * SLACK).is_none());
    }
}
