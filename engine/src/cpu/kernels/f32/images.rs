//! Pixel by pixel: pooling, doubling, joining, framing with zeros.
#![allow(unsafe_code)]

use std::ops::Range;

use super::finish::{load, store};
use super::lanes::Lanes;
use super::schedule::{Share, StepCheck};
use super::{Job, Region};

/// An image without gaps.
const fn image(start: usize, [rows, cols]: [usize; 2], channels: usize) -> Region {
    Region {
        start,
        len: rows * cols * channels,
    }
}

/// Largest number of each channel below a kernel; what is outside the image does not count.
pub(crate) struct Pool {
    /// Where the image begins.
    pub(crate) input: usize,
    /// Where the result begins.
    pub(crate) output: usize,
    /// Rows and columns of the image.
    pub(crate) from: [usize; 2],
    /// Rows and columns of the result.
    pub(crate) to: [usize; 2],
    /// Channels of both.
    pub(crate) channels: usize,
    /// Pixels of the kernel along an axis.
    pub(crate) kernel: usize,
    /// Pixels from one place of the kernel to the next.
    pub(crate) stride: usize,
    /// Pixels outside on each side.
    pub(crate) padding: usize,
}

impl Pool {
    pub(super) fn check(&self) -> StepCheck {
        let lies_inside = |axis: usize| {
            let last = (self.to[axis] - 1) * self.stride;
            last + self.kernel <= self.from[axis] + 2 * self.padding
        };
        let sound = self.from[0] * self.from[1] * self.to[0] * self.to[1] * self.channels > 0
            && 2 * self.padding <= self.kernel
            && lies_inside(0)
            && lies_inside(1);
        StepCheck {
            reads: vec![image(self.input, self.from, self.channels)],
            adds: None,
            writes: vec![image(self.output, self.to, self.channels)],
            sound,
        }
    }

    /// The real pixels below the kernel at place `at` of an axis.
    fn below(&self, at: usize, axis: usize) -> Range<usize> {
        let first = at * self.stride;
        let end = (first + self.kernel).saturating_sub(self.padding);
        first.saturating_sub(self.padding)..end.min(self.from[axis])
    }
}

/// Twice the rows and columns, each pixel repeated.
pub(crate) struct Double {
    /// Where the image begins.
    pub(crate) input: usize,
    /// Where the result begins.
    pub(crate) output: usize,
    /// Rows and columns of the image.
    pub(crate) size: [usize; 2],
    /// Channels.
    pub(crate) channels: usize,
}

impl Double {
    pub(super) fn check(&self) -> StepCheck {
        StepCheck {
            reads: vec![image(self.input, self.size, self.channels)],
            adds: None,
            writes: vec![image(self.output, self.size.map(|n| 2 * n), self.channels)],
            sound: true,
        }
    }
}

/// The channels of one image, then those of another.
pub(crate) struct Concat {
    /// Where the two images begin, and how many channels each has.
    pub(crate) parts: [(usize, usize); 2],
    /// Where the result begins.
    pub(crate) output: usize,
    /// Pixels of each.
    pub(crate) pixels: usize,
}

impl Concat {
    pub(super) fn check(&self) -> StepCheck {
        let region = |start, channels: usize| Region {
            start,
            len: self.pixels * channels,
        };
        let reads = self.parts.map(|(start, channels)| region(start, channels));
        StepCheck {
            reads: reads.to_vec(),
            adds: None,
            writes: vec![region(self.output, self.parts[0].1 + self.parts[1].1)],
            sound: true,
        }
    }
}

/// An image, doubled first if wanted, in a frame of zeros.
pub(crate) struct Frame {
    /// Where the image begins.
    pub(crate) input: usize,
    /// Where the result begins.
    pub(crate) output: usize,
    /// Rows and columns of the image.
    pub(crate) size: [usize; 2],
    /// Channels.
    pub(crate) channels: usize,
    /// Whether each pixel is repeated to twice the rows and columns.
    pub(crate) doubled: bool,
    /// Pixels of zeros on each side.
    pub(crate) padding: usize,
}

impl Frame {
    /// Rows and columns with the frame.
    pub(crate) fn framed(size: [usize; 2], doubled: bool, padding: usize) -> [usize; 2] {
        size.map(|n| (n << u32::from(doubled)) + 2 * padding)
    }

