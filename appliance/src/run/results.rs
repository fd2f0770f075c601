//! Results on the disk, in short: for the panel and the page, when they are made and after a start.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nephrobox_shared::report::Report;

use crate::output::{OVERLAY_KEY, REPORT_JSON};
use crate::snapshot::{RESULTS, ResultSummary};
use crate::spool::{Listed, Outcome, ScanId, Spool, SpoolError, State};
use crate::storage::Storage;

/// Largest report and picture that are read, in bytes; a result has 64 MiB at most.
const LARGEST: u64 = 64 << 20;

/// The bytes of a file among the results of a scan; `None` if there is no such file.
pub(crate) fn file<S: Storage>(
    spool: &Spool<S>,
    id: ScanId,
    name: &str,
) -> Result<Option<Vec<u8>>, SpoolError> {
    let path = format!("{}/{name}", spool.results_folder(id)?);
    spool
        .storage()
        .read(&path, LARGEST)
        .map_err(|source| SpoolError::Storage {
            place: path,
            source,
        })
}

/// A report in short, with the picture that lies beside it.
pub(super) fn summary<S: Storage>(
    spool: &Spool<S>,
    id: ScanId,
    report: &Report,
    finished_unix_s: u64,
) -> ResultSummary {
    // Without its picture the numbers are shown all the same.
    let overlay = file(spool, id, OVERLAY_KEY).ok().flatten();
    ResultSummary::of(
        report,
        overlay.map(Arc::from),
        id.to_string(),
        finished_unix_s,
    )
}

/// The last results that lie in the queue, the newest last. One that cannot be read is left out; it is still there to be fetched.
pub(super) fn restore<S: Storage>(spool: &Spool<S>, listing: &[Listed]) -> Vec<ResultSummary> {
    let finished = listing
        .iter()
        .rev()
        .filter(|listed| listed.state == State::Ended(Outcome::Finished));
    let mut results: Vec<_> = finished
        .take(RESULTS)
        .filter_map(|listed| read(spool, listed.id))
        .collect();
    results.reverse();
    results
}

fn read<S: Storage>(spool: &Spool<S>, id: ScanId) -> Option<ResultSummary> {
    let report = file(spool, id, REPORT_JSON).ok().flatten()?;
    let report: Report = serde_json::from_slice(&report).ok()?;
    let folder = spool.results_folder(id).ok()?;
    let finished = written_unix_s(spool.storage(), &folder)?;
    Some(summary(spool, id, &report, finished))
}

/// When the report in a folder of results was written, in seconds since 1970 UTC; 0 if the disk does not tell, `None` if the folder lies on no
/// disk. The queue looks at no clock; the file's own time is as good as the clock was.
pub(crate) fn written_unix_s<S: Storage>(storage: &S, folder: &str) -> Option<u64> {
    let path = storage.real_path(&format!("{folder}/{REPORT_JSON}"))?;
    let written = std::fs::metadata(path).and_then(|found| found.modified());
    Some(written.map(unix_s).unwrap_or_default())
}

/// Seconds since 1970 UTC; 0 for a clock that stands before.
pub(super) fn unix_s(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs()).unwrap_or_default()
}
