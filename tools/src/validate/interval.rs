//! How far a score would move with other patients: the bootstrap.
//!
//! As many patients as there are, drawn with replacement, are scored together; that is done [`RESAMPLES`] times, and the
//! middle 95 % of the scores are the interval. Patients are drawn, not slices, because slices of one patient are alike.
//! Draws come from BLAKE3 keyed by a fixed seed, so the same cases give the same interval anywhere.

use nephrobox_shared::metrics::ConfusionMatrix;
use serde::Serialize;

/// How often patients are drawn.
pub const RESAMPLES: u32 = 2_000;
/// Share of the draws' scores that the interval holds.
pub const CONFIDENCE: f64 = 0.95;
/// Seed of the draws.
pub const SEED: u64 = 2019;

/// The middle of the draws' scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// 2.5 % of the scores are below.
    pub low: f64,
    /// 2.5 % of the scores are above.
    pub high: f64,
    /// Draws in which the score is defined.
    pub resamples: u32,
}

/// The draws: of each the sum of its patients' pixels.
#[derive(Debug, Clone)]
pub struct Bootstrap(Vec<ConfusionMatrix>);

impl Bootstrap {
    /// Draws from `patients`, the matrix of each with its weight in it. There are no draws of fewer than two patients.
    pub fn new(patients: &[ConfusionMatrix], resamples: u32, seed: u64) -> Self {
        if patients.len() < 2 {
            return Self(Vec::new());
        }
        let mut hasher = blake3::Hasher::new_derive_key("nephrobox bootstrap over patients v1");
        hasher.update(&seed.to_le_bytes());
        let mut stream = hasher.finalize_xof();
        let mut draw = || {
            let mut bytes = [0; 8];
            stream.fill(&mut bytes);
            // A number below 2^64 scaled down: all patients are equally likely to one part in 10^16 or so.
            let scaled = u128::from(u64::from_le_bytes(bytes)) * patients.len() as u128;
            &patients[(scaled >> 64) as usize]
        };
        let sums = (0..resamples).map(|_| {
            let mut sum = ConfusionMatrix::new();
            for _ in patients {
                sum.merge(draw());
            }
            sum
        });
        Self(sums.collect())
    }

    /// The interval of one metric. `None` if it is undefined in most draws, as it is with a class that few patients show.
    pub fn interval(&self, metric: impl Fn(&ConfusionMatrix) -> Option<f64>) -> Option<Interval> {
        let mut scores: Vec<f64> = self.0.iter().filter_map(metric).collect();
        if scores.len() * 2 <= self.0.len() {
            return None;
        }
        scores.sort_by(f64::total_cmp);
        let outside = (scores.len() as f64 * (1.0 - CONFIDENCE) / 2.0) as usize;
        Some(Interval {
            low: scores[outside],
            high: scores[scores.len() - 1 - outside],
            resamples: scores.len() as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use nephrobox_shared::class::Class;

    use super::*;

    /// A patient of whose hundred kidney pixels so many are found.
    fn patient(found: usize) -> ConfusionMatrix {
        let mut prediction = [0; 100];
        prediction[..found].fill(1);
        let mut matrix = ConfusionMatrix::new();
        matrix.add(&[1; 100], &prediction, 1.0).expect("sound");
        matrix
    }

    fn recall(matrix: &ConfusionMatrix) -> Option<f64> {
        matrix.recall(Class::Kidney)
    }

    /// The recall of a draw is the mean of its patients', so theory knows its spread: deviation / sqrt(n).
    #[test]
    fn the_interval_of_a_mean_is_as_wide_as_theory_says() {
        let patients: Vec<_> = (0..60).map(|i| patient(40 + i % 30)).collect();
        let mean = 54.5 / 100.0;
        let deviation = (((30.0_f64 * 30.0 - 1.0) / 12.0).sqrt()) / 100.0 / 60.0_f64.sqrt();
        let interval = Bootstrap::new(&patients, RESAMPLES, SEED)
            .interval(recall)
            .expect("an interval");
        for (found, expected) in [
            (interval.low, mean - 1.96 * deviation),
            (interval.high, mean + 1.96 * deviation),
        ] {
            assert!(
                (found - expected).abs() < 0.2 * deviation,
                "{found} {expected}"
            );
        }
        assert_eq!(interval.resamples, RESAMPLES);
    }

    #[test]
    fn the_same_cases_give_the_same_interval_and_another_seed_another() {
        let patients: Vec<_> = (0..9).map(|i| patient(10 * i)).collect();
        let interval = |seed| Bootstrap::new(&patients, RESAMPLES, seed).interval(recall);
        assert_eq!(interval(1), interval(1));
        assert_ne!(interval(1), interval(2));
    }

    #[test]
    fn one_patient_has_no_interval_and_neither_has_a_class_that_nobody_shows() {
        let one = Bootstrap::new(&[patient(50)], RESAMPLES, SEED);
        assert_eq!(one.interval(recall), None);
        let two = Bootstrap::new(&[patient(50), patient(50)], RESAMPLES, SEED);
        assert_eq!(two.interval(|matrix| matrix.recall(Class::Tumour)), None);
        let same = two.interval(recall).expect("an interval");
        assert_eq!((same.low, same.high), (0.5, 0.5));
    }
}
