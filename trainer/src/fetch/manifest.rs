//! What a folder holds of what was fetched into it, so that a second run fetches only the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::FetchError;

/// Name of the manifest in its folder.
pub(super) const NAME: &str = "fetched.json";

/// A file that was fetched and found right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
    /// Where it came from.
    pub from: String,
}

/// The manifest of a folder.
#[derive(Debug)]
pub struct Manifest {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl Manifest {
    /// The manifest of `folder`; empty if there is none. A damaged one is refused, not overwritten.
    pub fn open(folder: &Path) -> Result<Self, FetchError> {
        let path = folder.join(NAME);
        let entries = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| FetchError::Sources {
                file: path.display().to_string(),
                reason: format!("{e}; delete it, and every file is checked anew"),
            })?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => {
                return Err(FetchError::File {
                    path,
                    error: source,
                });
            }
        };
        Ok(Self { path, entries })
    }

    /// The entry of `file`, a path within the folder.
    pub fn get(&self, file: &Path) -> Option<&Entry> {
        self.entries.get(&key(file))
    }

    /// Adds `file` and writes the manifest.
    pub fn add(&mut self, file: &Path, entry: Entry) -> Result<(), FetchError> {
        self.entries.insert(key(file), entry);
        let fail = |source| FetchError::File {
            path: self.path.clone(),
            error: source,
        };
        let mut text = serde_json::to_vec_pretty(&self.entries).map_err(|e| fail(e.into()))?;
        text.push(b'\n');
        nephrobox_imaging::files::write(&self.path, &text).map_err(fail)
    }
}

/// Paths with forward slashes on every system.
fn key(file: &Path) -> String {
    let parts = file.components().map(|c| c.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}
