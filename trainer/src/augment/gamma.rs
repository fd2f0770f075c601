//! Gamma: every value raised to a power.

use serde::{Deserialize, Serialize};

use super::Sample;
use crate::closed_form::Stream;

/// Raises to a power.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gamma {
    /// Range of the exponent in hundredths, both ends included.
    pub percent: [u32; 2],
}

impl Default for Gamma {
    fn default() -> Self {
        Self { percent: [80, 120] }
    }
}

impl Gamma {
    pub(super) fn apply(self, sample: &mut Sample, draw: &mut Stream) {
        let [low, high] = self.percent;
        let percent = low as usize + draw.index((high - low) as usize + 1);
        power(&mut sample.image, percent as f64 / 100.0);
    }
}

/// `v ^ exponent`, not clipped. Values are in [0, 1].
pub fn power(image: &mut [f32], exponent: f64) {
    let exponent = exponent as f32;
    for v in image {
        *v = v.powf(exponent);
    }
}
