//! Runs a model package on slices and whole scans.
//!
//! * [`program`]: a network as data, checked before anything runs.
//! * [`device`]: the choice between CPU and GPU, by name.
//! * [`burn`]: the reference executor, on any device Burn has.
//! * [`model`]: the one question a scan asks of a network, as a trait.

pub mod burn;
pub mod device;
pub mod model;
pub mod program;
