//! What trains: the paper's "re-trained from ..." and what frozen batch norms do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::architecture::ADAPTER;
use super::graph::{Graph, LayerOp, NodeId, Role};

/// The first layer that trains; all earlier ones are frozen. The paper's settings all lie in the encoder, so that the decoder
/// trains as a whole.
///
/// One of the paper's six settings, or any other text: the name of a layer, looked up by [`Freeze::before`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RetrainFrom(String);

/// Command-line names of the paper's settings (Table 5) and the layers they stand for, in the reference encoder and in
/// torchvision's, whose `layer3.11` is stage 3, unit 12.
const SETTINGS: [(&str, [&str; 2]); 6] = [
    ("all", ["bn_data", "conv1"]),
    ("stage1", ["stage1_unit1_bn1", "layer1.0.conv1"]),
    ("stage2", ["stage2_unit1_bn1", "layer2.0.conv1"]),
    ("stage3", ["stage3_unit1_bn1", "layer3.0.conv1"]),
    ("stage3-unit12", ["stage3_unit12_bn1", "layer3.11.conv1"]),
    ("stage4", ["stage4_unit1_bn1", "layer4.0.conv1"]),
];

impl RetrainFrom {
    /// Every layer trains.
    pub fn all() -> Self {
        Self(SETTINGS[0].0.into())
    }

    /// The first layer that trains in `graph`, whichever family its encoder is of.
    fn position(&self, graph: &Graph) -> Option<NodeId> {
        match SETTINGS.iter().find(|(name, _)| *name == self.0) {
            Some((_, layers)) => layers.iter().find_map(|layer| graph.position(layer)),
            None => graph.position(&self.0),
        }
    }
}

impl fmt::Display for RetrainFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RetrainFrom {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s.is_empty() {
            return Err(format!(
                "name a layer, or one of {}",
                SETTINGS.map(|(name, _)| name).join(", ")
            ));
        }
        Ok(Self(s.into()))
    }
}

impl From<RetrainFrom> for String {
    fn from(v: RetrainFrom) -> Self {
        v.0
    }
}

impl TryFrom<String> for RetrainFrom {
    type Error = String;

    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

/// What a batch norm before the boundary does; the paper leaves it open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FrozenBatchNorm {
    /// As Keras does with `trainable = False`: stored statistics, nothing changes.
    #[default]
    Stored,
    /// As `segmentation_models`' `encoder_freeze` does: keeps training and adapting.
    Adapting,
}

/// Which layers of a graph train.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    trains: Vec<bool>,
}

/// The graph has no layer of that name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the network has no layer called `{layer}` to re-train from; use one of {settings}")]
pub struct UnknownLayer {
    /// The name asked for.
    pub layer: String,
    /// The settings there are.
    pub settings: String,
}

impl Freeze {
    /// Nothing is frozen.
    pub fn none(graph: &Graph) -> Self {
        Self {
            trains: vec![true; graph.nodes().len()],
        }
    }

    /// Everything before the layer of `from` is frozen, batch norms as `batch_norm` says. An input adapter always
    /// trains, like the decoder: no weights of others bring one.
    pub fn before(
        graph: &Graph,
        from: &RetrainFrom,
        batch_norm: FrozenBatchNorm,
    ) -> Result<Self, UnknownLayer> {
        let boundary = from.position(graph).ok_or_else(|| UnknownLayer {
            layer: from.to_string(),
            settings: SETTINGS.map(|(name, _)| name).join(", "),
        })?;
        let frozen = |id: NodeId| {
            let adapts = matches!(graph.nodes()[id].op, LayerOp::BatchNorm { .. })
                && batch_norm == FrozenBatchNorm::Adapting;
            let adapter = graph.nodes()[id].name == ADAPTER;
            id < boundary && !adapts && !adapter
        };
        Ok(Self {
            trains: (0..graph.nodes().len()).map(|id| !frozen(id)).collect(),
        })
    }

    /// The named layers are frozen and no others.
    pub fn layers(graph: &Graph, names: &[String]) -> Self {
        Self {
            trains: graph
                .nodes()
                .iter()
                .map(|n| !names.contains(&n.name))
                .collect(),
        }
    }

    /// Whether layer `id` trains: its variables are updated and its batch norm uses batch statistics.
    pub fn trains(&self, id: NodeId) -> bool {
        self.trains[id]
    }

