//! `nephrotrain experiments`: the paper's experiments from a plan to its tables and figures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use nephrobox_shared::class::Class;

use super::next;
use crate::experiments::job::JobFolder;
use crate::experiments::plan::{Choose, Job, Plan, Request, Slot};
use crate::experiments::results::Results;
use crate::experiments::runner::{Event, Runner, Summary};
use crate::experiments::{Experiment, page, slurm};
use crate::network::Encoder;
use crate::train::Settings;

/// Do the paper's experiments: plan them, run them, collect tables and figures
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    nephrotrain experiments plan --data prepared --out exp\n  \
    nephrotrain experiments run exp --jobs 2\n  \
    nephrotrain experiments collect exp\n\n\
    See docs/experiments.md, for how long that takes too.")]
pub struct ExperimentsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plan(Box<PlanArgs>),
    Run(RunArgs),
    Collect(CollectArgs),
}

/// Lay out the jobs in a folder
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    nephrotrain experiments plan --data prepared --out exp --encoder-weights resnet34=r34.safetensors\n  \
    nephrotrain experiments plan --data prepared --out exp --scheduler slurm --slurm-option=--gres=gpu:1\n  \
    nephrotrain experiments plan --data phantoms --out small --encoder resnet18 --repeats 2 --epochs 2 --batch 8\n\n\
    Without --epochs each run of an experiment has 50, as in the paper.\n\n\
    Any other setting of `nephrotrain train` that no experiment varies may be given too, and holds for all runs.\n\
    What a plan holds is in OUT/plan.toml; each job has a folder OUT/jobs/NNN-EXPERIMENT-VALUE-rREPEAT.")]
struct PlanArgs {
    /// Folder for plan, jobs and results; must not hold another plan
    #[arg(long, value_name = "EXP")]
    out: PathBuf,
    /// Runs of each setting
    #[arg(long, default_value_t = 4)]
    repeats: usize,
    /// Epochs of the final model [default: three times --epochs; the paper: 150]
    #[arg(long, value_name = "N")]
    final_epochs: Option<usize>,
    /// Only these experiments; those before them count as having chosen what the paper chose
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Experiment>,
    /// Values to try in an experiment, such as encoder=resnet34,resnet152 or augmentation=p0,p75 [default: the paper's]
    #[arg(long, value_name = "EXPERIMENT=A,B", value_parser = parse_values)]
    values: Vec<(Experiment, Vec<String>)>,
    /// What an experiment hands on to the next: the paper's choice, or the best found here
    #[arg(long, value_enum, default_value_t)]
    choose: Choose,
    /// Weights an encoder starts from, for each encoder
    #[arg(long, value_name = "ENCODER=FILE", value_parser = parse_weights)]
    encoder_weights: Vec<(Encoder, PathBuf)>,
    /// Train settings that two experiments share in both, with other seeds, as the paper did
    #[arg(long)]
    no_reuse: bool,
    /// Write a script for this scheduler too
    #[arg(long, value_enum)]
    scheduler: Option<Scheduler>,
    /// An #SBATCH option for the script, such as --slurm-option=--time=24:00:00
    #[arg(
        long,
        value_name = "OPTION",
        allow_hyphen_values = true,
        requires = "scheduler"
    )]
    slurm_option: Vec<String>,
    #[command(flatten, next_help_heading = "Settings of all runs")]
    #[allow(
        missing_docs,
        reason = "clap would take a comment here for the text of the whole command"
    )]
    shared: Settings,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scheduler {
    /// An array job
    Slurm,
}

/// Run what is not finished; to be repeated after a kill, and on as many machines as share the folder
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    nephrotrain experiments run exp --jobs 4 --device cuda\n  \
    nephrotrain experiments run exp --job 17\n\n\
    Exit codes: 0 all jobs asked for are finished; 1 a job failed (its error is shown, and in its attempts.toml);\n\
    3 none failed, but some are in others' hands or wait for results.")]
