//! Which algorithm convolves.

use super::graph::{Sum, Term};
use super::lower::Lowering;
use crate::cpu::kernels::f32::{Layout, Window, Winograd, panels, tiles};

pub(super) use crate::cpu::kernels::f32::Tiling;

/// How a sum of convolutions is computed.
pub(super) struct Method {
    /// Terms with fewer multiplications.
    pub(super) winograd: Vec<usize>,
    /// The others.
    pub(super) direct: Vec<usize>,
    /// How the former go through their tiles.
    pub(super) tiling: Tiling,
    /// Numbers of scratch memory.
    pub(super) scratch: usize,
    /// Bytes of packed weights, and of what is needed to pack them.
    pub(super) constants: u64,
}

/// Tiles below which Winograd's products have too few rows for what their weights cost to read: 36 numbers instead of 9.
const FEWEST_TILES: usize = 9;
/// Transformed numbers that a core's own cache holds beside weights.
const CACHED: usize = 96 << 10;
/// Weights that are cheaper to read for every block of tiles than the transforms of all tiles are to keep, in numbers.
const FEW_WEIGHTS: usize = 1 << 20;
/// Tiles for which that holds, at least.
const MANY_TILES: usize = 48;

/// Chooses for a sum.
pub(super) fn method(lowering: &Lowering<'_>, sum: &Sum) -> Method {
    let shape = sum.result().map(|value| lowering.shape(value));
    let [down, across] = shape.map_or([0; 2], |shape| tiles(shape.size));
    let count = down * across;
    let is_fit = |term: &Term| {
        let three = lowering.kernel(term) == 3 && term.stride == 1 && term.padding == 1;
        three && !sum.phases && count >= FEWEST_TILES
    };
    let (winograd, direct): (Vec<usize>, Vec<usize>) =
        (0..sum.terms.len()).partition(|&n| is_fit(&sum.terms[n]));
    let windows: Vec<Window> = winograd
        .iter()
        .map(|&n| window(lowering, &sum.terms[n], 0))
        .collect();
    let channels = shape.map_or(0, |shape| shape.channels);
    let tiling = tiling(&windows, channels, count, lowering.options.threads);
    let groups = if tiling.together {
        1
    } else {
        lowering.options.threads
    };
    let transformed = if windows.is_empty() {
        0
    } else {
        groups * Winograd::scratch(&windows, channels, tiling.block)
    };
    let frames: usize = direct.iter().map(|&n| lowering.frame(&sum.terms[n])).sum();
    let columns = panels(lowering.options.kernels).row(channels);
    let points: usize = windows.iter().map(|w| w.points() * w.channels).sum();
    let taps = |&n: &usize| {
        let term = &sum.terms[n];
        lowering.shape(term.input).channels * lowering.kernel(term).pow(2)
    };
    let rows: usize = direct.iter().map(taps).sum();
    let phases = if sum.phases { 4 } else { 1 };
    let packed = 4 * columns * (points + phases * rows);
    // While they are packed: the numbers as they were, and which row of which kernel each is.
    let before =
        4 * channels * phases * (rows + windows.iter().map(|w| 9 * w.channels).sum::<usize>());
    let places = 24 * rows;
    Method {
        constants: (packed + before + places + 64 * columns) as u64,
        winograd,
        direct,
        tiling,
        scratch: transformed.max(frames),
    }
}

/// The image that a term reads, at `start`.
pub(super) fn window(lowering: &Lowering<'_>, term: &Term, start: usize) -> Window {
    let shape = lowering.shape(term.input);
    Window {
        layout: Layout::dense(start, shape.size[1], shape.channels),
        size: shape.size,
        channels: shape.channels,
        doubled: term.doubled,
    }
}

fn tiling(windows: &[Window], channels: usize, count: usize, threads: usize) -> Tiling {
    let inputs: usize = windows.iter().map(|window| window.channels).sum();
    let weights = 36 * inputs * channels;
    if weights > FEW_WEIGHTS || count < MANY_TILES {
        return Tiling {
            block: count.max(1),
            together: true,
        };
    }
    // As many blocks for each thread.
    let most = (CACHED / (36 * (inputs + channels)).max(1)).max(12);
    let blocks = count.div_ceil(most).next_multiple_of(threads.max(1));
    Tiling {
        block: count.div_ceil(blocks),
        together: false,
    }
}
