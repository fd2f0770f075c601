//! How a package comes in.

use std::path::Path;

use nephrobox_engine::package::MAX_FILE_BYTES;
use nephrobox_imaging::files;

use super::record::{Entry, Reception, Stage};
use super::types::{Announced, Begin};
use super::{Inner, Letter, Refusal, Slots, SlotsError, check};
use crate::storage::Storage;

/// Bytes that must be free besides the package: records, and what the file system needs for itself.
const SPARE: u64 = 1 << 20;

impl<S: Storage> Slots<S> {
    /// Announces a package. What its sender says about it is enough to refuse it before anything is written; the slot that it goes into is
    /// empty from now on.
    ///
    /// The same file, announced again, goes on where it broke off.
    ///
    /// # Errors
    /// When the disk refuses. That the package is not taken is no error but [`Begin::Refused`].
    pub fn begin(&self, announced: &Announced) -> Result<Begin, SlotsError> {
        let announced = announced.tamed();
        self.with(|inner| {
            let begun = self.weigh(inner, &announced)?;
            let Begin::Receive { slot, offset } = begun else {
                return Ok(begun);
            };
            if let Some(reception) = resumed(inner, slot, &announced) {
                if reception.announced != announced {
                    let kept = reception.kept;
                    self.change(inner, |record| {
                        record.reception = Some(Reception {
                            slot,
                            announced,
                            kept,
                        });
                    })?;
                }
                return Ok(Begin::Receive { slot, offset });
            }
            // First the record, then the file: a cut between the two leaves a file that no record speaks of.
            self.change(inner, |record| {
                *record.entry_mut(slot) = None;
                record.reception = Some(Reception {
                    slot,
                    announced,
                    kept: 0,
                });
            })?;
            inner.blocked[slot.index()] = None;
            inner.received = 0;
            self.remove(slot)?;
            Ok(Begin::Receive { slot, offset: 0 })
        })
    }

