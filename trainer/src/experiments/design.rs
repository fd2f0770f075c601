//! The paper's five experiments as data: what each varies, and what the paper chose from it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::data::Split;
use crate::loss::LossName;
use crate::network::{Encoder, RetrainFrom};
use crate::train::Settings;

/// One of the paper's experiments, in its order. Each but the last fixes a setting for those after it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Experiment {
    /// Share of augmented images (section 3.2.1, Table 2, Figure 2).
    Augmentation,
    /// Loss function (3.2.2, Table 3, Figure 3).
    Loss,
    /// Encoder (3.2.3, Table 4, Figure 4).
    Encoder,
    /// First encoder layer that is re-trained (3.2.4, Table 5, Figure 5).
    Retrain,
    /// The final model (3.3, Table 6, Figures 6 and 7).
    Final,
}

impl Experiment {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Augmentation,
        Self::Loss,
        Self::Encoder,
        Self::Retrain,
        Self::Final,
    ];

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Augmentation => "augmentation",
            Self::Loss => "loss",
            Self::Encoder => "encoder",
            Self::Retrain => "retrain",
            Self::Final => "final",
        }
    }

    /// What its runs are scored on: validation, and the final model on the held-back test split.
    pub fn split(self) -> Split {
        match self {
            Self::Final => Split::Test,
            _ => Split::Validation,
        }
    }

    /// The values it tries, those that are off by default last.
    pub fn values(self) -> &'static [Value] {
        match self {
            Self::Augmentation => &AUGMENTATION,
            Self::Loss => &LOSS,
            Self::Encoder => &ENCODER,
            Self::Retrain => &RETRAIN,
            Self::Final => &FINAL,
        }
    }

    /// The value the paper chose; the final model has nothing to choose.
    pub fn papers_choice(self) -> &'static str {
        match self {
            Self::Augmentation => "p75",
            Self::Loss => "focal-1-2",
            Self::Encoder => "resnet101",
            Self::Retrain => "all",
            Self::Final => "final",
        }
    }
}

impl fmt::Display for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a value changes in a run's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Nothing.
    None,
    /// Share of augmented images.
    Share(f64),
    /// Loss and its exponent.
    Loss(LossName, f64),
    /// Encoder.
    Encoder(Encoder),
    /// First layer that trains.
    Retrain(&'static str),
}

impl Change {
    /// Makes the change.
    pub fn apply(self, settings: &mut Settings) {
        match self {
            Self::None => {}
            Self::Share(share) => settings.augment_share = Some(share),
            Self::Loss(loss, gamma) => (settings.loss, settings.gamma) = (Some(loss), Some(gamma)),
            Self::Encoder(encoder) => settings.encoder = Some(encoder),
            Self::Retrain(from) => settings.retrain_from = from.parse::<RetrainFrom>().ok(),
        }
    }
}

/// One column of an experiment's table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// Its name in folders and files.
    pub name: &'static str,
    /// How tables and figures head it.
    pub label: &'static str,
    /// What it changes.
    pub change: Change,
    /// Not among the paper's, and off unless asked for.
    pub extra: bool,
}

const fn value(name: &'static str, label: &'static str, change: Change) -> Value {
    Value {
        name,
        label,
        change,
        extra: false,
    }
}

const AUGMENTATION: [Value; 7] = [
    value("p0", "0 %", Change::Share(0.0)),
    value("p25", "25 %", Change::Share(0.25)),
    value("p50", "50 %", Change::Share(0.5)),
    value("p75", "75 %", Change::Share(0.75)),
    value("p80", "80 %", Change::Share(0.8)),
    value("p90", "90 %", Change::Share(0.9)),
    value("p100", "100 %", Change::Share(1.0)),
];

const LOSS: [Value; 7] = [
    value("ce", "CE", Change::Loss(LossName::Ce, 1.0)),
    value("wce", "WCE", Change::Loss(LossName::Wce, 1.0)),
    value("dice", "Dice", Change::Loss(LossName::Dice, 1.0)),
    value("focal-1-2", "γ = 1/2", Change::Loss(LossName::Dice, 0.5)),
    value(
        "focal-1-3",
        "γ = 1/3",
        Change::Loss(LossName::Dice, 1.0 / 3.0),
    ),
    value("focal-2", "γ = 2", Change::Loss(LossName::Dice, 2.0)),
    value("focal-3", "γ = 3", Change::Loss(LossName::Dice, 3.0)),
];

const ENCODER: [Value; 5] = [
    value("resnet18", "ResNet18", Change::Encoder(Encoder::ResNet18)),
    value("resnet34", "ResNet34", Change::Encoder(Encoder::ResNet34)),
    value("resnet50", "ResNet50", Change::Encoder(Encoder::ResNet50)),
    value(
        "resnet101",
        "ResNet101",
        Change::Encoder(Encoder::ResNet101),
    ),
    Value {
        extra: true,
        ..value(
            "resnet152",
            "ResNet152",
            Change::Encoder(Encoder::ResNet152),
        )
    },
];

const RETRAIN: [Value; 6] = [
    value("all", "All", Change::Retrain("all")),
    value("stage1", "Stage 1", Change::Retrain("stage1")),
    value("stage2", "Stage 2", Change::Retrain("stage2")),
    value("stage3", "Stage 3 Unit 1", Change::Retrain("stage3")),
    value(
        "stage3-unit12",
        "Stage 3 Unit 12",
        Change::Retrain("stage3-unit12"),
    ),
    value("stage4", "Stage 4", Change::Retrain("stage4")),
];

const FINAL: [Value; 1] = [value("final", "Final", Change::None)];

/// The settings before the first experiment: the paper's Table 1, learning rate 1e-5 and batches of 24 (section 3.1).
pub fn start() -> Settings {
    Settings {
        encoder: Some(Encoder::ResNet34),
        loss: Some(LossName::Dice),
        gamma: Some(1.0),
        augment_share: Some(0.0),
        retrain_from: "stage3".parse().ok(),
        lr: Some(1e-5),
        batch: Some(24),
        ..Settings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_table_1() {
        let paper = &super::super::paper::published().start;
        let start = start();
        assert_eq!(start.augment_share, Some(paper.augment_share));
        assert_eq!(start.encoder, Some(paper.encoder));
        assert_eq!(start.retrain_from, Some(paper.retrain_from.clone()));
        assert_eq!(
            (paper.loss.as_str(), start.loss, start.gamma),
            ("Dice loss", Some(LossName::Dice), Some(1.0))
        );
    }

    #[test]
    fn the_paper_chose_one_of_the_values_it_tried() {
        for experiment in Experiment::ALL {
            let chosen = experiment
                .values()
                .iter()
                .find(|v| v.name == experiment.papers_choice());
            assert!(chosen.is_some_and(|v| !v.extra), "{experiment}");
        }
        let tried: usize = Experiment::ALL
            .iter()
            .flat_map(|e| e.values())
            .filter(|v| !v.extra)
            .count();
        // Seven shares, seven losses, four encoders, six depths, the final model.
        assert_eq!(tried, 7 + 7 + 4 + 6 + 1);
    }
}
