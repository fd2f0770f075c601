//! 3x3 convolutions of stride 1 and padding 1 by Winograd's minimal filtering F(4x4, 3x3).
//!
//! A 4x4 tile of output needs 36 products per pair of channels instead of 144 (Lavin and Gray, "Fast
//! algorithms for convolutional neural networks", section 4.3): with the matrices below,
//! `Y = A' [(G w G') * (B' d B)] A`, where `d` is the 6x6 window of input below the tile. The products over
//! channels are 36 matrix products. The gradient of the kernel is the adjoint of the same formula,
//! `dw = G' [(B' d B) * (A dY A')] G`; that of the input is a convolution with the turned kernel.
//!
//! Images are channels-last. Work is cut by shapes alone, and every sum has one order.

use rayon::prelude::*;

use super::product::{Left, NARROW, Product, Stack, multiply};
use super::registers::{Simd, WithSimd, dispatch, lanes, load, splat, store};
use super::scratch::scratch;
use super::transforms::{Filter, FilterAdjoint, Input, Output, OutputAdjoint, both};
use super::{Maps, each_chunk};

/// Edge of an output tile and of its input window.
const TILE: usize = 4;
const WINDOW: usize = 6;
/// Products per tile and pair of channels.
const POINTS: usize = WINDOW * WINDOW;
/// Tiles whose transforms lie together.
const GROUP: usize = 64;
/// Values of transformed input and output that one block may hold: 12 MiB.
const BLOCK_VALUES: usize = 3 << 20;
/// Up to this many pairs of channels the transformed kernel fits a core's cache and blocks run side by
/// side; beyond, the 36 products of one block do.
const SMALL_KERNEL: usize = 1 << 13;
/// Pieces in which the gradient of a small kernel is summed side by side.
const PIECES: usize = 16;

/// How a kernel `[out][in][3][3]` is read: rows and columns of the matrices it becomes.
#[derive(Clone, Copy, Debug)]
struct Reading {
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
    turned: bool,
}

impl Reading {
    fn new(input: usize, output: usize, turned: bool) -> Self {
        let (outer, inner) = (input * 9, 9);
        if turned {
            Self {
                rows: output,
                columns: input,
                row_stride: outer,
                column_stride: inner,
                turned,
            }
        } else {
            Self {
                rows: input,
                columns: output,
                row_stride: inner,
                column_stride: outer,
                turned,
            }
        }
    }

    fn stack(self) -> Stack {
        Stack {
            matrices: POINTS,
            rows: self.rows,
            columns: self.columns,
        }
    }
}

/// A kernel after its transform: 36 matrices `[in][out]`.
pub(super) struct Kernel {
    values: Vec<f32>,
    stack: Stack,
}

impl Kernel {
    /// Transforms `[output][input][3][3]`; `turned` makes the kernel that takes output gradients to
    /// input gradients: turned by 180 degrees, channels swapped.
    pub(super) fn new(weight: &[f32], input: usize, output: usize, turned: bool) -> Self {
        let reading = Reading::new(input, output, turned);
        let stack = reading.stack();
        let mut values = vec![0.0; stack.len()];
        values
            .par_chunks_mut(stack.panel_len())
            .enumerate()
            .for_each(|(panel, out)| {
                dispatch(FilterPanel {
                    weight,
                    reading,
                    panel,
                    out,
                });
            });
        Self { values, stack }
    }
}

/// Transforms one panel of a kernel.
struct FilterPanel<'a> {
    weight: &'a [f32],
    reading: Reading,
    panel: usize,
    out: &'a mut [f32],
}

impl WithSimd for FilterPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self {
            weight,
            reading: r,
            panel,
            out,
        } = self;
        let stack = r.stack();
        let first = panel * stack.panel_len() / (POINTS * r.rows);
        let base = stack.offset(0, 0, first);
        for start in (first..r.columns.min(first + stack.width(first))).step_by(NARROW) {
            let count = NARROW.min(r.columns - start);
            for row in 0..r.rows {
                let mut taps = [[0.0_f32; NARROW]; 9];
                for lane in 0..count {
                    let at = row * r.row_stride + (start + lane) * r.column_stride;
                    let kernel: &[f32; 9] = weight[at..at + 9].try_into().expect("nine values");
                    for (tap, lanes) in taps.iter_mut().enumerate() {
                        lanes[lane] = kernel[if r.turned { 8 - tap } else { tap }];
                    }
                }
                for lane in (0..NARROW).step_by(lanes::<S>()) {
                    let mut kernel = [[splat::<S>(0.0); 3]; 3];
                    for y in 0..3 {
                        for x in 0..3 {
                            kernel[y][x] = load::<S>(&taps[y * 3 + x][lane..]);
                        }
                    }
                    let points = both::<Filter, S, 3, 6>(&kernel);
                    for a in 0..WINDOW {
                        for b in 0..WINDOW {
                            let at = stack.offset(a * WINDOW + b, row, start) - base + lane;
                            store::<S>(&mut out[at..], points[a][b]);
                        }
                    }
                }
            }
        }
    }
}

