//! Rotation about the middle, alone or with scaling and a shift.

use serde::{Deserialize, Serialize};

use super::warp::{self, Affine};
use super::{Sample, Spare};
use crate::closed_form::Stream;

/// Rotation by an angle in ±`degrees`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotate {
    /// Largest angle.
    pub degrees: f64,
}

impl Default for Rotate {
    fn default() -> Self {
        Self { degrees: 90.0 }
    }
}

impl Rotate {
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        let degrees = draw.range(-self.degrees, self.degrees);
        turn(sample, spare, degrees, 1.0, [0.0; 2]);
    }
}

/// Rotation, scaling and shift in one resampling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShiftScaleRotate {
    /// Largest angle.
    pub degrees: f64,
    /// The scale lies in 1 ± this.
    pub scale: f64,
    /// Largest shift, as a share of the width or height.
    pub shift: f64,
}

impl Default for ShiftScaleRotate {
    fn default() -> Self {
        Self {
            degrees: 45.0,
            scale: 0.1,
            shift: 0.0625,
        }
    }
}

impl ShiftScaleRotate {
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        let degrees = draw.range(-self.degrees, self.degrees);
        let scale = draw.range(1.0 - self.scale, 1.0 + self.scale);
        let shift = [(); 2].map(|()| draw.range(-self.shift, self.shift));
        turn(sample, spare, degrees, scale, shift);
    }
}

/// Rotates by `degrees`, counter-clockwise on the screen, and scales about (cols / 2, rows / 2), then shifts right and
/// down by the given shares of the width and height.
pub fn turn(
    sample: &mut Sample,
    spare: &mut Spare,
    degrees: f64,
    scale: f64,
    [right, down]: [f64; 2],
) {
    let shift = [right * sample.cols as f64, down * sample.rows as f64];
    let forward = Affine::rotation(sample.rows, sample.cols, degrees, scale, shift);
    warp::affine(sample, spare, &Affine::inverse_of(forward));
}
