//! What sums begin with and what becomes of them: bias, another image, rectifier, and a scale and shift beside them.
#![allow(unsafe_code)]

use super::lanes::Lanes;
use super::product::Layout;
use super::{Buffer, Region};

/// What is stored beside or instead of the sums: `x * scale + shift` for each channel.
pub(crate) struct Second {
    /// Where its first pixel begins; the layout is that of the sums.
    pub(crate) start: usize,
    /// One number for each channel.
    pub(crate) scale: Buffer,
    /// One number for each channel.
    pub(crate) shift: Buffer,
    /// Whether negative results become 0.
    pub(crate) relu: bool,
}

/// What becomes of sums.
pub(crate) struct Finish {
    /// Where sums are stored. `start` is that of [`Self::sums`] or else of [`Self::second`].
    pub(crate) layout: Layout,
    /// Output channels.
    pub(crate) channels: usize,
    /// Added to each pixel, one number for each channel.
    pub(crate) bias: Option<Buffer>,
    /// Where what is added pixel by pixel begins, in the same layout. May be the place of the sums.
    pub(crate) add: Option<usize>,
    /// Whether negative sums become 0.
    pub(crate) relu: bool,
    /// Whether the sums are stored.
    pub(crate) sums: bool,
    /// What else is stored.
    pub(crate) second: Option<Second>,
}

impl Finish {
    /// Only sums, as they are.
    pub(super) const fn plain(layout: Layout, channels: usize) -> Self {
        Self {
            layout,
            channels,
            bias: None,
            add: None,
            relu: false,
            sums: true,
            second: None,
        }
    }

    /// What is written for an image of this size.
    pub(super) fn writes(&self, size: [usize; 2]) -> Vec<Region> {
        let extent = self.layout.extent(size, self.channels);
        let sums = self.sums.then_some(extent);
        let second = self.second.iter().map(|second| Region {
            start: second.start,
            ..extent
        });
        sums.into_iter().chain(second).collect()
    }

    /// What is read for an image of this size.
    pub(super) fn reads(&self, size: [usize; 2]) -> Option<Region> {
        let extent = self.layout.extent(size, self.channels);
        self.add.map(|start| Region { start, ..extent })
    }

    /// Whether every constant has a number for each channel.
    pub(super) fn is_sound(&self) -> bool {
        let fits = |buffer: &Buffer| buffer.len() >= self.channels;
        let second = self.second.as_ref();
        self.channels > 0
            && (self.sums || second.is_some_and(|second| second.start == self.layout.start))
            && self.bias.as_ref().is_none_or(fits)
            && second.is_none_or(|second| fits(&second.scale) && fits(&second.shift))
    }

    /// Where a pixel of the second result begins, from where it begins in the layout.
    const fn beside(&self, second: &Second, at: usize) -> usize {
        at - self.layout.start + second.start
    }

    /// What the sums of `M` pixels and `N` registers start from: bias, and what is added.
    ///
    /// # Safety
    ///
    /// The instruction set is present; the channels belong to the pixels that begin at `at`; the regions of `reads` can be read
    /// at `memory`.
    #[inline(always)]
    pub(super) unsafe fn begin<L: Lanes, const M: usize, const N: usize>(
        &self,
        memory: *const f32,
        at: [usize; M],
        channels: Channels,
    ) -> [[L; N]; M] {
        // SAFETY: constants are as long as the channels rounded up to a cache line; the rest is the caller's promise.
        unsafe {
            let mut sums = [[L::splat(0.0); N]; M];
            if let Some(bias) = &self.bias {
                for n in 0..N {
                    let bias = L::load(bias.as_ptr().add(channels.at::<L>(n)));
                    for m in 0..M {
                        sums[m][n] = bias;
                    }
                }
            }
            if let Some(add) = self.add {
                for m in 0..M {
                    for n in 0..N {
                        let from =
                            memory.add(at[m] - self.layout.start + add + channels.at::<L>(n));
                        sums[m][n] = sums[m][n].add(load(from, channels.count::<L, N>(n)));
                    }
                }
            }
            sums
        }
    }

    /// Stores finished sums.
    ///
    /// # Safety
    ///
    /// As for [`Self::begin`], and the regions of `writes` can be written.
    #[inline(always)]
    pub(super) unsafe fn end<L: Lanes, const M: usize, const N: usize>(
        &self,
        mut sums: [[L; N]; M],
        memory: *mut f32,
        at: [usize; M],
        channels: Channels,
    ) {
        // SAFETY: constants are as long as the channels rounded up to a cache line; the rest is the caller's promise.
        unsafe {
            let zero = L::splat(0.0);
            if self.relu {
                for m in 0..M {
                    for n in 0..N {
                        sums[m][n] = sums[m][n].at_least(zero);
                    }
                }
            }
            if self.sums {
                put(sums, memory, at, channels);
            }
            if let Some(second) = &self.second {
                for n in 0..N {
                    let scale = L::load(second.scale.as_ptr().add(channels.at::<L>(n)));
                    let shift = L::load(second.shift.as_ptr().add(channels.at::<L>(n)));
                    for m in 0..M {
                        let x = sums[m][n].mul_add(scale, shift);
                        let x = if second.relu { x.at_least(zero) } else { x };
                        let to = memory.add(self.beside(second, at[m]) + channels.at::<L>(n));
                        store(x, to, channels.count::<L, N>(n));
                    }
                }
            }
        }
    }
}

/// The channels of a tile.
#[derive(Clone, Copy)]
pub(super) struct Channels {
    /// The first.
    pub(super) first: usize,
    /// How many there are from it on, in the whole image.
    pub(super) left: usize,
}

impl Channels {
    /// Where register `n` begins.
    #[inline(always)]
    pub(super) const fn at<L: Lanes>(self, n: usize) -> usize {
        self.first + n * L::WIDTH
    }

    /// How many numbers of register `n` of `N` belong to channels. All registers but the last are whole.
    #[inline(always)]
    pub(super) const fn count<L: Lanes, const N: usize>(self, n: usize) -> usize {
        if n + 1 < N {
            L::WIDTH
        } else {
            self.left - n * L::WIDTH
        }
    }
}

/// Writes the sums of `M` pixels.
///
/// # Safety
///
/// The channels belong to the pixels that begin at `at`, and they can be written.
#[inline(always)]
pub(super) unsafe fn put<L: Lanes, const M: usize, const N: usize>(
    sums: [[L; N]; M],
    memory: *mut f32,
    at: [usize; M],
    channels: Channels,
) {
    for m in 0..M {
        for n in 0..N {
            // SAFETY: the caller's promise.
            unsafe {
                let to = memory.add(at[m] + channels.at::<L>(n));
                store(sums[m][n], to, channels.count::<L, N>(n));
            }
        }
    }
}

/// Reads `count` numbers, at most a register.
///
/// # Safety
///
/// The instruction set is present and they can be read.
#[inline(always)]
pub(super) unsafe fn load<L: Lanes>(from: *const f32, count: usize) -> L {
    // SAFETY: the caller's promise.
    unsafe {
        if count >= L::WIDTH {
            L::load(from)
        } else {
            L::load_part(from, count)
        }
    }
}

/// Writes `count` numbers, at most a register.
///
/// # Safety
///
/// They can be written.
#[inline(always)]
pub(super) unsafe fn store<L: Lanes>(x: L, to: *mut f32, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if count >= L::WIDTH {
            x.store(to);
        } else {
            x.store_part(to, count);
        }
    }
}
