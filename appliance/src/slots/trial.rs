//! From written to confirmed or bad, and back to the model before.

use std::fmt;

use blake3::Hash;
use nephrobox_engine::package::{Loaded, MAX_FILE_BYTES, Model};
use nephrobox_shared::package::{PackageView, signing};

use super::record::Stage;
use super::types::{ATTEMPTS, Current, Identity};
use super::{Inner, Letter, Slots, SlotsError, TrialError};
use crate::audit::{Deed, What, Who};
use crate::record::tame_reason;
use crate::storage::Storage;

/// Gets a package's model ready and has it prove itself.
pub trait Trial {
    /// A model that is ready and has proved itself.
    type Model;

    /// Runs the package's self-test on what will run its scans.
    ///
    /// # Errors
    /// Why the model is not to be used.
    fn run(&self, package: Loaded) -> Result<Self::Model, TrialError>;
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The model is in use.
    Confirmed,
    /// It is not, for this reason.
    Bad(String),
}

/// What became of a package. Displayed, it is a sentence for panel, log and report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The slot it lies in.
    pub slot: Letter,
    /// The package.
    pub package: Identity,
    /// How it ended.
    pub outcome: Outcome,
    /// The model in use from now on.
    pub current: Option<Current>,
}

impl Verdict {
    /// Whether the model is in use.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.outcome == Outcome::Confirmed
    }

    /// The line for the audit log.
    #[must_use]
    pub fn deed(&self) -> Deed {
        Deed {
            who: Who::Device,
            what: match self.outcome {
                Outcome::Confirmed => What::Confirmed,
                Outcome::Bad(_) => What::Refused,
            },
            scan: None,
            hash: Some(Hash::from_bytes(*self.package.hash.as_bytes())),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (title, slot) = (self.package.title(), self.slot);
        match &self.outcome {
            Outcome::Confirmed => {
                write!(
                    f,
                    "{title} passed its self-test and is in use, in slot {slot}"
                )
            }
            Outcome::Bad(reason) => {
                // What to do stands at the end of a reason; the sentence goes on with what is true now.
                write!(f, "{title} in slot {slot} is not used: {reason}; ")?;
                match &self.current {
                    Some(current) => write!(f, "{} stays in use", current.package.title()),
                    None => write!(f, "there is no other model, flash a good one"),
                }
            }
        }
    }
}

/// What became of a package, and its model if that is in use.
pub type Tried<M> = (Verdict, Option<M>);

/// What a start brought up.
#[derive(Debug)]
pub struct Brought<M> {
    /// The model that is ready, and where it lies; `None` if there is none.
    pub model: Option<(Current, M)>,
    /// What became of packages on the way, in order.
    pub verdicts: Vec<Verdict>,
    /// Confirmed models that did not get ready, and why; they are passed over until the next start.
    pub faults: Vec<String>,
    /// That the model is not the one that should run, in a sentence for panel and report; `None` if it is.
    pub stand_in: Option<String>,
}

impl Inner {
    /// A package that waits for its trial; the higher version of two.
    pub(super) fn untried(&self) -> Option<Letter> {
        let waits = |&slot: &Letter| {
            let entry = self.sound(slot);
            entry.is_some_and(|entry| matches!(entry.stage, Stage::Written | Stage::Trial { .. }))
        };
        let version = |slot: &Letter| self.sound(*slot).map(|entry| entry.package.version);
        Letter::BOTH.into_iter().filter(waits).max_by_key(version)
    }

    fn current(&self) -> Option<Current> {
        let slot = self.running()?;
        let package = self.record.entry(slot)?.package.clone();
        Some(Current { slot, package })
    }

    /// That the model in use is not the one that the record names, and why.
    fn stands_in(&self) -> Option<String> {
        let wanted = self.record.running?;
        let current = self.current().filter(|current| current.slot != wanted)?;
        let title = self.record.entry(wanted)?.package.title();
        let why = tame_reason(self.blocked[wanted.index()].as_deref()?);
        // As in a verdict, what is true now comes after what to do.
        let (instead, slot) = (current.package.title(), current.slot);
        Some(format!(
            "{title} in slot {wanted} does not run: {why}; {instead} in slot {slot} is used instead"
        ))
    }
}

impl<S: Storage> Slots<S> {
    /// Brings the box to a model after [`open`](Self::open): tries what waits for its trial, else gets the model in use ready, and falls back to the
    /// other slot if that one does not get ready.
    ///
    /// # Errors
    /// When the disk refuses. That there is no model is no error.
    pub fn bring_up<T: Trial>(&self, trial: &T) -> Result<Brought<T::Model>, SlotsError> {
        let mut brought = Brought {
            model: None,
            verdicts: Vec::new(),
            faults: Vec::new(),
            stand_in: None,
        };
        while let Some((verdict, model)) = self.try_out(trial)? {
            brought.verdicts.push(verdict);
            if let Some(model) = model {
                brought.model = self.current()?.map(|current| (current, model));
                return Ok(brought);
            }
        }
        while let Some(current) = self.current()? {
            let got_ready = match self.load(current.slot) {
                Ok(loaded) => trial.run(loaded).map_err(|error| error.to_string()),
                Err(why) => Err(why),
            };
            match got_ready {
                Ok(model) => {
                    brought.stand_in = self.note_stand_in()?;
                    brought.model = Some((current, model));
                    return Ok(brought);
                }
                Err(why) => {
                    let (title, slot) = (current.package.title(), current.slot);
                    brought
                        .faults
                        .push(format!("{title} in slot {slot} does not run: {why}"));
                    self.with(|inner| {
                        inner.blocked[slot.index()] = Some(why);
                        Ok(())
                    })?;
                }
            }
        }
        Ok(brought)
    }

