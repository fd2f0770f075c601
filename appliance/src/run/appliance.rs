//! The composition: every part of the box, started in the order in which they need each other.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use nephrobox_dimse::server::Server;
use nephrobox_objects::Device;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use super::age::{Age, Clocks};
use super::core::{Core, spool_settings};
use super::ledger::{Ledger, held};
use super::lines::Lines;
use super::models::{self, ForWorker};
use super::news::News;
use super::vital::{Ended, Vitals};
use super::{delivery, gather, inbox, lock, network, results, upkeep};
use crate::audit::{Deed, What, Who};
use crate::config::Config;
use crate::failure::{Exit, Failure, told};
use crate::fault::FaultCode;
use crate::health::{self, Shelf, watchdog};
use crate::intake::dicom::Gatherer;
use crate::logs::Logs;
use crate::panel;
use crate::slots::{self, Slots};
use crate::snapshot::{Shared, Snapshot};
use crate::spool::{Listed, Recovery, ScanId, Spool};
use crate::storage::Folder;
use crate::worker::{Style, Worker};

/// Folder of the queue, below the state folder.
pub(super) const SPOOL: &str = "spool";
/// Folder of the models, below the state folder.
const SLOTS: &str = "slots";
/// Folder of series that are being gathered, below the state folder.
pub(super) const DICOM: &str = "dicom";
/// Folder of the audit log, below the state folder.
const AUDIT: &str = "audit";
/// How long after that it is begun anew.
const AGAIN: Duration = Duration::from_secs(5);
/// How long a stopping box waits for a trial that is going on.
const PATIENCE: Duration = Duration::from_secs(10);

/// A box that runs.
pub struct Appliance {
    core: Arc<Core>,
    worker: Worker,
    threads: Vec<JoinHandle<()>>,
    models: JoinHandle<()>,
    /// The DICOM network, if the box takes series.
    server: Option<Server>,
    tasks: Vec<AbortHandle>,
    ended: Ended,
    /// Held as long as anything here may write.
    lock: File,
}

impl Appliance {
    /// Starts all parts. When this returns scans are taken; that the model is ready too, `started` in the snapshot says.
    ///
    /// Has to be called within a Tokio runtime, which carries the lines, the page, the panel and the watchdog.
    ///
    /// # Errors
    /// What keeps the box from running at all: a state folder that cannot be used or is in use, an address that is taken. A port, a
    /// folder or a model that is missing is none; that is shown, and it is tried again.
    pub async fn start(config: Config, logs: Logs) -> Result<Self, Failure> {
        let state = config.identity.state.clone();
        let lock = lock::take(&state)?;
        let shared = Shared::new(Snapshot {
            name: config.identity.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_unix_s: results::unix_s(SystemTime::now()),
            silent: config.identity.silent,
            ..Snapshot::default()
        });
        let core = Arc::new(core(config, logs, &shared)?);
        let (vitals, ended) = Vitals::new();
        let mut tasks = Vec::new();
        let lines = Lines::open(&core.config).await?;
        if let Some(status) = &core.config.status {
            let listener = TcpListener::bind(status.listen).await.map_err(|error| {
                let remedy =
                    "see which program has this port, or change status.listen in the configuration";
                told(Exit::Service, &error, status.listen, remedy)
            })?;
            let (guard, shared) = (vitals.guard("status page"), shared.clone());
            let shelf = Shelf::new(Arc::clone(&core.spool), status.show_identity);
            let serving = tokio::spawn(async move {
                let _guard = guard;
                if let Err(error) = health::serve(listener, shared, shelf).await {
                    tracing::error!(%error, "the status page cannot be served");
                }
            });
            tasks.push(serving.abort_handle());
        }
        tasks.push(watch(&vitals, shared.clone()));
        tasks.push(show(&core));

        let no_thread = |error| {
            let remedy = "allow the user of nephrobox more threads";
            told(Exit::Service, &error, "the system's threads", remedy)
        };
        let worker = Worker::start(
            Arc::clone(&core.spool),
            style(&core.config),
            ForWorker(Arc::clone(&core)),
            News::new(Arc::clone(&core), vitals.guard("worker")),
            shared.pulse().clone(),
        )
        .map_err(no_thread)?;
        // Nobody has set it before: the worker was started once.
        let _ = core.bells.worker.set(worker.bell().clone());
        let spawn = |part, work: fn(&Core)| {
            let core = Arc::clone(&core);
            vitals.spawn(part, move || work(&core)).map_err(no_thread)
        };
        let mut threads = vec![
            spawn("upkeep", upkeep::run)?,
            spawn("outbox", delivery::run)?,
        ];
        if core.config.folder.is_some() {
            threads.push(spawn("watched folder", |core| {
                if let Some(folder) = &core.config.folder {
                    inbox::run(core, folder);
                }
            })?);
        }
        if core.gatherer.is_some() {
            threads.push(spawn("series", |core| {
                if let Some(gatherer) = &core.gatherer {
                    gather::run(core, gatherer);
                }
            })?);
        }
        let server = match &core.config.dicom {
            Some(dicom) => Some(network::start(&core, dicom)?),
            None => None,
        };
        let models = spawn("models", models::run)?;
        // The outside comes last: what it asks for is there.
        tasks.extend(lines.serve(&core, &vitals));
        Ok(Self {
            core,
            worker,
            threads,
            models,
            server,
            tasks,
            ended,
            lock,
        })
    }

