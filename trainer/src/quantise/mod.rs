//! A trained network as a program for 8-bit integers, calibrated, compared with the float network, and only written if it is as good.
//!
//! ```text
//! run ─► program ─► rewrite (norms folded, sums of convolutions, four phases)
//!           calibration slices ─► channels equalised, by several strengths
//!                              ─► magnitudes at every rounding ─► a grid for each, by several estimators
//!           comparison slices  ─► strength and estimator with the least error of the logits; biases corrected if that helps
//!           validation, test   ─► float and integers scored; refused if a class falls
//! ```
//!
//! Weights have one scale for each output channel, values one for the whole tensor. The residual stream and the weights that read
//! the image keep 16 bits.

mod calibrate;
mod choice;
mod correct;
mod equalise;
mod gate;
mod histogram;
mod self_test;
mod table;

use std::fmt;

use nephrobox_engine::executor::{self, Sharing};
use nephrobox_engine::model::LogitsModel;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{Op, Program, Rewrites, Tensors, ValueId, quantised, rewrite};
use nephrobox_shared::package::{Calibration, Input, KeyValue, Manifest, TestScores};

pub use calibrate::{Estimator, Grids};
pub use gate::{Drop, Judged, Judgement};
pub use table::Layer;
use table::layers;

use crate::data::{Prepared, Split};
use crate::train::{Run, TrainError};

/// How far channels are equalised: all of these are compared.
const STRENGTHS: [f32; 4] = [0.0, 0.5, 0.75, 1.0];

/// What may be chosen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Slices of training patients that are looked at: half to calibrate on, half to compare settings with.
    pub slices: u32,
    /// Seed of their choice.
    pub seed: u64,
    /// The estimator; all are compared if `None`.
    pub estimator: Option<Estimator>,
    /// Whether biases are corrected; both are compared if `None`.
    pub correct_bias: Option<bool>,
    /// Slices in the package's self-test.
    pub self_test: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            slices: 96,
            seed: 1,
            estimator: None,
            correct_bias: None,
            self_test: 2,
        }
    }
}

/// What is told while it works.
pub enum Told<'a> {
    /// A sentence about what comes next.
    Step(String),
    /// Signal-to-noise ratio of the logits, in dB, with these settings.
    Tried(&'a str, f64),
}

/// A quantised network and what was found on the way.
pub struct Quantised {
    /// The model, scored, with its self-test. Its manifest does not yet say whether a drop was allowed.
    pub model: Model,
    /// Every place where numbers are rounded.
    pub layers: Vec<Layer>,
    /// Scores of float and integers on validation and test.
    pub judgement: Judgement,
}

