//! The box of a volume in which anything happens.
//!
//! Used where a label map is held in memory: kidneys fill a small part of an abdomen, and what lies outside their box need not be
//! turned into slices voxel by voxel.

use std::ops::Range;

use crate::voxel::Voxel;

/// Ranges along the file's axes, fastest-varying first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Extent {
    lengths: [usize; 3],
    ranges: [Range<usize>; 3],
}

impl Extent {
    pub(crate) fn whole(lengths: [usize; 3]) -> Self {
        Self {
            lengths,
            ranges: lengths.map(|length| 0..length),
        }
    }

    pub(crate) fn empty(lengths: [usize; 3]) -> Self {
        Self {
            lengths,
            ranges: [0..0, 0..0, 0..0],
        }
    }

    pub(crate) fn ranges(&self) -> &[Range<usize>; 3] {
        &self.ranges
    }

    /// Widens the box to the voxels other than 0 among `voxels`, which lie at `at` and after in the file's order.
    pub(crate) fn cover<V: Voxel>(&mut self, mut at: usize, mut voxels: &[V]) {
        let [length, lines, _] = self.lengths;
        let set = |voxel: &V| bytemuck::bytes_of(voxel).iter().any(|&byte| byte != 0);
        while !voxels.is_empty() {
            let start = at % length;
            let (line, rest) = voxels.split_at((length - start).min(voxels.len()));
            if !all_zero(bytemuck::cast_slice(line))
                && let (Some(first), Some(last)) =
                    (line.iter().position(set), line.iter().rposition(set))
            {
                let across = at / length;
                self.widen(0, start + first, start + last);
                self.widen(1, across % lines, across % lines);
                self.widen(2, across / lines, across / lines);
            }
            at += line.len();
            voxels = rest;
        }
    }

    fn widen(&mut self, axis: usize, first: usize, last: usize) {
        let range = &mut self.ranges[axis];
        *range = if range.start == range.end {
            first..last + 1
        } else {
            range.start.min(first)..range.end.max(last + 1)
        };
    }
}

/// Whether all bytes are 0. Looks at every one instead of stopping at the first that is not, which is several times faster on the
/// long stretches of zeros of a label map.
pub(crate) fn all_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |any, &byte| any | byte) == 0
}
