//! Which data a set was made from, and by which rules: enough to find the same patients and slices again.

use std::collections::BTreeSet;
use std::path::Path;

use nephrobox_imaging::files;
use nephrobox_shared::preprocess::Preprocess;
use serde::{Deserialize, Serialize};

use crate::DEFAULT_SEED;
use crate::choice::SliceChoice;
use crate::error::{DataError, DataErrorKind};
use crate::hash::hash_json;
use crate::labels::LabelScan;

/// The longest file that is read, in bytes; a fingerprint has about 600 for each volume.
const MOST_BYTES: u64 = 256 << 20;

/// What decides the bytes of a prepared volume, besides its sources.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Rule for background-only slices.
    pub rule: SliceChoice,
    /// Seed of the choice of background-only slices and of the split.
    pub seed: u64,
    /// Window, interpolation and size.
    pub preprocess: Preprocess,
    /// Whether the slices above and below a kept one are stored as well. Left out of files if not, so that sets without
    /// are the same bytes as before this option.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub neighbours: bool,
}

impl Options {
    /// Numbers of the slices of a volume that are kept, ascending. `source` is the position of its data folder.
    pub fn kept(&self, case: &str, source: u32, scan: &LabelScan) -> Vec<u32> {
        self.rule
            .keep(self.seed, case, source, &scan.background_only())
    }

    /// Numbers of the slices whose images are stored, ascending: the kept ones, and with `neighbours` those beside them.
    pub fn stored(&self, kept: &[u32], slices: usize) -> Vec<u32> {
        if !self.neighbours {
            return kept.to_vec();
        }
        let beside: BTreeSet<u32> = kept
            .iter()
            .flat_map(|&slice| beside(slice, slices))
            .collect();
        beside.into_iter().collect()
    }
}

/// A slice between its neighbours, the one nearer the head first; at the ends of a volume of `slices` it is its own.
pub fn beside(slice: u32, slices: usize) -> [u32; 3] {
    let last = (slices as u32).saturating_sub(1);
    [slice.saturating_sub(1), slice, (slice + 1).min(last)]
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rule: SliceChoice::default(),
            seed: DEFAULT_SEED,
            preprocess: Preprocess::default(),
            neighbours: false,
        }
    }
}

/// A source file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Length.
    pub bytes: u64,
    /// BLAKE3 of the file as it is on disk, hexadecimal.
    pub blake3: String,
}

/// Distances between voxel centres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpacingRecord {
    /// Between slices.
    pub slice_mm: f64,
    /// Between rows.
    pub row_mm: f64,
    /// Between columns.
    pub col_mm: f64,
}

/// Which data these are: enough to recognise them and to find the file that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// BLAKE3 over `options` and `volumes` as compact JSON. The same sources and options give the same one anywhere.
    pub overall: String,
    /// The options.
    pub options: Options,
    /// Source files, shape, spacing and label counts of every volume.
    pub volumes: Vec<VolumeFingerprint>,
}

/// One volume of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeFingerprint {
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
    /// Voxels of each label in the whole volume.
    pub label_voxels: [u64; 3],
    /// Number of kept slices.
    pub kept: usize,
}

/// Weight of each image of a patient of whom `kept` slices are kept, over all volumes: every patient weighs 1, or 0 if none is kept.
pub fn image_weight(kept: usize) -> f64 {
    if kept == 0 { 0.0 } else { 1.0 / kept as f64 }
}

impl Fingerprint {
    /// The fingerprint of volumes in the order of case and source.
    pub fn new(options: Options, volumes: Vec<VolumeFingerprint>) -> Self {
        Self {
            overall: hash_json(&(&options, &volumes)),
            options,
            volumes,
        }
    }

    /// Reads a `fingerprint.json` and checks that it is the one its overall hash was taken of.
    ///
    /// # Errors
    /// If the file cannot be read, is none, or was changed.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let damaged = |what: &str| {
            let remedy = "copy it again from the folder that `nephrotrain prepare` made";
            DataError::new(DataErrorKind::Damaged, path, what, remedy)
        };
        let text = files::read(path, MOST_BYTES)
            .map_err(|e| DataError::io(path, "read the fingerprint", e))?;
        let read: Self = serde_json::from_slice(&text)
            .map_err(|e| damaged("this is no fingerprint of a prepared set").because(e))?;
        let overall = read.overall.clone();
        let again = Self::new(read.options, read.volumes);
        if again.overall == overall {
            Ok(again)
        } else {
            Err(damaged("this fingerprint was changed after it was made"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn example() -> Fingerprint {
        let file = |bytes| SourceFile {
            bytes,
            blake3: "00".repeat(32),
        };
        let volume = VolumeFingerprint {
            case: "case_00001".into(),
            source: 0,
            imaging: file(7),
            segmentation: file(8),
            shape: [3, 4, 5],
            spacing: SpacingRecord {
                slice_mm: 3.0,
                row_mm: 0.1 + 0.2, // 17 digits, all of which must come back
                col_mm: 0.919_921_875,
            },
            label_voxels: [50, 8, 2],
            kept: 2,
        };
        Fingerprint::new(Options::default(), vec![volume])
    }

    #[test]
    fn a_fingerprint_is_read_back_and_a_changed_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fingerprint.json");
        let written = serde_json::to_string_pretty(&example()).unwrap();
        fs::write(&path, &written).unwrap();
        assert_eq!(Fingerprint::read(&path).unwrap(), example());

        for (from, to, word) in [
            ("\"kept\": 2", "\"kept\": 3", "changed after"),
            ("\"seed\": 2019", "\"seed\": 2020", "changed after"),
            ("\"volumes\"", "\"tomes\"", "no fingerprint"),
        ] {
            assert!(written.contains(from), "{from}");
            fs::write(&path, written.replace(from, to)).unwrap();
            let error = Fingerprint::read(&path).unwrap_err();
            assert_eq!(error.kind(), DataErrorKind::Damaged);
            assert!(error.what().contains(word), "{error}");
        }
    }

    #[test]
    fn every_patient_weighs_as_much_as_any_other() {
        assert_eq!(image_weight(0), 0.0);
        assert_eq!(
            [1, 4].map(|kept| kept as f64 * image_weight(kept)),
            [1.0; 2]
        );
    }
}
