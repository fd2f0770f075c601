//! Two slots for models, A and B, so that flashing can never leave the box without one.
//!
//! A package goes into the slot that is not in use, is verified there, self-tested on what will run it, and only then used; the one before stays
//! in its slot to go back to. One small record, replaced whole, says which slot is in use and how far the other is, so that every step is one
//! rename and a power cut leaves it done or not begun:
//!
//! ```text
//! empty ─► (received) ─► written ─► trial ─► confirmed
//!                           └─────────┴────► bad
//! ```
//!
//! `docs/formats/slots.md` has the files, the record and what a start does, `docs/power-cuts.md` what was tried against it. There is one
//! record where boot loaders keep two with running numbers: they write flash in place, and a file can be replaced whole. Whether an
//! installed package is sound is not noted but looked at, at every start; what cannot be used then is passed over and not condemned, so
//! that a mistake in the configuration costs nothing once it is mended.

mod check;
mod error;
mod receive;
mod record;
mod recover;
mod tester;
mod trial;
mod types;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

pub use error::{Refusal, SlotsError};
pub use record::{Letter, Stage};
pub use recover::Recovery;
pub use tester::{SelfTester, TrialError};
pub use trial::{Brought, Outcome, Trial, Tried, Verdict};
pub use types::{ATTEMPTS, Announced, Begin, Current, Identity, Listed, Settings};

use crate::snapshot;
use crate::storage::Storage;
use record::{Entry, Record, SLOTS, STATE};

/// The slots in memory.
#[derive(Debug)]
struct Inner {
    record: Record,
    /// Why the package of a slot cannot be used just now.
    blocked: [Option<String>; 2],
    /// Bytes received, while a package is.
    received: u64,
    /// Somebody checks or tries the package of this slot.
    busy: Option<Letter>,
    /// That another model runs than the one that should, until a report has said so. It is never written down: the next start tries the wanted one again.
    stand_in: Option<String>,
    /// A step failed halfway: the disk must be read again.
    stale: bool,
}

impl Inner {
    /// The package of a slot, if it may be used.
    fn sound(&self, slot: Letter) -> Option<&Entry> {
        let entry = self.record.entry(slot)?;
        self.blocked[slot.index()].is_none().then_some(entry)
    }

    /// A confirmed package that may be used.
    fn confirmed(&self, slot: Letter) -> Option<&Entry> {
        let entry = self.sound(slot)?;
        (entry.stage == Stage::Confirmed).then_some(entry)
    }

    /// The slot in use: the one that the record names, or the other if that one cannot be used.
    fn running(&self) -> Option<Letter> {
        let named = self.record.running?;
        [named, named.other()]
            .into_iter()
            .find(|&slot| self.confirmed(slot).is_some())
    }

    /// The version in use.
    fn version(&self) -> Option<u64> {
        let entry = self.record.entry(self.running()?)?;
        Some(entry.package.version)
    }

    /// The slot that a package goes into: never the one in use, and without one that which costs least.
    fn target(&self) -> Letter {
        let cost = |slot: Letter| match (self.sound(slot), self.record.entry(slot)) {
            (_, None) => 0,
            (None, _) => 1,
            (Some(entry), _) => match entry.stage {
                Stage::Bad { .. } => 1,
                Stage::Written | Stage::Trial { .. } => 2,
                Stage::Confirmed => 3,
            },
        };
        match self.running() {
            Some(running) => running.other(),
            None if cost(Letter::B) < cost(Letter::A) => Letter::B,
            None => Letter::A,
        }
    }
}

/// The two slots. All calls may come from any thread.
#[derive(Debug)]
pub struct Slots<S> {
    storage: S,
    settings: Settings,
    inner: Mutex<Inner>,
}

