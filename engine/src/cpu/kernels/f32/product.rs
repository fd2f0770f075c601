//! Sums of products, tile by tile: what all convolutions come down to.
//!
//! A tile is a few output pixels times a few registers of output channels. Its sums stay in registers while the kernel walks
//! along the numbers that each pixel sees, in *runs* that lie in a row, and along a panel of weights.
#![allow(unsafe_code)]

use std::ops::Range;

use super::finish::{Channels, Finish, load, put};
use super::lanes::{Lanes, ROWS};
use super::{Panels, Region};

/// Weights of one panel that a kernel goes through before it turns to the next pixels, in numbers: they stay in a core's own
/// cache.
const CHUNK: usize = 80 << 10;

/// Where pixels of an image lie, in numbers: pixel `(row, col)` at `start + row * pitch + col * step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Where the first pixel begins.
    pub(crate) start: usize,
    /// From one row to the next.
    pub(crate) pitch: usize,
    /// From one pixel to the next in its row.
    pub(crate) step: usize,
}

impl Layout {
    /// An image of `channels` without gaps.
    pub(crate) const fn dense(start: usize, cols: usize, channels: usize) -> Self {
        Self {
            start,
            pitch: cols * channels,
            step: channels,
        }
    }

    pub(super) const fn at(self, [row, col]: [usize; 2]) -> usize {
        self.start + row * self.pitch + col * self.step
    }

    /// The numbers between the first pixel and the end of the last, for pixels of `len` numbers.
    pub(super) const fn extent(self, [rows, cols]: [usize; 2], len: usize) -> Region {
        Region {
            start: self.start,
            len: (rows - 1) * self.pitch + (cols - 1) * self.step + len,
        }
    }
}

/// Numbers in a row that every pixel sees, from its place in the layout of a source on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) source: usize,
    pub(super) offset: usize,
    pub(super) len: usize,
}

/// Runs in the order of the rows of weights, and where the kernel may turn to the next pixels.
#[derive(Default)]
pub(super) struct Runs {
    whole: Vec<Run>,
    /// Runs of each chunk, and the rows of weights before it.
    chunks: Vec<(Range<usize>, usize)>,
    depth: usize,
}

impl Runs {
    pub(super) fn new(whole: &[Run], panels: Panels) -> Self {
        let most = (CHUNK / panels.full()).max(64);
        let mut runs = Self::default();
        let (mut first, mut rows) = (0, 0);
        for run in whole {
            // Pieces of about the same length.
            let pieces = run.len.div_ceil(most);
            for piece in 0..pieces {
                let [from, to] = [piece, piece + 1].map(|n| n * run.len / pieces);
                let len = to - from;
                if rows + len > most && rows > 0 {
                    runs.close(first, rows);
                    (first, rows) = (runs.whole.len(), 0);
                }
                runs.whole.push(Run {
                    offset: run.offset + from,
                    len,
                    ..*run
                });
                rows += len;
            }
        }
        runs.close(first, rows);
        runs
    }

    fn close(&mut self, first: usize, rows: usize) {
        self.chunks.push((first..self.whole.len(), self.depth));
        self.depth += rows;
    }

    /// Rows of weights.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Run> {
        self.whole.iter()
    }
}

/// An image of sums: for each pixel and output channel, over all numbers of all runs, number times weight.
pub(super) struct Product<'a> {
    /// Where each source's pixels begin, from `input`.
    pub(super) sources: &'a [Layout],
    pub(super) runs: &'a Runs,
    /// Panels of [`Runs::depth`] rows.
    pub(super) weights: *const f32,
    /// Columns of the output image, in pixels.
    pub(super) cols: usize,
    /// Pixels of the output image.
    pub(super) pixels: usize,
    pub(super) finish: &'a Finish,
    pub(super) input: *const f32,
    pub(super) output: *mut f32,
}

