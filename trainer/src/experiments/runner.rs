//! Works off jobs as child processes of the same program.
//!
//! A job is `train`, then `evaluate`, each started in the job's folder. The job's lock is the children's input, so it is held
//! until the last of them is gone, even if this process is killed: nobody starts a second `train` beside an orphan.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::ExperimentError;
use super::job::{Attempts, Done, JobFolder};
use super::plan::{Choose, Job, Plan};
use super::results::{Results, evaluation_folder};
use crate::data::all_cores;

/// Between two looks at a child.
const LOOK: Duration = Duration::from_millis(100);

/// What happens to jobs.
#[derive(Debug)]
pub enum Event<'a> {
    /// Work on it starts or goes on.
    Started {
        /// Which attempt, from 1.
        attempt: usize,
        /// It goes on from a checkpoint.
        resumed: bool,
    },
    /// An epoch is done.
    Epoch(&'a crate::train::EpochRecord),
    /// It is finished.
    Finished {
        /// How long this attempt took.
        seconds: f64,
    },
    /// It failed.
    Failed(&'a str),
    /// Someone else has it.
    Busy,
}

/// How a call of [`Runner::run`] ended, in job numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Finished, now or before.
    pub finished: BTreeSet<usize>,
    /// Failed.
    pub failed: BTreeSet<usize>,
    /// In others' hands.
    pub busy: BTreeSet<usize>,
    /// Not started, since an experiment before them has no result yet.
    pub waiting: BTreeSet<usize>,
}

/// Works off a plan's jobs.
#[derive(Debug)]
pub struct Runner<'a> {
    /// The experiments' folder.
    pub root: &'a Path,
    /// Its plan.
    pub plan: &'a Plan,
    /// `nephrotrain`.
    pub program: PathBuf,
    /// Where the prepared set is, if not where the plan has it.
    pub data: Option<PathBuf>,
    /// Devices; the n-th job at a time takes the n-th of them, round and round.
    pub devices: Vec<String>,
    /// Jobs at a time.
    pub jobs: usize,
    /// Most minutes between two checkpoints.
    pub checkpoint_minutes: f64,
}

/// Jobs already handed out, and how it went.
#[derive(Default)]
struct Board {
    taken: BTreeSet<usize>,
    running: usize,
    summary: Summary,
}

