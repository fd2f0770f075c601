//! Names of the files of a scan that box and tools both know; `docs/report.md` lists all.

/// The machine-readable report; where it is, the results are whole.
pub const REPORT_JSON: &str = "report.json";
/// The report for people.
pub const REPORT_TEXT: &str = "report.txt";
/// The label map in the geometry of the scan.
pub const LABELS: &str = "labels.nii.gz";
/// What a scan without a report has instead, for programs.
pub const FAILURE_JSON: &str = "failure.json";
/// What a scan without a report has instead, for people.
pub const FAILURE_TEXT: &str = "failure.txt";
