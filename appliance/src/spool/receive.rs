//! How a scan comes in.

use super::disk::{Disk, Place};
use super::record::Record;
use super::{Begin, Incoming, Scan, ScanId, Spool, SpoolError, room};
use crate::record;
use crate::storage::Storage;

impl<S: Storage> Spool<S> {
    /// Announces a scan. Room for it and its results is set apart at once, for which delivered results are recycled.
    ///
    /// The same scan, by its hash and `fast`, is taken once: a reception that broke off goes on, and one that waits, is
    /// worked on or is finished is answered with its id. One that came in silent mode is for nobody, so that it becomes a
    /// new one when it is sent again after that has ended: whoever sends it then waits for results.
    ///
    /// # Errors
    /// When the disk refuses. That the scan is not taken is no error but [`Begin::Refused`].
    pub fn begin(&self, incoming: &Incoming) -> Result<Begin, SpoolError> {
        let silent = self.settings.silent;
        self.with(|disk, inner| {
            let blake3 = incoming.blake3.to_hex().to_string();
            let same = inner.scans.iter_mut().find(|(_, scan)| {
                let record = &scan.record;
                let asked = record.blake3 == blake3.as_str() && record.fast == incoming.fast;
                asked && record.erased_by.is_none() && !scan.is_taken_anew(silent)
            });
            if let Some((&id, scan)) = same {
                if scan.place != Place::Incoming {
                    return Ok(Begin::Accepted(id));
                }
                if scan.record.bytes == incoming.bytes {
                    if scan.record.silent != silent {
                        // It begins in one mode and comes in now: its results are for whom results are now.
                        scan.record.silent = silent;
                        disk.save_record(Place::Incoming, id, &scan.record)?;
                    }
                    scan.live = true;
                    let offset = scan.received;
                    return Ok(Begin::Receive { id, offset });
                }
                // Two lengths cannot have one hash: whoever announced the first was wrong, or this one is.
                inner.discard(disk, id)?;
            }
            if let Some(refusal) = room::make_room(disk, inner, &self.settings, incoming.bytes)? {
                return Ok(Begin::Refused(refusal));
            }
            let last = inner.scans.keys().map(|id| id.sequence()).max();
            let sequence = last.unwrap_or(0).max(inner.mark) + 1;
            if sequence > ScanId::LAST {
                return Err(SpoolError::Numbers);
            }
            let id = ScanId::new(sequence, incoming.blake3.as_bytes());
            let record = Record {
                bytes: incoming.bytes,
                blake3,
                file_name: record::tame(&incoming.file_name, 255),
                source: record::tame(&incoming.source, 200),
                fast: incoming.fast,
                silent,
                ..Record::default()
            };
            disk.make_folder(&Place::Incoming.of(id))?;
            disk.save_record(Place::Incoming, id, &record)?;
            disk.sync_folder(Place::Incoming.folder())?;
            let mut scan = Scan::new(Place::Incoming, record);
            scan.live = true;
            inner.scans.insert(id, scan);
            Ok(Begin::Receive { id, offset: 0 })
        })
    }

    /// Whether a scan that is here would become a new one if it were sent again now. One that is gone is done with.
    ///
    /// # Errors
    /// When a step failed before and the disk cannot be read again.
    pub fn is_taken_anew(&self, id: ScanId) -> Result<bool, SpoolError> {
        self.with(|_, inner| {
            let anew = |scan: &Scan| scan.is_taken_anew(self.settings.silent);
            // One that the disk does not give back stands for nothing.
            Ok(inner.unread.contains(&id) || inner.look(id).is_some_and(anew))
        })
    }

