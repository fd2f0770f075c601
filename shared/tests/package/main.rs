//! The model package: what is written is read back, and nothing else is believed.

mod damage;
mod reading;
mod signing;
mod versions;
mod writing;

use nephrobox_shared::metrics::{Evaluation, Scores};
use nephrobox_shared::package::{
    Calibration, Dtype, Input, KeyValue, Manifest, PackageView, SelfTest, Share, Split,
    TensorSource, TestScores, Training, write,
};
use nephrobox_shared::preprocess::Preprocess;

const TRAILER_LEN: usize = 128;

fn scores() -> Scores {
    let mut evaluation = Evaluation::new();
    evaluation
        .add(4, &[0, 1, 1, 2], &[0, 1, 2, 2], 1.0)
        .unwrap();
    evaluation.scores()
}

fn manifest() -> Manifest {
    Manifest {
        name: "example".into(),
        version: 7,
        encoder: "resnet18".into(),
        input: Input {
            preprocess: Preprocess::default(),
            channels: 1,
            scale: 1,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            dataset_fingerprint: "00ff".into(),
            split: Split {
                name: "split.toml".into(),
                train: Share {
                    patients: 116,
                    slices: 9590,
                },
                validation: Share {
                    patients: 20,
                    slices: 1711,
                },
                test: Share {
                    patients: 74,
                    slices: 5494,
                },
            },
            seed: 1,
            hyperparameters: vec![KeyValue {
                key: "loss".into(),
                value: "focal-dice".into(),
            }],
            source_revision: "abc".into(),
            licence_notice: "CC BY-NC-SA 4.0".into(),
        },
        scores: TestScores {
            float: Some(scores()),
            int8: None,
        },
        calibration: Some(Calibration {
            method: "minmax".into(),
            slices: 12,
            dataset_fingerprint: "00ff".into(),
            parameters: vec![],
        }),
        self_test: vec![SelfTest {
            rows: 1,
            cols: 2,
            hu: vec![-1000, 40],
            labels: vec![0, 1],
        }],
    }
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

const PROGRAM: &[u8] = b"the engine's business";

fn example() -> Vec<u8> {
    let bias = f32_bytes(&[0.5, -0.25, 3.0]);
    write(
        &manifest(),
        PROGRAM,
        &[
            TensorSource {
                name: "conv/kernel",
                dtype: Dtype::I8,
                shape: &[3, 1, 1, 2],
                data: &[1, 2, 3, 4, 5, 6],
                scales: &[0.1, 0.2, 0.3],
            },
            TensorSource {
                name: "conv/bias",
                dtype: Dtype::F32,
                shape: &[3],
                data: &bias,
                scales: &[],
            },
            TensorSource {
                name: "half",
                dtype: Dtype::F16,
                shape: &[2, 1],
                data: &[0, 60, 0, 188],
                scales: &[],
            },
            TensorSource {
                name: "raw",
                dtype: Dtype::I8,
                shape: &[1],
                data: &[255],
                scales: &[],
            },
        ],
    )
    .unwrap()
}

/// Makes the hash true again, as whoever crafts a package would.
fn rehash(file: &mut [u8]) {
    let end = file.len() - TRAILER_LEN;
    let hash = blake3::hash(&file[..end]);
    file[end..end + 32].copy_from_slice(hash.as_bytes());
}

/// Position of the tensor table, by the specification: sections follow one another at multiples of 64.
fn table_start(view: &PackageView<'_>) -> usize {
    let header = view.header();
    let program = (64 + header.manifest_len as usize).next_multiple_of(64);
    (program + header.program_len as usize).next_multiple_of(64)
}