    pub(super) fn check(&self) -> StepCheck {
        let framed = Self::framed(self.size, self.doubled, self.padding);
        StepCheck {
            reads: vec![image(self.input, self.size, self.channels)],
            adds: None,
            writes: vec![image(self.output, framed, self.channels)],
            sound: true,
        }
    }
}

/// A thread's share of a step that goes pixel by pixel.
pub(super) struct ImageJob<'a, S> {
    pub(super) step: &'a S,
    pub(super) memory: *mut f32,
    pub(super) share: Share,
}

impl Job for ImageJob<'_, Pool> {
    // Safety: the memory holds what `Pool::check` names, and no other thread has the same share.
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let pool = self.step;
        let channels = pool.channels;
        let [rows, cols] = pool.to;
        for pixel in self.share.of(rows * cols) {
            let down = pool.below(pixel / cols, 0);
            let across = pool.below(pixel % cols, 1);
            for channel in (0..channels).step_by(L::WIDTH) {
                let count = channels - channel;
                // SAFETY: the check found that both images lie inside the memory and that each kernel has a real pixel.
                unsafe {
                    let mut largest = L::splat(f32::NEG_INFINITY);
                    for row in down.clone() {
                        for col in across.clone() {
                            let at = (row * pool.from[1] + col) * channels + channel;
                            let x = load::<L>(self.memory.add(pool.input + at), count);
                            largest = x.larger(largest);
                        }
                    }
                    let at = pool.output + pixel * channels + channel;
                    store(largest, self.memory.add(at), count);
                }
            }
        }
    }
}

impl Job for ImageJob<'_, Double> {
    // Safety: the memory holds what `Double::check` names, and no other thread has the same share.
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Double {
            input,
            output,
            size: [rows, cols],
            channels,
        } = *self.step;
        for pixel in self.share.of(rows * cols) {
            let corner = pixel / cols * 4 * cols + pixel % cols * 2;
            // SAFETY: the check found both images inside the memory and apart.
            unsafe {
                let from = self.memory.add(input + pixel * channels);
                for pixel in [corner, corner + 1, corner + 2 * cols, corner + 2 * cols + 1] {
                    let to = self.memory.add(output + pixel * channels);
                    std::ptr::copy_nonoverlapping(from, to, channels);
                }
            }
        }
    }
}

impl Job for ImageJob<'_, Concat> {
    // Safety: the memory holds what `Concat::check` names, and no other thread has the same share.
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [(a, first), (b, second)] = self.step.parts;
        for pixel in self.share.of(self.step.pixels) {
            // SAFETY: the check found all three images inside the memory and the result apart.
            unsafe {
                let to = self.memory.add(self.step.output + pixel * (first + second));
                std::ptr::copy_nonoverlapping(self.memory.add(a + pixel * first), to, first);
                let to = to.add(first);
                std::ptr::copy_nonoverlapping(self.memory.add(b + pixel * second), to, second);
            }
        }
    }
}

impl Job for ImageJob<'_, Frame> {
    // Safety: the memory holds what `Frame::check` names, and no other thread has the same share.
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let frame = self.step;
        let channels = frame.channels;
        let [rows, cols] = Frame::framed(frame.size, frame.doubled, frame.padding);
        let border = frame.padding * channels;
        for row in self.share.of(rows) {
            let inside = (frame.padding..rows - frame.padding).contains(&row);
            // SAFETY: the check found both images inside the memory and apart.
            unsafe {
                let mut to = self.memory.add(frame.output + row * cols * channels);
                if !inside {
                    std::ptr::write_bytes(to, 0, cols * channels);
                    continue;
                }
                let row = (row - frame.padding) >> u32::from(frame.doubled);
                let width = frame.size[1] * channels;
                let mut from = self.memory.add(frame.input + row * width).cast_const();
                std::ptr::write_bytes(to, 0, border);
                to = to.add(border);
                if frame.doubled {
                    for _ in 0..frame.size[1] {
                        std::ptr::copy_nonoverlapping(from, to, channels);
                        std::ptr::copy_nonoverlapping(from, to.add(channels), channels);
                        to = to.add(2 * channels);
                        from = from.add(channels);
                    }
                } else {
                    std::ptr::copy_nonoverlapping(from, to, width);
                    to = to.add(width);
                }
                std::ptr::write_bytes(to, 0, border);
            }
        }
    }
}
