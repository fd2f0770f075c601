//! The few slices that are read and shown to the network a second time, once it is known what was outlined.

use std::collections::BTreeMap;
use std::path::Path;

use nephrobox_engine::confidence::{MOST_SLICES, look_again};
use nephrobox_engine::model::{EngineError, LogitsModel, SliceModel};
use nephrobox_engine::scan::ScanError;
use nephrobox_imaging::{Geometry, ScanReader};
use nephrobox_shared::class::Class;
use nephrobox_shared::measure::{LabelMap, MeasureError, Side};
use nephrobox_shared::preprocess::Preprocess;
use nephrobox_shared::report::{Confidence, Findings, SliceFindings};

use crate::failure::Failure;
use crate::pulse::Pulse;
use crate::{output, scan as input};

/// Slices that were read again, by index, in HU.
pub(super) type Pages = BTreeMap<usize, Vec<i16>>;

/// The structures worth a picture, each with the slice that shows it best, in the order of importance.
pub(super) fn pictures(
    findings: &Findings,
) -> impl Iterator<Item = (&'static str, &'static str, usize)> {
    let middle = |side| findings.sides.get(side).mid_kidney_slice;
    let pictures = [
        (
            output::OVERLAY_TUMOUR,
            "Largest tumour slice",
            findings.peak_tumour_slice,
        ),
        (
            output::OVERLAY_RIGHT,
            "Right kidney, middle slice",
            middle(Side::Right),
        ),
        (
            output::OVERLAY_LEFT,
            "Left kidney, middle slice",
            middle(Side::Left),
        ),
    ];
    pictures
        .into_iter()
        .filter_map(|(file, title, slice)| slice.map(|slice| (file, title, slice)))
}

/// Reads the slices that are drawn and some spread over what is outlined, at most [`MOST_SLICES`] together, in the file's own
/// order so that a compressed file is read only once more.
pub(super) fn read_again(
    reader: &mut ScanReader,
    findings: &Findings,
    path: &Path,
) -> Result<Pages, Failure> {
    let drawn = pictures(findings).map(|(_, _, slice)| slice);
    let mut wanted = spread(drawn.collect(), &findings.slices);
    // A file whose slices run towards the head begins with the last canonical slice.
    if reader.geometry().codes().ends_with('S') {
        wanted.reverse();
    }
    let pixels = reader.geometry().slice_len();
    let read = wanted.into_iter().map(|slice| {
        let mut hu = vec![0; pixels];
        reader
            .read_slice(slice, &mut hu)
            .map_err(|error| input::unusable(path, &error))?;
        Ok((slice, hu))
    });
    read.collect()
}

/// These slices and the middles of as many equal stretches of the outlined ones as make [`MOST_SLICES`], in order.
fn spread(mut slices: Vec<usize>, outlined: &[SliceFindings]) -> Vec<usize> {
    slices.sort_unstable();
    slices.dedup();
    let more = MOST_SLICES.saturating_sub(slices.len());
    let middles = (0..more).map(|part| (2 * part + 1) * outlined.len() / (2 * more));
    slices.extend(
        middles
            .filter_map(|at| outlined.get(at))
            .map(|found| found.slice),
    );
    slices.sort_unstable();
    slices.dedup();
    slices
}

/// A copy of the network that gives a sign of life after each slice: several in a row may take a minute on a slow processor.
struct Beating<'a, M> {
    model: &'a mut M,
    pulse: &'a Pulse,
}

impl<M: SliceModel> SliceModel for Beating<'_, M> {
    fn rows(&self) -> usize {
        self.model.rows()
    }

    fn cols(&self) -> usize {
        self.model.cols()
    }

    fn batch(&self) -> usize {
        self.model.batch()
    }

    fn planes(&self) -> usize {
        self.model.planes()
    }

    fn segment(
        &mut self,
        images: &[f32],
        batch: usize,
        labels: &mut [u8],
    ) -> Result<(), EngineError> {
        let done = self.model.segment(images, batch, labels);
        self.pulse.beat();
        done
    }
}