/// The tiling of a batch of maps.
#[derive(Clone, Copy, Debug)]
struct Tiling {
    maps: Maps,
    across: usize,
    down: usize,
}

impl Tiling {
    fn new(maps: Maps) -> Self {
        Self {
            maps,
            across: maps.width.div_ceil(TILE),
            down: maps.height.div_ceil(TILE),
        }
    }

    /// Rows of tiles in the batch, image after image.
    fn rows(self) -> usize {
        self.maps.images * self.down
    }

    fn tiles(self) -> usize {
        self.rows() * self.across
    }

    /// First row of pixels, counted over the batch, of tile row `row`.
    fn pixel_row(self, row: usize) -> usize {
        row / self.down * self.maps.height + row % self.down * TILE
    }

    /// Image, first row and first column of a tile.
    fn place(self, tile: usize) -> (usize, usize, usize) {
        let row = tile / self.across;
        (
            row / self.down,
            row % self.down * TILE,
            tile % self.across * TILE,
        )
    }
}

/// `y`, channels-last and as large as `x`, from `x` and a kernel.
pub(super) fn convolve(x: &[f32], maps: Maps, kernel: &Kernel) -> Vec<f32> {
    let Stack {
        rows: from,
        columns: out,
        ..
    } = kernel.stack;
    let tiling = Tiling::new(maps);
    let side_by_side = from * out <= SMALL_KERNEL;
    let most = if side_by_side {
        GROUP
    } else {
        BLOCK_VALUES / (POINTS * (from + out))
    };
    let rows = (most / tiling.across).clamp(1, tiling.rows());
    let mut y = vec![0.0; maps.pixels() * out];
    let mut rest = &mut y[..];
    let mut blocks = Vec::new();
    for first in (0..tiling.rows()).step_by(rows) {
        let end = tiling.rows().min(first + rows);
        let size = (tiling.pixel_row(end) - tiling.pixel_row(first)) * maps.width * out;
        let (block, later) = rest.split_at_mut(size);
        rest = later;
        blocks.push((first..end, block));
    }
    let run = |(rows, y): (std::ops::Range<usize>, &mut [f32])| {
        let first = rows.start * tiling.across;
        let tiles = rows.len() * tiling.across;
        let mut v = scratch(tiles * POINTS * from);
        each_chunk(&mut v, GROUP * POINTS * from, !side_by_side, |group, v| {
            let first = first + group * GROUP;
            dispatch(Windows {
                x,
                tiling,
                channels: from,
                first,
                out: v,
            });
        });
        let mut m = scratch(POINTS * tiles * out);
        each_chunk(&mut m, tiles * out, !side_by_side, |point, m| {
            let groups = v
                .chunks(GROUP * POINTS * from)
                .zip(m.chunks_mut(GROUP * out));
            for (v, m) in groups {
                let count = m.len() / out;
                let left = Left::Rows(&v[point * count * from..][..count * from]);
                let right = (&kernel.values[..], kernel.stack, point);
                multiply(Product {
                    left,
                    right,
                    out: m,
                    rows: count,
                    add: false,
                });
            }
        });
        let mut rest = y;
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows.clone() {
            let size = (tiling.pixel_row(row + 1) - tiling.pixel_row(row)) * maps.width * out;
            let (line, later) = rest.split_at_mut(size);
            rest = later;
            lines.push(((row - rows.start) * tiling.across, line));
        }
        let finish = |(first, y): (usize, &mut [f32])| {
            dispatch(Outputs {
                m: &m,
                tiles,
                first,
                tiling,
                channels: out,
                y,
            });
        };
        if side_by_side {
            lines.into_iter().for_each(finish);
        } else {
            lines.into_par_iter().for_each(finish);
        }
    };
    if side_by_side {
        blocks.into_par_iter().for_each(run);
    } else {
        blocks.into_iter().for_each(run);
    }
    y
}

