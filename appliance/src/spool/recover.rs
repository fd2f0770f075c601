//! What a start finds, and how it puts it right.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Scans that the disk does not give back, and what it says. They are left as they lie, and the next start tries again.
    pub unread: Vec<(ScanId, String)>,
    /// Scans whose reception had hardly begun, and second sightings of scans that a cut left in two folders.
    pub dropped: Vec<ScanId>,
}

/// What lies on the disk.
pub(super) struct Found {
    pub(super) scans: BTreeMap<ScanId, Scan>,
    pub(super) mark: u32,
    pub(super) unread: BTreeSet<ScanId>,
    pub(super) recovery: Recovery,
}

/// When the folders are read.
#[derive(Clone, Copy)]
pub(super) enum When<'a> {
    /// At a start: nobody works on a scan yet, and `work/` is emptied. One scan that the disk does not give back keeps neither the others nor the
    /// box from starting.
    Start,
    /// After a step that the disk refused. These scans it had not given back at the start; any other one has to be found again, since it may be
    /// the whole disk that is away for a while.
    Later(&'a BTreeSet<ScanId>),
}

/// Reads the folders and finishes what was begun.
pub(super) fn recover<S: Storage>(disk: Disk<'_, S>, when: When<'_>) -> Result<Found, SpoolError> {
    let places = Place::LAST_FIRST.map(Place::folder);
    for folder in places.into_iter().chain([WORK, TRASH]) {
        disk.make_folder(folder)?;
    }
    disk.sync_folder("")?;
    for name in disk.list(TRASH)? {
        // What does not go now may go at the next look; nothing waits for it.
        let _ = disk.remove(&format!("{TRASH}/{name}"));
    }
    if let When::Start = when {
        for name in disk.list(WORK)? {
            disk.remove(&format!("{WORK}/{name}"))?;
        }
    }
    // A rename may be there and not yet survive the next cut.
    for folder in places {
        disk.sync_folder(folder)?;
    }
    let mut found = Found {
        scans: BTreeMap::new(),
        mark: disk.load(SEQUENCE, record::NUMBER)?.unwrap_or(0),
        unread: BTreeSet::new(),
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
            let known = matches!(when, When::Later(unread) if unread.contains(&id));
            if known || found.unread.contains(&id) {
                found.set_apart(id);
                continue;
            }
            match found.take(disk, id, place, when) {
                Ok(()) => {}
                Err(SpoolError::Storage { place, source }) if matches!(when, When::Start) => {
                    found
                        .recovery
                        .unread
                        .push((id, format!("{place}: {source}")));
                    found.set_apart(id);
                }
                Err(error) => return Err(error),
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

impl Found {
    /// Takes up one scan, if there is something worth keeping.
    fn take<S: Storage>(
        &mut self,
        disk: Disk<'_, S>,
        id: ScanId,
        place: Place,
        when: When<'_>,
    ) -> Result<(), SpoolError> {
        let mut taken = take(disk, id, place, &mut self.recovery);
        // A disk may refuse once.
        if let (Err(SpoolError::Storage { .. }), When::Start) = (&taken, when) {
            taken = take(disk, id, place, &mut self.recovery);
        }
        if let Some(scan) = taken? {
            self.scans.insert(id, scan);
        } else {
            self.mark = self.mark.max(id.sequence());
            self.recovery.dropped.push(id);
        }
        Ok(())
    }

    /// Leaves a scan as it lies; its number is not given out again.
    fn set_apart(&mut self, id: ScanId) {
        self.mark = self.mark.max(id.sequence());
        self.unread.insert(id);
    }
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
