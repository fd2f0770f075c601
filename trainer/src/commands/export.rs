//! `nephrotrain export`: writes a run's network as a model package.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use nephrobox_engine::device;
use nephrobox_engine::program::Storage;

use super::next;
use crate::export::{Label, export};
use crate::train::Run;

/// Write a trained network as a model package (.nbx) for the box
#[derive(Debug, Args)]
#[command(
    after_help = "The package carries the network, its preprocessing, its provenance and its scores on the test\n\
    split, measured with the weights as they are stored.\n\n\
    Example:\n  nephrotrain export --run runs/first --out first.nbx --name kidney-first --model-version 1 \\\n    \
    --licence-notice \"Trained on KiTS19 (CC BY-NC-SA 4.0): non-commercial use only\" --storage f16"
)]
pub struct ExportArgs {
    /// Run folder
    #[arg(long)]
    run: PathBuf,
    /// The package to write
    #[arg(long)]
    out: PathBuf,
    /// Which state: last, as in the paper, or best (on validation)
    #[arg(long, default_value = "last", value_parser = ["last", "best"])]
    checkpoint: String,
    /// Prepared set, if it has moved since training
    #[arg(long)]
    data: Option<PathBuf>,
    /// How kernels are stored: f32, f16, or i8 with a scale per output channel
    #[arg(long, default_value = "f32", value_parser = parse_storage)]
    storage: Storage,
    /// The model's name
    #[arg(long)]
    name: String,
    /// The model's version; a box only replaces a model by a higher one
    #[arg(long, default_value_t = 1)]
    model_version: u64,
    /// Licence notice of the training data: it binds the model too
    #[arg(long)]
    licence_notice: String,
    /// Revision of the sources the model was trained with
    #[arg(long, default_value = concat!("nephrotrain ", env!("CARGO_PKG_VERSION")))]
    source_revision: String,
    /// auto, cpu, cuda or vulkan
    #[arg(long, default_value = "auto")]
    device: String,
}

fn parse_storage(text: &str) -> Result<Storage, String> {
    match text {
        "f32" => Ok(Storage::F32),
        "f16" => Ok(Storage::F16),
        "i8" => Ok(Storage::I8),
        other => Err(format!("`{other}` is none of f32, f16, i8")),
    }
}

impl ExportArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        let device = device::select(&self.device)?;
        let run = Run::open(&self.run, self.data.as_deref())?;
        let label = Label {
            name: self.name.clone(),
            version: self.model_version,
            licence_notice: self.licence_notice.clone(),
            source_revision: self.source_revision.clone(),
        };
        let model = export(&run, &self.checkpoint, self.storage, label, &device)?;
        let hash = model.save(&self.out, self.storage)?;
        let size = std::fs::metadata(&self.out)
            .with_context(|| format!("{} cannot be read back", self.out.display()))?;
        println!(
            "{}: {} {:.1} MB, {hash}",
            self.out.display(),
            self.name,
            size.len() as f64 / 1e6
        );
        next::after_export(&self.out).say();
        Ok(())
    }
}
