//! The way of a package into use, as the box goes it, and small packages that go it well.

use std::path::Path;

use nephrobox_engine::cpu::{f32, int8};
use nephrobox_engine::executor::{self, Arithmetic, Settings, StartError};
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{
    Builder, MAX_MEMORY_BYTES, Precision, Program, Rewrites, Storage, Tensor, Tensors, quantised,
    rewrite, sites,
};
use nephrobox_engine::self_test;
use nephrobox_shared::package::{
    Input, Manifest, PackageView, SelfTest, TestScores, Training, signing,
};
use nephrobox_shared::preprocess::Preprocess;

use crate::forge::{Parts, trusted};

/// Rows and columns of the small networks' images.
pub(crate) const SIDE: usize = 32;

/// Multiplications of what a test runs; what is sound and slower is only planned.
const PATIENCE: u64 = 1 << 31;

/// Memory that this process may have used at its worst, in KiB: what the tests themselves hold is some tens of MiB.
const PEAK_KIB: u64 = 1 << 20;

/// Goes the whole way with some executors, and says where it ended: how many executors took it, or why none did.
///
/// # Panics
///
/// If an executor takes more memory than is stated, or if anything on the way panics.
pub(crate) fn go(file: &[u8], with: &[Arithmetic]) -> Result<usize, String> {
    let view = PackageView::open(file).map_err(|e| e.to_string())?;
    let signer = signing::verify(&view, &trusted());
    let loaded = Model::from_bytes(file).map_err(|e| e.to_string())?;
    signer.expect("what opens can be signed, and is");
    let Preprocess { rows, cols, .. } = loaded.model.manifest().input.preprocess;
    if loaded.model.plan().work(rows, cols) > PATIENCE {
        return Ok(0);
    }
    let mut took = 0;
    let mut why = String::new();
    for &arithmetic in with {
        match run(&loaded.model, arithmetic) {
            Ok(()) => took += 1,
            Err(error) => why = error,
        }
    }
    if took == 0 && !why.is_empty() {
        return Err(why);
    }
    Ok(took)
}

/// Starts a model and runs its self-test on one thread, then on two that share a slice.
pub(crate) fn run(model: &Model, arithmetic: Arithmetic) -> Result<(), String> {
    let Preprocess { rows, cols, .. } = model.manifest().input.preprocess;
    for (threads, sharing) in [
        (1, executor::Sharing::Slices),
        (2, executor::Sharing::OneSlice),
    ] {
        let settings = Settings {
            device: "cpu".into(),
            threads: Some(threads),
            sharing,
            arithmetic: Some(arithmetic),
            ..Settings::default()
        };
        let started = executor::start_with(model.clone(), &settings, &mut |_| ());
        let mut running = started.map_err(|e| e.to_string())?;
        let network = running.models.first_mut().expect("one at least");
        // Whether its answers are right is another question, and a noise image has none.
        let _ = self_test::run_in(arithmetic, model.manifest(), network.as_mut());
        let image: Vec<_> = (0..rows * cols).map(|i| (i % 97) as f32 / 96.0).collect();
        let mut labels = vec![9; rows * cols];
        if let Ok(()) = network.segment(&image, 1, &mut labels) {
            assert!(
                labels.iter().all(|&label| label < 3),
                "a label that is no class"
            );
        }
    }
    Ok(())
}

/// Why the executor for an arithmetic does not take a model, if it does not.
pub(crate) fn refusal(model: Model, arithmetic: Arithmetic) -> Option<StartError> {
    let settings = Settings {
        device: "cpu".into(),
        threads: Some(1),
        arithmetic: Some(arithmetic),
        ..Settings::default()
    };
    let started = executor::start_with(model, &settings, &mut |_| ());
    started.err()
}

/// Fails if the process has ever used more memory than [`PEAK_KIB`]. Only Linux tells; elsewhere it says so.
pub(crate) fn assert_little_memory() {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        eprintln!("not checked: this system does not tell how much memory a process has used");
        return;
    };
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| {
        peak.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    let peak = peak.expect("a number of KiB");
    assert!(peak <= PEAK_KIB, "{peak} KiB were used at the worst moment");
}

/// A manifest for networks of one input channel and images of [`SIDE`] pixels a side, with one self-test slice.
pub(crate) fn manifest() -> Manifest {
    let pixels = SIDE * SIDE / 4;
    Manifest {
        name: "small".into(),
        version: 3,
        encoder: "none".into(),
        input: Input {
            preprocess: Preprocess {
                rows: SIDE,
                cols: SIDE,
                ..Preprocess::default()
            },
            channels: 1,
            scale: 1,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            licence_notice: "Made of noise, free of anyone's rights.".into(),
            ..Training::default()
        },
        scores: TestScores::default(),
        calibration: None,
        self_test: vec![SelfTest {
            rows: SIDE as u32 / 2,
            cols: SIDE as u32 / 2,
            hu: (0..pixels).map(|i| (i % 400) as i16 - 150).collect(),
            labels: vec![1; pixels],
        }],
    }
}

