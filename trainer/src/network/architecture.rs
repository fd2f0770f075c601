//! Which network: encoder names, their units and filters, and the layer graph of the whole U-Net.
//!
//! The graph is the only description of the network. Training walks it with batch statistics,
//! inference with stored ones, export lowers it to an engine program, and freezing reads its layer
//! order. Layer names are those of the reference implementation (`segmentation_models` 1.0.1 on the
//! pre-activation ResNets of `classification_models`), so weights can be matched by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::graph::{Graph, GraphBuilder, NodeId};

/// Epsilon of every batch norm in the encoder, `bn_data` included.
pub const ENCODER_EPSILON: f64 = 2e-5;
/// Epsilon of every batch norm in the decoder: the Keras default, not the encoder's.
pub const DECODER_EPSILON: f64 = 1e-3;
/// Filters of the five decoder blocks, deepest first.
pub const DECODER_FILTERS: [usize; 5] = [256, 128, 64, 32, 16];
/// Filters of encoder stage 1; each later stage has twice as many.
const STAGE_FILTERS: usize = 64;

/// A pre-activation ResNet encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoder {
    /// 2, 2, 2, 2 basic units.
    ResNet18,
    /// 3, 4, 6, 3 basic units.
    ResNet34,
    /// 3, 4, 6, 3 bottleneck units.
    ResNet50,
    /// 3, 4, 23, 3 bottleneck units.
    ResNet101,
    /// 3, 8, 36, 3 bottleneck units.
    ResNet152,
}

impl Encoder {
    /// Every encoder, smallest first.
    pub const ALL: [Self; 5] = [
        Self::ResNet18,
        Self::ResNet34,
        Self::ResNet50,
        Self::ResNet101,
        Self::ResNet152,
    ];

    /// Name as on the command line and in a run's config.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::ResNet101 => "resnet101",
            Self::ResNet152 => "resnet152",
        }
    }

    fn units(self) -> (Unit, [usize; 4]) {
        match self {
            Self::ResNet18 => (Unit::Basic, [2, 2, 2, 2]),
            Self::ResNet34 => (Unit::Basic, [3, 4, 6, 3]),
            Self::ResNet50 => (Unit::Bottleneck, [3, 4, 6, 3]),
            Self::ResNet101 => (Unit::Bottleneck, [3, 4, 23, 3]),
            Self::ResNet152 => (Unit::Bottleneck, [3, 8, 36, 3]),
        }
    }
}

impl fmt::Display for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Encoder {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|e| e.name() == s)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("no encoder is called `{s}`; choose one of {names}")
            })
    }
}

/// Residual unit of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 (strided), 1x1 to four times the filters.
    Bottleneck,
}

/// A U-Net on a pre-activation ResNet, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnetSpec {
    /// Unit type of every stage.
    pub unit: Unit,
    /// Units per stage; the first unit of every stage but the first has stride 2.
    pub repetitions: Vec<usize>,
    /// Filters per decoder block, deepest first; each block doubles the resolution.
    pub decoder_filters: Vec<usize>,
    /// Input channels.
    pub channels: usize,
    /// Output classes.
    pub classes: usize,
}

impl UnetSpec {
    /// The paper's network on `encoder`, with `channels` (1 or 3) inputs and three classes.
    pub fn paper(encoder: Encoder, channels: usize) -> Self {
        let (unit, repetitions) = encoder.units();
        Self {
            unit,
            repetitions: repetitions.to_vec(),
            decoder_filters: DECODER_FILTERS.to_vec(),
            channels,
            classes: nephrobox_shared::class::Class::COUNT,
        }
    }

    /// The layer graph. Its output is `final_conv`, the logits; softmax belongs to the loss or the caller.
    pub fn graph(&self) -> Graph {
        let mut b = GraphBuilder::new(self.channels);
        let mut skips = Vec::new();
        let mut x = encoder(&mut b, self, &mut skips);
        for (i, &filters) in self.decoder_filters.iter().enumerate() {
            let name = |part: &str| format!("decoder_stage{i}{part}");
            x = b.upsample(&name("_upsampling"), x);
            if let Some(skip) = skips.pop() {
                x = b.concat(&name("_concat"), x, skip);
            }
            for half in ["a", "b"] {
                x = b.conv(&name(&format!("{half}_conv")), x, filters, 3, 1, 1);
                x = b.batch_norm(&name(&format!("{half}_bn")), x, DECODER_EPSILON, true);
                x = b.relu(&name(&format!("{half}_relu")), x);
            }
        }
        let logits = b.conv_with_bias("final_conv", x, self.classes, 3, 1, 1);
        b.finish(logits)
    }
}

