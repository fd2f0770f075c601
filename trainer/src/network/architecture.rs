//! Which network: encoder names, their units and filters, and the layer graph of the whole U-Net.
//!
//! Two families of encoders fit the same decoder: the paper's pre-activation ResNets ([`Family::Reference`]) and, as a
//! deviation for whoever has torchvision's weights, post-activation ones ([`Family::Torchvision`], module `torchvision`).
//!
//! The graph is the only description of the network. Training walks it with batch statistics,
//! inference with stored ones, export lowers it to an engine program, and freezing reads its layer
//! order. Layer names are those of the reference implementation (`segmentation_models` 1.0.1 on the
//! pre-activation ResNets of `classification_models`), so weights can be matched by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::graph::{Graph, GraphBuilder, NodeId};
use super::torchvision;

/// Epsilon of every batch norm in the encoder, `bn_data` included.
pub const ENCODER_EPSILON: f64 = 2e-5;
/// Epsilon of every batch norm in the decoder: the Keras default, not the encoder's.
pub const DECODER_EPSILON: f64 = 1e-3;
/// Filters of the five decoder blocks, deepest first.
pub const DECODER_FILTERS: [usize; 5] = [256, 128, 64, 32, 16];
/// Name of the optional trainable 1x1 convolution from the image's channels to the encoder's three.
pub const ADAPTER: &str = "input_adapter";
/// Channels of the encoders' published weights.
pub(super) const RGB: usize = 3;
/// Filters of encoder stage 1; each later stage has twice as many.
pub(super) const STAGE_FILTERS: usize = 64;

/// Which ResNet an encoder is. Weights of one family mean nothing in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Pre-activation, as in the paper.
    Reference,
    /// Post-activation, as in torchvision and timm.
    Torchvision,
}

impl Family {
    /// The family of a network's encoder.
    pub fn of(graph: &Graph) -> Self {
        match graph.position(torchvision::NORMALISE) {
            Some(_) => Self::Torchvision,
            None => Self::Reference,
        }
    }

    /// For a sentence.
    pub fn described(self) -> &'static str {
        match self {
            Self::Reference => "the reference's pre-activation ResNet",
            Self::Torchvision => "a torchvision (post-activation) ResNet",
        }
    }
}

/// Which part of a U-Net a layer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The convolution before the encoder.
    Adapter,
    /// Stem, stages and tail.
    Encoder,
    /// Decoder blocks and the last convolution.
    Decoder,
}

impl Part {
    /// The part of the layer called `name`.
    pub fn of(name: &str) -> Self {
        if name == ADAPTER {
            Self::Adapter
        } else if name.starts_with("decoder_") || name == "final_conv" {
            Self::Decoder
        } else {
            Self::Encoder
        }
    }
}

/// An encoder: family and depth. Its text form is that of the command line and of a run's config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
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
    /// Post-activation, units as [`Self::ResNet18`].
    TorchvisionResNet18,
    /// Post-activation, units as [`Self::ResNet34`].
    TorchvisionResNet34,
    /// Post-activation, units as [`Self::ResNet50`].
    TorchvisionResNet50,
    /// Post-activation, units as [`Self::ResNet101`].
    TorchvisionResNet101,
    /// Post-activation, units as [`Self::ResNet152`].
    TorchvisionResNet152,
}

impl Encoder {
    /// Every encoder: the paper's, smallest first, then torchvision's.
    pub const ALL: [Self; 10] = [
        Self::ResNet18,
        Self::ResNet34,
        Self::ResNet50,
        Self::ResNet101,
        Self::ResNet152,
        Self::TorchvisionResNet18,
        Self::TorchvisionResNet34,
        Self::TorchvisionResNet50,
        Self::TorchvisionResNet101,
        Self::TorchvisionResNet152,
    ];

    /// Name as on the command line and in a run's config.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::ResNet101 => "resnet101",
            Self::ResNet152 => "resnet152",
            Self::TorchvisionResNet18 => "torchvision-resnet18",
            Self::TorchvisionResNet34 => "torchvision-resnet34",
            Self::TorchvisionResNet50 => "torchvision-resnet50",
            Self::TorchvisionResNet101 => "torchvision-resnet101",
            Self::TorchvisionResNet152 => "torchvision-resnet152",
        }
    }

    /// Pre- or post-activation.
    pub fn family(self) -> Family {
        match self {
            Self::ResNet18
            | Self::ResNet34
            | Self::ResNet50
            | Self::ResNet101
            | Self::ResNet152 => Family::Reference,
            _ => Family::Torchvision,
        }
    }

    /// Unit type, and units per stage.
    pub fn units(self) -> (Unit, [usize; 4]) {
        match self {
            Self::ResNet18 | Self::TorchvisionResNet18 => (Unit::Basic, [2, 2, 2, 2]),
            Self::ResNet34 | Self::TorchvisionResNet34 => (Unit::Basic, [3, 4, 6, 3]),
            Self::ResNet50 | Self::TorchvisionResNet50 => (Unit::Bottleneck, [3, 4, 6, 3]),
            Self::ResNet101 | Self::TorchvisionResNet101 => (Unit::Bottleneck, [3, 4, 23, 3]),
            Self::ResNet152 | Self::TorchvisionResNet152 => (Unit::Bottleneck, [3, 8, 36, 3]),
        }
    }

    /// The encoder of a network, by the last unit of each stage; `None` for one of another depth.
    pub fn of(graph: &Graph) -> Option<Self> {
        let family = Family::of(graph);
        Self::ALL
            .into_iter()
            .filter(|e| e.family() == family)
            .find(|e| {
                let (unit, units) = e.units();
                (1..).zip(units).all(|(stage, units)| {
                    let layer = |unit, part| match family {
                        Family::Reference => format!("stage{stage}_unit{}_{part}", unit + 1),
                        Family::Torchvision => format!("layer{stage}.{unit}.{part}"),
                    };
                    let has = |name: String| graph.position(&name).is_some();
                    has(layer(units - 1, "conv1"))
                        && !has(layer(units, "conv1"))
                        && has(layer(0, "conv3")) == (unit == Unit::Bottleneck)
                })
            })
    }
}

