//! Why weights cannot be used, in three parts: what, where, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

use super::super::architecture::Family;

/// A weights file that cannot be used; displayed as `place: what; remedy`.
#[derive(Debug)]
pub struct ImportError {
    /// The file.
    pub(super) path: PathBuf,
    /// What is the matter with it.
    pub(super) fault: ImportFault,
}

/// What is the matter with a weights file.
#[derive(Debug)]
pub enum ImportFault {
    /// It cannot be read.
    Read(std::io::Error),
    /// It is none of the formats; what it looks like.
    Unknown(String),
    /// It breaks its format; why.
    Damaged(String),
    /// It is whole, but with nothing for these networks in it.
    Content {
        /// What it is or holds.
        what: String,
        /// Which file to give.
        remedy: String,
    },
    /// Weights of the other kind of encoder.
    OtherKind {
        /// What the file holds.
        holds: Family,
        /// What the network is.
        network: Family,
        /// Which flag to use.
        advice: String,
    },
    /// Weights of another network of the same kind.
    OtherNetwork {
        /// The first thing that differs.
        problem: String,
        /// What to do.
        advice: String,
    },
}

impl ImportError {
    pub(super) fn new(path: &Path, fault: ImportFault) -> Self {
        let path = path.to_owned();
        Self { path, fault }
    }

    /// The sort of failure.
    pub fn fault(&self) -> &ImportFault {
        &self.fault
    }

    /// What is wrong.
    pub fn what(&self) -> String {
        match &self.fault {
            ImportFault::Read(error) => format!("the weights file cannot be read: {error}"),
            ImportFault::Unknown(found) => {
                format!("this is no weights file that is known here: {found}")
            }
            ImportFault::Damaged(reason) => format!("the weights file is damaged: {reason}"),
            ImportFault::Content { what, .. } => format!("the weights file {what}"),
            ImportFault::OtherKind { holds, network, .. } => format!(
                "the file holds weights of {}, which cannot be turned into those of {}",
                holds.described(),
                network.described()
            ),
            ImportFault::OtherNetwork { problem, .. } => {
                format!("the file does not fit this network: {problem}")
            }
        }
    }

    /// The file.
    pub fn place(&self) -> &Path {
        &self.path
    }

    /// What to do.
    pub fn remedy(&self) -> &str {
        match &self.fault {
            ImportFault::Read(_) => "check the path and its permissions",
            ImportFault::Unknown(_) => "give a Keras .h5, a .safetensors or a PyTorch .pth file",
            ImportFault::Damaged(_) => "fetch it again",
            ImportFault::Content { remedy: advice, .. }
            | ImportFault::OtherKind { advice, .. }
            | ImportFault::OtherNetwork { advice, .. } => advice,
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}: {}; {}",
            self.path.display(),
            self.what(),
            self.remedy()
        )
    }
}

impl std::error::Error for ImportError {}
