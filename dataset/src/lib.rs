//! Which cases, patients and slices a model is taught and judged by.
//!
//! Used by the trainer, which prepares and scores, and by field validation, which must score the very same slices of the very same
//! patients again. Nothing here knows networks; `docs/data.md` has the rules.
//!
//! * [`folder`]: the cases of one or several KiTS19 folders. A case is a patient.
//! * [`labels`]: one pass over a label volume: what is on each slice, and the label maps at the network's size.
//! * [`choice`]: which slices of a volume are kept.
//! * [`split`]: the patients' split, saved by name.
//! * [`fingerprint`]: which data these are. Together with the split it tells everything that decided a score, and a model
//!   package names the hashes of both.
//!
//! Limits: labels are 0, 1 and 2.

pub mod choice;
pub mod error;
pub mod fingerprint;
pub mod folder;
mod hash;
pub mod labels;
mod order;
pub mod split;

pub use error::{DataError, DataErrorKind};
pub use fingerprint::{Fingerprint, Options};
pub use hash::{hash_file, hash_json};
pub use order::rank;
pub use split::{PatientSplit, Split};

/// Seed of every random decision unless the user gives another: the year of the data set.
pub const DEFAULT_SEED: u64 = 2019;
