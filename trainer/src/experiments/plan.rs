//! The plan: which settings are tried, and the jobs that follow from it.
//!
//! `plan.toml` in the experiments' folder is all there is to know; jobs are derived from it, the same on every machine. Its
//! paths are relative to the folder where that is possible.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::design::{self, Experiment, Value};
use super::{ExperimentError, write};
use crate::augment::{Augmentation, PRESETS};
use crate::data::{Prepared, Split};
use crate::network::{Encoder, Freeze};
use crate::train::{AugmentChoice, Settings, SettingsError};

/// Name of the plan's file.
pub const FILE: &str = "plan.toml";
/// Of this form.
const FORMAT: u32 = 1;

/// Which value an experiment hands on to those after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Choose {
    /// The one the paper chose.
    #[default]
    Paper,
    /// The one with the highest mean of kidney and tumour Dice found here.
    Results,
}

/// An experiment as far as it is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which.
    pub experiment: Experiment,
    /// Epochs of each run.
    pub epochs: usize,
    /// Names of the values tried.
    pub values: Vec<String>,
    /// Values the paper tried and this plan cannot, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, String>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// Form of this file.
    format: u32,
    /// BLAKE3 over what the prepared set was made from.
    pub fingerprint: String,
    /// Hash of its split.
    pub split_hash: String,
    /// Patients of its training, validation and test parts.
    pub patients: [usize; 3],
    /// Runs of each setting.
    pub repeats: usize,
    /// Whose choice an experiment hands on.
    pub choose: Choose,
    /// Whether settings that come up twice are trained once.
    pub reuse: bool,
    /// Seed of the first repeat; the others follow.
    pub seed: u64,
    /// One encoder for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_encoder: Option<Encoder>,
    /// What to do.
    pub parts: Vec<Part>,
    /// Weights each encoder starts from.
    #[serde(default)]
    pub weights: BTreeMap<String, PathBuf>,
    /// Settings all runs share and no experiment varies; `data` among them.
    pub shared: Settings,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its number, from 1, if it is trained for itself.
    pub number: usize,
    /// Its folder's name in `jobs/`.
    pub name: String,
    /// What it belongs to.
    pub experiment: Experiment,
    /// The value it tries.
    pub value: &'static Value,
    /// Which repeat, from 1.
    pub repeat: usize,
}

/// A setting's run, or the job that is the same.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot {
    /// A job of its own.
    Own(Job),
    /// The same as the job of that number.
    Same {
        /// Its number.
        number: usize,
    },
}

/// What a caller of [`Plan::new`] decides.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Runs of each setting.
    pub repeats: usize,
    /// Epochs of the experiments.
    pub epochs: usize,
    /// Epochs of the final model.
    pub final_epochs: usize,
    /// Which experiments; all if none.
    pub only: Vec<Experiment>,
    /// Which values of them, by name; the paper's where none is named.
    pub values: Vec<(Experiment, Vec<String>)>,
    /// Whose choice is handed on.
    pub choose: Choose,
    /// Train settings that come up twice once.
    pub reuse: bool,
    /// Weights of encoders.
    pub weights: Vec<(Encoder, PathBuf)>,
    /// Settings of all runs.
    pub shared: Settings,
}

