//! The paper's losses on logits, with image weights.
//!
//! Equations 1 to 5 of the paper; what it leaves open (per image or per batch, smoothing) is an
//! option. Every loss is finite, with finite gradients, for any finite logits.

use std::fmt;
use std::str::FromStr;

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Tensor, TensorData};
use nephrobox_shared::class::Class;
use serde::{Deserialize, Serialize};

/// Smoothing constant of `segmentation_models`, added to numerator and denominator of the Dice.
pub const DEFAULT_SMOOTH: f64 = 1e-5;
/// The paper's class weights (background, kidney, tumour) for the weighted cross entropy.
pub const PAPER_CLASS_WEIGHTS: [f64; Class::COUNT] = [0.02, 1.0, 1.5];
/// Below this 1 - Dice counts as this, so that a perfect class has a finite gradient for gamma < 1.
const SMALLEST_BASE: f64 = 1e-7;

/// Over which pixels the sums of a Dice run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// One Dice per image and class, so that image weights act per image.
    #[default]
    Image,
    /// One Dice per class over the whole batch; image weights do not act.
    Batch,
}

/// Which loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Loss {
    /// Mean over pixels of -sum over classes of w g log p (equations 1 and 2).
    CrossEntropy {
        /// Weight per class; all 1 for the plain cross entropy.
        class_weights: [f64; Class::COUNT],
    },
    /// Sum over classes of (1 - Dice)^gamma (equations 4 and 5; gamma 1 is the plain Dice loss).
    FocalDice {
        /// Focusing exponent.
        gamma: f64,
        /// Added to numerator and denominator.
        smooth: f64,
        /// Over which pixels.
        reduction: Reduction,
    },
    /// Plain cross entropy plus the focal Dice loss: not in the paper; steadier when training from
    /// scratch, since the Dice alone says nothing about a class that an image lacks.
    DicePlusCrossEntropy {
        /// Focusing exponent.
        gamma: f64,
        /// Added to numerator and denominator.
        smooth: f64,
        /// Over which pixels the Dice sums.
        reduction: Reduction,
    },
}

impl Loss {
    /// Plain cross entropy.
    pub const CROSS_ENTROPY: Self = Self::CrossEntropy {
        class_weights: [1.0; Class::COUNT],
    };

    /// Loss of a batch: the mean over its images of weight x loss of the image.
    ///
    /// `logits` and `truth` are `[batch, classes, height, width]`, `truth` one-hot; `weights` is
    /// `[batch]`. As in Keras the sum is divided by the number of images, not by the sum of weights.
    pub fn value(self, logits: Tensor<4>, truth: Tensor<4>, weights: Tensor<1>) -> Tensor<1> {
        match self {
            Self::CrossEntropy { class_weights } => {
                (cross_entropy_per_image(logits, truth, class_weights) * weights).mean()
            }
            Self::FocalDice {
                gamma,
                smooth,
                reduction: Reduction::Image,
            } => (focal_dice(logits, truth, gamma, smooth) * weights).mean(),
            Self::FocalDice {
                gamma,
                smooth,
                reduction: Reduction::Batch,
            } => {
                // One image as tall as the batch has the sums of the whole batch.
                let [n, c, h, w] = logits.dims();
                let one = |t: Tensor<4>| t.swap_dims(0, 1).reshape([1, c, n * h, w]);
                focal_dice(one(logits), one(truth), gamma, smooth)
            }
            Self::DicePlusCrossEntropy {
                gamma,
                smooth,
                reduction,
            } => {
                let dice = Self::FocalDice {
                    gamma,
                    smooth,
                    reduction,
                };
                dice.value(logits.clone(), truth.clone(), weights.clone())
                    + Self::CROSS_ENTROPY.value(logits, truth, weights)
            }
        }
    }
}

/// `[batch]`: pixel mean of the weighted cross entropy of each image.
fn cross_entropy_per_image(
    logits: Tensor<4>,
    truth: Tensor<4>,
    class_weights: [f64; Class::COUNT],
) -> Tensor<1> {
    let [n, c, h, w] = logits.dims();
    let weights = class_weights.map(|w| w as f32);
    let weights: Tensor<4> =
        Tensor::<1>::from_floats(weights, &logits.device()).reshape([1, c, 1, 1]);
    let terms = log_softmax(logits, 1) * truth * weights;
    terms
        .reshape([n, c * h * w])
        .sum_dim(1)
        .div_scalar(-((h * w) as f64))
        .reshape([n])
}

