//! Everything that decides a run's outcome, saved beside its weights.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::accumulate::Accumulate;
use super::sampling::{Sample, order};
use super::settings::{Fault, Repeat};
use crate::adam::AdamConfig;
use crate::augment::Augmentation;
use crate::data::{Prepared, Split};
use crate::loss::{Loss, LossName, PAPER_CLASS_WEIGHTS, Reduction};
use crate::network::{Encoder, Family, FrozenBatchNorm, RetrainFrom, UnetSpec};

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
    /// Half a cosine from the learning rate down to a hundredth of it.
    Cosine,
    /// (1 - share of the run that is done) to a power, from the learning rate down to nearly 0.
    Polynomial,
}

/// A run's settings.
///
/// People give them as [`Settings`](super::Settings), which also is their form on disk.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own name"
)]
pub struct TrainConfig {
    /// The prepared training set.
    pub data: PathBuf,
    /// Checkpoint or weights file of any known kind the variables start from, instead of random ones.
    pub weights: Option<PathBuf>,
    /// Encoder of the U-Net.
    pub encoder: Encoder,
    /// Input channels, 1 or 3; a slice fills them all, unless `neighbours`.
    pub channels: usize,
    /// Whether the three channels are the slice between its two neighbours.
    pub neighbours: bool,
    /// Factor on the [0, 1] pixels before the network (255 for the reference's ImageNet weights).
    pub input_scale: u16,
    /// Whether a trainable 1x1 convolution turns the input channels into the encoder's three.
    pub input_adapter: bool,
    /// Which loss.
    pub loss: LossName,
    /// Focusing exponent of the Dice loss.
    pub gamma: f64,
    /// Smoothing of the Dice loss.
    pub smooth: f64,
    /// Dice per image or per batch.
    pub reduction: Reduction,
    /// Bound on the per-image class weights of `wce-image`.
    pub weight_bound: f64,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Images per step.
    pub batch: usize,
    /// In how many passes a step goes through them.
    pub accumulate: Accumulate,
    /// Learning rate.
    pub learning_rate: f64,
    /// How it goes.
    pub schedule: Schedule,
    /// Share of the run's steps in which it rises linearly, whatever the schedule; 0 to below 1.
    pub warm_up: f64,
    /// Exponent of the polynomial schedule.
    pub power: f64,
    /// Decay of the weights' moving average, 0 for none.
    pub ema: f64,
    /// First encoder layer that trains.
    pub retrain_from: RetrainFrom,
    /// What batch norms before it do.
    pub frozen_batch_norm: FrozenBatchNorm,
    /// What an image counts.
    pub image_weights: ImageWeights,
    /// Which slices an epoch shows.
    pub sample: Sample,
    /// How images are changed.
    pub augmentation: Augmentation,
    /// Train on windows of this many pixels instead of whole images.
    pub crop: Option<usize>,
    /// How often the images of a data folder come in an epoch; once, if it is not named.
    pub repeat: Vec<Repeat>,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether evaluation averages over flips, unless told otherwise.
    pub flips: bool,
    /// Whether evaluation removes small components, unless told otherwise.
    pub remove_small: bool,
}

/// What the sides of images are a multiple of: a U-Net halves them five times.
const MULTIPLE: usize = 32;

impl TrainConfig {
    /// The network.
    pub fn network(&self) -> UnetSpec {
        let spec = UnetSpec::paper(self.encoder, self.channels);
        if self.input_adapter {
            spec.with_adapter()
        } else {
            spec
        }
    }

