//! The paper's experiments from a plan to its tables and figures.
//!
//! [`design`] says what is tried, [`paper`] what was published. A [`Plan`] turns the design into independent jobs, each a
//! folder ([`job`]); [`runner`] works them off as child processes of `nephrotrain train` and `evaluate`, on this machine or
//! on many that share the folder; [`results`] reads what is finished, [`tables`], [`figures`] and [`page`] show it beside
//! what was published.

pub mod design;
pub mod figures;
pub mod gallery;
pub mod job;
pub mod page;
pub mod paper;
pub mod plan;
pub mod results;
pub mod runner;
pub mod slurm;
pub mod tables;

use std::path::{Path, PathBuf};

pub use design::Experiment;
pub use plan::Plan;

/// Why experiments cannot be planned, run or shown.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// A file or folder cannot be used.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is the matter, and what to do.
        reason: String,
    },
    /// The plan cannot be as asked for.
    #[error("{0}")]
    Plan(String),
    /// The prepared set cannot be used.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    /// A picture cannot be made.
    #[error(transparent)]
    Plot(#[from] crate::plots::PlotError),
}

impl ExperimentError {
    /// What is wrong with a file.
    #[allow(clippy::needless_pass_by_value)] // so that a literal, a string and an error all fit
    pub(crate) fn file(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::File {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Writes a text file whole.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), ExperimentError> {
    nephrobox_imaging::files::write(path, text.as_bytes())
        .map_err(|e| ExperimentError::file(path, format!("cannot be written: {e}")))
}
