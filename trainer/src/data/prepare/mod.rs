//! `nephrotrain prepare`: KiTS19 folders to a prepared training set.
//!
//! The work is done volume by volume, each written beside and renamed, so a killed run leaves whole volumes and the
//! next run goes on behind them. Source files are known by their hash: a run into an existing folder reads every
//! source and every prepared file once and thereby notices what changed, whoever changed it. Nothing in the folder
//! depends on time, threads or paths, hence two runs give the same bytes.
//!
//! Memory: one KiTS19-layout image volume as 16-bit integers for each of [`Request::jobs`].

pub mod phantoms;
pub mod records;
#[cfg(test)]
mod tests;
mod volume;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use nephrobox_dataset::fingerprint::image_weight;
use rayon::prelude::*;

use super::error::{DataError, DataErrorKind};
use super::files::{self, FolderLock};
use super::folder::{self, CaseFolder};
use super::progress::Progress;
use super::scan::in_parallel;
use super::split::PatientSplit;
use phantoms::Phantoms;
use records::{
    CaseRecord, CaseVolume, FORMAT, Fingerprint, Index, Layout, LeftOut, Options, Plan, VolumeName,
    VolumeRecord,
};
use volume::{Origin, Sources};

/// What to prepare, from what, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// KiTS19 folders. The same case name in several of them is one patient.
    pub data: Vec<PathBuf>,
    /// Phantoms to paint first and to prepare as one data folder more, the last.
    pub phantoms: Option<Phantoms>,
    /// The folder to make or to go on with.
    pub out: PathBuf,
    /// What decides the bytes.
    pub options: Options,
    /// A split to take instead of the one in the folder or a random one.
    pub split: Option<PathBuf>,
    /// Patients that must be in the test part. Names that are not among the cases have no effect.
    pub reserved: BTreeSet<String>,
    /// Whether to accept changed sources and options, and prepare anew what they concern.
    pub update: bool,
    /// Volumes in work at once.
    pub jobs: usize,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Volumes made in this run.
    pub made: usize,
    /// Volumes found whole from an earlier run.
    pub found: usize,
    /// Volumes whose prepared files were damaged, made again.
    pub mended: usize,
    /// Case folders that are not used.
    pub left_out: Vec<LeftOut>,
    /// Patients of whom no slice was kept.
    pub without_slices: Vec<String>,
    /// Patients reserved for the test part that are among the cases.
    pub reserved: Vec<String>,
    /// Whether the split was there before (edited or not) rather than drawn in this run.
    pub split_kept: bool,
    /// Overall fingerprint.
    pub fingerprint: String,
}

/// Prepares, or goes on preparing.
pub fn run(request: &Request, progress: &dyn Progress) -> Result<Outcome, DataError> {
    check_options(request)?;
    let layout = Layout::new(&request.out);
    let (mut data, mut lock) = (request.data.clone(), None);
    if let Some(phantoms) = &request.phantoms {
        let painting = phantoms::Painting::plan(phantoms, &request.options)?;
        lock = Some(enter(&layout)?);
        data.push(painting.ensure(&layout, request.update, request.jobs, progress)?);
    }
    let found = folder::find(&data)?;
    let (sources, left_out) = usable(&found);
    if sources.is_empty() {
        return Err(DataError::new(
            DataErrorKind::Folder,
            &data[0],
            format!(
                "none of the {} cases has both imaging and labels",
                found.len()
            ),
            "put imaging.nii.gz beside segmentation.nii.gz; the KiTS19 imaging is downloaded apart from the labels",
        ));
    }
    let cases: BTreeSet<&str> = sources.iter().map(|s| s.folder.case.as_str()).collect();
    let plan = Plan {
        format: FORMAT,
        options: request.options,
        sources: data.iter().map(|folder| source_name(folder)).collect(),
        reserved: request
            .reserved
            .iter()
            .filter(|name| cases.contains(name.as_str()))
            .cloned()
            .collect(),
        volumes: sources.iter().map(|s| s.folder.into()).collect(),
        left_out,
    };

    let _lock = match lock {
        Some(lock) => lock,
        None => enter(&layout)?,
    };
    let plan_stands = check_plan(&layout, &plan, request.update)?;
    let split_kept = settle_split(request, &layout, &cases, &plan)?;
    if !plan_stands {
        // An index must never describe another plan than the one the folder is being filled for.
        for path in [layout.index(), layout.fingerprint()] {
            remove_if_there(&path)?;
        }
        files::write_json(&layout.plan(), &plan)?;
    }

    let volumes = layout.volumes();
    fs::create_dir_all(&volumes).map_err(|e| DataError::io(&volumes, "make this folder", e))?;

    let (made, found, mended) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    progress.start("preparing", sources.len());
    let records = in_parallel(request.jobs, || {
        let ensure = |sources: &Sources<'_>| {
            let (record, origin) =
                volume::ensure(sources, &request.options, &layout, request.update)?;
            let counter = match origin {
                Origin::Made => &made,
                Origin::Found => &found,
                Origin::Mended => &mended,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            progress.step(&sources.folder.case);
            Ok(record)
        };
        sources
            .par_iter()
            .with_max_len(1)
            .map(ensure)
            .collect::<Result<Vec<VolumeRecord>, DataError>>()
    });
    progress.finish();
    let records = records??;

    remove_strays(&layout, &plan)?;
    let index = index_of(&plan, &records);
    let fingerprint = Fingerprint::new(request.options, records.iter().map(Into::into).collect());
    files::write_json(&layout.fingerprint(), &fingerprint)?;
    files::write_json(&layout.index(), &index)?;
    Ok(Outcome {
        made: made.into_inner(),
        found: found.into_inner(),
        mended: mended.into_inner(),
        left_out: plan.left_out,
        without_slices: index
            .cases
            .iter()
            .filter(|c| c.weight == 0.0)
            .map(|c| c.case.clone())
            .collect(),
        reserved: plan.reserved,
        split_kept,
        fingerprint: fingerprint.overall,
    })
}

