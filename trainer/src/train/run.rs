//! The loop: epochs of steps, validation, checkpoints, and the run folder.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::Scores;
use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Position};
use super::loader::{self, HostBatch};
use super::sampling;
use super::settings::{Settings, SettingsError};
use super::step::{Batch, Learner};
use super::{TrainConfig, TrainError};
use crate::data::{DataError, DataErrorKind, Prepared, Split};
use crate::evaluate;
use crate::loss::one_hot;
use crate::network::{Freeze, Parameters, import};
use crate::plots::curves;

/// What a run tells while it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// The run starts or goes on.
    Started {
        /// Where it goes on.
        position: &'a Position,
        /// Steps of an epoch.
        steps: usize,
        /// Values that train.
        trainable: usize,
    },
    /// A step is done.
    Step {
        /// Epoch, from 0.
        epoch: usize,
        /// Steps done in it.
        step: usize,
        /// Steps of an epoch.
        steps: usize,
        /// Loss of the step.
        loss: f32,
        /// Images of the step.
        images: usize,
    },
    /// An epoch is done.
    Epoch(&'a EpochRecord),
}

/// The records of a run's epochs, beside its checkpoints.
const METRICS: &str = "metrics.jsonl";

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean training loss of its images.
    pub loss: f64,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// How long its training took, validation apart.
    pub seconds: f64,
    /// Training images per second.
    pub slices_per_second: f64,
    /// Share of the time that steps waited for their batch.
    pub waited_share: f64,
    /// Scores on the validation split; absent if it is empty.
    pub validation: Option<Scores>,
}

impl EpochRecord {
    /// The lines of a run folder's `metrics.jsonl`; none before the first epoch has ended.
    ///
    /// # Errors
    /// The file cannot be read, or a line is damaged: whoever went on without it would write the file anew and lose what it held.
    pub fn of(folder: &Path) -> Result<Vec<Self>, TrainError> {
        let path = folder.join(METRICS);
        let fail = |reason: String| TrainError::Folder {
            path: path.clone(),
            reason,
        };
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|e| fail(format!("the records cannot be read: {e}")))?,
        };
        let lines = text.lines().enumerate();
        let records = lines.map(|(at, line)| {
            serde_json::from_str(line).map_err(|e| {
                let line = at + 1;
                fail(format!(
                    "line {line} is damaged ({e}): mend it or take it out"
                ))
            })
        });
        records.collect()
    }
}

impl EpochRecord {
    /// Mean of kidney and tumour Dice (patient-weighted pooled) on the validation split: what decides
    /// which epoch is the best. A class that neither truth nor prediction shows does not count.
    pub fn score(&self) -> Option<f64> {
        let scores = self.validation.as_ref()?;
        let dice = [Class::Kidney, Class::Tumour].map(|class| scores.paper.get(class).dice);
        evaluate::extremes::mean(dice)
    }
}

/// How a run is executed, as opposed to what it computes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Devices that share every pass with the run's own; see [`crate::network::parallel`].
    pub more_devices: Vec<Device>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            checkpoint_every: Duration::from_mins(5),
            more_devices: Vec::new(),
        }
    }
}

/// A run folder with its settings.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    config: TrainConfig,
    data: Prepared,
}

impl Run {
    /// Makes a new run folder. It must not exist, or be empty.
    pub fn create(folder: &Path, config: TrainConfig, device: &str) -> Result<Self, TrainError> {
        let data = Prepared::open(&config.data)?;
        config.check_on(&data).map_err(SettingsError::from)?;
        if data.split(Split::Train).is_empty() {
            let text = "no slice of the prepared set is in its training split; change split.toml";
            return Err(TrainError::Config(text.into()));
        }
        config.loss(&data).map_err(TrainError::Config)?;
        let fail = |reason: String| TrainError::Folder {
            path: folder.into(),
            reason,
        };
        fs::create_dir_all(folder).map_err(|e| fail(format!("cannot be made: {e}")))?;
        let mut entries = fs::read_dir(folder).map_err(|e| fail(format!("cannot be read: {e}")))?;
        if entries.next().is_some() {
            return Err(fail(
                "is not empty; go on with --resume, or choose another folder".into(),
            ));
        }
        let versions = serde_json::json!({
            "nephrotrain": env!("CARGO_PKG_VERSION"), "burn": "0.22.1", "device": device,
            "split_hash": data.split_hash(),
        });
        evaluate::write_json(&folder.join("versions.json"), &versions)?;
        evaluate::write_json(&folder.join("fingerprint.json"), data.fingerprint())?;
        let path = folder.join("config.toml");
        let text = Settings::from(&config).to_toml();
        nephrobox_imaging::files::write(&path, text.as_bytes()).map_err(|e| TrainError::Write {
            path,
            reason: e.to_string(),
        })?;
        Ok(Self {
            folder: folder.into(),
            config,
            data,
        })
    }

