//! `metrics.json` of an evaluation, as it is written by `evaluate` and read by `report`.

use std::fs;
use std::path::Path;

use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::{ClassScores, PerClass, Scores};
use serde::{Deserialize, Serialize};

use crate::network::Encoder;
use crate::small_parts::Smallest;

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Part of the split: train, validation or test.
    pub split: String,
    /// Which state of the run: last or best.
    pub checkpoint: String,
    /// Encoder of the network.
    pub encoder: Encoder,
    /// Rows, and columns, of the slices.
    pub resolution: usize,
    /// Whether labels are from the mean over four mirror images.
    #[serde(default)]
    pub flips: bool,
    /// Components below these sizes were taken away.
    #[serde(default)]
    pub smallest_component_pixels: Smallest,
    /// Scores in all readings.
    pub scores: Scores,
    /// `[truth][prediction]`, each slice with its patient's weight.
    pub confusion_patient_weighted: [[f64; Class::COUNT]; Class::COUNT],
    /// The same, each row divided by its sum; `None` for a class that the truth lacks.
    pub confusion_row_normalised: [Option<[f64; Class::COUNT]>; Class::COUNT],
    /// Every case.
    pub cases: Vec<CaseResult>,
    /// Worst and best cases with a picture each.
    #[serde(default)]
    pub extremes: Vec<Extreme>,
}

/// One case of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Its name.
    pub case: String,
    /// Scores over all its pixels.
    pub scores: PerClass<ClassScores>,
    /// Pixels, `[truth][prediction]`.
    pub confusion: [[f64; Class::COUNT]; Class::COUNT],
}

/// Which end of the ranking a case is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Lowest scores.
    Worst,
    /// Highest scores.
    Best,
}

/// A case at one end of the ranking and the slice that stands for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extreme {
    /// Which end.
    pub kind: Kind,
    /// Name of the case.
    pub case: String,
    /// Mean of kidney and tumour Dice over all its pixels.
    pub case_score: f64,
    /// Slice number in its volume.
    pub slice: u32,
    /// Dice of the kidney in this slice.
    pub kidney_dice: Option<f64>,
    /// Dice of the tumour in this slice.
    pub tumour_dice: Option<f64>,
    /// Picture beside the file: plain, truth, prediction.
    pub picture: String,
}

impl Results {
    /// Reads a `metrics.json`.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))?;
        serde_json::from_str(&text)
            .map_err(|e| format!("is not what this version of `nephrotrain evaluate` writes: {e}"))
    }
}