    /// Keeps for the next report that another model runs than the one that should, if so.
    fn note_stand_in(&self) -> Result<Option<String>, SlotsError> {
        self.with(|inner| {
            inner.stand_in = inner.stands_in();
            Ok(inner.stand_in.clone())
        })
    }

    /// Tries the package that waits for it, if one does. That an attempt begins is on the disk before it begins, since it may end the process; after
    /// [`ATTEMPTS`] such ends the package is bad. The model comes with a good verdict.
    ///
    /// # Errors
    /// When the disk refuses; the trial may then be repeated.
    pub fn try_out<T: Trial>(&self, trial: &T) -> Result<Option<Tried<T::Model>>, SlotsError> {
        let Some((slot, attempts, _occupied)) = self.with(|inner| self.next_attempt(inner))? else {
            return Ok(None);
        };
        let tried = if attempts > ATTEMPTS {
            Err(format!(
                "its self-test stopped the box {ATTEMPTS} times; have the package looked at"
            ))
        } else {
            self.load(slot)
                .and_then(|loaded| trial.run(loaded).map_err(|error| error.to_string()))
        };
        let (stage, model) = match tried {
            Ok(model) => (Stage::Confirmed, Some(model)),
            Err(reason) => {
                let reason = tame_reason(&reason);
                (Stage::Bad { reason }, None)
            }
        };
        let verdict = self.with(|inner| self.conclude(inner, slot, stage))?;
        Ok(Some((verdict, model)))
    }

    /// Goes back to the model of the other slot, which is tried again first: until it has passed, and if it fails, the one in use stays in use.
    ///
    /// # Errors
    /// [`SlotsError::NoWayBack`], [`SlotsError::Busy`], a disk that refuses.
    pub fn rollback(&self) -> Result<Identity, SlotsError> {
        self.with(|inner| {
            let nothing = |why: &str| SlotsError::NoWayBack { why: why.into() };
            let running = inner.running().ok_or(nothing("none is in use"))?;
            let slot = running.other();
            if inner.busy == Some(slot) {
                return Err(SlotsError::Busy(slot));
            }
            if let Some(why) = &inner.blocked[slot.index()] {
                return Err(nothing(&format!(
                    "that in slot {slot} cannot be used: {why}"
                )));
            }
            let entry = inner.record.entry(slot);
            let entry = entry.ok_or_else(|| nothing(&format!("slot {slot} is empty")))?;
            match &entry.stage {
                Stage::Confirmed => {}
                // Asked for before, and on its way.
                Stage::Written | Stage::Trial { .. } => return Ok(entry.package.clone()),
                Stage::Bad { reason } => {
                    return Err(nothing(&format!("that in slot {slot} is bad: {reason}")));
                }
            }
            let package = entry.package.clone();
            self.change(inner, |record| {
                record.running = Some(running);
                record.set_stage(slot, Stage::Written);
            })?;
            Ok(package)
        })
    }

    /// Counts an attempt at the package that waits; its number may be one too many.
    fn next_attempt(
        &self,
        inner: &mut Inner,
    ) -> Result<Option<(Letter, u32, super::Occupied<'_>)>, SlotsError> {
        let Some(slot) = inner.untried().filter(|_| inner.busy.is_none()) else {
            return Ok(None);
        };
        let before = match inner.record.stage(slot) {
            Some(&Stage::Trial { attempts }) => attempts,
            _ => 0,
        };
        let attempts = before + 1;
        if attempts <= ATTEMPTS {
            self.change(inner, |record| {
                record.set_stage(slot, Stage::Trial { attempts });
            })?;
        }
        Ok(Some((slot, attempts, self.occupy(inner, slot))))
    }

    fn conclude(
        &self,
        inner: &mut Inner,
        slot: Letter,
        stage: Stage,
    ) -> Result<Verdict, SlotsError> {
        let package = inner.record.entry(slot).map(|entry| entry.package.clone());
        let package = package.ok_or(SlotsError::NoReception)?;
        let current = Current {
            slot,
            package: package.clone(),
        };
        let mut verdict = Verdict {
            slot,
            package,
            outcome: Outcome::Confirmed,
            current: Some(current),
        };
        if let Stage::Bad { reason } = &stage {
            verdict.outcome = Outcome::Bad(reason.clone());
            verdict.current = inner.current();
        }
        let (good, notice) = (verdict.is_good(), verdict.to_string());
        self.change(inner, |record| {
            record.set_stage(slot, stage);
            if good {
                record.running = Some(slot);
            } else {
                record.notice = Some(notice);
            }
        })?;
        if good {
            inner.stand_in = None;
        }
        Ok(verdict)
    }

    /// The package of a slot, checked once more.
    fn load(&self, slot: Letter) -> Result<Loaded, String> {
        let file = self.storage.read(slot.file(), MAX_FILE_BYTES);
        let file = file.map_err(|error| format!("its file cannot be read ({error})"))?;
        let file = file.ok_or("its file is gone")?;
        let view = PackageView::open(&file).map_err(|error| error.to_string())?;
        signing::verify(&view, &self.settings.all_keys()).map_err(|error| error.to_string())?;
        Model::from_vec(file).map_err(|error| error.to_string())
    }
}
