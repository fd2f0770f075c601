//! Grid distortion: each axis is cut into cells that are stretched or squeezed.

use serde::{Deserialize, Serialize};

use super::{Sample, Spare, warp};
use crate::closed_form::Stream;

/// `steps` cells an axis, each scaled by 1 ± `limit`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GridDistortion {
    /// Cells an axis.
    pub steps: usize,
    /// Largest change of a cell's size, as a share.
    pub limit: f64,
}

impl Default for GridDistortion {
    fn default() -> Self {
        Self {
            steps: 5,
            limit: 0.3,
        }
    }
}

impl GridDistortion {
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        let mut factors = || -> Vec<f64> {
            (0..=self.steps)
                .map(|_| 1.0 + draw.range(-self.limit, self.limit))
                .collect()
        };
        let (x, y) = (factors(), factors());
        distort(sample, spare, &x, &y);
    }
}

/// Distorts by one factor a cell and axis, the last for what remains where the cells do not divide the axis.
pub fn distort(sample: &mut Sample, spare: &mut Spare, factors_x: &[f64], factors_y: &[f64]) {
    let (map_x, map_y) = (axis(sample.cols, factors_x), axis(sample.rows, factors_y));
    warp::stretch(sample, spare, &map_x, &map_y);
}

/// Source position of each of an axis' `n` pixels. Both ends of a cell belong to it, as in the reference, so that a
/// cell's last value comes again as the next one's first.
fn axis(n: usize, factors: &[f64]) -> Vec<f32> {
    let step = (n / factors.len().saturating_sub(1).max(1)).max(1);
    let mut map = Vec::with_capacity(n);
    let mut previous = 0.0;
    for (cell, factor) in factors.iter().enumerate() {
        let start = cell * step;
        let (end, current) = if start + step > n {
            (n, n as f64)
        } else {
            (start + step, previous + step as f64 * factor)
        };
        let count = end.saturating_sub(start);
        let pitch = (current - previous) / (count.max(2) - 1) as f64;
        map.extend((0..count).map(|i| {
            // The end itself, not the start plus its distance, which may round differently.
            let value = if i + 1 == count && count > 1 {
                current
            } else {
                previous + i as f64 * pitch
            };
            value as f32
        }));
        previous = current;
    }
    map.resize(n, n.saturating_sub(1) as f32);
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With all factors 1 the reference's map is not the identity: a cell's n values are spread over n steps.
    #[test]
    fn even_cells_repeat_their_ends() {
        assert_eq!(axis(4, &[1.0; 3]), [0.0, 2.0, 2.0, 4.0]);
        assert_eq!(axis(5, &[1.0; 3]), [0.0, 2.0, 2.0, 4.0, 4.0]);
    }

    #[test]
    fn any_axis_gets_all_its_positions() {
        for n in 1..40 {
            for cells in 1..9 {
                assert_eq!(axis(n, &vec![1.1; cells + 1]).len(), n, "{n} in {cells}");
            }
        }
    }
}
