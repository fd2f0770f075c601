//! KiTS19 folders in, a 256 x 256 training set out.
//!
//! `nephrotrain stats` and `prepare` are thin over this module; training and evaluation read what `prepare` made through
//! [`Prepared`].
//!
//! What field validation needs too lies in [`nephrobox_dataset`] and is named here as if it were at home.
//!
//! * [`folder`]: the cases of one or several data folders. A case is a patient.
//! * [`scan`], [`stats`], [`choice`]: what the slices show, which are kept, how rare the classes are.
//! * [`split`]: the patients' split, saved by name.
//! * [`prepare`]: normalised images and small label maps on disk; resumes, and gives the same bytes every time.
//! * [`prepared`]: reading them back, memory-mapped.
//!
//! Limits: labels are 0, 1 and 2; everything is little-endian on disk and read in place.

mod files;
pub mod prepare;
pub mod prepared;
pub mod progress;
pub mod scan;
pub mod stats;

pub(crate) use nephrobox_dataset::rank;
pub use nephrobox_dataset::{
    DEFAULT_SEED, DataError, DataErrorKind, PatientSplit, Split, choice, error, folder, split,
};
pub use prepared::Prepared;

/// Threads that are worth having for reading volumes: all of the machine.
pub fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
