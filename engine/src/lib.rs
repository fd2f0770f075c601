//! Runs a model package on slices and whole scans.
//!
//! * [`program`]: a network as data, checked before anything runs.
//! * [`package`]: programs with their tensors and manifest, from and to `.nbx` files.
//! * [`device`]: the choice between CPU and GPU, by name.
//! * [`burn`]: the reference executor, on any device Burn has.
//! * [`scan`]: a whole scan, read and labelled at the same time.
//! * [`model`]: the one question a scan asks of a network, as a trait.

pub mod burn;
pub mod device;
pub mod files;
pub mod model;
pub mod package;
pub mod program;
pub mod scan;
