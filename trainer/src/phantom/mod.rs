//! Synthetic abdominal CT for the engineer: training slices around real kidney masks, and whole patients that owe
//! nothing to anybody's data.
//!
//! One painter draws both. It knows the anatomy of a transverse slice (body wall, skeleton, organs, bowel, vessels),
//! the HU of each tissue in four contrast phases, and a scanner's blur and noise; what is in the label map it is told.
//! Slices are plausible, not real: they teach shape and place and offer many decoys, but a network that has seen
//! only these has not seen a patient. All of it follows from a seed, whatever the number of threads; sines and logarithms
//! come from the platform, so that another processor family may differ in a rounding.

mod acquisition;
mod body;
mod bowel;
mod case;
mod error;
mod field;
mod from_labels;
mod kidney;
mod organs;
mod painter;
mod rng;
mod scene;
mod set;
mod spine;
mod survey;
#[cfg(test)]
mod tests;
mod tissue;
mod vessels;
pub(crate) mod whole;

pub use acquisition::Storage;
pub use case::{CaseSummary, LabelDriven, RESERVED, WholePatient, is_reserved, refuse_existing};
pub use error::PhantomError;
pub use set::{LabelCase, label_cases, paint};
