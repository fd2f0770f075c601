//! 3 x 3 convolutions of stride 1 and padding 1 with a quarter of the multiplications, see [`super::transforms`].
//!
//! Three phases: windows of input are transformed, 36 products add up over the channels, the sums are transformed to output.
//! What lies outside the image is read from a pixel of zeros. An input that is to be doubled first is read as it is: of a
//! window's 36 numbers only 25 are then not 0, and the others are left out with their weights. Sums of convolutions are added
//! between the transforms, so the output is transformed once.
//!
//! Where there are many pixels and few weights, each thread goes through all phases with a few tiles at a time, in its own
//! scratch memory. Where there are many weights, all threads do one phase after another with all tiles, and read each weight once.
#![allow(unsafe_code)]

use super::finish::{Channels, load, store};
use super::lanes::Lanes;
use super::product::{Product, Run, Runs};
use super::schedule::{Share, StepCheck};
use super::transforms::{self, KEPT, POINTS, SMALL, TILE, WINDOW};
use super::{Buffer, Finish, Job, LINE, Layout, Panels, Region};
use crate::cpu::team::Member;

/// An image that is convolved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Where its pixels lie.
    pub(crate) layout: Layout,
    /// Its rows and columns.
    pub(crate) size: [usize; 2],
    /// Its channels.
    pub(crate) channels: usize,
    /// Whether the convolution sees it with twice the rows and columns, each pixel repeated.
    pub(crate) doubled: bool,
}

impl Window {
    /// Products of a tile.
    pub(crate) const fn points(&self) -> usize {
        if self.doubled {
            KEPT.len() * KEPT.len()
        } else {
            POINTS
        }
    }

    /// The number of a point among those this image has.
    fn point(&self, [i, j]: [usize; 2]) -> Option<usize> {
        if self.doubled {
            let place = |n| KEPT.iter().position(|&kept| kept == n);
            Some(place(i)? * KEPT.len() + place(j)?)
        } else {
            Some(i * WINDOW + j)
        }
    }
}

/// How tiles are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Tiles at a time.
    pub(crate) block: usize,
    /// Whether all threads work on the same tiles, one phase after another; else each has its own and a scratch of its own.
    pub(crate) together: bool,
}

/// Tiles of an output of this size, down and across.
pub(crate) fn tiles([rows, cols]: [usize; 2]) -> [usize; 2] {
    [rows.div_ceil(TILE), cols.div_ceil(TILE)]
}

struct Source {
    window: Window,
    /// Where its transformed windows begin in the scratch memory, and numbers from one point to the next.
    start: usize,
    pitch: usize,
}

struct Point {
    /// Transformed windows, in the scratch memory.
    layouts: Vec<Layout>,
    runs: Runs,
    /// Where the weights begin.
    weights: usize,
}

/// A sum of convolutions.
pub(crate) struct Winograd {
    sources: Vec<Source>,
    points: Vec<Point>,
    weights: Buffer,
    /// Where sums begin in the scratch memory, and numbers from one point to the next.
    sums: [usize; 2],
    plain: Finish,
    size: [usize; 2],
    tiling: Tiling,
    scratch: Region,
    /// Numbers of one thread's scratch memory.
    own: usize,
    zeros: Buffer,
    panels: Panels,
    finish: Finish,
}

/// Numbers from one point to the next. A cache line more than the tiles take: distances that are multiples of 4096 bytes would
/// put all points into the same corner of the cache.
const fn pitch(block: usize, channels: usize) -> usize {
    (block * channels).next_multiple_of(LINE) + LINE
}

impl Winograd {
    /// Numbers of scratch memory that one group of threads needs.
    pub(crate) fn scratch(windows: &[Window], channels: usize, block: usize) -> usize {
        let inputs = windows
            .iter()
            .map(|window| window.points() * pitch(block, window.channels));
        inputs.sum::<usize>() + POINTS * pitch(block, channels)
    }

