//! Measured scores as they stand in a package, a metrics file or a report.

use serde::{Deserialize, Serialize};

use super::{ConfusionMatrix, KitsDice, Spread, SpreadSummary};
use crate::class::Class;

/// One value for each class, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PerClass<T> {
    /// Of the background.
    pub background: T,
    /// Of the kidney without its tumour.
    pub kidney: T,
    /// Of the tumour.
    pub tumour: T,
}

impl<T> PerClass<T> {
    /// One value for each class, made in label order.
    pub fn from_fn(mut value: impl FnMut(Class) -> T) -> Self {
        Self {
            background: value(Class::Background),
            kidney: value(Class::Kidney),
            tumour: value(Class::Tumour),
        }
    }

    /// The value of one class.
    pub const fn get(&self, class: Class) -> &T {
        match class {
            Class::Background => &self.background,
            Class::Kidney => &self.kidney,
            Class::Tumour => &self.tumour,
        }
    }
}

/// The three metrics of one class over one set of pixels; `None` is undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// 2TP / (2TP + FP + FN).
    pub dice: Option<f64>,
    /// TP / (TP + FN).
    pub recall: Option<f64>,
    /// TP / (TP + FP).
    pub precision: Option<f64>,
}

impl ClassScores {
    /// The scores of every class in a matrix.
    pub fn of(matrix: &ConfusionMatrix) -> PerClass<Self> {
        PerClass::from_fn(|class| Self {
            dice: matrix.dice(class),
            recall: matrix.recall(class),
            precision: matrix.precision(class),
        })
    }
}

/// The three metrics of one class, each case for itself, then mean and deviation over cases.
///
/// A case in which a metric is undefined is left out of that metric, and the number of cases that remain is given: a
/// case without the class in truth and prediction has no Dice, one without it in the truth no recall, one without it
/// in the prediction no precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseScores {
    /// Of the cases' Dice.
    pub dice: SpreadSummary,
    /// Of the cases' recall.
    pub recall: SpreadSummary,
    /// Of the cases' precision.
    pub precision: SpreadSummary,
}

impl CaseScores {
    /// Over one matrix a case.
    pub fn of<'a>(cases: &(impl Iterator<Item = &'a ConfusionMatrix> + Clone)) -> PerClass<Self> {
        let over = |metric: fn(&ConfusionMatrix, Class) -> Option<f64>, class| {
            summary(cases.clone().map(|matrix| metric(matrix, class)))
        };
        PerClass::from_fn(|class| Self {
            dice: over(ConfusionMatrix::dice, class),
            recall: over(ConfusionMatrix::recall, class),
            precision: over(ConfusionMatrix::precision, class),
        })
    }
}

/// The KiTS19 challenge's Dice over cases; see [`KitsDice`]. Not comparable with the Dice of the class "kidney".
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KitsScores {
    /// Kidney and tumour merged.
    pub kidney_and_tumour_dice: SpreadSummary,
    /// Tumour alone.
    pub tumour_dice: SpreadSummary,
    /// Mean of the two in each case.
    pub composite_dice: SpreadSummary,
}

impl KitsScores {
    /// Over one matrix a case.
    pub fn of<'a>(cases: &(impl Iterator<Item = &'a ConfusionMatrix> + Clone)) -> Self {
        let kits = cases.clone().map(KitsDice::of);
        Self {
            kidney_and_tumour_dice: summary(kits.clone().map(|dice| dice.kidney_and_tumour())),
            tumour_dice: summary(kits.clone().map(|dice| dice.tumour())),
            composite_dice: summary(kits.map(|dice| dice.composite())),
        }
    }
}

/// Everything measured on one split: the three aggregations and the challenge's Dice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Cases measured.
    pub cases: u64,
    /// Slices measured.
    pub slices: u64,
    /// Pooled over all slices with weight 1 / (slices of the patient), as in the paper.
    pub paper: PerClass<ClassScores>,
    /// Pooled over all slices, unweighted.
    pub pooled: PerClass<ClassScores>,
    /// Mean and deviation over cases.
    pub per_case: PerClass<CaseScores>,
    /// The KiTS19 challenge's Dice over cases.
    pub kits: KitsScores,
}

fn summary(values: impl Iterator<Item = Option<f64>>) -> SpreadSummary {
    let mut spread = Spread::new();
    values.for_each(|value| spread.push_defined(value));
    spread.summary()
}
