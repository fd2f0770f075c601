//! A trained network as a model package, with its own test-split scores inside.

use burn::tensor::Device;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::Storage;
use nephrobox_shared::metrics::Scores;
use nephrobox_shared::package::{
    Input, KeyValue, Manifest, Share, Split as SplitRecord, TestScores, Training,
};

use crate::data::{Prepared, Split};
use crate::evaluate::{Entry, evaluate, program_on};
use crate::network::lower;
use crate::train::{Run, Settings, TrainError, checkpoint};

/// What a package says that the run does not know.
#[derive(Clone, Debug)]
pub struct Label {
    /// The model's name.
    pub name: String,
    /// Its version; a box only goes up.
    pub version: u64,
    /// Licence notice of the training data.
    pub licence_notice: String,
    /// Revision of the sources, if known.
    pub source_revision: String,
}

/// The model of a run's checkpoint with its kernels in `storage`, scored on the test split as stored.
pub fn export(
    run: &Run,
    which: &str,
    storage: Storage,
    label: Label,
    device: &Device,
) -> Result<Model, TrainError> {
    let data = run.data();
    let network = |e: &dyn std::fmt::Display| TrainError::Network(e.to_string());
    let model = unscored(run, which, label, device)?
        .stored_as(storage)
        .map_err(|e| network(&e))?;
    let input = model.manifest().input;
    let entry = Entry {
        size: [input.preprocess.rows, input.preprocess.cols],
        scale: f32::from(input.scale),
        neighbours: false,
    };
    let slices = data.split(Split::Test);
    let float: Option<Scores> = if slices.is_empty() {
        None
    } else {
        let mut executor = program_on(device, model.program(), model.tensors().clone(), entry)?;
        Some(evaluate(data, slices, &mut executor, |_, _| {})?.scores())
    };
    let manifest = Manifest {
        scores: TestScores { float, int8: None },
        ..model.manifest().clone()
    };
    model.with_manifest(manifest).map_err(|e| network(&e))
}

/// The model of a run's checkpoint in f32, without scores. Refuses a network on neighbouring slices.
pub fn unscored(
    run: &Run,
    which: &str,
    label: Label,
    device: &Device,
) -> Result<Model, TrainError> {
    let config = run.config();
    if config.neighbours {
        let text = "this network reads three neighbouring slices, which neither the package format nor the box knows; \
                    `nephrotrain evaluate` scores it, and a network trained without --neighbours can be exported";
        return Err(TrainError::Config(text.into()));
    }
    let network = |e: &dyn std::fmt::Display| TrainError::Network(e.to_string());
    let graph = config.network().graph();
    let parameters = checkpoint::load_parameters(&run.checkpoint(which), &graph, device)?;
    let (program, tensors) = lower(&graph, &parameters).map_err(|e| network(&e))?;
    Model::new(manifest(run, which, label), program, tensors).map_err(|e| network(&e))
}

fn manifest(run: &Run, which: &str, label: Label) -> Manifest {
    let (config, data) = (run.config(), run.data());
    Manifest {
        name: label.name,
        version: label.version,
        encoder: config.encoder.to_string(),
        input: Input {
            preprocess: *data.preprocess(),
            channels: config.channels as u8,
            scale: config.input_scale,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            dataset_fingerprint: data.fingerprint().overall.clone(),
            split: SplitRecord {
                name: data.split_hash().to_string(),
                train: share(data, Split::Train),
                validation: share(data, Split::Validation),
                test: share(data, Split::Test),
            },
            seed: config.seed,
            hyperparameters: hyperparameters(run, which),
            source_revision: label.source_revision,
            licence_notice: label.licence_notice,
        },
        scores: TestScores::default(),
        calibration: None,
        self_test: Vec::new(),
    }
}

fn share(data: &Prepared, split: Split) -> Share {
    Share {
        patients: data
            .cases()
            .iter()
            .filter(|c| c.split == split && c.slices > 0)
            .count() as u32,
        slices: data.split(split).len() as u32,
    }
}

/// The run's settings, one line each, without the paths of this machine.
fn hyperparameters(run: &Run, which: &str) -> Vec<KeyValue> {
    let settings = Settings {
        data: None,
        weights: None,
        ..Settings::from(run.config())
    };
    let table = toml::Table::try_from(&settings).unwrap_or_default();
    let mut all: Vec<KeyValue> = table
        .into_iter()
        .map(|(key, value)| KeyValue {
            key,
            value: value
                .as_str()
                .map_or_else(|| value.to_string(), String::from),
        })
        .collect();
    all.push(KeyValue {
        key: "checkpoint".into(),
        value: which.into(),
    });
    all
}