    /// The loss with its numbers; `wce-computed` takes its class weights from the training images.
    pub fn loss(&self, data: &Prepared) -> Result<Loss, String> {
        Ok(match self.loss {
            LossName::Ce => Loss::CROSS_ENTROPY,
            LossName::Wce => Loss::CrossEntropy {
                class_weights: PAPER_CLASS_WEIGHTS,
            },
            LossName::WceImage => Loss::CrossEntropyPerImage {
                bound: self.weight_bound,
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
        let rise = (self.warm_up * steps as f64).round() as usize;
        let up = ((step + 1) as f64 / (rise + 1) as f64).min(1.0);
        let done = step.saturating_sub(rise) as f64 / steps.saturating_sub(rise).max(1) as f64;
        let down = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                0.01 + 0.99 * f64::midpoint(1.0, (std::f64::consts::PI * done).cos())
            }
            Schedule::Polynomial => (1.0 - done).powf(self.power),
        };
        self.learning_rate * up * down
    }

    /// Refuses settings that cannot work on any data, with a sentence that says what to change.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub fn check(&self) -> Result<(), Fault> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let rules = [
            (
                "channels",
                matches!(self.channels, 1 | 3),
                format!("is 1 or 3, not {}", self.channels),
            ),
            (
                "neighbours",
                !self.neighbours || self.channels == 3,
                format!(
                    "fills three input channels; give --channels 3 instead of {}",
                    self.channels
                ),
            ),
            (
                "weight-bound",
                self.weight_bound.is_finite() && self.weight_bound >= 1.0,
                format!("is a number from 1 up, not {}", self.weight_bound),
            ),
            (
                "ema",
                (0.0..1.0).contains(&self.ema),
                format!("is 0 for none, or a decay below 1 such as 0.999, not {}", self.ema),
            ),
            (
                "channels",
                self.channels == 3
                    || self.input_adapter
                    || self.encoder.family() == Family::Reference,
                format!(
                    "is 3 for {}, not {}; or pass --input-adapter",
                    self.encoder, self.channels
                ),
            ),
            (
                "input-scale",
                matches!(self.input_scale, 1 | 255),
                format!(
                    "is 1, or 255 for ImageNet weights, not {}",
                    self.input_scale
                ),
            ),
            (
                "input-scale",
                self.input_scale == 1 || self.encoder.family() == Family::Reference,
                format!(
                    "is 1 for {}, which normalises pixels in 0 to 1 itself",
                    self.encoder
                ),
            ),
            ("batch", self.batch > 0, "is at least 1, not 0".into()),
            (
                "accumulate",
                self.accumulate.passes() <= self.batch.max(1),
                format!(
                    "is at most the {} images of --batch, not {}",
                    self.batch, self.accumulate
                ),
            ),
            (
                "accumulate",
                self.accumulate.passes() == 1 || self.reduction == Reduction::Image,
                "cannot be used with `--reduction batch`: a Dice over the batch is no sum over its images".into(),
            ),
            ("epochs", self.epochs > 0, "is at least 1, not 0".into()),
            (
                "lr",
                positive(self.learning_rate),
                format!("is a positive number, not {}", self.learning_rate),
            ),
            (
                "warm-up",
                (0.0..1.0).contains(&self.warm_up),
                format!("is a share from 0 to below 1, not {}", self.warm_up),
            ),
            (
                "power",
                positive(self.power),
                format!("is a positive number, not {}", self.power),
            ),
            (
                "gamma",
                positive(self.gamma),
                format!("is a positive number, not {}", self.gamma),
            ),
            (
                "smooth",
                self.smooth.is_finite() && self.smooth >= 0.0,
                format!("is 0 or more, not {}", self.smooth),
            ),
            (
                "augment-share",
                (0.0..=1.0).contains(&self.augmentation.share),
                format!("lies between 0 and 1, not {}", self.augmentation.share),
            ),
            (
                "crop",
                self.crop.is_none_or(|side| side > 0 && side.is_multiple_of(MULTIPLE)),
                format!("is a multiple of {MULTIPLE}, not {}", self.crop.unwrap_or(0)),
            ),
        ];
        if let Some((key, _, rule)) = rules.into_iter().find(|(_, holds, _)| !holds) {
            return Err(Fault::new(key, rule));
        }
        self.augmentation
            .check()
            .map_err(|e| Fault::new("augment", format!("cannot be used: {e}")))
    }

    /// What [`check`](Self::check) refuses, and settings that cannot work on this prepared set.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub fn check_on(&self, data: &Prepared) -> Result<(), Fault> {
        self.check()?;
        if self.neighbours && !data.has_neighbours() {
            let rule = "needs a training set of `nephrotrain prepare --neighbours`, and this one holds none";
            return Err(Fault::new("neighbours", rule));
        }
        let side = self.crop.unwrap_or(data.side());
        if !side.is_multiple_of(MULTIPLE) || side > data.side() {
            let rule = format!(
                "is a multiple of {MULTIPLE} up to {}, not {side}",
                data.side()
            );
            return Err(Fault::new("crop", rule));
        }
        let folders = data.sources();
        let unknown = |r: &&Repeat| !folders.contains(&r.folder);
        if !data.split(Split::Train).is_empty() && order(data, self, 0).is_empty() {
            let rule = "leaves no slice to train on; take one of the data folders at least once";
            return Err(Fault::new("repeat", rule));
        }
        match self.repeat.iter().find(unknown) {
            None => Ok(()),
            Some(Repeat { folder, .. }) => Err(Fault::new(
                "repeat",
                format!(
                    "names `{folder}`, which is no data folder of the prepared set; there are {}",
                    folders.join(", ")
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Settings;

    fn rates(schedule: Schedule, warm_up: f64) -> Vec<f64> {
        let settings = Settings {
            data: Some("set".into()),
            lr: Some(1.0),
            schedule: Some(schedule),
            warm_up: Some(warm_up),
            power: Some(2.0),
            ..Settings::default()
        };
        let config = settings.resolve().unwrap();
        (0..10).map(|step| config.rate(step, 10)).collect()
    }

    #[test]
    fn the_rate_rises_in_the_warm_up_and_falls_as_the_schedule_says() {
        assert_eq!(rates(Schedule::Constant, 0.0), [1.0; 10]);
        let warm = rates(Schedule::Constant, 0.3);
        assert_eq!(warm[..4], [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(warm[4..], [1.0; 6]);
        let cosine = rates(Schedule::Cosine, 0.0);
        assert_eq!(cosine[0], 1.0);
        assert!(
            (cosine[5] - 0.505).abs() < 1e-12,
            "the middle of 1 and 0.01"
        );
        assert!(cosine.is_sorted_by(|a, b| a > b) && cosine[9] > 0.01);
        // (1 - step / 10) squared.
        let polynomial = rates(Schedule::Polynomial, 0.0);
        assert!((polynomial[5] - 0.25).abs() < 1e-12 && (polynomial[9] - 0.01).abs() < 1e-12);
        // The fall begins where the rise ends.
        let both = rates(Schedule::Polynomial, 0.2);
        assert_eq!(both[2], 1.0);
        assert!((both[6] - 0.25).abs() < 1e-12);
    }
}
