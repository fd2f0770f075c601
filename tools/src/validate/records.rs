//! What is done stays done: one record a scan, so that a validation that broke off goes on.
//!
//! A record counts only for the very scan, truth and package that it was made from, and the same way of measuring.

use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_imaging::files;
use serde::{Deserialize, Serialize};

use super::cases::{Case, Volume};
use super::measure::Measured;
use crate::failure::{Exit, Failure, told, unwritable};

/// Rises when the same label map would be measured otherwise.
const FORMAT: u32 = 1;

/// What a record is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    format: u32,
    scan: String,
    truth: String,
    package: String,
}

impl Key {
    /// The key of a scan labelled by a package.
    pub(super) fn new(volume: &Volume, package: &str) -> Self {
        Self {
            format: FORMAT,
            scan: volume.imaging_blake3.clone(),
            truth: volume.segmentation_blake3.clone(),
            package: package.to_owned(),
        }
    }
}

/// A scan that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// What it is of.
    pub(super) key: Key,
    /// Arithmetic of the box.
    pub(super) arithmetic: String,
    /// Time that the box took, in seconds.
    pub(super) seconds: f64,
    /// What was found.
    pub(super) measured: Measured,
}

/// The folder of records, and of the label maps that they were made from.
#[derive(Debug, Clone)]
pub(super) struct Store(PathBuf);

impl Store {
    /// Opens the folder `scans` within the results' folder; makes it if need be.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn open(out: &Path) -> Result<Self, Failure> {
        let folder = out.join("scans");
        fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
        Ok(Self(folder))
    }

    /// Where the box's label map of a scan is kept.
    pub(super) fn labels(&self, case: &Case, volume: &Volume) -> PathBuf {
        self.0
            .join(format!("{}.{}.nii.gz", case.name, volume.source))
    }

    /// The record of a scan, if there is one that counts.
    pub(super) fn read(&self, case: &Case, volume: &Volume, key: &Key) -> Option<Record> {
        let bytes = fs::read(self.path(case, volume)).ok()?;
        // One that cannot be read is as good as none: the scan is sent again.
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        (record.key == *key).then_some(record)
    }

    /// Writes a record, whole or not at all.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(super) fn write(
        &self,
        case: &Case,
        volume: &Volume,
        record: &Record,
    ) -> Result<(), Failure> {
        write_json(&self.path(case, volume), record)
    }

    fn path(&self, case: &Case, volume: &Volume) -> PathBuf {
        self.0.join(format!("{}.{}.json", case.name, volume.source))
    }
}

/// Writes a value as JSON for people, whole or not at all.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| {
        told(
            Exit::Internal,
            &error,
            path.display(),
            "report this; it is a fault in nephroctl",
        )
    })?;
    bytes.push(b'\n');
    files::write(path, &bytes).map_err(|error| unwritable(path, &error))
}
