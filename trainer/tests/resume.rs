//! A run that was cut off goes on to the same bits, and one that is finished says so.

use std::fs;
use std::ops::ControlFlow;
use std::process::{Command, Output};

use burn::tensor::Device;
use nephrobox_engine::program::Storage;
use nephrotrain::export::{Label, export};
use nephrotrain::loss::LossName;
use nephrotrain::network::{Encoder, UnetSpec, import};
use nephrotrain::train::checkpoint;
use nephrotrain::train::config::Schedule;
use nephrotrain::train::sampling::Sample;
use nephrotrain::train::{Event, Options, Run, TrainConfig};

mod support;
use support::{arrays, config, prepared, prepared_with, train};

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
    assert_eq!(killed.records().unwrap().len(), 2);
    let resumed = Run::open(killed.folder(), None).unwrap();
    train(&resumed, |_| false).unwrap();

    assert_eq!(arrays(&whole), arrays(&resumed));
    let losses = |run: &Run| -> Vec<(usize, f64)> {
        run.records()
            .unwrap()
            .iter()
            .map(|r| (r.epoch, r.loss))
            .collect()
    };
    assert_eq!(losses(&whole), losses(&resumed));
    assert!(resumed.folder().join("curves.png").is_file());
}

#[test]
fn a_killed_run_goes_on_with_its_passes_to_the_same_bits() {
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
    assert_eq!(arrays(&whole), arrays(&resumed));
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
        .train(&Device::flex(), &every_step, |event| match event {
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
fn what_goes_beyond_the_paper_resumes_to_the_same_bits_too() {
    let root = tempfile::tempdir().unwrap();
    let data = prepared_with(root.path(), true);
    let beyond = TrainConfig {
        channels: 3,
        neighbours: true,
        loss: LossName::WceImage,
        ema: 0.8,
        sample: Sample::Balanced,
        schedule: Schedule::Polynomial,
        batch: 4,
        epochs: 2,
        ..config(&data)
    };
    let whole = Run::create(&root.path().join("whole"), beyond.clone(), "cpu").unwrap();
    train(&whole, |_| false).unwrap();
    let killed = Run::create(&root.path().join("killed"), beyond, "cpu").unwrap();
    let every_step = Options {
        checkpoint_every: std::time::Duration::ZERO,
        ..Options::default()
    };
    killed
        .train(&Device::flex(), &every_step, |event| match event {
            Event::Step {
                epoch: 1, step: 2, ..
            } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .unwrap();
    let resumed = Run::open(killed.folder(), None).unwrap();
    train(&resumed, |_| false).unwrap();
    assert_eq!(arrays(&whole), arrays(&resumed));

    // What is judged is the average, not the last step's values.
    let graph = UnetSpec::paper(Encoder::ResNet18, 3).graph();
    let file = whole.checkpoint("last");
    let judged = checkpoint::load_parameters(&file, &graph, &Device::flex()).unwrap();
    let all = arrays(&whole);
    let of = |name: &str| &all.iter().find(|(n, _)| n == name).unwrap().1;
    let judged: Vec<u8> = judged
        .get("conv0/kernel")
        .unwrap()
        .clone()
        .into_data()
        .into_bytes()
        .to_vec();
    assert_eq!(&judged, of("average/conv0/kernel"));
    assert_ne!(&judged, of("conv0/kernel"));
    // A run that starts from this one's weights starts from the average too.
    let started = import::load(&file, &graph, 1, &Device::flex()).unwrap();
    let started = started.get("conv0/kernel").unwrap().clone();
    assert_eq!(&judged, &started.into_data().into_bytes().to_vec());
    let label = Label {
        name: "test".into(),
        version: 1,
        licence_notice: "none".into(),
        source_revision: "none".into(),
    };
    let refused = export(&whole, "last", Storage::F32, label, &Device::flex()).unwrap_err();
    assert!(refused.to_string().contains("--neighbours"), "{refused}");
}

#[test]
fn a_finished_run_says_so_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let short = TrainConfig {
        epochs: 1,
        ..config(&prepared(root.path()))
    };
    let folder = root.path().join("run");
    let run = Run::create(&folder, short, "cpu").unwrap();
    assert!(!run.is_finished().unwrap(), "nothing is done yet");
    train(&run, |_| false).unwrap();
    assert!(run.is_finished().unwrap());
    let (before, written) = (arrays(&run), fs::metadata(run.checkpoint("last")).unwrap());

    let resume = |more: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nephrotrain"));
        command.args(["train", "--device", "cpu", "--resume", "--out"]);
        command.arg(&folder).args(more).output().unwrap()
    };
    let output = resume(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let [last, best] = ["last", "best"].map(|which| run.checkpoint(which).display().to_string());
    for part in [
        "is finished: all 1 of 1 epochs are done",
        &last,
        &best,
        "--weights",
        "next, score the network:\n  nephrotrain evaluate --run",
    ] {
        assert!(said.contains(part), "{part} in: {said}");
    }
    assert!(!said.contains("going on"), "{said}");
    // Other programs read the run's folder, as after training.
    let folder_line = format!("{}\n", folder.display());
    assert_eq!(String::from_utf8_lossy(&output.stdout), folder_line);
    assert_eq!(arrays(&run), before);
    let now = fs::metadata(run.checkpoint("last")).unwrap();
    assert_eq!(now.modified().unwrap(), written.modified().unwrap());

    // The sentence's reason for a new run.
    let output = resume(&["--epochs", "2"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("--epochs cannot be given with --resume"),
        "{said}"
    );
}

/// Evaluation and export read a checkpoint piece by piece, so nothing but its own table tells them what is missing.
#[test]
fn a_checkpoint_that_is_cut_short_or_no_checkpoint_is_refused_in_a_sentence() {
    let root = tempfile::tempdir().unwrap();
    let short = TrainConfig {
        epochs: 1,
        ..config(&prepared(root.path()))
    };
    let run = Run::create(&root.path().join("run"), short, "cpu").unwrap();
    train(&run, |_| false).unwrap();
    let (graph, file) = (run.config().network().graph(), run.checkpoint("last"));
    let read = || checkpoint::load_parameters(&file, &graph, &Device::flex());
    read().unwrap();
    let whole = fs::read(&file).unwrap();
    let table = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    let longer = [&whole[..], b"more"].concat();
    for (bytes, problem) in [
        (&whole[..4], "cannot be read"),
        (&whole[..table - 1], "ends within its table"),
        (
            &whole[..whole.len() - 1],
            "its size is not what its table says",
        ),
        (&longer[..], "its size is not what its table says"),
        (&[b'x'; 4096][..], "ends within its table"),
        (
            &[3, 0, 0, 0, 0, 0, 0, 0, b'{', b',', b'}'][..],
            "is damaged",
        ),
    ] {
        fs::write(&file, bytes).unwrap();
        let refused = read().expect_err(problem).to_string();
        assert!(
            refused.contains(problem) && refused.contains("last.safetensors"),
            "{refused}"
        );
    }
}