struct RunArgs {
    /// The experiments' folder
    #[arg(value_name = "EXP")]
    folder: PathBuf,
    /// Jobs at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Only the job of this number; may be given several times
    #[arg(long = "job", value_name = "K")]
    only: Vec<usize>,
    /// Device, as for `train`; several with commas between are given to the jobs at a time in turn
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    device: Vec<String>,
    /// Prepared set, if it is elsewhere than the plan says
    #[arg(long)]
    data: Option<PathBuf>,
    /// Longest time between two checkpoints, in minutes
    #[arg(long, default_value_t = 5.0)]
    checkpoint_minutes: f64,
}

/// Make tables, figures and one HTML page from the finished runs
#[derive(Debug, Args)]
#[command(
    after_help = "Writes index.html (self-contained), report.md, table-2 to table-6 as .md, .csv and .html, and\n\
    figure-1 to figure-7 as .svg and .png.\n\nExample:\n  nephrotrain experiments collect exp --out results"
)]
struct CollectArgs {
    /// The experiments' folder
    #[arg(value_name = "EXP")]
    folder: PathBuf,
    /// Folder for tables and figures [default: EXP/results]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Nothing failed, and not everything is finished.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfinished(String);

fn parse_values(text: &str) -> Result<(Experiment, Vec<String>), String> {
    let (name, values) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not EXPERIMENT=VALUE,VALUE"))?;
    let experiment = Experiment::from_str(name, false)?;
    Ok((experiment, values.split(',').map(str::to_owned).collect()))
}

fn parse_weights(text: &str) -> Result<(Encoder, PathBuf), String> {
    let (name, file) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not ENCODER=FILE"))?;
    Ok((name.parse()?, file.into()))
}

impl ExperimentsArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        match &self.command {
            Command::Plan(args) => args.run(),
            Command::Run(args) => args.run(),
            Command::Collect(args) => args.run(),
        }
    }
}

impl PlanArgs {
    fn run(&self) -> Result<()> {
        let path = self.out.join(crate::experiments::plan::FILE);
        if path.exists() {
            bail!(
                "{} is there already; choose another folder, or run it with `nephrotrain experiments run`",
                path.display()
            );
        }
        for (encoder, file) in &self.encoder_weights {
            std::fs::metadata(file).with_context(|| {
                format!(
                    "the weights of {encoder}, {}, cannot be read",
                    file.display()
                )
            })?;
        }
        let epochs = self.shared.epochs.unwrap_or(50);
        let request = Request {
            repeats: self.repeats,
            epochs,
            final_epochs: self.final_epochs.unwrap_or(3 * epochs),
            only: self.only.clone(),
            values: self.values.clone(),
            choose: self.choose,
            reuse: !self.no_reuse,
            weights: self.encoder_weights.clone(),
            shared: self.shared.clone(),
        };
        let plan = Plan::new(&self.out, request)?;
        plan.save(&self.out)?;
        let results = Results::read(&self.out, &plan);
        let choice = |e| results.choice(e);
        for job in plan.own_jobs(&choice) {
            if let Some(settings) = plan.at(job.experiment, &choice, job.value, job.repeat) {
                JobFolder::new(&self.out, &job).prepare(settings)?;
            }
        }
        print!("{}", overview(&plan, &results));
        for sentence in page::departures(&plan) {
            println!("not as in the paper: {sentence}");
        }
        if let Some(Scheduler::Slurm) = self.scheduler {
            let script = slurm::write_scripts(&plan, &self.out, &self.slurm_option)?;
            let name = script.file_name().unwrap_or_default().display();
            let with = if plan.choose == Choose::Paper {
                "sbatch"
            } else {
                "bash"
            };
            eprintln!(
                "\nnext, on the cluster:\n  cd {} && {with} {name}",
                self.out.display()
            );
        } else {
            next::after_plan(&self.out).say();
        }
        Ok(())
    }
}

