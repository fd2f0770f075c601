//! Which CT series lie in a folder, and what else.
//!
//! Used by the series and by everything that must take a folder apart before it can send or queue what is in it. Only headers are read, and
//! of a slice only its identifiers are believed: whether a series makes a volume is known when it is opened.

use std::path::{Path, PathBuf};

use super::error::DicomError;
use super::finding::Finding;
use super::gather::{Found, gather};
use super::image::{self, Head, Kind};
use crate::place::Place;

/// The files of one CT series.
#[derive(Clone, Debug)]
pub struct SeriesFiles {
    /// Study and series.
    uids: [String; 2],
    pub(super) files: Vec<SliceFile>,
}

/// A slice that has not been checked.
#[derive(Clone, Debug)]
pub(super) struct SliceFile {
    pub(super) place: Place,
    pub(super) instance: String,
    pub(super) bytes: u64,
}

impl SeriesFiles {
    /// What messages call its files, in the order in which they were found: their paths, but for files in an archive, which have none.
    /// Copies of a slice are among them.
    pub fn paths(&self) -> Vec<PathBuf> {
        let paths = self.files.iter().map(|file| file.place.label().to_owned());
        paths.collect()
    }

    /// The file that was found first, to tell people which series this is.
    pub fn first(&self) -> &Path {
        self.files
            .first()
            .map_or(Path::new(""), |file| file.place.label())
    }

    /// Files, which are as many slices unless there are copies.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The CT series among files, below folders and in archives, in the order in which their first slices were found; localisers, other
/// objects and other files are left out.
///
/// # Errors
/// Files that cannot be read or are damaged, and whatever is named and holds no slice of CT.
pub fn sort_out(paths: &[PathBuf]) -> Result<Vec<SeriesFiles>, DicomError> {
    let mut sorted: Vec<SeriesFiles> = Vec::new();
    each(paths, &mut |head| {
        let uids = head.series()?;
        let bytes = head.place.window().map_err(|source| DicomError::Io {
            path: head.place.label().to_owned(),
            source,
        })?;
        let file = SliceFile {
            instance: head.instance()?,
            bytes: bytes.len(),
            place: head.place,
        };
        match sorted.iter_mut().find(|series| series.uids == uids) {
            Some(series) => series.files.push(file),
            None => sorted.push(SeriesFiles {
                uids,
                files: vec![file],
            }),
        }
        Ok(())
    })?;
    Ok(sorted)
}

/// Looks at every file named, below folders and in archives, and shows the slices; what else there was is told.
pub(super) fn each(
    paths: &[PathBuf],
    slice: &mut dyn FnMut(Head) -> Result<(), DicomError>,
) -> Result<Vec<Finding>, DicomError> {
    let path = paths.first().cloned().unwrap_or_default();
    each_of(path, gather(paths)?, slice)
}

/// The same for files that have been found. `path` is what the person named.
pub(super) fn each_of(
    path: PathBuf,
    files: Vec<Found>,
    slice: &mut dyn FnMut(Head) -> Result<(), DicomError>,
) -> Result<Vec<Finding>, DicomError> {
    let (mut slices, mut other_files, mut localisers) = (0_usize, 0, 0);
    let mut others: Vec<String> = Vec::new();
    for file in files {
        match image::look(&file.place)? {
            Some(Kind::Slice(head)) => {
                slices += 1;
                slice(*head)?;
            }
            Some(Kind::MultiFrame) => {
                return Err(DicomError::MultiFrame {
                    path: file.place.label().to_owned(),
                });
            }
            Some(Kind::Localiser) => localisers += 1,
            Some(Kind::Other(modality)) => others.push(modality),
            None if file.named => {
                return Err(DicomError::NotDicom {
                    path: file.place.label().to_owned(),
                });
            }
            None => other_files += 1,
        }
    }
    let objects = others.len();
    others.sort_unstable();
    others.dedup();
    if slices == 0 {
        if localisers > 0 {
            others.push("localisers".to_owned());
        }
        return Err(if others.is_empty() {
            DicomError::NotDicom { path }
        } else {
            DicomError::NoCt {
                path,
                found: others.join(", "),
            }
        });
    }
    let mut findings = Vec::new();
    if other_files > 0 {
        findings.push(Finding::OtherFiles { files: other_files });
    }
    if objects > 0 {
        findings.push(Finding::OtherObjects {
            objects,
            modalities: others,
        });
    }
    if localisers > 0 {
        findings.push(Finding::Localisers { images: localisers });
    }
    Ok(findings)
}
