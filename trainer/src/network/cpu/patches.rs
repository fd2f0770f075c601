//! Square convolutions of any kernel, stride and padding as products of unfolded input.
//!
//! Images are channels-last, so that one row of a patch is one run of memory. Work is cut by shapes
//! alone, and every sum has one order.

use std::ops::{Deref, Range};

use rayon::prelude::*;

use super::Maps;
use super::product::{Left, NARROW, Product, Stack, multiply};
use super::scratch::{Scratch, scratch};

/// Unfolded values held at once by a task: 1 MiB.
const BLOCK_VALUES: usize = 1 << 18;
/// Values of partial kernel gradients held at once.
const PARTIAL_VALUES: usize = 1 << 22;
/// Most pieces in which a kernel gradient is summed side by side.
const PIECES: usize = 16;

/// A convolution's geometry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

/// A convolution of given maps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unfolding {
    window: Window,
    input: Maps,
    output: Maps,
    from: usize,
    out: usize,
}

impl Unfolding {
    pub(super) fn new(window: Window, input: Maps, output: Maps, from: usize, out: usize) -> Self {
        Self {
            window,
            input,
            output,
            from,
            out,
        }
    }

    /// Values per patch.
    fn depth(self) -> usize {
        self.window.kernel * self.window.kernel * self.from
    }

    /// Whether a patch is a pixel, so that nothing need be unfolded.
    fn is_pointwise(self) -> bool {
        let Window {
            kernel,
            stride,
            padding,
        } = self.window;
        (kernel, stride, padding) == (1, 1, 0)
    }

    /// Rows of output in the batch.
    fn rows(self) -> usize {
        self.output.images * self.output.height
    }

    /// Rows of output whose patches make one block.
    fn block(self) -> usize {
        (BLOCK_VALUES / (self.depth() * self.output.width)).clamp(1, self.rows())
    }

    /// Copies between the patch of an output pixel and the input: range in the patch, start in its image.
    fn runs(self, y: usize, x: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
        let Self {
            window,
            input,
            from,
            ..
        } = self;
        let Window {
            kernel,
            stride,
            padding,
        } = window;
        let left = padding.saturating_sub(x * stride).min(kernel);
        let right = (input.width + padding)
            .saturating_sub(x * stride)
            .min(kernel)
            .max(left);
        (0..kernel).filter_map(move |ky| {
            let row = (y * stride + ky)
                .checked_sub(padding)
                .filter(|&v| v < input.height)?;
            let column = x * stride + left;
            let start = (row * input.width + column.saturating_sub(padding)) * from;
            let at = ky * kernel * from;
            Some((at + left * from..at + right * from, start))
        })
    }

