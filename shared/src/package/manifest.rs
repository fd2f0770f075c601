//! What a package says about its model.
//!
//! Encoded with postcard, which stores fields by position: the rules for changing these structs are in
//! `docs/formats/package.md`. In short, within a major version new fields go to the end of [`Manifest`] only.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::PackageError;
use crate::metrics::{PerClass, Scores, SpreadSummary};
use crate::{class::Class, preprocess::Preprocess};

/// Longest name of a model or an encoder, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Most self-test slices; a quantised model is exported with 1 to 16.
pub const MAX_SELF_TESTS: usize = 64;
/// Largest side of the network's input and of a self-test slice, in pixels.
pub const MAX_SIDE: usize = 4096;

/// Everything a package says about its model besides the network itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The model's name, for people; not empty.
    pub name: String,
    /// The model's version; a box replaces a model only by one with a higher version.
    pub version: u64,
    /// The network's encoder, such as "resnet18".
    pub encoder: String,
    /// How a slice becomes the network's input.
    pub input: Input,
    /// What the network's output channels mean, in order.
    pub classes: Vec<ClassEntry>,
    /// Where the model comes from.
    pub training: Training,
    /// What it scored on its test split.
    pub scores: TestScores,
    /// How it was quantised, for an int8 model.
    pub calibration: Option<Calibration>,
    /// Slices with the exact label maps the program must produce; may be empty.
    pub self_test: Vec<SelfTest>,
}

/// How a slice becomes the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Window, normalisation and size.
    pub preprocess: Preprocess,
    /// Input channels, 1 to 3: the same image is given as often. Trained networks have 1 or 3; a quantised one needs
    /// only 1, or 2 if its second is made into ones.
    pub channels: u8,
    /// What the normalised image is multiplied by: 1, or 255 for weights that were made with 8-bit images.
    pub scale: u16,
}

/// One output channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassEntry {
    /// The label written for it; equal to the channel's number.
    pub label: u8,
    /// Its name.
    pub name: String,
}

/// Where a model comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Training {
    /// Fingerprint of the data set, as `nephrotrain prepare` prints it.
    pub dataset_fingerprint: String,
    /// Who was trained on and who was held back.
    pub split: Split,
    /// Seed of the run.
    pub seed: u64,
    /// Loss, epochs, learning rate and so on, as the command line names them.
    pub hyperparameters: Vec<KeyValue>,
    /// Revision of this project's source.
    pub source_revision: String,
    /// Licence notice of the training data, which binds the model too; not empty.
    pub licence_notice: String,
}

/// A split of patients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Its name or file.
    pub name: String,
    /// Trained on.
    pub train: Share,
    /// Used to choose among checkpoints and settings.
    pub validation: Share,
    /// Held back, and scored once.
    pub test: Share,
}

/// The size of one part of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Patients.
    pub patients: u32,
    /// Slices.
    pub slices: u32,
}

/// A setting by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// Its name.
    pub key: String,
    /// Its value, as it would be given on a command line.
    pub value: String,
}

/// Scores on the test split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestScores {
    /// Of the network in floating point; `None` if it was not measured.
    pub float: Option<Scores>,
    /// Of the int8 program; `None` for a model without one.
    pub int8: Option<Scores>,
}

/// How a model was quantised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// Name of the method.
    pub method: String,
    /// Slices it looked at.
    pub slices: u32,
    /// Fingerprint of the data set they came from.
    pub dataset_fingerprint: String,
    /// Its settings.
    pub parameters: Vec<KeyValue>,
}

/// A slice and what must come out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Rows of the slice.
    pub rows: u32,
    /// Columns of the slice.
    pub cols: u32,
    /// The slice in HU, `rows x cols`.
    pub hu: Vec<i16>,
    /// The label map at the same size.
    pub labels: Vec<u8>,
}

impl Manifest {
    /// The class map of this format version: channel number = KiTS label.
    pub fn kits_classes() -> Vec<ClassEntry> {
        Class::ALL
            .iter()
            .map(|class| ClassEntry {
                label: class.label(),
                name: class.name().into(),
            })
            .collect()
    }

    /// Refuses values that no model can have. Reader and writer both call this.
    pub fn check(&self) -> Result<(), PackageError> {
        let require = |fine: bool, field, problem| {
            if fine {
                Ok(())
            } else {
                Err(PackageError::Manifest { field, problem })
            }
        };
        let said = |text: &str| !text.trim().is_empty();
        for (field, text) in [
            ("the model's name", &self.name),
            ("the encoder", &self.encoder),
        ] {
            require(said(text), field, "is empty")?;
            // They stand in listings, logs and on the panel.
            let plain = text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control);
            require(
                plain,
                field,
                "is longer than 128 bytes or holds control characters",
            )?;
        }
        require(
            said(&self.training.licence_notice),
            "the training data's licence notice",
            "is empty",
        )?;
        require(
            self.input.preprocess.check().is_ok(),
            "the preprocessing",
            "has an empty window or size",
        )?;
        let side = |side: usize| (1..=MAX_SIDE).contains(&side);
        require(
            side(self.input.preprocess.rows) && side(self.input.preprocess.cols),
            "the preprocessing",
            "makes images of more than 4096 pixels a side",
        )?;
        require(
            matches!(self.input.channels, 1..=3),
            "the number of input channels",
            "is none of 1, 2 and 3",
        )?;
        require(
            matches!(self.input.scale, 1 | 255),
            "the input scale",
            "is neither 1 nor 255",
        )?;
        require(
            self.classes == Self::kits_classes(),
            "the class map",
            "is not background, kidney, tumour",
        )?;
        let scores = [&self.scores.float, &self.scores.int8];
        require(
            scores.into_iter().flatten().all(are_shares),
            "a test score",
            "is not a number from 0 to 1",
        )?;
        require(
            self.self_test.len() <= MAX_SELF_TESTS,
            "the self-test",
            "has more than 64 slices",
        )?;
        for test in &self.self_test {
            let pixels = u64::from(test.rows) * u64::from(test.cols);
            require(
                side(test.rows as usize) && side(test.cols as usize),
                "a self-test slice",
                "does not have 1 to 4096 pixels a side",
            )?;
            require(
                pixels > 0 && test.hu.len() as u64 == pixels && test.labels.len() as u64 == pixels,
                "a self-test slice",
                "does not have the pixels of its size",
            )?;
            require(
                test.labels
                    .iter()
                    .all(|&label| Class::from_label(label).is_some()),
                "a self-test label map",
                "holds a label other than 0, 1 and 2",
            )?;
        }
        Ok(())
    }
}

/// Whether all scores lie in 0 to 1, but for the last bits of a mean.
fn are_shares(scores: &Scores) -> bool {
    const MOST: f64 = 1.0 + 1e-9;
    fn each<T>(of: &PerClass<T>) -> [&T; 3] {
        [&of.background, &of.kidney, &of.tumour]
    }
    let share = |value: Option<f64>| value.is_none_or(|value| (0.0..=MOST).contains(&value));
    let spread = |of: SpreadSummary| share(of.mean) && share(of.population_deviation);
    let kits = &scores.kits;
    let mut pooled = each(&scores.paper).into_iter().chain(each(&scores.pooled));
    pooled.all(|of| [of.dice, of.recall, of.precision].into_iter().all(share))
        && each(&scores.per_case)
            .into_iter()
            .all(|of| [of.dice, of.recall, of.precision].into_iter().all(spread))
        && [
            kits.kidney_and_tumour_dice,
            kits.tumour_dice,
            kits.composite_dice,
        ]
        .into_iter()
        .all(spread)
}