    /// Plans a sum of convolutions with an output of `size` pixels.
    ///
    /// `kernel(source, input channel, output channel)` gives the nine taps, row by row. `scratch` holds what
    /// [`Self::scratch`] says, once or for each thread of a team. `None` if there is no memory for the weights.
    pub(crate) fn new(
        windows: &[Window],
        size: [usize; 2],
        finish: Finish,
        (tiling, scratch): (Tiling, Region),
        panels: Panels,
        kernel: impl Fn(usize, usize, usize) -> [f32; 9],
    ) -> Option<Self> {
        let channels = finish.channels;
        let mut sources = Vec::new();
        let mut start = 0;
        for &window in windows {
            let pitch = pitch(tiling.block, window.channels);
            sources.push(Source {
                window,
                start,
                pitch,
            });
            start += window.points() * pitch;
        }
        let mut points = Vec::new();
        let mut len = 0;
        for point in 0..POINTS {
            let place = [point / WINDOW, point % WINDOW];
            let mut layouts = Vec::new();
            let mut runs = Vec::new();
            for source in &sources {
                if let Some(number) = source.window.point(place) {
                    runs.push(Run {
                        source: layouts.len(),
                        offset: 0,
                        len: source.window.channels,
                    });
                    layouts.push(Layout {
                        start: source.start + number * source.pitch,
                        pitch: 0,
                        step: source.window.channels,
                    });
                }
            }
            let runs = Runs::new(&runs, panels);
            let depth = runs.depth();
            points.push(Point {
                layouts,
                runs,
                weights: len,
            });
            len += depth * panels.row(channels);
        }
        let mut weights = Buffer::zeros(len)?;
        let packed = weights.as_mut_slice();
        let mut before = [0; POINTS];
        for (number, source) in sources.iter().enumerate() {
            for c in 0..source.window.channels {
                for o in 0..channels {
                    let taps = transforms::kernel(&kernel(number, c, o));
                    for (i, &tap) in taps.iter().enumerate() {
                        if source.window.point([i / WINDOW, i % WINDOW]).is_some() {
                            let depth = points[i].runs.depth();
                            let at = panels.place([depth, channels], [before[i] + c, o]);
                            packed[points[i].weights + at] = tap;
                        }
                    }
                }
            }
            for (i, before) in before.iter_mut().enumerate() {
                if source.window.point([i / WINDOW, i % WINDOW]).is_some() {
                    *before += source.window.channels;
                }
            }
        }
        let widest = windows.iter().map(|window| window.channels).max();
        let layout = Layout {
            start: 0,
            pitch: 0,
            step: channels,
        };
        Some(Self {
            own: Self::scratch(windows, channels, tiling.block),
            sums: [start, pitch(tiling.block, channels)],
            plain: Finish::plain(layout, channels),
            zeros: Buffer::zeros(widest.unwrap_or(0))?,
            sources,
            points,
            weights,
            size,
            tiling,
            scratch,
            panels,
            finish,
        })
    }

    pub(super) fn check(&self, panels: Panels, threads: usize) -> StepCheck {
        let groups = if self.tiling.together { 1 } else { threads };
        let windows = self.sources.iter().map(|source| source.window);
        let sound = self.panels == panels
            && self.finish.is_sound()
            && self.tiling.block > 0
            && (!self.tiling.together || self.tiling.block >= self.tiles())
            && self.scratch.len >= groups * self.own
            && self.size[0] * self.size[1] > 0
            && self
                .sources
                .iter()
                .all(|source| self.zeros.len() >= source.window.channels)
            && self.points.iter().all(|point| {
                let packed = point.runs.depth() * panels.row(self.finish.channels);
                point.weights + packed <= self.weights.len()
            });
        let mut writes = self.finish.writes(self.size);
        writes.push(self.scratch);
        StepCheck {
            reads: windows
                .map(|w| w.layout.extent(w.size, w.channels))
                .collect(),
            adds: self.finish.reads(self.size),
            writes,
            sound,
        }
    }

    fn tiles(&self) -> usize {
        let [down, across] = tiles(self.size);
        down * across
    }
}

/// A thread's share.
pub(super) struct WinogradJob<'a, 'b, 'c> {
    pub(super) step: &'a Winograd,
    pub(super) memory: *mut f32,
    pub(super) member: &'b mut Member<'c>,
}

