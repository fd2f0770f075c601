//! What finished jobs found, by experiment and value.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::{Scores, Spread};
use serde::Deserialize;

use super::design::Experiment;
use super::job::JobFolder;
use super::paper::Metric;
use super::plan::{Choose, Job, Plan, Slot};

/// A finished run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Number of its job.
    pub number: usize,
    /// Folder of its evaluation.
    pub folder: PathBuf,
    /// Its scores.
    pub scores: Scores,
    /// Its confusion matrix, weighted by patient; rows are the truth.
    pub confusion: [[f64; Class::COUNT]; Class::COUNT],
}

/// What is read of `metrics.json`.
#[derive(Deserialize)]
struct Metrics {
    scores: Scores,
    confusion_patient_weighted: [[f64; Class::COUNT]; Class::COUNT],
}

/// All runs of one value.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its experiment.
    pub experiment: Experiment,
    /// Name of the value.
    pub name: &'static str,
    /// How tables head it.
    pub label: &'static str,
    /// Its finished runs.
    pub runs: Vec<Outcome>,
    /// If they are another value's runs: which.
    pub same_as: Option<String>,
}

impl Column {
    /// A metric over the runs in percent, undefined ones left out.
    pub fn spread(&self, metric: Metric, class: Class) -> Spread {
        let mut spread = Spread::new();
        for value in self.each(metric, class) {
            spread.push(value);
        }
        spread
    }

    /// The metric of each run in percent.
    pub fn each(&self, metric: Metric, class: Class) -> Vec<f64> {
        let of = |run: &Outcome| metric.of(run.scores.paper.get(class)).map(|v| 100.0 * v);
        self.runs.iter().filter_map(of).collect()
    }

    /// Mean of kidney and tumour Dice, percent; undefined counts as 0. Decides where results choose.
    fn merit(&self) -> f64 {
        [Class::Kidney, Class::Tumour]
            .map(|c| self.spread(Metric::Dice, c).mean().unwrap_or(0.0))
            .iter()
            .sum::<f64>()
            / 2.0
    }
}

/// A job that is not finished.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// Name of its folder.
    pub name: String,
    /// How it stands.
    pub why: String,
}

/// What there is of a plan's results.
#[derive(Clone, Debug)]
pub struct Results {
    /// A column for each value of each experiment that is planned.
    pub columns: Vec<Column>,
    /// The jobs that are not finished.
    pub missing: Vec<Missing>,
    /// How many are.
    pub finished: usize,
    /// The value each experiment hands on, as far as it is known.
    pub choices: BTreeMap<Experiment, &'static str>,
    /// A folder of pictures of a finished final run, if there is one.
    pub examples: Option<PathBuf>,
}

impl Results {
    /// Reads the finished jobs of the plan in `root`.
    pub fn read(root: &Path, plan: &Plan) -> Self {
        let mut choices = BTreeMap::new();
        for experiment in Experiment::ALL {
            let choice = if plan.choose == Choose::Paper || plan.part(experiment).is_none() {
                Some(experiment.papers_choice())
            } else {
                let (columns, missing) =
                    columns(root, plan, &|e| choices.get(&e).copied(), Some(experiment));
                let best =
                    |best: Option<&Column>, c: &Column| best.is_none_or(|b| c.merit() > b.merit());
                let mut found: Option<&Column> = None;
                for column in &columns {
                    if best(found, column) {
                        found = Some(column);
                    }
                }
                found.filter(|_| missing.is_empty()).map(|c| c.name)
            };
            let Some(choice) = choice else { break };
            choices.insert(experiment, choice);
        }
        let (columns, missing) = columns(root, plan, &|e| choices.get(&e).copied(), None);
        let own = plan.own_jobs(&|e| choices.get(&e).copied()).len();
        let last = columns
            .iter()
            .rev()
            .find(|c| c.experiment == Experiment::Final);
        let examples = last
            .and_then(|c| c.runs.first())
            .map(|run| run.folder.clone());
        Self {
            finished: own - missing.len(),
            columns,
            missing,
            choices,
            examples,
        }
    }