/// The plan in a table: experiment, values with their jobs, what is the same as what.
fn overview(plan: &Plan, results: &Results) -> String {
    let mut lines: Vec<(Experiment, &'static str, String)> = Vec::new();
    for ((experiment, name, repeat), slot) in plan.slots(&|e| results.choice(e)) {
        let text = match slot {
            Slot::Own(job) => job.number.to_string(),
            Slot::Same { number } => format!("as {number}"),
        };
        match lines.last_mut().filter(|_| repeat > 1) {
            Some((_, _, jobs)) => {
                let _ = write!(jobs, ", {text}");
            }
            None => lines.push((experiment, name, text)),
        }
    }
    let mut out = format!(
        "{} jobs, {} of each setting\n",
        plan.last_number(),
        plan.repeats
    );
    for (experiment, name, jobs) in lines {
        let epochs = plan.part(experiment).map_or(0, |p| p.epochs);
        let _ = writeln!(
            out,
            "  {experiment:<13}{name:<15}{epochs:>4} epochs  jobs {jobs}"
        );
    }
    for part in &plan.parts {
        for (name, reason) in &part.left_out {
            let _ = writeln!(out, "  {:<13}{name:<15}left out: {reason}", part.experiment);
        }
    }
    out
}

impl RunArgs {
    fn run(&self) -> Result<()> {
        let plan = Plan::open(&self.folder)?;
        plan.data(&self.folder, self.data.as_deref())?;
        if !(self.checkpoint_minutes.is_finite() && self.checkpoint_minutes > 0.0) {
            bail!("--checkpoint-minutes must be a positive number");
        }
        for device in &self.device {
            nephrobox_engine::device::select(device)?;
        }
        let wanted: BTreeSet<usize> = self.only.iter().copied().collect();
        if let Some(none) = wanted.iter().find(|&&n| n == 0 || n > plan.last_number()) {
            bail!(
                "there is no job {none}; the plan has jobs 1 to {}",
                plan.last_number()
            );
        }
        let root = std::path::absolute(&self.folder)?;
        let runner = Runner {
            root: &root,
            plan: &plan,
            program: std::env::current_exe().context("the program's own file cannot be found")?,
            data: self.data.as_deref().map(std::path::absolute).transpose()?,
            devices: self.device.clone(),
            jobs: usize::from(self.jobs),
            checkpoint_minutes: self.checkpoint_minutes,
        };
        let console = Console::new(&root, &plan, &wanted);
        let summary = runner.run(&wanted, &|job, event| console.show(job, event))?;
        console.clear();
        self.conclude(&summary)
    }

    fn conclude(&self, summary: &Summary) -> Result<()> {
        let Summary {
            finished,
            failed,
            busy,
            waiting,
        } = summary;
        let list = |set: &BTreeSet<usize>| {
            set.iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        println!(
            "{} finished, {} failed, {} in others' hands, {} waiting",
            finished.len(),
            failed.len(),
            busy.len(),
            waiting.len()
        );
        let folder = self.folder.display();
        if !failed.is_empty() {
            bail!(
                "jobs {} failed; each says why in its attempts.toml and log.txt under {folder}/jobs; run this again to try them again",
                list(failed)
            );
        }
        if !busy.is_empty() || !waiting.is_empty() {
            let mut text = Vec::new();
            if !busy.is_empty() {
                text.push(format!("jobs {} are being worked on elsewhere", list(busy)));
            }
            if !waiting.is_empty() {
                text.push(format!(
                    "jobs {} wait for results of earlier experiments",
                    list(waiting)
                ));
            }
            return Err(Unfinished(format!("{}; run this again later", text.join("; "))).into());
        }
        next::after_jobs(&self.folder).say();
        Ok(())
    }
}

impl CollectArgs {
    fn run(&self) -> Result<()> {
        let plan = Plan::open(&self.folder)?;
        let root = std::path::absolute(&self.folder)?;
        let results = Results::read(&root, &plan);
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| self.folder.join("results"));
        let page = page::collect(&root, &plan, &results, &out)?;
        println!(
            "{} runs finished, {} missing",
            results.finished,
            results.missing.len()
        );
        for missing in &results.missing {
            println!("  {}: {}", missing.name, missing.why);
        }
        println!("{}", page.display());
        Ok(())
    }
}

/// Shows all jobs on the error stream: bars on a terminal, plain lines elsewhere.
struct Console<'a> {
    plan: &'a Plan,
    bars: Option<(MultiProgress, ProgressBar)>,
    running: Mutex<BTreeMap<usize, ProgressBar>>,
}

