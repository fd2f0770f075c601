//! Noise.

use serde::{Deserialize, Serialize};

use super::Sample;
use crate::closed_form::Stream;

/// Normal noise of its own at every pixel, clipped to [0, 1] afterwards.
///
/// The library's default variance is meant for grey levels 0 to 255; on [0, 1] it leaves nothing but noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaussNoise {
    /// Range of the variance, in squared units of the image.
    pub variance: [f64; 2],
}

/// One factor for the whole image, clipped to [0, 1] afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiplicativeNoise {
    /// Range of the factor.
    pub factor: [f64; 2],
}

impl Default for GaussNoise {
    fn default() -> Self {
        Self {
            variance: [10.0, 50.0],
        }
    }
}

impl Default for MultiplicativeNoise {
    fn default() -> Self {
        Self { factor: [0.9, 1.1] }
    }
}

impl GaussNoise {
    pub(super) fn apply(self, sample: &mut Sample, draw: &mut Stream) {
        let deviation = draw.range(self.variance[0], self.variance[1]).sqrt();
        for v in &mut sample.image {
            *v = (*v + (deviation * draw.normal()) as f32).clamp(0.0, 1.0);
        }
    }
}

impl MultiplicativeNoise {
    pub(super) fn apply(self, sample: &mut Sample, draw: &mut Stream) {
        multiply(
            &mut sample.image,
            draw.range(self.factor[0], self.factor[1]),
        );
    }
}

/// Adds the given noise, clipped.
pub fn add(image: &mut [f32], noise: &[f32]) {
    for (v, noise) in image.iter_mut().zip(noise) {
        *v = (*v + noise).clamp(0.0, 1.0);
    }
}

/// Multiplies, clipped.
pub fn multiply(image: &mut [f32], factor: f64) {
    let factor = factor as f32;
    for v in image {
        *v = (*v * factor).clamp(0.0, 1.0);
    }
}