impl<M: LogitsModel> LogitsModel for Beating<'_, M> {
    fn classes(&self) -> usize {
        self.model.classes()
    }

    fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
        let logits = self.model.logits(images, batch);
        self.pulse.beat();
        logits
    }
}

/// How sure the network is of what it outlined in these slices.
pub(super) fn sure<M: LogitsModel + Send>(
    models: &mut [M],
    pages: &Pages,
    geometry: &Geometry,
    preprocess: &Preprocess,
    pulse: &Pulse,
) -> Result<Option<Confidence>, ScanError> {
    let [_, rows, cols] = geometry.shape();
    let images = pages.iter().map(|(&slice, hu)| {
        let mut image = vec![0.0; preprocess.rows * preprocess.cols];
        preprocess
            .image(hu, rows, cols, &mut image)
            .map_err(|source| ScanError::Preprocess { slice, source })?;
        Ok(image)
    });
    let images: Vec<Vec<f32>> = images.collect::<Result<_, ScanError>>()?;
    let slice = pages.keys().next().copied().unwrap_or_default();
    let mut beating: Vec<_> = models
        .iter_mut()
        .map(|model| Beating { model, pulse })
        .collect();
    look_again(&mut beating, &images).map_err(|source| ScanError::Engine { slice, source })
}

/// Mean HU of what is outlined as kidney in the slices that were read again; `None` without any.
pub(super) fn kidney_mean_hu(
    pages: &Pages,
    labels: &LabelMap,
) -> Result<Option<f64>, MeasureError> {
    let (mut sum, mut pixels) = (0_i64, 0_u64);
    for (&slice, hu) in pages {
        for run in labels.runs(slice)? {
            if run.class == Class::Kidney {
                let row = usize::from(run.row) * labels.cols();
                let hu = &hu[row + usize::from(run.start)..row + usize::from(run.end)];
                sum += hu.iter().map(|&hu| i64::from(hu)).sum::<i64>();
                pixels += run.pixels();
            }
        }
    }
    Ok((pixels > 0).then(|| sum as f64 / pixels as f64))
}

#[cfg(test)]
mod tests {
    use nephrobox_shared::measure::Sides;

    use super::*;

    fn outlined(slices: impl IntoIterator<Item = usize>) -> Vec<SliceFindings> {
        let slices = slices.into_iter().map(|slice| SliceFindings {
            slice,
            areas: Sides::default(),
        });
        slices.collect()
    }

    #[test]
    fn slices_are_spread_over_what_is_outlined_beside_those_that_are_drawn() {
        assert_eq!(
            spread(vec![33, 12], &outlined(10..70)),
            [12, 15, 25, 33, 35, 45, 55, 65]
        );
    }

    #[test]
    fn a_short_scan_is_looked_at_whole_and_an_empty_one_not_at_all() {
        assert_eq!(spread(vec![5, 5, 6], &outlined(4..8)), [4, 5, 6, 7]);
        assert_eq!(spread(Vec::new(), &[]), [0; 0]);
    }

    #[test]
    fn every_limit_holds_for_any_number_of_outlined_slices() {
        for count in 0..100 {
            let outlined = outlined((0..count).map(|slice| 3 * slice));
            let drawn: Vec<usize> = [count / 2, count / 3, count / 4]
                .into_iter()
                .filter_map(|at| outlined.get(at).map(|found| found.slice))
                .collect();
            let chosen = spread(drawn.clone(), &outlined);
            assert!(chosen.len() <= MOST_SLICES && chosen.is_sorted());
            assert!(drawn.iter().all(|slice| chosen.contains(slice)));
            assert!(
                chosen
                    .iter()
                    .all(|at| outlined.iter().any(|found| found.slice == *at))
            );
        }
    }
}
