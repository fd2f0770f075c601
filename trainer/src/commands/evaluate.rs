//! `nephrotrain evaluate`: scores a run on one part of its split.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use nephrobox_engine::device;
use nephrobox_engine::flips::over_flips;
use nephrobox_engine::model::SliceModel;
use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::{ClassScores, PerClass, Scores, SpreadSummary};

use super::next;
use crate::data::{Prepared, Split};
use crate::evaluate::extremes::{Extremes, Pick};
use crate::evaluate::results::{CaseResult, Extreme, Kind, Results};
use crate::evaluate::{evaluate, executor, write_json};
use crate::plots::{confusion, examples, maps};
use crate::small_parts::{self, Smallest, cleaned};
use crate::train::Run;
use crate::train::checkpoint;

/// Score a trained network and print the layout of the paper's Table 6
#[derive(Debug, Args)]
#[command(
    after_help = "Writes metrics.json, slices.csv, confusion.png and pictures of slices into RUN/evaluation-SPLIT, or --out:\n\
    example-*.png (image, truth, prediction) and maps-*.png (the same as label maps in the colours of the paper's\n\
    Figure 7) spread over the split, worst-*.png and best-*.png of the cases with the lowest and highest mean of kidney\n\
    and tumour Dice. With --remove-small the sizes that were chosen on the validation split stand in\n\
    RUN/small-parts-CHECKPOINT.toml.\n\n\
    Examples:\n  nephrotrain evaluate --run runs/first --split test\n  \
    nephrotrain evaluate --run runs/first --split test --checkpoint best --flips --remove-small"
)]
pub struct EvaluateArgs {
    /// Run folder
    #[arg(long)]
    run: PathBuf,
    /// train, validation or test
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// Which state: last, as in the paper, or best (on validation)
    #[arg(long, default_value = "last", value_parser = ["last", "best"])]
    checkpoint: String,
    /// Average the probabilities over the image and its three mirror images [default: as the run's `flips`]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    flips: Option<bool>,
    /// Remove small components of each slice, with sizes chosen on the validation split [default: as the run's `remove-small`]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    remove_small: Option<bool>,
    /// Prepared set, if it has moved since training
    #[arg(long)]
    data: Option<PathBuf>,
    /// Score on this prepared set instead, with its own split: patients the run has nothing to do with
    #[arg(long, value_name = "PREPARED")]
    on: Option<PathBuf>,
    /// Folder for the results
    #[arg(long)]
    out: Option<PathBuf>,
    /// How many example pictures
    #[arg(long, default_value_t = 6)]
    examples: usize,
    /// How many of the worst, and of the best, cases are shown
    #[arg(long, default_value_t = 3)]
    extremes: usize,
    /// auto, cpu, cuda, vulkan or webgpu
    #[arg(long, default_value = "auto")]
    device: String,
}

