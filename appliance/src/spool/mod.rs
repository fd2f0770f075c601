//! The durable queue of scans.
//!
//! A scan counts as accepted only when it is whole, hashed and synced; from then on it is there, whatever happens to the
//! power, until every destination has confirmed its results. A scan is a folder, its state is the folder that one lies
//! in, and every step from one state to the next is a rename:
//!
//! ```text
//! incoming ─► queue ─► done ─► (trash)
//!               └────► aside
//! ```
//!
//! `docs/formats/spool.md` has the folders, the records and what a start does. Nothing here looks at a clock: running
//! numbers order everything.

mod disk;
mod erase;
mod error;
mod id;
mod receive;
mod record;
mod recover;
mod room;
mod types;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use blake3::Hash;

use crate::storage::Storage;
use disk::{Disk, Place, SEQUENCE};
pub use disk::{FAILURE_JSON, FAILURE_TEXT};
pub use error::SpoolError;
pub use id::{NoScanId, ScanId};
pub use record::{ErasedBy, Outcome, Record};
pub use recover::Recovery;
use recover::When;
pub use room::{RECORD_BYTES, Usage};
pub use types::{ATTEMPTS, Begin, Incoming, Listed, Refusal, Settings, State, Work};

/// A scan in memory: what its folder says, and who is at it.
#[derive(Debug)]
struct Scan {
    place: Place,
    record: Record,
    /// Bytes received, while it is.
    received: u64,
    /// Bytes of its results, once it has ended.
    results: u64,
    /// Somebody is sending it.
    live: bool,
    /// Its bytes are being hashed.
    sealing: bool,
    /// The worker has it.
    working: bool,
}

impl Scan {
    fn new(place: Place, record: Record) -> Self {
        Self {
            place,
            record,
            received: 0,
            results: 0,
            live: false,
            sealing: false,
            working: false,
        }
    }

    fn state_name(&self) -> &'static str {
        match self.place {
            Place::Incoming => "being received",
            Place::Queue if self.working => "in work",
            Place::Queue => "waiting",
            Place::Done => "finished",
            Place::Aside => "set aside",
        }
    }
}

#[derive(Debug)]
struct Inner {
    scans: BTreeMap<ScanId, Scan>,
    /// The highest number whose scan is gone.
    mark: u32,
    /// Scans that the disk did not give back at the start.
    unread: BTreeSet<ScanId>,
    /// A step failed halfway: the disk must be read again.
    stale: bool,
}

impl Inner {
    /// The scan, unless it is condemned: to all but who erases, that one is gone.
    fn get(&mut self, id: ScanId) -> Result<&mut Scan, SpoolError> {
        let missing = self.missing(id);
        let scan = self.scans.get_mut(&id);
        scan.filter(|scan| scan.record.erased_by.is_none())
            .ok_or(missing)
    }

    /// Why a scan is not to be had.
    fn missing(&self, id: ScanId) -> SpoolError {
        if self.unread.contains(&id) {
            SpoolError::Unread(id)
        } else {
            SpoolError::Unknown(id)
        }
    }

    /// The same, to look at.
    fn look(&self, id: ScanId) -> Option<&Scan> {
        let scan = self.scans.get(&id);
        scan.filter(|scan| scan.record.erased_by.is_none())
    }

    /// The scans that are there for others than who erases.
    fn seen(&self) -> impl Iterator<Item = (ScanId, &Scan)> {
        let scans = self.scans.iter().map(|(&id, scan)| (id, scan));
        scans.filter(|(_, scan)| scan.record.erased_by.is_none())
    }

    /// The scan, if it lies in `place`.
    fn get_at(&mut self, id: ScanId, place: Place) -> Result<&mut Scan, SpoolError> {
        let scan = self.get(id)?;
        if scan.place == place {
            return Ok(scan);
        }
        let state = scan.state_name();
        Err(SpoolError::State { id, state })
    }

