//! The post-activation ResNet of torchvision (and timm's plain `resnetN`), with torchvision's layer names.
//!
//! A deviation from the paper, for whoever has such weights. Against the reference encoder: convolution, batch norm and
//! rectifier in this order, a rectifier behind each sum, shortcuts with an own batch norm and only where shapes change,
//! epsilon 1e-5, and a fixed normalisation of the [0, 1] input instead of a batch norm. Skips are the stem's rectifier
//! and the outputs of `layer1` to `layer3`: the same scales and channels as the reference's, so the decoder is the same.

use super::architecture::{RGB, STAGE_FILTERS, UnetSpec, Unit};
use super::graph::{GraphBuilder, LayerOp, NodeId};

/// Name of the input normalisation.
pub(super) const NORMALISE: &str = "normalise";
/// Mean of the ImageNet images in [0, 1], red, green, blue, as torchvision's transforms have it.
const MEAN: [f64; RGB] = [0.485, 0.456, 0.406];
/// Their deviation.
const DEVIATION: [f64; RGB] = [0.229, 0.224, 0.225];
/// Epsilon of every batch norm.
const EPSILON: f64 = 1e-5;
/// PyTorch's momentum of 0.1 weighs the new value; this is the old one's weight.
const MOMENTUM: f64 = 0.9;

fn batch_norm(b: &mut GraphBuilder, name: &str, x: NodeId) -> NodeId {
    let op = LayerOp::BatchNorm {
        epsilon: EPSILON,
        momentum: MOMENTUM,
        gamma: true,
    };
    b.layer(name, x, op)
}

/// Input normalisation, stem and stages on `x`, which has three channels. Pushes the skips shallowest first.
pub(super) fn encoder(
    b: &mut GraphBuilder,
    spec: &UnetSpec,
    mut x: NodeId,
    skips: &mut Vec<NodeId>,
) -> NodeId {
    let normalise = LayerOp::Normalise {
        mean: MEAN,
        deviation: DEVIATION,
    };
    x = b.layer(NORMALISE, x, normalise);
    x = b.conv("conv1", x, STAGE_FILTERS, 7, 2, 3);
    x = batch_norm(b, "bn1", x);
    x = b.relu("relu", x);
    skips.push(x);
    x = b.max_pool("maxpool", x);
    for (stage, &units) in spec.repetitions.iter().enumerate() {
        let filters = STAGE_FILTERS << stage;
        for unit in 0..units {
            let stride = if unit == 0 && stage > 0 { 2 } else { 1 };
            let prefix = format!("layer{}.{unit}.", stage + 1);
            x = residual_unit(b, spec.unit, &prefix, x, filters, stride);
        }
        if stage + 1 < spec.repetitions.len() {
            skips.push(x);
        }
    }
    x
}

