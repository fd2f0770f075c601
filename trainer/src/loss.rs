//! The paper's losses on logits, with image weights.
//!
//! Equations 1 to 5 of the paper; what it leaves open (per image or per batch, smoothing) is an
//! option. Every loss is finite, with finite gradients, for any finite logits.

use std::fmt;
use std::str::FromStr;

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Tensor, TensorData};
use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::ClassFrequencies;
use serde::{Deserialize, Serialize};

use crate::network::parameters::to_vec;

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
    /// The same with weights of each image's own, by median frequency within it: what the paper wishes for in section
    /// 4.2. A class of frequency f weighs m / f, where m is the median frequency of the image's classes.
    CrossEntropyPerImage {
        /// Weights lie between 1 / `bound` and `bound`, at least 1.
        bound: f64,
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
                let class_weights = class_weights.map(|w| w as f32);
                let class_weights = Tensor::<1>::from_floats(class_weights, &logits.device())
                    .reshape([1, Class::COUNT, 1, 1]);
                (cross_entropy_per_image(logits, truth, class_weights) * weights).mean()
            }
            Self::CrossEntropyPerImage { bound } => {
                let class_weights = weights_per_image(&truth, bound);
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

/// `[batch, classes, 1, 1]`: class weights of each image by median frequency balancing of that image alone, within
/// 1 / `bound` and `bound`. A class that an image lacks has no pixel there to weigh.
fn weights_per_image(truth: &Tensor<4>, bound: f64) -> Tensor<4> {
    let [n, c, h, w] = truth.dims();
    let counts = to_vec(truth.clone().reshape([n, c, h * w]).sum_dim(2));
    let weights: Vec<f32> = counts
        .chunks_exact(c)
        .flat_map(|counts| {
            let mut frequencies = ClassFrequencies::new();
            frequencies.add(std::array::from_fn(|class| counts[class] as u64));
            let weights = frequencies.weights();
            weights.map(|w| w.unwrap_or(1.0).clamp(1.0 / bound, bound) as f32)
        })
        .collect();
    Tensor::from_data(TensorData::new(weights, [n, c, 1, 1]), &truth.device())
}

/// `[batch]`: pixel mean of the cross entropy of each image, weighted by `class_weights`, `[batch or 1, classes, 1, 1]`.
fn cross_entropy_per_image(
    logits: Tensor<4>,
    truth: Tensor<4>,
    class_weights: Tensor<4>,
) -> Tensor<1> {
    let [n, c, h, w] = logits.dims();
    let terms = log_softmax(logits, 1) * truth * class_weights;
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
    /// Weighted cross entropy with median-frequency weights of each image.
    WceImage,
    /// Dice loss, focal if gamma is not 1.
    Dice,
    /// Dice loss plus cross entropy.
    DiceCe,
}

const NAMES: [(&str, LossName); 6] = [
    ("ce", LossName::Ce),
    ("wce", LossName::Wce),
    ("wce-computed", LossName::WceComputed),
    ("wce-image", LossName::WceImage),
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
            Loss::CrossEntropyPerImage { bound: 10.0 },
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

    /// Two images of 2 x 2 pixels: one with all classes, one that lacks the tumour.
    const LABELS: [u8; 8] = [0, 0, 1, 2, 0, 0, 0, 1];

    fn logits() -> Vec<f32> {
        crate::closed_form::signed("logits", 2 * 3 * 4)
            .map(|u| 2.0 * u as f32)
            .collect()
    }

    /// Value and gradient of `loss` at `logits`, image weights 1 and 0.5.
    fn value_and_gradient(loss: Loss, logits: Vec<f32>) -> (f64, Vec<f32>) {
        let device = device();
        let truth = one_hot(&LABELS, [2, 2, 2], &device);
        let logits =
            Tensor::<4>::from_data(TensorData::new(logits, [2, 3, 2, 2]), &device).require_grad();
        let value = loss.value(
            logits.clone(),
            truth,
            Tensor::from_floats([1.0, 0.5], &device),
        );
        let gradients = value.clone().backward();
        let gradient = to_vec(logits.grad(&gradients).expect("tracked"));
        (f64::from(value.into_scalar::<f32>()), gradient)
    }

    #[test]
    fn per_image_weights_are_median_frequency_of_each_image_within_the_bound() {
        // Frequencies 1/2, 1/4, 1/4 with median 1/4; then 3/4 and 1/4 with median 1/2.
        let truth = one_hot(&LABELS, [2, 2, 2], &Device::flex());
        let weights = |bound| to_vec(weights_per_image(&truth, bound));
        let third = (2.0_f64 / 3.0) as f32;
        assert_eq!(weights(10.0), [0.5, 1.0, 1.0, third, 2.0, 1.0]);
        let low = (1.0_f64 / 1.2) as f32;
        assert_eq!(weights(1.2), [low, 1.0, 1.0, low, 1.2, 1.0]);
        assert_eq!(weights(1.0), [1.0; 6]);
    }

    #[test]
    fn per_image_cross_entropy_has_its_closed_form_and_gradient() {
        let class_weights = [[0.5, 1.0, 1.0], [2.0 / 3.0, 2.0, 1.0]];
        let logits = logits();
        let (value, gradient) =
            value_and_gradient(Loss::CrossEntropyPerImage { bound: 10.0 }, logits.clone());
        let mut expected = 0.0;
        for (image, image_weight) in [1.0, 0.5].into_iter().enumerate() {
            for pixel in 0..4 {
                let at = |class: usize| (image * 3 + class) * 4 + pixel;
                let z = [0, 1, 2].map(|class| f64::from(logits[at(class)]));
                let sum: f64 = z.iter().map(|z| z.exp()).sum();
                let label = usize::from(LABELS[image * 4 + pixel]);
                // Mean over 4 pixels and 2 images.
                let weight = class_weights[image][label] * image_weight / 8.0;
                expected -= weight * (z[label].exp() / sum).ln();
                for (class, z) in z.iter().enumerate() {
                    let hit = f64::from(u8::from(class == label));
                    let slope = weight * (z.exp() / sum - hit);
                    assert!((f64::from(gradient[at(class)]) - slope).abs() < 1e-7);
                }
            }
        }
        assert!((value - expected).abs() < 1e-6, "{value}, not {expected}");
        let plain = value_and_gradient(Loss::CrossEntropyPerImage { bound: 1.0 }, logits.clone());
        assert_eq!(plain, value_and_gradient(Loss::CROSS_ENTROPY, logits));
    }

    #[test]
    fn dice_plus_cross_entropy_is_the_sum_of_both_in_value_and_gradient() {
        for reduction in [Reduction::Image, Reduction::Batch] {
            let (gamma, smooth) = (0.5, DEFAULT_SMOOTH);
            let of = |loss| value_and_gradient(loss, logits());
            let both = of(Loss::DicePlusCrossEntropy {
                gamma,
                smooth,
                reduction,
            });
            let dice = of(Loss::FocalDice {
                gamma,
                smooth,
                reduction,
            });
            let entropy = of(Loss::CROSS_ENTROPY);
            assert!((both.0 - dice.0 - entropy.0).abs() < 1e-6);
            for ((both, dice), entropy) in both.1.iter().zip(&dice.1).zip(&entropy.1) {
                assert!((both - dice - entropy).abs() < 1e-6);
            }
        }
    }
}