/// Quantises `float`, the model of `run` in f32.
pub fn quantise(
    run: &Run,
    float: &Model,
    settings: &Settings,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Quantised, TrainError> {
    let data = run.data();
    let [calibration, comparison] = choice::choose(data, settings.slices as usize, settings.seed);
    if comparison.is_empty() {
        return Err(TrainError::Config(format!(
            "calibration needs at least two slices of training patients, and {} has {}; prepare more, or raise --slices",
            data.folder().display(),
            calibration.len()
        )));
    }
    let (program, tensors) = rewrite(
        float.program(),
        float.tensors().clone(),
        Rewrites {
            phases: true,
            repeated: true,
        },
    )
    .map_err(network)?;
    let plain = Job {
        data,
        manifest: float.manifest(),
        side: data.side(),
        program,
        tensors,
    };
    tell(Told::Step(format!(
        "calibrating on {} slices of training patients",
        calibration.len()
    )));
    let wanted = plain.float_logits(&comparison)?;
    let channels = equalise::largest(&plain, &calibration)?;
    let mut best: Option<(Candidate, Job<'_>)> = None;
    for strength in STRENGTHS {
        let tensors = equalise::equalise(&plain.program, &plain.tensors, &channels, strength)?;
        let job = plain.with(plain.program.clone(), tensors);
        let seen = calibrate::observe(&job, &calibration)?;
        for estimator in Estimator::ALL {
            if settings.estimator.is_some_and(|only| only != estimator) {
                continue;
            }
            let how = How {
                strength,
                estimator,
                corrected: false,
            };
            let mut candidate = Candidate::new(&job, seen.grids(estimator), how)?;
            candidate.compare(&job, &comparison, &wanted)?;
            tell(Told::Tried(&how.to_string(), candidate.decibels));
            if best
                .as_ref()
                .is_none_or(|(best, _)| candidate.decibels > best.decibels)
            {
                best = Some((
                    candidate,
                    job.with(job.program.clone(), job.tensors.clone()),
                ));
            }
        }
    }
    let Some((mut best, mut job)) = best else {
        unreachable!("there is an estimator, and it was tried")
    };
    if settings.correct_bias != Some(false) {
        let (program, tensors) = correct::biases(&job, &calibration, &best.grids)?;
        let corrected_job = job.with(program, tensors);
        let how = How {
            corrected: true,
            ..best.how
        };
        let mut corrected = Candidate::new(&corrected_job, best.grids.clone(), how)?;
        corrected.compare(&job, &comparison, &wanted)?;
        tell(Told::Tried(&how.to_string(), corrected.decibels));
        if settings.correct_bias == Some(true) || corrected.decibels > best.decibels {
            (best, job) = (corrected, corrected_job);
        }
    }
    tell(Told::Step("measuring every layer".into()));
    let layers = layers(&job, &best.model, &best.grids, &comparison)?;
    let record = Calibration {
        method:
            "static, 8 bits: weights by output channel, values by tensor, residual stream 16 bits"
                .into(),
        slices: (calibration.len() + comparison.len()) as u32,
        dataset_fingerprint: data.fingerprint().overall.clone(),
        parameters: best.parameters(settings, data, &calibration, &comparison),
    };
    let manifest = Manifest {
        calibration: Some(record),
        ..best.model.manifest().clone()
    };
    let model = best.model.with_manifest(manifest).map_err(network)?;
    tell(Told::Step(
        "scoring float and integers on validation and test".into(),
    ));
    let judgement = gate::judge(data, float, &model, tell)?;
    let manifest = Manifest {
        scores: TestScores {
            float: judgement.test().map(|j| j.float),
            int8: judgement.test().map(|j| j.int8),
        },
        self_test: self_test::slices(&model, settings.self_test as usize)?,
        ..model.manifest().clone()
    };
    Ok(Quantised {
        model: model.with_manifest(manifest).map_err(network)?,
        layers,
        judgement,
    })
}

fn network(error: impl std::fmt::Display) -> TrainError {
    TrainError::Network(error.to_string())
}

/// A model as it runs on this machine's CPU, with all threads on one slice.
fn started(model: Model) -> Result<Box<dyn LogitsModel + Send>, TrainError> {
    let settings = executor::Settings {
        device: "cpu".to_owned(),
        threads: Some(rayon::current_num_threads()),
        sharing: Sharing::OneSlice,
        ..executor::Settings::default()
    };
    let running = executor::start_with(model, &settings, &mut |_| ()).map_err(network)?;
    let mut models = running.models.into_iter();
    Ok(models.next().expect("a model that runs has a copy of it"))
}

/// What every part of the work needs.
struct Job<'a> {
    data: &'a Prepared,
    /// What the float model's package says.
    manifest: &'a Manifest,
    side: usize,
    /// The rewritten float program.
    program: Program,
    tensors: Tensors,
}

impl<'a> Job<'a> {
    /// The same work on another program.
    fn with(&self, program: Program, tensors: Tensors) -> Job<'a> {
        Job {
            program,
            tensors,
            ..*self
        }
    }

    /// The convolutions that read the image: their sums cancel, so their weights get 16 bits.
    fn wide(&self) -> Vec<ValueId> {
        let convolution = |op: &&Op| matches!(op, Op::Conv2d { .. });
        let reads_image = |op: &&Op| {
            op.inputs().any(|input| {
                let maker = self.program.ops.iter().find(|op| op.output() == input);
                maker.is_none_or(|op| op.inputs().all(|input| input == ValueId::INPUT))
            })
        };
        let convolutions = self
            .program
            .ops
            .iter()
            .filter(convolution)
            .filter(reads_image);
        convolutions.map(Op::output).collect()
    }

    /// Logits of some slices in floating point.
    fn float_logits(&self, slices: &[u32]) -> Result<Vec<Vec<f32>>, TrainError> {
        let mut float = calibrate::float(self, &self.program, &self.tensors)?;
        let logits = |&index: &u32| float.logits(self.data.image(index), 1).map_err(network);
        slices.iter().map(logits).collect()
    }
}

