//! An ONNX file holds the program it was made from, exactly; and ONNX Runtime, where it is installed, agrees.
//!
//! `read` turns a file back into a program by the operators' published definitions and accepts nothing else; what a program computes
//! is the engine's tests' matter. That both readings of the definitions are right is shown with ONNX Runtime, in `runtime`.

mod read;
mod runtime;
// One generator of random programs for everything that reads programs.
#[path = "../../../engine/tests/programs/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::tensor::Device;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{Builder, Op, Program, Storage, Tensor, Tensors, ValueId};
use nephrobox_shared::report::RESEARCH_USE_NOTICE;
use nephrotrain::network::graph::Role;
use nephrotrain::network::{Encoder, Parameters, UnetSpec, lower};
use nephrotrain::onnx::{self, InputShape, OnnxError, Options, Outputs, graph, proto};
use proptest::prelude::*;
use prost::Message as _;

use crate::read::read;

fn demo() -> Model {
    Model::load(demo_path()).unwrap().model
}

fn demo_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-resnet18.nbx")
}

/// The program with a softmax at its end, or without.
fn with_softmax(program: &Program, wanted: bool) -> Program {
    let mut program = program.clone();
    let there = matches!(program.ops.last(), Some(Op::Softmax { .. }));
    if there && !wanted {
        program.ops.pop();
    } else if wanted && !there {
        program.ops.push(Op::Softmax {
            input: program.output,
            output: ValueId(program.ops.len() as u32 + 1),
        });
    }
    program
}

/// Shapes and numbers, as f32: what a file keeps of tensors whose names it had to change.
fn numbers(tensors: &Tensors) -> Vec<(Vec<usize>, Vec<f32>)> {
    tensors
        .iter()
        .map(|t| (t.shape().to_vec(), t.to_f32()))
        .collect()
}

fn decoded(graph: &proto::Graph) -> proto::Graph {
    proto::Graph::decode(graph.encode_to_vec().as_slice()).unwrap()
}

