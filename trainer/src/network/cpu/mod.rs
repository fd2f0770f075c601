//! The arithmetic of training on the CPU: plain slices of channels-last images, no tensors.
//!
//! Products run on the widest registers the machine has, chosen at run time. Work is shared out over
//! rayon's threads, but cut by shapes alone, and every sum has one order: results don't depend on the
//! number of threads.

// Register code: closures and iterators over arrays would not be inlined into the wide variants.
#![allow(clippy::inline_always, clippy::needless_range_loop)]

mod maps;
mod norm;
mod patches;
mod product;
mod registers;
mod scratch;
mod transforms;
mod winograd;

use rayon::prelude::*;

pub(super) use maps::{
    double, double_gradient, doubled, join, max_pool, max_pool_gradient, part, pooled,
};
pub(super) use norm::{
    Normalisation, channel_sums, gradient_sums, input_gradient as norm_gradient, moments, normalise,
};

/// Number and size of a batch's maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Maps {
    pub(super) images: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Maps {
    /// Pixels in the batch.
    pub(super) fn pixels(self) -> usize {
        self.images * self.height * self.width
    }
}

/// Geometry of one square convolution with symmetric zero padding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convolution {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    /// Input channels.
    pub(super) from: usize,
    /// Output channels.
    pub(super) out: usize,
}

impl Convolution {
    /// Size of the output maps.
    pub(super) fn output(self, input: Maps) -> Maps {
        let edge = |v: usize| (v + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1;
        Maps {
            images: input.images,
            height: edge(input.height),
            width: edge(input.width),
        }
    }

    /// Whether minimal filtering applies and pays: not on maps smaller than its tile.
    fn filters_minimally(self, input: Maps) -> bool {
        (self.kernel, self.stride, self.padding) == (3, 1, 1) && input.height.min(input.width) >= 4
    }

    fn unfolding(self, input: Maps) -> patches::Unfolding {
        let Self {
            kernel,
            stride,
            padding,
            from,
            out,
        } = self;
        let window = patches::Window {
            kernel,
            stride,
            padding,
        };
        patches::Unfolding::new(window, input, self.output(input), from, out)
    }

    /// Output `[image][row][column][out]` of `x` and `weight`, `[out][in][k][k]`.
    pub(super) fn forward(self, x: &[f32], weight: &[f32], input: Maps) -> Vec<f32> {
        if self.filters_minimally(input) {
            let kernel = winograd::Kernel::new(weight, self.from, self.out, false);
            winograd::convolve(x, input, &kernel)
        } else {
            self.unfolding(input).convolve(x, weight)
        }
    }

    /// Gradient of the input from the output's.
    pub(super) fn input_gradient(self, g: &[f32], weight: &[f32], input: Maps) -> Vec<f32> {
        if self.filters_minimally(input) {
            let kernel = winograd::Kernel::new(weight, self.from, self.out, true);
            winograd::convolve(g, input, &kernel)
        } else {
            self.unfolding(input).input_gradient(g, weight)
        }
    }

    /// Gradient of the kernel from the input and the output's gradient.
    pub(super) fn kernel_gradient(self, x: &[f32], g: &[f32], input: Maps) -> Vec<f32> {
        if self.filters_minimally(input) {
            winograd::kernel_gradient(x, g, input, self.from, self.out)
        } else {
            self.unfolding(input).kernel_gradient(x, g)
        }
    }
}

/// Runs `f` on every chunk of `size` values, over threads if `parallel`.
fn each_chunk(
    values: &mut [f32],
    size: usize,
    parallel: bool,
    f: impl Fn(usize, &mut [f32]) + Sync,
) {
    if parallel {
        values
            .par_chunks_mut(size)
            .enumerate()
            .for_each(|(index, chunk)| f(index, chunk));
    } else {
        values
            .chunks_mut(size)
            .enumerate()
            .for_each(|(index, chunk)| f(index, chunk));
    }
}
