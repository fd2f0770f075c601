//! What several tests need: a small package, and the program called by its command line.

#![allow(dead_code, reason = "no test needs all of it")]

use std::path::{Path, PathBuf};

use clap::Parser as _;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{Builder, Storage, Tensor};
use nephrobox_shared::metrics::Evaluation;
use nephrobox_shared::package::{
    Input, KeyValue, Manifest, SelfTest, Share, Split, TestScores, Training,
};
use nephrobox_shared::preprocess::Preprocess;
use nephroctl::cli::{self, Cli};
use nephroctl::failure::Failure;

/// Calls `nephroctl` with these arguments and returns what it prints.
pub(crate) fn call(arguments: &[&str]) -> Result<String, Failure> {
    let cli = Cli::try_parse_from(["nephroctl"].iter().chain(arguments)).expect("a command line");
    let mut out = Vec::new();
    cli::run(cli, &mut out)?;
    Ok(String::from_utf8(out).expect("text"))
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}

/// The manifest of a model that has little to say.
pub(crate) fn manifest() -> Manifest {
    let mut evaluation = Evaluation::new();
    evaluation
        .add(1, &[0, 1, 1, 2], &[0, 1, 1, 1], 1.0)
        .expect("sound labels");
    Manifest {
        name: "example".into(),
        version: 12,
        encoder: "resnet18".into(),
        input: Input {
            preprocess: Preprocess::default(),
            channels: 1,
            scale: 1,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            dataset_fingerprint: "d0d0".into(),
            split: Split {
                name: "split.toml".into(),
                test: Share {
                    patients: 3,
                    slices: 40,
                },
                ..Split::default()
            },
            seed: 42,
            hyperparameters: vec![KeyValue {
                key: "loss".into(),
                value: "focal-dice".into(),
            }],
            source_revision: String::new(),
            licence_notice: "CC BY-NC-SA 4.0\nNot for commercial use.".into(),
        },
        scores: TestScores {
            float: Some(evaluation.scores()),
            int8: None,
        },
        calibration: None,
        self_test: vec![SelfTest {
            rows: 1,
            cols: 2,
            // Brightness 0.36 and 0.64: the largest logit of both is that of the kidney.
            hu: vec![0, 100],
            labels: vec![1, 1],
        }],
    }
}

/// Saves a model of one convolution, unsigned, as `example.nbx`.
pub(crate) fn save(folder: &Path) -> PathBuf {
    save_version(folder, "example.nbx", 12)
}

/// The same under another name and with another version.
pub(crate) fn save_version(folder: &Path, name: &str, version: u64) -> PathBuf {
    let mut builder = Builder::new(1, 32);
    let weight = Tensor::f32("head", vec![3, 1, 1, 1], vec![0.0, 1.0, -1.0]).expect("a tensor");
    let bias = Tensor::f32("bias", vec![3], vec![0.0, 0.5, 0.25]).expect("a tensor");
    let (weight, bias) = (builder.tensor(weight), builder.tensor(bias));
    let logits = builder.conv2d(builder.input(), weight, Some(bias), 1, 0);
    let (program, tensors) = builder.finish(logits, 3).expect("a program");
    let path = folder.join(name);
    let manifest = Manifest {
        version,
        ..manifest()
    };
    let model = Model::new(manifest, program, tensors).expect("a model");
    model.save(&path, Storage::F16).expect("saved");
    path
}
