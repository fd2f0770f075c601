//! DICOM series made on the spot, read as the NIfTI file of the same patient would be.

#[path = "../support/mod.rs"]
mod support;

mod findings;
mod garbage;
mod identity;
mod orientations;
mod packed;
mod packings;
mod peers;
mod real;
mod refusals;
mod series;
