//! Steps that are no convolutions: the image, pooling, maps, borders.

#![allow(unsafe_code)]

use super::lanes::{Kernels, Map, Origin};
use super::layout::{GROUP, Layout};
use super::portable::TO_INTEGER;
use crate::cpu::kernels::memory::{Memory, Packed};
use crate::program::Precision;

/// The image as bytes: `round(limit(x * factor + offset))` for each channel.
pub(crate) struct Entry {
    /// Where it goes.
    pub(crate) output: Layout,
    /// A factor and an offset for each channel.
    pub(crate) channels: Vec<[f32; 2]>,
}

impl Entry {
    /// Writes some of the rows of an image `[rows, cols]`.
    pub(super) fn run(&self, memory: &Memory, image: &[f32], rows: std::ops::Range<usize>) {
        let layout = &self.output;
        assert!(memory.len() >= layout.end() && image.len() == layout.rows * layout.cols);
        assert!(self.channels.len() == layout.step && layout.precision == Precision::U8);
        for y in rows {
            // SAFETY: the row lies in the value, which lies in the memory, and no other thread writes it.
            let row = unsafe {
                let first = memory.pointer().add(layout.at(y, 0));
                std::slice::from_raw_parts_mut(first, layout.cols * layout.step)
            };
            let pixels = &image[y * layout.cols..(y + 1) * layout.cols];
            for (bytes, &x) in row.chunks_exact_mut(layout.step).zip(pixels) {
                for (byte, &[factor, offset]) in bytes.iter_mut().zip(&self.channels) {
                    let x = (x * factor + offset).clamp(0.0, 255.0);
                    *byte = ((x + TO_INTEGER) - TO_INTEGER) as u8;
                }
            }
        }
    }
}

/// A factor and an offset for each channel.
pub(crate) struct Affine {
    factor: Packed<f32>,
    offset: Packed<f32>,
}

impl Affine {
    /// Fills up the channels of `to`.
    pub(crate) fn new(factor: &[f32], offset: &[f32], to: &Layout) -> Self {
        let fill = |numbers: &[f32]| {
            assert_eq!(numbers.len(), to.channels);
            let mut numbers = numbers.to_vec();
            numbers.resize(to.step, 0.0);
            Packed::new(&numbers)
        };
        Self {
            factor: fill(factor),
            offset: fill(offset),
        }
    }

    /// Whether there is a factor and an offset for every channel, filled up to whole registers.
    const fn has(&self, step: usize) -> bool {
        step.is_multiple_of(GROUP) && self.factor.len() == step && self.offset.len() == step
    }

    const fn to(&self, to: *mut u8) -> Map {
        Map {
            factor: self.factor.pointer(),
            offset: self.offset.pointer(),
            to,
            step: 0,
        }
    }
}

/// Bytes from another value, number by number.
pub(crate) struct Mapped {
    /// What is read.
    pub(crate) input: Layout,
    /// Where it goes.
    pub(crate) output: Layout,
    /// What is done.
    pub(crate) affine: Affine,
}

impl Mapped {
    pub(super) fn run(&self, kernels: &Kernels, memory: &Memory, rows: std::ops::Range<usize>) {
        let (from, to) = (&self.input, &self.output);
        assert_eq!(
            [from.rows, from.cols, from.step],
            [to.rows, to.cols, to.step]
        );
        assert!(memory.len() >= from.end().max(to.end()) && to.precision == Precision::U8);
        assert!(self.affine.has(to.step));
        for y in rows {
            for x in 0..to.cols {
                // SAFETY: the pixel lies in both values, which lie in the memory, and the tables have as many channels: asserted above.
                unsafe {
                    let base = memory.pointer();
                    let at = base.add(from.at(y, x)).cast_const();
                    let origin = match from.precision {
                        Precision::U8 => Origin::U8(at),
                        Precision::I16 => Origin::I16(at.cast()),
                    };
                    (kernels.map)(origin, to.step, &self.affine.to(base.add(to.at(y, x))));
                }
            }
        }
    }
}