impl Job for WinogradJob<'_, '_, '_> {
    // Safety: the memory holds what `Winograd::check` names, and all members of the team run this step.
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let step = self.step;
        let tiles = step.tiles();
        let share = Share::of_member(self.member);
        // SAFETY: the check found everything inside the memory, with a scratch for each thread if they work apart. Threads that
        // work together share out each phase and meet before the next.
        unsafe {
            if step.tiling.together {
                let block = Block {
                    step,
                    memory: self.memory,
                    scratch: self.memory.add(step.scratch.start),
                    first: 0,
                    count: tiles,
                };
                block.inputs::<L>(share);
                self.member.wait();
                block.products::<L>(share);
                self.member.wait();
                block.outputs::<L>(share);
            } else {
                let scratch = step.scratch.start + self.member.index * step.own;
                let blocks = tiles.div_ceil(step.tiling.block);
                for number in self.member.share(blocks) {
                    let first = number * step.tiling.block;
                    let block = Block {
                        step,
                        memory: self.memory,
                        scratch: self.memory.add(scratch),
                        first,
                        count: step.tiling.block.min(tiles - first),
                    };
                    block.inputs::<L>(Share::ALL);
                    block.products::<L>(Share::ALL);
                    block.outputs::<L>(Share::ALL);
                }
            }
        }
    }
}

/// Some tiles, and where their transforms go.
struct Block<'a> {
    step: &'a Winograd,
    memory: *mut f32,
    scratch: *mut f32,
    first: usize,
    count: usize,
}