    /// Opens a run folder to go on, evaluate or export. The prepared set must still be the one it
    /// was started on; `data` overrides where that lies.
    pub fn open(folder: &Path, data: Option<&Path>) -> Result<Self, TrainError> {
        let fail = |reason: String| TrainError::Folder {
            path: folder.into(),
            reason,
        };
        let path = folder.join("config.toml");
        if !path.is_file() {
            let reason = "config.toml is missing; is this a folder of `nephrotrain train`?";
            return Err(fail(reason.into()));
        }
        let config = Settings::read(&path)?.resolve()?;
        let data = Prepared::open(data.unwrap_or(&config.data))?;
        config.check_on(&data).map_err(SettingsError::from)?;
        let known: serde_json::Value = fs::read_to_string(folder.join("versions.json"))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .ok_or_else(|| fail("versions.json is missing or damaged; start a new run".into()))?;
        let fingerprint = fs::read_to_string(folder.join("fingerprint.json")).unwrap_or_default();
        let now = serde_json::to_value(data.fingerprint()).unwrap_or_default();
        let same_data =
            serde_json::from_str::<serde_json::Value>(&fingerprint).is_ok_and(|then| then == now);
        if !same_data || known["split_hash"] != data.split_hash() {
            let reason = format!(
                "was trained on other data or another split than {} now holds; restore them, or start a new run",
                data.folder().display()
            );
            return Err(fail(reason));
        }
        Ok(Self {
            folder: folder.into(),
            config,
            data,
        })
    }

