//! The worker: a loop over the queue in a thread of its own.
//!
//! It can be killed at any instruction: that an attempt began is on the disk before it begins, and results appear whole.
//! What a scan does to it decides how the scan goes on:
//!
//! | what happens | the scan |
//! | --- | --- |
//! | a report | finished |
//! | the scan cannot be read | refused, with an error report |
//! | a panic, a contradiction within the program, or a model that makes no numbers of it | the attempt counts; after two it is set aside |
//! | the process is killed | as above, seen at the next start |
//! | device or disk fail | the attempt does not count; the worker waits and tries again |
//! | somebody asks the worker to stop | the attempt does not count |

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nephrobox_engine::executor::Running;
use nephrobox_engine::scan::Visit;
use nephrobox_objects::Device;
use nephrobox_shared::package::Manifest;
use nephrobox_shared::report::{Report, Warning};

use crate::bell::Bell;
use crate::failure::{Exit, Failure, sentence};
use crate::history;
use crate::job::{self, Options, Package};
use crate::output::Destination;
use crate::panics::caught;
use crate::progress::Progress;
use crate::pulse::Pulse;
use crate::scan;
use crate::spool::{ScanId, Spool, SpoolError, State, Work};
use crate::storage::Storage;

/// How long an idle worker sleeps before it looks again, and the first wait after trouble.
const IDLE: Duration = Duration::from_secs(1);
/// The longest wait after trouble.
const LONGEST: Duration = Duration::from_mins(1);

/// A model that runs.
pub struct Model {
    /// What its package says about itself.
    pub manifest: Manifest,
    /// The package's identity.
    pub hash: [u8; 32],
    /// The network.
    pub running: Running,
}

/// The model that is to be used now, or `None` if there is none. It is asked anew for every scan, so that the caller can
/// exchange models between scans.
pub trait Models: Send {
    /// The model of this moment.
    fn current(&mut self) -> Option<Arc<Mutex<Model>>>;

    /// What the next report has to say about how this model came to be used.
    fn notes(&mut self) -> Vec<Warning> {
        Vec::new()
    }
}

impl<F: FnMut() -> Option<Arc<Mutex<Model>>> + Send> Models for F {
    fn current(&mut self) -> Option<Arc<Mutex<Model>>> {
        self()
    }
}

/// What results hold beyond the usual.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// Whether the report is written for programs that speak FHIR, too.
    pub fhir: bool,
    /// Whether the DICOM segmentation keeps a frame for every slice.
    pub empty_frames: bool,
    /// What DICOM objects say of the box.
    pub device: Device,
}

/// What an observer hears, in the worker's thread.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Work begins.
    Began {
        /// The scan.
        id: ScanId,
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// Work goes on.
    Slices {
        /// The scan.
        id: ScanId,
        /// Slices done.
        done: usize,
        /// Slices of the scan.
        slices: usize,
    },
    /// A report is on the disk.
    Finished {
        /// The scan.
        id: ScanId,
        /// The report.
        report: &'a Report,
    },
    /// The scan is unusable; an error report is on the disk.
    Refused {
        /// The scan.
        id: ScanId,
        /// Why.
        reason: &'a str,
    },
    /// An attempt ended badly.
    Died {
        /// The scan.
        id: ScanId,
        /// How.
        reason: &'a str,
        /// Whether the scan was set aside.
        set_aside: bool,
    },
    /// Something that no scan can be blamed for; the worker tries again after a while.
    Trouble {
        /// What.
        what: &'a str,
    },
}

