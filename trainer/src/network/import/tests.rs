//! Weights of every kind into a network, and files of another kind or depth refused.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::super::architecture::{Encoder, Part, UnetSpec};
use super::super::graph::{Graph, Role};
use super::super::parameters::Parameters;
use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Layers of a network as a file could hold them, every value the number of its layer.
fn source(graph: &Graph, ordered: bool, holds: impl Fn(&str) -> bool) -> Source {
    let mut layers = Vec::new();
    for (id, node) in graph.nodes().iter().enumerate() {
        let values: Vec<SourceValue> = graph
            .variables_of(id)
            .into_iter()
            .map(|v| SourceValue {
                label: v.name(),
                role: (!ordered).then_some(v.role),
                values: vec![id as f32; v.shape.iter().product()],
                shape: v.shape,
            })
            .collect();
        if !values.is_empty() && holds(&node.name) {
            layers.push(SourceLayer {
                name: node.name.clone(),
                values,
            });
        }
    }
    Source {
        path: "made.h5".into(),
        format: Format::KerasWeights,
        layers,
        ordered,
        md5: None,
    }
}

fn unet(encoder: Encoder) -> Graph {
    UnetSpec::paper(encoder, 3).graph()
}

fn is_encoder(name: &str) -> bool {
    Part::of(name) == Part::Encoder
}

fn refusal(source: &Source, graph: &Graph) -> String {
    Plan::new(source, graph).unwrap_err().to_string()
}

/// Weights file with fixed-length strings, with variable-length ones and `_2` behind the layers' names, and a whole
/// model with all lists split: the same four layers, kernels turned to OIHW.
#[test]
fn every_flavour_of_keras_file_gives_the_same_layers() {
    for (name, format) in [
        ("keras_weights_fixed.h5", Format::KerasWeights),
        ("keras_weights_variable.h5", Format::KerasWeights),
        ("keras_model_split.h5", Format::KerasModel),
    ] {
        let source = Source::read(&fixture(name)).unwrap();
        assert_eq!(source.format, format, "{name}");
        let names: Vec<&str> = source.layers.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["bn_data", "conv0", "bn0", "final_conv"], "{name}");
        let shapes: Vec<usize> = source.layers.iter().map(|l| l.values.len()).collect();
        assert_eq!(shapes, [3, 1, 4, 2], "{name}");
        // The file's HWIO kernel of layer 3 counts from 300: [h][w][i][o] of shape 3, 2, 2, 4.
        let kernel = &source.layers[1].values[0];
        assert_eq!(kernel.shape, [4, 2, 3, 2], "{name}");
        for (o, i, h, w) in [(0, 0, 0, 0), (3, 1, 2, 1), (1, 0, 2, 0)] {
            let at = ((o * 2 + i) * 3 + h) * 2 + w;
            let hwio = ((h * 2 + w) * 2 + i) * 4 + o;
            assert_eq!(kernel.values[at], 300.0 + hwio as f32, "{name}");
        }
        assert_eq!(source.layers[3].values[1].values, [500.0, 501.0, 502.0]);
    }
}

/// Zip and legacy containers, a half-precision array, a view with strides of its own, and weights one level down behind
/// `module.`. The classification head stays in the list; counters do not.
#[test]
fn every_flavour_of_pytorch_file_gives_the_same_layers() {
    for name in ["torch_zip.pth", "torch_legacy.pth", "torch_nested.pth"] {
        let source = Source::read(&fixture(name)).unwrap();
        assert_eq!(source.format, Format::PyTorch, "{name}");
        let value = |layer: &str, role| {
            let layer = source
                .layer(layer)
                .unwrap_or_else(|| panic!("{name}: no {layer}"));
            layer.value(role, 0).unwrap().values.clone()
        };
        assert_eq!(value("bn1", Role::Gamma), [1.0, 2.0], "{name}");
        assert_eq!(value("bn1", Role::Beta), [3.0, 4.0], "{name}");
        assert_eq!(value("bn1", Role::MovingMean), [5.0, 6.0], "{name}");
        assert_eq!(value("bn1", Role::MovingVariance), [7.0, 8.0], "{name}");
        let turned = value("layer1.0.conv1", Role::Kernel);
        assert_eq!(turned, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0], "{name}");
        assert_eq!(source.layer("bn1").unwrap().values.len(), 4, "{name}");
    }
}

