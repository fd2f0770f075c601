//! The statistics of the paper's section 2.2: how many slices show what, how many are kept, and the class weights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use nephrobox_shared::metrics::ClassFrequencies;
use nephrobox_shared::preprocess::Preprocess;
use serde::Serialize;

use super::choice::SliceChoice;
use super::error::{DataError, DataErrorKind};
use super::folder::{self, CaseFolder};
use super::progress::Progress;
use super::scan::{self, LabelScan};

/// One number per class, by name; `None` (JSON `null`) for a class that never occurs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PerClass {
    /// Background.
    pub background: Option<f64>,
    /// Kidney.
    pub kidney: Option<f64>,
    /// Tumour.
    pub tumour: Option<f64>,
}

impl From<[Option<f64>; 3]> for PerClass {
    fn from([background, kidney, tumour]: [Option<f64>; 3]) -> Self {
        Self {
            background,
            kidney,
            tumour,
        }
    }
}

/// The statistics of some KiTS19 folders. The class of a slice is decided by plain presence of a label at the volume's
/// own resolution; frequencies and weights are taken from the kept slices at 256 x 256.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Patients with labels.
    pub cases: usize,
    /// Label volumes; more than patients if several folders hold the same case.
    pub volumes: usize,
    /// All slices.
    pub slices: usize,
    /// Slices with neither kidney nor tumour.
    pub background_only: usize,
    /// Slices with kidney and without tumour.
    pub kidney_only: usize,
    /// Slices with both.
    pub kidney_and_tumour: usize,
    /// Slices with tumour and without kidney.
    pub tumour_only: usize,
    /// Slices kept for training and evaluation.
    pub kept: usize,
    /// Those of the kept slices that are background only.
    pub kept_background_only: usize,
    /// Pixels of a class as a fraction of the kept slices on which it occurs.
    pub class_frequencies: PerClass,
    /// Median frequency divided by the class's own.
    pub class_weights: PerClass,
    /// The rule by which background-only slices were kept.
    pub rule: SliceChoice,
    /// Seed of the random choice of background-only slices.
    pub seed: u64,
    /// The background-only slices that were kept: by case, one list per volume, counted from the head end.
    pub background_slices: BTreeMap<String, Vec<Vec<u32>>>,
    /// Case folders without a label volume.
    pub without_labels: Vec<String>,
}

/// The label scans of some KiTS19 folders, from which statistics under any rule follow at once.
#[derive(Clone, Debug)]
pub struct Survey {
    volumes: Vec<(CaseFolder, LabelScan)>,
    without_labels: Vec<String>,
}

impl Survey {
    /// Scans all label volumes of `folders`, `jobs` at a time.
    pub fn read(
        folders: &[PathBuf],
        jobs: usize,
        progress: &dyn Progress,
    ) -> Result<Self, DataError> {
        let found = folder::find(folders)?;
        if found.iter().all(|f| f.segmentation.is_none()) {
            return Err(DataError::new(
                DataErrorKind::Folder,
                folders.first().cloned().unwrap_or_default(),
                "no case in this folder has labels",
                "a case needs segmentation.nii.gz for statistics",
            ));
        }
        let scans = scan::scan_all(&found, &Preprocess::default(), jobs, progress)?;
        let (mut volumes, mut without_labels) = (Vec::new(), Vec::new());
        for (folder, scan) in found.into_iter().zip(scans) {
            match scan {
                Some(scan) => volumes.push((folder, scan)),
                None => without_labels.push(folder.case),
            }
        }
        Ok(Self {
            volumes,
            without_labels,
        })
    }

