//! Where the patient lies: flip, rotation, scale and shift in one resampling, with air around.
//!
//! Not in the paper. Unlike [`rotate`](super::rotate) it mirrors nothing at the border, where real scans have air.

use serde::{Deserialize, Serialize};

use super::{Sample, Spare};
use crate::closed_form::Stream;

/// Patients lie almost straight and differ in size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Placement {
    /// Probability of a left-right flip. Kidneys look alike on both sides, and sides are told from the affine.
    pub flip: f64,
    /// Largest rotation.
    pub degrees: f64,
    /// Scale range; below 1 shrinks the patient.
    pub scale: [f64; 2],
    /// Height is stretched by a factor in 1 ± this, and width is squeezed by the same.
    pub aspect: f64,
    /// Largest shift, as a share of the height or width.
    pub shift: f64,
}

impl Default for Placement {
    fn default() -> Self {
        Self {
            flip: 0.5,
            degrees: 15.0,
            scale: [0.85, 1.2],
            aspect: 0.08,
            shift: 0.06,
        }
    }
}

impl Placement {
    /// Transforms image (bilinear, air outside) and labels (nearest, background outside) alike.
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        let size = [sample.rows, sample.cols];
        let flip = if draw.chance(self.flip) { -1.0 } else { 1.0 };
        let angle = draw.range(-self.degrees, self.degrees).to_radians();
        let scale = draw.range(self.scale[0], self.scale[1]);
        let aspect = 1.0 + draw.range(-self.aspect, self.aspect);
        let shift = size.map(|n| draw.range(-self.shift, self.shift) * n as f64);
        let centre = size.map(|n| (n as f64 - 1.0) / 2.0);
        let (sin, cos) = angle.sin_cos();
        // Target to source.
        let source = |y: usize, x: usize| {
            let (dy, dx) = (
                y as f64 - centre[0] - shift[0],
                x as f64 - centre[1] - shift[1],
            );
            let (dy, dx) = (
                (cos * dy - sin * dx) / (scale * aspect),
                (sin * dy + cos * dx) / (scale / aspect),
            );
            [centre[0] + dy, centre[1] + flip * dx]
        };
        spare.image.clear();
        spare.labels.clear();
        for y in 0..size[0] {
            for x in 0..size[1] {
                let at = source(y, x);
                spare.image.push(bilinear(sample, at));
                let nearest = pixel(sample, at.map(f64::round));
                spare
                    .labels
                    .push(nearest.map_or(0, |pixel| sample.labels[pixel]));
            }
        }
        std::mem::swap(&mut spare.image, &mut sample.image);
        std::mem::swap(&mut spare.labels, &mut sample.labels);
    }
}

/// The index of a whole (row, column) position, if it lies in the image.
fn pixel(sample: &Sample, [y, x]: [f64; 2]) -> Option<usize> {
    let inside = y >= 0.0 && x >= 0.0 && y < sample.rows as f64 && x < sample.cols as f64;
    inside.then(|| y as usize * sample.cols + x as usize)
}

/// Value between four pixels; 0 (air) outside.
fn bilinear(sample: &Sample, [y, x]: [f64; 2]) -> f32 {
    let (y0, x0) = (y.floor(), x.floor());
    let (fy, fx) = ((y - y0) as f32, (x - x0) as f32);
    let at = |y: f64, x: f64| pixel(sample, [y, x]).map_or(0.0, |pixel| sample.image[pixel]);
    let top = at(y0, x0) * (1.0 - fx) + at(y0, x0 + 1.0) * fx;
    let bottom = at(y0 + 1.0, x0) * (1.0 - fx) + at(y0 + 1.0, x0 + 1.0) * fx;
    top * (1.0 - fy) + bottom * fy
}