/// One unit: main path, shortcut, sum, rectifier.
fn residual_unit(
    b: &mut GraphBuilder,
    unit: Unit,
    prefix: &str,
    x: NodeId,
    filters: usize,
    stride: usize,
) -> NodeId {
    let name = |part: &str| format!("{prefix}{part}");
    // (filters, kernel, stride, padding); a bottleneck strides in its 3x3 convolution ("v1.5").
    let steps: &[(usize, usize, usize, usize)] = match unit {
        Unit::Basic => &[(filters, 3, stride, 1), (filters, 3, 1, 1)],
        Unit::Bottleneck => &[
            (filters, 1, 1, 0),
            (filters, 3, stride, 1),
            (4 * filters, 1, 1, 0),
        ],
    };
    let mut y = x;
    for (i, &(filters, kernel, stride, padding)) in steps.iter().enumerate() {
        let n = i + 1;
        y = b.conv(
            &name(&format!("conv{n}")),
            y,
            filters,
            kernel,
            stride,
            padding,
        );
        y = batch_norm(b, &name(&format!("bn{n}")), y);
        if n < steps.len() {
            y = b.relu(&name(&format!("relu{n}")), y);
        }
    }
    let out = b.channels(y);
    let shortcut = if stride != 1 || b.channels(x) != out {
        let projected = b.conv(&name("downsample.0"), x, out, 1, stride, 0);
        batch_norm(b, &name("downsample.1"), projected)
    } else {
        x
    };
    let sum = b.add(&name("add"), y, shortcut);
    b.relu(&name("relu"), sum)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};
    use nephrobox_engine::burn::Executor;
    use safetensors::SafeTensors;

    use super::super::architecture::{Encoder, Family, Part};
    use super::super::parameters::to_vec;
    use super::super::{Parameters, infer, lower};
    use super::UnetSpec;
    use crate::closed_form;

    /// torchvision's `num_params` of each model, and its classification head's (1000 classes).
    const PARAMETERS: [(Encoder, usize, usize); 5] = [
        (Encoder::TorchvisionResNet18, 11_689_512, 513_000),
        (Encoder::TorchvisionResNet34, 21_797_672, 513_000),
        (Encoder::TorchvisionResNet50, 25_557_032, 2_049_000),
        (Encoder::TorchvisionResNet101, 44_549_160, 2_049_000),
        (Encoder::TorchvisionResNet152, 60_192_808, 2_049_000),
    ];

    #[test]
    fn encoders_have_as_many_parameters_as_torchvisions() {
        for (encoder, total, head) in PARAMETERS {
            assert_eq!(encoder.family(), Family::Torchvision);
            let graph = UnetSpec::paper(encoder, 3).graph();
            let count: usize = graph
                .variables()
                .iter()
                .filter(|v| v.role.is_trainable() && Part::of(&v.layer) == Part::Encoder)
                .map(|v| v.shape.iter().product::<usize>())
                .sum();
            assert_eq!(count, total - head, "{encoder}");
            assert_eq!(Encoder::of(&graph), Some(encoder));
            assert_eq!(graph.multiple(), 32, "{encoder}");
        }
    }

    /// Logits that PyTorch computed in f64 on torchvision 0.29.2's own ResNets, with closed-form weights
    /// (`tools/peers/make_weight_fixtures.py`). The lowered program must give them too.
    #[test]
    fn logits_are_pytorchs() {
        let bytes = include_bytes!("../../tests/fixtures/torchvision_unet_logits.safetensors");
        let file = SafeTensors::deserialize(bytes).unwrap();
        let device = Device::flex();
        let pixels: Vec<f32> = closed_form::unit("torchvision/input", 3 * 64 * 32)
            .map(|u| u as f32)
            .collect();
        for (name, encoder) in [
            ("resnet18", Encoder::TorchvisionResNet18),
            ("resnet50", Encoder::TorchvisionResNet50),
        ] {
            let expected: Vec<f32> = file
                .tensor(name)
                .unwrap()
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect();
            let graph = UnetSpec::paper(encoder, 3).graph();
            let parameters = Parameters::from_fn(&graph, &device, crate::golden::closed_form);
            let images = TensorData::new(pixels.clone(), [1, 3, 64, 32]);
            let images = Tensor::from_data(images, &device);
            let worst = |found: &[f32]| {
                assert_eq!(found.len(), expected.len());
                let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
                differences.fold(0.0_f32, f32::max)
            };
            // The logits reach 7; f32 carries seven digits through some sixty layers.
            let off = worst(&to_vec(infer(&graph, &parameters, &images, |_, _| {})));
            assert!(off < 1e-4, "{encoder}: off by {off:e}");
            let (program, tensors) = lower(&graph, &parameters).unwrap();
            let mut executor =
                Executor::from_program(&program, &tensors, [64, 32], 1.0, &device).unwrap();
            let off = worst(&executor.raw_logits(&pixels, 1, 64, 32).unwrap());
            assert!(off < 1e-4, "{encoder}, lowered: off by {off:e}");
        }
    }
}