impl<S: Storage> Slots<S> {
    /// Opens the slots and puts right whatever a power cut or a fault of the disk left.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(storage: S, settings: Settings) -> Result<(Self, Recovery), SlotsError> {
        let (inner, recovery) = recover::recover(&storage, &settings)?;
        let slots = Self {
            storage,
            settings,
            inner: Mutex::new(inner),
        };
        Ok((slots, recovery))
    }

    /// Whose packages are taken, and how.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The model in use; `None` if there is none.
    ///
    /// # Errors
    /// When a step failed before and the disk cannot be read again.
    pub fn current(&self) -> Result<Option<Current>, SlotsError> {
        self.with(|inner| {
            let current = inner.running().and_then(|slot| {
                let package = inner.record.entry(slot)?.package.clone();
                Some(Current { slot, package })
            });
            Ok(current)
        })
    }

    /// The file of the model in use; `None` if there is none, or it lies on no disk.
    ///
    /// # Errors
    /// When a step failed before and the disk cannot be read again.
    pub fn path(&self) -> Result<Option<PathBuf>, SlotsError> {
        let current = self.current()?;
        Ok(current.and_then(|current| self.storage.real_path(current.slot.file())))
    }

    /// Both slots, A first.
    ///
    /// # Errors
    /// When a step failed before and the disk cannot be read again.
    pub fn listing(&self) -> Result<[Listed; 2], SlotsError> {
        self.with(|inner| {
            let running = inner.running();
            Ok(Letter::BOTH.map(|slot| {
                let blocked = inner.blocked[slot.index()].clone();
                let shown = |entry: &Entry| match blocked {
                    Some(reason) => (entry.package.clone(), Stage::Bad { reason }),
                    None => (entry.package.clone(), entry.stage.clone()),
                };
                let reception = inner.record.reception.as_ref();
                let here = reception.filter(|reception| reception.slot == slot);
                Listed {
                    slot,
                    package: inner.record.entry(slot).map(shown),
                    receiving: here.map(|here| (inner.received, here.announced.package.bytes)),
                    in_use: running == Some(slot),
                }
            }))
        })
    }

    /// Both slots as panel and status page show them.
    ///
    /// # Errors
    /// When a step failed before and the disk cannot be read again.
    pub fn snapshot(&self) -> Result<[snapshot::Slot; 2], SlotsError> {
        Ok(self.listing()?.map(|listed| listed.snapshot()))
    }

    /// What the next report has to say about a package that failed, or a model that runs in another's place; it stays until
    /// [`noticed`](Self::noticed).
    ///
    /// # Errors
    /// When a step failed before and the disk cannot be read again.
    pub fn notice(&self) -> Result<Option<String>, SlotsError> {
        self.with(|inner| {
            let notice = inner.stand_in.as_ref().or(inner.record.notice.as_ref());
            Ok(notice.cloned())
        })
    }

    /// Says that the notice stands in a report that is on the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn noticed(&self) -> Result<(), SlotsError> {
        self.with(|inner| {
            // What lies on the disk is older, and the report after that says it.
            if inner.stand_in.take().is_some() || inner.record.notice.is_none() {
                return Ok(());
            }
            self.change(inner, |record| record.notice = None)
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
        step: impl FnOnce(&mut Inner) -> Result<T, SlotsError>,
    ) -> Result<T, SlotsError> {
        let mut inner = self.lock();
        if inner.stale {
            let (mut found, _) = recover::recover(&self.storage, &self.settings)?;
            found.busy = inner.busy;
            found.stand_in = inner.stand_in.take();
            for slot in Letter::BOTH {
                // What did not get ready in this life does not become better by that.
                if found.record.entry(slot) == inner.record.entry(slot) {
                    let before = inner.blocked[slot.index()].take();
                    found.blocked[slot.index()] = before.or(found.blocked[slot.index()].take());
                }
            }
            *inner = found;
            self.inner.clear_poison();
        }
        let result = step(&mut inner);
        if matches!(result, Err(SlotsError::Storage { .. })) {
            inner.stale = true;
        }
        result
    }

    /// Puts another record in place, and believes it only when it will survive.
    fn change(
        &self,
        inner: &mut Inner,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), SlotsError> {
        let mut record = inner.record.clone();
        change(&mut record);
        save(&self.storage, &record)?;
        inner.record = record;
        Ok(())
    }

    /// Marks a slot as busy until the guard is dropped.
    fn occupy(&self, inner: &mut Inner, slot: Letter) -> Occupied<'_> {
        inner.busy = Some(slot);
        Occupied(&self.inner)
    }
}

fn save<S: Storage>(storage: &S, record: &Record) -> Result<(), SlotsError> {
    let sealed = SLOTS.seal(record).map_err(std::io::Error::other);
    let saved = sealed.and_then(|sealed| storage.replace(STATE, &sealed));
    saved.map_err(SlotsError::at(STATE))
}

/// Keeps others off a slot while its package is checked or tried, even if that ends in a panic.
struct Occupied<'a>(&'a Mutex<Inner>);

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        let inner = self.0.lock();
        inner
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .busy = None;
    }
}