fn check_options(request: &Request) -> Result<(), DataError> {
    let options = &request.options;
    let wrong = |what: String, remedy: &str| {
        Err(DataError::new(
            DataErrorKind::Option,
            &request.out,
            what,
            remedy,
        ))
    };
    if !(0.0..=1.0).contains(&options.rule.fraction) {
        return wrong(
            format!(
                "a background fraction of {} is not possible",
                options.rule.fraction
            ),
            "give --background-fraction a number from 0 to 1, such as 0.01",
        );
    }
    let (rows, cols) = (options.preprocess.rows, options.preprocess.cols);
    if rows != cols || !(32..=1024).contains(&rows) || rows % 32 != 0 {
        return wrong(
            format!("the network cannot take images of {rows} x {cols}"),
            "give --side a multiple of 32 from 32 to 1024; the paper's is 256",
        );
    }
    if request.data.is_empty() && request.phantoms.is_none() {
        return wrong(
            "no data folder is given".to_owned(),
            "name a KiTS19 folder with --data, or label volumes with --phantoms",
        );
    }
    Ok(())
}

/// Parts the case folders into those with both volumes and the rest.
fn usable(found: &[CaseFolder]) -> (Vec<Sources<'_>>, Vec<LeftOut>) {
    let (mut sources, mut left_out) = (Vec::new(), Vec::new());
    for folder in found {
        let reason = match (&folder.imaging, &folder.segmentation) {
            (Some(imaging), Some(segmentation)) => {
                sources.push(Sources {
                    folder,
                    imaging,
                    segmentation,
                });
                continue;
            }
            (None, Some(_)) => "no imaging.nii.gz",
            (Some(_), None) => "no segmentation.nii.gz",
            (None, None) => "neither imaging.nii.gz nor segmentation.nii.gz",
        };
        left_out.push(LeftOut {
            case: folder.case.clone(),
            source: folder.source,
            reason: reason.to_owned(),
        });
    }
    (sources, left_out)
}

/// The last component of a data folder's path.
fn source_name(folder: &Path) -> String {
    let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    real.file_name()
        .unwrap_or(OsStr::new("data"))
        .to_string_lossy()
        .into_owned()
}

/// Makes the folder if need be, makes sure that it is ours, and takes hold of it.
fn enter(layout: &Layout) -> Result<FolderLock, DataError> {
    let folder = layout.folder();
    let failed = |e| DataError::io(folder, "make this folder", e);
    fs::create_dir_all(folder).map_err(failed)?;
    if !layout.plan().exists() {
        // A split file may have been laid ready; a run killed early leaves one, or phantoms, whole or half-written.
        let ours = ["split.toml", ".lock", "phantoms", "phantoms.json"];
        let foreign = fs::read_dir(folder)
            .map_err(failed)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                !files::unfinished(path)
                    && !path
                        .file_name()
                        .is_some_and(|name| ours.iter().any(|o| name == *o))
            });
        if let Some(foreign) = foreign {
            return Err(DataError::new(
                DataErrorKind::Folder,
                folder,
                format!(
                    "this folder is not empty and was not made by `nephrotrain prepare`: {}",
                    foreign.display()
                ),
                "give --out a new or empty folder",
            ));
        }
    }
    FolderLock::take(folder)
}

