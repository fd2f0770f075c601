//! Elastic transformation: a random affine map, then a smooth random displacement of every pixel.

use serde::{Deserialize, Serialize};

use super::smooth_field::Smoother;
use super::warp::{self, Affine};
use super::{Sample, Spare};
use crate::closed_form::Stream;

/// Displacement is noise filtered with deviation `sigma`, times `alpha`; the affine part moves three points by up to
/// `affine` pixels along each axis. Pixels do not scale with the image.
///
/// The library's defaults hardly displace anything (0.01 pixels) and are in effect a strong random affine map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Elastic {
    /// Factor on the filtered noise.
    pub alpha: f64,
    /// Deviation of the filter, pixels.
    pub sigma: f64,
    /// Range of the largest jitter of the affine map's points, pixels; drawn per image.
    pub affine: [f64; 2],
}

impl Default for Elastic {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            sigma: 50.0,
            affine: [50.0; 2],
        }
    }
}

impl Elastic {
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        let (rows, cols) = (sample.rows, sample.cols);
        let most = draw.range(self.affine[0], self.affine[1]);
        let jitter = [(); 3].map(|()| [(); 2].map(|()| draw.range(-most, most) as f32));
        let forward = jittered(points(rows, cols), jitter);
        warp::affine(sample, spare, &Affine::inverse_of(forward));

        let smoother = match spare.smoother.take() {
            Some(smoother) if smoother.fits(rows, cols, self.sigma) => smoother,
            _ => Smoother::new(rows, cols, self.sigma),
        };
        let [mut dx, mut dy] = std::mem::take(&mut spare.fields);
        smoother.draw(self.alpha, draw, &mut dx);
        smoother.draw(self.alpha, draw, &mut dy);
        warp::displace(sample, spare, &dx, &dy);
        spare.fields = [dx, dy];
        spare.smoother = Some(smoother);
    }
}

/// The three points (x, y) of the affine part. The reference takes them from the middle in the order (row, column).
pub fn points(rows: usize, cols: usize) -> [[f32; 2]; 3] {
    let [a, b] = [rows / 2, cols / 2].map(|v| v as f32);
    let size = (rows.min(cols) / 3) as f32;
    [
        [a + size, b + size],
        [a + size, b - size],
        [a - size, b - size],
    ]
}

/// The affine map that takes the points to the points moved by the jitter.
pub fn jittered(points: [[f32; 2]; 3], jitter: [[f32; 2]; 3]) -> [[f64; 3]; 2] {
    let mut rows = [[0.0; 3]; 2];
    let source = points.map(|p| p.map(f64::from));
    // The two edges that leave the first point, and twice the triangle's area.
    let edge = |i: usize| [source[i][0] - source[0][0], source[i][1] - source[0][1]];
    let ([ux, uy], [vx, vy]) = (edge(1), edge(2));
    let area = ux * vy - uy * vx;
    for (axis, row) in rows.iter_mut().enumerate() {
        let target = [0, 1, 2].map(|i| f64::from(points[i][axis] + jitter[i][axis]));
        if area == 0.0 {
            row[axis] = 1.0; // an image of under 3 pixels has no triangle: leave it
            continue;
        }
        let (du, dv) = (target[1] - target[0], target[2] - target[0]);
        let (a, b) = ((du * vy - dv * uy) / area, (dv * ux - du * vx) / area);
        *row = [a, b, target[0] - a * source[0][0] - b * source[0][1]];
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_affine_map_takes_each_point_where_it_should_go() {
        let (points, jitter) = (points(40, 64), [[1.5, -3.0], [0.25, 7.0], [-2.0, 4.0]]);
        let map = jittered(points, jitter);
        for (point, jitter) in points.iter().zip(jitter) {
            for axis in 0..2 {
                let [a, b, c] = map[axis];
                let found = a * f64::from(point[0]) + b * f64::from(point[1]) + c;
                assert!((found - f64::from(point[axis] + jitter[axis])).abs() < 1e-9);
            }
        }
        assert_eq!(
            jittered([[0.0; 2]; 3], jitter),
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
        );
    }
}