    /// The statistics under a rule for background-only slices.
    pub fn statistics(&self, rule: &SliceChoice, seed: u64) -> Statistics {
        let mut frequencies = ClassFrequencies::new();
        let mut background_slices: BTreeMap<String, Vec<Vec<u32>>> = BTreeMap::new();
        let (mut by_content, mut kept) = ([[0usize; 2]; 2], 0);
        for (folder, scan) in &self.volumes {
            for slice in &scan.slices {
                by_content[usize::from(slice.full[1] > 0)][usize::from(slice.full[2] > 0)] += 1;
            }
            let mut chosen = rule.keep(seed, &folder.case, folder.source, &scan.background_only());
            for &s in &chosen {
                frequencies.add(scan.slices[s as usize].small.map(u64::from));
            }
            kept += chosen.len();
            chosen.retain(|&s| scan.slices[s as usize].background_only());
            background_slices
                .entry(folder.case.clone())
                .or_default()
                .push(chosen);
        }
        let [
            [background_only, tumour_only],
            [kidney_only, kidney_and_tumour],
        ] = by_content;
        Statistics {
            cases: self
                .volumes
                .iter()
                .map(|(f, _)| &f.case)
                .collect::<BTreeSet<_>>()
                .len(),
            volumes: self.volumes.len(),
            slices: background_only + tumour_only + kidney_only + kidney_and_tumour,
            background_only,
            kidney_only,
            kidney_and_tumour,
            tumour_only,
            kept,
            kept_background_only: background_slices.values().flatten().map(Vec::len).sum(),
            class_frequencies: frequencies.frequencies().into(),
            class_weights: frequencies.weights().into(),
            rule: *rule,
            seed,
            background_slices,
            without_labels: self.without_labels.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::all_cores;
    use crate::data::choice::{Base, Rounding};
    use crate::data::progress::Silent;

    /// All of KiTS19's labels. The numbers are the paper's (section 2.2) and those of `../shared/data/README.md`, which were
    /// made with nibabel and numpy.
    #[test]
    fn the_210_label_volumes_give_the_numbers_of_the_paper() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/kits19-labels");
        if !folder.is_dir() {
            eprintln!("skipped: ../shared is not here");
            return;
        }
        let survey = Survey::read(&[folder], all_cores(), &Silent).unwrap();
        let paper = SliceChoice::default();
        let s = survey.statistics(&paper, 1);
        assert_eq!((s.cases, s.volumes, s.slices), (210, 210, 45_424));
        assert_eq!(
            [
                s.background_only,
                s.kidney_only,
                s.kidney_and_tumour,
                s.tumour_only
            ],
            [29_088, 10_624, 5_207, 505]
        );
        assert_eq!((s.kept, s.kept_background_only), (16_795, 459));
        let near = |value: Option<f64>, expected: f64, within: f64| {
            (value.unwrap() - expected).abs() < within
        };
        let (f, w) = (&s.class_frequencies, &s.class_weights);
        assert!(
            near(f.background, 0.977_07, 5e-6)
                && near(f.kidney, 0.019_52, 5e-6)
                && near(f.tumour, 0.013_36, 5e-6)
        );
        assert!(
            near(w.background, 0.0200, 5e-5)
                && near(w.kidney, 1.0, 1e-12)
                && near(w.tumour, 1.461, 5e-4),
            "{w:?}"
        );

        // Which background-only slices are kept is chance, how many is not, and the weights do not notice.
        let other = survey.statistics(&paper, 2);
        assert_ne!(s.background_slices, other.background_slices);
        assert_eq!((s.kept, s.class_weights), (other.kept, other.class_weights));

        let of_background = SliceChoice {
            base: Base::Background,
            minimum: 1,
            ..paper
        };
        let readings = [
            (
                SliceChoice {
                    rounding: Rounding::Down,
                    ..of_background
                },
                16_652,
            ),
            (of_background, 16_677),
            (
                SliceChoice {
                    rounding: Rounding::Up,
                    ..of_background
                },
                16_740,
            ),
            (
                SliceChoice {
                    rounding: Rounding::Down,
                    minimum: 1,
                    ..paper
                },
                16_761,
            ),
            (
                SliceChoice {
                    minimum: 1,
                    ..paper
                },
                16_806,
            ),
            (
                SliceChoice {
                    rounding: Rounding::HalfEven,
                    ..paper
                },
                16_793,
            ),
        ];
        for (rule, kept) in readings {
            assert_eq!(
                survey.statistics(&rule, 1).kept,
                kept,
                "{}",
                rule.describe()
            );
        }
    }

    #[test]
    fn a_folder_without_labels_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("case_00210")).unwrap(); // the challenge's test cases have no labels
        std::fs::write(root.path().join("case_00210/imaging.nii.gz"), b"").unwrap();
        let error = Survey::read(&[root.path().to_owned()], 1, &Silent).unwrap_err();
        assert_eq!(
            (error.kind(), error.place()),
            (DataErrorKind::Folder, root.path())
        );
    }
}