/// An encoder's file leaves the decoder as it was initialised, whatever its layers are called.
#[test]
fn an_encoder_file_loads_into_a_whole_network() {
    let (graph, device) = (unet(Encoder::ResNet18), Device::flex());
    let source = source(&graph, true, is_encoder);
    let plan = Plan::new(&source, &graph).unwrap();
    assert_eq!((plan.matched, plan.decoder), (Matched::Names, false));
    let before = Parameters::initialise(&graph, 5, &device);
    let mut after = before.clone();
    plan.apply(&source, &mut after);
    for (position, parameter) in before.entries().iter().enumerate() {
        let layer = &parameter.variable.layer;
        let number = graph.position(layer).unwrap() as f32;
        if is_encoder(layer) {
            assert!(after.read(position).iter().all(|&v| v == number), "{layer}");
        } else {
            assert_eq!(after.read(position), before.read(position), "{layer}");
        }
    }
}

/// Keras lists a unit's shortcut behind its main path, and loads by order; names may be anything.
#[test]
fn other_names_in_keras_order_are_matched_by_order() {
    let graph = unet(Encoder::ResNet50);
    for whole in [true, false] {
        let mut source = source(&graph, true, |name| whole || is_encoder(name));
        let shortcuts: Vec<usize> = (0..source.layers.len())
            .filter(|&at| source.layers[at].name.ends_with("_sc"))
            .collect();
        for at in shortcuts {
            source.layers[at..at + 6].rotate_left(1); // conv1, bn2, conv2, bn3, conv3, sc
        }
        for (i, layer) in source.layers.iter_mut().enumerate() {
            layer.name = format!("layer_{i}");
        }
        let plan = Plan::new(&source, &graph).unwrap();
        assert_eq!((plan.matched, plan.decoder), (Matched::Order, whole));
        let mut parameters = Parameters::initialise(&graph, 1, &Device::flex());
        plan.apply(&source, &mut parameters);
        let sc = parameters.position("stage2_unit1_sc/kernel").unwrap();
        let number = graph.position("stage2_unit1_sc").unwrap() as f32;
        assert_eq!(parameters.read(sc)[0], number);
        // Without an order there is nothing to go by.
        source.ordered = false;
        assert!(Plan::new(&source, &graph).is_err());
    }
}

#[test]
fn weights_of_the_other_kind_are_refused_with_the_flag_to_use() {
    let (reference, torch) = (unet(Encoder::ResNet34), unet(Encoder::TorchvisionResNet50));
    let message = refusal(&source(&torch, false, is_encoder), &reference);
    assert!(
        message.ends_with("pass --encoder torchvision-resnet50"),
        "{message}"
    );
    let message = refusal(&source(&reference, true, is_encoder), &torch);
    assert!(message.ends_with("pass --encoder resnet34"), "{message}");
}

/// All layers of a ResNet50 are in a ResNet101's file, with the same shapes; it is another encoder all the same.
#[test]
fn weights_of_another_depth_are_refused_with_the_flag_to_use() {
    for (file, network) in [
        (Encoder::ResNet101, Encoder::ResNet50),
        (Encoder::ResNet50, Encoder::ResNet101),
        (Encoder::ResNet34, Encoder::ResNet50),
        (Encoder::TorchvisionResNet152, Encoder::TorchvisionResNet101),
        (Encoder::TorchvisionResNet18, Encoder::TorchvisionResNet34),
    ] {
        let source = source(&unet(file), false, is_encoder);
        assert_eq!(source.encoder(), Some(file));
        let message = refusal(&source, &unet(network));
        assert!(
            message.ends_with(&format!("pass --encoder {file}")),
            "{message}"
        );
    }
}