/// Stem, stages and tail. Pushes the skips shallowest first, so the decoder pops the deepest.
fn encoder(b: &mut GraphBuilder, spec: &UnetSpec, skips: &mut Vec<NodeId>) -> NodeId {
    let mut x = b.input();
    x = b.batch_norm("bn_data", x, ENCODER_EPSILON, false);
    x = b.conv("conv0", x, STAGE_FILTERS, 7, 2, 3);
    x = b.batch_norm("bn0", x, ENCODER_EPSILON, true);
    x = b.relu("relu0", x);
    skips.push(x);
    x = b.max_pool("pooling0", x);
    for (s, &units) in spec.repetitions.iter().enumerate() {
        let filters = STAGE_FILTERS << s;
        for u in 0..units {
            let first = u == 0;
            let stride = if first && s > 0 { 2 } else { 1 };
            let prefix = format!("stage{}_unit{}_", s + 1, u + 1);
            let (out, activated) = residual_unit(b, spec.unit, &prefix, x, filters, stride, first);
            // A skip is the first activation of the next stage, taken before that stage's stride.
            if first && s > 0 {
                skips.push(activated);
            }
            x = out;
        }
    }
    x = b.batch_norm("bn1", x, ENCODER_EPSILON, true);
    b.relu("relu1", x)
}

/// One pre-activation unit: returns its sum and its first activation.
fn residual_unit(
    b: &mut GraphBuilder,
    unit: Unit,
    prefix: &str,
    x: NodeId,
    filters: usize,
    stride: usize,
    first: bool,
) -> (NodeId, NodeId) {
    let name = |part: &str| format!("{prefix}{part}");
    let out_filters = match unit {
        Unit::Basic => filters,
        Unit::Bottleneck => 4 * filters,
    };
    let bn = b.batch_norm(&name("bn1"), x, ENCODER_EPSILON, true);
    let activated = b.relu(&name("relu1"), bn);
    // The shortcut reads the activated tensor in a stage's first unit and the raw sum in all others.
    let shortcut = if first {
        b.conv(&name("sc"), activated, out_filters, 1, stride, 0)
    } else {
        x
    };
    let steps: &[(usize, usize, usize, usize)] = match unit {
        // (filters, kernel, stride, padding)
        Unit::Basic => &[(filters, 3, stride, 1), (filters, 3, 1, 1)],
        Unit::Bottleneck => &[
            (filters, 1, 1, 0),
            (filters, 3, stride, 1),
            (out_filters, 1, 1, 0),
        ],
    };
    let mut y = activated;
    for (i, &(filters, kernel, stride, padding)) in steps.iter().enumerate() {
        let n = i + 1;
        if i > 0 {
            y = b.batch_norm(&name(&format!("bn{n}")), y, ENCODER_EPSILON, true);
            y = b.relu(&name(&format!("relu{n}")), y);
        }
        y = b.conv(
            &name(&format!("conv{n}")),
            y,
            filters,
            kernel,
            stride,
            padding,
        );
    }
    (b.add(&name("out"), y, shortcut), activated)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts measured on the reference implementation (3 classes): (encoder, total with 3 input
    /// channels, statistics with 3, total with 1).
    const REFERENCE_COUNTS: [(Encoder, usize, usize, usize); 5] = [
        (Encoder::ResNet18, 14_340_860, 9_926, 14_334_582),
        (Encoder::ResNet34, 24_456_444, 17_350, 24_450_166),
        (Encoder::ResNet50, 32_561_404, 47_558, 32_555_126),
        (Encoder::ResNet101, 51_605_756, 99_782, 51_599_478),
        (Encoder::ResNet152, 67_295_484, 145_862, 67_289_206),
    ];

    #[test]
    fn parameter_counts_are_the_references() {
        for (encoder, total, statistics, gray) in REFERENCE_COUNTS {
            let graph = UnetSpec::paper(encoder, 3).graph();
            let count = |g: &Graph, wanted: fn(&super::super::graph::Variable) -> bool| -> usize {
                g.variables()
                    .iter()
                    .filter(|v| wanted(v))
                    .map(|v| v.shape.iter().product::<usize>())
                    .sum()
            };
            assert_eq!(count(&graph, |_| true), total, "{encoder}");
            assert_eq!(
                count(&graph, |v| !v.role.is_trainable()),
                statistics,
                "{encoder}"
            );
            assert_eq!(
                count(&UnetSpec::paper(encoder, 1).graph(), |_| true),
                gray,
                "{encoder}"
            );
        }
    }

    #[test]
    fn convolution_and_batch_norm_counts_are_the_references() {
        for (encoder, convolutions, batch_norms) in [
            (Encoder::ResNet18, 32, 29),
            (Encoder::ResNet34, 48, 45),
            (Encoder::ResNet101, 115, 112),
        ] {
            let graph = UnetSpec::paper(encoder, 3).graph();
            let (mut convs, mut bns) = (0, 0);
            for node in graph.nodes() {
                match node.op {
                    super::super::graph::LayerOp::Conv { .. } => convs += 1,
                    super::super::graph::LayerOp::BatchNorm { .. } => bns += 1,
                    _ => {}
                }
            }
            assert_eq!((convs, bns), (convolutions, batch_norms), "{encoder}");
        }
    }

    #[test]
    fn an_unknown_encoder_is_refused_with_the_choices() {
        let error = "vgg16".parse::<Encoder>().unwrap_err();
        assert!(
            error.contains("vgg16") && error.contains("resnet101"),
            "{error}"
        );
    }
}
