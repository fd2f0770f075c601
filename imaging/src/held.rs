//! A whole volume in memory, for files whose slice axis does not vary slowest.
//!
//! Used by the reader. The volume stays in the file's order, as it streams in; slices are turned out of it in blocks, because one
//! cache line there holds the same pixel of many slices.

use crate::error::ImagingError;
use crate::file::VoxelFile;
use crate::layout::{View, copy_box};
use crate::voxel::Voxel;

/// One cache line of neighbouring slices.
const BLOCK_BYTES: usize = 64;

pub(crate) struct Held<V> {
    /// In the file's order.
    volume: Vec<V>,
    view: View,
    /// Slices, rows, columns.
    shape: [usize; 3],
    /// Some canonical slices from `first` on.
    block: Vec<V>,
    first: usize,
}

impl<V: Voxel> Held<V> {
    pub(crate) fn load(file: &mut VoxelFile) -> Result<Self, ImagingError> {
        let shape = file.geometry().shape();
        let [slices, rows, cols] = shape;
        // At most a tenth of the slices: small volumes, too, then stay below 1.2 times their size.
        let most = (BLOCK_BYTES / size_of::<V>()).min((slices / 10).max(1));
        let mut volume = file.room(slices * rows * cols)?;
        let block = file.room(most * rows * cols)?;
        file.read(0, &mut volume)?;
        Ok(Self {
            volume,
            view: file.geometry().view(),
            shape,
            block,
            first: slices,
        })
    }

    /// One slice straight from the volume.
    pub(crate) fn slice(&self, index: usize, out: &mut [V]) {
        let [_, rows, cols] = self.shape;
        copy_box(
            [1, rows, cols],
            (&self.volume, self.view.starting_at(index)),
            (out, View::canonical(rows, cols)),
        );
    }

    /// One slice of a walk through all of them.
    pub(crate) fn next(&mut self, index: usize, out: &mut [V]) {
        let [slices, rows, cols] = self.shape;
        let most = self.block.len() / out.len();
        if index < self.first || index >= self.first + most {
            let count = most.min(slices - index);
            let from = (&self.volume[..], self.view.starting_at(index));
            copy_box(
                [count, rows, cols],
                from,
                (&mut self.block, View::canonical(rows, cols)),
            );
            self.first = index;
        }
        let at = (index - self.first) * out.len();
        out.copy_from_slice(&self.block[at..at + out.len()]);
    }
}
