//! The held-back cases that a package was scored on, found again on this machine.
//!
//! A package names the hashes of its data's fingerprint and of its split; `nephrotrain prepare` leaves both as
//! `fingerprint.json` and `split.toml`. From these two and the scans themselves follows everything that decided the packed
//! scores: which patients, which slices, which preprocessing. Each of these is checked; nothing is taken on trust.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nephrobox_dataset::fingerprint::{VolumeFingerprint, image_weight};
use nephrobox_dataset::folder::{self, CaseFolder};
use nephrobox_dataset::{DataError, Fingerprint, Options, PatientSplit, Split, hash_file};
use nephrobox_shared::package::Manifest;

use crate::failure::{Exit, Failure};

/// Name of the file that says which data these are.
const FINGERPRINT: &str = "fingerprint.json";
/// Name of the file that says who is in which part.
const SPLIT: &str = "split.toml";

/// The cases that the packed scores are of.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldBack {
    /// Rules by which slices were chosen and resized.
    pub options: Options,
    /// Hash of the data's fingerprint.
    pub fingerprint: String,
    /// Hash of the split.
    pub split: String,
    /// The patients, by name; each has scored slices.
    pub cases: Vec<Case>,
}

/// One patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The case's name.
    pub name: String,
    /// The scans that have scored slices.
    pub volumes: Vec<Volume>,
}

/// One scan of a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Position of its data folder when the set was prepared.
    pub source: u32,
    /// The scan.
    pub imaging: PathBuf,
    /// The true labels.
    pub segmentation: PathBuf,
    /// BLAKE3 of the scan's file, hexadecimal.
    pub imaging_blake3: String,
    /// BLAKE3 of the labels' file, hexadecimal.
    pub segmentation_blake3: String,
    /// Slices that are scored.
    pub kept: usize,
}

impl Case {
    /// Slices of the patient that are scored.
    pub fn kept(&self) -> usize {
        self.volumes.iter().map(|volume| volume.kept).sum()
    }

    /// Weight of each of them.
    pub fn weight(&self) -> f64 {
        image_weight(self.kept())
    }
}

impl HeldBack {
    /// Finds the test cases of the package `model` in the KiTS19 folders `data`.
    ///
    /// `set` is the folder with fingerprint and split; without it they are looked for in the data folders and in the
    /// folders above those. Order and names of the data folders do not matter: scans are known by their hash.
    ///
    /// # Errors
    /// If the two files are not there or not the package's, or a scan is missing or another one.
    pub fn find(
        data: &[PathBuf],
        set: Option<&Path>,
        manifest: &Manifest,
        model: &Path,
    ) -> Result<Self, Failure> {
        let set = match set {
            Some(set) => set.to_owned(),
            None => look_for_set(data)?,
        };
        let fingerprint = Fingerprint::read(&set.join(FINGERPRINT)).map_err(|e| unusable(&e))?;
        let split = PatientSplit::read(&set.join(SPLIT)).map_err(|e| unusable(&e))?;
        let training = &manifest.training;
        for (file, found, packed) in [
            (
                FINGERPRINT,
                &fingerprint.overall,
                &training.dataset_fingerprint,
            ),
            (SPLIT, &split.hash(), &training.split.name),
        ] {
            if found != packed {
                return Err(Failure::new(
                    Exit::Input,
                    format_args!(
                        "this {file} has the hash {}, and the scores in {} are of {}",
                        short(found),
                        model.display(),
                        short(packed)
                    ),
                    set.join(file).display(),
                    "give --set the folder that the model was trained and scored with",
                ));
            }
        }
        let found = folder::find(data).map_err(|e| unusable(&e))?;
        let cases = match_cases(&fingerprint, split.part(Split::Test), &found)?;
        let here = [cases.len(), cases.iter().map(Case::kept).sum()];
        let packed = training.split.test;
        if here != [packed.patients as usize, packed.slices as usize] {
            return Err(Failure::new(
                Exit::Model,
                format_args!(
                    "the package says that its test split has {} patients with {} slices, and its data have {} with {}",
                    packed.patients, packed.slices, here[0], here[1]
                ),
                model.display(),
                "export the model again",
            ));
        }
        if cases.is_empty() {
            return Err(Failure::new(
                Exit::Model,
                "the model was trained without held-back patients, so there is nothing to compare with",
                model.display(),
                "take a model with scores on a test split",
            ));
        }
        Ok(Self {
            options: fingerprint.options,
            split: split.hash(),
            fingerprint: fingerprint.overall,
            cases,
        })
    }

