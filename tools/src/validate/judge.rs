//! PASS, DRIFT or FAIL: the rules. `docs/validation.md` gives their reasons.
//!
//! Packed and measured scores are of the same slices of the same patients by the same package, so they should be the same
//! number. The spread over patients therefore excuses no difference; it only tells a small one from a large one.
//!
//! | verdict | when the measured score is |
//! | --- | --- |
//! | PASS | within the tolerance of the packed one |
//! | DRIFT | outside the tolerance, and not FAIL; a better score too |
//! | FAIL | worse by more than the tolerance, and either by more than ten tolerances, or so that the packed score lies above the interval |
//! | NOT JUDGED | undefined, as the packed one is: no case shows the class |

use std::fmt;

use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::{ClassScores, ConfusionMatrix, PerClass};
use serde::Serialize;

use super::interval::{Bootstrap, Interval};

/// So many tolerances below the packed score nothing excuses.
pub const LIMIT: f64 = 10.0;

/// A difference of exactly the tolerance is within it, whatever the last bits of its subtraction are.
const HAIR: f64 = 1e-9;

/// What is said of a score, a class, or a whole validation; later ones outweigh earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Verdict {
    /// There is nothing to compare.
    #[serde(rename = "NOT JUDGED")]
    NotJudged,
    /// As packed.
    #[serde(rename = "PASS")]
    Pass,
    /// Something is different; find out what.
    #[serde(rename = "DRIFT")]
    Drift,
    /// Worse than packed.
    #[serde(rename = "FAIL")]
    Fail,
}

impl Verdict {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotJudged => "NOT JUDGED",
            Self::Pass => "PASS",
            Self::Drift => "DRIFT",
            Self::Fail => "FAIL",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One score beside the packed one; shares, not percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Compared {
    /// What the package says; `None` is undefined.
    pub packed: Option<f64>,
    /// What was measured.
    pub measured: Option<f64>,
    /// Measured less packed.
    pub difference: Option<f64>,
    /// Of the measured score, over patients.
    pub interval: Option<Interval>,
    /// What follows.
    pub verdict: Verdict,
}

/// The three scores of one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassVerdict {
    /// The worst of the three.
    pub verdict: Verdict,
    /// Dice.
    pub dice: Compared,
    /// Recall.
    pub recall: Compared,
    /// Precision.
    pub precision: Compared,
}

