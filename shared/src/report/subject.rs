//! Who and what the scan is of.

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// The patient and the study, as the scan's own files name them. Only DICOM names them; texts are decoded, and empty where the series
/// has none.
///
/// These are the only fields of a report that identify a person by themselves; they never get into logs, metrics, panel or snapshot, and an
/// export leaves them out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// Patient's Name, its parts divided by `^`.
    pub patient_name: String,
    /// Patient ID.
    pub patient_id: String,
    /// Issuer of Patient ID.
    pub patient_id_issuer: String,
    /// Patient's Birth Date, `YYYYMMDD`.
    pub birth_date: String,
    /// Patient's Sex: `M`, `F` or `O`.
    pub sex: String,
    /// Study Date, `YYYYMMDD`.
    pub study_date: String,
    /// Study Time, `HHMMSS` and fractions.
    pub study_time: String,
    /// Study Description.
    pub study_description: String,
    /// Accession Number.
    pub accession_number: String,
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
}