    /// Takes the bytes that begin at `offset`, and returns the offset of the next.
    ///
    /// # Errors
    /// [`SpoolError::Order`] with the offset at which to go on, [`SpoolError::TooMany`], [`SpoolError::Lost`], a disk that refuses; then ask
    /// [`begin`](Self::begin) again where to go on.
    pub fn write(&self, id: ScanId, offset: u64, bytes: &[u8]) -> Result<u64, SpoolError> {
        self.with(|disk, inner| {
            let scan = inner.get_at(id, Place::Incoming).map_err(lost)?;
            let expected = scan.received;
            if offset != expected || scan.sealing {
                return Err(SpoolError::Order {
                    id,
                    expected,
                    found: offset,
                });
            }
            let announced = scan.record.bytes;
            let after = expected.saturating_add(bytes.len() as u64);
            if after > announced {
                return Err(SpoolError::TooMany { id, announced });
            }
            let path = Place::Incoming.scan(id);
            let appended = disk.0.append(&path, bytes);
            appended.map_err(SpoolError::at(&path))?;
            scan.live = true;
            scan.received = after;
            if after - scan.record.kept >= self.settings.checkpoint_bytes {
                keep(disk, id, scan)?;
            }
            Ok(after)
        })
    }

    /// Says that nobody is sending this scan any more. What is here stays, to go on later, but gives way if room is needed.
    pub fn pause(&self, id: ScanId) {
        if let Some(scan) = self.lock().scans.get_mut(&id) {
            scan.live = false;
        }
    }

    /// Accepts a scan: its bytes are synced, read back and hashed, and it is moved into the queue. Only when this returns
    /// the scan counts as accepted. Fine to repeat.
    ///
    /// # Errors
    /// [`SpoolError::Short`], [`SpoolError::Hash`] (the bytes are gone then), [`SpoolError::Lost`], a disk that refuses.
    pub fn finish(&self, id: ScanId) -> Result<ScanId, SpoolError> {
        let announced = self.with(|disk, inner| {
            let scan = inner.get(id).map_err(lost)?;
            if scan.place != Place::Incoming {
                return Ok(None);
            }
            let (received, announced) = (scan.received, scan.record.bytes);
            if received != announced {
                return Err(SpoolError::Short {
                    id,
                    received,
                    announced,
                });
            }
            keep(disk, id, scan)?;
            scan.sealing = true;
            Ok(Some((announced, scan.record.blake3.clone())))
        })?;
        let Some((bytes, announced)) = announced else {
            return Ok(id);
        };
        // The others need not wait while a large scan is hashed.
        let found = super::hash(&self.storage, &Place::Incoming.scan(id), bytes);
        self.with(|disk, inner| {
            let scan = inner.get(id).map_err(lost)?;
            scan.sealing = false;
            if scan.place != Place::Incoming {
                return Ok(id); // by another who finished it at the same time
            }
            if found?.to_hex().as_str() != announced {
                inner.discard(disk, id)?;
                return Err(SpoolError::Hash(id));
            }
            disk.relocate(id, Place::Incoming, Place::Queue)?;
            (scan.place, scan.live) = (Place::Queue, false);
            Ok(id)
        })
    }
}

/// Whoever sends a scan that is not here any more has it, and can send it again; anybody else cannot.
fn lost(error: SpoolError) -> SpoolError {
    match error {
        SpoolError::Unknown(id) => SpoolError::Lost(id),
        other => other,
    }
}

impl Scan {
    /// Whether it does not stand for the same scan that is sent again to a box in silent mode or not: one that was set aside gets another
    /// chance, and one whose results nobody gets does not answer for one whose results somebody is to get.
    fn is_taken_anew(&self, silent: bool) -> bool {
        match self.place {
            Place::Incoming => false,
            Place::Queue | Place::Done => self.record.silent && !silent,
            Place::Aside => true,
        }
    }
}

/// Makes what was received survive, and says so on the record.
fn keep<S: Storage>(disk: Disk<'_, S>, id: ScanId, scan: &mut Scan) -> Result<(), SpoolError> {
    let path = Place::Incoming.scan(id);
    disk.0.sync(&path).map_err(SpoolError::at(&path))?;
    disk.sync_folder(&Place::Incoming.of(id))?;
    scan.record.kept = scan.received;
    disk.save_record(Place::Incoming, id, &scan.record)
}
