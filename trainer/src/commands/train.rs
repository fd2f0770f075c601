//! `nephrotrain train`: trains a network on a prepared set.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use burn::tensor::Device;
use clap::Args;
use nephrobox_engine::device;
use nephrobox_shared::words;

use super::next;
use crate::data::{Prepared, Split};
use crate::train::memory::{self, MemoryError};
use crate::train::{
    Options, Preset, Run, Settings, SettingsError, TrainConfig, TrainError, pretrained,
};
use console::Console;

mod console;

/// Train a network; what is not given is as in the paper
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    nephrotrain train --data PREPARED --out runs/first\n  \
    nephrotrain train --config mine.toml --preset best --epochs 20 --out runs/second\n  \
    nephrotrain train --data PREPARED --device cuda:all --accumulate auto --out runs/third\n  \
    nephrotrain train --out runs/first --resume\n\n\
    Whether a step fits into memory is estimated before anything is done, see docs/scale.md.\n\n\
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
    /// auto, cpu, cuda, vulkan or webgpu; several share every step: cuda:0,1 or cuda:all
    #[arg(long, default_value = "auto", value_name = "NAME[:LIST]")]
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
        let devices = device::select_all(&self.device)?;
        let run = if self.resume {
            let run = self.reopened()?;
            if run.is_finished()? {
                eprintln!("{}", finished(&run));
                conclude(&run);
                return Ok(());
            }
            refit(&run, &devices)?;
            run
        } else {
            self.started(&devices)?
        };
        let (device, more) = (devices[0].clone(), &devices[1..]);
        let options = Options {
            // More than a `Duration` holds is as good as never.
            checkpoint_every: Duration::try_from_secs_f64(minutes * 60.0).unwrap_or(Duration::MAX),
            more_devices: more.to_vec(),
        };
        if let Some(line) = how(run.config(), devices.len()) {
            eprintln!("{line}");
        }
        let mut console = Console::new(&run, device::name(&device));
        console.remember(run.records()?);
        run.train(&device, &options, |event| {
            console.show(&event);
            ControlFlow::Continue(())
        })?;
        conclude(&run);
        Ok(())
    }

    /// A new run from flags over file over preset.
    fn started(&self, devices: &[Device]) -> Result<Run> {
        let file = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        let (by_flag, by_file) = (self.settings.keys(), file.keys());
        let settings = self.settings.clone().over(file);
        let settings = settings.over(self.preset.settings());
        let (settings, notes) = pretrained::complete(settings)?;
        for note in notes {
            eprintln!("{}", words::line(&note));
        }
        let run = settings
            .resolve()
            .map_err(TrainError::from)
            .and_then(|mut config| {
                config.check().map_err(SettingsError::from)?;
                let side = Prepared::open(&config.data)?.side();
                memory::fit(&mut config, side, devices)?;
                Run::create(&self.out, config, &label(devices))
            });
        run.map_err(|error| match (&error, &self.config) {
            (TrainError::Settings(SettingsError::Fault(fault)), Some(path))
                if by_file.iter().any(|k| k == fault.key)
                    && by_flag.iter().all(|k| k != fault.key) =>
            {
                let reason = format!("`{}` {}", fault.key, fault.rule);
                let path = path.clone();
                SettingsError::File { path, reason }.into()
            }
            _ => error.into(),
        })
    }

    /// A run to go on with; only where its data lie may be given anew.
    fn reopened(&self) -> Result<Run> {
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

/// Refuses to go on with a run whose steps do not fit here.
fn refit(run: &Run, devices: &[Device]) -> Result<()> {
    match memory::fit(&mut run.config().clone(), run.data().side(), devices) {
        Err(TrainError::Memory(MemoryError::Images {
            needed,
            place,
            free,
            ..
        })) => anyhow::bail!(
            "a step of this run takes about {needed} on {place}, where {free} is free; free some memory, or go on \
             where there is more: a run keeps the settings it was started with"
        ),
        result => Ok(result?),
    }
}

/// What there is of a run with nothing left to do, and how to train longer.
fn finished(run: &Run) -> String {
    let checkpoints: Vec<_> = (["last", "best"].map(|which| run.checkpoint(which)).iter())
        .filter(|file| file.is_file())
        .map(|file| file.display().to_string())
        .collect();
    format!(
        "{} is finished: all {epochs} of {epochs} epochs are done, with the result in {}; a run keeps its number of \
         epochs, so to train longer start a new one from these weights: `{}`",
        run.folder().display(),
        checkpoints.join(" and "),
        next::longer(run.folder(), &run.checkpoint("last")),
        epochs = run.config().epochs,
    )
}

/// The last words after all epochs: the folder for other programs, the next command for the user.
fn conclude(run: &Run) {
    println!("{}", run.folder().display());
    after(run).say();
}

/// What to do with a finished run.
pub(super) fn after(run: &Run) -> next::Next {
    let test = !run.data().split(Split::Test).is_empty();
    let split = if test { Split::Test } else { Split::Validation };
    next::after_train(run.folder(), split)
}

/// What a run's folder says it ran on, such as `cuda` or `4 x cuda`.
pub(crate) fn label(devices: &[Device]) -> String {
    let name = devices.first().map_or("cpu", device::name);
    match devices.len() {
        0 | 1 => name.into(),
        several => format!("{several} x {name}"),
    }
}

/// How a step is made, where it is not in one pass on one device.
fn how(config: &TrainConfig, devices: usize) -> Option<String> {
    let passes = config.accumulate.passes();
    let images = config.batch.div_ceil(passes);
    (passes > 1 || devices > 1).then(|| {
        format!(
            "{} images a step: {passes} pass(es) of up to {images}, each over {devices} device(s)",
            config.batch
        )
    })
}
