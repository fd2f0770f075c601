//! DICOM series as the reader's own tests make them.

#[path = "../../../imaging/tests/dicom/series.rs"]
mod series;
#[path = "../../../imaging/tests/support/mod.rs"]
mod support;

pub(crate) use series::*;