/// Hears what the worker does.
pub trait Observer: Send {
    /// Takes a piece of news; should return soon.
    fn hear(&mut self, event: Event<'_>);
}

impl<F: FnMut(Event<'_>) + Send> Observer for F {
    fn hear(&mut self, event: Event<'_>) {
        self(event);
    }
}

/// The worker's thread. Dropped, it is asked to stop and waited for.
pub struct Worker {
    bell: Bell,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread, which gives signs of life to `pulse`.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start<S: Storage + 'static>(
        spool: Arc<Spool<S>>,
        style: Style,
        models: impl Models + 'static,
        observer: impl Observer + 'static,
        pulse: Pulse,
    ) -> std::io::Result<Self> {
        let bell = Bell::default();
        let mut turns = Turns {
            spool,
            style,
            models,
            observer,
            pulse,
            bell: bell.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("worker".into())
            .spawn(move || turns.run())?;
        Ok(Self {
            bell,
            thread: Some(thread),
        })
    }

    /// The bell that tells an idle worker that there may be work.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Asks the worker to stop after the batch it is at; the scan goes back into the queue unharmed.
    pub fn stop(&self) {
        self.bell.stop();
    }

    /// Whether the thread has ended.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A panic outside a job has been logged, and there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// How a turn of the loop ended.
enum Turn {
    /// There may be more to do.
    Again,
    /// There is nothing to do.
    Idle,
    /// Wait; the watchdog may take notice or not.
    Trouble { alive: bool },
}

struct Turns<S, M, O> {
    spool: Arc<Spool<S>>,
    style: Style,
    models: M,
    observer: O,
    pulse: Pulse,
    bell: Bell,
}

impl<S: Storage, M: Models, O: Observer> Turns<S, M, O> {
    fn run(&mut self) {
        let mut wait = IDLE;
        while !self.bell.stops() {
            match self.turn() {
                Turn::Again => {
                    wait = IDLE;
                    self.pulse.beat();
                }
                Turn::Idle => {
                    wait = IDLE;
                    self.pulse.beat();
                    self.bell.sleep(IDLE);
                }
                Turn::Trouble { alive } => {
                    if alive {
                        self.pulse.beat();
                    }
                    self.bell.sleep(wait);
                    wait = (wait * 2).min(LONGEST);
                }
            }
        }
    }

    fn turn(&mut self) -> Turn {
        // Without a model no attempt is begun.
        let Some(model) = self.models.current() else {
            return Turn::Idle;
        };
        match self.spool.next() {
            Ok(None) => Turn::Idle,
            Ok(Some(work)) => self.work(&work, &model),
            Err(error) => self.trouble(&sentence(&error), true),
        }
    }

    fn trouble(&mut self, what: &str, alive: bool) -> Turn {
        self.observer.hear(Event::Trouble { what });
        Turn::Trouble { alive }
    }

    fn work(&mut self, work: &Work, model: &Mutex<Model>) -> Turn {
        let &Work { id, attempt, .. } = work;
        self.observer.hear(Event::Began { id, attempt });
        let notes = self.models.notes();
        let tried = {
            let mut model = model.lock().unwrap_or_else(PoisonError::into_inner);
            let mut progress = Heard {
                id,
                observer: &mut self.observer,
                pulse: &self.pulse,
                bell: &self.bell,
            };
            let spool = &self.spool;
            let earlier = |report: &Report| history::last(spool, id, report);
            let options = Options {
                visit: if work.fast { Visit::Fast } else { Visit::Every },
                fhir: self.style.fhir,
                empty_frames: self.style.empty_frames,
                device: Some(&self.style.device),
                earlier: Some(&earlier),
            };
            caught(|| segment(work, &mut model, &notes, options, &mut progress))
        };
        model.clear_poison();
        self.pulse.beat();
        let told = match tried {
            Ok(Ok(report)) => self.hand_over(id, &report),
            Ok(Err(_)) if self.bell.stops() => self.spool.give_back(id).map(|()| Turn::Again),
            Ok(Err(failure)) => self.blame(id, &failure),
            Err(fault) => self.died(id, &fault),
        };
        told.unwrap_or_else(|error| self.stuck(id, &error))
    }

    fn hand_over(&mut self, id: ScanId, report: &Report) -> Result<Turn, SpoolError> {
        match self.spool.finished(id)?.reason() {
            None => self.observer.hear(Event::Finished { id, report }),
            Some(reason) => self.observer.hear(Event::Refused { id, reason }),
        }
        Ok(Turn::Again)
    }

    fn blame(&mut self, id: ScanId, failure: &Failure) -> Result<Turn, SpoolError> {
        let reason = failure.told.short();
        match failure.exit {
            Exit::Input => {
                self.spool.failed(id, &reason)?;
                let reason = &reason;
                self.observer.hear(Event::Refused { id, reason });
                Ok(Turn::Again)
            }
            Exit::Device | Exit::Output => {
                self.spool.give_back(id)?;
                Ok(self.trouble(&reason, failure.exit != Exit::Device))
            }
            // The model proved itself before it came into use, so that this scan may be all that it fails at.
            Exit::Model | Exit::Internal | Exit::Usage | Exit::Service => self.died(id, &reason),
        }
    }

    fn died(&mut self, id: ScanId, reason: &str) -> Result<Turn, SpoolError> {
        let set_aside = self.spool.died(id, reason)?;
        self.observer.hear(Event::Died {
            id,
            reason,
            set_aside,
        });
        Ok(Turn::Again)
    }

    /// The queue's disk refused at the end of a job. What was reached is on the disk; if the scan has not ended by that, it
    /// is worked on again, and the attempt does not count as soon as the disk lets that be written.
    fn stuck(&mut self, id: ScanId, error: &SpoolError) -> Turn {
        let turn = self.trouble(&sentence(error), true);
        let mut wait = IDLE;
        while !self.bell.stops() {
            let back = match self.spool.state(id) {
                Ok(Some(State::Working { .. })) => self.spool.give_back(id),
                other => other.map(|_| ()),
            };
            if back.is_ok() {
                break;
            }
            self.pulse.beat();
            self.bell.sleep(wait);
            wait = (wait * 2).min(LONGEST);
        }
        turn
    }
}

/// The whole job on one scan.
fn segment(
    work: &Work,
    model: &mut Model,
    notes: &[Warning],
    options: Options<'_>,
    progress: &mut dyn Progress,
) -> Result<Report, Failure> {
    let reader = scan::open(&work.scan)?;
    let destination = Destination::on_box(&work.results)?;
    let package = Package {
        manifest: &model.manifest,
        hash: &model.hash,
        engine: &model.running.engine,
        notes,
    };
    let models = &mut model.running.models;
    job::run(reader, models, package, options, &destination, progress)
}

/// Passes progress on, and beats.
struct Heard<'a, O> {
    id: ScanId,
    observer: &'a mut O,
    pulse: &'a Pulse,
    bell: &'a Bell,
}

impl<O: Observer> Progress for Heard<'_, O> {
    fn slices(&mut self, done: usize, slices: usize) {
        self.pulse.beat();
        let id = self.id;
        self.observer.hear(Event::Slices { id, done, slices });
    }

    fn stage(&mut self, _words: &str) {
        self.pulse.beat();
    }

    fn stop(&self) -> bool {
        self.bell.stops()
    }

    fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }
}
