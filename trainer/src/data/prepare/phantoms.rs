//! `prepare --phantoms`: the volumes to prepare are painted first, around the label volumes of a KiTS19 folder.
//!
//! They lie in `PREPARED/phantoms`, a data folder like any other. `PREPARED/phantoms.json` is written before the first
//! of them and says what they are painted from, so that a killed run goes on and a changed label volume is noticed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_imaging::files::UNFINISHED;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::records::{Layout, Options};
use crate::data::error::{DataError, DataErrorKind};
use crate::data::files;
use crate::data::progress::Progress;
use crate::data::scan::in_parallel;
use crate::phantom::{self, LabelCase, LabelDriven, PhantomError, is_reserved};

/// Phantoms to paint and prepare.
#[derive(Clone, Debug)]
pub struct Phantoms {
    /// Folder in the layout of KiTS19; its label volumes suffice. Reserved patients are left out.
    pub labels: PathBuf,
    /// The most slices of one patient, 1 to 512.
    pub slices: usize,
}

/// What the phantoms of a folder are painted from.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Recipe {
    size: usize,
    slices: usize,
    seed: u64,
    /// BLAKE3 of each case's label volume.
    labels: BTreeMap<String, String>,
}

impl Recipe {
    /// The first way in which the two differ, in words.
    fn difference(&self, earlier: &Self) -> Option<String> {
        for (what, earlier, now) in [
            ("size", earlier.size as u64, self.size as u64),
            (
                "slices per patient",
                earlier.slices as u64,
                self.slices as u64,
            ),
            ("seed", earlier.seed, self.seed),
        ] {
            if earlier != now {
                return Some(format!("their {what} was {earlier}, now it is {now}"));
            }
        }
        let mut names = self.labels.keys().chain(earlier.labels.keys());
        names
            .find(|&name| self.labels.get(name) != earlier.labels.get(name))
            .map(
                |name| match (earlier.labels.get(name), self.labels.get(name)) {
                    (None, _) => format!("the labels of {name} are new"),
                    (_, None) => format!("the labels of {name} are gone"),
                    _ => format!("the labels of {name} have changed"),
                },
            )
    }

    /// Whether a case painted by `earlier` is what this would paint.
    fn keeps(&self, earlier: &Self, name: &str) -> bool {
        (self.size, self.slices, self.seed) == (earlier.size, earlier.slices, earlier.seed)
            && (self.labels.get(name)).is_some_and(|hash| earlier.labels.get(name) == Some(hash))
    }
}

/// Phantoms that can be painted: the options are in their limits and there are labels.
#[derive(Debug)]
pub(super) struct Painting<'a> {
    labels: &'a Path,
    painter: LabelDriven,
    cases: Vec<LabelCase>,
}

impl<'a> Painting<'a> {
    pub(super) fn plan(phantoms: &'a Phantoms, options: &Options) -> Result<Self, DataError> {
        let labels = phantoms.labels.as_path();
        let painter = LabelDriven {
            // As KiTS19's 512 pixels to the paper's 256.
            size: (2 * options.preprocess.rows).min(1024),
            slices: phantoms.slices,
            seed: options.seed,
        };
        painter.check().map_err(|error| {
            DataError::new(
                DataErrorKind::Option,
                labels,
                error.to_string(),
                "give another --phantom-slices",
            )
        })?;
        let mut cases = phantom::label_cases(labels).map_err(|error| match error {
            PhantomError::Io { source, .. } => {
                DataError::io(labels, "list the label folder", source)
            }
            other => DataError::volume(labels, other),
        })?;
        cases.retain(|case| case.name.starts_with("case_") && !is_reserved(&case.name));
        if cases.is_empty() {
            return Err(DataError::new(
                DataErrorKind::Folder,
                labels,
                "there is no label volume in it that may be painted around",
                "give --phantoms a folder that holds case_00000/segmentation.nii.gz, case_00001/segmentation.nii.gz and so on",
            ));
        }
        Ok(Self {
            labels,
            painter,
            cases,
        })
    }

    fn recipe(&self, progress: &dyn Progress) -> Result<Recipe, DataError> {
        progress.start("checking labels", self.cases.len());
        let hash = |case: &LabelCase| {
            let (hash, _) = files::hash(&case.labels)?;
            progress.step(&case.name);
            Ok((case.name.clone(), hash))
        };
        let labels: Result<_, DataError> = self.cases.par_iter().map(hash).collect();
        progress.finish();
        Ok(Recipe {
            size: self.painter.size,
            slices: self.painter.slices,
            seed: self.painter.seed,
            labels: labels?,
        })
    }

    /// Paints what is not there yet, at most `jobs` volumes at once. Returns the data folder.
    pub(super) fn ensure(
        &self,
        layout: &Layout,
        update: bool,
        jobs: usize,
        progress: &dyn Progress,
    ) -> Result<PathBuf, DataError> {
        let folder = layout.phantoms();
        let recipe = in_parallel(jobs, || self.recipe(progress))??;
        let path = layout.phantom_recipe();
        if path.exists() {
            let earlier: Recipe = files::read_json(&path)?;
            remove_outdated(&recipe, &earlier, &folder, &path, update)?;
        }
        files::write_json(&path, &recipe)?;
        remove_unfinished(&folder)?;

        let missing: Vec<LabelCase> = self
            .cases
            .iter()
            .filter(|case| !folder.join(&case.name).exists())
            .cloned()
            .collect();
        progress.start("painting", missing.len());
        let step = |name: &str| progress.step(name);
        let painted = in_parallel(jobs, || {
            phantom::paint(&self.painter, &missing, &folder, &step)
        })?;
        progress.finish();
        painted.map_err(|error| {
            DataError::new(
                DataErrorKind::Volume,
                self.labels,
                "a phantom was not painted",
                "mend that and run the same command again; it resumes",
            )
            .because(error)
        })?;
        Ok(folder)
    }
}

/// Removes the cases that would be painted otherwise now, if that is wished for.
fn remove_outdated(
    recipe: &Recipe,
    earlier: &Recipe,
    folder: &Path,
    path: &Path,
    update: bool,
) -> Result<(), DataError> {
    let Some(difference) = recipe.difference(earlier) else {
        return Ok(());
    };
    if !update {
        return Err(DataError::new(
            DataErrorKind::Changed,
            path,
            format!("these phantoms were painted otherwise: {difference}"),
            "repeat the earlier options, or give --update to paint anew what changed, or another --out",
        ));
    }
    let outdated = earlier
        .labels
        .keys()
        .filter(|name| !recipe.keeps(earlier, name));
    outdated
        .map(|name| folder.join(name))
        .try_for_each(|case| remove(&case))
}

/// Removes a folder with all that is in it, or a file.
fn remove(path: &Path) -> Result<(), DataError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(DataError::io(path, "remove this", e))
        }
        _ => Ok(()),
    }
}

/// Removes what a killed run left half-painted.
fn remove_unfinished(folder: &Path) -> Result<(), DataError> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(()); // not made yet
    };
    entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(UNFINISHED.as_bytes())
        })
        .try_for_each(|entry| remove(&entry.path()))
}
