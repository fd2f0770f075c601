//! What a patient's last report on the box said, so that the next one can tell what changed.
//!
//! Reports are read from the newest scan number downwards, [`READ`] of them at most, and one at a time: with thousands of results on the
//! box a scan is not held up for longer than that takes, and an older one counts as unknown. Nothing is kept in memory or in an index, so
//! what is erased is forgotten.

use std::path::Path;

use nephrobox_imaging::files;
use nephrobox_shared::report::{Change, Report, Subject};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::failure::{Exit, Failure};
use crate::output::REPORT_JSON;
use crate::run::results;
use crate::spool::{Outcome, ScanId, Spool, State};
use crate::storage::Storage;

/// Reports that are looked at for one scan.
pub const READ: usize = 512;

/// The longest report that a person may name, in bytes; thousands of slices and hundreds of tumours come to 1 MB.
const MOST_BYTES: u64 = 32 << 20;

/// What changed since the last earlier study of the patient of `report`, which is that of scan `id`; `None` if the report names no patient or
/// the box holds no such study. A report that cannot be read is passed over.
///
/// The last is the one with the latest study; of several scans of it, the one that came last.
pub fn last<S: Storage>(spool: &Spool<S>, id: ScanId, report: &Report) -> Option<Change> {
    let subject = report.subject.as_ref()?;
    if subject.patient_id.trim().is_empty() || subject.study_date.trim().is_empty() {
        return None; // nobody can be the same
    }
    let listing = spool.listing().ok()?;
    let finished = listing
        .iter()
        .rev()
        .filter(|listed| listed.id != id && listed.state == State::Ended(Outcome::Finished));
    let mut last: Option<(ScanId, Subject)> = None;
    for listed in finished.take(READ) {
        let head = stored::<_, Head>(spool, listed.id);
        let Some(before) = head.and_then(|head| head.subject) else {
            continue;
        };
        let fits = before.is_same_patient(subject) && before.is_earlier_study(subject);
        if fits
            && last
                .as_ref()
                .is_none_or(|(_, last)| last.is_earlier_study(&before))
        {
            last = Some((listed.id, before));
        }
    }
    let (scan, _) = last?;
    let mut change = Change::between(&stored(spool, scan)?, report)?;
    change.scan = scan.to_string();
    Some(change)
}

/// What of a report decides whether it is wanted.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    subject: Option<Subject>,
}

fn stored<S: Storage, T: DeserializeOwned>(spool: &Spool<S>, id: ScanId) -> Option<T> {
    let report = results::file(spool, id, REPORT_JSON).ok().flatten()?;
    serde_json::from_slice(&report).ok()
}

/// Reads a report that a person names: the file, or the folder of results with it.
///
/// # Errors
/// When there is none or it is none.
pub fn read(place: &Path) -> Result<Report, Failure> {
    let file = if place.is_dir() {
        place.join(REPORT_JSON)
    } else {
        place.to_owned()
    };
    let remedy = "name the report.json of an earlier scan, or the folder of its results";
    let failed = |what: String| Failure::new(Exit::Input, what, file.display(), remedy);
    let bytes = files::read(&file, MOST_BYTES)
        .map_err(|error| failed(format!("the earlier report cannot be read: {error}")))?;
    // What is there instead may be a patient's name, so that it is not quoted.
    serde_json::from_slice(&bytes).map_err(|error| {
        failed(format!(
            "the earlier report is no report of nephrobox from line {}, column {} on",
            error.line(),
            error.column()
        ))
    })
}
