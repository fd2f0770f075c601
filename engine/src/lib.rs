//! Runs a model package on slices and whole scans.
//!
//! * [`program`]: a network as data, checked before anything runs.

pub mod program;