    /// The box's state.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.core.shared
    }

    /// What all parts share.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Waits until a part has ended without which the box is not whole, and returns its name.
    pub async fn ended(&mut self) -> &'static str {
        match self.ended.recv().await {
            Some(part) => part,
            // Every part has ended and been heard of.
            None => "box",
        }
    }

    /// Stops in order: a scan in work goes back into the queue. Nothing depends on this; a start after a power cut finds the same.
    pub fn stop(self) {
        let bells = &self.core.bells;
        for bell in [
            &bells.upkeep,
            &bells.outbox,
            &bells.inbox,
            &bells.gather,
            &bells.models,
        ] {
            bell.stop();
        }
        for task in &self.tasks {
            task.abort();
        }
        drop(self.server);
        drop(self.worker);
        for thread in self.threads {
            // One that panicked has been heard of.
            let _ = thread.join();
        }
        // A trial cannot be interrupted, and need not be: it begins anew at the next start.
        let until = Instant::now() + PATIENCE;
        while !self.models.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.lock);
    }
}

/// What results are to hold, and what objects among them say of the box.
fn style(config: &Config) -> Style {
    Style {
        fhir: config.results.fhir,
        empty_frames: config.results.empty_frames,
        device: Device {
            serial: config.identity.name.clone(),
            ..Device::default()
        },
    }
}

/// Opens everything that lies on the disk.
fn core(config: Config, logs: Logs, shared: &Shared) -> Result<Core, Failure> {
    let state = config.identity.state.clone();
    let folder = |name: &str| {
        let path = state.join(name);
        Folder::open(&path).map_err(|error| broken(&error, &path))
    };
    let opened = Spool::open(folder(SPOOL)?, spool_settings(&config));
    let (spool, recovery) = opened.map_err(|error| broken(&error, &state.join(SPOOL)))?;
    recovered(&recovery);
    let (mended, unread) = (mended(&recovery.mended), unread(&recovery.unread));
    let listing = spool.listing();
    let listing = listing.map_err(|error| broken(&error, &state.join(SPOOL)))?;

    let opened = Slots::open(folder(SLOTS)?, slots::Settings::from(&config.model));
    let (slots, recovery) = opened.map_err(|error| broken(&error, &state.join(SLOTS)))?;
    let troubles = recovery.sentences();
    for trouble in &troubles {
        tracing::error!("{trouble}");
    }

    let ledger = open_ledger(&state, shared, &spool)?;
    let started = Deed {
        who: Who::Device,
        what: What::Started,
        scan: None,
        hash: None,
    };
    ledger
        .note(&started)
        .map_err(|error| broken(&error, &state.join(AUDIT)))?;

    let restored = results::restore(&spool, &listing);
    shared.change(|state| {
        for result in restored {
            state.push_result(result);
        }
    });
    let gatherer = config.dicom.as_ref().map(|dicom| {
        let path = state.join(DICOM);
        Gatherer::open(&path, gather::settings(&config, dicom))
            .map_err(|error| broken(&error, &path))
    });
    let gatherer = gatherer.transpose()?;
    let age = open_age(&config, &listing)?;
    let spool = Arc::new(spool);
    let mut core = Core::new(config, shared.clone(), logs, spool, slots, ledger);
    (core.gatherer, core.age) = (gatherer, age);
    if !troubles.is_empty() {
        core.raise(FaultCode::SlotsRecovered, troubles.join("; "));
    }
    if let Some(message) = mended {
        core.raise(FaultCode::RecordsMended, message);
    }
    if let Some(message) = unread {
        core.raise(FaultCode::ScansUnread, message);
    }
    upkeep::turn(&core);
    Ok(core)
}

