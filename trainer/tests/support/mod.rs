//! A prepared set that a test trains on in a second, and a run on it.
#![allow(dead_code)] // each test takes what it needs

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::Device;
use nephrobox_imaging::{Geometry, write_labels, write_scan};
use nephrobox_shared::measure::Spacing;
use nephrobox_shared::preprocess::Preprocess;
use nephrotrain::augment::Augmentation;
use nephrotrain::data::prepare::records::Options as PrepareOptions;
use nephrotrain::data::prepare::{self, Request};
use nephrotrain::data::progress::Silent;
use nephrotrain::loss::{LossName, Reduction};
use nephrotrain::network::{Encoder, FrozenBatchNorm, RetrainFrom};
use nephrotrain::train::accumulate::Accumulate;
use nephrotrain::train::config::{ImageWeights, Schedule};
use nephrotrain::train::sampling::Sample;
use nephrotrain::train::{Event, Options, Run, TrainConfig, TrainError};
use safetensors::SafeTensors;

/// Rows and columns of its slices.
pub(crate) const SIDE: usize = 32;

/// Six patients of six slices, a bright kidney with a brighter tumour in the middle of each.
pub(crate) fn prepared(root: &Path) -> std::path::PathBuf {
    prepared_with(root, false)
}

/// The same, with the slices beside the kept ones if `neighbours`.
pub(crate) fn prepared_with(root: &Path, neighbours: bool) -> std::path::PathBuf {
    for n in 0..6 {
        let folder = root.join(format!("data/case_0000{n}"));
        fs::create_dir_all(&folder).unwrap();
        let geometry =
            Geometry::kits([6, SIDE, SIDE], Spacing::new(3.0, 1.0, 1.0).unwrap()).unwrap();
        let label = |slice: usize, pixel: usize| -> u8 {
            let (y, x) = (pixel / SIDE, pixel % SIDE);
            let inside =
                |edge: usize| (8 + n..8 + n + edge).contains(&y) && (6..6 + edge).contains(&x);
            if slice == 0 || !inside(12) {
                0
            } else {
                1 + u8::from(inside(5))
            }
        };
        write_labels(
            &folder.join("segmentation.nii.gz"),
            &geometry,
            &mut |s, out| {
                for (pixel, l) in out.iter_mut().enumerate() {
                    *l = label(s, pixel);
                }
            },
        )
        .unwrap();
        write_scan(&folder.join("imaging.nii.gz"), &geometry, &mut |s, out| {
            for (pixel, hu) in out.iter_mut().enumerate() {
                *hu = 90 * i16::from(label(s, pixel)) + ((pixel * 7 + s * 3) % 40) as i16 - 60;
            }
        })
        .unwrap();
    }
    let request = Request {
        data: vec![root.join("data")],
        phantoms: None,
        out: root.join("prepared"),
        options: PrepareOptions {
            preprocess: Preprocess {
                rows: SIDE,
                cols: SIDE,
                ..Preprocess::default()
            },
            neighbours,
            ..PrepareOptions::default()
        },
        split: None,
        reserved: BTreeSet::new(),
        update: false,
        jobs: 1,
    };
    prepare::run(&request, &Silent).unwrap();
    request.out
}

/// A short run of the smallest network on `data`.
pub(crate) fn config(data: &Path) -> TrainConfig {
    TrainConfig {
        data: data.to_owned(),
        weights: None,
        encoder: Encoder::ResNet18,
        channels: 1,
        neighbours: false,
        input_scale: 1,
        input_adapter: false,
        loss: LossName::Dice,
        gamma: 0.5,
        smooth: 1e-5,
        reduction: Reduction::Image,
        weight_bound: 10.0,
        epochs: 4,
        batch: 6,
        accumulate: Accumulate::ONE,
        learning_rate: 1e-3,
        schedule: Schedule::Cosine,
        warm_up: 0.1,
        power: 0.9,
        ema: 0.0,
        retrain_from: RetrainFrom::all(),
        frozen_batch_norm: FrozenBatchNorm::Stored,
        image_weights: ImageWeights::Patient,
        sample: Sample::All,
        augmentation: Augmentation::preset("ct", 0.75).expect("a preset"),
        crop: None,
        repeat: Vec::new(),
        seed: 3,
        flips: false,
        remove_small: false,
    }
}

/// Trains until `stop` says so.
pub(crate) fn train(run: &Run, mut stop: impl FnMut(&Event<'_>) -> bool) -> Result<(), TrainError> {
    let flow = |stop: bool| {
        if stop {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    run.train(&Device::flex(), &Options::default(), |event| {
        flow(stop(&event))
    })
}

/// All arrays of a checkpoint, moments included.
pub(crate) fn arrays(run: &Run) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(run.checkpoint("last")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> = file
        .iter()
        .map(|(name, view)| (name.to_string(), view.data().to_vec()))
        .collect();
    all.sort();
    all
}