    /// Number of values the optimiser updates.
    pub fn trainable_count(&self, graph: &Graph) -> usize {
        (0..graph.nodes().len())
            .filter(|&id| self.trains[id])
            .flat_map(|id| graph.variables_of(id))
            .filter(|v| Role::is_trainable(v.role))
            .map(|v| v.shape.iter().product::<usize>())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::architecture::{Encoder, UnetSpec};
    use super::*;

    /// Table of trainable values measured on the reference, ResNet101 with 3 input channels:
    /// (setting, batch norm frozen too, batch norm left trainable).
    const RESNET101: [(&str, usize, usize); 6] = [
        ("all", 51_505_974, 51_505_974),
        ("stage1", 51_496_435, 51_496_566),
        ("stage2", 51_281_523, 51_283_574),
        ("stage3", 50_063_475, 50_071_158),
        ("stage3-unit12", 37_382_259, 37_422_710),
        ("stage4", 23_976_051, 24_053_366),
    ];

    #[test]
    fn trainable_counts_are_the_references() {
        let count = |encoder, setting: &str, bn| {
            let graph = UnetSpec::paper(encoder, 3).graph();
            Freeze::before(&graph, &setting.parse().unwrap(), bn)
                .unwrap()
                .trainable_count(&graph)
        };
        for (setting, stored, adapting) in RESNET101 {
            assert_eq!(
                count(Encoder::ResNet101, setting, FrozenBatchNorm::Stored),
                stored,
                "{setting}"
            );
            assert_eq!(
                count(Encoder::ResNet101, setting, FrozenBatchNorm::Adapting),
                adapting,
                "{setting}"
            );
        }
        // The start setting of the paper's Table 1, beside everything.
        assert_eq!(
            count(Encoder::ResNet34, "all", FrozenBatchNorm::Stored),
            24_439_094
        );
        assert_eq!(
            count(Encoder::ResNet34, "stage3", FrozenBatchNorm::Stored),
            23_087_475
        );
        assert_eq!(
            count(Encoder::ResNet34, "stage3", FrozenBatchNorm::Adapting),
            23_090_294
        );
    }

    /// torchvision's stem has 9,536 trainable values (9,408 of the kernel, 128 of the batch norm), layer1 of a ResNet18
    /// 147,968: counted from its published source.
    #[test]
    fn settings_mean_the_same_depth_in_a_torchvision_encoder() {
        let graph = UnetSpec::paper(Encoder::TorchvisionResNet18, 3).graph();
        let count = |setting: &str, bn| {
            Freeze::before(&graph, &setting.parse().unwrap(), bn)
                .unwrap()
                .trainable_count(&graph)
        };
        let stored = |setting| count(setting, FrozenBatchNorm::Stored);
        let all = Freeze::none(&graph).trainable_count(&graph);
        assert_eq!(stored("all"), all);
        assert_eq!(all - stored("stage1"), 9_408 + 128);
        assert_eq!(stored("stage1") - stored("stage2"), 147_968);
        let adapting = count("stage2", FrozenBatchNorm::Adapting);
        assert_eq!(adapting - stored("stage2"), 128 + 4 * 128);
        assert!(
            Freeze::before(&graph, &"bn_data".parse().unwrap(), FrozenBatchNorm::Stored).is_err()
        );
    }

    #[test]
    fn every_setting_exists_in_a_deep_torchvision_encoder_and_freezes_more_than_the_one_before() {
        let graph = UnetSpec::paper(Encoder::TorchvisionResNet101, 3).graph();
        let counts = SETTINGS.map(|(name, _)| {
            Freeze::before(&graph, &name.parse().unwrap(), FrozenBatchNorm::Stored)
                .unwrap()
                .trainable_count(&graph)
        });
        assert!(counts.is_sorted_by(|a, b| a > b), "{counts:?}");
    }

    /// 6 values for one channel: a 1x1 kernel to three channels, and their biases.
    #[test]
    fn an_input_adapter_trains_in_every_setting() {
        let plain = UnetSpec::paper(Encoder::ResNet18, 3).graph();
        let graph = UnetSpec::paper(Encoder::ResNet18, 1).with_adapter().graph();
        for setting in ["all", "stage4"] {
            let count = |graph| {
                Freeze::before(graph, &setting.parse().unwrap(), FrozenBatchNorm::Stored)
                    .unwrap()
                    .trainable_count(graph)
            };
            assert_eq!(count(&graph) - count(&plain), 6, "{setting}");
        }
    }

    #[test]
    fn a_layer_that_is_not_there_is_refused() {
        let graph = UnetSpec::paper(Encoder::ResNet18, 1).graph();
        let error = Freeze::before(
            &graph,
            &"stage3-unit12".parse().unwrap(),
            FrozenBatchNorm::Stored,
        )
        .unwrap_err();
        assert!(error.to_string().contains("stage3-unit12"), "{error}");
    }
}
