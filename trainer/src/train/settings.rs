//! The settings of a run as people give them: flags, a TOML file with the same names, and presets.
//!
//! One struct serves both. A flag goes over the file, the file over the preset; what none of them says is as in the
//! paper. The run folder keeps all of them, resolved, as `config.toml`, which is itself a valid settings file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::accumulate::Accumulate;
use super::config::{ImageWeights, Schedule, TrainConfig};
use super::sampling::Sample;
use crate::augment::{Augmentation, Step};
use crate::loss::{DEFAULT_SMOOTH, LossName, Reduction};
use crate::network::{Encoder, Family, FrozenBatchNorm, RetrainFrom};

/// Everything that decides a run's outcome, each as far as it is given.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Prepared training set (see `nephrotrain prepare`)
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Start from these weights: a checkpoint, Keras .h5, safetensors or PyTorch .pth, told apart by content; a file with an
    /// encoder alone leaves the decoder as initialised (see docs/weights.md)
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// resnet18, resnet34, resnet50, resnet101 or resnet152; torchvision-resnet18 and so on are post-activation and no part of
    /// the paper [paper: resnet101]
    #[arg(long)]
    pub encoder: Option<Encoder>,
    /// Input channels: 1, or 3 [paper: 1; with --weights those of the file]
    #[arg(long)]
    pub channels: Option<usize>,
    /// Fill the three input channels with the slice between its two neighbours [paper: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub neighbours: Option<bool>,
    /// Factor on the [0, 1] pixels: 1, or 255 [paper: 1; with --weights what the file was trained on]
    #[arg(long)]
    pub input_scale: Option<u16>,
    /// Put a trainable 1x1 convolution from the input channels to the encoder's three in front [paper: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub input_adapter: Option<bool>,
    /// ce, wce (the paper's weights), wce-computed (median frequency), wce-image (the same for each image alone), dice,
    /// or dice-ce (Dice plus cross entropy) [paper: dice]
    #[arg(long)]
    pub loss: Option<LossName>,
    /// Focusing exponent of the Dice loss; 1 is the plain Dice loss [paper: 0.5]
    #[arg(long)]
    pub gamma: Option<f64>,
    /// Added to the Dice's numerator and denominator [paper: 0.00001]
    #[arg(long)]
    pub smooth: Option<f64>,
    /// Dice per image or over the whole batch [paper: image]
    #[arg(long, value_enum)]
    pub reduction: Option<Reduction>,
    /// Class weights of wce-image lie between 1 / N and N [paper: 10, unused]
    #[arg(long, value_name = "N")]
    pub weight_bound: Option<f64>,
    /// Epochs of the whole run [paper: 150]
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Images per step [paper: 24]
    #[arg(long)]
    pub batch: Option<usize>,
    /// Go through a step's images in N passes and sum the gradients, or in as few passes as fit: auto [paper: 1]
    #[arg(long, value_name = "N|auto")]
    pub accumulate: Option<Accumulate>,
    /// Learning rate [paper: 0.00001]
    #[arg(long)]
    pub lr: Option<f64>,
    /// How the learning rate goes over the run [paper: constant]
    #[arg(long, value_enum)]
    pub schedule: Option<Schedule>,
    /// Share of the run's steps in which the learning rate rises from nearly 0 [paper: 0]
    #[arg(long, value_name = "SHARE")]
    pub warm_up: Option<f64>,
    /// Exponent of the polynomial schedule [paper: 0.9, unused]
    #[arg(long)]
    pub power: Option<f64>,
    /// Decay of a moving average of the weights, which validation, evaluation and export then take, such as 0.999; 0 for none [paper: 0]
    #[arg(long, value_name = "DECAY")]
    pub ema: Option<f64>,
    /// First encoder layer that trains: all, stage1, stage2, stage3, stage3-unit12, stage4 or a layer's name [paper: all]
    #[arg(long)]
    pub retrain_from: Option<RetrainFrom>,
    /// What batch norms before that layer do [paper: stored]
    #[arg(long, value_enum)]
    pub frozen_batch_norm: Option<FrozenBatchNorm>,
    /// What an image counts in the loss [paper: patient]
    #[arg(long, value_enum)]
    pub image_weights: Option<ImageWeights>,
    /// Which slices an epoch shows [paper: all]
    #[arg(long, value_enum)]
    pub sample: Option<Sample>,
    /// Share of the images that are augmented [paper: 0.75]
    #[arg(long)]
    pub augment_share: Option<f64>,
    /// Train on random windows of this many pixels; 0 for whole images [paper: 0]
    #[arg(long, value_name = "PIXELS")]
    pub crop: Option<usize>,
    /// Take a data folder's images N times an epoch
    #[arg(long, value_name = "FOLDER=N")]
    pub repeat: Option<Vec<Repeat>>,
    /// Seed of initial weights, order and augmentation [paper: 2019]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Evaluation: average the probabilities over the image and its mirror images [paper: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub flips: Option<bool>,
    /// Evaluation: remove small components, with sizes chosen on the validation split [paper: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub remove_small: Option<bool>,
    /// Augmentation: none, library, ct, small-data, or a TOML file; a settings file may hold the steps themselves [paper: ct]
    #[arg(long, value_name = "NAME|FILE")]
    pub augment: Option<AugmentChoice>,
}