impl From<Encoder> for &'static str {
    fn from(encoder: Encoder) -> Self {
        encoder.name()
    }
}

impl TryFrom<String> for Encoder {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
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

/// A U-Net on a ResNet, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnetSpec {
    /// Pre- or post-activation.
    pub family: Family,
    /// Unit type of every stage.
    pub unit: Unit,
    /// Units per stage; the first unit of every stage but the first has stride 2.
    pub repetitions: Vec<usize>,
    /// Filters per decoder block, deepest first; each block doubles the resolution.
    pub decoder_filters: Vec<usize>,
    /// Input channels.
    pub channels: usize,
    /// Whether a trainable 1x1 convolution turns the input channels into the encoder's three.
    pub adapter: bool,
    /// Output classes.
    pub classes: usize,
}

impl UnetSpec {
    /// The paper's network on `encoder`, with `channels` (1 or 3) inputs and three classes. A torchvision encoder has three
    /// inputs; with another number it gets an adapter.
    pub fn paper(encoder: Encoder, channels: usize) -> Self {
        let (unit, repetitions) = encoder.units();
        Self {
            family: encoder.family(),
            unit,
            repetitions: repetitions.to_vec(),
            decoder_filters: DECODER_FILTERS.to_vec(),
            channels,
            adapter: encoder.family() == Family::Torchvision && channels != RGB,
            classes: nephrobox_shared::class::Class::COUNT,
        }
    }

    /// The same network with a trainable 1x1 convolution from its input channels to three in front.
    #[must_use]
    pub fn with_adapter(self) -> Self {
        Self {
            adapter: true,
            ..self
        }
    }

    /// The layer graph. Its output is `final_conv`, the logits; softmax belongs to the loss or the caller.
    pub fn graph(&self) -> Graph {
        let mut b = GraphBuilder::new(self.channels);
        let (x, skips) = self.encoder(&mut b);
        self.decoder(b, x, &skips)
    }

    /// The layer graph with other skips: names of encoder layers, deepest first.
    pub fn graph_with_skips(&self, skips: &[String]) -> Result<Graph, UnknownSkip> {
        let mut b = GraphBuilder::new(self.channels);
        let (x, _) = self.encoder(&mut b);
        let skips: Vec<NodeId> = skips
            .iter()
            .map(|name| b.position(name).ok_or_else(|| UnknownSkip(name.clone())))
            .collect::<Result<_, _>>()?;
        Ok(self.decoder(b, x, &skips))
    }

    /// The encoder's output, and its skips, deepest first.
    fn encoder(&self, b: &mut GraphBuilder) -> (NodeId, Vec<NodeId>) {
        let mut x = b.input();
        if self.adapter {
            x = b.conv_with_bias(ADAPTER, x, RGB, 1, 1, 0);
        }
        let mut skips = Vec::new();
        x = match self.family {
            Family::Reference => encoder(b, self, x, &mut skips),
            Family::Torchvision => torchvision::encoder(b, self, x, &mut skips),
        };
        skips.reverse();
        (x, skips)
    }

    fn decoder(&self, mut b: GraphBuilder, mut x: NodeId, skips: &[NodeId]) -> Graph {
        for (i, &filters) in self.decoder_filters.iter().enumerate() {
            let name = |part: &str| format!("decoder_stage{i}{part}");
            x = b.upsample(&name("_upsampling"), x);
            if let Some(&skip) = skips.get(i) {
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

/// An encoder has no layer of that name to take a skip from.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the encoder has no layer called `{0}` to take a skip from")]
pub struct UnknownSkip(pub String);

/// Stem, stages and tail of the reference. Pushes the skips shallowest first.
fn encoder(
    b: &mut GraphBuilder,
    spec: &UnetSpec,
    mut x: NodeId,
    skips: &mut Vec<NodeId>,
) -> NodeId {
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