impl Plan {
    /// Makes a plan for the experiments' folder `folder`.
    pub fn new(folder: &Path, request: Request) -> Result<Self, ExperimentError> {
        let no = |text: String| Err(ExperimentError::Plan(text));
        let mut shared = request.shared;
        let varied = [
            ("loss", shared.loss.is_some()),
            ("gamma", shared.gamma.is_some()),
            ("augment-share", shared.augment_share.is_some()),
            ("retrain-from", shared.retrain_from.is_some()),
        ];
        if let Some((key, _)) = varied.iter().find(|(_, given)| *given) {
            return no(format!(
                "--{key} is what the experiments vary; choose with --only and --values instead"
            ));
        }
        if request.repeats == 0 || request.epochs == 0 || request.final_epochs == 0 {
            return no("--repeats, --epochs and --final-epochs must be at least 1".into());
        }
        let Some(data) = shared.data.clone() else {
            return no("no training set is given: name one with --data".into());
        };
        let prepared = Prepared::open(&data)?;
        shared.augment = shared.augment.map(written_out).transpose()?;
        let only_encoder = shared.encoder.take();
        let seed = shared.seed.take().unwrap_or(crate::data::DEFAULT_SEED);
        shared.epochs = None;
        let mut weights: BTreeMap<String, PathBuf> = BTreeMap::new();
        for (encoder, file) in &request.weights {
            weights.insert(encoder.to_string(), relative(folder, file)?);
        }
        if let Some(file) = shared.weights.take() {
            let Some(encoder) = only_encoder else {
                return no("--weights fits one encoder: give --encoder too, or --encoder-weights ENCODER=FILE for each".into());
            };
            weights.insert(encoder.to_string(), relative(folder, &file)?);
        }
        let mut plan = Self {
            format: FORMAT,
            fingerprint: prepared.fingerprint().overall.clone(),
            split_hash: prepared.split_hash().to_owned(),
            patients: patients(&prepared),
            repeats: request.repeats,
            choose: request.choose,
            reuse: request.reuse,
            seed,
            only_encoder,
            parts: Vec::new(),
            weights,
            shared,
        };
        for experiment in Experiment::ALL {
            if !request.only.is_empty() && !request.only.contains(&experiment) {
                continue;
            }
            let asked = request.values.iter().find(|(e, _)| *e == experiment);
            let values = chosen_values(experiment, asked.map(|(_, v)| v.as_slice()), only_encoder)?;
            let mut part = Part {
                experiment,
                epochs: if experiment == Experiment::Final {
                    request.final_epochs
                } else {
                    request.epochs
                },
                values: Vec::new(),
                left_out: BTreeMap::new(),
            };
            for value in values {
                match plan.impossible(experiment, value, &prepared)? {
                    Some(reason) => {
                        part.left_out.insert(value.name.to_owned(), reason);
                    }
                    None => part.values.push(value.name.to_owned()),
                }
            }
            for split in [Split::Train, experiment.split()] {
                if prepared.split(split).is_empty() {
                    return no(format!(
                        "the {split} split of {} has no slices, which the experiment `{experiment}` needs; edit its split.toml",
                        data.display()
                    ));
                }
            }
            plan.parts.push(part);
        }
        plan.shared.data = Some(relative(folder, &data)?);
        Ok(plan)
    }

    /// Why a value cannot be tried: the network it meets lacks the layer. Settings that cannot work at all are an error.
    fn impossible(
        &self,
        experiment: Experiment,
        value: &Value,
        data: &Prepared,
    ) -> Result<Option<String>, ExperimentError> {
        let mut settings = self
            .at(experiment, &|e| Some(e.papers_choice()), value, 1)
            .unwrap_or_default();
        settings.data = Some(data.folder().to_owned());
        let config = settings.resolve().map_err(|e| plan_fault(&e))?;
        config
            .check_on(data)
            .map_err(|e| ExperimentError::Plan(e.to_string()))?;
        let graph = config.network().graph();
        let freeze = Freeze::before(&graph, &config.retrain_from, config.frozen_batch_norm);
        Ok(freeze
            .err()
            .map(|_| format!("{} has no such layer", config.encoder)))
    }

    /// The settings of a run, paths as in the plan; `None` while an earlier experiment's choice is open.
    pub fn at(
        &self,
        experiment: Experiment,
        choice: &impl Fn(Experiment) -> Option<&'static str>,
        value: &Value,
        repeat: usize,
    ) -> Option<Settings> {
        let mut settings = design::start();
        settings.encoder = self.only_encoder.or(settings.encoder);
        for earlier in Experiment::ALL.into_iter().filter(|e| *e < experiment) {
            let name = choice(earlier)?;
            if let Some(value) = earlier.values().iter().find(|v| v.name == name) {
                value.change.apply(&mut settings);
            }
            settings.encoder = self.only_encoder.or(settings.encoder);
        }
        value.change.apply(&mut settings);
        settings.epochs = self.part(experiment).map(|p| p.epochs).or(Some(1));
        let apart = if self.reuse {
            0
        } else {
            100 * experiment as u64
        };
        settings.seed = Some(self.seed + apart + repeat as u64 - 1);
        if let Some(file) = settings.encoder.and_then(|e| self.weights.get(e.name())) {
            settings.weights = Some(file.clone());
            // Channels and input scale follow from the file, see `train::pretrained`.
        }
        Some(self.shared.clone().over(settings))
    }