/// Compares with what the folder was prepared for. `Ok(false)` means that the plan has to be written.
fn check_plan(layout: &Layout, plan: &Plan, update: bool) -> Result<bool, DataError> {
    let path = layout.plan();
    if !path.exists() {
        return Ok(false);
    }
    let earlier: serde_json::Value = match files::read_json(&path) {
        Ok(earlier) => earlier,
        // It cannot be deleted as others can: a folder with files and without a plan counts as someone else's.
        Err(error) if error.kind() == DataErrorKind::Damaged => {
            let remedy = "put back a copy of it, or give another --out";
            return Err(DataError::new(error.kind(), path, error.what(), remedy));
        }
        Err(error) => return Err(error),
    };
    let now = serde_json::json!(plan);
    if earlier == now {
        return Ok(true);
    }
    if update {
        return Ok(false);
    }
    let mut difference = String::new();
    first_difference("", &earlier, &now, &mut difference);
    Err(DataError::new(
        DataErrorKind::Changed,
        path,
        format!("this folder was prepared otherwise: {difference}"),
        "repeat the earlier options, or give --update to prepare anew what changed, or another --out",
    ))
}

/// Says in which value two JSON documents differ first.
fn first_difference(
    name: &str,
    earlier: &serde_json::Value,
    now: &serde_json::Value,
    out: &mut String,
) {
    use serde_json::Value::{Array, Null, Object};
    match (earlier, now) {
        (Object(a), Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort_unstable();
            if let Some(key) = keys.into_iter().find(|&key| a.get(key) != b.get(key)) {
                let deeper = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                let [earlier, now] = [a, b].map(|map| map.get(key).unwrap_or(&Null));
                first_difference(&deeper, earlier, now, out);
            }
        }
        (Array(a), Array(b)) => {
            let more = b.iter().find(|value| !a.contains(value));
            let fewer = a.iter().find(|value| !b.contains(value));
            *out = match (fewer, more) {
                (_, Some(more)) => format!("{name} now has {more}"),
                (Some(fewer), None) => format!("{name} no longer has {fewer}"),
                (None, None) => format!("{name} is in another order"),
            };
        }
        (earlier, now) => *out = format!("{name} was {earlier}, now it is {now}"),
    }
}

/// Makes sure that `split.toml` is there and fits the cases. Returns whether it was there before.
fn settle_split(
    request: &Request,
    layout: &Layout,
    cases: &BTreeSet<&str>,
    plan: &Plan,
) -> Result<bool, DataError> {
    let path = layout.split();
    let reserved: BTreeSet<String> = plan.reserved.iter().cloned().collect();
    let check = |split: &PatientSplit, place: &Path| {
        split.assign(cases.iter().copied(), place)?;
        split.check_reserved(&reserved, place)
    };
    if let Some(given) = &request.split {
        let split = PatientSplit::read(given)?;
        check(&split, given)?;
        if path.exists() && PatientSplit::read(&path).is_ok_and(|standing| standing == split) {
            return Ok(true);
        }
        split.write(&path)?;
        return Ok(true);
    }
    if path.exists() {
        check(&PatientSplit::read(&path)?, &path)?;
        return Ok(true);
    }
    PatientSplit::random(cases.iter().copied(), &reserved, plan.options.seed).write(&path)?;
    Ok(false)
}

/// Removes what a killed run left half-written, and volumes that are no longer part of the plan.
fn remove_strays(layout: &Layout, plan: &Plan) -> Result<(), DataError> {
    let expected: BTreeSet<PathBuf> = plan
        .volumes
        .iter()
        .flat_map(|VolumeName { case, source }| {
            [
                layout.images(case, *source),
                layout.labels(case, *source),
                layout.record(case, *source),
            ]
        })
        .collect();
    let strays_of = |folder: &Path, is_stray: &dyn Fn(&Path) -> bool| {
        let entries =
            fs::read_dir(folder).map_err(|e| DataError::io(folder, "list this folder", e))?;
        entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| is_stray(path))
            .try_for_each(|p| remove_if_there(&p))
    };
    strays_of(&layout.volumes(), &|path| !expected.contains(path))?;
    strays_of(layout.folder(), &|path| files::unfinished(path))
}

fn remove_if_there(path: &Path) -> Result<(), DataError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(DataError::io(path, "remove this file", e))
        }
        _ => Ok(()),
    }
}

/// Joins the volumes of each patient. `records` are in the order of the plan, by case.
fn index_of(plan: &Plan, records: &[VolumeRecord]) -> Index {
    let cases = records
        .chunk_by(|a, b| a.case == b.case)
        .map(|volumes| {
            let kept: usize = volumes.iter().map(|v| v.slices.len()).sum();
            CaseRecord {
                case: volumes[0].case.clone(),
                weight: image_weight(kept),
                volumes: volumes
                    .iter()
                    .map(|v| CaseVolume {
                        source: v.source,
                        slices: v.slices.clone(),
                        of: plan.options.neighbours.then_some(v.shape[0]),
                    })
                    .collect(),
            }
        })
        .collect();
    Index {
        format: FORMAT,
        options: plan.options,
        sources: plan.sources.clone(),
        reserved: plan.reserved.clone(),
        cases,
    }
}