impl ClassVerdict {
    /// The three with their names.
    pub fn metrics(&self) -> [(&'static str, &Compared); 3] {
        [
            ("Dice", &self.dice),
            ("recall", &self.recall),
            ("precision", &self.precision),
        ]
    }
}

/// Compares one score.
pub(super) fn compare(
    packed: Option<f64>,
    measured: Option<f64>,
    interval: Option<Interval>,
    tolerance: f64,
) -> Compared {
    let difference = packed
        .zip(measured)
        .map(|(packed, measured)| measured - packed);
    let verdict = match (packed, measured, difference) {
        (None, None, _) => Verdict::NotJudged,
        // It came to be where there was none: not worse, and not the same.
        (None, Some(_), _) => Verdict::Drift,
        (Some(packed), _, Some(difference)) => {
            let above = interval.is_some_and(|interval| packed > interval.high);
            if difference.abs() <= tolerance + HAIR {
                Verdict::Pass
            } else if difference < 0.0 && (above || -difference > LIMIT * tolerance + HAIR) {
                Verdict::Fail
            } else {
                Verdict::Drift
            }
        }
        (Some(_), _, None) => Verdict::Fail,
    };
    Compared {
        packed,
        measured,
        difference,
        interval,
        verdict,
    }
}

/// Compares all classes: the packed scores in the paper's aggregation with the sum of all patients' weighted pixels.
pub(super) fn classes(
    packed: &PerClass<ClassScores>,
    measured: &ConfusionMatrix,
    bootstrap: &Bootstrap,
    tolerance: f64,
) -> PerClass<ClassVerdict> {
    type Metric = fn(&ConfusionMatrix, Class) -> Option<f64>;
    PerClass::from_fn(|class| {
        let packed = packed.get(class);
        let one = |packed, metric: Metric| {
            let of = |matrix: &ConfusionMatrix| metric(matrix, class);
            compare(packed, of(measured), bootstrap.interval(of), tolerance)
        };
        let dice = one(packed.dice, ConfusionMatrix::dice);
        let recall = one(packed.recall, ConfusionMatrix::recall);
        let precision = one(packed.precision, ConfusionMatrix::precision);
        ClassVerdict {
            verdict: dice.verdict.max(recall.verdict).max(precision.verdict),
            dice,
            recall,
            precision,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: f64 = 0.001;

    #[test]
    fn the_table_of_rules() {
        let interval = |low, high| {
            Some(Interval {
                low,
                high,
                resamples: 2000,
            })
        };
        let wide = interval(0.80, 0.95);
        let narrow = interval(0.895, 0.8985);
        let table = [
            (Some(0.900), Some(0.900), wide, Verdict::Pass, "the same"),
            (
                Some(0.900),
                Some(0.899),
                wide,
                Verdict::Pass,
                "just as much worse as is tolerated",
            ),
            (
                Some(0.900),
                Some(0.901),
                wide,
                Verdict::Pass,
                "just as much better",
            ),
            (
                Some(0.900),
                Some(0.9),
                narrow,
                Verdict::Pass,
                "the tolerance comes before the interval",
            ),
            (
                Some(0.900),
                Some(0.897),
                wide,
                Verdict::Drift,
                "worse, within the spread of patients",
            ),
            (
                Some(0.900),
                Some(0.897),
                narrow,
                Verdict::Fail,
                "worse, and more than patients spread",
            ),
            (
                Some(0.900),
                Some(0.897),
                None,
                Verdict::Drift,
                "a little worse, and no interval",
            ),
            (
                Some(0.900),
                Some(0.889),
                wide,
                Verdict::Fail,
                "worse by more than ten tolerances",
            ),
            (
                Some(0.900),
                Some(0.889),
                None,
                Verdict::Fail,
                "the same without an interval",
            ),
            (
                Some(0.900),
                Some(0.990),
                wide,
                Verdict::Drift,
                "far better is no fail and no pass",
            ),
            (
                Some(0.900),
                None,
                None,
                Verdict::Fail,
                "nothing is labelled so any more",
            ),
            (
                None,
                Some(0.0),
                None,
                Verdict::Drift,
                "labelled so where nothing was",
            ),
            (
                None,
                None,
                None,
                Verdict::NotJudged,
                "nobody shows the class",
            ),
        ];
        for (packed, measured, interval, expected, why) in table {
            let found = compare(packed, measured, interval, TOLERANCE);
            assert_eq!(found.verdict, expected, "{why}");
        }
    }

    #[test]
    fn a_class_is_judged_by_its_worst_score() {
        let mut measured = ConfusionMatrix::new();
        measured
            .add(&[1, 1, 1, 1, 0, 0], &[1, 1, 1, 0, 0, 0], 1.0)
            .expect("sound");
        let mut packed = ClassScores::of(&measured);
        packed.kidney.recall = Some(0.7505);
        let none = Bootstrap::new(&[], 0, 0);
        let classes = classes(&packed, &measured, &none, TOLERANCE);
        assert_eq!(classes.kidney.verdict, Verdict::Pass); // 0.75 is within 0.001 of 0.7505
        packed.kidney.recall = Some(0.8);
        let classes = super::classes(&packed, &measured, &none, TOLERANCE);
        assert_eq!(classes.kidney.dice.verdict, Verdict::Pass);
        assert_eq!(classes.kidney.verdict, Verdict::Fail);
        assert_eq!(classes.tumour.verdict, Verdict::NotJudged);
    }
}