    /// Removes a scan; its number is not given out again.
    fn discard<S: Storage>(&mut self, disk: Disk<'_, S>, id: ScanId) -> Result<(), SpoolError> {
        let place = self.scans.get(&id).ok_or(SpoolError::Unknown(id))?.place;
        if id.sequence() > self.mark {
            disk.save(SEQUENCE, record::NUMBER, &id.sequence())?;
            self.mark = id.sequence();
        }
        disk.discard(id, place)?;
        self.scans.remove(&id);
        Ok(())
    }
}

/// The queue. All its calls may come from any thread.
#[derive(Debug)]
pub struct Spool<S> {
    storage: S,
    settings: Settings,
    inner: Mutex<Inner>,
}

impl<S: Storage> Spool<S> {
    /// Opens the queue and puts right whatever a power cut left.
    ///
    /// # Errors
    /// When the disk refuses or a newer program wrote what lies there.
    pub fn open(storage: S, settings: Settings) -> Result<(Self, Recovery), SpoolError> {
        let found = recover::recover(Disk(&storage), When::Start)?;
        let inner = Inner {
            scans: found.scans,
            mark: found.mark,
            unread: found.unread,
            stale: false,
        };
        let spool = Self {
            storage,
            settings,
            inner: Mutex::new(inner),
        };
        Ok((spool, found.recovery))
    }

    /// What the queue lies on; paths in it are the queue's own.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The limits and destinations it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Notes, to stay, that a destination has the results of a scan. Fine to repeat.
    ///
    /// # Errors
    /// When the scan has not ended, nobody configured the destination, or the disk refuses.
    pub fn confirm(&self, id: ScanId, destination: &str) -> Result<(), SpoolError> {
        if !self.settings.destinations.contains(destination) {
            return Err(SpoolError::Destination(destination.into()));
        }
        self.with(|disk, inner| {
            let scan = inner.get(id)?;
            if !matches!(scan.place, Place::Done | Place::Aside) {
                let state = scan.state_name();
                return Err(SpoolError::State { id, state });
            }
            if scan.record.confirmed.insert(destination.into()) {
                disk.save_record(scan.place, id, &scan.record)?;
            }
            Ok(())
        })
    }