/// How often a data folder's images come in an epoch; in words `FOLDER=N`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Repeat {
    /// Name of the data folder.
    pub folder: String,
    /// How often, 0 for not at all.
    pub times: usize,
}

impl FromStr for Repeat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('=').and_then(|(folder, times)| {
            Some(Self {
                folder: folder.to_owned(),
                times: times.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| format!("`{text}` is not FOLDER=N, such as phantoms=2"))
    }
}

impl TryFrom<String> for Repeat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Repeat> for String {
    fn from(v: Repeat) -> Self {
        format!("{}={}", v.folder, v.times)
    }
}

/// An augmentation by the name of a preset or file, or step by step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AugmentChoice {
    /// A preset, or a TOML file.
    Named(String),
    /// The steps themselves.
    Steps(Vec<Step>),
}

impl FromStr for AugmentChoice {
    type Err = std::convert::Infallible;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(Self::Named(name.to_owned()))
    }
}

// By hand, because an untagged enum would swallow what is wrong within a step.
impl<'de> Deserialize<'de> for AugmentChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;
        impl<'de> Visitor<'de> for Choice {
            type Value = AugmentChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an augmentation, a TOML file, or a list of steps")
            }

            fn visit_str<E>(self, name: &str) -> Result<AugmentChoice, E> {
                Ok(AugmentChoice::Named(name.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, steps: A) -> Result<AugmentChoice, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(steps)).map(AugmentChoice::Steps)
            }
        }
        deserializer.deserialize_any(Choice)
    }
}

/// Settings by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// As in the paper.
    #[default]
    Paper,
    /// The options beyond it that helped in docs/benchmark.md.
    Best,
}

impl Preset {
    /// The settings in which the preset is not the paper's.
    pub fn settings(self) -> Settings {
        match self {
            Self::Paper => Settings::default(),
            Self::Best => Settings {
                loss: Some(LossName::DiceCe),
                schedule: Some(Schedule::Cosine),
                warm_up: Some(0.05),
                ..Settings::default()
            },
        }
    }
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read or holds something else.
    #[error("the settings file {path} cannot be used: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why; names the key and what is allowed.
        reason: String,
    },
    /// No training set is named.
    #[error("no training set is given: name one with --data, or with `data` in the settings file")]
    Data,
    /// A setting cannot work.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A setting that cannot work, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{key} {rule}")]
pub struct Fault {
    /// Name of the setting: the flag without its dashes, and the key in a file.
    pub key: &'static str,
    /// What it must be, and what it is.
    pub rule: String,
}

impl Fault {
    pub(super) fn new(key: &'static str, rule: impl Into<String>) -> Self {
        let rule = rule.into();
        Self { key, rule }
    }
}

/// Every setting of `$over`, or else of `$base`. The pattern names all fields, so that none can be forgotten.
macro_rules! merge {
    ($over:ident, $base:ident: $($field:ident),+ $(,)?) => {{
        let Settings { $($field),+ } = $over;
        Settings { $($field: $field.or($base.$field)),+ }
    }};
}

