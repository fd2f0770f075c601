//! The worst and the best cases of an evaluation, each with the slice that shows it best.
//!
//! A slice's score is the mean Dice of kidney and tumour, as far as its truth or its prediction shows them; a case's
//! score is the same over all its slices' pixels. Of the worst cases the worst slice is kept, of the best the best.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::{ConfusionMatrix, MetricsError};

use crate::data::Prepared;

/// One slice, scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SliceScore {
    /// Its number in the prepared set.
    pub index: u32,
    /// Dice of kidney and of tumour; `None` where neither truth nor prediction shows the class.
    pub dice: [Option<f64>; 2],
    /// Pixels of kidney and tumour in the truth, and pixels that are labelled wrongly.
    pub pixels: [u32; 2],
}

impl SliceScore {
    fn of(index: u32, matrix: &ConfusionMatrix) -> Self {
        let weights = matrix.weights();
        let sum = |keep: fn(usize, usize) -> bool| {
            let cells = (0..Class::COUNT).flat_map(|t| (0..Class::COUNT).map(move |p| (t, p)));
            let kept = cells.filter(|&(t, p)| keep(t, p));
            kept.map(|(t, p)| weights[t][p]).sum::<f64>() as u32
        };
        Self {
            index,
            dice: dice(matrix),
            pixels: [sum(|t, _| t > 0), sum(|t, p| t != p)],
        }
    }

    /// Mean of the Dice that are defined.
    pub fn score(&self) -> Option<f64> {
        mean(self.dice)
    }
}

fn dice(matrix: &ConfusionMatrix) -> [Option<f64>; 2] {
    [Class::Kidney, Class::Tumour].map(|class| matrix.dice(class))
}

/// Mean of the Dice that are defined.
pub(crate) fn mean(dice: [Option<f64>; 2]) -> Option<f64> {
    let defined: Vec<f64> = dice.into_iter().flatten().collect();
    (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
}

/// A slice and what the network made of it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The slice.
    pub slice: SliceScore,
    /// The predicted labels.
    pub prediction: Vec<u8>,
}

/// A case and the slice that stands for it.
#[derive(Clone, Debug)]
pub struct Pick<'a> {
    /// Position of the case in [`Prepared::cases`].
    pub case: u32,
    /// The case's score.
    pub score: f64,
    /// Its slice.
    pub kept: &'a Kept,
}

#[derive(Debug, Default)]
struct CaseSoFar {
    matrix: ConfusionMatrix,
    worst: Option<Kept>,
    best: Option<Kept>,
}

/// Gathers slice after slice; holds two predictions a case.
#[derive(Debug, Default)]
pub struct Extremes {
    cases: BTreeMap<u32, CaseSoFar>,
    slices: Vec<SliceScore>,
}

impl Extremes {
    /// Counts one slice of `case` in.
    pub fn add(
        &mut self,
        case: u32,
        index: u32,
        truth: &[u8],
        prediction: &[u8],
    ) -> Result<(), MetricsError> {
        let mut matrix = ConfusionMatrix::new();
        matrix.add(truth, prediction, 1.0)?;
        let slice = SliceScore::of(index, &matrix);
        self.slices.push(slice);
        let so_far = self.cases.entry(case).or_default();
        so_far.matrix.merge(&matrix);
        let Some(score) = slice.score() else {
            return Ok(());
        };
        let keep = || Kept {
            slice,
            prediction: prediction.to_vec(),
        };
        let [shown, wrong] = slice.pixels;
        let is_worse = so_far.worst.as_ref().is_none_or(|held| {
            let held = held.slice;
            let (low, errors) = (held.score().unwrap_or(1.0), held.pixels[1]);
            score < low || (score == low && wrong > errors)
        });
        if is_worse {
            so_far.worst = Some(keep());
        }
        let is_better = so_far.best.as_ref().is_none_or(|held| {
            let held = held.slice;
            let (high, pixels) = (held.score().unwrap_or(0.0), held.pixels[0]);
            score > high || (score == high && shown > pixels)
        });
        if is_better {
            so_far.best = Some(keep());
        }
        Ok(())
    }

    /// Up to `count` of the worst cases, worst first, and of the best, best first; no case is in both.
    pub fn ranked(&self, count: usize) -> [Vec<Pick<'_>>; 2] {
        let mut cases: Vec<(u32, f64, &CaseSoFar)> = self
            .cases
            .iter()
            .filter_map(|(&case, so_far)| Some((case, mean(dice(&so_far.matrix))?, so_far)))
            .collect();
        cases.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let worst = count.min(cases.len().div_ceil(2));
        let best = count.min(cases.len() - worst);
        let low = cases[..worst].iter().filter_map(|&(case, score, c)| {
            let kept = c.worst.as_ref()?;
            Some(Pick { case, score, kept })
        });
        let high = cases
            .iter()
            .rev()
            .take(best)
            .filter_map(|&(case, score, c)| {
                let kept = c.best.as_ref()?;
                Some(Pick { case, score, kept })
            });
        [low.collect(), high.collect()]
    }

    /// All slices as CSV, in the order in which they came.
    pub fn csv(&self, data: &Prepared) -> String {
        let mut text =
            String::from("case,source,slice,kidney_dice,tumour_dice,true_pixels,wrong_pixels\n");
        for slice in &self.slices {
            let meta = data.meta(slice.index);
            let [kidney, tumour] = slice
                .dice
                .map(|d| d.map_or(String::new(), |d| format!("{d:.6}")));
            let [shown, wrong] = slice.pixels;
            let _ = writeln!(
                text,
                "{},{},{},{kidney},{tumour},{shown},{wrong}",
                data.cases()[meta.case as usize].name,
                data.sources()[meta.source as usize],
                meta.slice
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: [u8; 4] = [0, 1, 1, 2];
    const HALF: [u8; 4] = [0, 1, 0, 2];
    const MISSED: [u8; 4] = [0; 4];

    #[test]
    fn the_worst_case_shows_its_worst_slice_and_the_best_its_best() {
        let mut extremes = Extremes::default();
        let slices = [(0, HALF), (0, MISSED), (1, TRUTH), (1, HALF), (2, HALF)];
        for (index, (case, prediction)) in (0..).zip(slices) {
            extremes.add(case, index, &TRUTH, &prediction).unwrap();
        }
        let [worst, best] = extremes.ranked(1);
        let of = |picks: &[Pick<'_>]| (picks[0].case, picks[0].kept.slice.index);
        assert_eq!((of(&worst), of(&best)), ((0, 1), (1, 2)));
        assert_eq!(worst[0].kept.prediction, MISSED);
        let [worst, best] = extremes.ranked(9);
        assert_eq!((worst.len(), best.len()), (2, 1));
    }

    /// Air that is rightly left alone must not stand for a case, and invented tumour must count against it.
    #[test]
    fn slices_that_show_nothing_count_only_if_something_was_invented() {
        let mut extremes = Extremes::default();
        extremes.add(0, 0, &MISSED, &MISSED).unwrap();
        assert!(extremes.ranked(3).concat().is_empty());
        extremes.add(0, 1, &MISSED, &HALF).unwrap();
        let [worst, _] = extremes.ranked(3);
        assert_eq!((worst[0].score, worst[0].kept.slice.pixels), (0.0, [0, 2]));
    }

    #[test]
    fn labels_that_are_none_are_refused() {
        let mut extremes = Extremes::default();
        assert!(extremes.add(0, 0, &TRUTH, &[3; 4]).is_err());
        assert!(extremes.add(0, 0, &TRUTH, &[0; 3]).is_err());
    }
}
