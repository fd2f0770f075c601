//! The weighted confusion matrix and the three metrics that follow from it.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::class::Class;

/// Pixel counts by true class (row) and predicted class (column), each slice with its own weight.
///
/// With `TP`, `FP`, `FN` of one class: Dice = 2TP / (2TP + FP + FN), recall = TP / (TP + FN),
/// precision = TP / (TP + FP), the same as scikit-learn's f1, recall and precision with `sample_weight`.
///
/// ```
/// use nephrobox_shared::{class::Class, metrics::ConfusionMatrix};
/// let mut matrix = ConfusionMatrix::new();
/// matrix.add(&[0, 1, 1, 2], &[0, 1, 2, 2], 1.0)?;
/// assert_eq!(matrix.recall(Class::Kidney), Some(0.5));
/// assert_eq!(matrix.precision(Class::Kidney), Some(1.0));
/// assert_eq!(matrix.dice(Class::Kidney), Some(2.0 / 3.0));
/// # Ok::<(), nephrobox_shared::metrics::MetricsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// `weights[truth][prediction]`.
    weights: [[f64; Class::COUNT]; Class::COUNT],
}

impl ConfusionMatrix {
    /// A matrix of zeros.
    pub const fn new() -> Self {
        Self {
            weights: [[0.0; Class::COUNT]; Class::COUNT],
        }
    }

    /// Adds every pixel of one slice (or any other piece) with the same weight.
    ///
    /// Pixels are counted as integers and multiplied by `weight` once, so unweighted matrices are exact up to 2^53
    /// pixels. On an error the matrix is unchanged.
    pub fn add(
        &mut self,
        truth: &[u8],
        prediction: &[u8],
        weight: f64,
    ) -> Result<(), MetricsError> {
        if truth.len() != prediction.len() {
            return Err(MetricsError::Length {
                truth: truth.len(),
                prediction: prediction.len(),
            });
        }
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(MetricsError::Weight { weight });
        }
        let mut counts = [[0_u64; Class::COUNT]; Class::COUNT];
        for (pixel, (&truth, &prediction)) in truth.iter().zip(prediction).enumerate() {
            let cell = counts
                .get_mut(truth as usize)
                .ok_or(MetricsError::Label {
                    pixel,
                    label: truth,
                })?
                .get_mut(prediction as usize)
                .ok_or(MetricsError::Label {
                    pixel,
                    label: prediction,
                })?;
            *cell += 1;
        }
        for (sums, counts) in self.weights.iter_mut().zip(counts) {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count as f64 * weight;
            }
        }
        Ok(())
    }

    /// Adds another matrix, as if its pixels had been added here.
    pub fn merge(&mut self, other: &Self) {
        self.merge_weighted(other, 1.0);
    }

    /// Adds another matrix `weight` times.
    pub fn merge_weighted(&mut self, other: &Self, weight: f64) {
        for (sums, others) in self.weights.iter_mut().zip(other.weights) {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum += other * weight;
            }
        }
    }

    /// The summed weights, `[truth][prediction]`, both in label order.
    pub const fn weights(&self) -> [[f64; Class::COUNT]; Class::COUNT] {
        self.weights
    }

    /// Each row divided by its sum: how the pixels of a true class were labelled. `None` for a class that never
    /// occurs in the truth.
    pub fn row_normalised(&self) -> [Option<[f64; Class::COUNT]>; Class::COUNT] {
        self.weights.map(|row| {
            let sum: f64 = row.iter().sum();
            (sum > 0.0).then(|| row.map(|weight| weight / sum))
        })
    }

    /// Dice of one class; `None` where neither truth nor prediction holds it.
    pub fn dice(&self, class: Class) -> Option<f64> {
        self.overlap(class).dice()
    }

    /// Share of the class's true pixels that were found; `None` where the truth lacks it.
    pub fn recall(&self, class: Class) -> Option<f64> {
        self.overlap(class).recall()
    }

    /// Share of the class's predicted pixels that are right; `None` where the prediction lacks it.
    pub fn precision(&self, class: Class) -> Option<f64> {
        self.overlap(class).precision()
    }

    /// The same metrics with 0 for undefined, as scikit-learn's `zero_division=0` has it. For comparison with it only:
    /// to a reader a 0 says "all wrong", not "nothing there".
    pub const fn or_zero(&self) -> OrZero<'_> {
        OrZero(self)
    }

    fn overlap(&self, class: Class) -> Overlap {
        self.overlap_of(|label| label == class.index())
    }

    /// Counts of a set of labels taken as one structure.
    pub(super) fn overlap_of(&self, belongs: impl Fn(usize) -> bool) -> Overlap {
        let mut overlap = Overlap::default();
        for (truth, row) in self.weights.iter().enumerate() {
            for (prediction, weight) in row.iter().enumerate() {
                match (belongs(truth), belongs(prediction)) {
                    (true, true) => overlap.both += weight,
                    (true, false) => overlap.missed += weight,
                    (false, true) => overlap.wrong += weight,
                    (false, false) => {}
                }
            }
        }
        overlap
    }
}

/// A [`ConfusionMatrix`] that reports 0 where a metric is undefined; see [`ConfusionMatrix::or_zero`].
#[derive(Clone, Copy, Debug)]
pub struct OrZero<'a>(&'a ConfusionMatrix);

impl OrZero<'_> {
    /// Dice, or 0.
    pub fn dice(&self, class: Class) -> f64 {
        self.0.dice(class).unwrap_or(0.0)
    }

    /// Recall, or 0.
    pub fn recall(&self, class: Class) -> f64 {
        self.0.recall(class).unwrap_or(0.0)
    }

    /// Precision, or 0.
    pub fn precision(&self, class: Class) -> f64 {
        self.0.precision(class).unwrap_or(0.0)
    }

    /// Rows divided by their sums; a row without pixels stays 0.
    pub fn row_normalised(&self) -> [[f64; Class::COUNT]; Class::COUNT] {
        self.0.row_normalised().map(Option::unwrap_or_default)
    }
}

/// True positives, false negatives and false positives of one structure.
#[derive(Clone, Copy, Default)]
pub(super) struct Overlap {
    both: f64,
    missed: f64,
    wrong: f64,
}

impl Overlap {
    pub(super) fn dice(self) -> Option<f64> {
        ratio(2.0 * self.both, 2.0 * self.both + self.wrong + self.missed)
    }

    fn recall(self) -> Option<f64> {
        ratio(self.both, self.both + self.missed)
    }

    fn precision(self) -> Option<f64> {
        ratio(self.both, self.both + self.wrong)
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Why pixels cannot be counted.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetricsError {
    /// Truth and prediction differ in size.
    Length {
        /// Pixels of the truth.
        truth: usize,
        /// Pixels of the prediction.
        prediction: usize,
    },
    /// A pixel's label is none of the classes.
    Label {
        /// Index of the pixel in its slice.
        pixel: usize,
        /// The label.
        label: u8,
    },
    /// A weight is negative or not finite.
    Weight {
        /// The weight.
        weight: f64,
    },
}

impl fmt::Display for MetricsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { truth, prediction } => write!(
                f,
                "the truth has {truth} pixels and the prediction {prediction}; both must be of the same slice"
            ),
            Self::Label { pixel, label } => {
                write!(
                    f,
                    "pixel {pixel} has label {label}; only 0, 1 and 2 are classes"
                )
            }
            Self::Weight { weight } => {
                write!(
                    f,
                    "a slice has weight {weight}; weights must be finite and not negative"
                )
            }
        }
    }
}

impl core::error::Error for MetricsError {}
