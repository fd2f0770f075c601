//! Packages made here, looked at and checked as an engineer would.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use nephrobox_engine::package::Model;
use nephrobox_engine::program::Storage;
use nephrobox_shared::package::{Signature, attach_signature};
use nephroctl::failure::{Exit, Failure};
use serde_json::Value;
use support::{call, save, text};
use tempfile::TempDir;

fn shown(package: &Path, json: bool) -> String {
    let mut arguments = vec!["inspect", text(package)];
    arguments.extend(json.then_some("--json"));
    call(&arguments).expect("a sound package")
}

fn verified(package: &Path) -> Result<String, Failure> {
    call(&["verify", text(package)])
}

#[test]
fn inspect_shows_manifest_scores_tensors_and_hash() {
    let home = TempDir::new().expect("a folder");
    let package = save(home.path());
    let text = shown(&package, false);
    let hash = Model::load(&package).expect("a package").hash.to_string();
    for part in [
        "example version 12",
        &hash,
        "none (unsigned package)",
        "resnet18",
        "256 x 256 pixels",
        "-125 to 225 HU",
        "0 background, 1 kidney, 2 tumour",
        "focal-dice",
        "Not for commercial use.",
        "3 patients, 40 slices",
        "0.8000", // Dice of kidney: 2 of 2 kidney pixels found, one tumour pixel taken for kidney
        "TEST SCORES, int8: not measured",
        "1: 1 conv2d",
        "2, 6 numbers, 18 bytes", // three kernel numbers in f16, three biases in f32
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn json_holds_everything_but_the_self_tests_pixels() {
    let home = TempDir::new().expect("a folder");
    let package = save(home.path());
    let json: Value = serde_json::from_str(&shown(&package, true)).expect("JSON");
    assert_eq!(
        json["blake3"],
        Model::load(&package).expect("a package").hash.to_string()
    );
    assert_eq!(json["bytes"], fs::metadata(&package).expect("a file").len());
    assert_eq!(json["signature"], Value::Null);
    assert_eq!(json["manifest"]["training"]["seed"], 42);
    assert_eq!(
        json["manifest"]["self_test"],
        serde_json::json!([{ "rows": 1, "cols": 2 }])
    );
    assert_eq!(
        json["manifest"]["scores"]["float"]["paper"]["kidney"]["dice"],
        0.8
    );
    assert_eq!(json["program"]["operations"]["conv2d"], 1);
    assert_eq!(json["tensors"][0]["storage"], "f16");
    assert_eq!(json["tensors"][0]["shape"], serde_json::json!([3, 1, 1, 1]));
}

#[test]
fn a_signature_is_shown_and_never_called_verified() {
    let home = TempDir::new().expect("a folder");
    let package = save(home.path());
    let mut bytes = fs::read(&package).expect("a package");
    attach_signature(
        &mut bytes,
        Signature {
            key_id: [0xAB; 16],
            bytes: [1; 64],
        },
    )
    .expect("signed");
    fs::write(&package, bytes).expect("written");
    let state = format!("by key {}, not verified", "ab".repeat(16));
    assert!(shown(&package, false).contains(&state));
    assert!(verified(&package).expect("whole").contains(&state));
}

#[test]
fn verify_accepts_a_whole_package_and_names_what_is_wrong_with_others() {
    type Spoil = fn(&mut Vec<u8>);
    let home = TempDir::new().expect("a folder");
    let package = save(home.path());
    assert!(verified(&package).expect("whole").contains("hash"));

    let whole = fs::read(&package).expect("a package");
    let disasters: [(&str, Spoil); 6] = [
        ("no model package", |bytes| bytes[0] = b'X'),
        ("format version 9", |bytes| bytes[4] = 9),
        ("cut off", |bytes| bytes.truncate(bytes.len() - 1)),
        ("followed by other bytes", |bytes| bytes.push(0)),
        ("hash", |bytes| bytes[200] ^= 1),
        ("no model package", Vec::clear),
    ];
    for (word, spoil) in disasters {
        let mut bytes = whole.clone();
        spoil(&mut bytes);
        fs::write(&package, bytes).expect("written");
        let failure = verified(&package).expect_err("a refusal");
        assert_eq!(failure.exit, Exit::Model);
        assert!(failure.told.what.contains(word), "{failure}");
        assert!(!failure.told.remedy.is_empty(), "{failure}");
    }
    assert_eq!(
        verified(&home.path().join("nowhere.nbx"))
            .expect_err("not there")
            .exit,
        Exit::Model
    );
}

/// A package is only as good as the machine it runs on: its own slices must come out as where it was made.
#[test]
fn verify_runs_the_packages_own_slices() {
    let home = TempDir::new().expect("a folder");
    let package = save(home.path());
    assert!(
        verified(&package)
            .expect("whole")
            .contains("self-test  1 slices")
    );
    let model = Model::load(&package).expect("a package").model;
    let mut manifest = model.manifest().clone();
    manifest.self_test[0].labels[1] = 2;
    let model = model.with_manifest(manifest).expect("a model");
    model.save(&package, Storage::F16).expect("saved");
    let failure = verified(&package).expect_err("another label");
    assert_eq!(failure.exit, Exit::Model);
    assert!(
        failure.told.what.contains("1 pixels of self-test slice 1"),
        "{failure}"
    );
}

#[test]
fn the_program_ends_with_the_documented_codes() {
    let home = TempDir::new().expect("a folder");
    let package = save(home.path());
    let package = package.to_str().expect("a plain path");
    let code = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_nephroctl"))
            .args(arguments)
            .output()
            .expect("it runs");
        output.status.code()
    };
    assert_eq!(code(&["verify", package]), Some(0));
    assert_eq!(code(&["inspect", package, "--json"]), Some(0));
    assert_eq!(code(&["info", package]), Some(0), "its former name");
    assert_eq!(code(&["verify", env!("CARGO_BIN_EXE_nephroctl")]), Some(4));
    assert_eq!(code(&["verify"]), Some(2));
}
