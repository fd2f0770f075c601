//! ONNX Runtime on real files, where a Python with `onnx` and `onnxruntime` is at hand: `python3`, or the one that
//! `NEPHROBOX_PYTHON` names.

use std::fs;
use std::path::Path;
use std::process::Command;

use nephrobox_engine::package::Model;
use nephrotrain::onnx::{self, Options, Outputs, Reference};

use crate::demo;

#[test]
fn onnx_runtime_agrees_with_the_burn_executor() {
    let python = std::env::var("NEPHROBOX_PYTHON").unwrap_or_else(|_| "python3".into());
    let there = Command::new(&python)
        .args(["-c", "import numpy, onnx, onnxruntime"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("skipped: {python} has no onnx and onnxruntime; see docs/onnx.md");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut check = Command::new(&python);
    check.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/peers/onnx_check.py"));
    for (name, model, options) in cases() {
        let [file, reference] =
            ["onnx", "safetensors"].map(|end| folder.path().join(format!("{name}.{end}")));
        fs::write(&file, onnx::encode(&model, &options).unwrap()).unwrap();
        let example = Reference::compute(&model, &options).unwrap();
        fs::write(&reference, example.to_bytes().unwrap()).unwrap();
        check.args([file, reference]);
    }
    let output = check.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    eprintln!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
    assert!(said.contains("all within the limit"));
}

/// The demo model with each choice, and with an input scale.
fn cases() -> Vec<(&'static str, Model, Options)> {
    let mut manifest = demo().manifest().clone();
    manifest.input.scale = 255;
    (
        manifest.input.preprocess.rows,
        manifest.input.preprocess.cols,
    ) = (96, 64);
    let fixed = Options {
        outputs: Outputs::Logits,
        batch: Some(2),
        fixed_size: true,
    };
    let probabilities = Options {
        outputs: Outputs::Probabilities,
        ..Options::default()
    };
    vec![
        ("demo", demo(), Options::default()),
        ("scaled", demo().with_manifest(manifest).unwrap(), fixed),
        ("softmax", demo(), probabilities),
    ]
}
