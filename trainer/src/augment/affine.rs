//! Flip, rotation, scale and shift in one resampling.

use super::Sample;
use crate::closed_form::Stream;

/// Largest rotation, degrees. Patients lie almost straight.
const ROTATION: f64 = 15.0;
/// Scale range; below 1 shrinks the patient.
const SCALE: (f64, f64) = (0.85, 1.2);
/// Largest change of the ratio of height to width.
const ASPECT: f64 = 0.08;
/// Largest shift, as a share of the side.
const SHIFT: f64 = 0.06;
/// Probability of a left-right flip. Kidneys look alike on both sides, and sides are told from the affine.
const FLIP: f64 = 0.5;

/// Transforms image (bilinear, air outside) and labels (nearest, background outside) alike.
pub(super) fn apply(sample: &mut Sample, draw: &mut Stream) {
    let side = sample.side;
    let flip = if draw.chance(FLIP) { -1.0 } else { 1.0 };
    let angle = draw.range(-ROTATION, ROTATION).to_radians();
    let scale = draw.range(SCALE.0, SCALE.1);
    let aspect = 1.0 + draw.range(-ASPECT, ASPECT);
    let shift = [(); 2].map(|()| draw.range(-SHIFT, SHIFT) * side as f64);
    let centre = (side as f64 - 1.0) / 2.0;
    let (sin, cos) = angle.sin_cos();
    // Destination to source.
    let source = |y: usize, x: usize| {
        let (dy, dx) = (y as f64 - centre - shift[0], x as f64 - centre - shift[1]);
        let (dy, dx) = (
            (cos * dy - sin * dx) / (scale * aspect),
            (sin * dy + cos * dx) / (scale / aspect),
        );
        (centre + dy, centre + flip * dx)
    };
    let mut image = Vec::with_capacity(side * side);
    let mut labels = Vec::with_capacity(side * side);
    for y in 0..side {
        for x in 0..side {
            let (sy, sx) = source(y, x);
            image.push(bilinear(&sample.image, side, sy, sx));
            let (ny, nx) = (sy.round(), sx.round());
            let inside = |v: f64| v >= 0.0 && v < side as f64;
            labels.push(if inside(ny) && inside(nx) {
                sample.labels[ny as usize * side + nx as usize]
            } else {
                0
            });
        }
    }
    sample.image = image;
    sample.labels = labels;
}

/// Value between four pixels; 0 (air) outside.
fn bilinear(image: &[f32], side: usize, y: f64, x: f64) -> f32 {
    let (y0, x0) = (y.floor(), x.floor());
    let (fy, fx) = ((y - y0) as f32, (x - x0) as f32);
    let at = |y: f64, x: f64| {
        let inside = y >= 0.0 && x >= 0.0 && y < side as f64 && x < side as f64;
        if inside {
            image[y as usize * side + x as usize]
        } else {
            0.0
        }
    };
    let top = at(y0, x0) * (1.0 - fx) + at(y0, x0 + 1.0) * fx;
    let bottom = at(y0 + 1.0, x0) * (1.0 - fx) + at(y0 + 1.0, x0 + 1.0) * fx;
    top * (1.0 - fy) + bottom * fy
}
