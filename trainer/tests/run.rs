//! A run folder from the first step to the package: exact resume, refusals, and what evaluation reads.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::Device;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::Storage;
use nephrobox_imaging::{Geometry, write_labels, write_scan};
use nephrobox_shared::measure::Spacing;
use nephrobox_shared::preprocess::Preprocess;
use nephrotrain::augment::Augmentation;
use nephrotrain::data::Split;
use nephrotrain::data::prepare::records::Options as PrepareOptions;
use nephrotrain::data::prepare::{self, Request};
use nephrotrain::data::progress::Silent;
use nephrotrain::export::{Label, export};
use nephrotrain::loss::{LossName, Reduction};
use nephrotrain::network::{Encoder, FrozenBatchNorm, RetrainFrom};
use nephrotrain::train::accumulate::Accumulate;
use nephrotrain::train::config::{ImageWeights, Schedule};
use nephrotrain::train::memory::{self, MemoryError};
use nephrotrain::train::{Event, Options, Run, TrainConfig, TrainError};
use safetensors::SafeTensors;

const SIDE: usize = 32;

/// Six patients of six slices, a bright kidney with a brighter tumour in the middle of each.
fn prepared(root: &Path) -> std::path::PathBuf {
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
        out: root.join("prepared"),
        options: PrepareOptions {
            preprocess: Preprocess {
                rows: SIDE,
                cols: SIDE,
                ..Preprocess::default()
            },
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

fn config(data: &Path) -> TrainConfig {
    TrainConfig {
        data: data.to_owned(),
        weights: None,
        encoder: Encoder::ResNet18,
        channels: 1,
        input_scale: 1,
        loss: LossName::Dice,
        gamma: 0.5,
        smooth: 1e-5,
        reduction: Reduction::Image,
        epochs: 4,
        batch: 6,
        accumulate: Accumulate::ONE,
        learning_rate: 1e-3,
        schedule: Schedule::Cosine,
        warm_up: 0.1,
        power: 0.9,
        retrain_from: RetrainFrom::all(),
        frozen_batch_norm: FrozenBatchNorm::Stored,
        image_weights: ImageWeights::Patient,
        augmentation: Augmentation::preset("ct", 0.75).expect("a preset"),
        crop: None,
        repeat: Vec::new(),
        seed: 3,
    }
}

/// Trains until `stop` says so.
fn train(run: &Run, mut stop: impl FnMut(&Event<'_>) -> bool) -> Result<(), TrainError> {
    let flow = |stop: bool| {
        if stop {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    run.train(&Device::flex(), Options::default(), |event| {
        flow(stop(&event))
    })
}

/// All arrays of a checkpoint, moments included.
fn arrays(run: &Run) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(run.checkpoint("last")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> = file
        .iter()
        .map(|(name, view)| (name.to_string(), view.data().to_vec()))
        .collect();
    all.sort();
    all
}

#[test]
fn two_epochs_a_kill_and_two_more_equal_four_bit_for_bit() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    let whole = Run::create(&root.path().join("whole"), config(&data), "cpu").unwrap();
    train(&whole, |_| false).unwrap();

    let killed = Run::create(&root.path().join("killed"), config(&data), "cpu").unwrap();
    // In the third epoch, after its first step: that step is lost.
    train(&killed, |event| {
        matches!(
            event,
            Event::Step {
                epoch: 2,
                step: 1,
                ..
            }
        )
    })
    .unwrap();
    assert_eq!(killed.records().len(), 2);
    let resumed = Run::open(killed.folder(), None).unwrap();
    train(&resumed, |_| false).unwrap();

    assert_eq!(arrays(&whole), arrays(&resumed));
    let losses = |run: &Run| -> Vec<(usize, f64)> {
        run.records().iter().map(|r| (r.epoch, r.loss)).collect()
    };
    assert_eq!(losses(&whole), losses(&resumed));
    assert!(resumed.folder().join("curves.png").is_file());
}

/// One epoch over two replicas; the losses of its steps.
fn shared(run: &Run, steps: usize) -> Vec<f32> {
    let two = Options {
        more_devices: vec![Device::flex()],
        ..Options::default()
    };
    let mut losses = Vec::new();
    run.train(&Device::flex(), two, |event| {
        if let Event::Step { loss, .. } = event {
            losses.push(loss);
            if losses.len() == steps {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    losses
}

#[test]
fn two_devices_learn_what_one_learns() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    let short = TrainConfig {
        epochs: 1,
        ..config(&data)
    };
    let create = |name: &str| Run::create(&root.path().join(name), short.clone(), "cpu").unwrap();
    let mut one = Vec::new();
    train(&create("one"), |event| {
        if let Event::Step { loss, .. } = event {
            one.push(*loss);
        }
        false
    })
    .unwrap();
    let two = shared(&create("two"), usize::MAX);
    assert_eq!(one.len(), two.len());
    assert!((one[0] - two[0]).abs() < 1e-5 * one[0], "{one:?} {two:?}");
    for (a, b) in one.iter().zip(&two) {
        assert!((a - b).abs() < 0.02 * a, "{one:?} {two:?}");
    }
}

#[test]
fn passes_are_kept_on_resume_and_devices_may_change() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    let in_passes = TrainConfig {
        epochs: 1,
        accumulate: "2".parse().unwrap(),
        ..config(&data)
    };
    let create = |name| Run::create(&root.path().join(name), in_passes.clone(), "cpu").unwrap();
    let whole = create("whole");
    train(&whole, |_| false).unwrap();
    let killed = create("killed");
    train(&killed, |event| {
        matches!(event, Event::Step { step: 2, .. })
    })
    .unwrap();
    let resumed = Run::open(killed.folder(), None).unwrap();
    assert_eq!(resumed.config().accumulate.passes(), 2);
    train(&resumed, |_| false).unwrap();
    assert_eq!(arrays(&whole), arrays(&resumed), "on one device to the bit");
    // The number of devices is no setting: a run may go on with another.
    let elsewhere = create("elsewhere");
    assert_eq!(shared(&elsewhere, 1).len(), 1);
    train(&elsewhere, |_| false).unwrap();
    assert_eq!(elsewhere.records().len(), 1);
}

#[test]
fn a_step_that_does_not_fit_is_refused_before_there_is_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let mut huge = TrainConfig {
        batch: 100_000_000,
        ..config(&prepared(root.path()))
    };
    let cpu = [Device::flex()];
    let refused = memory::fit(&mut huge, SIDE, &cpu).unwrap_err();
    let TrainError::Memory(MemoryError::Images { fits, passes, .. }) = refused else {
        panic!("{refused}");
    };
    assert!(fits > 0 && fits * passes >= huge.batch);
    huge.accumulate = Accumulate::Auto;
    memory::fit(&mut huge, SIDE, &cpu).unwrap();
    assert!(huge.accumulate.passes() > 1);
    // What fits by itself goes through at once.
    let mut small = TrainConfig {
        accumulate: Accumulate::Auto,
        ..config(&root.path().join("prepared"))
    };
    memory::fit(&mut small, SIDE, &cpu).unwrap();
    assert_eq!(small.accumulate, Accumulate::ONE);
}

#[test]
fn a_kill_within_an_epoch_goes_on_from_the_checkpoint_within_it() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    let short = TrainConfig {
        epochs: 1,
        batch: 3,
        ..config(&data)
    };
    let whole = Run::create(&root.path().join("whole"), short.clone(), "cpu").unwrap();
    train(&whole, |_| false).unwrap();
    let killed = Run::create(&root.path().join("killed"), short, "cpu").unwrap();
    let every_step = Options {
        checkpoint_every: std::time::Duration::ZERO,
        ..Options::default()
    };
    killed
        .train(&Device::flex(), every_step, |event| match event {
            Event::Step { step: 3, .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .unwrap();
    let mut first = None;
    train(&killed, |event| {
        if let Event::Started { position, .. } = event {
            first = Some(position.step);
        }
        false
    })
    .unwrap();
    assert_eq!(
        first,
        Some(2),
        "the third step was after the last checkpoint"
    );
    assert_eq!(arrays(&whole), arrays(&killed));
}

#[test]
fn a_loss_that_is_no_number_names_its_slices_and_keeps_a_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    // A learning rate that throws the weights out of f32 after some steps.
    let wild = TrainConfig {
        learning_rate: 1e30,
        schedule: Schedule::Constant,
        batch: 3,
        ..config(&data)
    };
    let run = Run::create(&root.path().join("run"), wild, "cpu").unwrap();
    let error = train(&run, |_| false).unwrap_err();
    let TrainError::NonFinite { slices, kept, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        slices.contains("case_0000") && slices.contains("slice"),
        "{slices}"
    );
    assert!(kept.is_file());
    assert!(error.to_string().contains("lower --lr"), "{error}");
}

#[test]
fn a_used_folder_and_changed_data_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    let folder = root.path().join("run");
    Run::create(&folder, config(&data), "cpu").unwrap();
    let error = Run::create(&folder, config(&data), "cpu")
        .unwrap_err()
        .to_string();
    assert!(error.contains("--resume"), "{error}");

    let split = fs::read_to_string(data.join("split.toml")).unwrap();
    let swapped = split
        .replace("case_00000", "case_x")
        .replace("case_00001", "case_00000")
        .replace("case_x", "case_00001");
    if swapped != split && Run::open(&folder, None).is_ok() {
        fs::write(data.join("split.toml"), swapped).unwrap();
        // The order inside a part does not matter; only a real exchange between parts must be noticed.
        if let Err(error) = Run::open(&folder, None) {
            assert!(error.to_string().contains("another split"), "{error}");
        }
    }
    let error = Run::open(root.path(), None).unwrap_err().to_string();
    assert!(error.contains("nephrotrain train"), "{error}");
}

#[test]
fn settings_that_cannot_work_are_refused_before_anything_is_made() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    let good = config(&data);
    let bad = [
        (
            TrainConfig {
                crop: Some(48),
                ..good.clone()
            },
            "--crop",
        ),
        (
            TrainConfig {
                batch: 0,
                ..good.clone()
            },
            "--batch",
        ),
        (
            TrainConfig {
                learning_rate: f64::NAN,
                ..good.clone()
            },
            "--lr",
        ),
        (
            TrainConfig {
                gamma: -1.0,
                ..good.clone()
            },
            "--gamma",
        ),
        (
            TrainConfig {
                channels: 2,
                ..good.clone()
            },
            "--channels",
        ),
        (
            TrainConfig {
                repeat: vec!["elsewhere=2".parse().unwrap()],
                ..good.clone()
            },
            "elsewhere",
        ),
    ];
    for (config, named) in bad {
        let folder = root.path().join("refused");
        let error = Run::create(&folder, config, "cpu").unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
        assert!(!folder.exists());
    }
}

#[test]
fn a_trained_network_becomes_a_package_that_carries_its_scores() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    let run = Run::create(
        &root.path().join("run"),
        TrainConfig {
            epochs: 1,
            ..config(&data)
        },
        "cpu",
    )
    .unwrap();
    train(&run, |_| false).unwrap();
    let label = || Label {
        name: "test".into(),
        version: 7,
        licence_notice: "made-up data, no conditions".into(),
        source_revision: "none".into(),
    };
    for storage in [Storage::F32, Storage::F16, Storage::I8] {
        let model = export(&run, "last", storage, label(), &Device::flex()).unwrap();
        let file = root.path().join("m.nbx");
        model.save(&file, storage).unwrap();
        let loaded = Model::load(&file).unwrap().model;
        let manifest = loaded.manifest();
        assert_eq!(
            (manifest.version, manifest.encoder.as_str()),
            (7, "resnet18")
        );
        let scores = manifest.scores.float.expect("scored");
        let test = run.data().split(Split::Test).len() as u64;
        assert_eq!(scores.slices, test);
        assert!(test > 0);
        assert!(
            manifest
                .training
                .hyperparameters
                .iter()
                .all(|kv| !kv.value.contains("prepared"))
        );
    }
}