impl EvaluateArgs {
    /// Name of the results' folder within the run's.
    fn folder(&self) -> String {
        let on = self.on.as_deref().and_then(Path::file_name);
        on.map_or(format!("evaluation-{}", self.split), |on| {
            format!("evaluation-{}-{}", on.display(), self.split)
        })
    }

    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        let device = device::select(&self.device)?;
        let run = Run::open(&self.run, self.data.as_deref())?;
        let other = self.on.as_deref().map(Prepared::open).transpose()?;
        let (config, data) = (run.config(), other.as_ref().unwrap_or(run.data()));
        if let Some(other) = &other {
            ensure!(
                other.preprocess() == run.data().preprocess(),
                "{} was prepared otherwise than the run's data: prepare it with the same options",
                other.folder().display()
            );
            ensure!(
                !config.neighbours || other.has_neighbours(),
                "{} lacks the neighbours that this network reads: prepare it with --neighbours",
                other.folder().display()
            );
        }
        let slices = data.split(self.split);
        ensure!(
            !slices.is_empty(),
            "the {} split of {} has no slices",
            self.split,
            data.folder().display()
        );
        let graph = config.network().graph();
        let file = run.checkpoint(&self.checkpoint);
        let parameters = checkpoint::load_parameters(&file, &graph, &device)?;
        let flips = self.flips.unwrap_or(config.flips);
        let network = executor(&graph, parameters, data, config, &device)?;
        let mut network: Box<dyn SliceModel> = if flips {
            Box::new(over_flips(network))
        } else {
            network
        };
        let smallest = if self.remove_small.unwrap_or(config.remove_small) {
            small_parts::of_run(&run, &self.checkpoint, flips, &mut network)?
        } else {
            Smallest::default()
        };
        let mut model = cleaned(&mut network, smallest);
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| run.folder().join(self.folder()));
        fs::create_dir_all(&out).with_context(|| format!("{} cannot be made", out.display()))?;
        let shown = choose_examples(data, slices, self.examples);
        let mut pictures = Vec::new();
        let mut done = 0_usize;
        let mut extremes = Extremes::default();
        let mut fault = None;
        let evaluation = evaluate(data, slices, &mut model, |index, prediction| {
            let case = data.meta(index).case;
            let added = extremes.add(case, index, data.labels(index), prediction);
            fault = fault.take().or(added.err());
            if shown.contains(&index) {
                pictures.push((index, prediction.to_vec()));
            }
            done += 1;
            if done.is_multiple_of(200) {
                eprintln!("{done} of {} slices", slices.len());
            }
        })?;
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        remove_pictures(&out)?;
        for (index, prediction) in &pictures {
            let meta = data.meta(*index);
            let case = &data.cases()[meta.case as usize].name;
            let path = out.join(format!("example-{case}-{}.png", meta.slice));
            examples::draw(&path, &example(data, *index, prediction))?;
            let example = example(data, *index, prediction);
            let name = format!("maps-{case}-{}.png", meta.slice);
            maps::draw(&out.join(name), &example)?;
        }
        let shown = draw_extremes(&out, data, &extremes.ranked(self.extremes))?;
        let list = out.join("slices.csv");
        nephrobox_imaging::files::write(&list, extremes.csv(data).as_bytes())
            .with_context(|| format!("{} cannot be written", list.display()))?;
        let scores = evaluation.scores();
        let title = format!(
            "{} split, {} cases, {} slices",
            self.split, scores.cases, scores.slices
        );
        confusion::draw(&out.join("confusion.png"), evaluation.paper(), &title)?;
        let cases = evaluation.per_case().map(|(case, matrix)| CaseResult {
            case: data.cases()[case].name.clone(),
            scores: ClassScores::of(matrix),
            confusion: matrix.weights(),
        });
        let metrics = Results {
            split: self.split.to_string(),
            checkpoint: self.checkpoint.clone(),
            encoder: config.encoder,
            resolution: data.side(),
            flips,
            smallest_component_pixels: smallest,
            scores,
            confusion_patient_weighted: evaluation.paper().weights(),
            confusion_row_normalised: evaluation.paper().row_normalised(),
            cases: cases.collect(),
            extremes: shown,
        };
        write_json(&out.join("metrics.json"), &metrics)?;
        print!("{}", table(&scores, &title));
        if flips {
            println!("Labels from the mean over four mirror images.");
        }
        if smallest != Smallest::default() {
            println!(
                "Removed within each slice: kidneys below {} pixels, tumours below {} (chosen on the validation split).",
                smallest.kidney, smallest.tumour
            );
        }
        println!("\n{}", out.display());
        next::after_evaluate(run.folder()).say();
        Ok(())
    }
}

/// A slice with its truth and its prediction.
fn example<'a>(data: &'a Prepared, index: u32, prediction: &'a [u8]) -> examples::Example<'a> {
    examples::Example {
        side: data.side(),
        image: data.image(index),
        truth: data.labels(index),
        prediction,
    }
}

/// Removes the pictures of cases that an evaluation before this one has left: they would stand beside the new ones.
fn remove_pictures(out: &Path) -> Result<()> {
    const KINDS: [&str; 4] = ["example-", "maps-", "worst-", "best-"];
    let entries = fs::read_dir(out).with_context(|| format!("{} cannot be read", out.display()))?;
    for old in entries.filter_map(Result::ok) {
        let (name, path) = (old.file_name(), old.path());
        let name = name.to_string_lossy();
        if KINDS.iter().any(|kind| name.starts_with(kind))
            && path.extension() == Some("png".as_ref())
        {
            fs::remove_file(&path)
                .with_context(|| format!("{} cannot be removed", path.display()))?;
        }
    }
    Ok(())
}

