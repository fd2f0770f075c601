//! What must give the same answer on the workstation and on the box.
//!
//! The trainer, the engine and the box all call this crate for the HU window, the resize, Dice, areas and volumes,
//! the report and the model package, so there is no second copy of any of them to drift away.
//!
//! * [`class`]: background, kidney and tumour, their numbering and colours.
//! * [`preprocess`]: HU slice to network input, label slices there and back.
//! * [`metrics`]: weighted confusion matrix, Dice, recall, precision, the three aggregations.
//! * [`measure`]: areas in mm², volumes in mL, components, the patient's sides.
//! * [`link`]: the protocol between box and tools: frames, messages, transfers; without any I/O.
//! * [`package`]: the `.nbx` model package, read without copying.
//! * `moment` (feature `alloc`): moments as text.
//! * `report` (feature `alloc`): the report of one scan as plain structs.
//! * `told` (feature `alloc`): a failure in three sentences.
//! * `words` (feature `alloc`): words of others made fit to be shown.
//!
//! The crate is `no_std` and never names `std`. What needs a heap stands behind the feature `alloc`. Arithmetic is
//! integer, or IEEE 754 in a fixed order without fused operations, so results are the same bytes on x86-64 and aarch64.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod class;
pub mod link;
pub mod measure;
pub mod metrics;
#[cfg(feature = "alloc")]
pub mod moment;
pub mod package;
pub mod preprocess;
#[cfg(feature = "alloc")]
pub mod report;
#[cfg(feature = "alloc")]
pub mod told;
#[cfg(feature = "alloc")]
pub mod words;
