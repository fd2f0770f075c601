//! How sure a network is of its outlines: a few slices go through it again, as they are and with right and left exchanged.
//!
//! A whole scan asks only for labels. Here the logits of some of its slices are looked at: how probable the chosen class
//! was, and whether the mirror images of a slice are outlined alike. A network on what it was trained for is sure and
//! agrees with itself; one on noise, on another window or on a scan that lies wrong need not be. It proves nothing the
//! other way: a network can be sure and wrong. `docs/measures.md` has what was measured.

use std::sync::atomic::{AtomicUsize, Ordering};

use nephrobox_shared::class::Class;
use nephrobox_shared::report::Confidence;

use crate::flips::mirror;
use crate::model::{EngineError, LogitsModel};
use crate::program::argmax;

/// Most slices that are worth a second look: twice through the network each, a tenth of the work of a scan of 160.
pub const MOST_SLICES: usize = 8;

/// A pixel whose class has less than this probability counts as unsure.
pub const SURE: f32 = 0.75;

/// Columns reversed, rows not. Kidneys look alike on both sides, and every set of augmentations with flips has this one. Upside
/// down is another matter: a network that has never seen it may fail there and be right on patients.
const MIRROR: [bool; 2] = [false, true];

/// Shows slices to a network twice, plain and mirrored, and tells how sure it is of what it outlines.
///
/// `models` are copies of one network and share the slices; the answer does not depend on how many there are. Each image
/// is `[rows, cols]` of the network, normalised to 0 ..= 1. `None` without an image or a model.
///
/// # Errors
/// A network that fails, or an image of another size. The first failure in the order of the images is returned.
pub fn look_again<M: LogitsModel + Send>(
    models: &mut [M],
    images: &[Vec<f32>],
) -> Result<Option<Confidence>, EngineError> {
    if images.is_empty() || models.is_empty() {
        return Ok(None);
    }
    // Whoever is free takes the next image.
    let next = &AtomicUsize::new(0);
    let mut found = std::thread::scope(|scope| {
        let look = |model: &mut M| {
            let mut found = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(image) = images.get(index) else {
                    return found;
                };
                found.push((index, Tally::of(model, image)));
            }
        };
        let threads: Vec<_> = models
            .iter_mut()
            .map(|model| scope.spawn(move || look(model)))
            .collect();
        let mut found = Vec::with_capacity(images.len());
        for thread in threads {
            match thread.join() {
                Ok(some) => found.extend(some),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    });
    // Added in the order of the images, so that the sums are the same whoever took which.
    found.sort_by_key(|&(index, _)| index);
    let mut all = Tally::default();
    for (_, tally) in found {
        all.add(&tally?);
    }
    Ok(Some(all.confidence(images.len())))
}

/// Sums over slices. Pairs are of kidney and tumour.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Of the plain images, by the class that was chosen.
    pixels: [u64; 2],
    unsure: [u64; 2],
    probability: [f64; 2],
    /// Kidney and tumour as one, and tumour alone.
    overlap: [Overlap; 2],
}

/// Pixels outlined in a plain image and in a mirrored one.
#[derive(Clone, Copy, Debug, Default)]
struct Overlap {
    plain: u64,
    mirrored: u64,
    both: u64,
}

impl Overlap {
    fn add(&mut self, other: Self) {
        self.plain += other.plain;
        self.mirrored += other.mirrored;
        self.both += other.both;
    }

    fn dice(self) -> Option<f64> {
        let sum = self.plain + self.mirrored;
        (sum > 0).then(|| 2.0 * self.both as f64 / sum as f64)
    }
}

impl Tally {
    fn of(model: &mut impl LogitsModel, image: &[f32]) -> Result<Self, EngineError> {
        let size = [model.rows(), model.cols()];
        let mut tally = Self::default();
        let (plain, logits) = labels(model, image)?;
        tally.add_probabilities(&plain, &logits);
        drop(logits);
        let (mut turned, mut back) = (vec![0.0; image.len()], vec![0; plain.len()]);
        mirror(image, size, MIRROR, &mut turned);
        let (mirrored, _) = labels(model, &turned)?;
        mirror(&mirrored, size, MIRROR, &mut back);
        tally.add_overlap(&plain, &back);
        Ok(tally)
    }

    fn add_probabilities(&mut self, labels: &[u8], logits: &[f32]) {
        for (pixel, &label) in labels.iter().enumerate() {
            let Some(structure) = structure(label) else {
                continue;
            };
            let classes = || logits.iter().skip(pixel).step_by(labels.len());
            let largest = classes().copied().fold(f32::NEG_INFINITY, f32::max);
            // The chosen class is the one with the largest logit.
            let probability = 1.0 / classes().map(|logit| (logit - largest).exp()).sum::<f32>();
            self.pixels[structure] += 1;
            self.unsure[structure] += u64::from(probability < SURE);
            self.probability[structure] += f64::from(probability);
        }
    }

    fn add_overlap(&mut self, plain: &[u8], mirrored: &[u8]) {
        for (&plain, &mirrored) in plain.iter().zip(mirrored) {
            let [plain, mirrored] = [plain, mirrored].map(structure);
            for (overlap, from) in self.overlap.iter_mut().zip(0..) {
                let [plain, mirrored] =
                    [plain, mirrored].map(|found| found.is_some_and(|found| found >= from));
                overlap.add(Overlap {
                    plain: u64::from(plain),
                    mirrored: u64::from(mirrored),
                    both: u64::from(plain && mirrored),
                });
            }
        }
    }

    fn add(&mut self, other: &Self) {
        for structure in 0..2 {
            self.pixels[structure] += other.pixels[structure];
            self.unsure[structure] += other.unsure[structure];
            self.probability[structure] += other.probability[structure];
            self.overlap[structure].add(other.overlap[structure]);
        }
    }

    fn confidence(&self, slices: usize) -> Confidence {
        let mean = |sums: [f64; 2]| {
            [0, 1].map(|at| (self.pixels[at] > 0).then(|| sums[at] / self.pixels[at] as f64))
        };
        let [kidney_probability, tumour_probability] = mean(self.probability);
        let [kidney_unsure, tumour_unsure] = mean(self.unsure.map(|pixels| pixels as f64));
        Confidence {
            slices,
            kidney_probability,
            tumour_probability,
            kidney_unsure_percent: kidney_unsure.map(|share| 100.0 * share),
            tumour_unsure_percent: tumour_unsure.map(|share| 100.0 * share),
            flipped_kidney_dice: self.overlap[0].dice(),
            flipped_tumour_dice: self.overlap[1].dice(),
        }
    }
}

/// 0 for kidney, 1 for tumour.
fn structure(label: u8) -> Option<usize> {
    match Class::from_label(label)? {
        Class::Background => None,
        Class::Kidney => Some(0),
        Class::Tumour => Some(1),
    }
}

/// Labels and logits of one image.
fn labels(model: &mut impl LogitsModel, image: &[f32]) -> Result<(Vec<u8>, Vec<f32>), EngineError> {
    let mut labels = vec![0; model.rows() * model.cols()];
    model.shape().fits(image, 1, &labels)?;
    let logits = model.logits(image, 1)?;
    argmax(&logits, &mut labels)?;
    Ok((labels, logits))
}
