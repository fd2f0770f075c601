//! Runs a model package on slices and whole scans.
//!
//! Used by whatever labels slices: the box, the trainer's evaluation, validation in the field. They all take the same steps:
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use nephrobox_engine::{executor, package::Model, scan, scan::Visit};
//! use nephrobox_imaging::ScanReader;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = Model::load("models/demo-resnet18.nbx")?;
//! let preprocess = loaded.model.manifest().input.preprocess;
//! let mut running = executor::start(loaded.model, "auto", None)?;
//! let mut scan = ScanReader::open("case_00000/imaging.nii.gz")?;
//! let found = scan::segment(&mut scan, &mut running.models, &preprocess, Visit::Every, &mut |progress| {
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
//! * [`executor`]: a model ready to run on whatever runs it best.
//! * [`cpu`]: the executors for any CPU: integers for quantised models, f32 for others.
//! * `burn`: a program on the tensors of Burn, for GPUs and as a reference.
//! * [`device`]: the choice between CPU and GPU, by name.
//! * [`scan`]: a whole scan, read and labelled at the same time by one model or several.
//! * [`self_test`]: the label maps that a package's own slices must give.
//! * [`model`]: the one question a scan asks of a network, as a trait.
//! * [`confidence`]: how sure a network is of a scan's outlines, from a few slices and their mirror images.
//! * [`flips`]: labels from an image and its mirror images, around any of the executors.
//!
//! The crate is built for the CPU. The features `cuda`, `vulkan` and `webgpu` bring Burn and add GPUs, which are used where they are
//! present. A start on a GPU takes as long as compiling and choosing kernels does; [`executor::Settings::caches`] keeps both.

#[cfg(feature = "burn")]
pub mod burn;
pub mod confidence;
pub mod cpu;
pub mod device;
pub mod executor;
pub mod flips;
pub mod model;
pub mod package;
pub mod program;
pub mod scan;
pub mod self_test;
