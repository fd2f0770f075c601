//! The model as a report names it.

use alloc::{
    format,
    string::{String, ToString},
};

use serde::{Deserialize, Serialize};

use crate::{
    class::Class,
    metrics::{Scores, SpreadSummary},
    package::Manifest,
};

/// The model that outlined a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// BLAKE3 of its package in hexadecimal digits.
    pub blake3: String,
    /// Its encoder.
    pub encoder: String,
    /// Licence notice of its training data.
    pub licence_notice: String,
    /// What it scored on its test split, in one line.
    pub test_scores: String,
}

impl ModelInfo {
    /// The model of a package. `scores` are those of the program that ran, float or int8.
    pub fn new(manifest: &Manifest, package_hash: &[u8; 32], scores: Option<&Scores>) -> Self {
        Self {
            name: manifest.name.clone(),
            version: manifest.version,
            blake3: blake3::Hash::from_bytes(*package_hash).to_hex().to_string(),
            encoder: manifest.encoder.clone(),
            licence_notice: manifest.training.licence_notice.clone(),
            test_scores: scores.map_or_else(|| "not measured".into(), line),
        }
    }
}

/// Dice of kidney and tumour in the paper's reading and per case, and the challenge's, named apart.
fn line(scores: &Scores) -> String {
    let value =
        |dice: Option<f64>| dice.map_or_else(|| "undefined".into(), |dice| format!("{dice:.3}"));
    let spread = |dice: &SpreadSummary| match (dice.mean, dice.population_deviation) {
        (Some(mean), Some(deviation)) => format!("{mean:.3} ± {deviation:.3} (n {})", dice.cases),
        _ => "undefined".into(),
    };
    let paper = |class| value(scores.paper.get(class).dice);
    let per_case = |class| spread(&scores.per_case.get(class).dice);
    format!(
        "Dice, patient-weighted: kidney {}, tumour {}; per case: kidney {}, tumour {}, kidney with tumour (KiTS19) {}; \
         cases {}, slices {}",
        paper(Class::Kidney),
        paper(Class::Tumour),
        per_case(Class::Kidney),
        per_case(Class::Tumour),
        spread(&scores.kits.kidney_and_tumour_dice),
        scores.cases,
        scores.slices,
    )
}
