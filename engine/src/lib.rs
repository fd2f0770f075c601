//! Runs a model package on slices and whole scans.
//!
//! Used by whatever labels slices: the box, the trainer's evaluation, validation in the field. They all take the same steps:
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use nephrobox_engine::{burn::Executor, device, package::Model, scan, scan::Visit};
//! use nephrobox_imaging::ScanReader;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = Model::load("models/demo-resnet18.nbx")?;
//! let preprocess = loaded.model.manifest().input.preprocess;
//! let mut executors = [Executor::new(&loaded.model, &device::select("auto")?)?];
//! let mut scan = ScanReader::open("case_00000/imaging.nii.gz")?;
//! let found = scan::segment(&mut scan, &mut executors, &preprocess, Visit::Every, &mut |progress| {
//!     println!("{} of {} slices", progress.done, progress.slices);
//!     ControlFlow::Continue(())
//! })?;
//! println!("midline at column {}", found.midline.column());
//! # Ok(())
//! # }
//! ```
//!
//! * [`program`]: a network as data, checked before anything runs.
//! * [`package`]: programs with their tensors and manifest, from and to `.nbx` files.
//! * [`device`]: the choice between CPU and GPU, by name.
//! * [`burn`]: the reference executor, on any device Burn has.
//! * [`scan`]: a whole scan, read and labelled at the same time by one model or several.
//! * [`model`]: the one question a scan asks of a network, as a trait.
//!
//! The crate is built for the CPU; the features `cuda` and `vulkan` add GPUs, which are used where they are present.

#[cfg(feature = "burn")]
pub mod burn;
pub mod cpu;
#[cfg(feature = "burn")]
pub mod device;
pub mod model;
pub mod package;
pub mod program;
pub mod scan;
