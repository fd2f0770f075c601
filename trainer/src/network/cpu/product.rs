//! Matrix products of tall, row-major matrices with panels: the inner loop of every convolution.
//!
//! The right factor lies in *panels*: blocks of 32 (the last 16, if that is enough) columns, padded
//! with zeros, each block stored row after row. That is what a register tile reads, so nothing is
//! packed inside a product. Widths don't depend on the machine; how many registers a panel's row
//! fills does, and is chosen at run time; see [`super::registers`].

use super::registers::{F32s, Simd, WithSimd, dispatch, lanes, load, mul_add, splat};

/// Columns of a full panel.
const WIDE: usize = 32;
/// Columns of the last panel where that is enough; channels are handled in runs of this many.
pub(super) const NARROW: usize = 16;

/// `columns` rounded up to whole panels: the length of a panelled row.
pub(super) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(NARROW)
}

/// Shape of a stack of equally large panelled matrices. Panels are outermost, so that those who fill
/// a stack can share it out by panels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack {
    pub(super) matrices: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Stack {
    /// Values in the whole stack.
    pub(super) fn len(self) -> usize {
        self.matrices * self.rows * padded(self.columns)
    }

    /// Values in one full panel of all matrices.
    pub(super) fn panel_len(self) -> usize {
        self.matrices * self.rows * WIDE
    }

    /// Columns of the panel that holds `column`.
    pub(super) fn width(self, column: usize) -> usize {
        WIDE.min(padded(self.columns) - column / WIDE * WIDE)
    }

    /// Where row `row` of matrix `matrix` has column `column`; the columns up to the next multiple of
    /// [`NARROW`] follow it.
    pub(super) fn offset(self, matrix: usize, row: usize, column: usize) -> usize {
        let width = self.width(column);
        column / WIDE * self.panel_len() + (matrix * self.rows + row) * width + column % WIDE
    }
}

/// The left factor of a product.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    /// `[m][k]`, row after row.
    Rows(&'a [f32]),
    /// The transpose of `[k][m]`, row after row.
    Columns(&'a [f32]),
}

/// `out[m][n] = left[m][k] x right[k][n]`, or added to what `out` holds.
pub(super) struct Product<'a> {
    pub(super) left: Left<'a>,
    /// A stack, its shape, and which of its matrices to take.
    pub(super) right: (&'a [f32], Stack, usize),
    /// `[m][n]`, row after row.
    pub(super) out: &'a mut [f32],
    /// Rows of `left` and `out`.
    pub(super) rows: usize,
    pub(super) add: bool,
}

/// Runs a product with the widest registers there are.
pub(super) fn multiply(product: Product<'_>) {
    dispatch(product);
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self) {
        let (right, stack, matrix) = self.right;
        for column in (0..stack.columns).step_by(WIDE) {
            let width = stack.width(column);
            let panel = &right[stack.offset(matrix, 0, column)..][..width * stack.rows];
            match (width == WIDE, lanes::<S>()) {
                (false, 16) => self.panel::<S, 12, 1>(column, panel),
                (true, 16) | (false, 8) => self.panel::<S, 6, 2>(column, panel),
                (true, 8) => self.panel::<S, 3, 4>(column, panel),
                (false, 4) => self.panel::<S, 6, 4>(column, panel),
                (true, 4) => self.panel::<S, 3, 8>(column, panel),
                (false, 2) => self.panel::<S, 1, 8>(column, panel),
                (true, 2) | (false, 1) => self.panel::<S, 1, 16>(column, panel),
                (true, 1) => self.panel::<S, 1, 32>(column, panel),
                (_, lanes) => unreachable!("registers of {lanes} values are not among macerator's"),
            }
        }
    }
}

impl Product<'_> {
    /// All rows of one panel's columns, `M` at a time, `V` registers wide.
    #[inline(always)]
    fn panel<S: Simd, const M: usize, const V: usize>(&mut self, column: usize, panel: &[f32]) {
        let m = self.rows;
        let whole = m / M * M;
        for row in (0..whole).step_by(M) {
            self.tile::<S, M, V>(row, column, panel);
        }
        let mut row = whole;
        while M > 3 && m - row >= 3 {
            self.tile::<S, 3, V>(row, column, panel);
            row += 3;
        }
        while row < m {
            self.tile::<S, 1, V>(row, column, panel);
            row += 1;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(
        &mut self,
        row: usize,
        column: usize,
        panel: &[f32],
    ) {
        let (m, k, n) = (self.rows, self.right.1.rows, self.right.1.columns);
        let mut sums = [[splat::<S>(0.0); V]; M];
        let steps = panel.chunks_exact(V * lanes::<S>()).take(k);
        match self.left {
            Left::Rows(left) => {
                let mut rows = [&left[..0]; M];
                for i in 0..M {
                    rows[i] = &left[(row + i) * k..][..k];
                }
                for (step, right) in steps.enumerate() {
                    let mut left = [0.0; M];
                    for i in 0..M {
                        left[i] = rows[i][step];
                    }
                    accumulate::<S, M, V>(&mut sums, left, right);
                }
            }
            Left::Columns(left) => {
                for (values, right) in left[row..].chunks(m).zip(steps) {
                    let mut left = [0.0; M];
                    left.copy_from_slice(&values[..M]);
                    accumulate::<S, M, V>(&mut sums, left, right);
                }
            }
        }
        let width = (n - column).min(V * lanes::<S>());
        for (i, sums) in sums.iter().enumerate() {
            let out = &mut self.out[(row + i) * n + column..][..width];
            let sums: &[f32] = bytemuck::cast_slice(sums);
            if self.add {
                for (o, s) in out.iter_mut().zip(sums) {
                    *o += s;
                }
            } else {
                out.copy_from_slice(&sums[..width]);
            }
        }
    }
}

/// `sums[i] += left[i] * right`.
#[inline(always)]
fn accumulate<S: Simd, const M: usize, const V: usize>(
    sums: &mut [[F32s<S>; V]; M],
    left: [f32; M],
    right: &[f32],
) {
    let mut columns = [splat::<S>(0.0); V];
    for v in 0..V {
        columns[v] = load::<S>(&right[v * lanes::<S>()..]);
    }
    for i in 0..M {
        let factor = splat::<S>(left[i]);
        for v in 0..V {
            sums[i][v] = mul_add(factor, columns[v], sums[i][v]);
        }
    }
}
