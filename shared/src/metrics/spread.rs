//! Mean and standard deviation of a metric over cases or repetitions.

use serde::{Deserialize, Serialize};

/// Running mean and **population** standard deviation (divided by n, NumPy's default), by Welford's method.
///
/// The paper does not say which deviation it prints; population is this project's reading.
///
/// ```
/// use nephrobox_shared::metrics::Spread;
/// let mut spread = Spread::new();
/// [0.8, 0.9, 1.0].map(|dice| spread.push(dice));
/// assert_eq!((spread.count(), spread.mean()), (3, Some(0.9)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    count: u64,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl Spread {
    /// No values yet.
    pub const fn new() -> Self {
        Self {
            count: 0,
            mean: 0.0,
            squares: 0.0,
        }
    }

    /// Adds a value.
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// Adds a value that may be undefined; an undefined one is left out and not counted.
    pub fn push_defined(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.push(value);
        }
    }

    /// Number of values.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// Population standard deviation; `None` without values, 0 for one value.
    pub fn deviation(&self) -> Option<f64> {
        (self.count > 0).then(|| libm::sqrt(self.squares / self.count as f64))
    }

    /// The three numbers for a report or a package.
    pub fn summary(&self) -> SpreadSummary {
        SpreadSummary {
            cases: self.count,
            mean: self.mean(),
            population_deviation: self.deviation(),
        }
    }
}

/// A [`Spread`] as it is stored and printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpreadSummary {
    /// Cases in which the metric is defined.
    pub cases: u64,
    /// Mean over those cases.
    pub mean: Option<f64>,
    /// Population standard deviation over those cases.
    pub population_deviation: Option<f64>,
}
