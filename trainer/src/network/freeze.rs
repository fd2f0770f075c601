//! What trains: the paper's "re-trained from ..." and what frozen batch norms do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::graph::{Graph, LayerOp, NodeId, Role};

/// The first encoder layer that trains; all earlier ones are frozen, the decoder never is.
///
/// `FromStr` knows the paper's six settings and takes any other text as a layer name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RetrainFrom(String);

/// Command-line names of the paper's settings (Table 5) and the layers they stand for.
const SETTINGS: [(&str, &str); 6] = [
    ("all", "bn_data"),
    ("stage1", "stage1_unit1_bn1"),
    ("stage2", "stage2_unit1_bn1"),
    ("stage3", "stage3_unit1_bn1"),
    ("stage3-unit12", "stage3_unit12_bn1"),
    ("stage4", "stage4_unit1_bn1"),
];

impl RetrainFrom {
    /// Every layer trains.
    pub fn all() -> Self {
        Self(SETTINGS[0].0.into())
    }

    /// Name of the first layer that trains.
    pub fn layer(&self) -> &str {
        SETTINGS
            .iter()
            .find(|(name, _)| *name == self.0)
            .map_or(self.0.as_str(), |(_, layer)| layer)
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

    /// Everything before the layer of `from` is frozen, batch norms as `batch_norm` says.
    pub fn before(
        graph: &Graph,
        from: &RetrainFrom,
        batch_norm: FrozenBatchNorm,
    ) -> Result<Self, UnknownLayer> {
        let boundary = graph.position(from.layer()).ok_or_else(|| UnknownLayer {
            layer: from.to_string(),
            settings: SETTINGS.map(|(name, _)| name).join(", "),
        })?;
        let frozen = |id: NodeId| {
            let adapts = matches!(graph.nodes()[id].op, LayerOp::BatchNorm { .. })
                && batch_norm == FrozenBatchNorm::Adapting;
            id < boundary && !adapts
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
        // The start setting of the paper's Table 1.
        assert_eq!(
            count(Encoder::ResNet34, "stage3", FrozenBatchNorm::Stored),
            23_087_475
        );
        assert_eq!(
            count(Encoder::ResNet34, "stage3", FrozenBatchNorm::Adapting),
            23_090_294
        );
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
