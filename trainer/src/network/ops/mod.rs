//! The layers that need more than one Burn call, in the layout that suits the backend. On the CPU
//! backend, training takes [`flex`]'s passes.

mod flex;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;
use burn::tensor::module;
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions};

/// Order of a batch's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[n, c, h, w]`: Burn's own, on every backend.
    ChannelsFirst,
    /// `[n, h, w, c]`: [`flex`]'s, on the tracked CPU backend only.
    ChannelsLast,
}

impl Layout {
    /// The layout in which a training pass of `images`, `[n, c, h, w]`, is fastest.
    pub(super) fn for_training(images: &Tensor<4>) -> Self {
        if flex::serves(images) {
            Self::ChannelsLast
        } else {
            Self::ChannelsFirst
        }
    }

    /// A channels-first tensor in this layout.
    pub(super) fn enter(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::ChannelsFirst => x,
            Self::ChannelsLast => x.permute([0, 2, 3, 1]),
        }
    }

    /// A tensor of this layout with its channels first.
    pub(super) fn leave(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::ChannelsFirst => x,
            Self::ChannelsLast => x.permute([0, 3, 1, 2]),
        }
    }

    /// `[channels]`, ready to be combined with maps of this layout.
    pub(super) fn per_channel(self, v: Tensor<1>) -> Tensor<4> {
        let [c] = v.dims();
        match self {
            Self::ChannelsFirst => v.reshape([1, c, 1, 1]),
            Self::ChannelsLast => v.reshape([1, 1, 1, c]),
        }
    }

    /// Values per channel.
    pub(super) fn pixels(self, x: &Tensor<4>) -> usize {
        let [n, a, b, c] = x.dims();
        match self {
            Self::ChannelsFirst => n * b * c,
            Self::ChannelsLast => n * a * b,
        }
    }

    /// Batch norm over n, h and w with the batch's own mean and biased variance, followed by a
    /// rectifier if `relu`. Gradients flow through mean and variance.
    pub(super) fn batch_norm(
        self,
        x: Tensor<4>,
        gamma: Option<Tensor<1>>,
        beta: Tensor<1>,
        epsilon: f64,
        relu: bool,
    ) -> BatchNormed {
        match self {
            Self::ChannelsFirst => composed_batch_norm(x, gamma, beta, epsilon, relu),
            Self::ChannelsLast => flex::batch_norm(&x, gamma.as_ref(), &beta, epsilon, relu),
        }
    }

    /// Square convolution with symmetric zero padding; `weight` is `[out, in, k, k]`.
    pub(super) fn conv2d(
        self,
        x: Tensor<4>,
        weight: Tensor<4>,
        bias: Option<Tensor<1>>,
        stride: usize,
        padding: usize,
    ) -> Tensor<4> {
        match self {
            Self::ChannelsFirst => {
                let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
                module::conv2d(x, weight, bias, options)
            }
            Self::ChannelsLast => {
                let y = flex::conv2d(&x, &weight, stride, padding);
                match bias {
                    Some(bias) => flex::add_bias(&y, &bias),
                    None => y,
                }
            }
        }
    }

    /// 3x3 maximum, stride 2, padding 1.
    pub(super) fn max_pool(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::ChannelsFirst => {
                let options = MaxPoolOptions::new([3; 2]);
                module::max_pool2d(x, options.with_stride([2; 2]).with_padding([1; 2]))
            }
            Self::ChannelsLast => flex::max_pool(&x),
        }
    }

    /// Nearest-neighbour doubling.
    pub(super) fn upsample(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::ChannelsFirst => {
                let options = InterpolateOptions::new(InterpolateMode::Nearest);
                let options = options.with_align_corners(false);
                module::interpolate(x, options.with_scale_factor([2.0; 2]))
            }
            Self::ChannelsLast => flex::upsample(&x),
        }
    }

    /// Channels of `a`, then of `b`.
    pub(super) fn concat(self, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
        match self {
            Self::ChannelsFirst => Tensor::cat(vec![a, b], 1),
            Self::ChannelsLast => flex::concat(&a, &b),
        }
    }
}

/// Result of a batch norm on batch statistics.
pub(super) struct BatchNormed {
    /// Normalised, scaled, shifted and, where asked, rectified.
    pub(super) output: Tensor<4>,
    /// Mean per channel, not tracked.
    pub(super) mean: Tensor<1>,
    /// Biased variance per channel, not tracked.
    pub(super) variance: Tensor<1>,
}

/// Batch norm of `[n, c, h, w]` of Burn's element-wise operations, for every backend.
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
    let first = Layout::ChannelsFirst;
    let mut output = centred * first.per_channel(scale) + first.per_channel(beta);
    if relu {
        output = burn::tensor::activation::relu(output);
    }
    BatchNormed {
        output,
        mean: mean.reshape([c]).inner(),
        variance: variance.reshape([c]).inner(),
    }
}
