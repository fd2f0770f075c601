//! What a start finds, and how it puts it right.

use nephrobox_engine::package::MAX_FILE_BYTES;

use super::check::{self, Unfit};
use super::record::{Entry, LONGEST, Record, SLOTS, STATE, Stage};
use super::types::{Identity, Settings};
use super::{Inner, Letter, SlotsError, save};
use crate::record::Unusable;
use crate::storage::Storage;

/// What a start found and put right, for log and panel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Why the record was made again from the packages, if it was.
    pub rebuilt: Option<&'static str>,
    /// Packages that cannot be used, and why.
    pub unusable: Vec<(Letter, String)>,
    /// The slot whose model is used in place of the one that was.
    pub fell_back: Option<Letter>,
    /// Bytes that are here of bytes announced of a package whose reception can go on.
    pub partial: Option<(u64, u64)>,
    /// A slot whose package is still to be tried.
    pub untried: Option<Letter>,
}

impl Recovery {
    /// What went wrong, a sentence each; none if nothing did.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let rebuilt = self.rebuilt.map(|why| {
            format!("the record of the model slots was {why} and was made again from the packages; check the disk")
        });
        let unusable = self
            .unusable
            .iter()
            .map(|(slot, why)| format!("the model in slot {slot} cannot be used: {why}"));
        let fell_back = self.fell_back.map(|slot| {
            format!("the model in slot {slot} is used instead; flash the wanted package again")
        });
        rebuilt
            .into_iter()
            .chain(unusable)
            .chain(fell_back)
            .collect()
    }
}

/// Reads record and packages and finishes what was begun.
pub(super) fn recover<S: Storage>(
    storage: &S,
    settings: &Settings,
) -> Result<(Inner, Recovery), SlotsError> {
    // A rename may be there and not yet survive the next cut.
    storage.sync_folder("").map_err(SlotsError::at(""))?;
    let mut recovery = Recovery::default();
    let lies = load(storage)?;
    let looked = |slot: Letter| look(storage, slot, settings);
    let (record, seen) = if let Ok(Some(record)) = lies {
        let seen = Letter::BOTH.map(|slot| match record.stage(slot) {
            None | Some(Stage::Bad { .. }) => Seen::Nothing,
            Some(_) => looked(slot),
        });
        (record, seen)
    } else {
        let seen = Letter::BOTH.map(looked);
        let record = rebuild(&seen);
        let held = record.a.is_some() || record.b.is_some();
        recovery.rebuilt = lies.err().or(held.then_some("lost"));
        // A box that has never had a model has no record.
        if recovery.rebuilt.is_some() {
            save(storage, &record)?;
        }
        (record, seen)
    };
    let mut inner = Inner {
        blocked: Letter::BOTH.map(|slot| blocked(record.entry(slot), &seen[slot.index()])),
        record,
        received: 0,
        busy: None,
        stand_in: None,
        stale: false,
    };
    tidy(storage, &mut inner)?;
    let because = |slot: Letter| Some((slot, inner.blocked[slot.index()].clone()?));
    recovery.unusable = Letter::BOTH.into_iter().filter_map(because).collect();
    let running = inner.running();
    recovery.fell_back = running.filter(|_| running != inner.record.running);
    recovery.untried = inner.untried();
    let reception = inner.record.reception.as_ref();
    recovery.partial = reception.map(|on| (inner.received, on.announced.package.bytes));
    Ok((inner, recovery))
}

/// The record as it lies on the disk, or what is wrong with it.
fn load<S: Storage>(storage: &S) -> Result<Result<Option<Record>, &'static str>, SlotsError> {
    const DAMAGED: &str = "damaged";
    let bytes = match storage.read(STATE, LONGEST) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(Err(DAMAGED)),
        read => read.map_err(SlotsError::at(STATE))?,
    };
    let record = bytes.map(|bytes| SLOTS.unseal(&bytes)).transpose();
    Ok(record.map_err(|why| match why {
        Unusable::Damaged => DAMAGED,
        Unusable::Newer => "written by a newer nephrobox",
    }))
}

/// What lies in a slot's file.
enum Seen {
    /// No file, or one that nobody asks for.
    Nothing,
    /// A package that may run.
    Sound(Identity),
    /// A whole package that may not.
    Untrusted(Identity, String),
    /// No package, or one that cannot be read.
    Damaged(String),
}

fn look<S: Storage>(storage: &S, slot: Letter, settings: &Settings) -> Seen {
    match storage.read(slot.file(), MAX_FILE_BYTES) {
        Err(error) => Seen::Damaged(format!("its file cannot be read ({error})")),
        Ok(None) => Seen::Nothing,
        Ok(Some(file)) => match check::installed(&file, settings) {
            Ok(package) => Seen::Sound(package),
            Err(Unfit::Damaged(error)) => Seen::Damaged(error.to_string()),
            Err(Unfit::Untrusted(package, error)) => Seen::Untrusted(package, error.to_string()),
        },
    }
}

/// Why the package that the record speaks of cannot be used, if it cannot.
fn blocked(entry: Option<&Entry>, seen: &Seen) -> Option<String> {
    let entry = entry.filter(|entry| !matches!(entry.stage, Stage::Bad { .. }))?;
    match seen {
        Seen::Sound(found) if found.hash == entry.package.hash => None,
        Seen::Sound(_) => Some("its file holds another package than was installed".into()),
        Seen::Nothing => Some("its file is gone".into()),
        Seen::Untrusted(_, why) | Seen::Damaged(why) => Some(why.clone()),
    }
}

/// A record for packages whose own was lost. What had passed its trial is not known any more, so the newest is tried again; until it has passed, the
/// other one is used.
fn rebuild(seen: &[Seen; 2]) -> Record {
    let mut record = Record::default();
    let found = Letter::BOTH.map(|slot| match &seen[slot.index()] {
        Seen::Sound(package) | Seen::Untrusted(package, _) => Some(package.clone()),
        Seen::Nothing | Seen::Damaged(_) => None,
    });
    for (slot, package) in Letter::BOTH.into_iter().zip(found) {
        *record.entry_mut(slot) = package.map(|package| Entry {
            package,
            stage: Stage::Written,
        });
    }
    if let [Seen::Sound(a), Seen::Sound(b)] = seen {
        let older = if a.version > b.version {
            Letter::B
        } else {
            Letter::A
        };
        record.set_stage(older, Stage::Confirmed);
        record.running = Some(older);
    }
    record
}

/// Cuts a partial package to what is known to have survived, and removes files that no record speaks of.
fn tidy<S: Storage>(storage: &S, inner: &mut Inner) -> Result<(), SlotsError> {
    for slot in Letter::BOTH {
        let file = slot.file();
        let at = |error| SlotsError::at(file)(error);
        let reception = inner.record.reception.as_ref();
        if let Some(reception) = reception.filter(|reception| reception.slot == slot) {
            let lies = storage.len(file).map_err(at)?.unwrap_or(0);
            if lies > reception.kept {
                storage.truncate(file, reception.kept).map_err(at)?;
                storage.sync(file).map_err(at)?;
            }
            // Of what it had synced a disk may have lost a part; reception goes on from what is left.
            let kept = lies.min(reception.kept);
            if let Some(reception) = &mut inner.record.reception {
                reception.kept = kept;
            }
            inner.received = kept;
        } else if inner.record.entry(slot).is_none() {
            storage.remove(file).map_err(at)?;
        }
    }
    Ok(())
}
