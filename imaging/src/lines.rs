//! A volume in the file's own order, line by line, for counting without turning or holding it.
//!
//! Used by the crate `dataset` on labels, for statistics and training sets. KiTS19 files have their slices on the fastest axis, so a
//! canonical slice only exists once the whole volume is in memory; whoever merely needs to know *which* voxel has *which* value
//! can take them as they stream past. Memory: one line, or 64 Ki voxels if that is more.

use std::cmp::Reverse;

use crate::error::ImagingError;
use crate::reader::SliceReader;
use crate::voxel::Voxel;

/// Voxels read at a time, if lines are shorter than that.
const PIECE: usize = 1 << 16;

/// Where a line of voxels lies in the canonical volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Slice, row and column of its first voxel.
    pub start: [usize; 3],
    /// The axis it runs along: 0 across slices, 1 across rows, 2 across columns.
    pub axis: usize,
    /// Whether the index falls along the line.
    pub backwards: bool,
}

impl Line {
    /// Slice, row and column of its `i`-th voxel.
    #[inline]
    pub fn voxel(&self, i: usize) -> [usize; 3] {
        let mut index = self.start;
        if self.backwards {
            index[self.axis] -= i;
        } else {
            index[self.axis] += i;
        }
        index
    }
}

impl<V: Voxel> SliceReader<V> {
    /// Calls `visit` with every line of the volume along the file's fastest axis, in the file's order, each voxel once.
    ///
    /// Errors as [`next_slice`](Self::next_slice); `visit` may have seen a part of the volume by then. The file's end and checksum
    /// are checked before the last lines are handed out.
    pub fn for_each_line(&mut self, visit: &mut dyn FnMut(Line, &[V])) -> Result<(), ImagingError> {
        let shape = self.geometry().shape();
        let strides = self.geometry().view().strides;
        // Fastest axis first. An axis of one voxel shares its stride with another; the longer one makes the better line.
        let mut axes = [0, 1, 2];
        axes.sort_by_key(|&axis| (strides[axis].unsigned_abs(), Reverse(shape[axis])));
        let len = shape[axes[0]];
        let lines = shape[axes[1]] * shape[axes[2]];
        let per_piece = (PIECE / len).clamp(1, lines);
        let mut piece = vec![V::default(); per_piece * len];
        for first in (0..lines).step_by(per_piece) {
            let count = per_piece.min(lines - first);
            let piece = &mut piece[..count * len];
            self.read_raw((first * len) as u64, piece)?;
            for (i, voxels) in piece.chunks_exact(len).enumerate() {
                let mut position = [0; 3];
                position[axes[1]] = (first + i) % shape[axes[1]];
                position[axes[2]] = (first + i) / shape[axes[1]];
                for axis in 0..3 {
                    if strides[axis] < 0 {
                        position[axis] = shape[axis] - 1 - position[axis];
                    }
                }
                let line = Line {
                    start: position,
                    axis: axes[0],
                    backwards: strides[axes[0]] < 0,
                };
                visit(line, voxels);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use nephrobox_shared::measure::Spacing;

    use crate::{Geometry, LabelReader, write_labels};

    /// A label that differs from voxel to voxel.
    fn label(slice: usize, row: usize, col: usize) -> u8 {
        ((slice * 7 + row * 5 + col * 3 + slice * row * col) % 3) as u8
    }

    /// Turns the KiTS layout into another by permuting and flipping file axes: rewrites affine and voxels by hand.
    fn reorient(kits: &Path, shape: [usize; 3], order: [usize; 3], flip: [bool; 3], out: &Path) {
        let bytes = fs::read(kits).unwrap();
        let (header, voxels) = (&bytes[..352], &bytes[352..]);
        let mut new = header.to_vec();
        let pixdim =
            |i: usize| f32::from_le_bytes(header[76 + 4 * i..80 + 4 * i].try_into().unwrap());
        let srow = |r: usize, c: usize| {
            f32::from_le_bytes(header[280 + 16 * r + 4 * c..][..4].try_into().unwrap())
        };
        for (axis, &from) in order.iter().enumerate() {
            new[42 + 2 * axis..44 + 2 * axis].copy_from_slice(&(shape[from] as i16).to_le_bytes());
            new[80 + 4 * axis..84 + 4 * axis].copy_from_slice(&pixdim(from + 1).to_le_bytes());
            for r in 0..3 {
                let step = if flip[axis] {
                    -srow(r, from)
                } else {
                    srow(r, from)
                };
                new[280 + 16 * r + 4 * axis..][..4].copy_from_slice(&step.to_le_bytes());
            }
        }
        for r in 0..3 {
            let mut origin = srow(r, 3);
            for (axis, &from) in order.iter().enumerate() {
                if flip[axis] {
                    origin += srow(r, from) * (shape[from] - 1) as f32;
                }
            }
            new[280 + 16 * r + 12..][..4].copy_from_slice(&origin.to_le_bytes());
        }
        let sizes = order.map(|from| shape[from]);
        for k in 0..sizes[2] {
            for j in 0..sizes[1] {
                for i in 0..sizes[0] {
                    let mut at = [0; 3];
                    for (axis, position) in [i, j, k].into_iter().enumerate() {
                        let from = order[axis];
                        at[from] = if flip[axis] {
                            shape[from] - 1 - position
                        } else {
                            position
                        };
                    }
                    new.push(voxels[at[0] + shape[0] * (at[1] + shape[1] * at[2])]);
                }
            }
        }
        fs::write(out, new).unwrap();
    }

    #[test]
    fn lines_visit_every_voxel_once_in_any_order_of_the_axes() {
        let folder = tempfile::tempdir().unwrap();
        let orders = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        for shape in [[5, 70, 60], [1, 9, 4], [6, 1, 3], [3, 4, 1]] {
            let kits = folder.path().join("kits.nii");
            let spacing = Spacing::new(3.0, 0.8, 0.8).unwrap();
            let geometry = Geometry::kits(shape, spacing).unwrap();
            write_labels(&kits, &geometry, &mut |s, out| {
                for (i, value) in out.iter_mut().enumerate() {
                    *value = label(s, i / shape[2], i % shape[2]);
                }
            })
            .unwrap();
            for order in orders {
                for flips in 0..8 {
                    let path = folder.path().join("turned.nii");
                    reorient(
                        &kits,
                        shape,
                        order,
                        [0, 1, 2].map(|axis| flips >> axis & 1 == 1),
                        &path,
                    );
                    let mut reader = LabelReader::open(&path).unwrap();
                    assert_eq!(reader.geometry().shape(), shape);
                    let mut seen = vec![0u8; shape.iter().product()];
                    reader
                        .for_each_line(&mut |line, labels| {
                            for (i, &value) in labels.iter().enumerate() {
                                let [s, r, c] = line.voxel(i);
                                assert_eq!(
                                    value,
                                    label(s, r, c),
                                    "{shape:?} {order:?} {flips:03b}"
                                );
                                seen[(s * shape[1] + r) * shape[2] + c] += 1;
                            }
                        })
                        .unwrap();
                    assert!(
                        seen.iter().all(|&n| n == 1),
                        "{shape:?} {order:?} {flips:03b}"
                    );
                }
            }
        }
    }
}
