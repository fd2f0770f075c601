//! The order in which a sum's weights are used, and how its work is divided so that they stay in the cache.

use super::{BLOCK, Layout, Packed, RUNS, Term, Window};

/// Where a term's weights lie.
pub(super) struct Packing {
    pub(super) input: Layout,
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) doubled: bool,
    /// Rows of the window and bytes in each.
    pub(super) rows: usize,
    pub(super) length: usize,
    /// First of its weights.
    pub(super) first: usize,
    /// Factors for the sum of the terms before it.
    pub(super) rescale: Option<Packed<f32>>,
    /// What sums of centred bytes begin with.
    pub(super) start: Packed<i32>,
}

/// A part of one term's window.
pub(super) struct Pass {
    pub(super) term: usize,
    pub(super) row: usize,
    pub(super) rows: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) begins: bool,
}

/// Weights of a term in the order of use: by phase, block, row of the window, four bytes, output channel, byte.
pub(super) fn pack(term: &Term, [channels, padded]: [usize; 2], length: usize, to: &mut Vec<i8>) {
    let (kernel, depth) = (term.kernel, term.input.channels);
    let taps = kernel * kernel;
    for phase in 0..if term.doubled { 4 } else { 1 } {
        for first in (0..padded).step_by(BLOCK) {
            let width = BLOCK.min(padded - first);
            for row in 0..kernel {
                for byte in (0..length).step_by(4) {
                    for o in first..first + width {
                        to.extend((byte..byte + 4).map(|byte| {
                            let (col, c) = (byte / term.input.step, byte % term.input.step);
                            if o < channels && col < kernel && c < depth {
                                let at = (phase * channels + o) * depth + c;
                                term.weights[at * taps + row * kernel + col]
                            } else {
                                0
                            }
                        }));
                    }
                }
            }
        }
    }
}

/// Divides the windows of all terms into visits of at most `panel` bytes of weights.
pub(super) fn visits(windows: &[Window], width: usize, panel: usize) -> Vec<Vec<Pass>> {
    let mut visits = vec![Vec::new()];
    let mut used = 0;
    for (number, window) in windows.iter().enumerate() {
        let length = window.run();
        let mut begins = true;
        let mut add = |row, rows, from, to| {
            let bytes = rows * (to - from) * width;
            let visit = visits.last_mut().expect("there is always one");
            let pass = Pass {
                term: number,
                row,
                rows,
                from,
                to,
                begins,
            };
            begins = false;
            if !visit.is_empty() && (used + bytes > panel || visit.len() == RUNS) {
                used = bytes;
                visits.push(vec![pass]);
            } else {
                used += bytes;
                visit.push(pass);
            }
        };
        let row_bytes = length * width;
        if row_bytes > panel {
            let part = (panel / width) & !3;
            for row in 0..window.kernel {
                for from in (0..length).step_by(part) {
                    add(row, 1, from, (from + part).min(length));
                }
            }
        } else {
            let rows = panel / row_bytes;
            for row in (0..window.kernel).step_by(rows) {
                add(row, rows.min(window.kernel - row), 0, length);
            }
        }
    }
    visits
}
