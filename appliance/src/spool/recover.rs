//! What a start finds, and how it puts it right.

use std::collections::BTreeMap;

use nephrobox_shared::report::Report;

use super::disk::{Disk, Place, SEQUENCE, TRASH, WORK};
use super::record::{self, Outcome, Record};
use super::{Scan, ScanId, SpoolError};
use crate::output::REPORT_JSON;
use crate::storage::Storage;

/// What a start found and put right, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Scans that were accepted and wait for the worker.
    pub waiting: usize,
    /// Scans whose reception can go on.
    pub partial: usize,
    /// Bytes cut off partial scans because they may not have survived.
    pub cut_bytes: u64,
    /// Scans whose work was done and that were brought to their place now.
    pub settled: Vec<ScanId>,
    /// Scans whose record was damaged and made again: names and confirmations are lost, and no destination gets their results.
    pub mended: Vec<ScanId>,
    /// Scans whose reception had hardly begun, and second sightings of scans that a cut left in two folders.
    pub dropped: Vec<ScanId>,
}

/// What lies on the disk.
pub(super) struct Found {
    pub(super) scans: BTreeMap<ScanId, Scan>,
    pub(super) mark: u32,
    pub(super) recovery: Recovery,
}

/// Reads the folders and finishes what was begun. With `first`, nobody works on a scan yet and `work/` is emptied.
pub(super) fn recover<S: Storage>(disk: Disk<'_, S>, first: bool) -> Result<Found, SpoolError> {
    let places = Place::LAST_FIRST.map(Place::folder);
    for folder in places.into_iter().chain([WORK, TRASH]) {
        disk.make_folder(folder)?;
    }
    disk.sync_folder("")?;
    let emptied: &[&str] = if first { &[TRASH, WORK] } else { &[TRASH] };
    for folder in emptied {
        for name in disk.list(folder)? {
            disk.remove(&format!("{folder}/{name}"))?;
        }
    }
    // A rename may be there and not yet survive the next cut.
    for folder in places {
        disk.sync_folder(folder)?;
    }
    let mut found = Found {
        scans: BTreeMap::new(),
        mark: disk.load(SEQUENCE, record::NUMBER)?.unwrap_or(0),
        recovery: Recovery::default(),
    };
    for place in Place::LAST_FIRST {
        for name in disk.list(place.folder())? {
            // What has another name is not the box's and is left alone.
            let Ok(id) = name.parse::<ScanId>() else {
                continue;
            };
            if found.scans.contains_key(&id) {
                disk.discard(id, place)?;
                found.recovery.dropped.push(id);
                continue;
            }
            if let Some(scan) = take(disk, id, place, &mut found.recovery)? {
                found.scans.insert(id, scan);
            } else {
                found.mark = found.mark.max(id.sequence());
                found.recovery.dropped.push(id);
            }
        }
    }
    let now_at = |wanted: Place| {
        let scans = found.scans.values();
        scans.filter(|scan| scan.place == wanted).count()
    };
    found.recovery.waiting = now_at(Place::Queue);
    found.recovery.partial = now_at(Place::Incoming);
    Ok(found)
}

/// One scan as it lies there; `None` if there was nothing worth keeping.
fn take<S: Storage>(
    disk: Disk<'_, S>,
    id: ScanId,
    place: Place,
    recovery: &mut Recovery,
) -> Result<Option<Scan>, SpoolError> {
    let loaded: Option<Record> = disk.load(&place.record(id), record::SCAN)?;
    let mut scan = match (loaded, place) {
        (Some(record), _) => Scan::new(place, record),
        (None, Place::Incoming) => {
            disk.discard(id, place)?;
            return Ok(None);
        }
        (None, _) => {
            let record = rebuild(disk, id, place)?;
            disk.save_record(place, id, &record)?;
            recovery.mended.push(id);
            Scan::new(place, record)
        }
    };
    match place {
        Place::Incoming => cut_to_kept(disk, id, &mut scan, recovery)?,
        Place::Queue => {
            let lies = disk.len(&place.scan(id))?;
            if scan.record.outcome.is_none() && disk.is_whole(&place.results(id))? {
                scan.record.outcome = Some(Outcome::Finished);
                disk.save_record(place, id, &scan.record)?;
            } else if scan.record.outcome.is_none() && lies != Some(scan.record.bytes) {
                let reason = format!(
                    "The disk lost a part of the scan: {} of {} bytes are left.",
                    lies.unwrap_or(0),
                    scan.record.bytes
                );
                scan.record.outcome = Some(Outcome::SetAside { reason });
                disk.save_record(place, id, &scan.record)?;
            }
            if scan.record.outcome.is_some() {
                scan.place = disk.settle(id, &scan.record)?;
                recovery.settled.push(id);
            }
        }
        Place::Done => disk.drop_scan(id)?,
        Place::Aside => {}
    }
    if matches!(scan.place, Place::Done | Place::Aside) {
        scan.results = disk.results_bytes(&scan.place.results(id))?;
    }
    Ok(Some(scan))
}

/// Of a partial scan only what was synced is known to be what was sent.
fn cut_to_kept<S: Storage>(
    disk: Disk<'_, S>,
    id: ScanId,
    scan: &mut Scan,
    recovery: &mut Recovery,
) -> Result<(), SpoolError> {
    let path = Place::Incoming.scan(id);
    let lies = disk.len(&path)?.unwrap_or(0);
    if lies > scan.record.kept {
        let cut = || -> std::io::Result<()> {
            disk.0.truncate(&path, scan.record.kept)?;
            disk.0.sync(&path)
        };
        cut().map_err(SpoolError::at(&path))?;
        recovery.cut_bytes += lies - scan.record.kept;
    }
    // Of what it had synced a disk may have lost a part; reception goes on from what is left.
    scan.record.kept = lies.min(scan.record.kept);
    scan.received = scan.record.kept;
    Ok(())
}

/// A record for a scan whose own was damaged: an accepted scan is worked on, results are kept.
///
/// Whether it came in silent mode is lost with the record. Results of a trial in a patient's record cannot be taken back, and results that
/// stay here can be fetched, or come from the scan sent again, which becomes a new one; so in doubt it came in silence.
fn rebuild<S: Storage>(disk: Disk<'_, S>, id: ScanId, place: Place) -> Result<Record, SpoolError> {
    let path = place.scan(id);
    let mut record = Record {
        bytes: disk.len(&path)?.unwrap_or(0),
        silent: true,
        ..Record::default()
    };
    let lost = "The disk damaged the record of the scan.".to_owned();
    if place == Place::Done {
        let report = format!("{}/{REPORT_JSON}", place.results(id));
        let json = disk.0.read(&report, 64 << 20);
        let report = json.map_err(SpoolError::at(&report))?;
        record.outcome = Some(match report {
            Some(json) => {
                let report = serde_json::from_slice::<Report>(&json).ok();
                record.blake3 = report
                    .and_then(|report| report.input.blake3)
                    .unwrap_or_default();
                Outcome::Finished
            }
            None => Outcome::Refused { reason: lost },
        });
    } else {
        let hash = super::hash(disk.0, &path, record.bytes)?;
        if !id.fits(hash.as_bytes()) || place == Place::Aside {
            record.outcome = Some(Outcome::SetAside { reason: lost });
        }
        record.blake3 = hash.to_hex().to_string();
    }
    record.kept = record.bytes;
    Ok(record)
}