impl<'a> Console<'a> {
    fn new(root: &Path, plan: &'a Plan, wanted: &BTreeSet<usize>) -> Self {
        let results = Results::read(root, plan);
        let all = if wanted.is_empty() {
            results.finished + results.missing.len()
        } else {
            wanted.len()
        };
        if wanted.is_empty() {
            eprintln!("{} of {all} jobs are finished", results.finished);
        }
        let bars = std::io::stderr().is_terminal().then(|| {
            let group = MultiProgress::new();
            let style = ProgressStyle::with_template(
                "all jobs [{bar:24}] {pos}/{len}, {elapsed} so far, {eta} left",
            );
            let total = ProgressBar::new(all as u64).with_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
            if wanted.is_empty() {
                total.set_position(results.finished as u64);
                total.reset_eta();
            }
            (group.clone(), group.add(total))
        });
        Self {
            plan,
            bars,
            running: Mutex::default(),
        }
    }

    fn say(&self, line: &str) {
        match &self.bars {
            Some((group, _)) => group.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn show(&self, job: &Job, event: &Event<'_>) {
        let epochs = self.plan.part(job.experiment).map_or(0, |p| p.epochs);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { attempt, resumed } => {
                let how = if *resumed { "goes on" } else { "starts" };
                self.say(&format!("{} {how}, attempt {attempt}", job.name));
                if let Some((group, total)) = &self.bars {
                    let style = ProgressStyle::with_template(
                        "  {prefix} [{bar:16}] {pos}/{len} epochs {msg}",
                    )
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
                    let bar =
                        ProgressBar::new(epochs as u64).with_style(style.progress_chars("=> "));
                    bar.set_prefix(job.name.clone());
                    running.insert(job.number, group.insert_before(total, bar));
                }
            }
            Event::Epoch(record) => {
                let dice = |class| {
                    let dice = record
                        .validation
                        .as_ref()
                        .and_then(|v| v.paper.get(class).dice);
                    dice.map_or("-".into(), |d| format!("{:.1} %", 100.0 * d))
                };
                let text = format!(
                    "loss {:.4}, Dice kidney {}, tumour {}",
                    record.loss,
                    dice(Class::Kidney),
                    dice(Class::Tumour)
                );
                match running.get(&job.number) {
                    Some(bar) => {
                        bar.set_position(record.epoch as u64);
                        bar.set_message(text);
                    }
                    None => self.say(&format!(
                        "{} epoch {}/{epochs}: {text}",
                        job.name, record.epoch
                    )),
                }
            }
            Event::Finished { seconds } => {
                self.end(&mut running, job, &format!("finished in {seconds:.0} s"));
            }
            Event::Failed(error) => self.end(&mut running, job, &format!("failed: {error}")),
            Event::Busy => self.say(&format!("{} is being worked on elsewhere", job.name)),
        }
    }

    fn end(&self, running: &mut BTreeMap<usize, ProgressBar>, job: &Job, how: &str) {
        if let Some(bar) = running.remove(&job.number) {
            bar.finish_and_clear();
        }
        self.say(&format!("{} {how}", job.name));
        if let Some((_, total)) = &self.bars {
            total.inc(1);
        }
    }

    fn clear(&self) {
        if let Some((group, _)) = &self.bars {
            let _ = group.clear();
        }
    }
}