    /// Patches of output rows `rows`, `[pixel][depth]`.
    fn unfold(self, x: &[f32], rows: Range<usize>) -> Patches<'_> {
        let (width, depth) = (self.output.width, self.depth());
        if self.is_pointwise() {
            return Patches::Pixels(&x[rows.start * width * depth..rows.end * width * depth]);
        }
        let image_size = self.input.height * self.input.width * self.from;
        let mut patches = scratch(rows.len() * width * depth);
        if self.window.padding > 0 {
            patches.fill(0.0);
        }
        for (row, patches) in rows.zip(patches.chunks_exact_mut(width * depth)) {
            let image = &x[row / self.output.height * image_size..][..image_size];
            for (column, patch) in patches.chunks_exact_mut(depth).enumerate() {
                for (range, start) in self.runs(row % self.output.height, column) {
                    let size = range.len();
                    patch[range].copy_from_slice(&image[start..start + size]);
                }
            }
        }
        Patches::Unfolded(patches)
    }

    /// The kernel `[out][in][k][k]` as one panelled matrix `[patch][out]`, or its transpose.
    fn matrix(self, weight: &[f32], transposed: bool) -> (Vec<f32>, Stack) {
        let (depth, area) = (self.depth(), self.window.kernel * self.window.kernel);
        let (rows, columns) = if transposed {
            (self.out, depth)
        } else {
            (depth, self.out)
        };
        let stack = Stack {
            matrices: 1,
            rows,
            columns,
        };
        let mut values = vec![0.0; stack.len()];
        for (output, weight) in weight.chunks_exact(depth).enumerate() {
            for (input, taps) in weight.chunks_exact(area).enumerate() {
                for (tap, value) in taps.iter().enumerate() {
                    let entry = tap * self.from + input;
                    let (row, column) = if transposed {
                        (output, entry)
                    } else {
                        (entry, output)
                    };
                    values[stack.offset(0, row, column)] = *value;
                }
            }
        }
        (values, stack)
    }

    /// The output, channels-last.
    pub(super) fn convolve(self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let (values, stack) = self.matrix(weight, false);
        let (block, line) = (self.block(), self.output.width * self.out);
        let mut y = vec![0.0; self.rows() * line];
        y.par_chunks_mut(block * line)
            .enumerate()
            .for_each(|(index, out)| {
                let first = index * block;
                let rows = first..first + out.len() / line;
                let pixels = rows.len() * self.output.width;
                let patches = self.unfold(x, rows);
                let (left, right) = (Left::Rows(&patches), (&values[..], stack, 0));
                multiply(Product {
                    left,
                    right,
                    out,
                    rows: pixels,
                    add: false,
                });
            });
        y
    }

    /// Gradient of the input from the output's gradient `g`, channels-last.
    pub(super) fn input_gradient(self, g: &[f32], weight: &[f32]) -> Vec<f32> {
        let (values, stack) = self.matrix(weight, true);
        let right = (&values[..], stack, 0);
        let (block, line, depth) = (self.block(), self.output.width * self.out, self.depth());
        let image_size = self.input.height * self.input.width * self.from;
        let mut gradient = vec![0.0; self.input.images * image_size];
        if self.is_pointwise() {
            let size = block * self.output.width;
            gradient
                .par_chunks_mut(size * depth)
                .enumerate()
                .for_each(|(index, out)| {
                    let pixels = out.len() / depth;
                    let left = Left::Rows(&g[index * block * line..][..pixels * self.out]);
                    multiply(Product {
                        left,
                        right,
                        out,
                        rows: pixels,
                        add: false,
                    });
                });
            return gradient;
        }
        gradient
            .par_chunks_mut(image_size)
            .enumerate()
            .for_each(|(image, gradient)| {
                let mut patches =
                    scratch(block.min(self.output.height) * self.output.width * depth);
                let height = self.output.height;
                for first in (0..height).step_by(block) {
                    let rows = first..height.min(first + block);
                    let pixels = rows.len() * self.output.width;
                    let left = &g[(image * height + first) * line..][..rows.len() * line];
                    let left = Left::Rows(left);
                    let out = &mut patches[..pixels * depth];
                    multiply(Product {
                        left,
                        right,
                        out,
                        rows: pixels,
                        add: false,
                    });
                    for (pixel, patch) in patches[..pixels * depth].chunks_exact(depth).enumerate()
                    {
                        let (y, x) = (first + pixel / self.output.width, pixel % self.output.width);
                        for (range, start) in self.runs(y, x) {
                            let target = &mut gradient[start..start + range.len()];
                            for (t, v) in target.iter_mut().zip(&patch[range]) {
                                *t += v;
                            }
                        }
                    }
                }
            });
        gradient
    }

    /// Gradient `[out][in][k][k]` of the kernel from the input and the output's gradient `g`.
    pub(super) fn kernel_gradient(self, x: &[f32], g: &[f32]) -> Vec<f32> {
        let (depth, out, rows) = (self.depth(), self.out, self.rows());
        let most = (PARTIAL_VALUES / (depth * out)).clamp(2, PIECES);
        let pieces = (1 << most.ilog2()).min(rows);
        let (piece, line) = (rows.div_ceil(pieces), self.output.width * out);
        let starts: Vec<usize> = (0..rows).step_by(piece).collect();
        let sums: Vec<Vec<f32>> = starts
            .into_par_iter()
            .map(|start| {
                let mut sums = vec![0.0; depth * out];
                let end = rows.min(start + piece);
                for first in (start..end).step_by(self.block()) {
                    let rows = first..end.min(first + self.block());
                    let (values, stack) = panels(&g[rows.start * line..rows.end * line], out);
                    let patches = self.unfold(x, rows);
                    let (left, right) = (Left::Columns(&patches), (&values[..], stack, 0));
                    multiply(Product {
                        left,
                        right,
                        out: &mut sums,
                        rows: depth,
                        add: true,
                    });
                }
                sums
            })
            .collect();
        let area = self.window.kernel * self.window.kernel;
        let mut gradient = vec![0.0; out * depth];
        gradient
            .par_chunks_mut(depth)
            .enumerate()
            .for_each(|(output, gradient)| {
                for (input, taps) in gradient.chunks_exact_mut(area).enumerate() {
                    for (tap, value) in taps.iter_mut().enumerate() {
                        let at = (tap * self.from + input) * out + output;
                        *value = sums.iter().map(|part| part[at]).sum();
                    }
                }
            });
        gradient
    }
}

/// Patches of consecutive output pixels.
enum Patches<'a> {
    /// Each is a pixel of the input.
    Pixels(&'a [f32]),
    /// Copied together.
    Unfolded(Scratch),
}

impl Deref for Patches<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Pixels(values) => values,
            Self::Unfolded(values) => values,
        }
    }
}

/// A row-major matrix as panels.
fn panels(values: &[f32], columns: usize) -> (Vec<f32>, Stack) {
    let stack = Stack {
        matrices: 1,
        rows: values.len() / columns,
        columns,
    };
    let mut out = vec![0.0; stack.len()];
    for (row, values) in values.chunks_exact(columns).enumerate() {
        for (run, values) in values.chunks(NARROW).enumerate() {
            let at = stack.offset(0, row, run * NARROW);
            out[at..at + values.len()].copy_from_slice(values);
        }
    }
    (out, stack)
}
