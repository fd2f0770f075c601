//! Training windows: smaller images cut out of whole ones.

use super::Sample;
use crate::closed_form::Stream;

/// A `side` x `side` window of `sample`: half the time around one of its kidney or tumour pixels, otherwise
/// anywhere. A sample that is not larger is returned as it is.
pub fn crop(sample: &Sample, side: usize, draw: &mut Stream) -> Sample {
    if side >= sample.cols.min(sample.rows) {
        return sample.clone();
    }
    let [room_y, room_x] = [sample.rows - side, sample.cols - side];
    let (around, place) = (draw.chance(0.5), draw.unit());
    let (mut top, mut left) = (draw.index(room_y + 1), draw.index(room_x + 1));
    let foreground = sample.labels.iter().filter(|&&l| l != 0).count();
    if around && foreground > 0 {
        let nth = (place * foreground as f64) as usize;
        let pixel = (0..)
            .zip(&sample.labels)
            .filter(|(_, l)| **l != 0)
            .nth(nth)
            .map_or(0, |(i, _)| i);
        // The pixel may lie anywhere in the middle half of the window.
        let offset = |at: usize, room: usize, draw: &mut Stream| {
            (at.saturating_sub(side / 4 + draw.index(side / 2))).min(room)
        };
        top = offset(pixel / sample.cols, room_y, draw);
        left = offset(pixel % sample.cols, room_x, draw);
    }
    let rows = || (top..top + side).map(|y| y * sample.cols + left);
    Sample {
        rows: side,
        cols: side,
        image: rows()
            .flat_map(|at| sample.image[at..at + side].iter().copied())
            .collect(),
        labels: rows()
            .flat_map(|at| sample.labels[at..at + side].iter().copied())
            .collect(),
    }
}
