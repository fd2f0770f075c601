//! The layers that need more than one Burn call. On the CPU backend, training takes [`flex`]'s passes.

mod flex;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;
use burn::tensor::module;
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions};

use super::forward::per_channel;

/// Result of a batch norm on batch statistics.
pub(super) struct BatchNormed {
    /// Normalised, scaled, shifted and, where asked, rectified.
    pub(super) output: Tensor<4>,
    /// Mean per channel, not tracked.
    pub(super) mean: Tensor<1>,
    /// Biased variance per channel, not tracked.
    pub(super) variance: Tensor<1>,
}

/// Batch norm of `[n, c, h, w]` over n, h and w with the batch's own mean and biased variance,
/// followed by a rectifier if `relu`. Gradients flow through mean and variance.
pub(super) fn batch_norm(
    x: Tensor<4>,
    gamma: Option<Tensor<1>>,
    beta: Tensor<1>,
    epsilon: f64,
    relu: bool,
) -> BatchNormed {
    flex::batch_norm(&x, gamma.as_ref(), &beta, epsilon, relu)
        .unwrap_or_else(|| composed_batch_norm(x, gamma, beta, epsilon, relu))
}

/// The same of Burn's element-wise operations, for every backend.
fn composed_batch_norm(
    x: Tensor<4>,
    gamma: Option<Tensor<1>>,
    beta: Tensor<1>,
    epsilon: f64,
    relu: bool,
) -> BatchNormed {
    let [n, c, h, w] = x.dims();
    let rows = |t: Tensor<4>| t.swap_dims(0, 1).reshape([c, n * h * w]);
    let mean = rows(x.clone()).mean_dim(1);
    let centred = x - mean.clone().reshape([1, c, 1, 1]);
    let variance = rows(centred.clone() * centred.clone()).mean_dim(1);
    let inverse = (variance.clone() + epsilon).sqrt().recip().reshape([c]);
    let scale = match gamma {
        Some(gamma) => gamma * inverse,
        None => inverse,
    };
    let mut output = centred * per_channel(scale) + per_channel(beta);
    if relu {
        output = burn::tensor::activation::relu(output);
    }
    BatchNormed {
        output,
        mean: mean.reshape([c]).inner(),
        variance: variance.reshape([c]).inner(),
    }
}

/// Square convolution with symmetric zero padding.
pub(super) fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
) -> Tensor<4> {
    if let Some(y) = flex::conv2d(&x, &weight, stride, padding) {
        return match bias {
            Some(bias) => y + per_channel(bias),
            None => y,
        };
    }
    let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
    module::conv2d(x, weight, bias, options)
}

/// 3x3 maximum, stride 2, padding 1.
pub(super) fn max_pool(x: Tensor<4>) -> Tensor<4> {
    module::max_pool2d(
        x,
        MaxPoolOptions::new([3; 2])
            .with_stride([2; 2])
            .with_padding([1; 2]),
    )
}

/// Nearest-neighbour doubling.
pub(super) fn upsample(x: Tensor<4>) -> Tensor<4> {
    let options = InterpolateOptions::new(InterpolateMode::Nearest).with_align_corners(false);
    module::interpolate(x, options.with_scale_factor([2.0; 2]))
}
