//! `nephrotrain export onnx`: writes a network for other runtimes.

use std::path::PathBuf;

use anyhow::{Context, Result};
use burn::tensor::Device;
use clap::Args;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::Storage;
use nephrobox_imaging::files;

use super::RunArgs;
use crate::commands::next;
use crate::export::unscored;
use crate::onnx::{self, Options, Outputs, Reference};

/// Write a package or a trained network as an ONNX file for other runtimes
#[derive(Debug, Args)]
#[command(
    override_usage = "nephrotrain export onnx --out <OUT> --model <MODEL> [OPTIONS]\n       \
    nephrotrain export onnx --out <OUT> --run <RUN> --name <NAME> --licence-notice <NOTICE> [OPTIONS]",
    after_help = "The file holds the network operation by operation, with weights in f32: what a package stores as\n\
    f16 or i8 becomes the numbers that this project's own executors compute with, and a quantised package\n\
    rounds where it rounds here. What the package says\n\
    about preprocessing, classes, licence and origin is in the metadata. See docs/onnx.md.\n\n\
    Examples:\n  \
    nephrotrain export onnx --model first.nbx --out first.onnx --reference first.safetensors\n  \
    nephrotrain export onnx --model first.nbx --out first.onnx --fixed-size --batch 1\n  \
    nephrotrain export onnx --run runs/first --out first.onnx --name kidney-first \\\n    \
    --licence-notice \"Trained on KiTS19 (CC BY-NC-SA 4.0): non-commercial use only\""
)]
pub struct OnnxArgs {
    /// The package to convert, instead of a run
    #[arg(long, conflicts_with = "from_run", required_unless_present = "run")]
    model: Option<PathBuf>,
    #[command(flatten)]
    from: Option<RunArgs>,
    /// The ONNX file to write
    #[arg(long)]
    out: PathBuf,
    /// What the network returns: logits, probabilities (their softmax), or both
    #[arg(long, default_value = Outputs::default().name(), value_parser = parse_outputs)]
    outputs: Outputs,
    /// Only images of the size that the model's preprocessing makes, for runtimes that need to know; any multiple of
    /// the network's own otherwise
    #[arg(long)]
    fixed_size: bool,
    /// Only batches of this many images; any number otherwise
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: Option<u32>,
    /// Also write images, of noise and of the self-test, and the logits that this project's own executor gives them, to check a
    /// runtime against
    #[arg(long, value_name = "FILE.safetensors")]
    reference: Option<PathBuf>,
}

fn parse_outputs(text: &str) -> Result<Outputs, String> {
    Outputs::ALL
        .into_iter()
        .find(|outputs| outputs.name() == text)
        .ok_or_else(|| {
            let names = Outputs::ALL.map(Outputs::name).join(", ");
            format!("`{text}` is none of {names}")
        })
}

impl OnnxArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        let model = self.source()?;
        let options = Options {
            outputs: self.outputs,
            batch: self.batch.map(|batch| batch as usize),
            fixed_size: self.fixed_size,
        };
        let bytes = onnx::encode(&model, &options)?;
        write(&self.out, &bytes)?;
        println!(
            "{}: {} version {}, ONNX opset {}, {:.1} MB",
            self.out.display(),
            model.manifest().name,
            model.manifest().version,
            onnx::OPSET,
            bytes.len() as f64 / 1e6
        );
        if model.storage() != Storage::F32 {
            println!(
                "kernels are stored as {} in the package and as the same numbers in f32 here",
                model.storage().name()
            );
        }
        println!("{}", signature(&model, &options));
        println!("licence: {}", model.manifest().training.licence_notice);
        if let Some(path) = &self.reference {
            drop(bytes);
            write(path, &Reference::compute(&model, &options)?.to_bytes()?)?;
            next::after_onnx(&self.out, path).say();
        }
        Ok(())
    }

    fn source(&self) -> Result<Model> {
        match (&self.model, &self.from) {
            (Some(path), _) => Ok(Model::load(path)?.model),
            (None, Some(from)) => {
                let run = from.open()?;
                let device = Device::flex();
                Ok(unscored(&run, &from.checkpoint, from.label(), &device)?)
            }
            (None, None) => anyhow::bail!("name a package with --model or a run with --run"),
        }
    }
}

/// What goes in and what comes out, in one line.
fn signature(model: &Model, options: &Options) -> String {
    let shape = options.shape(model);
    let axis = |fixed: Option<usize>, open: &str| fixed.map_or(open.to_owned(), |n| n.to_string());
    let value = |name: &str, channels: u32| {
        format!(
            "{name} [{}, {channels}, {}, {}]",
            axis(shape.batch, "batch"),
            axis(shape.size.map(|[rows, _]| rows), "rows"),
            axis(shape.size.map(|[_, cols]| cols), "cols"),
        )
    };
    let outputs: Vec<String> = options
        .outputs
        .names()
        .iter()
        .map(|name| value(name, model.program().classes))
        .collect();
    format!(
        "{} in 0 to 1, sides multiples of {} -> {}",
        value(onnx::IMAGE, model.program().input_channels),
        model.program().multiple,
        outputs.join(", ")
    )
}

fn write(path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    files::write(path, bytes).with_context(|| {
        format!(
            "{} cannot be written; check the folder, the rights and the space left",
            path.display()
        )
    })
}