    /// The part that does an experiment.
    pub fn part(&self, experiment: Experiment) -> Option<&Part> {
        self.parts.iter().find(|p| p.experiment == experiment)
    }

    /// All runs in order, whatever is the same as an earlier one.
    fn runs(&self) -> impl Iterator<Item = (Experiment, &'static Value, usize)> + '_ {
        self.parts.iter().flat_map(move |part| {
            let values = part.experiment.values().iter();
            let tried = values.filter(|v| part.values.iter().any(|name| name == v.name));
            tried.flat_map(move |value| {
                (1..=self.repeats).map(move |repeat| (part.experiment, value, repeat))
            })
        })
    }

    /// Every run's slot, keyed by (experiment, value, repeat), as far as `choice` is known. With the paper's choices what is
    /// the same is known beforehand and has no number; with those of the results every run has one.
    pub fn slots(
        &self,
        choice: &impl Fn(Experiment) -> Option<&'static str>,
    ) -> Vec<((Experiment, &'static str, usize), Slot)> {
        let mut seen: Vec<(Settings, Split, usize)> = Vec::new();
        let mut number = 0;
        let mut slots = Vec::new();
        for (experiment, value, repeat) in self.runs() {
            let key = (experiment, value.name, repeat);
            let settings = self
                .at(experiment, choice, value, repeat)
                .filter(|_| self.reuse);
            let split = experiment.split();
            let same = settings.as_ref().and_then(|s| {
                seen.iter()
                    .find(|(other, part, _)| other == s && *part == split)
                    .map(|(_, _, number)| *number)
            });
            if same.is_none() || self.choose == Choose::Results {
                number += 1;
            }
            if let Some(same) = same {
                slots.push((key, Slot::Same { number: same }));
                continue;
            }
            if let Some(settings) = settings {
                seen.push((settings, split, number));
            }
            let name = format!("{number:03}-{experiment}-{}-r{repeat}", value.name);
            slots.push((
                key,
                Slot::Own(Job {
                    number,
                    name,
                    experiment,
                    value,
                    repeat,
                }),
            ));
        }
        slots
    }

    /// The highest job number.
    pub fn last_number(&self) -> usize {
        match self.choose {
            Choose::Results => self.runs().count(),
            Choose::Paper => self.own_jobs(&papers_choice).len(),
        }
    }

    /// The jobs that are trained for themselves.
    pub fn own_jobs(&self, choice: &impl Fn(Experiment) -> Option<&'static str>) -> Vec<Job> {
        let own = |slot| match slot {
            Slot::Own(job) => Some(job),
            Slot::Same { .. } => None,
        };
        self.slots(choice)
            .into_iter()
            .filter_map(|(_, slot)| own(slot))
            .collect()
    }

    /// Writes the plan into `folder`, over one that is there; `experiments plan` refuses such a folder beforehand.
    pub fn save(&self, folder: &Path) -> Result<(), ExperimentError> {
        let path = folder.join(FILE);
        let head = "# Experiments as `nephrotrain experiments plan` laid them out. The jobs' numbers follow from this file:\n\
                    # make a new plan in another folder rather than change it.\n";
        let text = toml::to_string(self).map_err(|e| ExperimentError::file(&path, e))?;
        std::fs::create_dir_all(folder)
            .map_err(|e| ExperimentError::file(folder, format!("cannot be made: {e}")))?;
        write(&path, &format!("{head}{text}"))
    }

    /// Reads the plan of an experiments' folder.
    pub fn open(folder: &Path) -> Result<Self, ExperimentError> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|e| {
            ExperimentError::file(
                &path,
                format!("cannot be read: {e}; make a plan with `nephrotrain experiments plan`"),
            )
        })?;
        let plan: Self = toml::from_str(&text).map_err(|e| {
            ExperimentError::file(&path, format!("is no plan: {}", e.to_string().trim_end()))
        })?;
        if plan.format != FORMAT {
            let reason = format!(
                "has the form {}, this program knows {FORMAT}; use the program that made it",
                plan.format
            );
            return Err(ExperimentError::file(&path, reason));
        }
        let known = plan.parts.iter().all(|part| {
            let names: Vec<_> = part.experiment.values().iter().map(|v| v.name).collect();
            part.values.iter().all(|v| names.contains(&v.as_str()))
        });
        if !known {
            return Err(ExperimentError::file(
                &path,
                "names a value that no experiment has; make the plan anew",
            ));
        }
        Ok(plan)
    }