    /// The columns of an experiment.
    pub fn of(&self, experiment: Experiment) -> impl Iterator<Item = &Column> {
        self.columns
            .iter()
            .filter(move |c| c.experiment == experiment)
    }

    /// The value an experiment hands on, if it is known.
    pub fn choice(&self, experiment: Experiment) -> Option<&'static str> {
        self.choices.get(&experiment).copied()
    }
}

/// The columns of all or one experiment, and the unfinished jobs among them.
fn columns(
    root: &Path,
    plan: &Plan,
    choice: &impl Fn(Experiment) -> Option<&'static str>,
    only: Option<Experiment>,
) -> (Vec<Column>, Vec<Missing>) {
    let slots = plan.slots(choice);
    let own: BTreeMap<usize, &Job> = slots
        .iter()
        .filter_map(|(_, slot)| match slot {
            Slot::Own(job) => Some((job.number, job)),
            Slot::Same { .. } => None,
        })
        .collect();
    let (mut columns, mut missing): (Vec<Column>, Vec<Missing>) = (Vec::new(), Vec::new());
    for ((experiment, name, _), slot) in &slots {
        if only.is_some_and(|only| only != *experiment) {
            continue;
        }
        let (number, same) = match slot {
            Slot::Own(job) => (job.number, false),
            Slot::Same { number } => (*number, true),
        };
        let Some(job) = own.get(&number) else {
            continue;
        };
        let found = outcome(root, job);
        if let Err(why) = &found
            && (!same || only.is_some())
        {
            missing.push(Missing {
                name: job.name.clone(),
                why: why.clone(),
            });
        }
        if columns
            .last()
            .is_none_or(|c| c.name != *name || c.experiment != *experiment)
        {
            let label = experiment
                .values()
                .iter()
                .find(|v| v.name == *name)
                .map_or(*name, |v| v.label);
            let same_as = same.then(|| format!("{} {}", job.experiment, job.value.label));
            columns.push(Column {
                experiment: *experiment,
                name,
                label,
                runs: Vec::new(),
                same_as,
            });
        }
        if let (Some(column), Ok(outcome)) = (columns.last_mut(), found) {
            column.runs.push(outcome);
        }
    }
    (columns, missing)
}

/// What a finished job found, or how an unfinished one stands.
pub fn outcome(root: &Path, job: &Job) -> Result<Outcome, String> {
    let folder = JobFolder::new(root, job);
    if folder.done().is_none() {
        let attempts = folder.attempts();
        return Err(
            match (attempts.error, attempts.count, folder.last_epoch()) {
                (Some(error), n, _) => {
                    format!("failed, attempt {n}: {}", error.replace('\n', "; "))
                }
                (None, 0, _) => "not started".into(),
                (None, _, None) => "started, no epoch finished yet".into(),
                (None, _, Some(record)) => {
                    format!("under way or interrupted after epoch {}", record.epoch)
                }
            },
        );
    }
    let evaluation = evaluation_folder(&folder, job);
    let path = evaluation.join("metrics.json");
    let text =
        fs::read_to_string(&path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    let Metrics {
        scores,
        confusion_patient_weighted,
    } = serde_json::from_str(&text).map_err(|e| {
        format!(
            "{} is damaged: {e}; delete done.toml beside `run` and run the job again",
            path.display()
        )
    })?;
    Ok(Outcome {
        number: job.number,
        folder: evaluation,
        scores,
        confusion: confusion_patient_weighted,
    })
}

/// Where a job's evaluation lies.
pub fn evaluation_folder(folder: &JobFolder, job: &Job) -> PathBuf {
    folder
        .run()
        .join(format!("evaluation-{}", job.experiment.split()))
}
