//! Images resized while they are normalised, without a buffer for the normalised image.
//!
//! Work goes by blocks of columns that fit the stack, and within a block by steps that the compiler can vectorise:
//! collect the pixels, normalise them all, combine them all.

use super::{
    BLOCK, Frame, Interpolation, Window,
    axis::{Span, Tap},
    line_of,
};

/// HU of air, which fills the border of an image that is padded to a square.
const AIR_HU: i16 = -1000;

/// A slice in HU and the frame it is seen through: pixels outside the slice are air.
pub(super) struct Slice<'a> {
    pub(super) hu: &'a [i16],
    pub(super) cols: usize,
    pub(super) frame: Frame,
    pub(super) window: Window,
}

impl Slice<'_> {
    /// Fills `out`, `rows x cols`.
    pub(super) fn resize(
        &self,
        interpolation: Interpolation,
        out: &mut [f32],
        rows: usize,
        cols: usize,
    ) {
        match interpolation {
            Interpolation::Linear => self.linear(out, rows, cols, Tap::centred),
            Interpolation::Area if self.frame.rows >= rows && self.frame.cols >= cols => {
                self.area(out, rows, cols);
            }
            Interpolation::Area => self.linear(out, rows, cols, Tap::cornered),
        }
    }

    /// The normalised pixels of one row at the given columns.
    #[inline]
    fn read(&self, row: usize, columns: &[usize; BLOCK]) -> [f32; BLOCK] {
        let line = line_of(self.hu, row.wrapping_sub(self.frame.top), self.cols);
        // Left of the slice the subtraction wraps to a huge index, so one bounds check covers both paddings.
        let hu = columns.map(|col| {
            line.get(col.wrapping_sub(self.frame.left))
                .copied()
                .unwrap_or(AIR_HU)
        });
        hu.map(|hu| self.window.normalise(hu))
    }

    /// Two taps an axis, horizontally first.
    fn linear(
        &self,
        out: &mut [f32],
        rows: usize,
        cols: usize,
        tap: fn(usize, usize, usize) -> Tap,
    ) {
        for left in (0..cols).step_by(BLOCK) {
            // Past the last column the taps are clamped like any others, and their results are not used.
            let taps: [Tap; BLOCK] = core::array::from_fn(|i| tap(left + i, self.frame.cols, cols));
            let (firsts, seconds) = (taps.map(|tap| tap.first), taps.map(|tap| tap.second));
            let along = |row| {
                let (first, second) = (self.read(row, &firsts), self.read(row, &seconds));
                let mut mixed = [0.0; BLOCK];
                for (i, pixel) in mixed.iter_mut().enumerate() {
                    *pixel = taps[i].mix(first[i], second[i]);
                }
                mixed
            };
            for (row, line) in out.chunks_exact_mut(cols).enumerate() {
                let vertical = tap(row, self.frame.rows, rows);
                let (above, below) = (along(vertical.first), along(vertical.second));
                for (i, pixel) in line[left..].iter_mut().take(BLOCK).enumerate() {
                    *pixel = vertical.mix(above[i], below[i]);
                }
            }
        }
    }

    /// Weighted mean over the covered area: along each source row first, then over the rows.
    fn area(&self, out: &mut [f32], rows: usize, cols: usize) {
        for left in (0..cols).step_by(BLOCK) {
            let width = BLOCK.min(cols - left);
            let spans: [Span; BLOCK] = core::array::from_fn(|i| {
                Span::covered(left + i.min(width - 1), self.frame.cols, cols)
            });

            let (starts, lengths) = (
                spans.map(|span| span.start),
                spans.map(|span| span.len as u32),
            );
            let longest = lengths.iter().copied().max().unwrap_or(0);
            let (heads, bodies, tails) = (
                spans.map(|span| span.head),
                spans.map(|span| span.body),
                spans.map(|span| span.tail),
            );
            for (row, line) in out.chunks_exact_mut(cols).enumerate() {
                let line = &mut line[left..][..width];
                line.fill(0.0);
                for (source_row, row_weight) in Span::covered(row, self.frame.rows, rows).weights()
                {
                    // Every span's pixel at the same offset together; one that has ended adds nothing.
                    let mut along = [0.0; BLOCK];
                    for offset in 0..longest {
                        let values =
                            self.read(source_row, &starts.map(|start| start + offset as usize));
                        for (i, sum) in along.iter_mut().enumerate() {
                            let inner = if offset + 1 == lengths[i] {
                                tails[i]
                            } else {
                                bodies[i]
                            };
                            let weight = if offset == 0 { heads[i] } else { inner };
                            let weight = if offset < lengths[i] { weight } else { 0.0 };
                            *sum += weight * values[i];
                        }
                    }
                    for (pixel, sum) in line.iter_mut().zip(along) {
                        *pixel += row_weight * sum;
                    }
                }
            }
        }
    }
}
