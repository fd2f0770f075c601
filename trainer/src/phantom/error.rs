//! What can go wrong before or while phantoms are made.

use std::path::PathBuf;

use nephrobox_imaging::{GeometryError, ImagingError};

/// Why a phantom was not made.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// A label volume could not be read, or a phantom not written.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
    /// The phantom's own grid is impossible.
    #[error("the phantom's grid is not possible: {0}; choose another size or spacing")]
    Geometry(#[from] GeometryError),
    /// A patient whose real slices are kept for evaluation.
    #[error(
        "{name} is reserved for evaluation, and nothing may be trained on its labels; leave it out"
    )]
    Reserved {
        /// The case.
        name: String,
    },
    /// No slice of the volume holds kidney or tumour.
    #[error(
        "{path} holds neither kidney nor tumour, so there is nothing to paint a body around; leave the case out"
    )]
    Empty {
        /// The label volume.
        path: PathBuf,
    },
    /// A case of that name is there already.
    #[error("{path} exists already; choose another folder or remove it")]
    Exists {
        /// The case's folder.
        path: PathBuf,
    },
    /// A number outside its limits.
    #[error("{what} is {value}; it must be {limits}")]
    Limit {
        /// Which number.
        what: &'static str,
        /// What was asked for.
        value: String,
        /// What is allowed.
        limits: &'static str,
    },
    /// A folder or file could not be made.
    #[error("cannot {action} {path}: {source}; check that the folder may be written and has room")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}
