//! How large the numbers are at every rounding, and the grid that follows from it.

use std::fmt;

use nephrobox_engine::cpu::f32::{Observer, Settings};
use nephrobox_engine::program::{Precision, Program, Site, Tensors, ValueId, sites};

use super::histogram::Histogram;
use super::{Job, network};
use crate::train::TrainError;

/// How the largest number of a grid is chosen from the numbers that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimator {
    /// The largest.
    MinMax,
    /// One that all but one in ten thousand stay below.
    Percentile,
    /// That with the least mean squared error.
    LeastError,
}

impl Estimator {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MinMax, Self::Percentile, Self::LeastError];

    /// The name used on the command line and in packages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MinMax => "min-max",
            Self::Percentile => "percentile",
            Self::LeastError => "mse",
        }
    }
}

impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Every rounding with the distance of two neighbouring numbers.
pub type Grids = Vec<(Site, f32)>;

/// Share of numbers below the percentile's limit.
const PERCENTILE: f64 = 0.9999;

/// How much of a 16-bit grid stays free for numbers larger than any that was seen: with a factor of 4 two bits of the sixteen.
const HEADROOM: f64 = 4.0;

/// The numbers seen at each rounding.
pub(super) struct Seen(Vec<(Site, Histogram)>);

/// An executor of a float program whose values can be looked at.
pub(super) fn float(
    job: &Job<'_>,
    program: &Program,
    tensors: &Tensors,
) -> Result<Observer, TrainError> {
    let settings = Settings {
        input_scale: f32::from(job.manifest.input.scale),
        threads: rayon::current_num_threads(),
        ..Settings::default()
    };
    Observer::new(program, tensors.clone(), [job.side, job.side], settings).map_err(network)
}

/// Looks at the numbers at every rounding.
pub(super) fn observe(job: &Job<'_>, slices: &[u32]) -> Result<Seen, TrainError> {
    let mut float = float(job, &job.program, &job.tensors)?;
    let mut seen: Vec<(Site, Histogram)> = sites(&job.program)
        .into_iter()
        .map(|site| (site, Histogram::default()))
        .collect();
    let values: Vec<ValueId> = seen.iter().map(|(site, _)| site.value).collect();
    for &index in slices {
        let mut look = |value: ValueId, numbers: &[f32]| {
            for (site, histogram) in seen.iter_mut().filter(|(site, _)| site.value == value) {
                histogram.add(numbers, site.precision == Precision::I16);
            }
        };
        float
            .observe(
                job.data.image(index),
                1,
                &|value| values.contains(&value),
                &mut look,
            )
            .map_err(network)?;
    }
    Ok(Seen(seen))
}

impl Seen {
    /// The grids that an estimator makes.
    pub(super) fn grids(&self, estimator: Estimator) -> Grids {
        let grid = |(site, histogram): &(Site, Histogram)| {
            let [_, steps] = site.precision.range().map(f64::from);
            let limit = match (site.precision, estimator) {
                (Precision::I16, _) => HEADROOM * histogram.largest(),
                (Precision::U8, Estimator::MinMax) => histogram.largest(),
                (Precision::U8, Estimator::Percentile) => histogram.percentile(PERCENTILE),
                (Precision::U8, Estimator::LeastError) => histogram.least_error(steps),
            };
            let step = (limit / steps) as f32;
            // A value that was 0 throughout has no scale of its own; any will do.
            (*site, if step.is_normal() { step } else { 1.0 })
        };
        self.0.iter().map(grid).collect()
    }
}
