//! A package as the commands see it: read once, checked whole, with its header and its signer at hand.

use std::fmt;
use std::path::Path;

use nephrobox_engine::package::{self, Loaded, Model};
use nephrobox_shared::package::{Header, KeyId, PackageView, PublicKey, signing};

use crate::failure::{Exit, Failure, told};

/// A package that has passed every check.
#[derive(Debug)]
pub struct Package {
    /// The fixed first bytes of the file.
    pub header: Header,
    /// Model, hash and signature.
    pub loaded: Loaded,
    /// What is known of its signature.
    pub signed: Signed,
}

/// What is known of a package's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// There is none.
    No,
    /// There is one that bears this key's name, and no key was given to verify it with.
    Unverified(KeyId),
    /// It was made by this key, which is one of those that were given.
    Verified(KeyId),
}

impl Signed {
    /// The key that is said to have signed.
    #[must_use]
    pub fn key(self) -> Option<KeyId> {
        match self {
            Self::No => None,
            Self::Unverified(key) | Self::Verified(key) => Some(key),
        }
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("none (unsigned package)"),
            Self::Unverified(key) => write!(f, "by key {key}, not verified"),
            Self::Verified(key) => write!(f, "by key {key}, verified"),
        }
    }
}

impl Package {
    /// Reads and checks a package file, and its signature if there are `keys`.
    ///
    /// # Errors
    /// When the file cannot be read, anything in it is wrong, or none of the keys has signed it.
    pub fn open(path: &Path, keys: &[PublicKey]) -> Result<Self, Failure> {
        Self::check(path, read(path)?, keys)
    }

    /// The same for bytes that were read from `path` already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn check(path: &Path, bytes: Vec<u8>, keys: &[PublicKey]) -> Result<Self, Failure> {
        let refused = |error: &dyn std::error::Error| {
            let remedy = "name a model package, or export the model again";
            told(Exit::Model, error, path.display(), remedy)
        };
        let view = PackageView::open(&bytes).map_err(|error| refused(&error))?;
        let header = *view.header();
        let signed = match view.signature() {
            _ if !keys.is_empty() => signing::verify(&view, keys)
                .map(Signed::Verified)
                .map_err(|error| refused(&error).coded("signature"))?,
            None => Signed::No,
            Some(signature) => Signed::Unverified(KeyId(signature.key_id)),
        };
        let loaded = Model::from_vec(bytes).map_err(|error| refused(&error))?;
        Ok(Self {
            header,
            loaded,
            signed,
        })
    }

    /// Rows and columns of the slices that the network takes.
    #[must_use]
    pub fn input_size(&self) -> [usize; 2] {
        let preprocess = &self.loaded.model.manifest().input.preprocess;
        [preprocess.rows, preprocess.cols]
    }

    /// Name and version of its model.
    #[must_use]
    pub fn title(&self) -> String {
        let manifest = self.loaded.model.manifest();
        format!("{} version {}", manifest.name, manifest.version)
    }
}

/// A package file's bytes; nothing in them is checked.
///
/// # Errors
/// When the file cannot be read, or is larger than any package.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    package::read(path)
        .map_err(|error| told(Exit::Model, &error, path.display(), "name a model package"))
}
