//! Crop or pad each side, then back to the former size.

use nephrobox_shared::preprocess::axis::{Tap, nearest};
use serde::{Deserialize, Serialize};

use super::{Sample, Spare};
use crate::closed_form::Stream;

/// Each side on its own loses or gains up to `limit` of the height or width.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CropOrPad {
    /// Largest change of a side, as a share; below 0.5.
    pub limit: f64,
}

impl Default for CropOrPad {
    fn default() -> Self {
        Self { limit: 0.1 }
    }
}

/// Pixels to add to each side, or to take away where negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// Rows above.
    pub top: i32,
    /// Columns to the right.
    pub right: i32,
    /// Rows below.
    pub bottom: i32,
    /// Columns to the left.
    pub left: i32,
}

impl CropOrPad {
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        let mut pixels =
            |n: usize| (n as f64 * draw.range(-self.limit, self.limit)).round_ties_even() as i32;
        let (rows, cols) = (sample.rows, sample.cols);
        let sides = Sides {
            top: pixels(rows),
            right: pixels(cols),
            bottom: pixels(rows),
            left: pixels(cols),
        };
        crop_or_pad(sample, spare, sides);
    }
}

/// One axis: source pixel of the framed image's pixel i is `i - before`, outside 0..n it is air.
struct Frame {
    n: usize,
    before: i32,
    framed: usize,
}

impl Frame {
    fn new(n: usize, before: i32, after: i32) -> Self {
        // At least one pixel remains, whatever is asked for.
        let framed = (n as i32 + before + after).max(1) as usize;
        Self { n, before, framed }
    }

    fn source(&self, framed: usize) -> Option<usize> {
        let index = framed as i32 - self.before;
        (0..self.n as i32)
            .contains(&index)
            .then_some(index as usize)
    }
}

/// Crops and pads with 0 (air, background), then resizes to the former size: the image by OpenCV's `INTER_AREA` if the
/// framed image is smaller in either direction, bilinearly otherwise; labels by nearest neighbour, where the library
/// would mix them.
pub fn crop_or_pad(sample: &mut Sample, spare: &mut Spare, sides: Sides) {
    let (rows, cols) = (sample.rows, sample.cols);
    let down = Frame::new(rows, sides.top, sides.bottom);
    let across = Frame::new(cols, sides.left, sides.right);
    let enlarges = down.framed < rows || across.framed < cols;
    let tap = if enlarges {
        Tap::cornered
    } else {
        Tap::centred
    };

    // The columns' two source pixels, padding as one past the end of a line that has a 0 there.
    let columns: Vec<(usize, usize, Tap)> = (0..cols)
        .map(|x| {
            let tap = tap(x, across.framed, cols);
            let at = |framed| across.source(framed).unwrap_or(cols);
            (at(tap.first), at(tap.second), tap)
        })
        .collect();
    let mut line = vec![0.0_f32; cols + 1];
    let mut along = |framed: usize, out: &mut Vec<f32>| {
        out.clear();
        let Some(row) = down.source(framed) else {
            out.resize(cols, 0.0);
            return;
        };
        line[..cols].copy_from_slice(&sample.image[row * cols..(row + 1) * cols]);
        out.extend(columns.iter().map(|&(a, b, tap)| tap.mix(line[a], line[b])));
    };
    // Neighbouring target rows mostly need the same two source rows.
    let mut lines = [(usize::MAX, Vec::new()), (usize::MAX, Vec::new())];
    spare.image.clear();
    for y in 0..rows {
        let tap = tap(y, down.framed, rows);
        if lines[1].0 == tap.first {
            lines.swap(0, 1);
        }
        for ((held, line), wanted) in lines.iter_mut().zip([tap.first, tap.second]) {
            if *held != wanted {
                along(wanted, line);
                *held = wanted;
            }
        }
        let [(_, upper), (_, lower)] = &lines;
        spare
            .image
            .extend(upper.iter().zip(lower).map(|(a, b)| tap.mix(*a, *b)));
    }

    let columns: Vec<Option<usize>> = (0..cols)
        .map(|x| across.source(nearest(x, across.framed, cols)))
        .collect();
    spare.labels.clear();
    for y in 0..rows {
        match down.source(nearest(y, down.framed, rows)) {
            None => spare.labels.resize((y + 1) * cols, 0),
            Some(row) => {
                let line = &sample.labels[row * cols..(row + 1) * cols];
                spare
                    .labels
                    .extend(columns.iter().map(|x| x.map_or(0, |x| line[x])));
            }
        }
    }
    std::mem::swap(&mut spare.image, &mut sample.image);
    std::mem::swap(&mut spare.labels, &mut sample.labels);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cropped_than_there_is_leaves_a_pixel() {
        let mut sample = Sample::new(4, 4, vec![0.5; 16], vec![1; 16]);
        let sides = Sides {
            top: -9,
            left: -9,
            ..Sides::default()
        };
        crop_or_pad(&mut sample, &mut Spare::default(), sides);
        assert_eq!((sample.image.len(), sample.labels.len()), (16, 16));
    }
}