/// How a program was quantised.
#[derive(Clone, Copy, Debug)]
struct How {
    /// How far channels were equalised.
    strength: f32,
    estimator: Estimator,
    /// Whether biases were corrected.
    corrected: bool,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, channels equalised {}",
            self.estimator, self.strength
        )?;
        f.write_str(if self.corrected {
            ", biases corrected"
        } else {
            ""
        })
    }
}

/// A quantised program and how good it is.
struct Candidate {
    model: Model,
    grids: Grids,
    how: How,
    /// Signal-to-noise ratio of its logits.
    decibels: f64,
}

impl Candidate {
    fn new(job: &Job<'_>, grids: Grids, how: How) -> Result<Self, TrainError> {
        let (program, tensors) =
            quantised(&job.program, &job.tensors, &grids, &job.wide()).map_err(network)?;
        let manifest = Manifest {
            input: Input {
                channels: program.input_channels as u8,
                ..job.manifest.input
            },
            ..job.manifest.clone()
        };
        Ok(Self {
            model: Model::new(manifest, program, tensors).map_err(network)?,
            grids,
            how,
            decibels: f64::NEG_INFINITY,
        })
    }

    fn compare(
        &mut self,
        job: &Job<'_>,
        slices: &[u32],
        wanted: &[Vec<f32>],
    ) -> Result<(), TrainError> {
        let mut integers = started(self.model.clone())?;
        let mut noise = table::Noise::default();
        for (&index, wanted) in slices.iter().zip(wanted) {
            let found = integers.logits(job.data.image(index), 1).map_err(network)?;
            noise.add(wanted, &found);
        }
        self.decibels = noise.decibels();
        Ok(())
    }

    fn parameters(
        &self,
        settings: &Settings,
        data: &Prepared,
        calibration: &[u32],
        comparison: &[u32],
    ) -> Vec<KeyValue> {
        let classes = |slices: &[u32]| {
            let count = |wanted: fn([u32; 3]) -> bool| {
                slices
                    .iter()
                    .filter(|&&i| wanted(data.meta(i).counts))
                    .count()
            };
            format!(
                "{} with tumour, {} with kidney only, {} with neither",
                count(|c| c[2] > 0),
                count(|c| c[2] == 0 && c[1] > 0),
                count(|c| c[2] == 0 && c[1] == 0)
            )
        };
        let pairs = [
            ("seed", settings.seed.to_string()),
            ("part of the split", Split::Train.to_string()),
            ("slices to calibrate on", classes(calibration)),
            ("slices to compare on", classes(comparison)),
            ("estimator", self.how.estimator.to_string()),
            ("channels equalised", self.how.strength.to_string()),
            ("biases corrected", self.how.corrected.to_string()),
            (
                "logits' signal-to-noise ratio in dB",
                format!("{:.2}", self.decibels),
            ),
        ];
        pairs
            .map(|(key, value)| KeyValue {
                key: key.into(),
                value,
            })
            .into()
    }
}
