//! The report of one scan as plain structs, for JSON, the one-page text, the screen and DICOM alike.
//!
//! The box fills it, everything else only reads it. Every number carries its unit in its name (`_mm`, `_mm2`, `_ml`,
//! `_s`, `_percent`, `_hu`); names without a unit are counts, or positions in voxels of the canonical axes (slice 0 nearest the head, row 0
//! at the front, column 0 at the patient's right). Right and left are the patient's. A value that does not exist is
//! `null`, never 0.
//!
//! Compatibility: fields may be added within a [`SCHEMA_VERSION`]; renaming, removing or changing one raises it.

mod change;
mod confidence;
mod findings;
mod model;
pub mod names;
mod subject;
mod tumour;
mod visited;
mod warning;

use alloc::{string::String, vec::Vec};

pub use change::{Change, DiameterChange, RECIST_LEAST_MM, SideChange, VolumeChange};
pub use confidence::Confidence;
pub use findings::{
    ComponentCounts, ComponentFindings, Findings, SideFindings, SliceAreas, SliceFindings,
    StructureAreas,
};
pub use model::ModelInfo;
use serde::{Deserialize, Serialize};
pub use subject::Subject;
pub use tumour::{
    Basis, HuFindings, RenalFindings, RenalLetter, RenalPoints, SegmentFindings, TumourFindings,
};
pub use visited::{SliceRun, VisitedSlices};
pub use warning::{KIDNEY_ML, Severity, Warning, WarningCode};

use crate::measure::Spacing;

/// Version of the report's fields.
pub const SCHEMA_VERSION: u32 = 1;

/// What every report, screen and image says.
pub const RESEARCH_USE_NOTICE: &str =
    "For research use only. Not a medical device. Not for diagnosis or treatment decisions.";

/// Everything known about one scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// [`RESEARCH_USE_NOTICE`].
    pub notice: String,
    /// The program that wrote it.
    pub program: ProgramInfo,
    /// The model that outlined the scan.
    pub model: ModelInfo,
    /// What ran the model; `None` in a report of a program that did not say.
    #[serde(default)]
    pub engine: Option<EngineInfo>,
    /// The scan.
    pub input: InputInfo,
    /// Whose and what study it is of; `None` if its files do not say.
    #[serde(default)]
    pub subject: Option<Subject>,
    /// The slices that the network was shown; `None` in a report of a program that always showed it all.
    #[serde(default)]
    pub visited: Option<VisitedSlices>,
    /// What was measured.
    pub findings: Findings,
    /// How sure the network was; `None` where it was not looked at.
    #[serde(default)]
    pub confidence: Option<Confidence>,
    /// What became different since the last scan of the same patient; `None` if the box holds none.
    #[serde(default)]
    pub change: Option<Change>,
    /// What a reader must know before relying on the findings.
    pub warnings: Vec<Warning>,
    /// Files that belong to the report.
    pub outputs: Vec<OutputFile>,
    /// Where the time went.
    pub timing: Timing,
}

/// A program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What ran a model. The same package gives the same labels in the same arithmetic, but for the last bits of sums in floating point; in
/// another arithmetic a few pixels at edges may differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// "cpu", "cuda", "vulkan" or "webgpu".
    pub device: String,
    /// What a GPU calls itself; `None` for the CPU.
    pub device_name: Option<String>,
    /// Arithmetic of convolutions: "int8", "f32" or "f16".
    pub arithmetic: String,
    /// The CPU's kernels, such as "avx2"; `None` on a GPU.
    pub kernels: Option<String>,
    /// CPU threads that ran it.
    pub threads: usize,
}

/// A scan as it came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputInfo {
    /// Name of the file or series, without its folder.
    pub file: String,
    /// BLAKE3 of the file's bytes in hexadecimal digits, of a DICOM series its slices' files one after the other in the order in which
    /// they lie, from the end that the normal of their planes points away from; `None` if the scan was no file.
    pub blake3: Option<String>,
    /// Slices of the scan.
    pub slices: usize,
    /// Rows of a slice.
    pub rows: usize,
    /// Columns of a slice.
    pub cols: usize,
    /// Distances between voxels.
    pub spacing: Spacing,
    /// Where the file's axes lead, one letter an axis, such as "IPL".
    pub orientation: String,
}

/// A file beside the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// What it is, such as "labels" or "overlay".
    pub kind: String,
    /// Its name, relative to the report.
    pub file: String,
}

/// Seconds of wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Reading the scan.
    pub read_s: f64,
    /// Running the network; with several at once, the one that ran longest.
    pub network_s: f64,
    /// Measuring.
    pub measure_s: f64,
    /// Writing label map and pictures.
    pub write_s: f64,
    /// From start to finish; more than the sum where there is other work, less where steps overlap.
    pub total_s: f64,
}
