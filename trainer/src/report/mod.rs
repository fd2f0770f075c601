//! A run as one HTML page that needs nothing beside it: curves, scores, worst and best cases, provenance.
//!
//! It is made from the run folder alone, and from what `evaluate` left there; the prepared set may have moved. Charts are
//! inline SVG, slices are PNG within the page, and nothing is loaded from elsewhere.

pub(crate) mod html;
mod page;

use std::fs;
use std::path::{Path, PathBuf};

use crate::data::prepare::records::Fingerprint;
use crate::data::{Prepared, Split};
use crate::evaluate::results::Results;
use crate::plots::PlotError;
use crate::train::{EpochRecord, Settings, SettingsError, TrainConfig};

/// Why there is no page. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder is not a run's.
    #[error("the run folder {path}: {reason}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is the matter.
        reason: String,
    },
    /// The run's settings cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What an evaluation left cannot be used.
    #[error("{path} {reason}; run `nephrotrain evaluate` again")]
    Evaluation {
        /// The file.
        path: PathBuf,
        /// What is the matter.
        reason: String,
    },
    /// A chart cannot be made.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

/// Everything the page says.
#[derive(Debug)]
pub struct Report {
    /// Name of the run: its folder's.
    name: String,
    config: TrainConfig,
    /// The settings as they stand in the folder.
    settings: String,
    records: Vec<EpochRecord>,
    versions: serde_json::Map<String, serde_json::Value>,
    fingerprint: Fingerprint,
    /// Patients and slices of each part of the split, if the prepared set is still where it was.
    parts: Option<[(usize, usize); 3]>,
    evaluations: Vec<(PathBuf, Results)>,
    licence: Option<String>,
}

impl Report {
    /// Gathers what a run folder holds. `licence` is the notice of the training data's licence.
    pub fn gather(folder: &Path, licence: Option<String>) -> Result<Self, ReportError> {
        let fail = |reason: String| ReportError::Folder {
            path: folder.into(),
            reason,
        };
        let settings = fs::read_to_string(folder.join("config.toml")).map_err(|e| {
            fail(format!(
                "config.toml cannot be read ({e}); name the folder that `nephrotrain train --out` made"
            ))
        })?;
        let config = Settings::read(&folder.join("config.toml"))?.resolve()?;
        let records = EpochRecord::of(folder).map_err(|e| fail(e.to_string()))?;
        if records.is_empty() {
            let reason = "no epoch is finished yet; there is nothing to report";
            return Err(fail(reason.into()));
        }
        let read = |name: &str| {
            let text = fs::read_to_string(folder.join(name))
                .map_err(|e| fail(format!("{name} cannot be read: {e}")));
            text.map(|text| (text, format!("{name} is damaged")))
        };
        let (text, damaged) = read("versions.json")?;
        let versions = serde_json::from_str(&text).map_err(|e| fail(format!("{damaged}: {e}")))?;
        let fingerprint =
            Fingerprint::read(&folder.join("fingerprint.json")).map_err(|e| fail(e.to_string()))?;
        let parts = parts(&config, &fingerprint);
        let mut evaluations = Vec::new();
        for split in Split::ALL {
            let place = folder.join(format!("evaluation-{split}"));
            let path = place.join("metrics.json");
            if path.is_file() {
                let results = Results::read(&path).map_err(|reason| ReportError::Evaluation {
                    path: path.clone(),
                    reason,
                })?;
                evaluations.push((place, results));
            }
        }
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
        let name = absolute.file_name().map_or_else(
            || folder.display().to_string(),
            |n| n.to_string_lossy().into_owned(),
        );
        Ok(Self {
            name,
            config,
            settings,
            records,
            versions,
            fingerprint,
            parts,
            evaluations,
            licence,
        })
    }

    /// Parts of the split that have been evaluated.
    pub fn evaluated(&self) -> Vec<&str> {
        self.evaluations
            .iter()
            .map(|(_, results)| results.split.as_str())
            .collect()
    }

    /// The page.
    pub fn html(&self) -> Result<String, ReportError> {
        page::write(self)
    }

    /// The epoch with the best score on validation, the first of equals.
    fn best(&self) -> Option<&EpochRecord> {
        let scored = self.records.iter().filter(|r| r.score().is_some());
        scored.reduce(|best, r| if r.score() > best.score() { r } else { best })
    }
}

/// Patients and slices of each part, if the prepared set is there and still the one of the run.
fn parts(config: &TrainConfig, fingerprint: &Fingerprint) -> Option<[(usize, usize); 3]> {
    let data = Prepared::open(&config.data).ok()?;
    if data.fingerprint() != fingerprint {
        return None;
    }
    Some(Split::ALL.map(|split| {
        let patients = data.cases().iter().filter(|c| c.split == split).count();
        (patients, data.split(split).len())
    }))
}