/// Names of layers and tensors included: a person who opens the file sees the names of the paper's network.
///
/// Both kinds of residual unit; the larger encoders have more of them, and `tools/peers/onnx_check.py` runs those.
#[test]
fn networks_come_back_unchanged() {
    for (encoder, channels) in [(Encoder::ResNet18, 1), (Encoder::ResNet50, 3)] {
        let network = UnetSpec::paper(encoder, channels).graph();
        let mut count = 0_u16;
        // Every variable another number, and cheap: what a network computes does not matter here.
        let parameters = Parameters::from_fn(&network, &Device::flex(), |v| {
            count += 1;
            let sign = if v.role == Role::MovingVariance {
                1.0
            } else {
                -1.0
            };
            vec![sign * f32::from(count); v.shape.iter().product()]
        });
        let (program, tensors) = lower(&network, &parameters).unwrap();
        drop(parameters);
        let written = graph(
            &program,
            &tensors,
            1.0,
            InputShape::default(),
            Outputs::Logits,
        )
        .unwrap();
        let file = read(&decoded(&written));
        assert_eq!(file.input_scale, 1.0);
        assert_eq!(file.tensors, tensors, "{encoder}");
        assert_eq!(file.program(program.multiple), program, "{encoder}");
        let nodes: Vec<&str> = written.node.iter().map(|n| n.name.as_str()).collect();
        for layer in [
            "bn_data",
            "conv0",
            "bn0/relu",
            "stage4_unit2_conv1",
            "final_conv",
        ] {
            assert!(nodes.contains(&layer), "{encoder} has no {layer}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Every operation in any combination, every storage, every choice of outputs.
    #[test]
    fn any_program_comes_back(
        (program, tensors) in random::programs(), scaled: bool,
        outputs in prop::sample::select(&Outputs::ALL[..]),
        storage in prop::sample::select(&[Storage::F32, Storage::F16, Storage::I8][..]),
    ) {
        let tensors: Tensors = tensors.iter().map(|t| match t.shape().len() {
            4 => t.stored_as(storage).unwrap(),
            _ => t.clone(),
        }).collect();
        let scale = if scaled { 255.0 } else { 1.0 };
        let written = graph(&program, &tensors, scale, InputShape::default(), outputs).unwrap();
        let file = read(&decoded(&written));
        prop_assert_eq!(file.input_scale, scale);
        prop_assert_eq!(numbers(&file.tensors), numbers(&tensors));
        prop_assert_eq!(&file.outputs, outputs.names());
        prop_assert_eq!(
            file.program(program.multiple), with_softmax(&program, outputs != Outputs::Logits)
        );
    }
}

#[test]
fn the_demo_package_comes_back_with_all_it_says() {
    let model = demo();
    let bytes = onnx::encode(&model, &Options::default()).unwrap();
    let file = proto::Model::decode(bytes.as_slice()).unwrap();
    assert_eq!(
        file,
        onnx::model(&model, &Options::default()).unwrap(),
        "the bytes hold all of it"
    );
    assert_eq!(
        (
            file.ir_version,
            file.opset_import[0].version,
            file.model_version
        ),
        (8, 17, 4)
    );
    let network = read(file.graph.as_ref().unwrap());
    let exact = model.stored_as(Storage::F32).unwrap();
    assert_eq!(&network.tensors, exact.tensors());
    assert_eq!(
        network.program(model.program().multiple),
        with_softmax(model.program(), true)
    );

    let said: BTreeMap<&str, &str> = file
        .metadata_props
        .iter()
        .map(|e| (e.key.as_str(), e.value.as_str()))
        .collect();
    assert_eq!(
        said.len(),
        file.metadata_props.len(),
        "a name is there twice"
    );
    let manifest = model.manifest();
    for (key, value) in [
        ("name", "demo-resnet18"),
        ("version", "4"),
        ("encoder", "resnet18"),
        (
            "class_map",
            r#"{"0":"background","1":"kidney","2":"tumour"}"#,
        ),
        ("window_low_hu", "-125"),
        ("window_high_hu", "225"),
        ("rows", "256"),
        ("cols", "256"),
        ("interpolation", "linear"),
        ("pad_to_square", "false"),
        ("size_multiple", "32"),
        ("input_scale", "1"),
        ("package_storage", "i8"),
        ("quantised", "true"),
        ("licence_notice", &manifest.training.licence_notice),
        (
            "dataset_fingerprint",
            &manifest.training.dataset_fingerprint,
        ),
        ("source_revision", &manifest.training.source_revision),
        ("notice", RESEARCH_USE_NOTICE),
    ] {
        assert_eq!(said.get(key), Some(&value), "{key}");
    }
    let scores: serde_json::Value = serde_json::from_str(said["test_scores"]).unwrap();
    // Those of the numbers that the file computes with, not of the network it was made from.
    let kidney = manifest.scores.int8.unwrap().paper.kidney.dice.unwrap();
    // The reader of JSON may miss the last bit.
    let said = scores["paper"]["kidney"]["dice"].as_f64().unwrap();
    assert!(
        (said - kidney).abs() < 1e-12,
        "{said} where {kidney} belongs"
    );
    assert!(file.doc_string.contains(RESEARCH_USE_NOTICE));
}

/// Names mean nothing in a package: they may be empty, repeat each other, or be the names of values.
#[test]
fn names_that_clash_are_told_apart() {
    let mut b = Builder::new(1, 4);
    let names = [
        "", "", "v1", "v1", "image", "logits", "mean_1", "v1#2", "twice", "a/b", "a/c",
    ];
    let mut x = b.input();
    for pair in names.chunks(2) {
        let [scale, shift] = [pair[0], pair[pair.len() - 1]]
            .map(|name| b.tensor(Tensor::f32(name, vec![1], vec![0.5]).unwrap()));
        x = b.affine(x, scale, shift, true);
        x = b.upsample2x(x);
        x = b.max_pool2d(x, 2, 2, 0);
    }
    let (program, tensors) = b.finish(x, 1).unwrap();
    let graph = graph(
        &program,
        &tensors,
        255.0,
        InputShape::default(),
        Outputs::Both,
    )
    .unwrap();
    // Refuses a name that is given twice.
    let file = read(&graph);
    assert_eq!(file.program(4), with_softmax(&program, true));
    assert_eq!(numbers(&file.tensors), numbers(&tensors));
}

/// One kernel for a convolution and for one that doubles: the two read it in different orders.
#[test]
fn a_kernel_read_both_ways_is_written_both_ways() {
    let mut b = Builder::new(3, 4);
    let image = b.input();
    let numbers = random::noise(7, 12 * 3 * 4);
    let kernel = b.tensor(Tensor::f32("k", vec![12, 3, 2, 2], numbers).unwrap());
    // The name that the second copy would have.
    let bias = b.tensor(Tensor::f32("k/transposed", vec![3], vec![0.5; 3]).unwrap());
    let large = b.up_conv2d(image, kernel, Some(bias));
    let wide = b.conv2d(image, kernel, None, 1, 1);
    let narrow = Tensor::f32("n", vec![3, 12, 2, 2], random::noise(8, 3 * 12 * 4)).unwrap();
    let narrow = b.tensor(narrow);
    let wide = b.conv2d(wide, narrow, None, 1, 0);
    let small = b.max_pool2d(large, 2, 2, 0);
    let sum = b.add(small, wide);
    let (program, tensors) = b.finish(sum, 3).unwrap();
    let shape = InputShape::default();
    let file = read(&graph(&program, &tensors, 1.0, shape, Outputs::Logits).unwrap());
    let found = file.program(4);
    let used = |program: &Program, tensors: &Tensors| -> Vec<_> {
        let all = program.ops.iter().flat_map(Op::tensors);
        all.map(|id| tensors.get(id).unwrap().to_f32()).collect()
    };
    assert_eq!(used(&found, &file.tensors), used(&program, &tensors));
    assert_eq!(file.tensors.len(), tensors.len() + 1);
    let names = |program: &Program| program.ops.iter().map(Op::name).collect::<Vec<_>>();
    assert_eq!(names(&found), names(&program));
}

#[test]
fn sizes_are_open_unless_asked_for() {
    let model = demo();
    let dims = |options: Options| -> Vec<(String, Vec<String>)> {
        let graph = onnx::model(&model, &options).unwrap().graph.unwrap();
        let values = graph.input.iter().chain(&graph.output);
        values.map(|v| (v.name.clone(), read::axes(v))).collect()
    };
    let axes = |list: [&str; 4]| list.map(String::from).to_vec();
    assert_eq!(
        dims(Options::default()),
        [
            ("image".into(), axes(["batch", "2", "rows", "cols"])),
            ("logits".into(), axes(["batch", "3", "rows", "cols"])),
            ("probabilities".into(), axes(["batch", "3", "rows", "cols"])),
        ]
    );
    let fixed = Options {
        outputs: Outputs::Probabilities,
        batch: Some(4),
        fixed_size: true,
    };
    assert_eq!(
        dims(fixed),
        [
            ("image".into(), axes(["4", "2", "256", "256"])),
            ("probabilities".into(), axes(["4", "3", "256", "256"])),
        ]
    );
}

#[test]
fn what_cannot_be_run_is_refused() {
    let model = demo();
    let (program, tensors) = (model.program(), model.tensors());
    let write = |batch, size| {
        graph(
            program,
            tensors,
            1.0,
            InputShape { batch, size },
            Outputs::Both,
        )
    };
    assert!(matches!(write(Some(0), None), Err(OnnxError::EmptyBatch)));
    let error = write(None, Some([64, 100])).unwrap_err().to_string();
    assert!(error.contains("multiples of 32, not 64 x 100"), "{error}");
    let mut broken = program.clone();
    broken.ops.truncate(3);
    let error = graph(&broken, tensors, 1.0, InputShape::default(), Outputs::Both);
    assert!(matches!(error, Err(OnnxError::Program(_))));
}

/// `nephrotrain ARGUMENTS`; whether it ended with 0.
fn nephrotrain(arguments: &[&str]) -> bool {
    let all = std::iter::once("nephrotrain").chain(arguments.iter().copied());
    let code = nephrotrain::cli::main(all.map(OsString::from));
    format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)
}

#[test]
fn the_command_writes_the_file_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (package, out) = (demo_path().to_str().unwrap().to_owned(), at("demo.onnx"));
    let export =
        |more: &[&str]| nephrotrain(&[&["export", "onnx", "--out", out.as_str()], more].concat());
    for refused in [
        &["--model", &at("missing.nbx")][..],
        &["--model", &package, "--run", &at("run")],
        &["--model", &package, "--name", "other"],
        &["--run", &at("run")],
        &["--model", &package, "--batch", "0"],
        &["--model", &package, "--outputs", "labels"],
        &[],
    ] {
        assert!(!export(refused), "{refused:?}");
        assert!(!Path::new(&out).exists(), "{refused:?}");
    }
    assert!(export(&[
        "--model",
        &package,
        "--outputs",
        "logits",
        "--batch",
        "2"
    ]));
    let options = Options {
        outputs: Outputs::Logits,
        batch: Some(2),
        fixed_size: false,
    };
    assert_eq!(
        std::fs::read(&out).unwrap(),
        onnx::encode(&demo(), &options).unwrap()
    );
}
