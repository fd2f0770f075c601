//! Augmentations as data: transforms with their parameters, presets, and what makes a setting impossible.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::blur::{BoxBlur, GaussianBlur, MedianBlur, MotionBlur};
use super::brightness_contrast::{Brightness, Contrast};
use super::compression::{Compression, Downscale};
use super::crop_or_pad::CropOrPad;
use super::elastic::Elastic;
use super::exposure::Exposure;
use super::flip::Flip;
use super::gamma::Gamma;
use super::grid_distortion::GridDistortion;
use super::noise::{GaussNoise, MultiplicativeNoise};
use super::placement::Placement;
use super::rotate::{Rotate, ShiftScaleRotate};
use super::{Sample, Spare};
use crate::closed_form::Stream;

/// Which images are changed, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Share of images that are changed at all, 0 to 1: the paper's "data augmentation proportion".
    pub share: f64,
    /// The transforms in their order; none leaves every image as it is.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// One transform of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Probability within an image that is changed at all.
    pub chance: f64,
    /// What is done, and its parameters; those left out have the library's defaults.
    pub transform: Transform,
}

macro_rules! transforms {
    ($($(#[$doc:meta])* $name:ident: $how:tt),+ $(,)?) => {
        /// A transform with its parameters.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Transform {
            $($(#[$doc])* $name($name)),+
        }

        impl Transform {
            /// All transforms with the library's default parameters, each with the name of its type.
            pub fn all() -> Vec<(&'static str, Self)> {
                vec![$((stringify!($name), Self::$name($name::default()))),+]
            }

            /// Draws parameters and changes the sample.
            pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
                match self {
                    $(Self::$name(t) => transforms!(@call t, sample, spare, draw, $how)),+
                }
            }
        }
    };
    // Some transforms need spare buffers, one draws nothing.
    (@call $t:ident, $sample:ident, $spare:ident, $draw:ident, in_place) => { $t.apply($sample, $draw) };
    (@call $t:ident, $sample:ident, $spare:ident, $draw:ident, buffered) => { $t.apply($sample, $spare, $draw) };
    (@call $t:ident, $sample:ident, $spare:ident, $draw:ident, fixed) => { $t.apply($sample, $spare) };
}

transforms! {
    /// The paper's "flip".
    Flip: in_place,
    /// The paper's "rotation".
    Rotate: buffered,
    /// A companion of the library.
    ShiftScaleRotate: buffered,
    /// The paper's "elastic transformation".
    Elastic: buffered,
    /// The paper's "grid distortion".
    GridDistortion: buffered,
    /// The paper's "crop or pad".
    CropOrPad: buffered,
    /// The paper's "brightness".
    Brightness: in_place,
    /// The paper's "contrast".
    Contrast: in_place,
    /// The paper's "gamma".
    Gamma: in_place,
    /// The paper's "blurring".
    GaussianBlur: buffered,
    /// Another reading of "blurring".
    BoxBlur: buffered,
    /// A companion of the library.
    MedianBlur: buffered,
    /// A companion of the library.
    MotionBlur: buffered,
    /// The paper's "noise".
    GaussNoise: in_place,
    /// A companion of the library.
    MultiplicativeNoise: in_place,
    /// The paper's "compression artefacts".
    Compression: in_place,
    /// A companion of the library.
    Downscale: fixed,
    /// Not in the paper: flip, rotation, scale and shift as patients differ.
    Placement: buffered,
    /// Not in the paper: gain, offset, gamma, kernel, noise and clipping as scanners differ.
    Exposure: buffered,
}

/// A file's content.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pipeline {
    #[serde(default)]
    steps: Vec<Step>,
}

/// Names of the presets, with what each is.
pub const PRESETS: [(&str, &str); 4] = [
    ("none", "images as they are"),
    (
        "library",
        "the paper's list with the library's default parameters; its noise is meant for grey levels 0 to 255 and \
         leaves nothing of an image",
    ),
    (
        "ct",
        "the paper's list with parameters that suit CT slices in [0, 1]",
    ),
    (
        "small-data",
        "for few patients and mixed sources: placement and exposure",
    ),
];

/// The paper's list in the paper's order, each with probability 1/2.
fn paper(elastic: Elastic, noise: GaussNoise, compression: Compression) -> Vec<Step> {
    [
        Transform::Flip(Flip::default()),
        Transform::Rotate(Rotate::default()),
        Transform::Elastic(elastic),
        Transform::GridDistortion(GridDistortion::default()),
        Transform::CropOrPad(CropOrPad::default()),
        Transform::Brightness(Brightness::default()),
        Transform::Contrast(Contrast::default()),
        Transform::Gamma(Gamma::default()),
        Transform::GaussianBlur(GaussianBlur::default()),
        Transform::GaussNoise(noise),
        Transform::Compression(compression),
    ]
    .map(|transform| Step {
        chance: 0.5,
        transform,
    })
    .to_vec()
}

impl Augmentation {
    /// The preset of that name, changing `share` of the images.
    pub fn preset(name: &str, share: f64) -> Option<Self> {
        let grey = 255.0 * 255.0;
        let steps = match name {
            "none" => Vec::new(),
            "library" => paper(
                Elastic::default(),
                GaussNoise::default(),
                Compression::default(),
            ),
            "ct" => paper(
                Elastic {
                    alpha: 120.0,
                    sigma: 6.0,
                    affine: [4.0, 10.0],
                },
                GaussNoise {
                    variance: [10.0 / grey, 50.0 / grey],
                },
                Compression { quality: [60, 100] },
            ),
            "small-data" => [
                Transform::Placement(Placement::default()),
                Transform::Exposure(Exposure::default()),
            ]
            .map(|transform| Step {
                chance: 1.0,
                transform,
            })
            .to_vec(),
            _ => return None,
        };
        Some(Self { share, steps })
    }

    /// A preset by its name, or the pipeline in a TOML file, changing `share` of the images.
    pub fn named(name: &str, share: f64) -> Result<Self, SettingsError> {
        if let Some(preset) = Self::preset(name, share) {
            return Ok(preset);
        }
        let file = |reason: String| SettingsError::File {
            name: name.to_owned(),
            reason,
        };
        if Path::new(name).extension().is_none_or(|e| e != "toml") {
            return Err(SettingsError::Name(name.to_owned()));
        }
        let Pipeline { steps } = crate::toml_file::read(name.as_ref()).map_err(file)?;
        Ok(Self { share, steps })
    }

    /// Refuses parameters that cannot work.
    pub fn check(&self) -> Result<(), SettingsError> {
        if !(0.0..=1.0).contains(&self.share) {
            return Err(SettingsError::Share(self.share));
        }
        for step in &self.steps {
            let wrong = if (0.0..=1.0).contains(&step.chance) {
                step.transform.fault()
            } else {
                Some("chance lies between 0 and 1")
            };
            if let Some(rule) = wrong {
                return Err(SettingsError::Parameter { step: *step, rule });
            }
        }
        Ok(())
    }
}

impl Transform {
    /// The rule that the parameters break.
    fn fault(self) -> Option<&'static str> {
        let share = |v: f64| (0.0..=1.0).contains(&v);
        let size = |v: f64| v.is_finite() && v >= 0.0;
        let range = |[low, high]: [f64; 2]| size(low) && size(high) && low <= high;
        let odd = |n: usize, most: usize| n >= 3 && n % 2 == 1 && n <= most;
        let (holds, rule) = match self {
            Self::Flip(_) | Self::GaussianBlur(_) => (true, ""),
            Self::Rotate(t) => (size(t.degrees), "degrees is 0 or more"),
            Self::ShiftScaleRotate(t) => (
                size(t.degrees) && size(t.scale) && t.scale < 1.0 && share(t.shift),
                "degrees is 0 or more, scale is 0 or more and below 1, shift lies between 0 and 1",
            ),
            Self::Elastic(t) => (
                size(t.alpha) && size(t.sigma) && t.sigma >= 0.1 && range(t.affine),
                "alpha is 0 or more, sigma at least 0.1, affine a range of pixels from 0 up",
            ),
            Self::GridDistortion(t) => (
                (1..=32).contains(&t.steps) && size(t.limit) && t.limit < 1.0,
                "steps lies between 1 and 32, limit is 0 or more and below 1",
            ),
            Self::CropOrPad(t) => (
                size(t.limit) && t.limit < 0.5,
                "limit is 0 or more and below 0.5",
            ),
            Self::Brightness(Brightness { limit }) | Self::Contrast(Contrast { limit }) => {
                (share(limit), "limit lies between 0 and 1")
            }
            Self::Gamma(t) => (
                t.percent[0] >= 1 && t.percent[0] <= t.percent[1],
                "percent is a range from 1 up",
            ),
            Self::BoxBlur(BoxBlur { largest }) | Self::MotionBlur(MotionBlur { largest }) => {
                (odd(largest, 31), "largest is odd, from 3 to 31")
            }
            Self::MedianBlur(t) => (odd(t.largest, 5), "largest is 3 or 5"),
            Self::GaussNoise(t) => (range(t.variance), "variance is a range from 0 up"),
            Self::MultiplicativeNoise(t) => (range(t.factor), "factor is a range from 0 up"),
            Self::Compression(t) => (
                (1..=100).contains(&t.quality[0])
                    && t.quality[1] <= 100
                    && t.quality[0] <= t.quality[1],
                "quality is a range within 1 to 100",
            ),
            Self::Downscale(t) => (
                share(t.scale) && t.scale > 0.0,
                "scale is above 0 and at most 1",
            ),
            Self::Placement(t) => (
                share(t.flip)
                    && size(t.degrees)
                    && range(t.scale)
                    && t.scale[0] > 0.0
                    && size(t.aspect)
                    && t.aspect < 1.0
                    && share(t.shift),
                "flip and shift lie between 0 and 1, degrees is 0 or more, scale a range above 0, aspect below 1",
            ),
            Self::Exposure(t) => (
                range(t.gain)
                    && size(t.offset)
                    && range(t.gamma)
                    && size(t.noise)
                    && share(t.smooth)
                    && share(t.clip),
                "gain and gamma are ranges from 0 up, offset and noise are 0 or more, smooth and clip lie between 0 and 1",
            ),
        };
        (!holds).then_some(rule)
    }
}