impl Product<'_> {
    /// Tiles from one panel to the next.
    const fn tiles(pixels: usize) -> usize {
        pixels.div_ceil(ROWS)
    }

    /// How many pieces of work there are: panel after panel, and in each pixels from first to last.
    pub(super) const fn items(pixels: usize, channels: usize, panels: Panels) -> usize {
        panels.count(channels) * Self::tiles(pixels)
    }

    /// Does some of the work.
    ///
    /// # Safety
    ///
    /// The instruction set is present. All sources' pixels with all runs can be read at `input`, the weights for all runs and
    /// channels at `weights`, and what `finish` reads and writes at `output`, by nobody else while it runs.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(&self, items: Range<usize>) {
        let tiles = Self::tiles(self.pixels);
        let full = L::COLUMNS * L::WIDTH;
        let mut item = items.start;
        while item < items.end {
            let (panel, first) = (item / tiles, item % tiles);
            let last = tiles.min(first + items.end - item);
            item += last - first;
            let channel = panel * full;
            let pixels = first * ROWS..self.pixels.min(last * ROWS);
            let registers = (self.finish.channels - channel)
                .min(full)
                .div_ceil(L::WIDTH);
            // SAFETY: the caller's promise; every panel before this one is full.
            unsafe {
                let weights = self.weights.add(channel * self.runs.depth);
                match registers {
                    1 => self.panel::<L, 1>(pixels, channel, weights),
                    2 => self.panel::<L, 2>(pixels, channel, weights),
                    3 if L::COLUMNS >= 3 => self.panel::<L, 3>(pixels, channel, weights),
                    _ if L::COLUMNS >= 4 => self.panel::<L, 4>(pixels, channel, weights),
                    _ => {}
                }
            }
        }
    }

    /// # Safety
    ///
    /// As for `run`, for a panel of `N` registers.
    #[inline(always)]
    unsafe fn panel<L: Lanes, const N: usize>(
        &self,
        pixels: Range<usize>,
        channel: usize,
        weights: *const f32,
    ) {
        let channels = Channels {
            first: channel,
            left: self.finish.channels - channel,
        };
        for (chunk, (runs, before)) in self.runs.chunks.iter().enumerate() {
            let runs = &self.runs.whole[runs.clone()];
            let first = chunk == 0;
            let last = chunk + 1 == self.runs.chunks.len();
            // SAFETY: the caller's promise.
            unsafe {
                let weights = weights.add(before * N * L::WIDTH);
                let mut pixel = pixels.start;
                let mut place = [pixel / self.cols, pixel % self.cols];
                while pixel < pixels.end {
                    let tile = Tile {
                        place,
                        channels,
                        weights,
                        runs,
                        first,
                        last,
                    };
                    match pixels.end - pixel {
                        1 => self.tile::<L, 1, N>(&tile),
                        2 => self.tile::<L, 2, N>(&tile),
                        3 => self.tile::<L, 3, N>(&tile),
                        4 => self.tile::<L, 4, N>(&tile),
                        5 => self.tile::<L, 5, N>(&tile),
                        _ => self.tile::<L, ROWS, N>(&tile),
                    }
                    pixel += ROWS;
                    place[1] += ROWS;
                    while place[1] >= self.cols {
                        place = [place[0] + 1, place[1] - self.cols];
                    }
                }
            }
        }
    }

    /// # Safety
    ///
    /// As for `run`, for `M` pixels and a panel of `N` registers.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const M: usize, const N: usize>(&self, tile: &Tile<'_>) {
        let finish = self.finish;
        let mut places = [tile.place; M];
        for m in 1..M {
            let [row, col] = places[m - 1];
            places[m] = if col + 1 < self.cols {
                [row, col + 1]
            } else {
                [row + 1, 0]
            };
        }
        let at = places.map(|place| finish.layout.at(place));
        let channels = tile.channels;
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = if tile.first {
                finish.begin::<L, M, N>(self.output, at, channels)
            } else {
                let mut sums = [[L::splat(0.0); N]; M];
                for m in 0..M {
                    for n in 0..N {
                        let from = self.output.add(at[m] + channels.at::<L>(n));
                        sums[m][n] = load(from, channels.count::<L, N>(n));
                    }
                }
                sums
            };
            let mut weights = tile.weights;
            for run in tile.runs {
                let source = self.sources[run.source];
                let pixels = places.map(|place| self.input.add(source.at(place) + run.offset));
                sums = accumulate(sums, pixels, run.len, weights);
                weights = weights.add(run.len * N * L::WIDTH);
            }
            if tile.last {
                finish.end(sums, self.output, at, channels);
            } else {
                // The sums of the chunks so far wait in the place of the result.
                put(sums, self.output, at, channels);
            }
        }
    }
}

struct Tile<'a> {
    /// Row and column of the first pixel.
    place: [usize; 2],
    channels: Channels,
    weights: *const f32,
    runs: &'a [Run],
    first: bool,
    last: bool,
}

/// Adds `len` numbers of each pixel times their rows of weights.
///
/// # Safety
///
/// The instruction set is present; `len` numbers can be read at every pixel, and `len * N` registers at `weights`.
#[inline(always)]
unsafe fn accumulate<L: Lanes, const M: usize, const N: usize>(
    mut sums: [[L; N]; M],
    pixels: [*const f32; M],
    len: usize,
    weights: *const f32,
) -> [[L; N]; M] {
    // SAFETY: the caller's promise.
    unsafe {
        for k in 0..len {
            let row = weights.add(k * N * L::WIDTH);
            let mut w = [L::splat(0.0); N];
            for n in 0..N {
                w[n] = L::load(row.add(n * L::WIDTH));
            }
            for m in 0..M {
                let x = L::splat(*pixels[m].add(k));
                for n in 0..N {
                    sums[m][n] = x.mul_add(w[n], sums[m][n]);
                }
            }
        }
    }
    sums
}