/// The largest byte of each window, and what is made of it.
pub(crate) struct Pool {
    /// What is read. Its border is zeros, which never win.
    pub(crate) input: Layout,
    /// Rows and columns of the window.
    pub(crate) kernel: usize,
    /// Stride in pixels.
    pub(crate) stride: usize,
    /// Padding in pixels, within the input's border.
    pub(crate) padding: usize,
    /// Where the largest bytes go, if anywhere.
    pub(crate) output: Option<Layout>,
    /// What else is made of them.
    pub(crate) map: Option<(Affine, Layout)>,
}

impl Pool {
    /// Rows of the output.
    pub(super) fn rows(&self) -> usize {
        (self.input.rows + 2 * self.padding - self.kernel) / self.stride + 1
    }

    pub(super) fn run(&self, kernels: &Kernels, memory: &Memory, rows: std::ops::Range<usize>) {
        /// Channels at once.
        const AT_ONCE: usize = 64;
        let from = &self.input;
        let least = self.kernel.checked_sub(2 * self.padding);
        assert!(self.stride > 0 && least.is_none_or(|least| least <= from.rows.min(from.cols)));
        let map = self.map.as_ref().map(|(affine, _)| affine);
        assert!(map.is_none_or(|affine| affine.has(from.step)));
        let cols = (from.cols + 2 * self.padding - self.kernel) / self.stride + 1;
        let places = [
            self.output.as_ref(),
            self.map.as_ref().map(|(_, layout)| layout),
        ];
        for layout in places.into_iter().flatten() {
            assert_eq!(
                [layout.rows, layout.cols, layout.step],
                [self.rows(), cols, from.step]
            );
            assert!(memory.len() >= layout.end() && layout.precision == Precision::U8);
        }
        assert!(
            memory.len() >= from.end()
                && from.border >= self.padding
                && from.precision == Precision::U8
        );
        let inset = from.border - self.padding;
        for y in rows {
            for x in 0..cols {
                for first in (0..from.step).step_by(AT_ONCE) {
                    let count = AT_ONCE.min(from.step - first);
                    let mut largest = [0_u8; AT_ONCE];
                    for k in 0..self.kernel * self.kernel {
                        let row = y * self.stride + inset + k / self.kernel;
                        let col = x * self.stride + inset + k % self.kernel;
                        let at = from.start + row * from.row() + col * from.pixel() + first;
                        // SAFETY: the window lies within the input and its border: it fits into the rows and columns with the padding, which
                        // is within the border, and the rows of the output are those it fits for; asserted above.
                        let bytes = unsafe {
                            std::slice::from_raw_parts(memory.pointer().add(at).cast_const(), count)
                        };
                        for (largest, &byte) in largest.iter_mut().zip(bytes) {
                            *largest = byte.max(*largest);
                        }
                    }
                    if let Some(layout) = &self.output {
                        // SAFETY: the pixel lies in the output, and `count` channels from the first are its own.
                        unsafe {
                            let to = memory.pointer().add(layout.at(y, x) + first);
                            std::ptr::copy_nonoverlapping(largest.as_ptr(), to, count);
                        }
                    }
                    if let Some((affine, layout)) = &self.map {
                        // SAFETY: as above; the tables have as many channels as the value.
                        unsafe {
                            let all = affine.to(memory.pointer().add(layout.at(y, x) + first));
                            let map = Map {
                                factor: all.factor.add(first),
                                offset: all.offset.add(first),
                                ..all
                            };
                            (kernels.map)(Origin::U8(largest.as_ptr()), count, &map);
                        }
                    }
                }
            }
        }
    }
}

/// Writes the zeros around a value.
pub(super) fn clear_border(layout: &Layout, memory: &Memory) {
    assert!(memory.len() >= layout.end());
    let (row, edge) = (layout.row(), layout.border * layout.pixel());
    // SAFETY: all runs lie in the value, which lies in the memory; no other thread writes them.
    let clear = |at: usize, bytes: usize| unsafe {
        std::ptr::write_bytes(memory.pointer().add(layout.start + at), 0, bytes);
    };
    if layout.border == 0 {
        return;
    }
    clear(0, layout.border * row + edge);
    for y in layout.border..layout.border + layout.rows {
        // The end of one row and the beginning of the next.
        let end = (y + 1) * row - edge;
        clear(end, 2 * edge);
    }
    let bottom = (layout.border + layout.rows) * row;
    clear(bottom, layout.border * row);
}
