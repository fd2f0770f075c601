//! Twice the rows and columns.

use ::burn::tensor::module::interpolate;
use ::burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use ::burn::tensor::{Device, Tensor};

/// Repeats each pixel twice along rows and columns.
pub(super) fn double(x: Tensor<4>) -> Tensor<4> {
    if x.device() != Device::flex() {
        return double_by_copying(x);
    }
    let [_, _, rows, cols] = x.dims();
    let size = [rows * 2, cols * 2];
    interpolate(
        x,
        InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size),
    )
}

/// The same without interpolation, whose rounding was seen to pick wrong pixels for some sizes on Vulkan (burn issue 4686).
fn double_by_copying(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, rows, cols] = x.dims();
    x.reshape([batch, channels, rows, 1, cols, 1])
        .expand([batch, channels, rows, 2, cols, 2])
        .reshape([batch, channels, rows * 2, cols * 2])
}

/// Puts the four phases of [`UpConv2d`](crate::program::Op::UpConv2d) in their places: from `[batch, 4 * channels, rows + 1, cols + 1]` to
/// `[batch, channels, 2 * rows, 2 * cols]`.
pub(super) fn interleave(phases: &Tensor<4>, bias: Option<Tensor<4>>) -> Tensor<4> {
    let [batch, kernels, rows, cols] = phases.dims();
    let (channels, rows, cols) = (kernels / 4, rows - 1, cols - 1);
    let phase = |p: usize, q: usize| {
        let first = (2 * p + q) * channels;
        let phase =
            phases
                .clone()
                .slice([0..batch, first..first + channels, p..p + rows, q..q + cols]);
        phase.reshape([batch, channels, rows, 1, cols, 1])
    };
    let row = |p: usize| Tensor::cat(vec![phase(p, 0), phase(p, 1)], 5);
    let image = Tensor::cat(vec![row(0), row(1)], 3);
    let image = image.reshape([batch, channels, 2 * rows, 2 * cols]);
    match bias {
        Some(bias) => image + bias,
        None => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_doubling_agree() {
        for [rows, cols] in [[1, 1], [3, 5], [107, 110]] {
            let count = (2 * 3 * rows * cols) as i64;
            let x = Tensor::<1, ::burn::tensor::Int>::arange(0..count, &Device::flex()).float();
            let x = x.reshape([2, 3, rows, cols]);
            let copied = double_by_copying(x.clone());
            assert_eq!(copied.dims(), [2, 3, rows * 2, cols * 2]);
            assert_eq!(copied.into_data(), double(x).into_data());
        }
    }
}