    /// All scans with their cases, in order.
    pub fn volumes(&self) -> impl Iterator<Item = (&Case, &Volume)> {
        debug_assert!(self.cases.iter().all(|case| !case.volumes.is_empty()));
        self.cases
            .iter()
            .flat_map(|case| case.volumes.iter().map(move |volume| (case, volume)))
    }
}

/// The first of the data folders, or of those above them, that holds both files.
fn look_for_set(data: &[PathBuf]) -> Result<PathBuf, Failure> {
    let above = data.iter().map(|folder| folder.join(".."));
    let mut places = data.iter().cloned().chain(above);
    places
        .find(|place| [FINGERPRINT, SPLIT].iter().all(|file| place.join(file).is_file()))
        .ok_or_else(|| {
            let place = data.first().map_or_else(String::new, |folder| folder.display().to_string());
            Failure::new(
                Exit::Input,
                format_args!("there is no {FINGERPRINT} and {SPLIT} in the data folder nor in the one above it"),
                place,
                "give --set the folder that `nephrotrain prepare` made for this model, or one with a copy of the two files",
            )
        })
}

/// Finds every scored volume of every test patient among the case folders.
fn match_cases(
    fingerprint: &Fingerprint,
    test: &[String],
    found: &[CaseFolder],
) -> Result<Vec<Case>, Failure> {
    let mut hashes = Hashes::default();
    let mut cases = Vec::new();
    let mut missing = Vec::new();
    for name in test {
        let scored = |volume: &&VolumeFingerprint| volume.case == *name && volume.kept > 0;
        let mut volumes = Vec::new();
        for wanted in fingerprint.volumes.iter().filter(scored) {
            let here: Vec<&CaseFolder> = found.iter().filter(|case| case.case == *name).collect();
            match match_volume(wanted, &here, &mut hashes)? {
                Some(volume) => volumes.push(volume),
                None => missing.push(name.as_str()),
            }
        }
        if !volumes.is_empty() {
            let name = name.clone();
            cases.push(Case { name, volumes });
        }
    }
    let Some(first) = missing.first() else {
        return Ok(cases);
    };
    let others = match missing.len() - 1 {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let place = found
        .first()
        .and_then(|case| case.path.parent())
        .unwrap_or(Path::new("."));
    Err(Failure::new(
        Exit::Input,
        format_args!(
            "the scan or the labels of {first}{others} that the model was scored on are not there"
        ),
        place.display(),
        "give --data the folders with all test cases of the model, as they were when it was scored",
    ))
}

/// The volume among the case's folders; `None` if none of them holds it.
fn match_volume(
    wanted: &VolumeFingerprint,
    here: &[&CaseFolder],
    hashes: &mut Hashes,
) -> Result<Option<Volume>, Failure> {
    for case in here {
        let (Some(imaging), Some(segmentation)) = (&case.imaging, &case.segmentation) else {
            continue;
        };
        if hashes.of(imaging)? == wanted.imaging.blake3
            && hashes.of(segmentation)? == wanted.segmentation.blake3
        {
            return Ok(Some(Volume {
                source: wanted.source,
                imaging: imaging.clone(),
                segmentation: segmentation.clone(),
                imaging_blake3: wanted.imaging.blake3.clone(),
                segmentation_blake3: wanted.segmentation.blake3.clone(),
                kept: wanted.kept,
            }));
        }
    }
    Ok(None)
}

/// Hashes of files, each taken once.
#[derive(Default)]
struct Hashes(BTreeMap<PathBuf, String>);

impl Hashes {
    fn of(&mut self, path: &Path) -> Result<String, Failure> {
        if let Some(hash) = self.0.get(path) {
            return Ok(hash.clone());
        }
        let (hash, _) = hash_file(path).map_err(|e| unusable(&e))?;
        self.0.insert(path.to_owned(), hash.clone());
        Ok(hash)
    }
}

/// The beginning of a hash, as people compare it.
pub(super) fn short(hash: &str) -> &str {
    match hash.get(..16) {
        Some(start) => start,
        None if hash.is_empty() => "none",
        None => hash,
    }
}

/// A data folder that cannot be used.
pub(super) fn unusable(error: &DataError) -> Failure {
    let place = error.place().display();
    Failure::new(Exit::Input, error.what(), place, error.remedy())
}