/// Gradient `[output][input][3][3]` of the kernel from the input `x` and the output's gradient `g`.
pub(super) fn kernel_gradient(
    x: &[f32],
    g: &[f32],
    maps: Maps,
    from: usize,
    out: usize,
) -> Vec<f32> {
    let tiling = Tiling::new(maps);
    let tiles = tiling.tiles();
    let side_by_side = from * out <= SMALL_KERNEL;
    let most = if side_by_side {
        GROUP
    } else {
        (BLOCK_VALUES / (POINTS * (from + out))).next_multiple_of(GROUP)
    };
    let piece = if side_by_side {
        tiles.div_ceil(PIECES).next_multiple_of(GROUP)
    } else {
        tiles
    };
    let matrix = from * out;
    let sum = |first: usize| {
        let mut sums = vec![0.0; POINTS * matrix];
        let last = tiles.min(first + piece);
        for block in (first..last).step_by(most) {
            let count = most.min(last - block);
            let mut v = scratch(count * POINTS * from);
            each_chunk(&mut v, GROUP * POINTS * from, !side_by_side, |group, v| {
                let first = block + group * GROUP;
                dispatch(Windows {
                    x,
                    tiling,
                    channels: from,
                    first,
                    out: v,
                });
            });
            let group_stack = |rows| Stack {
                matrices: POINTS,
                rows,
                columns: out,
            };
            let mut d = scratch(group_stack(count).len());
            each_chunk(
                &mut d,
                group_stack(GROUP).len(),
                !side_by_side,
                |group, d| {
                    let rows = GROUP.min(count - group * GROUP);
                    let (first, stack) = (block + group * GROUP, group_stack(rows));
                    dispatch(Gradients {
                        g,
                        tiling,
                        stack,
                        first,
                        out: d,
                    });
                },
            );
            each_chunk(&mut sums, matrix, !side_by_side, |point, sums| {
                let groups = v
                    .chunks(GROUP * POINTS * from)
                    .zip(d.chunks(group_stack(GROUP).len()));
                for (v, d) in groups {
                    let rows = v.len() / (POINTS * from);
                    let left = Left::Columns(&v[point * rows * from..][..rows * from]);
                    let right = (d, group_stack(rows), point);
                    multiply(Product {
                        left,
                        right,
                        out: sums,
                        rows: from,
                        add: true,
                    });
                }
            });
        }
        sums
    };
    let starts: Vec<usize> = (0..tiles).step_by(piece).collect();
    let sums: Vec<Vec<f32>> = if side_by_side {
        starts.into_par_iter().map(sum).collect()
    } else {
        starts.into_iter().map(sum).collect()
    };
    let mut gradient = vec![0.0; out * from * 9];
    gradient
        .par_chunks_mut(NARROW * from * 9)
        .enumerate()
        .for_each(|(run, weights)| {
            let first = run * NARROW;
            dispatch(FilterGradients {
                sums: &sums,
                from,
                out,
                first,
                weights,
            });
        });
    gradient
}

/// Input windows of consecutive tiles, transformed: `[36][tile][channel]`.
struct Windows<'a> {
    x: &'a [f32],
    tiling: Tiling,
    channels: usize,
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for Windows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self {
            x,
            tiling,
            channels,
            first,
            out,
        } = self;
        let Maps { height, width, .. } = tiling.maps;
        let tiles = out.len() / (POINTS * channels);
        for index in 0..tiles {
            let (image, top, left) = tiling.place(first + index);
            let x = &x[image * height * width * channels..][..height * width * channels];
            for channel in (0..channels).step_by(lanes::<S>()) {
                let end = channels.min(channel + lanes::<S>());
                let mut window = [[splat::<S>(0.0); WINDOW]; WINDOW];
                for dy in 0..WINDOW {
                    for dx in 0..WINDOW {
                        let (y, at) = ((top + dy).wrapping_sub(1), (left + dx).wrapping_sub(1));
                        if y < height && at < width {
                            let pixel = (y * width + at) * channels;
                            window[dy][dx] = load::<S>(&x[pixel + channel..pixel + end]);
                        }
                    }
                }
                let points = both::<Input, S, 6, 6>(&window);
                for a in 0..WINDOW {
                    for b in 0..WINDOW {
                        let at = ((a * WINDOW + b) * tiles + index) * channels;
                        store::<S>(&mut out[at + channel..at + end], points[a][b]);
                    }
                }
            }
        }
    }
}