impl Settings {
    /// Reads a settings file. Paths in it are, like those of flags, relative to the current folder.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let file = |reason: String| SettingsError::File {
            path: path.to_owned(),
            reason,
        };
        crate::toml_file::read(path).map_err(file)
    }

    /// These settings, and where they say nothing those of `base`.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        merge!(self, base: data, weights, encoder, channels, neighbours, input_scale, input_adapter, loss, gamma, smooth,
            reduction, weight_bound, epochs, batch, accumulate, lr, schedule, warm_up, power, ema, retrain_from,
            frozen_batch_norm, image_weights, sample, augment_share, crop, repeat, seed, flips, remove_small, augment)
    }

    /// Names of the settings that are given.
    pub fn keys(&self) -> Vec<String> {
        let table = toml::Table::try_from(self).unwrap_or_default();
        table.keys().cloned().collect()
    }

    /// The run's settings: what is not given is as in the paper.
    pub fn resolve(self) -> Result<TrainConfig, SettingsError> {
        let absolute = |key, path: PathBuf| {
            let rule = |e| Fault::new(key, format!("is not a path that can be used: {e}"));
            std::path::absolute(path).map_err(rule)
        };
        let share = self.augment_share.unwrap_or(0.75);
        let augmentation = match self.augment {
            None => Augmentation::named("ct", share),
            Some(AugmentChoice::Named(name)) => Augmentation::named(&name, share),
            Some(AugmentChoice::Steps(steps)) => Ok(Augmentation { share, steps }),
        };
        let weights = self.weights.map(|w| absolute("weights", w)).transpose()?;
        let encoder = self.encoder.unwrap_or(Encoder::ResNet101);
        let input_adapter = self.input_adapter.unwrap_or(false);
        let rgb = encoder.family() == Family::Torchvision && !input_adapter;
        Ok(TrainConfig {
            data: absolute("data", self.data.ok_or(SettingsError::Data)?)?,
            weights,
            encoder,
            channels: self.channels.unwrap_or(if rgb { 3 } else { 1 }),
            neighbours: self.neighbours.unwrap_or(false),
            input_scale: self.input_scale.unwrap_or(1),
            input_adapter,
            loss: self.loss.unwrap_or(LossName::Dice),
            gamma: self.gamma.unwrap_or(0.5),
            smooth: self.smooth.unwrap_or(DEFAULT_SMOOTH),
            reduction: self.reduction.unwrap_or_default(),
            weight_bound: self.weight_bound.unwrap_or(10.0),
            epochs: self.epochs.unwrap_or(150),
            batch: self.batch.unwrap_or(24),
            accumulate: self.accumulate.unwrap_or_default(),
            learning_rate: self.lr.unwrap_or(1e-5),
            schedule: self.schedule.unwrap_or_default(),
            warm_up: self.warm_up.unwrap_or(0.0),
            power: self.power.unwrap_or(0.9),
            ema: self.ema.unwrap_or(0.0),
            retrain_from: self.retrain_from.unwrap_or_else(RetrainFrom::all),
            frozen_batch_norm: self.frozen_batch_norm.unwrap_or_default(),
            image_weights: self.image_weights.unwrap_or_default(),
            sample: self.sample.unwrap_or_default(),
            augmentation: augmentation
                .map_err(|e| Fault::new("augment", format!("cannot be used: {e}")))?,
            crop: self.crop.filter(|&pixels| pixels > 0),
            repeat: self.repeat.unwrap_or_default(),
            seed: self.seed.unwrap_or(crate::data::DEFAULT_SEED),
            flips: self.flips.unwrap_or(false),
            remove_small: self.remove_small.unwrap_or(false),
        })
    }

    /// As a file's content.
    pub fn to_toml(&self) -> String {
        // Plain data: every field has a form in TOML.
        let text = toml::to_string(self).unwrap_or_default();
        format!("# Settings of a run: the names are the flags of `nephrotrain train`.\n{text}")
    }
}