/// `[batch]`: sum over classes of (1 - Dice)^gamma of each image.
fn focal_dice(logits: Tensor<4>, truth: Tensor<4>, gamma: f64, smooth: f64) -> Tensor<1> {
    let [n, c, h, w] = logits.dims();
    let per_class = |t: Tensor<4>| t.reshape([n, c, h * w]).sum_dim(2).reshape([n, c]);
    let p = softmax(logits, 1);
    let overlap = per_class(p.clone() * truth.clone());
    let total = per_class(p) + per_class(truth);
    let dice = (overlap * 2.0 + smooth) / (total + smooth).clamp_min(f64::from(f32::MIN_POSITIVE));
    let base = (dice.neg() + 1.0).clamp_min(SMALLEST_BASE);
    let focused = if gamma == 1.0 {
        base
    } else {
        base.powf_scalar(gamma)
    };
    focused.sum_dim(1).reshape([n])
}

/// One-hot truth `[batch, classes, height, width]` of `labels` (batch x height x width values 0, 1, 2).
pub fn one_hot(labels: &[u8], [batch, height, width]: [usize; 3], device: &Device) -> Tensor<4> {
    let plane = height * width;
    let mut values = vec![0.0_f32; batch * Class::COUNT * plane];
    for (image, labels) in labels.chunks_exact(plane).enumerate() {
        for (pixel, &label) in labels.iter().enumerate() {
            values[(image * Class::COUNT + usize::from(label)) * plane + pixel] = 1.0;
        }
    }
    Tensor::from_data(
        TensorData::new(values, [batch, Class::COUNT, height, width]),
        device,
    )
}

/// The name of a loss on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossName {
    /// Cross entropy.
    Ce,
    /// Weighted cross entropy with the paper's weights.
    Wce,
    /// Weighted cross entropy with median-frequency weights of the training images.
    WceComputed,
    /// Dice loss, focal if gamma is not 1.
    Dice,
    /// Dice loss plus cross entropy.
    DiceCe,
}

const NAMES: [(&str, LossName); 5] = [
    ("ce", LossName::Ce),
    ("wce", LossName::Wce),
    ("wce-computed", LossName::WceComputed),
    ("dice", LossName::Dice),
    ("dice-ce", LossName::DiceCe),
];

impl FromStr for LossName {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        NAMES
            .iter()
            .find(|(name, _)| *name == s)
            .map(|&(_, loss)| loss)
            .ok_or_else(|| {
                format!(
                    "no loss is called `{s}`; choose one of {}",
                    NAMES.map(|(name, _)| name).join(", ")
                )
            })
    }
}

impl fmt::Display for LossName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES
            .iter()
            .find(|(_, loss)| loss == self)
            .map_or("dice", |(name, _)| name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device::flex().autodiff()
    }

    /// Logits of +-60 that agree with the truth, and the same contradicting it.
    #[test]
    fn saturated_logits_give_finite_values_and_gradients() {
        let device = device();
        let labels = [0_u8, 1, 2, 0, 0, 0, 0, 0];
        let truth = one_hot(&labels, [2, 2, 2], &device);
        let losses = [0.5, 1.0 / 3.0, 1.0, 2.0, 3.0]
            .into_iter()
            .flat_map(|gamma| {
                [0.0, DEFAULT_SMOOTH].into_iter().flat_map(move |smooth| {
                    [Reduction::Image, Reduction::Batch].map(|reduction| Loss::FocalDice {
                        gamma,
                        smooth,
                        reduction,
                    })
                })
            });
        for loss in losses.chain([
            Loss::CROSS_ENTROPY,
            Loss::CrossEntropy {
                class_weights: PAPER_CLASS_WEIGHTS,
            },
        ]) {
            for sign in [60.0, -60.0] {
                let logits = ((truth.clone() * 2.0 - 1.0) * sign).detach().require_grad();
                let value = loss.value(logits.clone(), truth.clone(), Tensor::ones([2], &device));
                let gradients = value.clone().backward();
                let gradient =
                    crate::network::parameters::to_vec(logits.grad(&gradients).expect("tracked"));
                assert!(value.into_scalar::<f32>().is_finite(), "{loss:?} at {sign}");
                assert!(gradient.iter().all(|g| g.is_finite()), "{loss:?} at {sign}");
            }
        }
    }
}