impl Block<'_> {
    /// Row and column of a tile.
    fn place(&self, slot: usize) -> [usize; 2] {
        let [_, across] = tiles(self.step.size);
        let tile = self.first + slot;
        [tile / across, tile % across]
    }

    /// # Safety
    ///
    /// The instruction set is present, the step's check holds, and no other thread has the same share of this block.
    #[inline(always)]
    unsafe fn inputs<L: Lanes>(&self, share: Share) {
        for source in &self.step.sources {
            for slot in share.of(self.count) {
                // SAFETY: the caller's promise.
                unsafe {
                    if source.window.doubled {
                        self.doubled_input::<L>(source, slot);
                    } else {
                        self.input::<L>(source, slot);
                    }
                }
            }
        }
    }

    /// The pixels of a window that begins at `row` and `col`, counted from one outside the image.
    ///
    /// # Safety
    ///
    /// The source's image lies in the memory.
    #[inline(always)]
    unsafe fn pixels<const N: usize>(
        &self,
        window: &Window,
        [row, col]: [usize; 2],
    ) -> [[*const f32; N]; N] {
        let mut pixels = [[self.step.zeros.as_ptr(); N]; N];
        let Layout { start, pitch, step } = window.layout;
        if row > 0 && col > 0 && row + N - 1 <= window.size[0] && col + N - 1 <= window.size[1] {
            let corner = start + (row - 1) * pitch + (col - 1) * step;
            for (i, pixels) in pixels.iter_mut().enumerate() {
                for (j, pixel) in pixels.iter_mut().enumerate() {
                    // SAFETY: all are pixels of the image.
                    *pixel = unsafe { self.memory.add(corner + i * pitch + j * step) };
                }
            }
            return pixels;
        }
        for (i, pixels) in pixels.iter_mut().enumerate() {
            for (j, pixel) in pixels.iter_mut().enumerate() {
                let inside = |at: usize, size: usize| (1..=size).contains(&at);
                if inside(row + i, window.size[0]) && inside(col + j, window.size[1]) {
                    let at = start + (row + i - 1) * pitch + (col + j - 1) * step;
                    // SAFETY: a pixel of the image.
                    *pixel = unsafe { self.memory.add(at) };
                }
            }
        }
        pixels
    }

    /// # Safety
    ///
    /// As for `inputs`.
    #[inline(always)]
    unsafe fn input<L: Lanes>(&self, source: &Source, slot: usize) {
        let window = &source.window;
        let place = self.place(slot).map(|n| n * TILE);
        // SAFETY: the caller's promise; pixels outside the image are zeros, as many as the widest image has channels.
        unsafe {
            let pixels = self.pixels::<WINDOW>(window, place);
            let out = self.scratch.add(source.start + slot * window.channels);
            for channel in (0..window.channels).step_by(L::WIDTH) {
                let count = window.channels - channel;
                let mut rows = [[L::splat(0.0); WINDOW]; WINDOW];
                for i in 0..WINDOW {
                    let mut d = [L::splat(0.0); WINDOW];
                    for j in 0..WINDOW {
                        d[j] = load(pixels[i][j].add(channel), count);
                    }
                    rows[i] = transforms::input(d);
                }
                for j in 0..WINDOW {
                    let column = transforms::input([
                        rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j],
                    ]);
                    for (i, x) in column.into_iter().enumerate() {
                        let at = (i * WINDOW + j) * source.pitch + channel;
                        store(x, out.add(at), count);
                    }
                }
            }
        }
    }

    /// # Safety
    ///
    /// As for `inputs`.
    #[inline(always)]
    unsafe fn doubled_input<L: Lanes>(&self, source: &Source, slot: usize) {
        let window = &source.window;
        let place = self.place(slot).map(|n| n * TILE / 2);
        // SAFETY: as in `input`.
        unsafe {
            let pixels = self.pixels::<SMALL>(window, place);
            let out = self.scratch.add(source.start + slot * window.channels);
            for channel in (0..window.channels).step_by(L::WIDTH) {
                let count = window.channels - channel;
                let mut rows = [[L::splat(0.0); KEPT.len()]; SMALL];
                for i in 0..SMALL {
                    let mut d = [L::splat(0.0); SMALL];
                    for j in 0..SMALL {
                        d[j] = load(pixels[i][j].add(channel), count);
                    }
                    rows[i] = transforms::doubled_input(d);
                }
                for j in 0..KEPT.len() {
                    let column =
                        transforms::doubled_input([rows[0][j], rows[1][j], rows[2][j], rows[3][j]]);
                    for (i, x) in column.into_iter().enumerate() {
                        let at = (i * KEPT.len() + j) * source.pitch + channel;
                        store(x, out.add(at), count);
                    }
                }
            }
        }
    }

    /// # Safety
    ///
    /// As for `inputs`, which is done.
    #[inline(always)]
    unsafe fn products<L: Lanes>(&self, share: Share) {
        let step = self.step;
        let channels = step.finish.channels;
        let each = Product::items(self.count, channels, step.panels);
        let mine = share.of(POINTS * each);
        for (number, point) in step.points.iter().enumerate() {
            let from = mine.start.clamp(number * each, (number + 1) * each) - number * each;
            let to = mine.end.clamp(number * each, (number + 1) * each) - number * each;
            // SAFETY: the caller's promise; weights are packed for these kernels, point after point.
            unsafe {
                let product = Product {
                    sources: &point.layouts,
                    runs: &point.runs,
                    weights: step.weights.as_ptr().add(point.weights),
                    cols: self.count,
                    pixels: self.count,
                    finish: &step.plain,
                    input: self.scratch,
                    output: self.scratch.add(step.sums[0] + number * step.sums[1]),
                };
                product.run::<L>(from..to);
            }
        }
    }

    /// # Safety
    ///
    /// As for `inputs`; `products` is done.
    #[inline(always)]
    unsafe fn outputs<L: Lanes>(&self, share: Share) {
        let step = self.step;
        let finish = &step.finish;
        let channels = finish.channels;
        let [start, pitch] = step.sums;
        for slot in share.of(self.count) {
            let [row, col] = self.place(slot).map(|n| n * TILE);
            let rows = TILE.min(step.size[0] - row);
            let cols = TILE.min(step.size[1] - col);
            let corner = finish.layout.start + row * finish.layout.pitch + col * finish.layout.step;
            // SAFETY: the caller's promise; pixels outside the image are not touched.
            unsafe {
                let sums = self.scratch.add(start + slot * channels);
                for channel in (0..channels).step_by(L::WIDTH) {
                    let channels = Channels {
                        first: channel,
                        left: channels - channel,
                    };
                    let mut half = [[L::splat(0.0); TILE]; WINDOW];
                    for i in 0..WINDOW {
                        let mut m = [L::splat(0.0); WINDOW];
                        for j in 0..WINDOW {
                            let at = (i * WINDOW + j) * pitch + channel;
                            m[j] = load(sums.add(at), channels.left);
                        }
                        half[i] = transforms::output(m);
                    }
                    for j in 0..cols {
                        let column = transforms::output([
                            half[0][j], half[1][j], half[2][j], half[3][j], half[4][j], half[5][j],
                        ]);
                        let top = corner + j * finish.layout.step;
                        let at: [usize; TILE] =
                            std::array::from_fn(|i| top + i * finish.layout.pitch);
                        if rows == TILE {
                            let mut sums = finish.begin::<L, TILE, 1>(self.memory, at, channels);
                            for (sum, x) in sums.iter_mut().zip(column) {
                                sum[0] = sum[0].add(x);
                            }
                            finish.end(sums, self.memory, at, channels);
                        } else {
                            for (at, x) in at.into_iter().zip(column).take(rows) {
                                let [[sum]] = finish.begin::<L, 1, 1>(self.memory, [at], channels);
                                finish.end([[sum.add(x)]], self.memory, [at], channels);
                            }
                        }
                    }
                }
            }
        }
    }
}
