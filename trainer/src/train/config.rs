//! Everything that decides a run's outcome, saved beside its weights.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::adam::AdamConfig;
use crate::augment::Augmentation;
use crate::data::Prepared;
use crate::loss::{Loss, LossName, PAPER_CLASS_WEIGHTS, Reduction};
use crate::network::{Encoder, FrozenBatchNorm, RetrainFrom};

/// What an image counts in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ImageWeights {
    /// 1 / number of the patient's slices, as the paper has it.
    #[default]
    Patient,
    /// The same, scaled so that the training images' mean weight is 1.
    PatientMeanOne,
    /// All alike.
    Equal,
}

/// How the learning rate goes over the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The same throughout, as in the paper.
    #[default]
    Constant,
    /// Half a cosine from the learning rate down to a hundredth of it, after a short linear rise.
    Cosine,
}

/// A run's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The prepared training set.
    pub data: PathBuf,
    /// Checkpoint or weights file (Keras names) the variables start from, instead of random ones.
    #[serde(default)]
    pub weights: Option<PathBuf>,
    /// Encoder of the U-Net.
    pub encoder: Encoder,
    /// Input channels, 1 or 3; a slice fills them all.
    pub channels: usize,
    /// Factor on the [0, 1] pixels before the network (255 for ImageNet weights).
    pub input_scale: u16,
    /// Which loss.
    pub loss: LossName,
    /// Focusing exponent of the Dice loss.
    pub gamma: f64,
    /// Smoothing of the Dice loss.
    pub smooth: f64,
    /// Dice per image or per batch.
    pub reduction: Reduction,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Images per step.
    pub batch: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// How it goes.
    pub schedule: Schedule,
    /// First encoder layer that trains.
    pub retrain_from: RetrainFrom,
    /// What batch norms before it do.
    pub frozen_batch_norm: FrozenBatchNorm,
    /// What an image counts.
    pub image_weights: ImageWeights,
    /// How images are changed.
    pub augmentation: Augmentation,
    /// Train on windows of this many pixels instead of whole images.
    pub crop: Option<usize>,
    /// (name of a data folder, how often its images come in an epoch).
    pub repeat: Vec<(String, usize)>,
    /// Seed of everything random.
    pub seed: u64,
}

impl TrainConfig {
    /// The loss with its numbers; `wce-computed` takes its class weights from the training images.
    pub fn loss(&self, data: &Prepared) -> Result<Loss, String> {
        Ok(match self.loss {
            LossName::Ce => Loss::CROSS_ENTROPY,
            LossName::Wce => Loss::CrossEntropy {
                class_weights: PAPER_CLASS_WEIGHTS,
            },
            LossName::WceComputed => {
                let [Some(b), Some(k), Some(t)] = data.class_weights() else {
                    return Err("a class is missing from the training images, so its weight cannot be computed; \
                                use `--loss wce` for the paper's fixed weights"
                        .into());
                };
                Loss::CrossEntropy {
                    class_weights: [b, k, t],
                }
            }
            LossName::DiceCe => Loss::DicePlusCrossEntropy {
                gamma: self.gamma,
                smooth: self.smooth,
                reduction: self.reduction,
            },
            LossName::Dice => Loss::FocalDice {
                gamma: self.gamma,
                smooth: self.smooth,
                reduction: self.reduction,
            },
        })
    }

    /// The optimiser's constants: Keras' defaults.
    pub fn adam(&self) -> AdamConfig {
        AdamConfig::default()
    }

    /// Learning rate of step `step` of `steps`, both counted over the whole run, `step` from 0.
    pub fn rate(&self, step: usize, steps: usize) -> f64 {
        match self.schedule {
            Schedule::Constant => self.learning_rate,
            Schedule::Cosine => {
                let rise = (steps / 50).max(1);
                let up = ((step + 1) as f64 / rise as f64).min(1.0);
                let done =
                    step.saturating_sub(rise) as f64 / steps.saturating_sub(rise).max(1) as f64;
                let down = 0.01 + 0.99 * f64::midpoint(1.0, (std::f64::consts::PI * done).cos());
                self.learning_rate * up * down
            }
        }
    }

    /// Refuses settings that cannot work, with a sentence that says what to change.
    pub fn check(&self, data: &Prepared) -> Result<(), String> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let multiple = 32;
        let side = self.crop.unwrap_or(data.side());
        if self.channels != 1 && self.channels != 3 {
            Err(format!("--channels is 1 or 3, not {}", self.channels))
        } else if self.input_scale != 1 && self.input_scale != 255 {
            Err(format!(
                "--input-scale is 1, or 255 for ImageNet weights, not {}",
                self.input_scale
            ))
        } else if self.batch == 0 || self.epochs == 0 {
            Err("--batch and --epochs must be at least 1".into())
        } else if !positive(self.learning_rate) {
            Err(format!(
                "--lr must be a positive number, not {}",
                self.learning_rate
            ))
        } else if !positive(self.gamma) {
            Err(format!(
                "--gamma must be a positive number, not {}",
                self.gamma
            ))
        } else if !(self.smooth.is_finite() && self.smooth >= 0.0) {
            Err(format!("--smooth must be 0 or more, not {}", self.smooth))
        } else if let Err(e) = self.augmentation.check() {
            Err(e.to_string())
        } else if side == 0 || !side.is_multiple_of(multiple) || side > data.side() {
            Err(format!(
                "--crop must be a multiple of {multiple} up to {}, not {side}",
                data.side()
            ))
        } else if let Some((name, _)) = self
            .repeat
            .iter()
            .find(|(name, _)| data.sources().iter().all(|s| s != name))
        {
            Err(format!(
                "no data folder of the prepared set is called `{name}`; there are {}",
                data.sources().join(", ")
            ))
        } else {
            Ok(())
        }
    }
}
