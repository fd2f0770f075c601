//! A package as the commands see it: read once, checked whole, with its header at hand.

use std::path::Path;

use nephrobox_engine::package::{Loaded, Model};
use nephrobox_shared::package::{Header, KeyId, Signature};

use crate::failure::{Exit, Failure, told};

/// A package that has passed every check.
#[derive(Debug)]
pub struct Package {
    /// The fixed first bytes of the file.
    pub header: Header,
    /// Model, hash and signature.
    pub loaded: Loaded,
}

impl Package {
    /// Reads and checks a package file.
    ///
    /// # Errors
    /// When the file cannot be read or anything in it is wrong.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let refused = |error: &dyn std::error::Error| {
            told(
                Exit::Model,
                error,
                path.display(),
                "name a model package, or export the model again",
            )
        };
        let loaded = Model::load(path).map_err(|error| refused(&error))?;
        let header = first_bytes(path).map_err(|error| refused(&error))?;
        let header = Header::read(&header).map_err(|error| refused(&error))?;
        Ok(Self { header, loaded })
    }

    /// Rows and columns of the slices that the network takes.
    #[must_use]
    pub fn input_size(&self) -> [usize; 2] {
        let preprocess = &self.loaded.model.manifest().input.preprocess;
        [preprocess.rows, preprocess.cols]
    }
}

fn first_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What can be said about a signature without keys.
#[must_use]
pub fn signature_state(signature: Option<&Signature>) -> String {
    signature.map_or("none (unsigned package)".to_owned(), |signature| {
        format!("by key {}, not verified", KeyId(signature.key_id))
    })
}