impl From<&TrainConfig> for Settings {
    /// All settings of a run, those that are as in the paper too.
    fn from(config: &TrainConfig) -> Self {
        let c = config.clone();
        Self {
            data: Some(c.data),
            weights: c.weights,
            encoder: Some(c.encoder),
            channels: Some(c.channels),
            neighbours: Some(c.neighbours),
            input_scale: Some(c.input_scale),
            input_adapter: Some(c.input_adapter),
            loss: Some(c.loss),
            gamma: Some(c.gamma),
            smooth: Some(c.smooth),
            reduction: Some(c.reduction),
            weight_bound: Some(c.weight_bound),
            epochs: Some(c.epochs),
            batch: Some(c.batch),
            accumulate: Some(c.accumulate),
            lr: Some(c.learning_rate),
            schedule: Some(c.schedule),
            warm_up: Some(c.warm_up),
            power: Some(c.power),
            ema: Some(c.ema),
            retrain_from: Some(c.retrain_from),
            frozen_batch_norm: Some(c.frozen_batch_norm),
            image_weights: Some(c.image_weights),
            sample: Some(c.sample),
            augment_share: Some(c.augmentation.share),
            crop: Some(c.crop.unwrap_or(0)),
            repeat: Some(c.repeat),
            seed: Some(c.seed),
            flips: Some(c.flips),
            remove_small: Some(c.remove_small),
            augment: Some(AugmentChoice::Steps(c.augmentation.steps)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, text).unwrap();
        Settings::read(&path)
    }

    #[test]
    fn what_nobody_says_is_as_in_the_paper() {
        let paper = Settings {
            data: Some("set".into()),
            ..Preset::Paper.settings()
        }
        .resolve()
        .unwrap();
        assert_eq!(paper.encoder, Encoder::ResNet101);
        assert_eq!((paper.loss, paper.gamma), (LossName::Dice, 0.5));
        assert_eq!((paper.epochs, paper.batch), (150, 24));
        assert_eq!(
            (paper.learning_rate, paper.schedule),
            (1e-5, Schedule::Constant)
        );
        assert_eq!(
            paper.augmentation,
            Augmentation::preset("ct", 0.75).unwrap()
        );
        assert_eq!((paper.crop, paper.warm_up), (None, 0.0));
        assert_eq!(Settings::default().resolve(), Err(SettingsError::Data));
    }

    #[test]
    fn a_flag_goes_over_the_file_and_the_file_over_the_preset() {
        let file =
            parse("gamma = 2\nschedule = \"polynomial\"\nrepeat = [\"phantoms=2\"]").unwrap();
        let flags = Settings {
            data: Some("set".into()),
            gamma: Some(3.0),
            ..Settings::default()
        };
        let config = flags
            .over(file)
            .over(Preset::Best.settings())
            .resolve()
            .unwrap();
        assert_eq!(config.gamma, 3.0);
        assert_eq!(config.schedule, Schedule::Polynomial);
        assert_eq!((config.loss, config.warm_up), (LossName::DiceCe, 0.05));
        assert_eq!(config.repeat[0], "phantoms=2".parse().unwrap());
    }

    #[test]
    fn resolved_settings_written_out_resolve_to_themselves() {
        for preset in [Preset::Paper, Preset::Best] {
            let settings = Settings {
                data: Some("set".into()),
                weights: Some("w.safetensors".into()),
                crop: Some(128),
                accumulate: Some(Accumulate::Auto),
                repeat: Some(vec!["phantoms=0".parse().unwrap()]),
                ..preset.settings()
            };
            let config = settings.resolve().unwrap();
            let text = Settings::from(&config).to_toml();
            assert_eq!(parse(&text).unwrap().resolve().unwrap(), config, "{text}");
        }
    }

    #[test]
    fn steps_of_an_augmentation_stand_in_the_file_itself() {
        let text = "data = \"set\"\naugment-share = 1.0\n\n[[augment]]\nchance = 0.3\n\
                    transform = { rotate = { degrees = 12.0 } }\n\n[[augment]]\nchance = 0.5\ntransform = { flip = {} }";
        let config = parse(text).unwrap().resolve().unwrap();
        assert_eq!(config.augmentation.share, 1.0);
        assert_eq!(config.augmentation.steps.len(), 2);
        assert_eq!(config.augmentation.steps[0].chance, 0.3);
        let error = parse("[[augment]]\nchance = 0.3\ntransform = { rotate = { degree = 12.0 } }");
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("degree") && error.contains("degrees"),
            "{error}"
        );
    }

    #[test]
    fn an_error_names_the_file_the_key_and_what_is_allowed() {
        for (text, key, allowed) in [
            ("learning-rate = 1", "learning-rate", "`lr`"),
            ("encoder = \"resnet19\"", "encoder", "resnet18"),
            ("loss = \"focal\"", "loss", "wce-computed"),
            ("batch = -1", "batch", "usize"),
            ("accumulate = 0", "accumulate", "auto"),
            ("schedule = \"falling\"", "schedule", "cosine"),
            ("repeat = [\"phantoms\"]", "repeat", "FOLDER=N"),
            ("augment = 3", "augment", "a list of steps"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            for part in ["mine.toml", key, allowed] {
                assert!(error.contains(part), "{part} in: {error}");
            }
        }
        let named = parse("data = \"set\"\naugment = \"ctt\"")
            .unwrap()
            .resolve();
        let error = named.unwrap_err().to_string();
        assert!(
            error.contains("--augment") && error.contains("small-data"),
            "{error}"
        );
    }
}
