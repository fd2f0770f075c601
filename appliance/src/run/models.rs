//! Which model runs: brought up at the start, exchanged after a trial.
//!
//! Trials run in a thread of their own. A scan that is in work meanwhile goes on with the model it began with, on the same cores or
//! the same GPU; the next scan gets the new one. So neither intake nor work waits for a trial.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use nephrobox_engine::executor::{Event, Settings, Sharing};
use nephrobox_shared::report::{Warning, WarningCode};

use super::core::Core;
use super::upkeep;
use crate::config::Compute;
use crate::failure::sentence;
use crate::fault::FaultCode;
use crate::segment::Numbers;
use crate::slots::{Current, SelfTester, SlotsError, Stage, Verdict};
use crate::state_folder;
use crate::worker;

/// The longest a self-test may take. A GPU that compiles its kernels for the first time needs minutes.
const LIMIT: Duration = Duration::from_mins(15);
/// Wait before slots whose disk refused are asked again.
const AGAIN: Duration = Duration::from_secs(5);
/// How long the thread sleeps if nobody rings.
const IDLE: Duration = Duration::from_mins(1);

/// A model that several threads may hold.
pub(crate) type SharedModel = Arc<Mutex<worker::Model>>;

/// The model in use, and how the last one was judged.
#[derive(Default)]
pub(crate) struct Models {
    current: Mutex<Option<SharedModel>>,
    verdict: Mutex<Option<Verdict>>,
    /// How many want the model for themselves.
    kept_idle: AtomicUsize,
}

/// Keeps the worker from beginning with a scan until it is dropped.
pub(crate) struct Idle<'a>(&'a AtomicUsize);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Models {
    /// The model in use; `None` if there is none.
    pub(crate) fn current(&self) -> Option<SharedModel> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Keeps the worker from beginning with another scan; it gives its signs of life meanwhile.
    pub(crate) fn keep_idle(&self) -> Idle<'_> {
        self.kept_idle.fetch_add(1, Ordering::Relaxed);
        Idle(&self.kept_idle)
    }

    /// What came of the last installation or rollback since the start.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        verdict.clone()
    }
}

/// Gives the worker the model in use and what the next report must say of it.
pub(super) struct ForWorker(pub(super) Arc<Core>);

impl worker::Models for ForWorker {
    fn current(&mut self) -> Option<SharedModel> {
        let models = &self.0.models;
        let idle = models.kept_idle.load(Ordering::Relaxed) > 0;
        models.current().filter(|_| !idle)
    }

    fn notes(&mut self) -> Vec<Warning> {
        // A disk that refuses here has been told of, and keeps nothing from being looked at.
        let notice = self.0.slots.notice().ok().flatten();
        let note = |message: String| Warning::new(WarningCode::ModelFellBack, message);
        notice.map(note).into_iter().collect()
    }
}

/// The thread: brings the box to a model, then tries whatever is installed.
pub(super) fn run(core: &Core) {
    let bell = &core.bells.models;
    let tester = tester(core);
    let mut brought = bring_up(core, &tester);
    core.shared.change(|state| state.started = true);
    core.bells.worker();
    while !bell.stops() {
        let tried = brought.and_then(|()| try_all(core, &tester));
        brought = Ok(());
        match tried {
            Ok(()) => {
                core.clear(FaultCode::SlotsDisk);
                bell.sleep(IDLE);
            }
            Err(error) => {
                refused(core, &error);
                bell.sleep(AGAIN);
                // A disk that refused at the start must not leave the box without the model that it has.
                if core.models.current().is_none() && !bell.stops() {
                    brought = bring_up(core, &tester);
                }
            }
        }
    }
}

fn tester(core: &Core) -> SelfTester<impl Fn(Event) + use<>> {
    SelfTester {
        settings: settings(&core.config.compute, &core.config.identity.state),
        allow_without_self_test: core.config.model.allow_without_self_test,
        limit: LIMIT,
        hear: |event: Event| tracing::info!("{event}"),
    }
}

/// How models are run, as the section `compute` says.
fn settings(compute: &Compute, state: &std::path::Path) -> Settings {
    // The configuration knows the same words as the command line.
    let numbers = Numbers::from_str(&compute.arithmetic, false).unwrap_or_default();
    Settings {
        device: compute.device.clone(),
        threads: compute.threads.map(usize::from),
        sharing: Sharing::Slices,
        arithmetic: numbers.arithmetic(),
        caches: Some(state.join(state_folder::KERNELS)),
    }
}

