//! Whether integers are as good as floating point, on patients that neither training nor calibration has seen.

use nephrobox_engine::package::Model;
use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::Scores;

use super::{Told, started};
use crate::data::{Prepared, Split};
use crate::evaluate::evaluate;
use crate::train::TrainError;

/// Most percentage points that Dice of any class may fall.
const MOST: f64 = 0.1;

/// Scores of one part of the split.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Which part.
    pub split: Split,
    /// Of the float network.
    pub float: Scores,
    /// Of the integers.
    pub int8: Scores,
    /// Share of pixels whose label is the same.
    pub same: f64,
}

/// A class whose Dice falls by more than 0.1 percentage points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drop {
    /// On which part of the split.
    pub split: Split,
    /// Which class.
    pub class: Class,
    /// By how many percentage points.
    pub points: f64,
}

/// Scores of both networks.
#[derive(Clone, Debug)]
pub struct Judgement(pub Vec<Judged>);

impl Judgement {
    /// What falls by more than 0.1 percentage points.
    pub fn drops(&self) -> Vec<Drop> {
        let drops = self.0.iter().flat_map(|judged| {
            Class::ALL.into_iter().filter_map(|class| {
                let points = judged.fall(class)?;
                (points > MOST).then_some(Drop {
                    split: judged.split,
                    class,
                    points,
                })
            })
        });
        drops.collect()
    }

    /// Scores on the test split.
    pub fn test(&self) -> Option<&Judged> {
        self.0.iter().find(|judged| judged.split == Split::Test)
    }
}

impl Judged {
    /// By how many percentage points Dice of a class, patient-weighted as in the paper, falls; `None` where it is undefined for both.
    ///
    /// Where there is nothing of a class and floating point rightly finds nothing, its Dice is undefined, and that of integers which find
    /// something is 0: a fall from all there is.
    pub fn fall(&self, class: Class) -> Option<f64> {
        let dice = |scores: &Scores| scores.paper.get(class).dice;
        let int8 = dice(&self.int8)?;
        Some(100.0 * (dice(&self.float).unwrap_or(1.0) - int8))
    }
}

/// Scores a float model and its quantised twin on validation and test.
pub(super) fn judge(
    data: &Prepared,
    float: &Model,
    int8: &Model,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Judgement, TrainError> {
    let (mut float, mut int8) = (started(float.clone())?, started(int8.clone())?);
    let mut all = Vec::new();
    for split in [Split::Validation, Split::Test] {
        let slices = data.split(split);
        if slices.is_empty() {
            continue;
        }
        tell(Told::Step(format!("{split}: {} slices", slices.len())));
        let mut labels = Vec::with_capacity(slices.len());
        let exact = evaluate(data, slices, &mut float, |_, found| {
            labels.push(found.to_vec());
        })?;
        let (mut same, mut pixels, mut place) = (0, 0, 0);
        let integers = evaluate(data, slices, &mut int8, |_, found| {
            same += found
                .iter()
                .zip(&labels[place])
                .filter(|(a, b)| a == b)
                .count();
            pixels += found.len();
            place += 1;
        })?;
        all.push(Judged {
            split,
            float: exact.scores(),
            int8: integers.scores(),
            same: same as f64 / pixels as f64,
        });
    }
    Ok(Judgement(all))
}

#[cfg(test)]
mod tests {
    use nephrobox_shared::metrics::Evaluation;

    use super::*;

    /// Scores of labels in which `wrong` of a hundred kidney pixels are missed.
    fn scores(wrong: usize) -> Scores {
        let truth = [1_u8; 100];
        let mut found = [1_u8; 100];
        found[..wrong].fill(0);
        let mut evaluation = Evaluation::new();
        evaluation.add(0, &truth, &found, 1.0).unwrap();
        evaluation.scores()
    }

    fn judgement(float: usize, int8: usize) -> Judgement {
        Judgement(vec![Judged {
            split: Split::Validation,
            float: scores(float),
            int8: scores(int8),
            same: 1.0,
        }])
    }

    /// Shows RQ-43.
    #[test]
    fn a_class_that_falls_is_named_and_one_that_rises_or_stays_is_not() {
        assert!(judgement(10, 10).drops().is_empty());
        assert!(judgement(10, 5).drops().is_empty());
        let drops = judgement(10, 12).drops();
        assert_eq!(drops.len(), 1);
        assert_eq!(drops[0].class, Class::Kidney);
        // 2 * 90 / 190 and 2 * 88 / 188.
        assert!((drops[0].points - 100.0 * (180.0 / 190.0 - 176.0 / 188.0)).abs() < 1e-9);
    }

    #[test]
    fn a_class_that_nobody_has_is_no_drop() {
        assert_eq!(judgement(0, 0).0[0].fall(Class::Tumour), None);
    }

    #[test]
    fn a_tumour_that_integers_find_where_there_is_none_is_a_drop() {
        let mut evaluation = Evaluation::new();
        let mut found = [1_u8; 100];
        found[0] = Class::Tumour.label();
        evaluation.add(0, &[1; 100], &found, 1.0).unwrap();
        let judged = Judged {
            split: Split::Test,
            float: scores(0),
            int8: evaluation.scores(),
            same: 0.99,
        };
        assert_eq!(judged.fall(Class::Tumour), Some(100.0));
        let drops = Judgement(vec![judged]).drops();
        assert!(drops.iter().any(|drop| drop.class == Class::Tumour));
    }
}