    /// What [`begin`](Self::begin) would answer; changes nothing.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn consider(&self, announced: &Announced) -> Result<Begin, SlotsError> {
        let announced = announced.tamed();
        self.with(|inner| self.weigh(inner, &announced))
    }

    fn weigh(&self, inner: &Inner, announced: &Announced) -> Result<Begin, SlotsError> {
        if let Some(slot) = here(inner, announced) {
            let in_use = inner.running() == Some(slot);
            return Ok(Begin::Have { slot, in_use });
        }
        if let Err(refusal) = check::announced(announced, inner.version(), &self.settings) {
            return Ok(Begin::Refused(refusal));
        }
        let slot = inner.target();
        if inner.busy == Some(slot) {
            return Ok(Begin::Refused(Refusal::Busy(slot)));
        }
        if resumed(inner, slot, announced).is_some() {
            let offset = inner.received;
            return Ok(Begin::Receive { slot, offset });
        }
        let refusal = self.room(slot, announced.package.bytes)?;
        Ok(refusal.map_or(Begin::Receive { slot, offset: 0 }, Begin::Refused))
    }

    /// Takes the bytes that begin at `offset`, and returns the offset of the next.
    ///
    /// # Errors
    /// [`SlotsError::Order`] with the offset at which to go on, [`SlotsError::TooMany`], a disk that refuses; then ask
    /// [`begin`](Self::begin) again where to go on.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<u64, SlotsError> {
        self.with(|inner| {
            let (slot, announced, kept) = reception(inner)?;
            let expected = inner.received;
            if offset != expected {
                let found = offset;
                return Err(SlotsError::Order { expected, found });
            }
            let after = expected.saturating_add(bytes.len() as u64);
            if after > announced {
                return Err(SlotsError::TooMany { announced });
            }
            let file = slot.file();
            let appended = self.storage.append(file, bytes);
            appended.map_err(SlotsError::at(file))?;
            inner.received = after;
            if after - kept >= self.settings.checkpoint_bytes {
                self.keep(inner, slot)?;
            }
            Ok(after)
        })
    }

    /// Bytes received and bytes announced of the package that is on its way.
    ///
    /// # Errors
    /// When nothing is received, or a step failed before and the disk cannot be read again.
    pub fn progress(&self) -> Result<(u64, u64), SlotsError> {
        self.with(|inner| {
            let (_, announced, _) = reception(inner)?;
            Ok((inner.received, announced))
        })
    }

    /// Reads the package back and checks all that can be checked without running it. When this returns, it is written: it survives and waits for its
    /// trial.
    ///
    /// # Errors
    /// [`SlotsError::Short`], [`SlotsError::Refused`] (the bytes are gone then), a disk that refuses.
    pub fn finish(&self) -> Result<Letter, SlotsError> {
        let (slot, announced, running, _occupied) = self.with(|inner| {
            let (slot, bytes, _) = reception(inner)?;
            let received = inner.received;
            if received != bytes {
                let announced = bytes;
                return Err(SlotsError::Short {
                    received,
                    announced,
                });
            }
            self.keep(inner, slot)?;
            let reception = inner.record.reception.as_ref();
            let announced = reception.ok_or(SlotsError::NoReception)?.announced.clone();
            let running = inner.version();
            let occupied = self.occupy(inner, slot);
            Ok((slot, announced, running, occupied))
        })?;
        // Others need not wait while a large package is checked.
        let file = self.storage.read(slot.file(), MAX_FILE_BYTES);
        let file = file.map_err(SlotsError::at(slot.file()))?;
        let file = file.unwrap_or_default();
        let checked = check::whole(file, &announced, running, &self.settings);
        self.with(|inner| {
            let (package, refusal) = match checked {
                Ok(package) => (Some(package), None),
                Err(refusal) => (None, Some(refusal)),
            };
            let entry = package.map(|package| Entry {
                package,
                stage: Stage::Written,
            });
            self.change(inner, |record| {
                record.reception = None;
                *record.entry_mut(slot) = entry;
            })?;
            inner.received = 0;
            match refusal {
                None => Ok(slot),
                Some(refusal) => {
                    self.remove(slot)?;
                    Err(refusal.into())
                }
            }
        })
    }

    /// Installs a package that lies in a file, as if it had been sent: it waits for its trial when this returns.
    ///
    /// # Errors
    /// When the file is no package or the disk refuses. That the package is not taken, or is here already, the answer says.
    pub fn install_file(&self, path: &Path, permit: Option<&[u8]>) -> Result<Begin, SlotsError> {
        let cannot = |source| SlotsError::File {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(cannot)?.len();
        if bytes > MAX_FILE_BYTES {
            return Ok(Begin::Refused(Refusal::Size(bytes)));
        }
        let file = files::read(path, MAX_FILE_BYTES).map_err(cannot)?;
        let announced = Announced::of(&file, permit).map_err(|source| SlotsError::NotAPackage {
            path: path.to_owned(),
            source,
        })?;
        let begun = self.begin(&announced)?;
        let Begin::Receive { mut offset, .. } = begun else {
            return Ok(begun);
        };
        let step = self.settings.checkpoint_bytes.max(1) as usize;
        while let Some(rest) = file.get(offset as usize..).filter(|rest| !rest.is_empty()) {
            offset = self.write(offset, &rest[..rest.len().min(step)])?;
        }
        let slot = self.finish()?;
        let in_use = false;
        Ok(Begin::Have { slot, in_use })
    }

    /// Why there is no room, if there is none.
    fn room(&self, slot: Letter, bytes: u64) -> Result<Option<Refusal>, SlotsError> {
        let file = slot.file();
        let gives = self.storage.len(file).map_err(SlotsError::at(file))?;
        let free = self.storage.free().map_err(SlotsError::at(""))?;
        let (needed, free) = (bytes + SPARE, free.saturating_add(gives.unwrap_or(0)));
        Ok((needed > free).then_some(Refusal::Room { needed, free }))
    }

    /// Makes what was received survive, and says so on the record.
    fn keep(&self, inner: &mut Inner, slot: Letter) -> Result<(), SlotsError> {
        let file = slot.file();
        let sync = self.storage.sync(file);
        sync.and_then(|()| self.storage.sync_folder(""))
            .map_err(SlotsError::at(file))?;
        let kept = inner.received;
        self.change(inner, |record| {
            if let Some(reception) = &mut record.reception {
                reception.kept = kept;
            }
        })
    }

    fn remove(&self, slot: Letter) -> Result<(), SlotsError> {
        let file = slot.file();
        self.storage.remove(file).map_err(SlotsError::at(file))
    }
}

/// Slot, bytes announced and bytes that survive of the package that is on its way.
fn reception(inner: &Inner) -> Result<(Letter, u64, u64), SlotsError> {
    let reception = inner.record.reception.as_ref();
    let reception = reception.ok_or(SlotsError::NoReception)?;
    if inner.busy == Some(reception.slot) {
        return Err(SlotsError::Busy(reception.slot));
    }
    let announced = reception.announced.package.bytes;
    Ok((reception.slot, announced, reception.kept))
}

/// The reception of this very file into a slot, if it broke off and can go on.
fn resumed<'a>(inner: &'a Inner, slot: Letter, announced: &Announced) -> Option<&'a Reception> {
    let reception = inner.record.reception.as_ref()?;
    let same = reception.slot == slot
        && reception.announced.blake3 == announced.blake3
        && reception.announced.package.bytes == announced.package.bytes;
    same.then_some(reception)
}

/// The slot that holds this very package: the one in use, or one that waits for its trial.
fn here(inner: &Inner, announced: &Announced) -> Option<Letter> {
    let running = inner.running();
    Letter::BOTH.into_iter().find(|&slot| {
        let is_it = |entry: &Entry| {
            let tried = matches!(entry.stage, Stage::Confirmed | Stage::Bad { .. });
            entry.package.hash == announced.package.hash && (!tried || running == Some(slot))
        };
        inner.sound(slot).is_some_and(is_it)
    })
}
