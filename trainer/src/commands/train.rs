//! `nephrotrain train`: trains a network on a prepared set.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nephrobox_engine::device;
use nephrobox_shared::class::Class;

use crate::train::{Event, Options, Preset, Run, Settings, SettingsError, TrainConfig, TrainError};

/// Train a network; what is not given is as in the paper
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    nephrotrain train --data PREPARED --out runs/first\n  \
    nephrotrain train --config mine.toml --preset best --epochs 20 --out runs/second\n  \
    nephrotrain train --out runs/first --resume\n\n\
    A settings file is TOML; its keys are the flags of a run's settings without the dashes in front, such as\n\
    `encoder = \"resnet18\"` or `augment-share = 0.5`. A flag goes over the file, the file over the preset.\n\n\
    The run folder holds config.toml (all settings, itself such a file), versions.json, fingerprint.json,\n\
    metrics.jsonl, curves.png, last.safetensors and best.safetensors (best mean of kidney and tumour Dice on\n\
    validation).")]
pub struct TrainArgs {
    /// Run folder: new or empty, or an interrupted run with --resume
    #[arg(long)]
    out: PathBuf,
    /// Go on with the run in --out, with the settings it was started with
    #[arg(long, conflicts_with_all = ["config", "preset"])]
    resume: bool,
    /// Settings file
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// What applies where neither flags nor file say anything
    #[arg(long, value_enum, default_value_t)]
    preset: Preset,
    /// auto, cpu, cuda or vulkan
    #[arg(long, default_value = "auto")]
    device: String,
    /// Longest time between two checkpoints, in minutes
    #[arg(long, default_value_t = 5.0)]
    checkpoint_minutes: f64,
    #[command(flatten, next_help_heading = "Settings of the run")]
    #[allow(
        missing_docs,
        reason = "clap would take a comment here for the text of the whole command"
    )]
    settings: Settings,
}

impl TrainArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        let minutes = self.checkpoint_minutes;
        anyhow::ensure!(
            minutes.is_finite() && minutes > 0.0,
            "--checkpoint-minutes must be a positive number"
        );
        let device = device::select(&self.device)?;
        let run = if self.resume {
            self.resumed()?
        } else {
            self.started(device::name(&device))?
        };
        let options = Options {
            checkpoint_every: Duration::from_secs_f64(minutes * 60.0),
        };
        let mut console = Console::new(run.config(), device::name(&device));
        run.train(&device, options, |event| {
            console.show(&event);
            ControlFlow::Continue(())
        })?;
        println!("{}", run.folder().display());
        Ok(())
    }

    /// A new run from flags over file over preset.
    fn started(&self, device: &str) -> Result<Run> {
        let file = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        let (by_flag, by_file) = (self.settings.keys(), file.keys());
        let settings = self.settings.clone().over(file);
        let run = settings
            .over(self.preset.settings())
            .resolve()
            .map_err(TrainError::from)
            .and_then(|config| Run::create(&self.out, config, device));
        run.map_err(|error| match (&error, &self.config) {
            (TrainError::Settings(SettingsError::Fault(fault)), Some(path))
                if by_file.iter().any(|k| k == fault.key)
                    && by_flag.iter().all(|k| k != fault.key) =>
            {
                let (path, key, rule) = (path.display(), fault.key, &fault.rule);
                anyhow::anyhow!("the settings file {path} cannot be used: `{key}` {rule}")
            }
            _ => error.into(),
        })
    }

    /// A run to go on with; only where its data lie may be given anew.
    fn resumed(&self) -> Result<Run> {
        let mut given = self.settings.keys();
        given.retain(|key| key != "data");
        anyhow::ensure!(
            given.is_empty(),
            "--{} cannot be given with --resume: a run keeps the settings it was started with, see {}",
            given.join(", --"),
            self.out.join("config.toml").display()
        );
        Ok(Run::open(&self.out, self.settings.data.as_deref())?)
    }
}

/// Shows a run on the error stream: a bar on a terminal, plain lines elsewhere.
struct Console {
    bar: Option<ProgressBar>,
    epochs: usize,
    device: &'static str,
    header: String,
    /// Start, and images seen since.
    since: (Instant, usize),
    said: Instant,
    done_before: usize,
}

/// Between two plain lines.
const QUIET: Duration = Duration::from_secs(20);

impl Console {
    fn new(config: &TrainConfig, device: &'static str) -> Self {
        let header = format!(
            "{} U-Net, {} channel(s), loss {}, batch {}",
            config.encoder, config.channels, config.loss, config.batch
        );
        let now = Instant::now();
        Self {
            bar: None,
            epochs: config.epochs,
            device,
            header,
            since: (now, 0),
            said: now,
            done_before: 0,
        }
    }

    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Started {
                position,
                steps,
                trainable,
            } => {
                eprintln!(
                    "{}: {trainable} values train on {}; {steps} steps an epoch",
                    self.header, self.device
                );
                if position.epoch > 0 || position.step > 0 {
                    eprintln!(
                        "going on in epoch {} after step {}",
                        position.epoch + 1,
                        position.step
                    );
                }
                self.done_before = position.epoch * steps + position.step;
                if std::io::stderr().is_terminal() {
                    let template = "{msg} [{bar:24}] {pos}/{len} steps, {eta} left";
                    let style = ProgressStyle::with_template(template)
                        .unwrap_or_else(|_| ProgressStyle::default_bar());
                    let bar = ProgressBar::new((self.epochs * steps) as u64)
                        .with_style(style.progress_chars("=> "));
                    bar.set_position(self.done_before as u64);
                    bar.reset_eta();
                    self.bar = Some(bar);
                }
                self.since = (Instant::now(), 0);
            }
            Event::Step {
                epoch,
                step,
                steps,
                loss,
                images,
            } => {
                self.since.1 += images;
                let seconds = self.since.0.elapsed().as_secs_f64();
                let speed = self.since.1 as f64 / seconds.max(1e-9);
                let text = format!(
                    "epoch {}/{} loss {loss:.4} {speed:.2} slices/s",
                    epoch + 1,
                    self.epochs
                );
                let done = epoch * steps + step;
                if let Some(bar) = &self.bar {
                    bar.set_message(text);
                    bar.set_position(done as u64);
                } else if self.said.elapsed() >= QUIET {
                    self.said = Instant::now();
                    let left = seconds / (done - self.done_before).max(1) as f64
                        * (self.epochs * steps - done) as f64;
                    eprintln!(
                        "{text}, step {step}/{steps}, about {:.0} min left",
                        left / 60.0
                    );
                }
            }
            Event::Epoch(record) => {
                let dice = |class| {
                    let dice = record
                        .validation
                        .as_ref()
                        .and_then(|v| v.paper.get(class).dice);
                    dice.map_or("-".to_string(), |d| format!("{:.1} %", 100.0 * d))
                };
                let line = format!(
                    "epoch {}: loss {:.4}, validation Dice kidney {}, tumour {}, {:.2} slices/s, {:.1} % waiting for data",
                    record.epoch,
                    record.loss,
                    dice(Class::Kidney),
                    dice(Class::Tumour),
                    record.slices_per_second,
                    100.0 * record.waited_share,
                );
                match &self.bar {
                    Some(bar) => bar.suspend(|| eprintln!("{line}")),
                    None => eprintln!("{line}"),
                }
            }
        }
    }
}
