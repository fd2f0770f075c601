//! A run folder from the first step to the package: refusals, and what evaluation reads. Resuming is in resume.rs.

use std::fs;
use std::ops::ControlFlow;

use burn::tensor::Device;
use nephrobox_engine::burn::Executor;
use nephrobox_engine::flips::over_flips;
use nephrobox_engine::model::{Labeller, SliceModel, SliceShape};
use nephrobox_engine::package::Model;
use nephrobox_engine::program::Storage;
use nephrobox_shared::class::Class;
use nephrotrain::data::{Prepared, Split};
use nephrotrain::evaluate::{Entry, evaluate, executor, program_on};
use nephrotrain::export::{Label, export};
use nephrotrain::network::{Encoder, Parameters, UnetSpec, lower};
use nephrotrain::small_parts::{self, cleaned};
use nephrotrain::train::accumulate::Accumulate;
use nephrotrain::train::config::Schedule;
use nephrotrain::train::memory::{self, MemoryError};
use nephrotrain::train::{Event, Options, Run, TrainConfig, TrainError};

mod support;
use support::{SIDE, config, prepared, prepared_with, train};

/// Losses of the first two steps, shared with `more_devices`.
fn first_losses(run: &Run, more_devices: Vec<Device>) -> Vec<f32> {
    let options = Options {
        more_devices,
        ..Options::default()
    };
    let mut losses = Vec::new();
    run.train(&Device::flex(), &options, |event| {
        if let Event::Step { loss, .. } = event {
            losses.push(loss);
        }
        if losses.len() < 2 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
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
    let (one, two) = (
        first_losses(&create("one"), Vec::new()),
        first_losses(&create("two"), vec![Device::flex()]),
    );
    assert_eq!((one.len(), two.len()), (2, 2));
    assert!((one[0] - two[0]).abs() < 1e-5 * one[0], "{one:?} {two:?}");
    for (a, b) in one.iter().zip(&two) {
        assert!((a - b).abs() < 0.02 * a, "{one:?} {two:?}");
    }
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
fn labels_over_flips_mirror_with_the_image_and_neighbours_are_read() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared_with(root.path(), true);
    let settings = TrainConfig {
        channels: 3,
        neighbours: true,
        ..config(&data)
    };
    let data = Prepared::open(&data).unwrap();
    let graph = UnetSpec::paper(Encoder::ResNet18, 3).graph();
    let parameters = Parameters::initialise(&graph, 3, &Device::flex());
    let network = |neighbours| {
        let config = TrainConfig {
            neighbours,
            ..settings.clone()
        };
        executor(&graph, parameters.clone(), &data, &config, &Device::flex()).unwrap()
    };
    let labels = |model: &mut dyn SliceModel, images: &[f32]| {
        let mut labels = vec![9; SIDE * SIDE];
        model.segment(images, 1, &mut labels).unwrap();
        labels
    };
    let image = data.image(2).to_vec();
    let mirrored = |image: &[f32]| -> Vec<f32> {
        image
            .chunks(SIDE)
            .flat_map(|row| row.iter().rev().copied())
            .collect()
    };
    let mut flipping = over_flips(network(false));
    let mut there = labels(&mut flipping, &mirrored(&image));
    for row in there.chunks_mut(SIDE) {
        row.reverse();
    }
    assert_eq!(there, labels(&mut flipping, &image));
    assert_ne!(
        there,
        labels(&mut network(false), &image),
        "the plain network is not symmetric"
    );

    // Without neighbours the first convolution reads a slice once, with summed weights: the same but for rounding.
    let same = [&image[..]; 3].concat();
    let plain = network(false).logits(&image, 1).unwrap();
    let mut reading = network(true);
    let largest = plain.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let mut off = |images: &[f32]| {
        let logits = reading.logits(images, 1).unwrap();
        let off = logits.iter().zip(&plain).map(|(a, b)| (a - b).abs());
        off.fold(0.0_f32, f32::max) / largest
    };
    let (same, between) = (off(&same), off(&data.with_neighbours(2).concat()));
    assert!(same < 1e-5, "{same} of the largest logit");
    assert!(between > 1e-2, "{between} of the largest logit");
}

/// Burn's executor, which scores on GPUs, and the engine's own, which does on the CPU, label a split alike.
#[test]
fn both_executors_score_alike() {
    let root = tempfile::tempdir().unwrap();
    let data = Prepared::open(prepared(root.path())).unwrap();
    let graph = UnetSpec::paper(Encoder::ResNet18, 3).graph();
    let parameters = Parameters::initialise(&graph, 5, &Device::flex());
    let (program, tensors) = lower(&graph, &parameters).unwrap();
    let size = [SIDE, SIDE];
    let mut burn =
        Executor::from_program(&program, &tensors, size, 255.0, &Device::flex()).unwrap();
    let entry = Entry {
        size,
        scale: 255.0,
        neighbours: false,
    };
    let mut own = program_on(&Device::flex(), &program, tensors, entry).unwrap();
    let labels = |model: &mut dyn SliceModel| {
        let mut labels = Vec::new();
        let slices = data.split(Split::Train);
        evaluate(&data, slices, model, |_, found| {
            labels.extend_from_slice(found);
        })
        .unwrap();
        labels
    };
    let (burn, own) = (labels(&mut burn), labels(&mut own));
    let differ = burn.iter().zip(&own).filter(|(a, b)| a != b).count();
    assert!(
        differ * 1000 <= burn.len(),
        "{differ} of {} labels differ",
        burn.len()
    );
}

/// An oracle that finds every kidney and tumour of these slices, and a speck of kidney in the corner.
fn specks(data: &Prepared, mut slices: Vec<u32>) -> impl SliceModel {
    let shape = SliceShape {
        batch: 8,
        ..SliceShape::new([SIDE, SIDE])
    };
    Labeller::new(shape, move |_, batch, out: &mut [u8]| {
        for (slice, out) in slices.drain(..batch).zip(out.chunks_mut(SIDE * SIDE)) {
            out.copy_from_slice(data.labels(slice));
            out[SIDE * SIDE - 1] = 1;
        }
        Ok(())
    })
}

#[test]
fn small_components_are_removed_by_sizes_chosen_on_validation() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    let run = Run::create(&root.path().join("run"), config(&data), "cpu").unwrap();
    fs::write(run.checkpoint("last"), "a state").unwrap();
    let validation = run.data().split(Split::Validation).to_vec();
    let mut model = specks(run.data(), validation);
    let chosen = small_parts::of_run(&run, "last", false, &mut model).unwrap();
    // One pixel at a side of 32 goes; every kidney of 144 pixels stays.
    assert!((2..=144).contains(&chosen.kidney), "{chosen:?}");
    assert_eq!(chosen.tumour, 0);
    // Chosen once for a state: the oracle, which knows no more slices, is not asked again.
    let again = small_parts::of_run(&run, "last", false, &mut model).unwrap();
    assert_eq!(again, chosen);

    let test = run.data().split(Split::Test).to_vec();
    let mut cleaned = cleaned(specks(run.data(), test.clone()), chosen);
    let scores = evaluate(run.data(), &test, &mut cleaned, |_, _| {})
        .unwrap()
        .scores();
    assert_eq!(scores.paper.get(Class::Kidney).dice, Some(1.0));
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
fn labels_that_the_disk_has_damaged_end_the_run_with_the_name_of_their_slice() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared(root.path());
    for entry in fs::read_dir(data.join("volumes")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension() == Some("u8".as_ref()) {
            let bytes = fs::metadata(&path).unwrap().len();
            fs::write(&path, vec![7; bytes as usize]).unwrap();
        }
    }
    let run = Run::create(&root.path().join("run"), config(&data), "cpu").unwrap();
    let error = train(&run, |_| false).unwrap_err().to_string();
    assert!(error.contains("labels that are none"), "{error}");
    assert!(error.contains("case_0000"), "{error}");
}

/// Whoever went on without the line would write the file anew, and the epochs before would be gone.
#[test]
fn a_damaged_line_of_the_records_is_told_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let run = Run::create(&folder, config(&prepared(root.path())), "cpu").unwrap();
    let records = folder.join("metrics.jsonl");
    fs::write(&records, "{\"epoch\": 1, \n").unwrap();
    let error = train(&run, |_| false).unwrap_err().to_string();
    assert!(error.contains("line 1 is damaged"), "{error}");
    assert_eq!(fs::read_to_string(&records).unwrap(), "{\"epoch\": 1, \n");
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
                neighbours: true,
                ..good.clone()
            },
            "--channels 3",
        ),
        (
            TrainConfig {
                neighbours: true,
                channels: 3,
                ..good.clone()
            },
            "prepare --neighbours",
        ),
        (
            TrainConfig {
                ema: 1.0,
                ..good.clone()
            },
            "--ema",
        ),
        (
            TrainConfig {
                warm_up: 1.0,
                ..good.clone()
            },
            "--warm-up",
        ),
        (
            TrainConfig {
                weight_bound: 0.5,
                ..good.clone()
            },
            "--weight-bound",
        ),
        (
            TrainConfig {
                repeat: vec!["elsewhere=2".parse().unwrap()],
                ..good.clone()
            },
            "elsewhere",
        ),
        (
            TrainConfig {
                repeat: vec!["data=0".parse().unwrap()],
                ..good.clone()
            },
            "no slice to train on",
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
