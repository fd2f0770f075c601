//! ONNX Runtime on real files, where a Python with `onnx` and `onnxruntime` is at hand: `python3`, or the one that
//! `NEPHROBOX_PYTHON` names.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nephrobox_engine::package::Model;
use nephrobox_engine::program::{Data, Op, Tensor};
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
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/peers/onnx_check.py");
    let [mut check, mut strict] = [(); 2].map(|()| {
        let mut command = Command::new(&python);
        command.arg(&script);
        command
    });
    strict.arg("--strict");
    for (name, model, options) in cases() {
        let [file, reference] =
            ["onnx", "safetensors"].map(|end| folder.path().join(format!("{name}.{end}")));
        fs::write(&file, onnx::encode(&model, &options).unwrap()).unwrap();
        let example = Reference::compute(&model, &options).unwrap();
        fs::write(&reference, example.to_bytes().unwrap()).unwrap();
        if name == "exact" {
            &mut strict
        } else {
            &mut check
        }
        .args([file, reference]);
    }
    for mut command in [check, strict] {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        eprintln!("{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success());
        assert!(said.contains("all within the limit"));
    }
}

/// The demo model with each choice, with an input scale, and with exact sums.
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
        ("exact", exact(&demo()), Options::default()),
    ]
}

/// The model with powers of two for all scales, so that sums come out the same in any order.
///
/// What rounds is then the same in every executor, halves included, and the strict limit holds. Where the demo
/// package itself meets the middle between two numbers of a grid by an unlucky sum, a difference runs through all layers behind.
fn exact(model: &Model) -> Model {
    let power = |x: f32| x.abs().log2().round().exp2().copysign(x);
    let ops = &model.program().ops;
    let factors: HashSet<usize> = ops
        .iter()
        .filter_map(|op| match op {
            Op::Affine { scale, .. } | Op::Quantise { scale, .. } => Some(scale.index()),
            _ => None,
        })
        .collect();
    let tensors = model.tensors().iter().enumerate().map(|(index, tensor)| {
        let (name, shape) = (tensor.name(), tensor.shape().to_vec());
        let data = match tensor.clone().into_data() {
            // What rounding left of a kernel: sums with both would need more bits than an f32 has.
            Data::I8 { values, scales } if name.ends_with("/rest") => Data::I8 {
                values: vec![0; values.len()],
                scales,
            },
            Data::I8 { values, scales } => Data::I8 {
                values,
                scales: scales.into_iter().map(power).collect(),
            },
            Data::F32(numbers) if factors.contains(&index) => {
                Data::F32(numbers.into_iter().map(power).collect())
            }
            Data::F32(numbers) => {
                let short = |x: f32| (x * 256.0).round() / 256.0;
                Data::F32(numbers.into_iter().map(short).collect())
            }
            Data::F16(_) => panic!("{name} is f16"),
        };
        Tensor::new(name, shape, data).unwrap()
    });
    let tensors = tensors.collect();
    Model::new(model.manifest().clone(), model.program().clone(), tensors).unwrap()
}