/// Brings the box to the model that it has, if it has one.
fn bring_up<H: Fn(Event)>(core: &Core, tester: &SelfTester<H>) -> Result<(), SlotsError> {
    if let Some(notice) = core.slots.notice()? {
        core.raise(FaultCode::ModelFellBack, notice);
    }
    core.doing.trial(Some("getting the model ready".into()));
    let brought = core.slots.bring_up(tester);
    core.doing.trial(None);
    let brought = brought?;
    for verdict in brought.verdicts {
        judged(core, verdict);
    }
    for fault in &brought.faults {
        tracing::error!("{fault}");
    }
    if !brought.faults.is_empty() {
        core.raise(FaultCode::ModelUnusable, brought.faults.join("; "));
    }
    let Some((current, model)) = brought.model else {
        tracing::warn!("the box has no model; scans are not taken until one is installed");
        return Ok(());
    };
    take(core, &current, model);
    // The box works, and with an older model than whoever reads its results expects.
    if let Some(stand_in) = brought.stand_in {
        tracing::error!("{stand_in}");
        core.raise(FaultCode::ModelFellBack, stand_in);
    }
    Ok(())
}

/// Tries what waits for it, one after the other.
fn try_all<H: Fn(Event)>(core: &Core, tester: &SelfTester<H>) -> Result<(), SlotsError> {
    while let Some(title) = untried(core)? {
        tracing::info!(model = title, "a trial begins");
        core.doing.trial(Some(format!("self-test of {title}")));
        core.bells.upkeep();
        let tried = core.slots.try_out(tester);
        core.doing.trial(None);
        let Some((verdict, model)) = tried? else {
            return Ok(()); // its bytes are still being checked; the desk rings once more
        };
        if let (Some(model), Some(current)) = (model, &verdict.current) {
            take(core, current, model);
        }
        judged(core, verdict);
    }
    Ok(())
}

/// Name and version of a package that waits for its trial.
fn untried(core: &Core) -> Result<Option<String>, SlotsError> {
    let listing = core.slots.listing()?;
    let waiting = listing.into_iter().filter_map(|listed| listed.package);
    let mut waiting =
        waiting.filter(|(_, stage)| matches!(stage, Stage::Written | Stage::Trial { .. }));
    Ok(waiting.next().map(|(package, _)| package.title()))
}

/// Takes a model into use from the next scan on.
fn take(core: &Core, current: &Current, model: worker::Model) {
    let engine = model.running.engine.to_string();
    let title = current.package.title();
    tracing::info!(model = title, engine, slot = %current.slot, "a model is in use");
    let shared = Arc::new(Mutex::new(model));
    *core
        .models
        .current
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(shared);
    core.shared.change(|state| {
        state.active_model = Some(title);
        state.clear(FaultCode::ModelUnusable);
    });
    core.bells.worker();
    core.bells.upkeep();
}

/// Tells of a verdict: panel, log, audit; the slots themselves keep it for the next report.
fn judged(core: &Core, verdict: Verdict) {
    upkeep::slots(core);
    if verdict.is_good() {
        tracing::info!("{verdict}");
        core.clear(FaultCode::ModelFellBack);
    } else {
        tracing::error!("{verdict}");
        core.raise(FaultCode::ModelFellBack, verdict.to_string());
    }
    // A log that cannot be written is shown as a fault; the verdict stands in the slots.
    let _ = core.ledger.note(&verdict.deed());
    *core
        .models
        .verdict
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(verdict);
    core.bells.upkeep();
}

fn refused(core: &Core, error: &SlotsError) {
    let words = sentence(error);
    tracing::error!(error = words, "the model slots cannot be used");
    core.raise(FaultCode::SlotsDisk, words);
}

#[cfg(test)]
mod tests {
    use nephrobox_engine::executor::Arithmetic;

    use super::*;
    use crate::config::Config;

    #[test]
    fn models_run_as_the_configuration_says() {
        for (word, arithmetic) in [
            ("auto", None),
            ("f32", Some(Arithmetic::F32)),
            ("f16", Some(Arithmetic::F16)),
        ] {
            let text =
                format!("[compute]\ndevice = \"cpu\"\nthreads = 3\narithmetic = \"{word}\"\n");
            let config = Config::parse(&text).expect("right");
            let settings = settings(&config.compute, &config.identity.state);
            assert_eq!(settings.arithmetic, arithmetic);
            assert_eq!(
                (settings.device.as_str(), settings.threads),
                ("cpu", Some(3))
            );
            assert!(
                settings
                    .caches
                    .expect("a place")
                    .starts_with("/var/lib/nephrobox")
            );
        }
    }
}
