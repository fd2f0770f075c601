//! Flips along one axis or both.

use serde::{Deserialize, Serialize};

use super::Sample;
use crate::closed_form::Stream;

/// Upside down, left to right, or both: each with a third of the chances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flip {}

impl Flip {
    #[expect(clippy::unused_self, reason = "called as the others are")]
    pub(super) fn apply(self, sample: &mut Sample, draw: &mut Stream) {
        match draw.index(3) {
            0 => vertical(sample),
            1 => horizontal(sample),
            _ => both(sample),
        }
    }
}

/// Left to right: the order of the columns is reversed.
pub fn horizontal(sample: &mut Sample) {
    let cols = sample.cols.max(1);
    for line in sample.image.chunks_exact_mut(cols) {
        line.reverse();
    }
    for line in sample.labels.chunks_exact_mut(cols) {
        line.reverse();
    }
}

/// Upside down: the order of the rows is reversed.
pub fn vertical(sample: &mut Sample) {
    both(sample);
    horizontal(sample);
}

/// Half a turn.
pub fn both(sample: &mut Sample) {
    sample.image.reverse();
    sample.labels.reverse();
}