#[test]
fn a_file_for_other_channels_names_the_flag() {
    let gray = UnetSpec::paper(Encoder::ResNet18, 1).graph();
    let message = refusal(&source(&unet(Encoder::ResNet18), true, is_encoder), &gray);
    assert!(
        message.contains("bn_data") && message.ends_with("pass --channels 3"),
        "{message}"
    );
}

#[test]
fn a_file_with_half_a_decoder_or_a_missing_layer_is_refused() {
    let graph = unet(Encoder::ResNet18);
    let half = source(&graph, true, |name| !name.starts_with("decoder_stage3"));
    assert!(refusal(&half, &graph).contains("decoder_stage3a_conv"));
    let gap = source(&graph, true, |name| {
        is_encoder(name) && name != "stage3_unit2_conv2"
    });
    assert!(refusal(&gap, &graph).contains("stage3_unit2_conv2"));
}

/// A classification head is of no use here, and no reason to refuse.
#[test]
fn a_head_is_ignored_and_named() {
    let graph = unet(Encoder::TorchvisionResNet18);
    let mut source = source(&graph, false, is_encoder);
    source.layers.push(SourceLayer {
        name: "fc".into(),
        values: Vec::new(),
    });
    assert_eq!(Plan::new(&source, &graph).unwrap().ignored, ["fc"]);
}

/// What the defaults of `--channels` and `--input-scale` come from.
#[test]
fn a_file_tells_what_input_it_expects() {
    let graph = unet(Encoder::ResNet18);
    let expects = |source: &Source| source.expects().unwrap();
    let encoder = source(&graph, true, is_encoder);
    assert_eq!(
        (expects(&encoder).channels, expects(&encoder).scale),
        (3, 255)
    );
    let whole = source(&graph, true, |_| true); // `bn_data` has the number 1 as its mean
    assert_eq!(expects(&whole).scale, 1);
    let torch = source(&unet(Encoder::TorchvisionResNet18), false, is_encoder);
    assert_eq!((expects(&torch).channels, expects(&torch).scale), (3, 1));
    let adapted = UnetSpec::paper(Encoder::ResNet18, 1).with_adapter().graph();
    let adapted = source(&adapted, false, |_| true);
    assert_eq!(
        (expects(&adapted).channels, expects(&adapted).adapter),
        (1, true)
    );
}

#[test]
fn a_file_like_a_published_one_is_compared_with_its_checksum() {
    let mut source = source(&unet(Encoder::ResNet34), true, is_encoder);
    source.md5 = Some("0123456789abcdef0123456789abcdef".into());
    let message = source.published().unwrap().to_string();
    assert!(
        message.contains("0123456789abcdef")
            && message.contains("8caaa0ad39d927cb8ba5385bf945d582"),
        "{message}"
    );
    source.md5 = Some("8caaa0ad39d927cb8ba5385bf945d582".into());
    assert_eq!(source.published(), Some(Published::Same(Encoder::ResNet34)));
}

#[test]
fn files_that_hold_no_weights_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let message = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Source::read(&path).unwrap_err().to_string()
    };
    assert!(message("empty.h5", b"").contains("it is empty"));
    assert!(message("page.h5", b"<!DOCTYPE html>").contains("web page"));
    assert!(message("noise.pth", b"0123456789").contains("none of the formats"));
    let not_keras = std::fs::read(fixture("not_keras.h5")).unwrap();
    assert!(message("numbers.h5", &not_keras).contains("layer_names"));
    let missing = Source::read(&folder.path().join("missing.h5")).unwrap_err();
    assert!(matches!(missing.fault(), ImportFault::Read(_)), "{missing}");
}

/// Cut anywhere or with any byte changed: an error or other numbers, never a panic.
#[test]
fn damaged_files_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged");
    for name in [
        "keras_weights_fixed.h5",
        "keras_model_split.h5",
        "torch_zip.pth",
        "torch_legacy.pth",
    ] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let step = whole.len() / 150 + 1;
        for at in (0..whole.len()).step_by(step) {
            std::fs::write(&path, &whole[..at]).unwrap();
            let _ = Source::read(&path);
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            std::fs::write(&path, &changed).unwrap();
            let _ = Source::read(&path);
        }
    }
}
