//! A trained network in integers: the same answers, a record of how, and the same bytes each time.

use std::process::Command;

use burn::tensor::Device;
use nephrobox_engine::cpu::int8::{KERNELS, Network, Options, is_quantised};
use nephrobox_engine::package::Model;
use nephrobox_engine::program::Storage;
use nephrobox_engine::self_test;
use nephrotrain::data::Split;
use nephrotrain::export::{Label, unscored};
use nephrotrain::quantise::{Estimator, Quantised, Settings, quantise};
use nephrotrain::train::Run;

mod support;
use support::{config, prepared, train};

fn trained(root: &std::path::Path) -> Run {
    let data = prepared(root);
    let run = Run::create(&root.join("run"), config(&data), "cpu").unwrap();
    train(&run, |_| false).unwrap();
    run
}

fn float(run: &Run) -> Model {
    let label = Label {
        name: "tiny".into(),
        version: 1,
        licence_notice: "none".into(),
        source_revision: "test".into(),
    };
    unscored(run, "last", label, &Device::flex()).unwrap()
}

fn integers(run: &Run) -> Quantised {
    let settings = Settings {
        slices: 12,
        estimator: Some(Estimator::MinMax),
        ..Settings::default()
    };
    quantise(run, &float(run), &settings, &mut |_| {}).unwrap()
}

#[test]
fn a_network_in_integers_answers_like_the_float_one_and_says_how_it_was_made() {
    let root = tempfile::tempdir().unwrap();
    let run = trained(root.path());
    let done = integers(&run);
    let (model, manifest) = (&done.model, done.model.manifest());
    assert!(is_quantised(model.program()));
    assert_eq!(model.storage(), Storage::I8);

    for judged in &done.judgement.0 {
        assert!(
            judged.same > 0.98,
            "{}: {} of the labels are the same",
            judged.split,
            judged.same
        );
    }
    assert!(
        done.layers.iter().all(|layer| layer.alone > 15.0),
        "{:#?}",
        done.layers
    );
    let scores = &manifest.scores;
    assert!(scores.float.is_some() && scores.int8.is_some());

    let record = manifest.calibration.as_ref().unwrap();
    assert_eq!(record.slices, 12);
    assert!(record.slices as usize <= run.data().split(Split::Train).len());
    assert_eq!(record.dataset_fingerprint, run.data().fingerprint().overall);
    let said = |key: &str| {
        record
            .parameters
            .iter()
            .find(|p| p.key == key)
            .map(|p| p.value.as_str())
    };
    assert_eq!(said("part of the split"), Some("train"));
    assert_eq!(said("estimator"), Some("min-max"));

    let input = manifest.input;
    for kernels in KERNELS.available() {
        let options = Options {
            size: [input.preprocess.rows, input.preprocess.cols],
            input_scale: f32::from(input.scale),
            threads: 1,
            kernels,
        };
        let mut network = Network::new(model.program(), model.tensors().clone(), options).unwrap();
        assert_eq!(self_test::run(manifest, &mut network), Ok(2), "{kernels}");
    }

    let again = integers(&run);
    assert_eq!(
        model.to_bytes().unwrap(),
        again.model.to_bytes().unwrap(),
        "the seed decides everything"
    );
}

#[test]
fn the_command_prints_layers_and_scores_and_writes_a_package_that_loads() {
    let root = tempfile::tempdir().unwrap();
    let run = trained(root.path());
    let out = root.path().join("tiny.nbx");
    let quantise = |more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_nephrotrain"))
            .args([
                "quantise",
                "--name",
                "tiny",
                "--licence-notice",
                "none",
                "--slices",
                "8",
                "--run",
            ])
            .arg(run.folder())
            .arg("--out")
            .arg(&out)
            .args(more)
            .output()
            .unwrap()
    };
    // So few pixels are a coarse measure: one more or less can be a tenth of a point.
    let done = quantise(&["--allow-drop"]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    for part in [
        "conv0/kernel",
        "validation split",
        "test split",
        "int8",
        "tiny.nbx: tiny",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(is_quantised(Model::load(&out).unwrap().model.program()));

    let refused = quantise(&["--range", "sigma"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && text.contains("min-max, percentile, mse"),
        "{text}"
    );
}
