//! Reference numbers of the Python libraries: runs every golden case of a folder and says how far off
//! each one is.
//!
//! A case is a pair `KIND/NAME.json` (parameters, scalars) and `KIND/NAME.safetensors` (arrays); the
//! folder's README describes the kinds. Everything a case needs is read from its own files, so
//! other encoders, sizes and parameters of the same kinds work as well. A case of a kind this program
//! does not know is *not run*, never passed.

mod augment;
mod case;
mod h5;
mod losses;
mod metrics;
mod model;
mod preprocess;
mod training;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::Serialize;

pub use case::{Case, CaseError};
#[cfg(test)]
pub(crate) use model::closed_form;

/// One comparison within a case.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was compared.
    pub what: String,
    /// Largest deviation found, in the unit of `tolerance`.
    pub deviation: f64,
    /// Largest deviation allowed.
    pub tolerance: f64,
}

impl Check {
    /// Whether the deviation is within the tolerance; a NaN never is.
    pub fn passes(&self) -> bool {
        self.deviation <= self.tolerance
    }

    /// Deviation as a share of the tolerance; exact comparisons give 0 or infinity.
    pub fn ratio(&self) -> f64 {
        if self.tolerance > 0.0 {
            self.deviation / self.tolerance
        } else if self.deviation == 0.0 {
            0.0
        } else {
            f64::INFINITY
        }
    }
}

/// How a case ended.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Outcome {
    /// Every check is within its tolerance.
    Passed {
        /// The checks made.
        checks: Vec<Check>,
    },
    /// At least one is not.
    Failed {
        /// The checks made.
        checks: Vec<Check>,
    },
    /// The case's files could not be read or contradict themselves.
    Broken {
        /// Why.
        reason: String,
    },
    /// This program does not know the case's kind.
    NotRun {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    fn judge(checks: Vec<Check>) -> Self {
        if checks.is_empty() {
            Self::Broken {
                reason: "the case's files hold nothing to compare".into(),
            }
        } else if checks.iter().all(Check::passes) {
            Self::Passed { checks }
        } else {
            Self::Failed { checks }
        }
    }

    /// The check that comes closest to its tolerance, or passes it furthest.
    pub fn worst(&self) -> Option<&Check> {
        match self {
            Self::Passed { checks } | Self::Failed { checks } => {
                let key = |c: &Check| {
                    if c.ratio().is_nan() {
                        f64::INFINITY
                    } else {
                        c.ratio()
                    }
                };
                checks.iter().max_by(|a, b| key(a).total_cmp(&key(b)))
            }
            _ => None,
        }
    }

    /// Whether this outcome makes the whole run fail.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Broken { .. })
    }
}

/// A case and how it ended.
#[derive(Clone, Debug, Serialize)]
pub struct CaseReport {
    /// Kind, the folder's name.
    pub kind: String,
    /// Name, the files' stem.
    pub name: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

type Runner = fn(&Case, &Device) -> Result<Outcome, CaseError>;

/// Every kind this program knows.
const KINDS: [(&str, Runner); 7] = [
    ("augment", augment::run),
    ("h5", h5::run),
    ("model", model::run),
    ("training", training::run),
    ("losses", losses::run),
    ("metrics", metrics::run),
    ("preprocess", preprocess::run),
];

/// All cases below `folder`, sorted by kind and name: `(kind, path of the JSON file)`.
///
/// A JSON file without its `.safetensors` twin is a case only in a folder of a known kind (where it is
/// broken); elsewhere it is some other file.
pub fn find(folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let kind = entry?.path();
        if !kind.is_dir() {
            continue;
        }
        let name = kind
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let known = KINDS.iter().any(|(k, _)| *k == name);
        for file in std::fs::read_dir(&kind)? {
            let file = file?.path();
            let is_json = file.extension().is_some_and(|e| e == "json");
            if is_json && (known || file.with_extension("safetensors").is_file()) {
                cases.push((name.clone(), file));
            }
        }
    }
    cases.sort();
    Ok(cases)
}

/// Runs the case whose JSON file is `path`.
pub fn run(kind: &str, path: &Path, device: &Device) -> CaseReport {
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let outcome = match KINDS.iter().find(|(k, _)| *k == kind) {
        None => Outcome::NotRun {
            reason: format!("cases of kind `{kind}` are not known here"),
        },
        Some((_, runner)) => Case::load(path)
            .and_then(|case| runner(&case, device))
            .unwrap_or_else(|e| Outcome::Broken {
                reason: e.to_string(),
            }),
    };
    CaseReport {
        kind: kind.into(),
        name,
        outcome,
    }
}
