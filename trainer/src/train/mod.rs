//! Training: the step, the loop around it, checkpoints and the run folder.
//!
//! A run folder holds `config.toml`, `versions.json`, `fingerprint.json`, `metrics.jsonl` (a line per
//! epoch), `last.safetensors`, `best.safetensors` and `curves.png`. A killed run goes on from
//! `last.safetensors`, on the CPU to the same bits.

pub mod accumulate;
pub mod average;
pub mod checkpoint;
pub mod config;
pub mod host;
pub mod loader;
pub mod memory;
pub mod pretrained;
pub mod run;
pub mod sampling;
pub mod settings;
pub mod step;

use std::path::PathBuf;

pub use config::TrainConfig;
pub use run::{EpochRecord, Event, Options, Run};
pub use settings::{AugmentChoice, Preset, Settings, SettingsError};

use crate::data::DataError;

/// Why training or evaluation stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The prepared set cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Settings that cannot be read or cannot work.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The settings do not fit the data or the network.
    #[error("{0}")]
    Config(String),
    /// The run folder is not usable.
    #[error("the run folder {path}: {reason}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is the matter, and what to do.
        reason: String,
    },
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::CheckpointError),
    /// The weights to start from cannot be used.
    #[error(transparent)]
    Import(#[from] crate::network::import::ImportError),
    /// A result cannot be written.
    #[error("{path} cannot be written: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A step needs more memory than there is.
    #[error(transparent)]
    Memory(#[from] memory::MemoryError),
    /// A picture cannot be made.
    #[error(transparent)]
    Plot(#[from] crate::plots::PlotError),
    /// The network cannot be run.
    #[error("{0}")]
    Network(String),
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}; the batch held {slices}; the state before it is in {kept}: \
         look at these slices, or lower --lr"
    )]
    NonFinite {
        /// The loss.
        loss: f32,
        /// Epoch, from 1.
        epoch: usize,
        /// Step in it, from 1.
        step: usize,
        /// Case and slice of every image in the batch.
        slices: String,
        /// The checkpoint.
        kept: PathBuf,
    },
}
