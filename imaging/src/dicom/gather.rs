//! The files that a person means by a folder, a list or an archive.
//!
//! Used by the series. Folders are searched to the depth that discs from a hospital have, in the order of names, so that the same
//! folder gives the same messages everywhere. Links to folders are not followed.

use std::fs;
use std::path::{Path, PathBuf};

use super::MAX_FILES;
use super::archive::{self, is_tar};
use super::error::DicomError;
use crate::place::Place;

/// Folders within folders.
const DEPTH: usize = 8;

/// A file to look at.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) place: Place,
    /// The person named this very file.
    pub(crate) named: bool,
}

/// The files named, those below the folders named, and those in the archives named. An archive in a folder is a file like others.
pub(crate) fn gather(paths: &[PathBuf]) -> Result<Vec<Found>, DicomError> {
    let mut found = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|source| io_error(path, source))?;
        if metadata.is_dir() {
            descend(path, DEPTH, &mut found)?;
        } else if is_tar(path) {
            for place in archive::files(path)? {
                add(place, false, &mut found)?;
            }
        } else {
            add(Place::file(path.clone()), true, &mut found)?;
        }
    }
    Ok(found)
}

fn descend(folder: &Path, depth: usize, found: &mut Vec<Found>) -> Result<(), DicomError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| io_error(folder, source))? {
        let entry = entry.map_err(|source| io_error(folder, source))?;
        entries.push(entry);
        if entries.len() > MAX_FILES {
            return Err(DicomError::TooManyFiles {
                path: folder.to_owned(),
            });
        }
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry
            .file_type()
            .map_err(|source| io_error(&path, source))?;
        if kind.is_dir() {
            if depth > 1 {
                descend(&path, depth - 1, found)?;
            }
        } else if path.is_file() {
            add(Place::file(path), false, found)?;
        }
    }
    Ok(())
}

fn add(place: Place, named: bool, found: &mut Vec<Found>) -> Result<(), DicomError> {
    if found.len() == MAX_FILES {
        return Err(DicomError::TooManyFiles {
            path: place.label().to_owned(),
        });
    }
    found.push(Found { place, named });
    Ok(())
}

fn io_error(path: &Path, source: std::io::Error) -> DicomError {
    DicomError::Io {
        path: path.to_owned(),
        source,
    }
}