    /// The settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The prepared set.
    pub fn data(&self) -> &Prepared {
        &self.data
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Path of the last or the best checkpoint.
    pub fn checkpoint(&self, which: &str) -> PathBuf {
        self.folder.join(format!("{which}.safetensors"))
    }

    /// Whether all epochs are done. The checkpoint decides: a kill can leave the last epoch's record without its state.
    pub fn is_finished(&self) -> Result<bool, TrainError> {
        let last = self.checkpoint("last");
        Ok(last.exists() && checkpoint::position(&last)?.epoch >= self.config.epochs)
    }

    /// What [`EpochRecord::of`] says of its folder.
    ///
    /// # Errors
    /// As there.
    pub fn records(&self) -> Result<Vec<EpochRecord>, TrainError> {
        EpochRecord::of(&self.folder)
    }

    /// Trains from where the folder stands to the last epoch. `on_event` may stop the run at any step,
    /// as a kill would: what is on disk stays, the rest is lost.
    pub fn train(
        &self,
        device: &Device,
        options: &Options,
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(), TrainError> {
        let config = &self.config;
        let graph = config.network().graph();
        let freeze = Freeze::before(&graph, &config.retrain_from, config.frozen_batch_norm)
            .map_err(|e| TrainError::Config(e.to_string()))?;
        let trainable = freeze.trainable_count(&graph);
        let last = self.checkpoint("last");
        let parameters = match &config.weights {
            Some(file) if !last.exists() => import::load(file, &graph, config.seed, device)?,
            _ => Parameters::initialise(&graph, config.seed, device),
        };
        let loss = config.loss(&self.data).map_err(TrainError::Config)?;
        let mut learner = Learner::new(graph, parameters, freeze, loss, config.adam(), device)
            .with_devices(&options.more_devices)
            .averaging(config.ema);
        let mut position = if last.exists() {
            checkpoint::load(&last, &mut learner, device)?
        } else {
            Position::default()
        };
        let mut records = self.records()?;
        records.retain(|r| r.epoch <= position.epoch);
        self.write_records(&records)?;
        let steps = sampling::order(&self.data, config, 0)
            .len()
            .div_ceil(config.batch);
        if on_event(Event::Started {
            position: &position,
            steps,
            trainable,
        })
        .is_break()
        {
            return Ok(());
        }
        let mut saved = Instant::now();
        while position.epoch < config.epochs {
            let going = std::thread::scope(|scope| {
                let batches =
                    loader::batches(scope, &self.data, config, position.epoch, position.step);
                let mut before = Instant::now();
                loop {
                    let Ok(batch) = batches.recv() else {
                        return Ok(ControlFlow::Continue(()));
                    };
                    position.waited += before.elapsed().as_secs_f64();
                    let rate = config.rate(
                        position.epoch * steps + position.step,
                        config.epochs * steps,
                    );
                    let images = batch.slices.len();
                    let loss = self.step(&mut learner, &batch, rate, &position)?;
                    position.step += 1;
                    position.images += images;
                    position.loss_sum += f64::from(loss) * images as f64;
                    position.seconds += before.elapsed().as_secs_f64();
                    before = Instant::now();
                    let event = Event::Step {
                        epoch: position.epoch,
                        step: position.step,
                        steps,
                        loss,
                        images,
                    };
                    if on_event(event).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    if saved.elapsed() >= options.checkpoint_every && position.step < steps {
                        checkpoint::save(&last, &learner, &position)?;
                        saved = Instant::now();
                    }
                }
            });
            let going: Result<ControlFlow<()>, TrainError> = going;
            if going?.is_break() {
                return Ok(());
            }
            let record = self.finish_epoch(&learner, &position, steps, device)?;
            let score = record.score();
            let is_best = score.is_some_and(|s| position.best.is_none_or(|(best, _)| s > best));
            let best = if is_best {
                score.map(|s| (s, record.epoch))
            } else {
                position.best
            };
            position = Position {
                epoch: position.epoch + 1,
                best,
                ..Position::default()
            };
            if is_best {
                checkpoint::save(&self.checkpoint("best"), &learner, &position)?;
            }
            records.push(record);
            // The record comes first: a kill between the two repeats an epoch and its line is dropped.
            self.write_records(&records)?;
            checkpoint::save(&last, &learner, &position)?;
            saved = Instant::now();
            curves::draw(&self.folder.join("curves.png"), &records)?;
            if on_event(Event::Epoch(&records[records.len() - 1])).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Refuses labels that are none. They come from a file that the disk may have damaged since it was prepared, and would count as pixels of
    /// another class or image.
    fn check_labels(&self, batch: &HostBatch) -> Result<(), TrainError> {
        let pixels = batch.side * batch.side;
        let mut images = batch.slices.iter().zip(batch.labels.chunks(pixels));
        let damaged = images.find(|(_, labels)| {
            labels
                .iter()
                .any(|&label| usize::from(label) >= Class::COUNT)
        });
        let Some((&index, _)) = damaged else {
            return Ok(());
        };
        let what = format!("{} has labels that are none", self.data.name(index));
        let remedy = "its disk has damaged the set: check it, and run `nephrotrain prepare` with another --out";
        let kind = DataErrorKind::Damaged;
        Err(DataError::new(kind, self.data.folder(), what, remedy).into())
    }

    /// One step; a loss that is no number changes nothing and ends the run.
    fn step(
        &self,
        learner: &mut Learner,
        batch: &HostBatch,
        rate: f64,
        position: &Position,
    ) -> Result<f32, TrainError> {
        self.check_labels(batch)?;
        let outcome = {
            // Statistics move in a pass, so a bad batch must be undone whole.
            let before = learner.parameters.clone();
            let device = learner.device().clone();
            let parts = batch.parts(self.config.accumulate.passes());
            let parts = parts.map(|part| on_device(&part, &self.config, &device));
            let outcome = learner.pass_in_parts(batch.slices.len(), parts);
            let loss = outcome.loss.clone().into_scalar::<f32>();
            if !loss.is_finite() {
                learner.parameters = before;
                let kept = self.checkpoint("last");
                checkpoint::save(&kept, learner, position)?;
                let names: Vec<String> = batch.slices.iter().map(|&i| self.data.name(i)).collect();
                return Err(TrainError::NonFinite {
                    loss,
                    epoch: position.epoch + 1,
                    step: position.step + 1,
                    slices: names.join(", "),
                    kept,
                });
            }
            outcome
        };
        let loss = outcome.loss.into_scalar::<f32>();
        learner.apply(outcome.gradients, rate);
        Ok(loss)
    }

    fn finish_epoch(
        &self,
        learner: &Learner,
        position: &Position,
        steps: usize,
        device: &Device,
    ) -> Result<EpochRecord, TrainError> {
        let slices = self.data.split(Split::Validation);
        let validation = if slices.is_empty() {
            None
        } else {
            let judged = learner.judged();
            let mut executor =
                evaluate::executor(learner.graph(), judged, &self.data, &self.config, device)?;
            Some(evaluate::evaluate(&self.data, slices, &mut executor, |_, _| {})?.scores())
        };
        Ok(EpochRecord {
            epoch: position.epoch + 1,
            loss: position.loss_sum / position.images.max(1) as f64,
            learning_rate: self
                .config
                .rate((position.epoch + 1) * steps - 1, self.config.epochs * steps),
            seconds: position.seconds,
            slices_per_second: position.images as f64 / position.seconds.max(1e-9),
            waited_share: position.waited / position.seconds.max(1e-9),
            validation,
        })
    }

    fn write_records(&self, records: &[EpochRecord]) -> Result<(), TrainError> {
        let path = self.folder.join(METRICS);
        let fail = |e: &dyn std::fmt::Display| TrainError::Write {
            path: path.clone(),
            reason: e.to_string(),
        };
        let mut text = Vec::new();
        for record in records {
            serde_json::to_writer(&mut text, record).map_err(|e| fail(&e))?;
            writeln!(text).map_err(|e| fail(&e))?;
        }
        nephrobox_imaging::files::write(&path, &text).map_err(|e| fail(&e))
    }
}

/// A host batch as tensors: pixels scaled, channels repeated unless neighbours fill them.
fn on_device(batch: &HostBatch, config: &TrainConfig, device: &Device) -> Batch {
    let (n, side) = (batch.slices.len(), batch.side);
    let images: Tensor<4> = Tensor::from_data(
        TensorData::new(batch.images.clone(), [n, batch.planes, side, side]),
        device,
    );
    Batch {
        images: images
            .mul_scalar(f64::from(config.input_scale))
            .repeat_dim(1, config.channels / batch.planes),
        truth: one_hot(&batch.labels, [n, side, side], device),
        weights: Tensor::from_data(TensorData::new(batch.weights.clone(), [n]), device),
    }
}
