//! How a scan was taken and stored: gain, offset, gamma, kernel, noise, and the loss of everything below 0 HU.
//!
//! Not in the paper. Some public slices were stored as 8-bit images and hold nothing below 0 HU.

use nephrobox_shared::preprocess::Window;
use serde::{Deserialize, Serialize};

use super::blur::{gaussian_kernel, separable};
use super::{Sample, Spare};
use crate::closed_form::Stream;

/// Changes in one go, each with its own chances.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exposure {
    /// Range of the factor around mid-window.
    pub gain: [f64; 2],
    /// Largest offset, in units of the window.
    pub offset: f64,
    /// Range of the exponent, taken half the time.
    pub gamma: [f64; 2],
    /// Largest standard deviation of the noise, in units of the window; added half the time.
    pub noise: f64,
    /// Probability of smoothing by [1 2 1] / 4.
    pub smooth: f64,
    /// Probability that everything below 0 HU is set to 0 HU.
    pub clip: f64,
}

impl Default for Exposure {
    fn default() -> Self {
        Self {
            gain: [0.8, 1.25],
            offset: 0.08,
            gamma: [0.8, 1.25],
            noise: 0.05,
            smooth: 0.25,
            clip: 0.4,
        }
    }
}

impl Exposure {
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        let gain = draw.range(self.gain[0], self.gain[1]) as f32;
        let offset = draw.range(-self.offset, self.offset) as f32;
        let gamma = draw
            .chance(0.5)
            .then(|| draw.range(self.gamma[0], self.gamma[1]) as f32);
        let smooth = draw.chance(self.smooth);
        let noise = draw.chance(0.5).then(|| draw.range(0.0, self.noise));
        let clip = draw.chance(self.clip);
        if smooth {
            separable(sample, spare, &gaussian_kernel(3, 0.0));
        }
        let floor = Window::ABDOMEN.normalise(0);
        for v in &mut sample.image {
            let mut x = ((*v - 0.5) * gain + 0.5 + offset).clamp(0.0, 1.0);
            if let Some(gamma) = gamma {
                x = x.powf(gamma);
            }
            if let Some(deviation) = noise {
                x += (deviation * draw.normal()) as f32;
            }
            if clip {
                x = x.max(floor);
            }
            *v = x.clamp(0.0, 1.0);
        }
    }
}
