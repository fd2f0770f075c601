//! The golden runner: passes on the reference's numbers, and fails on numbers that are wrong.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use nephrotrain::golden::{self, Outcome};

/// The folder beside the repository; users do not have it.
fn reference() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: ../shared/golden is not here");
    None
}

#[test]
fn every_known_kind_of_the_reference_passes() {
    let Some(folder) = reference() else { return };
    let device = Device::flex();
    let mut passed = 0;
    for (kind, path) in golden::find(&folder).unwrap() {
        let report = golden::run(&kind, &path, &device);
        match &report.outcome {
            Outcome::Passed { .. } => passed += 1,
            other => panic!("{kind}/{}: {other:?}", report.name),
        }
    }
    assert!(passed >= 53, "only {passed} cases were run");
}

/// One changed number in each kind must be found.
#[test]
fn tampered_cases_fail() {
    let Some(folder) = reference() else { return };
    let cases = [
        ("losses", "mixed", "\"ce\": 1.5142", "\"ce\": 1.5143"),
        (
            "metrics",
            "three_patients",
            "0.948051948051948",
            "0.948061948051948",
        ),
        (
            "training",
            "tiny_trace",
            "\"learning_rate\": 0.001",
            "\"learning_rate\": 0.0011",
        ),
        (
            "model",
            "unet_resnet18_32x96_gray",
            "\"encoder\": \"resnet18\"",
            "\"encoder\": \"resnet34\"",
        ),
        (
            "h5",
            "tiny_basic_weights",
            "\"decoder_stage2b_bn/beta:0\"",
            "\"decoder_stage2b_bn/gamma:1\"",
        ),
    ];
    let temporary = tempfile::tempdir().unwrap();
    for (kind, name, from, to) in cases {
        let target = temporary.path().join(kind);
        fs::create_dir_all(&target).unwrap();
        let source = folder.join(kind).join(name);
        let text = fs::read_to_string(source.with_extension("json")).unwrap();
        assert!(text.contains(from), "{kind}/{name} no longer has {from}");
        let path = target.join(name).with_extension("json");
        fs::write(&path, text.replace(from, to)).unwrap();
        fs::copy(
            source.with_extension("safetensors"),
            path.with_extension("safetensors"),
        )
        .unwrap();
        if kind == "h5" {
            let twin = path.with_extension("h5");
            fs::copy(source.with_extension("h5"), twin).unwrap();
        }
        let report = golden::run(kind, &path, &Device::flex());
        assert!(
            matches!(report.outcome, Outcome::Failed { .. }),
            "{kind}/{name}: {:?}",
            report.outcome
        );
    }
}

#[test]
fn unknown_kinds_are_not_run_and_damaged_cases_are_broken() {
    let temporary = tempfile::tempdir().unwrap();
    let write = |kind: &str, name: &str, text: &str| {
        fs::create_dir_all(temporary.path().join(kind)).unwrap();
        fs::write(temporary.path().join(kind).join(name), text).unwrap();
    };
    write("dance", "waltz.json", "{}");
    write("dance", "waltz.safetensors", "");
    write("scripts", "cases.json", "{}");
    write("losses", "no_arrays.json", "{}");
    write("metrics", "torn.json", "{");
    write("metrics", "torn.safetensors", "");
    let found = golden::find(temporary.path()).unwrap();
    let outcomes: Vec<(String, Outcome)> = found
        .iter()
        .map(|(kind, path)| {
            (
                kind.clone(),
                golden::run(kind, path, &Device::flex()).outcome,
            )
        })
        .collect();
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
    assert!(matches!(&outcomes[0], (kind, Outcome::NotRun { .. }) if kind == "dance"));
    assert!(matches!(&outcomes[1], (kind, Outcome::Broken { .. }) if kind == "losses"));
    assert!(matches!(&outcomes[2], (kind, Outcome::Broken { .. }) if kind == "metrics"));
    assert!(outcomes[1].1.is_failure() && !outcomes[0].1.is_failure());
}
