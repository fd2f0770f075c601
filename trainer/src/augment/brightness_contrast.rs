//! Brightness and contrast: a factor and an offset.

use serde::{Deserialize, Serialize};

use super::Sample;
use crate::closed_form::Stream;

/// Adds an offset in ±`limit`, where 1 is the whole window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brightness {
    /// Largest offset.
    pub limit: f64,
}

/// Multiplies by a factor in 1 ± `limit`: about 0, not about the mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contrast {
    /// Largest change of the factor.
    pub limit: f64,
}

impl Default for Brightness {
    fn default() -> Self {
        Self { limit: 0.2 }
    }
}

impl Default for Contrast {
    fn default() -> Self {
        Self { limit: 0.2 }
    }
}

impl Brightness {
    pub(super) fn apply(self, sample: &mut Sample, draw: &mut Stream) {
        let offset = draw.range(-self.limit, self.limit);
        linear(&mut sample.image, 1.0, offset);
    }
}

impl Contrast {
    pub(super) fn apply(self, sample: &mut Sample, draw: &mut Stream) {
        let factor = draw.range(1.0 - self.limit, 1.0 + self.limit);
        linear(&mut sample.image, factor, 0.0);
    }
}

/// `clip(factor * v + offset)` to [0, 1].
pub fn linear(image: &mut [f32], factor: f64, offset: f64) {
    let (factor, offset) = (factor as f32, offset as f32);
    for v in image {
        *v = (*v * factor + offset).clamp(0.0, 1.0);
    }
}

/// The same with the offset in units of the mean of the image after multiplication.
pub fn linear_by_mean(image: &mut [f32], factor: f64, offset: f64) {
    let factor = factor as f32;
    let sum: f64 = image.iter().map(|v| f64::from(v * factor)).sum();
    let offset = (offset * sum / image.len().max(1) as f64) as f32;
    for v in image {
        *v = (*v * factor + offset).clamp(0.0, 1.0);
    }
}
