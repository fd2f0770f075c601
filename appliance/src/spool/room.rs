//! Who may have how much of the disk.

use super::disk::{Disk, Place};
use super::{Inner, Refusal, Scan, ScanId, Settings, SpoolError};
use crate::storage::Storage;

/// Bytes set apart for the record and an error report of each scan.
pub const RECORD_BYTES: u64 = 16 << 10;

/// How full the queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes used or promised.
    pub used_bytes: u64,
    /// Bytes that may be used.
    pub quota_bytes: u64,
    /// Bytes free on the disk.
    pub free_bytes: u64,
}

impl Scan {
    /// Bytes that count against the quota: what lies on the disk and what is promised to it.
    fn charge(&self, settings: &Settings) -> u64 {
        let bytes = match self.place {
            Place::Incoming | Place::Queue => {
                self.record.bytes.saturating_add(settings.results_bytes)
            }
            Place::Done => self.results,
            Place::Aside => self.record.bytes.saturating_add(self.results),
        };
        bytes.saturating_add(RECORD_BYTES)
    }

    /// Bytes promised and not yet on the disk.
    fn outstanding(&self, settings: &Settings) -> u64 {
        match self.place {
            Place::Incoming => self.charge(settings).saturating_sub(self.received),
            Place::Queue => settings.results_bytes,
            Place::Done | Place::Aside => 0,
        }
    }

    /// Whether every destination has what it is to get.
    fn is_delivered(&self, settings: &Settings) -> bool {
        let mut destinations = settings.destinations.iter();
        self.record.outcome.is_some()
            && destinations.all(|name| self.record.confirmed.contains(name))
    }
}

pub(super) fn used(inner: &Inner, settings: &Settings) -> u64 {
    inner
        .scans
        .values()
        .fold(0, |used, scan| used.saturating_add(scan.charge(settings)))
}

/// Removes the oldest scan that has gone everywhere: first those with results, then those set aside, at last receptions
/// that nobody goes on with. `None` if there is none.
pub(super) fn recycle<S: Storage>(
    disk: Disk<'_, S>,
    inner: &mut Inner,
    settings: &Settings,
    also_partial: bool,
) -> Result<Option<ScanId>, SpoolError> {
    let rank = |scan: &Scan| match scan.place {
        // Its erasing has a line in the audit log to write first.
        _ if scan.record.erased_by.is_some() => None,
        Place::Done if scan.is_delivered(settings) => Some(0),
        Place::Aside if scan.is_delivered(settings) => Some(1),
        Place::Incoming if also_partial && !scan.live && !scan.sealing => Some(2),
        _ => None,
    };
    let ranked = inner.scans.iter();
    let next = ranked
        .filter_map(|(&id, scan)| Some((rank(scan)?, id)))
        .min()
        .map(|(_, id)| id);
    if let Some(id) = next {
        inner.discard(disk, id)?;
    }
    Ok(next)
}

/// Makes room for one more scan of `bytes` bytes, or says why there is none.
pub(super) fn make_room<S: Storage>(
    disk: Disk<'_, S>,
    inner: &mut Inner,
    settings: &Settings,
    bytes: u64,
) -> Result<Option<Refusal>, SpoolError> {
    let needed = bytes
        .saturating_add(settings.results_bytes)
        .saturating_add(RECORD_BYTES);
    if bytes == 0 {
        return Ok(Some(Refusal::Empty));
    }
    let largest = settings.largest_scan_bytes;
    if bytes > largest || needed > settings.quota_bytes {
        let room = settings.quota_bytes.saturating_sub(needed - bytes);
        let largest_bytes = largest.min(room);
        return Ok(Some(Refusal::TooLarge {
            bytes,
            largest_bytes,
        }));
    }
    loop {
        let left = settings.quota_bytes.saturating_sub(used(inner, settings));
        let promised = inner.scans.values().fold(0u64, |sum, scan| {
            sum.saturating_add(scan.outstanding(settings))
        });
        let free = disk.0.free().map_err(SpoolError::at(""))?;
        let spare = free
            .saturating_sub(promised)
            .saturating_sub(settings.floor_bytes);
        if left >= needed && spare >= needed {
            return Ok(None);
        }
        if recycle(disk, inner, settings, true)?.is_none() {
            let room_bytes = left.min(spare);
            return Ok(Some(Refusal::Full {
                needed_bytes: needed,
                room_bytes,
                unconfirmed: held(inner, false),
                silent: held(inner, true),
            }));
        }
    }
}

/// Scans that have ended and cannot give way, since a destination has not confirmed them; or since none ever will, as of those that came in
/// silent mode.
fn held(inner: &Inner, silent: bool) -> usize {
    // Those that were confirmed are gone when this is asked.
    let ended = |scan: &&Scan| {
        scan.record.silent == silent && matches!(scan.place, Place::Done | Place::Aside)
    };
    inner.scans.values().filter(ended).count()
}
