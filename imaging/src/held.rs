//! A whole volume in memory, for files whose slice axis does not vary slowest.
//!
//! Used by the reader. The volume stays in the file's order, as it streams in; slices are turned out of it in blocks, because one
//! cache line there holds the same pixel of many slices.

use std::ops::Range;

use crate::error::ImagingError;
use crate::file::VoxelFile;
use crate::layout::{View, copy_box};
use crate::voxel::Voxel;

/// Most slices turned out at a time: a cache line of labels.
const BLOCK: usize = 64;

pub(crate) struct Held<V> {
    /// In the file's order.
    volume: Vec<V>,
    view: View,
    /// Slices, rows, columns.
    shape: [usize; 3],
    /// Canonical slices, rows and columns outside which every voxel is 0.
    extent: [Range<usize>; 3],
    /// Canonical slices from `first` on; always 0 outside `extent`.
    block: Vec<V>,
    first: usize,
}

impl<V: Voxel> Held<V> {
    pub(crate) fn load(file: &mut VoxelFile) -> Result<Self, ImagingError> {
        let shape = file.geometry().shape();
        let [slices, rows, cols] = shape;
        // The promise is 1.2 times the volume in 16 bits: labels have room for as many slices again, HU for a tenth of theirs.
        let most = BLOCK.min(if V::ARE_LABELS {
            slices
        } else {
            (slices / 10).max(1)
        });
        let block = file.room(most * rows * cols)?;
        let (volume, extent) = file.load()?;
        let extent = file.geometry().canonical_ranges(extent.ranges());
        Ok(Self {
            volume,
            view: file.geometry().view(),
            shape,
            extent,
            block,
            first: slices,
        })
    }

    /// One slice straight from the volume.
    pub(crate) fn slice(&self, index: usize, out: &mut [V]) {
        out.fill(V::default());
        if self.extent[0].contains(&index) {
            self.turn(index..index + 1, out);
        }
    }

    /// One slice of a walk through all of them.
    pub(crate) fn next(&mut self, index: usize, out: &mut [V]) {
        if !self.extent[0].contains(&index) {
            out.fill(V::default());
            return;
        }
        let most = self.block.len() / out.len();
        if index < self.first || index >= self.first + most {
            let mut block = std::mem::take(&mut self.block);
            self.turn(index..(index + most).min(self.shape[0]), &mut block);
            (self.block, self.first) = (block, index);
        }
        let at = (index - self.first) * out.len();
        out.copy_from_slice(&self.block[at..at + out.len()]);
    }

    /// Copies what lies inside the extent of some slices into `out`, which is 0 elsewhere.
    fn turn(&self, slices: Range<usize>, out: &mut [V]) {
        let [_, rows, cols] = self.shape;
        let [_, row_range, col_range] = &self.extent;
        let corner = |slice| [slice, row_range.start, col_range.start];
        copy_box(
            [slices.len(), row_range.len(), col_range.len()],
            (&self.volume, self.view.starting_at(corner(slices.start))),
            (out, View::canonical(rows, cols).starting_at(corner(0))),
        );
    }
}
