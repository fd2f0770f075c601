//! How a scan is erased: by somebody, or by its age.
//!
//! Erasing has two steps, so that its line in the audit log is written once whatever happens between them: a scan is *condemned* on its
//! record, and from then on nobody but who erases sees it; then it is removed. A start finds those that are condemned and goes on.

use super::disk::{Disk, Place, WORK};
use super::{ErasedBy, Record, ScanId, Spool, SpoolError};
use crate::storage::Storage;

impl<S: Storage> Spool<S> {
    /// Notes, to stay, from which second of the box's own time the age of a scan counts, see `run::age`. Forgotten when the
    /// work on it ends.
    ///
    /// # Errors
    /// When there is no such scan, or the disk refuses.
    pub fn note_age(&self, id: ScanId, from_s: u64) -> Result<(), SpoolError> {
        self.with(|disk, inner| {
            let scan = inner.get(id)?;
            let mut record = scan.record.clone();
            record.age_from_s = Some(from_s);
            disk.save_record(scan.place, id, &record)?;
            scan.record = record;
            Ok(())
        })
    }

    /// Condemns a scan, to stay: from now on it is not in lists, not worked on and not delivered. Fine to repeat; who did it first remains.
    ///
    /// # Errors
    /// [`SpoolError::Held`] while the worker has it or it is being received, [`SpoolError::Unknown`], [`SpoolError::Unread`], a disk that refuses.
    pub fn condemn(&self, id: ScanId, by: &ErasedBy) -> Result<Record, SpoolError> {
        self.with(|disk, inner| {
            let missing = inner.missing(id);
            let scan = inner.scans.get_mut(&id).ok_or(missing)?;
            if scan.working || scan.live || scan.sealing {
                let state = scan.state_name();
                return Err(SpoolError::Held { id, state });
            }
            if scan.record.erased_by.is_none() {
                let mut record = scan.record.clone();
                record.erased_by = Some(by.clone());
                disk.save_record(scan.place, id, &record)?;
                scan.record = record;
            }
            Ok(scan.record.clone())
        })
    }

    /// Scans that are condemned and still there, with their records.
    ///
    /// # Errors
    /// When a step failed before and the disk cannot be read again.
    pub fn condemned(&self) -> Result<Vec<(ScanId, Record)>, SpoolError> {
        self.with(|_, inner| {
            let scans = inner.scans.iter();
            let condemned = scans.filter(|(_, scan)| scan.record.erased_by.is_some());
            Ok(condemned
                .map(|(&id, scan)| (id, scan.record.clone()))
                .collect())
        })
    }

    /// Removes a condemned scan with all that was made of it. Fine to repeat.
    ///
    /// # Errors
    /// [`SpoolError::State`] when it was not condemned, a disk that refuses.
    pub fn erase(&self, id: ScanId) -> Result<(), SpoolError> {
        self.with(|disk, inner| {
            let Some(scan) = inner.scans.get(&id) else {
                return Ok(());
            };
            if scan.record.erased_by.is_none() {
                let state = scan.state_name();
                return Err(SpoolError::State { id, state });
            }
            if scan.place == Place::Queue {
                remove_attempt(disk, id)?;
            }
            inner.discard(disk, id)
        })
    }
}

/// What an attempt that broke off may have left.
fn remove_attempt<S: Storage>(disk: Disk<'_, S>, id: ScanId) -> Result<(), SpoolError> {
    disk.remove(&format!("{WORK}/{id}"))
}
