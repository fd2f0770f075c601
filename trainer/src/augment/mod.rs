//! Changing training images so that a network does not learn them by heart.
//!
//! An [`Augmentation`] is data: which share of the images is changed, and the transforms in their order, each with its
//! own probability and parameters. Presets are such data too, and a run's config holds all of it. The paper's
//! transforms are Albumentations 0.5.2's, whose arithmetic they follow; where the library is bit-exact by design so are
//! they. `docs/augmentation.md` lists them.
//!
//! All draws are a function of (seed, epoch, slice), so neither the order of slices nor the number of threads matters.
//! Image and label map change together; a label map is only ever resampled by nearest neighbour.

pub mod blur;
pub mod brightness_contrast;
pub mod compression;
pub mod crop_or_pad;
pub mod elastic;
pub mod exposure;
pub mod flip;
pub mod gamma;
pub mod grid_distortion;
pub mod noise;
pub mod placement;
pub mod rotate;
mod settings;
pub mod smooth_field;
pub mod warp;
mod window;

use crate::closed_form::Stream;

pub use settings::{Augmentation, PRESETS, Step, Transform};
pub use window::crop;

/// An image with its label map, both row-major, `rows * cols` values.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Normalised intensities in [0, 1].
    pub image: Vec<f32>,
    /// Labels 0, 1, 2.
    pub labels: Vec<u8>,
}

impl Sample {
    /// An image and its labels.
    ///
    /// # Panics
    /// If either does not hold `rows * cols` values, at least one.
    pub fn new(rows: usize, cols: usize, image: Vec<f32>, labels: Vec<u8>) -> Self {
        let pixels = rows * cols;
        assert!(pixels > 0 && image.len() == pixels && labels.len() == pixels);
        Self {
            rows,
            cols,
            image,
            labels,
        }
    }
}

/// Buffers that transforms work in, kept from one image to the next.
#[derive(Clone, Debug, Default)]
pub struct Spare {
    image: Vec<f32>,
    labels: Vec<u8>,
    xs: Vec<i32>,
    ys: Vec<i32>,
    fields: [Vec<f32>; 2],
    smoother: Option<smooth_field::Smoother>,
}

impl Augmentation {
    /// Changes `sample` by what `draw` says; `draw` must belong to (seed, epoch, slice).
    ///
    /// The coins fall as in the paper's library: one for the whole pipeline, then one for each transform.
    pub fn apply(&self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        if self.steps.is_empty() || !draw.chance(self.share) {
            return;
        }
        for step in &self.steps {
            if draw.chance(step.chance) {
                step.transform.apply(sample, spare, draw);
            }
        }
    }
}

#[cfg(test)]
mod tests;
