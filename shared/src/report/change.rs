//! What became different since an earlier scan of the same patient.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::measure::Sides;

/// The difference to the last earlier scan of the same patient that the box holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The earlier scan's id on the box.
    pub scan: String,
    /// Its Study Date, `YYYYMMDD`; empty if it has none.
    pub study_date: String,
    /// Days from its study to this one.
    pub days: Option<i64>,
    /// Whether the same package outlined both; otherwise part of the difference may be the models'.
    pub same_model: bool,
    /// Each side of the patient.
    pub sides: Sides<SideChange>,
}

/// Later minus earlier, on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideChange {
    /// Of the kidney without its tumour.
    pub kidney_volume_ml: f64,
    /// Of the tumour.
    pub tumour_volume_ml: f64,
    /// Of the tumour's largest diameter in a slice; `None` unless both scans have a tumour there.
    pub tumour_diameter_mm: Option<f64>,
}