/// Draws the worst and the best cases; returns what `metrics.json` says of them.
fn draw_extremes(out: &Path, data: &Prepared, ranked: &[Vec<Pick<'_>>; 2]) -> Result<Vec<Extreme>> {
    let mut shown = Vec::new();
    for ((kind, word), picks) in [(Kind::Worst, "worst"), (Kind::Best, "best")]
        .into_iter()
        .zip(ranked)
    {
        for (place, pick) in (1..).zip(picks) {
            let (slice, meta) = (&pick.kept.slice, data.meta(pick.kept.slice.index));
            let case = data.cases()[pick.case as usize].name.clone();
            let name = format!("{word}-{place}-{case}-{}.png", meta.slice);
            let example = example(data, slice.index, &pick.kept.prediction);
            examples::draw(&out.join(&name), &example)?;
            shown.push(Extreme {
                kind,
                case,
                case_score: pick.score,
                slice: meta.slice,
                kidney_dice: slice.dice[0],
                tumour_dice: slice.dice[1],
                picture: name,
            });
        }
    }
    Ok(shown)
}

/// Up to `count` slices spread over the split, those with tumour first.
fn choose_examples(data: &Prepared, slices: &[u32], count: usize) -> Vec<u32> {
    let of = |wanted: fn(&[u32; 3]) -> bool| {
        slices
            .iter()
            .copied()
            .filter(move |&i| wanted(&data.meta(i).counts))
    };
    let mut pool: Vec<u32> = of(|c| c[2] > 0).collect();
    if pool.len() < count {
        pool.extend(of(|c| c[2] == 0 && c[1] > 0));
    }
    let step = pool.len().div_ceil(count.max(1)).max(1);
    pool.into_iter().step_by(step).take(count).collect()
}

/// One column of a table.
type Metric = fn(&ClassScores) -> Option<f64>;

/// The paper's Table 6 for the patient-weighted pooled reading, then the other readings.
fn table(scores: &Scores, title: &str) -> String {
    let mut text = format!("{title}\n\n");
    let percent =
        |v: Option<f64>| v.map_or("undefined".to_string(), |v| format!("{:.1} %", 100.0 * v));
    let header = |text: &mut String, what: &str| {
        let _ = writeln!(
            text,
            "{what:<44}{:>14}{:>14}{:>14}",
            "Background", "Kidney", "Tumour"
        );
    };
    let pooled = |text: &mut String, scores: &PerClass<ClassScores>| {
        let rows: [(&str, Metric); 3] = [
            ("Dice coeff.", |s| s.dice),
            ("Recall", |s| s.recall),
            ("Precision", |s| s.precision),
        ];
        for (name, metric) in rows {
            let _ = write!(text, "  {name:<42}");
            for class in Class::ALL {
                let _ = write!(text, "{:>14}", percent(metric(scores.get(class))));
            }
            text.push('\n');
        }
    };
    header(&mut text, "Pooled, patients weighted (the paper's)");
    pooled(&mut text, &scores.paper);
    header(&mut text, "Pooled, all slices alike");
    pooled(&mut text, &scores.pooled);
    header(&mut text, "Mean over cases (population deviation)");
    let spread = |s: &SpreadSummary| match (s.mean, s.population_deviation) {
        (Some(mean), Some(deviation)) => format!("{:.1} ±{:.1} %", 100.0 * mean, 100.0 * deviation),
        _ => "undefined".into(),
    };
    let _ = write!(text, "  {:<42}", "Dice coeff.");
    for class in Class::ALL {
        let _ = write!(text, "{:>14}", spread(&scores.per_case.get(class).dice));
    }
    let _ = write!(
        text,
        "\nKiTS19 challenge (mean over cases): kidney with tumour {}, tumour {}, composite {}\n",
        spread(&scores.kits.kidney_and_tumour_dice),
        spread(&scores.kits.tumour_dice),
        spread(&scores.kits.composite_dice),
    );
    text
}
