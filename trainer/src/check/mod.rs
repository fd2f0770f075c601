//! What would stop a long run, found before it starts.
//!
//! Each look is one or several [`Finding`]s: all is well, something to know, or something that would fail, with one
//! remedy. Looking changes nothing on the disk, but for a file that is made and taken away again where the run folder
//! would be.

mod data;
mod program;
mod room;

use std::path::PathBuf;

use crate::data::Prepared;
use crate::network::Freeze;
use crate::train::{Run, Settings, TrainConfig};

/// How a look went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing stands in the way.
    Ok,
    /// A run would go through, but perhaps not as wished.
    Warn,
    /// A run would fail.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it went.
    pub state: State,
    /// What was looked at, in a word or two.
    pub subject: &'static str,
    /// What was found.
    pub what: String,
    /// What to do about it; nothing where all is well.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, what: impl Into<String>) -> Self {
        Self {
            state: State::Ok,
            subject,
            what: what.into(),
            remedy: None,
        }
    }

    fn warn(subject: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Warn,
            remedy: Some(remedy.into()),
            ..Self::ok(subject, what)
        }
    }

    fn fail(subject: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Fail,
            remedy: Some(remedy.into()),
            ..Self::ok(subject, what)
        }
    }
}

/// A run that is planned.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its settings, as far as they are given; without `data` only the machine is looked at.
    pub settings: Settings,
    /// Its folder: new, or an interrupted run's.
    pub out: Option<PathBuf>,
    /// Name of its device.
    pub device: String,
}

/// Looks at everything that the request names. Never fails itself.
pub fn inspect(request: &Request) -> Vec<Finding> {
    let (mut found, devices) = program::inspect(&request.device);
    let resumed = request
        .out
        .as_deref()
        .filter(|out| out.join("config.toml").is_file());
    let config = if let Some(folder) = resumed {
        let run = Run::open(folder, request.settings.data.as_deref());
        match run {
            Ok(run) => {
                found.extend(program::same_as(folder, &devices));
                let state = run
                    .is_finished()
                    .and_then(|finished| Ok((finished, run.records()?.len())));
                found.push(match state {
                    Ok((finished, epochs)) => Finding::ok(
                        "run folder",
                        format!(
                            "{} holds a run with {} of {} epochs done; {}",
                            folder.display(),
                            epochs,
                            run.config().epochs,
                            if finished {
                                "it is finished"
                            } else {
                                "go on with --resume"
                            }
                        ),
                    ),
                    Err(e) => Finding::fail(
                        "run folder",
                        e.to_string(),
                        "put back a copy of it, or choose another folder with --out",
                    ),
                });
                found.extend(data::inspect(run.data()));
                Some((run.config().clone(), Some(run.data().side())))
            }
            Err(e) => {
                found.push(Finding::fail(
                    "run folder",
                    e.to_string(),
                    "mend that, or choose another folder with --out",
                ));
                None
            }
        }
    } else {
        found.extend(request.out.as_deref().and_then(room::folder));
        planned(request, &mut found)
    };
    let Some((config, side)) = config else {
        return found;
    };
    if resumed.is_none() {
        found.extend(data::weights(&config));
    }
    let graph = config.network().graph();
    match Freeze::before(&graph, &config.retrain_from, config.frozen_batch_norm) {
        Err(e) => found.push(Finding::fail(
            "settings",
            format!("--retrain-from: {e}"),
            "choose all, stage1, stage2, stage3, stage4 or a layer's name",
        )),
        Ok(freeze) => {
            if let Some(out) = &request.out {
                found.push(room::disk(out, &graph, &freeze, config.ema > 0.0));
            }
        }
    }
    found.extend(side.and_then(|side| room::memory(&config, side, &devices)));
    found.extend(program::patience(&config, &devices));
    found
}

/// The settings and the data of a run that does not exist yet; the side of its images, if they can be opened.
fn planned(request: &Request, found: &mut Vec<Finding>) -> Option<(TrainConfig, Option<usize>)> {
    let named = request.settings.data.is_some();
    let mut settings = request.settings.clone();
    settings.data.get_or_insert_with(|| ".".into());
    let config = match settings.resolve() {
        Ok(config) => config,
        Err(e) => {
            let remedy = "correct this flag, or this key of the settings file";
            found.push(Finding::fail("settings", e.to_string(), remedy));
            return None;
        }
    };
    if !named {
        found.push(Finding::warn(
            "data",
            "no prepared set is named, so only the machine was looked at",
            "name it with --data, or with `data` in the settings file",
        ));
        return Some((config, None));
    }
    let data = match Prepared::open(&config.data) {
        Ok(data) => data,
        Err(e) => {
            let what = format!("{}: {}", e.place().display(), e.what());
            found.push(Finding::fail("data", what, e.remedy()));
            return Some((config, None));
        }
    };
    found.extend(data::inspect(&data));
    let fault = config.check_on(&data).map_err(|e| e.to_string());
    match fault.and_then(|()| config.loss(&data).map(|_| ())) {
        Ok(()) => found.push(Finding::ok(
            "settings",
            format!(
                "{} U-Net, loss {}, batch {}, {} epochs",
                config.encoder, config.loss, config.batch, config.epochs
            ),
        )),
        Err(e) => found.push(Finding::fail(
            "settings",
            e,
            "correct this flag, or this key of the settings file",
        )),
    }
    let side = data.side();
    Some((config, Some(side)))
}

#[cfg(test)]
mod tests;
