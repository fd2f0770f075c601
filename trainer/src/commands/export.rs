//! `nephrotrain export`: writes a run's network as a model package, or, as `export onnx`, for other runtimes.

mod onnx;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use nephrobox_engine::device;
use nephrobox_engine::program::Storage;

use super::next;
use crate::export::{Label, export};
use crate::train::Run;

pub use onnx::OnnxArgs;

/// What to export to.
#[derive(Debug)]
pub enum ExportArgs {
    /// A package, without a further word.
    Package(PackageArgs),
    /// Something else, by name.
    Other(Format),
}

/// Formats other than the package.
#[derive(Debug, Subcommand)]
pub enum Format {
    /// Write a package or a trained network as an ONNX file for other runtimes
    Onnx(OnnxArgs),
}

// By hand, because the derive cannot say "these arguments, or a subcommand": it would ask for the package's
// required arguments in front of the subcommand, or miss them with a poorer message.
impl FromArgMatches for ExportArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        if matches.subcommand_name().is_some() {
            Format::from_arg_matches(matches).map(Self::Other)
        } else {
            PackageArgs::from_arg_matches(matches).map(Self::Package)
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ExportArgs {
    fn augment_args(command: Command) -> Command {
        PackageArgs::augment_args(Format::augment_subcommands(command))
            .subcommand_required(false)
            .arg_required_else_help(false)
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl ExportArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        match self {
            Self::Package(args) => args.run(),
            Self::Other(Format::Onnx(args)) => args.run(),
        }
    }
}

/// Which network of which run, and what the file says of it beyond what the run knows.
#[derive(Debug, Args)]
#[group(id = "from_run")]
pub struct RunArgs {
    /// Run folder
    #[arg(long)]
    run: PathBuf,
    /// Which state: last, as in the paper, or best (on validation)
    #[arg(long, default_value = "last", value_parser = ["last", "best"])]
    checkpoint: String,
    /// Prepared set, if it has moved since training
    #[arg(long)]
    data: Option<PathBuf>,
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
}

impl RunArgs {
    /// Opens the run.
    pub fn open(&self) -> Result<Run> {
        Ok(Run::open(&self.run, self.data.as_deref())?)
    }

    /// Which state of it.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// What the package says beyond what the run knows.
    pub fn label(&self) -> Label {
        Label {
            name: self.name.clone(),
            version: self.model_version,
            licence_notice: self.licence_notice.clone(),
            source_revision: self.source_revision.clone(),
        }
    }
}

/// Write a trained network as a model package (.nbx) for the box
#[derive(Debug, Args)]
#[command(
    after_help = "The package carries the network, its preprocessing, its provenance and its scores on the test\n\
    split, measured with the weights as they are stored.\n\n\
    Example:\n  nephrotrain export --run runs/first --out first.nbx --name kidney-first --model-version 1 \\\n    \
    --licence-notice \"Trained on KiTS19 (CC BY-NC-SA 4.0): non-commercial use only\" --storage f16"
)]
pub struct PackageArgs {
    #[command(flatten)]
    from: RunArgs,
    /// The package to write
    #[arg(long)]
    out: PathBuf,
    /// How kernels are stored: f32, f16, or i8 with a scale per output channel
    #[arg(long, default_value = "f32", value_parser = parse_storage)]
    storage: Storage,
    /// auto, cpu, cuda, vulkan or webgpu
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

impl PackageArgs {
    fn run(&self) -> Result<()> {
        let device = device::select(&self.device)?;
        let run = self.from.open()?;
        let label = self.from.label();
        let model = export(&run, &self.from.checkpoint, self.storage, label, &device)?;
        let hash = model.save(&self.out, self.storage)?;
        let size = std::fs::metadata(&self.out)
            .with_context(|| format!("{} cannot be read back", self.out.display()))?;
        println!(
            "{}: {} {:.1} MB, {hash}",
            self.out.display(),
            self.from.name,
            size.len() as f64 / 1e6
        );
        next::after_export(&self.out).say();
        Ok(())
    }
}