    /// Removes the oldest scan whose results every destination has; `None` if there is none.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn recycle(&self) -> Result<Option<ScanId>, SpoolError> {
        self.with(|disk, inner| room::recycle(disk, inner, &self.settings, false))
    }

    /// Makes room for a scan of so many bytes, as its announcement would; or says why there is none.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn make_room(&self, bytes: u64) -> Result<Option<Refusal>, SpoolError> {
        self.with(|disk, inner| room::make_room(disk, inner, &self.settings, bytes))
    }

    /// What became of a scan; `None` if the box does not know it (any more).
    ///
    /// # Errors
    /// [`SpoolError::Unread`]; when a step failed before and the disk cannot be read again.
    pub fn state(&self, id: ScanId) -> Result<Option<State>, SpoolError> {
        self.with(|_, inner| match inner.look(id) {
            Some(scan) => Ok(Some(state(inner, id, scan))),
            None if inner.unread.contains(&id) => Err(SpoolError::Unread(id)),
            None => Ok(None),
        })
    }

    /// The results of a scan that has ended, as paths in the storage, sorted.
    ///
    /// # Errors
    /// When the scan has not ended, or the disk refuses.
    pub fn results(&self, id: ScanId) -> Result<Vec<String>, SpoolError> {
        let folder = self.results_folder(id)?;
        let names = Disk(&self.storage).list(&folder)?;
        Ok(names
            .into_iter()
            .map(|name| format!("{folder}/{name}"))
            .collect())
    }

    /// The folder of the results of a scan that has ended, as a path in the storage.
    ///
    /// # Errors
    /// When the scan has not ended.
    pub fn results_folder(&self, id: ScanId) -> Result<String, SpoolError> {
        self.with(|_, inner| {
            let scan = inner.get(id)?;
            match scan.place {
                Place::Done | Place::Aside => Ok(scan.place.results(id)),
                _ => Err(SpoolError::State {
                    id,
                    state: scan.state_name(),
                }),
            }
        })
    }

    /// Every scan on the box, the oldest first.
    ///
    /// # Errors
    /// When a step failed before and the disk cannot be read again.
    pub fn listing(&self) -> Result<Vec<Listed>, SpoolError> {
        self.with(|_, inner| {
            let listed = inner.seen().map(|(id, scan)| self.show(inner, id, scan));
            Ok(listed.collect())
        })
    }

    /// One scan of that list; `None` if the box does not know it (any more).
    ///
    /// # Errors
    /// When a step failed before and the disk cannot be read again.
    pub fn listed(&self, id: ScanId) -> Result<Option<Listed>, SpoolError> {
        self.with(|_, inner| {
            let scan = inner.look(id);
            Ok(scan.map(|scan| self.show(inner, id, scan)))
        })
    }

    fn show(&self, inner: &Inner, id: ScanId, scan: &Scan) -> Listed {
        let state = state(inner, id, scan);
        let ended = matches!(state, State::Ended(_));
        let wanted = self.settings.destinations.iter();
        Listed {
            id,
            state,
            record: scan.record.clone(),
            missing: wanted
                .filter(|&name| {
                    ended && !scan.record.silent && !scan.record.confirmed.contains(name)
                })
                .cloned()
                .collect(),
        }
    }

    /// How full the queue is.
    ///
    /// # Errors
    /// When the disk cannot tell.
    pub fn usage(&self) -> Result<Usage, SpoolError> {
        self.with(|disk, inner| {
            Ok(Usage {
                used_bytes: room::used(inner, &self.settings),
                quota_bytes: self.settings.quota_bytes,
                free_bytes: disk.0.free().map_err(SpoolError::at(""))?,
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| {
            // Whoever panicked may have left a step halfway.
            let mut inner = poisoned.into_inner();
            inner.stale = true;
            inner
        })
    }

    /// Does one step. If the disk refused in the middle of one, what lies there is looked at before the next.
    fn with<T>(
        &self,
        step: impl FnOnce(Disk<'_, S>, &mut Inner) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let disk = Disk(&self.storage);
        let mut inner = self.lock();
        if inner.stale {
            let mut found = recover::recover(disk, When::Later(&inner.unread))?;
            for (id, scan) in &mut found.scans {
                if let Some(before) = inner.scans.get(id) {
                    scan.live = before.live;
                    scan.sealing = before.sealing && before.received == scan.received;
                    scan.working = before.working && scan.place == Place::Queue;
                }
            }
            *inner = Inner {
                scans: found.scans,
                mark: found.mark.max(inner.mark),
                unread: found.unread,
                stale: false,
            };
            self.inner.clear_poison();
        }
        let result = step(disk, &mut inner);
        if matches!(result, Err(SpoolError::Storage { .. })) {
            inner.stale = true;
        }
        result
    }
}

fn state(inner: &Inner, id: ScanId, scan: &Scan) -> State {
    match (scan.place, &scan.record.outcome) {
        (Place::Incoming, _) => State::Receiving {
            received: scan.received,
            bytes: scan.record.bytes,
        },
        (_, Some(outcome)) => State::Ended(outcome.clone()),
        _ if scan.working => State::Working {
            attempt: scan.record.attempts,
        },
        _ => {
            let earlier = inner.scans.range(..id);
            State::Waiting {
                ahead: earlier
                    .filter(|(_, scan)| scan.place == Place::Queue)
                    .count(),
                attempts: scan.record.attempts,
            }
        }
    }
}

/// BLAKE3 of the first `bytes` bytes of a file.
fn hash<S: Storage>(storage: &S, path: &str, bytes: u64) -> Result<Hash, SpoolError> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < bytes {
        let wanted = buffer.len().min((bytes - offset) as usize);
        let read = storage
            .read_at(path, offset, &mut buffer[..wanted])
            .map_err(SpoolError::at(path))?;
        if read == 0 {
            break; // shorter than it should be, so it has another hash
        }
        hasher.update(&buffer[..read]);
        offset += read as u64;
    }
    Ok(hasher.finalize())
}
