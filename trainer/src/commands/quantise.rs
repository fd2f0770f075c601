//! `nephrotrain quantise`: a run's network in 8-bit integers, as a model package, if it is as good as in floating point.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::Args;
use nephrobox_engine::program::{Precision, Storage};
use nephrobox_shared::class::Class;
use nephrobox_shared::package::{KeyValue, Manifest};

use super::export::RunArgs;
use super::next;
use crate::export::unscored;
use crate::quantise::{Estimator, Judgement, Layer, Settings, Told, quantise};

/// Write a trained network in 8-bit integers as a model package (.nbx) for a box without a GPU
#[derive(Debug, Args)]
#[command(
    after_help = "Calibrates on slices of training patients, compares three ways to choose the range of each value and how far\n\
    channels are equalised, corrects biases if that helps, prints the signal-to-noise ratio of every layer, and scores\n\
    floating point and integers on the validation and the test split. If Dice of any class falls by more than 0.1\n\
    percentage points, nothing is written.\n\n\
    Examples:\n  nephrotrain quantise --run runs/first --data prepared --out first.nbx --name kidney-first --model-version 2 \\\n    \
    --licence-notice \"Trained on KiTS19 (CC BY-NC-SA 4.0): non-commercial use only\"\n  \
    nephrotrain quantise --run runs/first --out first.nbx --name kidney-first --licence-notice \"...\" --slices 240 --allow-drop"
)]
pub struct QuantiseArgs {
    #[command(flatten)]
    from: RunArgs,
    /// The package to write
    #[arg(long)]
    out: PathBuf,
    /// Slices of training patients to look at: half to calibrate on, half to compare settings with
    #[arg(long, default_value_t = Settings::default().slices, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    slices: u32,
    /// Seed of their choice
    #[arg(long, default_value_t = Settings::default().seed)]
    seed: u64,
    /// How ranges are chosen: auto (compare all), min-max, percentile (99.99 %) or mse
    #[arg(long, default_value = "auto", value_parser = parse_estimator)]
    range: Range,
    /// Whether biases are corrected for rounding [default: if it helps]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    correct_bias: Option<bool>,
    /// Slices of an invented patient that the package carries to test itself with
    #[arg(long, default_value_t = Settings::default().self_test, value_parser = clap::value_parser!(u32).range(1..=16))]
    self_test: u32,
    /// Write the package even if Dice falls too far; the package says so
    #[arg(long)]
    allow_drop: bool,
}

/// One estimator, or all.
#[derive(Clone, Copy, Debug)]
struct Range(Option<Estimator>);

fn parse_estimator(text: &str) -> Result<Range, String> {
    if text == "auto" {
        return Ok(Range(None));
    }
    let found = Estimator::ALL.into_iter().find(|e| e.name() == text);
    found
        .map(|e| Range(Some(e)))
        .ok_or_else(|| format!("`{text}` is none of auto, min-max, percentile, mse"))
}

impl QuantiseArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        let run = self.from.open()?;
        let label = self.from.label();
        let float = unscored(&run, self.from.checkpoint(), label, &Device::flex())?;
        let settings = Settings {
            slices: self.slices,
            seed: self.seed,
            estimator: self.range.0,
            correct_bias: self.correct_bias,
            self_test: self.self_test,
        };
        let done = quantise(&run, &float, &settings, &mut |told| match told {
            Told::Step(what) => eprintln!("{what}"),
            Told::Tried(what, decibels) => {
                eprintln!("  {what:<56} logits {decibels:.2} dB above their error");
            }
        })?;
        print!("{}", layer_table(&done.layers));
        print!("{}", judgement_table(&done.judgement));
        let drops = done.judgement.drops();
        let falls = drops.iter().map(|drop| {
            format!(
                "Dice of {} on {} falls by {:.2} percentage points",
                drop.class.name(),
                drop.split,
                drop.points
            )
        });
        let falls: Vec<String> = falls.collect();
        let mut model = done.model;
        if !falls.is_empty() {
            if !self.allow_drop {
                bail!(
                    "{}, more than 0.1: {} was not written. Try more --slices, train on, or accept it with --allow-drop",
                    falls.join("; "),
                    self.out.display()
                );
            }
            let mut manifest: Manifest = model.manifest().clone();
            if let Some(record) = &mut manifest.calibration {
                record.parameters.push(KeyValue {
                    key: "allowed drop".into(),
                    value: falls.join("; "),
                });
            }
            model = model.with_manifest(manifest)?;
            println!("\nallowed: {}", falls.join("; "));
        }
        let hash = model.save(&self.out, Storage::I8)?;
        let size = std::fs::metadata(&self.out)
            .with_context(|| format!("{} cannot be read back", self.out.display()))?;
        println!(
            "\n{}: {} {:.1} MB, {hash}",
            self.out.display(),
            model.manifest().name,
            size.len() as f64 / 1e6
        );
        next::after_export(&self.out).say();
        Ok(())
    }
}

/// Every rounding, in the order of computation.
fn layer_table(layers: &[Layer]) -> String {
    let mut text = format!(
        "{:<44}{:>6}{:>12}{:>10}{:>10}{:>10}\n",
        "signal to noise in dB, after", "bits", "step", "clipped", "alone", "so far"
    );
    for layer in layers {
        let bits = match layer.precision {
            Precision::U8 => 8,
            Precision::I16 => 16,
        };
        let _ = writeln!(
            text,
            "{:<44}{bits:>6}{:>12.3e}{:>9.3}%{:>10.1}{:>10.1}",
            layer.name,
            layer.step,
            100.0 * layer.clipped,
            layer.alone,
            layer.sum
        );
    }
    text
}

/// Dice of both networks on both splits.
fn judgement_table(judgement: &Judgement) -> String {
    let mut text = String::new();
    for judged in &judgement.0 {
        let _ = writeln!(
            text,
            "\n{} split, {} cases, {} slices; {:.3} % of all pixels have the same label\n  {:<26}{:>14}{:>14}{:>14}",
            judged.split,
            judged.float.cases,
            judged.float.slices,
            100.0 * judged.same,
            "Dice, patients weighted",
            "Background",
            "Kidney",
            "Tumour"
        );
        for (name, scores) in [("float", &judged.float), ("int8", &judged.int8)] {
            let _ = write!(text, "  {name:<26}");
            for class in Class::ALL {
                let dice = scores.paper.get(class).dice;
                let dice = dice.map_or("undefined".into(), |d| format!("{:.2} %", 100.0 * d));
                let _ = write!(text, "{dice:>14}");
            }
            text.push('\n');
        }
    }
    text
}
