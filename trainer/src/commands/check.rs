//! `nephrotrain check`: what would stop a run, before it starts.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use nephrobox_shared::words;

use super::{next, train};
use crate::check::{Finding, Request, State, inspect};
use crate::train::{Preset, Run, Settings};

/// See whether a training run would go through: data, settings, device, disk space, memory, versions
#[derive(Debug, Args)]
#[command(
    after_help = "Takes the flags of `nephrotrain train`, and trains nothing. Exit code 1 if anything would fail.\n\n\
    Examples:\n  \
    nephrotrain check --data PREPARED --out runs/first\n  \
    nephrotrain check --config mine.toml --preset best --out runs/second --device cuda\n  \
    nephrotrain check --out runs/first"
)]
pub struct CheckArgs {
    /// Run folder: a new one, or an interrupted run's
    #[arg(long)]
    out: Option<PathBuf>,
    /// Settings file
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// What applies where neither flags nor file say anything
    #[arg(long, value_enum, default_value_t)]
    preset: Preset,
    /// Device or devices, as for `train`
    #[arg(long, default_value = "auto")]
    device: String,
    #[command(flatten, next_help_heading = "Settings of the run")]
    #[allow(
        missing_docs,
        reason = "clap would take a comment here for the text of the whole command"
    )]
    settings: Settings,
}

impl CheckArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        let file = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        let settings = self.settings.clone().over(file);
        let request = Request {
            settings: settings.over(self.preset.settings()),
            out: self.out.clone(),
            device: self.device.clone(),
        };
        let found = inspect(&request);
        print!("{}", table(&found));
        let count = |state| found.iter().filter(|f| f.state == state).count();
        match (count(State::Fail), count(State::Warn)) {
            (0, warnings) => {
                println!("\nnothing would fail; {warnings} to know");
                let resumes = self
                    .out
                    .as_ref()
                    .filter(|out| out.join("config.toml").is_file());
                let data = &request.settings.data;
                match (resumes, data, &self.out) {
                    (Some(folder), ..) => match Run::open(folder, data.as_deref()) {
                        Ok(run) if run.is_finished().unwrap_or(false) => train::after(&run).say(),
                        _ => next::resume(folder).say(),
                    },
                    (None, Some(_), _) => self.train().say(),
                    (None, None, _) => {}
                }
                Ok(())
            }
            (failed, _) => bail!(
                "{failed} of {} looks say that the run would fail",
                found.len()
            ),
        }
    }

    /// The command line that was checked, as one that trains.
    fn train(&self) -> next::Next {
        next::train_as_checked(std::env::args().skip(1), self.out.is_some())
    }
}

/// One line a finding, its remedy below it.
fn table(found: &[Finding]) -> String {
    let mut text = String::new();
    for finding in found {
        let state = match finding.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "FAIL",
        };
        let _ = writeln!(
            text,
            "{state:<6}{:<12}{}",
            finding.subject,
            words::line(&finding.what)
        );
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:<18}-> {}", "", words::line(remedy));
        }
    }
    text
}
