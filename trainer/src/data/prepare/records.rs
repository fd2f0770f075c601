//! The files of a prepared folder, as data.
//!
//! | file | holds |
//! | --- | --- |
//! | `prepare.json` | [`Plan`]: options and the list of volumes, written first |
//! | `split.toml` | the patient split, for people |
//! | `volumes/CASE.N.f32` | the images of one volume's kept slices, with `neighbours` those beside them too, row-major f32 little-endian in \[0, 1\] |
//! | `volumes/CASE.N.u8` | their label maps, one byte a pixel |
//! | `volumes/CASE.N.json` | [`VolumeRecord`], written last of the three: the mark that the volume is done |
//! | `phantoms.json` | with `--phantoms`: what they are painted from |
//! | `phantoms/CASE/` | with `--phantoms`: the painted volumes, in the layout of KiTS19 |
//! | `fingerprint.json` | [`Fingerprint`] |
//! | `index.json` | [`Index`], written last of all: the mark that the folder is complete |
//! | `.lock` | nothing; held by whoever writes into the folder |
//!
//! No file names an absolute path or a time, so the same sources and options give the same bytes anywhere.

use std::path::{Path, PathBuf};

pub use nephrobox_dataset::fingerprint::{
    Fingerprint, Options, SourceFile, SpacingRecord, VolumeFingerprint,
};
use serde::{Deserialize, Serialize};

use crate::data::folder::CaseFolder;

/// Version of the folder's layout and meaning.
pub const FORMAT: u32 = 1;

/// Paths inside a prepared folder.
#[derive(Clone, Debug)]
pub(in crate::data) struct Layout(PathBuf);

impl Layout {
    pub(in crate::data) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }
    pub(in crate::data) fn folder(&self) -> &Path {
        &self.0
    }
    pub(in crate::data) fn plan(&self) -> PathBuf {
        self.0.join("prepare.json")
    }
    pub(in crate::data) fn index(&self) -> PathBuf {
        self.0.join("index.json")
    }
    pub(in crate::data) fn fingerprint(&self) -> PathBuf {
        self.0.join("fingerprint.json")
    }
    pub(in crate::data) fn split(&self) -> PathBuf {
        self.0.join("split.toml")
    }
    pub(in crate::data) fn phantoms(&self) -> PathBuf {
        self.0.join("phantoms")
    }
    pub(in crate::data) fn phantom_recipe(&self) -> PathBuf {
        self.0.join("phantoms.json")
    }
    pub(in crate::data) fn volumes(&self) -> PathBuf {
        self.0.join("volumes")
    }
    // The three files of a volume.
    pub(in crate::data) fn images(&self, case: &str, source: u32) -> PathBuf {
        self.volumes().join(format!("{case}.{source}.f32"))
    }
    pub(in crate::data) fn labels(&self, case: &str, source: u32) -> PathBuf {
        self.volumes().join(format!("{case}.{source}.u8"))
    }
    pub(in crate::data) fn record(&self, case: &str, source: u32) -> PathBuf {
        self.volumes().join(format!("{case}.{source}.json"))
    }
}

/// A case folder that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Name of the case.
    pub case: String,
    /// Position of the data folder.
    pub source: u32,
    /// Why, in words.
    pub reason: String,
}

/// A volume by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VolumeName {
    /// Name of the case.
    pub case: String,
    /// Position of the data folder.
    pub source: u32,
}

impl From<&CaseFolder> for VolumeName {
    fn from(folder: &CaseFolder) -> Self {
        Self {
            case: folder.case.clone(),
            source: folder.source,
        }
    }
}

/// What was asked for. A later run into the same folder must ask for the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// The options.
    pub options: Options,
    /// Names of the data folders (their last component), in the order given.
    pub sources: Vec<String>,
    /// Patients that must be in the test part and are among the cases.
    pub reserved: Vec<String>,
    /// The volumes, by case and source.
    pub volumes: Vec<VolumeName>,
    /// Case folders without imaging or labels.
    pub left_out: Vec<LeftOut>,
}

/// One kept slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceRecord {
    /// Index in the volume, from the head end.
    pub slice: u32,
    /// Pixels of each label in the prepared label map.
    pub counts: [u32; 3],
}

/// What is known of one prepared volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Name of the case.
    pub case: String,
    /// Position of its data folder.
    pub source: u32,
    /// The image file.
    pub imaging: SourceFile,
    /// The label file.
    pub segmentation: SourceFile,
    /// Slices, rows, columns.
    pub shape: [usize; 3],
    /// Spacing.
    pub spacing: SpacingRecord,
    /// Directions of the file's axes in the patient, such as "IPL".
    pub orientation: String,
    /// Voxels of each label in the whole volume.
    pub label_voxels: [u64; 3],
    /// The kept slices, ascending.
    pub slices: Vec<SliceRecord>,
    /// BLAKE3 of the file of images.
    pub images_blake3: String,
    /// BLAKE3 of the file of label maps.
    pub labels_blake3: String,
    /// BLAKE3 of [`Options`] as compact JSON.
    pub options_blake3: String,
}

/// One patient of the index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// Name of the case.
    pub case: String,
    /// Weight of each of its images: 1 / number of its kept slices, over all its volumes. 0 if none was kept.
    pub weight: f64,
    /// Its volumes.
    pub volumes: Vec<CaseVolume>,
}

/// The kept slices of one volume of a patient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseVolume {
    /// Position of its data folder.
    pub source: u32,
    /// The kept slices, in the order of the volume's files.
    pub slices: Vec<SliceRecord>,
    /// Slices of the whole volume; only in sets with neighbours, whose images it places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
}

/// What is where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// [`FORMAT`].
    pub format: u32,
    /// The options.
    pub options: Options,
    /// Names of the data folders.
    pub sources: Vec<String>,
    /// Patients that must be in the test part.
    pub reserved: Vec<String>,
    /// The patients by name.
    pub cases: Vec<CaseRecord>,
}

impl From<&VolumeRecord> for VolumeFingerprint {
    fn from(record: &VolumeRecord) -> Self {
        Self {
            case: record.case.clone(),
            source: record.source,
            imaging: record.imaging.clone(),
            segmentation: record.segmentation.clone(),
            shape: record.shape,
            spacing: record.spacing,
            label_voxels: record.label_voxels,
            kept: record.slices.len(),
        }
    }
}