    /// Opens the prepared set, at `data` or where the plan has it, and refuses another than was planned for.
    pub fn data(&self, folder: &Path, data: Option<&Path>) -> Result<Prepared, ExperimentError> {
        let planned = folder.join(self.shared.data.as_deref().unwrap_or(Path::new(".")));
        let prepared = Prepared::open(data.unwrap_or(&planned))?;
        if prepared.fingerprint().overall != self.fingerprint
            || prepared.split_hash() != self.split_hash
        {
            let reason = "is not the prepared set or not the split that was planned for; \
                          restore it, name it with --data, or make a new plan";
            return Err(ExperimentError::file(prepared.folder(), reason));
        }
        Ok(prepared)
    }
}

/// The paper's choice, always known.
#[allow(clippy::unnecessary_wraps)] // the signature of a choice
pub fn papers_choice(experiment: Experiment) -> Option<&'static str> {
    Some(experiment.papers_choice())
}

/// An augmentation from a file as its steps: jobs run in other folders, and the file may change or stay behind.
fn written_out(choice: AugmentChoice) -> Result<AugmentChoice, ExperimentError> {
    match choice {
        AugmentChoice::Named(name) if PRESETS.iter().all(|(preset, _)| *preset != name) => {
            let read = Augmentation::named(&name, 1.0);
            read.map(|file| AugmentChoice::Steps(file.steps))
                .map_err(|e| ExperimentError::Plan(e.to_string()))
        }
        other => Ok(other),
    }
}

fn plan_fault(error: &SettingsError) -> ExperimentError {
    ExperimentError::Plan(error.to_string())
}

/// Patients with slices in the training, validation and test parts.
fn patients(data: &Prepared) -> [usize; 3] {
    Split::ALL.map(|split| {
        let cases: std::collections::BTreeSet<_> = data
            .split(split)
            .iter()
            .map(|&i| data.meta(i).case)
            .collect();
        cases.len()
    })
}

/// The values of an experiment: those asked for, or the paper's.
fn chosen_values(
    experiment: Experiment,
    asked: Option<&[String]>,
    only: Option<Encoder>,
) -> Result<Vec<&'static Value>, ExperimentError> {
    let all = experiment.values();
    match (asked, only) {
        (Some(names), _) => names
            .iter()
            .map(|name| {
                all.iter().find(|v| v.name == name).ok_or_else(|| {
                    let known: Vec<_> = all.iter().map(|v| v.name).collect();
                    ExperimentError::Plan(format!(
                        "the experiment `{experiment}` has no value `{name}`; it has {}",
                        known.join(", ")
                    ))
                })
            })
            .collect(),
        (None, Some(encoder)) if experiment == Experiment::Encoder => {
            Ok(all.iter().filter(|v| v.name == encoder.name()).collect())
        }
        (None, _) => Ok(all.iter().filter(|v| !v.extra).collect()),
    }
}

/// `path` seen from `folder`; as it is, made absolute, if they have nothing but the root in common.
fn relative(folder: &Path, path: &Path) -> Result<PathBuf, ExperimentError> {
    let absolute = |p: &Path| std::path::absolute(p).map_err(|e| ExperimentError::file(p, e));
    let (folder, path) = (absolute(folder)?, absolute(path)?);
    let from: Vec<Component<'_>> = folder.components().collect();
    let to: Vec<Component<'_>> = path.components().collect();
    let dotted = |p: &[Component<'_>]| p.contains(&Component::ParentDir);
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if shared < 2 || dotted(&from) || dotted(&to) {
        return Ok(path);
    }
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - shared);
    Ok(up.chain(to[shared..].iter().copied()).collect())
}

#[cfg(test)]
mod tests;