/// Output gradients of consecutive tiles, transformed, as panels: `[36][tile][channel]`.
struct Gradients<'a> {
    g: &'a [f32],
    tiling: Tiling,
    stack: Stack,
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self {
            g,
            tiling,
            stack,
            first,
            out,
        } = self;
        let channels = stack.columns;
        let Maps { height, width, .. } = tiling.maps;
        for index in 0..stack.rows {
            let (image, top, left) = tiling.place(first + index);
            let g = &g[image * height * width * channels..][..height * width * channels];
            for channel in (0..channels).step_by(lanes::<S>()) {
                let end = channels.min(channel + lanes::<S>());
                let mut tile = [[splat::<S>(0.0); TILE]; TILE];
                for dy in 0..TILE {
                    for dx in 0..TILE {
                        let (y, at) = (top + dy, left + dx);
                        if y < height && at < width {
                            let pixel = (y * width + at) * channels;
                            tile[dy][dx] = load::<S>(&g[pixel + channel..pixel + end]);
                        }
                    }
                }
                let points = both::<OutputAdjoint, S, 4, 6>(&tile);
                let run = channel / NARROW * NARROW;
                for a in 0..WINDOW {
                    for b in 0..WINDOW {
                        let at = stack.offset(a * WINDOW + b, index, run) + channel - run;
                        store::<S>(&mut out[at..], points[a][b]);
                    }
                }
            }
        }
    }
}

/// One row of tiles, transformed back to pixels.
struct Outputs<'a> {
    m: &'a [f32],
    tiles: usize,
    first: usize,
    tiling: Tiling,
    channels: usize,
    y: &'a mut [f32],
}

impl WithSimd for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self {
            m,
            tiles,
            first,
            tiling,
            channels,
            y,
        } = self;
        let width = tiling.maps.width;
        let rows = y.len() / (width * channels);
        for tile in 0..tiling.across {
            let columns = TILE.min(width - tile * TILE);
            for channel in (0..channels).step_by(lanes::<S>()) {
                let end = channels.min(channel + lanes::<S>());
                let mut points = [[splat::<S>(0.0); WINDOW]; WINDOW];
                for a in 0..WINDOW {
                    for b in 0..WINDOW {
                        let at = ((a * WINDOW + b) * tiles + first + tile) * channels;
                        points[a][b] = load::<S>(&m[at + channel..at + end]);
                    }
                }
                let pixels = both::<Output, S, 6, 4>(&points);
                for dy in 0..TILE {
                    for dx in 0..TILE {
                        if dy < rows && dx < columns {
                            let at = (dy * width + tile * TILE + dx) * channels;
                            store::<S>(&mut y[at + channel..at + end], pixels[dy][dx]);
                        }
                    }
                }
            }
        }
    }
}

/// Kernel gradients of up to [`NARROW`] output channels from the summed products.
struct FilterGradients<'a> {
    sums: &'a [Vec<f32>],
    from: usize,
    out: usize,
    first: usize,
    weights: &'a mut [f32],
}

impl WithSimd for FilterGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self {
            sums,
            from,
            out,
            first,
            weights,
        } = self;
        let last = out.min(first + NARROW);
        for input in 0..from {
            for channel in (first..last).step_by(lanes::<S>()) {
                let end = last.min(channel + lanes::<S>());
                let mut points = [[splat::<S>(0.0); WINDOW]; WINDOW];
                for a in 0..WINDOW {
                    for b in 0..WINDOW {
                        let at = ((a * WINDOW + b) * from + input) * out;
                        for part in sums {
                            let value = load::<S>(&part[at + channel..at + end]);
                            points[a][b] += value;
                        }
                    }
                }
                let taps = both::<FilterAdjoint, S, 6, 3>(&points);
                let taps: &[f32] = bytemuck::cast_slice(taps.as_flattened());
                for lane in 0..end - channel {
                    let at = ((channel - first + lane) * from + input) * 9;
                    for tap in 0..9 {
                        weights[at + tap] = taps[tap * lanes::<S>() + lane];
                    }
                }
            }
        }
    }
}