/// Opens the audit log of a queue.
pub(super) fn open_ledger(
    state: &Path,
    shared: &Shared,
    spool: &Spool<Folder>,
) -> Result<Ledger, Failure> {
    let path = state.join(AUDIT);
    let folder = Folder::open(&path).map_err(|error| broken(&error, &path))?;
    let held = held(spool).map_err(|error| broken(&error, &state.join(SPOOL)))?;
    Ledger::open(folder, shared.clone(), &held).map_err(|error| broken(&error, &path))
}

/// Opens the box's own time, if it erases by it.
fn open_age(config: &Config, listing: &[Listed]) -> Result<Option<Age<Folder>>, Failure> {
    let Some(days) = config.privacy.retention_days else {
        return Ok(None);
    };
    let state = &config.identity.state;
    let known = listing.iter().filter_map(|listed| listed.record.age_from_s);
    let newest_s = known.max().unwrap_or(0);
    let opened =
        Folder::open(state).and_then(|folder| Age::open(folder, days, newest_s, Clocks::now()));
    opened.map(Some).map_err(|error| broken(&error, state))
}

/// A part of the state folder that cannot be used.
pub(super) fn broken(error: &dyn std::error::Error, place: &Path) -> Failure {
    told(
        Exit::Output,
        error,
        place.display(),
        "check the disk, and that the user of nephrobox may write there",
    )
}

fn recovered(recovery: &Recovery) {
    tracing::info!(
        waiting = recovery.waiting,
        partial = recovery.partial,
        settled = recovery.settled.len(),
        "the queue is open"
    );
    if recovery.cut_bytes > 0 || !recovery.dropped.is_empty() {
        let (cut_bytes, dropped) = (recovery.cut_bytes, recovery.dropped.len());
        tracing::warn!(
            cut_bytes,
            dropped,
            "what had not been accepted and may not have survived was dropped"
        );
    }
    for (id, why) in &recovery.unread {
        tracing::error!(scan = %id, why, "the disk does not give it back; it stays as it lies until the next start");
    }
    for id in &recovery.mended {
        tracing::error!(scan = %id, "its record was damaged and was made again; no destination gets its results");
    }
}

/// What follows the first of some scans.
fn more<T>(others: &[T]) -> String {
    match others.len() {
        0 => String::new(),
        more => format!(" and {more} more, see the log"),
    }
}

/// What to do about scans that the disk does not give back; `None` if there are none.
fn unread(scans: &[(ScanId, String)]) -> Option<String> {
    let ((first, why), others) = scans.split_first()?;
    let more = more(others);
    Some(format!(
        "the disk does not give back scan {first} ({why}){more}: nothing is done with what lies there until the next start; \
         have the disk looked at and start the box again, or send the scan again"
    ))
}

/// What to do about scans whose records were made again; `None` if there are none.
fn mended(ids: &[ScanId]) -> Option<String> {
    let (first, others) = ids.split_first()?;
    let more = more(others);
    Some(format!(
        "the disk damaged the record of scan {first}{more}: whether it came in silent mode is lost, so that no destination gets its results; \
         fetch them with nephroctl fetch, or send the scan again"
    ))
}

/// Tells systemd how the box is.
fn watch(vitals: &Vitals, shared: Shared) -> AbortHandle {
    let guard = vitals.guard("watchdog");
    tokio::spawn(async move {
        let _guard = guard;
        let mut watchdog = watchdog::Watchdog::new(shared, watchdog::Systemd);
        watchdog.run(watchdog::limit()).await;
    })
    .abort_handle()
}

/// Shows the panel. A box whose screen cannot be drawn goes on and says so; a screen that stood still would show an old result as the newest.
fn show(core: &Arc<Core>) -> AbortHandle {
    let core = Arc::clone(core);
    tokio::spawn(async move {
        loop {
            let (shared, targets) = (core.shared.clone(), core.config.panel.targets.clone());
            // A task in the task, which is aborted with it.
            let mut drawing = JoinSet::new();
            drawing.spawn(panel::run(shared, targets));
            let why = match drawing.join_next().await {
                None | Some(Ok(Ok(()))) => return,
                Some(Ok(Err(error))) => error.to_string(),
                Some(Err(_)) => "a fault in nephrobox, see its log".into(),
            };
            tracing::error!(why, "the panel cannot be drawn and is begun anew");
            let message = format!(
                "the panel cannot be drawn ({why}); it may show what is past: start the box again"
            );
            core.raise(FaultCode::Panel, message);
            tokio::time::sleep(AGAIN).await;
        }
    })
    .abort_handle()
}