/// Why an augmentation cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// No preset has this name.
    #[error("no augmentation is called `{0}`; choose {names}, or give a TOML file", names = names())]
    Name(String),
    /// A pipeline's file is not readable or not understood.
    #[error("the augmentation file {name} cannot be used: {reason}")]
    File {
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
    /// The share of changed images is no share.
    #[error("--augment-share lies between 0 and 1, not {0}")]
    Share(f64),
    /// A transform's parameters cannot work.
    #[error("the augmentation `{step}` cannot work: {rule}")]
    Parameter {
        /// The transform.
        step: Step,
        /// What its parameters must be.
        rule: &'static str,
    },
}

fn names() -> String {
    PRESETS.map(|(name, _)| name).join(", ")
}

/// A value as in a config file, numbers to four digits.
fn short(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(values) => {
            let values: Vec<String> = values.iter().map(short).collect();
            format!("[{}]", values.join(", "))
        }
        serde_json::Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let digits = format!("{number:.3e}");
            digits.parse::<f64>().unwrap_or(number).to_string()
        }
        other => other.to_string(),
    }
}

impl fmt::Display for Transform {
    /// Name and parameters in the names of a config file, numbers to four digits: `rotate { degrees = 90 }`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = serde_json::to_value(self).map_err(|_| fmt::Error)?;
        let (name, parameters) = value
            .as_object()
            .and_then(|o| o.iter().next())
            .ok_or(fmt::Error)?;
        let parameters = parameters.as_object().into_iter().flatten();
        let parameters: Vec<String> = parameters
            .map(|(k, v)| format!("{k} = {}", short(v)))
            .collect();
        match parameters.as_slice() {
            [] => f.write_str(name),
            some => write!(f, "{name} {{ {} }}", some.join(", ")),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys and values of a config file, written as JSON, which is one line.
        let text = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}