/// Numbers in -1 .. 1 that look random and are always the same.
pub(crate) fn noise(seed: usize, count: usize) -> Vec<f32> {
    let number = |i: usize| {
        let x = (i + 1).wrapping_mul(seed.wrapping_mul(2_654_435_761) | 1);
        ((x ^ (x >> 13)).wrapping_mul(0x9e37_79b9) >> 8 & 0xffff) as f32 / 32_768.0 - 1.0
    };
    (0..count).map(number).collect()
}

/// A U of every operation: down by convolution and pooling, up by doubling, joined with the skip.
fn float_u() -> (Program, Tensors) {
    let mut b = Builder::new(1, 4);
    let mut number = 0;
    let mut tensor = |b: &mut Builder, shape: &[usize]| {
        number += 1;
        let values = noise(number, shape.iter().product());
        b.tensor(Tensor::f32(format!("t{number}"), shape.to_vec(), values).unwrap())
    };
    let [stem, low, middle, joint, head] = [
        [5, 1, 3, 3],
        [7, 5, 3, 3],
        [7, 7, 3, 3],
        [6, 12, 3, 3],
        [3, 6, 1, 1],
    ]
    .map(|shape| tensor(&mut b, &shape));
    let [scale, shift, bias] = [5, 5, 3].map(|length| tensor(&mut b, &[length]));
    let skip = b.conv2d(b.input(), stem, None, 1, 1);
    let skip = b.affine(skip, scale, shift, true);
    let x = b.max_pool2d(skip, 3, 2, 1);
    let x = b.conv2d(x, low, None, 2, 1);
    let x = b.relu(x);
    let x = b.upsample2x(x);
    let x = b.conv2d(x, middle, None, 1, 1);
    let x = b.relu(x);
    let x = b.upsample2x(x);
    let x = b.concat(x, skip);
    let x = b.conv2d(x, joint, None, 1, 1);
    let x = b.relu(x);
    let logits = b.conv2d(x, head, Some(bias), 1, 0);
    b.softmax(logits);
    b.finish(logits, 3).unwrap()
}

/// The U for floating point.
pub(crate) fn float() -> Model {
    let (program, tensors) = float_u();
    Model::new(manifest(), program, tensors).unwrap()
}

/// The U for integers.
pub(crate) fn small() -> Model {
    let (program, tensors) = float_u();
    let rewrites = Rewrites {
        phases: true,
        repeated: true,
    };
    let (program, tensors) = rewrite(&program, tensors, rewrites).unwrap();
    let grids: Vec<_> = sites(&program)
        .into_iter()
        .map(|site| {
            let scale = match site.precision {
                Precision::U8 => 0.02,
                Precision::I16 => 0.001,
            };
            (site, scale)
        })
        .collect();
    let (program, tensors) = quantised(&program, &tensors, &grids, &[]).unwrap();
    Model::new(manifest(), program, tensors).unwrap()
}

/// The bundled model, for small images and with a small self-test, so that many of its kind can be run.
pub(crate) fn bundled() -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-resnet18.nbx");
    let model = Model::load(path).unwrap().model;
    let mut manifest = model.manifest().clone();
    (
        manifest.input.preprocess.rows,
        manifest.input.preprocess.cols,
    ) = (SIDE, SIDE);
    manifest.self_test = self::manifest().self_test;
    model.with_manifest(manifest).unwrap()
}

#[test]
fn sound_packages_go_the_whole_way() {
    // Integers need a program that rounds; floating point takes both.
    for (model, executors) in [(small(), 2), (float(), 1), (bundled(), 2)] {
        let package = Parts::of(&model).signed();
        assert_eq!(
            go(&package, &[Arithmetic::Int8, Arithmetic::F32]),
            Ok(executors)
        );
    }
}

#[test]
fn what_executors_take_is_what_they_say_and_less_than_they_may() {
    let model = bundled();
    let size = [SIDE, SIDE];
    let (_, program, tensors) = model.clone().into_parts();
    let options = int8::Options {
        size,
        input_scale: 1.0,
        threads: 3,
        kernels: int8::KERNELS.choose().unwrap(),
    };
    let footprint = int8::Network::new(&program, tensors, options)
        .unwrap()
        .footprint();
    let all = footprint.weights + footprint.values + footprint.logits;
    assert!((all as u64) < MAX_MEMORY_BYTES / 50, "{footprint:?}");
    let floats = f32::Network::from_model(
        model.stored_as(Storage::F32).unwrap(),
        f32::Settings::default(),
    );
    assert!((floats.unwrap().value_bytes() as u64) < MAX_MEMORY_BYTES / 50);
}
