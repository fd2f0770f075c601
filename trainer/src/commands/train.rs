//! `nephrotrain train`: trains a network on a prepared set.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use nephrobox_engine::device;

use crate::augment::Augmentation;
use crate::data::DEFAULT_SEED;
use crate::loss::{DEFAULT_SMOOTH, LossName, Reduction};
use crate::network::{Encoder, FrozenBatchNorm, RetrainFrom};
use crate::train::config::{ImageWeights, Schedule};
use crate::train::{Options, Run, TrainConfig};
use console::Console;

mod console;

/// Train a network; the defaults are the paper's
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    nephrotrain train --data PREPARED --out runs/first\n  \
    nephrotrain train --out runs/first --resume\n\n\
    The run folder holds config.json, versions.json, fingerprint.json, metrics.jsonl, curves.png,\n\
    last.safetensors and best.safetensors (best mean of kidney and tumour Dice on validation).")]
pub struct TrainArgs {
    /// Prepared training set (see `nephrotrain prepare`)
    #[arg(long, required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// Run folder: new or empty, or an interrupted run with --resume
    #[arg(long)]
    out: PathBuf,
    /// Go on with the run in --out, with the settings it was started with
    #[arg(long)]
    resume: bool,
    /// Start from these weights: a checkpoint, or any safetensors file with the Keras names
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// resnet18, resnet34, resnet50, resnet101 or resnet152
    #[arg(long, default_value = "resnet101")]
    encoder: Encoder,
    /// Input channels: 1, or 3 as ImageNet weights need
    #[arg(long, default_value_t = 1)]
    channels: usize,
    /// Factor on the [0, 1] pixels: 255 with ImageNet weights
    #[arg(long, default_value_t = 1)]
    input_scale: u16,
    /// ce, wce (the paper's weights), wce-computed (median frequency), dice, or dice-ce (their sum)
    #[arg(long, default_value = "dice")]
    loss: LossName,
    /// Focusing exponent of the Dice loss; 1 is the plain Dice loss
    #[arg(long, default_value_t = 0.5)]
    gamma: f64,
    /// Added to the Dice's numerator and denominator
    #[arg(long, default_value_t = DEFAULT_SMOOTH)]
    smooth: f64,
    /// Dice per image or over the whole batch
    #[arg(long, value_enum, default_value_t)]
    reduction: Reduction,
    /// Epochs of the whole run
    #[arg(long, default_value_t = 150)]
    epochs: usize,
    /// Images per step
    #[arg(long, default_value_t = 24)]
    batch: usize,
    /// Learning rate
    #[arg(long, default_value_t = 1e-5)]
    lr: f64,
    /// How the learning rate goes over the run
    #[arg(long, value_enum, default_value_t)]
    schedule: Schedule,
    /// First encoder layer that trains: all, stage1, stage2, stage3, stage3-unit12, stage4 or a layer's name
    #[arg(long, default_value = "all")]
    retrain_from: RetrainFrom,
    /// What batch norms before that layer do
    #[arg(long, value_enum, default_value_t)]
    frozen_batch_norm: FrozenBatchNorm,
    /// What an image counts in the loss
    #[arg(long, value_enum, default_value_t)]
    image_weights: ImageWeights,
    /// Augmentation: none, library, ct, small-data, or a TOML file (see docs/augmentation.md)
    #[arg(long, default_value = "ct")]
    augment: String,
    /// Share of the images that are augmented
    #[arg(long, default_value_t = 0.75)]
    augment_share: f64,
    /// Train on random windows of this many pixels instead of whole images
    #[arg(long)]
    crop: Option<usize>,
    /// Take a data folder's images N times an epoch
    #[arg(long, value_name = "FOLDER=N", value_parser = parse_repeat)]
    repeat: Vec<(String, usize)>,
    /// Seed of initial weights, order and augmentation
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// auto, cpu, cuda or vulkan
    #[arg(long, default_value = "auto")]
    device: String,
    /// Longest time between two checkpoints, in minutes
    #[arg(long, default_value_t = 5.0)]
    checkpoint_minutes: f64,
}

fn parse_repeat(text: &str) -> Result<(String, usize), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(name, times)| Some((name.to_string(), times.parse().ok()?)));
    parsed.ok_or_else(|| format!("`{text}` is not FOLDER=N, such as phantoms=2"))
}

impl TrainArgs {
    fn config(&self, data: PathBuf) -> Result<TrainConfig> {
        Ok(TrainConfig {
            data,
            weights: self.weights.clone(),
            encoder: self.encoder,
            channels: self.channels,
            input_scale: self.input_scale,
            loss: self.loss,
            gamma: self.gamma,
            smooth: self.smooth,
            reduction: self.reduction,
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.lr,
            schedule: self.schedule,
            retrain_from: self.retrain_from.clone(),
            frozen_batch_norm: self.frozen_batch_norm,
            image_weights: self.image_weights,
            augmentation: Augmentation::named(&self.augment, self.augment_share)?,
            crop: self.crop,
            repeat: self.repeat.clone(),
            seed: self.seed,
        })
    }

    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        let device = device::select(&self.device)?;
        let run = match (&self.data, self.resume) {
            (_, true) => Run::open(&self.out, self.data.as_deref())?,
            (Some(data), false) => Run::create(
                &self.out,
                self.config(std::path::absolute(data)?)?,
                device::name(&device),
            )?,
            (None, false) => anyhow::bail!("--data is needed to start a run"),
        };
        let minutes = self.checkpoint_minutes;
        anyhow::ensure!(
            minutes.is_finite() && minutes > 0.0,
            "--checkpoint-minutes must be a positive number"
        );
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
}