impl Runner<'_> {
    /// Runs the unfinished ones of the jobs `wanted`, all if empty. A failed job does not stop the others.
    pub fn run(
        &self,
        wanted: &BTreeSet<usize>,
        on_event: &(dyn Fn(&Job, &Event<'_>) + Sync),
    ) -> Result<Summary, ExperimentError> {
        let board = Mutex::new(Board::default());
        let error = Mutex::new(None);
        std::thread::scope(|scope| {
            for worker in 0..self.jobs.max(1) {
                let (board, error) = (&board, &error);
                scope.spawn(move || {
                    if let Err(e) = self.work(worker, wanted, board, on_event) {
                        *lock(error) = Some(e);
                    }
                });
            }
        });
        match lock(&error).take() {
            Some(e) => Err(e),
            None => Ok(std::mem::take(&mut lock(&board).summary)),
        }
    }

    /// One worker's life.
    fn work(
        &self,
        worker: usize,
        wanted: &BTreeSet<usize>,
        board: &Mutex<Board>,
        on_event: &(dyn Fn(&Job, &Event<'_>) + Sync),
    ) -> Result<(), ExperimentError> {
        let device = self
            .devices
            .get(worker % self.devices.len().max(1))
            .map_or("auto", String::as_str);
        loop {
            let job = match self.next(wanted, &mut lock(board)) {
                Next::Job(job) => *job,
                Next::Wait => {
                    std::thread::sleep(LOOK);
                    continue;
                }
                Next::Nothing => return Ok(()),
            };
            let outcome = self.one(&job, device, on_event);
            let mut board = lock(board);
            board.running -= 1;
            let summary = &mut board.summary;
            match outcome? {
                Ended::Finished => summary.finished.insert(job.number),
                Ended::Failed => summary.failed.insert(job.number),
                Ended::Busy => summary.busy.insert(job.number),
            };
        }
    }

    /// The next job whose settings are known and that nobody had in this call.
    fn next(&self, wanted: &BTreeSet<usize>, board: &mut Board) -> Next {
        let results = Results::read(self.root, self.plan);
        let choice = |e| results.choice(e);
        let is_wanted = |n: usize| wanted.is_empty() || wanted.contains(&n);
        let mut waiting = BTreeSet::new();
        for job in self.plan.own_jobs(&choice) {
            if board.taken.contains(&job.number) || !is_wanted(job.number) {
                continue;
            }
            if self
                .plan
                .at(job.experiment, &choice, job.value, job.repeat)
                .is_none()
            {
                waiting.insert(job.number);
                continue;
            }
            board.taken.insert(job.number);
            if JobFolder::new(self.root, &job).done().is_some() {
                board.summary.finished.insert(job.number);
                continue;
            }
            board.running += 1;
            return Next::Job(Box::new(job));
        }
        board.summary.waiting.clone_from(&waiting);
        // Only this call's own work can still bring the results that are waited for.
        if !waiting.is_empty() && board.running > 0 && self.plan.choose == Choose::Results {
            Next::Wait
        } else {
            Next::Nothing
        }
    }

    /// One job from where it stands to its end.
    fn one(
        &self,
        job: &Job,
        device: &str,
        on_event: &(dyn Fn(&Job, &Event<'_>) + Sync),
    ) -> Result<Ended, ExperimentError> {
        let folder = JobFolder::new(self.root, job);
        let results = Results::read(self.root, self.plan);
        if let Some(settings) = self.plan.at(
            job.experiment,
            &|e| results.choice(e),
            job.value,
            job.repeat,
        ) {
            folder.prepare(settings)?;
        }
        let Some(lock) = folder.lock()? else {
            on_event(job, &Event::Busy);
            return Ok(Ended::Busy);
        };
        // Another may have finished it between the look and the lock.
        if folder.done().is_some() {
            return Ok(Ended::Finished);
        }
        let (run, begun) = (folder.run(), Instant::now());
        // A run killed before its first checkpoint has nothing to go on from.
        let resumed = run.join("config.toml").is_file() && run.join("last.safetensors").is_file();
        if !resumed && run.exists() {
            fs::remove_dir_all(&run)
                .map_err(|e| ExperimentError::file(&run, format!("cannot be removed: {e}")))?;
        }
        let attempts = Attempts {
            count: folder.attempts().count + 1,
            started: now(),
            error: None,
        };
        folder.set_attempts(&attempts)?;
        on_event(
            job,
            &Event::Started {
                attempt: attempts.count,
                resumed,
            },
        );
        let outcome = self
            .train(&folder, resumed, device, &lock, &mut |record| {
                on_event(job, &Event::Epoch(record));
            })
            .and_then(|()| self.evaluate(&folder, job, device, &lock));
        match outcome {
            Ok(()) => {
                let seconds = begun.elapsed().as_secs_f64();
                let done = Done {
                    attempts: attempts.count,
                    finished: now(),
                    seconds,
                    device: device.to_owned(),
                };
                folder.set_done(&done)?;
                on_event(job, &Event::Finished { seconds });
                Ok(Ended::Finished)
            }
            Err(error) => {
                on_event(job, &Event::Failed(&error));
                folder.set_attempts(&Attempts {
                    error: Some(error),
                    ..attempts
                })?;
                Ok(Ended::Failed)
            }
        }
    }

    fn train(
        &self,
        folder: &JobFolder,
        resumed: bool,
        device: &str,
        lock: &File,
        on_epoch: &mut dyn FnMut(&crate::train::EpochRecord),
    ) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.args([
            "train",
            "--out",
            "run",
            "--device",
            device,
            "--checkpoint-minutes",
        ]);
        command.arg(self.checkpoint_minutes.to_string());
        if resumed {
            command.arg("--resume");
        } else {
            command.args(["--config", "config.toml"]);
        }
        // The run folder has the data's place on the machine where it began.
        if resumed || self.data.is_some() {
            command.arg("--data").arg(self.place_of_data());
        }
        let mut seen = 0;
        self.child(command, folder, lock, &mut || {
            if let Some(record) = folder.last_epoch().filter(|r| r.epoch != seen) {
                seen = record.epoch;
                on_epoch(&record);
            }
        })
    }

    fn evaluate(
        &self,
        folder: &JobFolder,
        job: &Job,
        device: &str,
        lock: &File,
    ) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        let split = job.experiment.split().to_string();
        command.args([
            "evaluate",
            "--run",
            "run",
            "--checkpoint",
            "last",
            "--split",
            &split,
            "--device",
            device,
        ]);
        command.arg("--data").arg(self.place_of_data());
        self.child(command, folder, lock, &mut || {})?;
        let metrics = evaluation_folder(folder, job).join("metrics.json");
        metrics
            .is_file()
            .then_some(())
            .ok_or_else(|| format!("evaluate wrote no {}", metrics.display()))
    }

    fn place_of_data(&self) -> PathBuf {
        let planned = || {
            self.root
                .join(self.plan.shared.data.as_deref().unwrap_or(Path::new(".")))
        };
        let place = self.data.clone().unwrap_or_else(planned);
        std::path::absolute(&place).unwrap_or(place)
    }

    /// Runs a child in the job's folder to its end. What it says goes to the log.
    fn child(
        &self,
        mut command: Command,
        folder: &JobFolder,
        lock: &File,
        look: &mut dyn FnMut(),
    ) -> Result<(), String> {
        let what = format!(
            "`nephrotrain {}`",
            command.get_args().next().unwrap_or_default().display()
        );
        let open = || File::options().create(true).append(true).open(folder.log());
        let log =
            open().map_err(|e| format!("{} cannot be written: {e}", folder.log().display()))?;
        let start = fs::metadata(folder.log()).map_or(0, |m| m.len());
        let copy = |file: &File| {
            file.try_clone()
                .map(Stdio::from)
                .map_err(|e| format!("{what} cannot be started: {e}"))
        };
        command
            .current_dir(folder.path())
            .stdin(copy(lock)?)
            .stdout(copy(&log)?)
            .stderr(copy(&log)?);
        // Several at a time share the cores. The result does not depend on the number of threads.
        if self.jobs > 1 && std::env::var_os("RAYON_NUM_THREADS").is_none() {
            let threads = (all_cores() / self.jobs).max(1);
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        let mut child = command
            .spawn()
            .map_err(|e| format!("{what} cannot be started: {e}"))?;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {
                    look();
                    std::thread::sleep(LOOK);
                }
                Err(e) => return Err(format!("{what} cannot be watched: {e}")),
            }
        };
        look();
        if status.success() {
            return Ok(());
        }
        let said = fs::read(folder.log()).unwrap_or_default();
        let said =
            String::from_utf8_lossy(said.get(start as usize..).unwrap_or_default()).into_owned();
        let from = said
            .rfind("error:")
            .unwrap_or_else(|| said.trim_end().rfind('\n').map_or(0, |n| n + 1));
        let tail: String = said[from..].trim().chars().take(600).collect();
        Err(format!("{what} ended with {status}: {tail}"))
    }
}

enum Next {
    Job(Box<Job>),
    Wait,
    Nothing,
}

enum Ended {
    Finished,
    Failed,
    Busy,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}
