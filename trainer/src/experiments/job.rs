//! A job's folder: what it is, who has it, how often it was tried, and how it ended.
//!
//! | file | what |
//! | --- | --- |
//! | `config.toml` | the settings, for `nephrotrain train --config`; paths relative to this folder |
//! | `lock` | held by whoever works here, child processes included, for as long as they live |
//! | `attempts.toml` | how often it was started, and the last error |
//! | `log.txt` | what the child processes said |
//! | `run/` | the run folder of `nephrotrain train`, with `evaluation-SPLIT/` |
//! | `done.toml` | written last: the job is finished |

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::Job;
use super::{ExperimentError, write};
use crate::train::{EpochRecord, Settings};

/// How often a job was tried, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attempts {
    /// Starts so far.
    pub count: usize,
    /// Unix time of the last start, seconds.
    pub started: u64,
    /// What the last failure said; absent after a kill or while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A finished job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Starts it took.
    pub attempts: usize,
    /// Unix time of the end, seconds.
    pub finished: u64,
    /// How long the last attempt took, seconds.
    pub seconds: f64,
    /// Where it ran: the device as it was asked for.
    pub device: String,
}

/// The folder of a job.
#[derive(Clone, Debug)]
pub struct JobFolder {
    path: PathBuf,
}

impl JobFolder {
    /// The folder of `job` in the experiments' folder `root`.
    pub fn new(root: &Path, job: &Job) -> Self {
        Self {
            path: root.join("jobs").join(&job.name),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run folder within.
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    /// The log of the child processes.
    pub fn log(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// Makes the folder with its settings, whose paths are seen from the experiments' folder, unless it is there.
    pub fn prepare(&self, settings: Settings) -> Result<(), ExperimentError> {
        let path = self.path.join("config.toml");
        if path.exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.path)
            .map_err(|e| ExperimentError::file(&self.path, format!("cannot be made: {e}")))?;
        let inward = |file: PathBuf| {
            if file.is_absolute() {
                file
            } else {
                Path::new("../..").join(file)
            }
        };
        let settings = Settings {
            data: settings.data.map(inward),
            weights: settings.weights.map(inward),
            ..settings
        };
        write(&path, &settings.to_toml())
    }

    /// Takes the job. `None` if someone has it, here or on another machine that shares the folder.
    pub fn lock(&self) -> Result<Option<File>, ExperimentError> {
        let path = self.path.join("lock");
        let fail =
            |e: std::io::Error| ExperimentError::file(&path, format!("cannot be locked: {e}"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(fail(e)),
        }
    }

    /// How it ended, if it did.
    pub fn done(&self) -> Option<Done> {
        read(&self.path.join("done.toml"))
    }

    /// How often it was tried.
    pub fn attempts(&self) -> Attempts {
        read(&self.path.join("attempts.toml")).unwrap_or_default()
    }

    /// Keeps how often it was tried.
    pub fn set_attempts(&self, attempts: &Attempts) -> Result<(), ExperimentError> {
        put(&self.path.join("attempts.toml"), attempts)
    }

    /// Marks the job as finished.
    pub fn set_done(&self, done: &Done) -> Result<(), ExperimentError> {
        put(&self.path.join("done.toml"), done)
    }

    /// The last line of the run's `metrics.jsonl`; none before its first epoch has ended.
    pub fn last_epoch(&self) -> Option<EpochRecord> {
        EpochRecord::of(&self.run()).ok()?.pop()
    }
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    toml::from_str(&fs::read_to_string(path).ok()?).ok()
}

fn put<T: Serialize>(path: &Path, value: &T) -> Result<(), ExperimentError> {
    let text = toml::to_string(value).map_err(|e| ExperimentError::file(path, e))?;
    write(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cannot_hold_a_job_and_a_child_keeps_its_parents_lock() {
        let root = tempfile::tempdir().unwrap();
        let folder = JobFolder {
            path: root.path().to_owned(),
        };
        let lock = folder.lock().unwrap().unwrap();
        assert!(folder.lock().unwrap().is_none());
        // As the runner does: the child has the lock as its input, so it outlives a killed parent's.
        #[cfg(unix)]
        {
            let mut child = std::process::Command::new("sleep")
                .arg("30")
                .stdin(lock.try_clone().unwrap())
                .spawn()
                .unwrap();
            drop(lock);
            assert!(folder.lock().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
        }
        #[cfg(not(unix))]
        drop(lock);
        assert!(folder.lock().unwrap().is_some());
    }
}
