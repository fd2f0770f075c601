//! One pass over a label volume: what is on each slice, at the volume's own resolution and at the network's.
//!
//! Labels are taken in the file's own order as they are inflated, whichever axis varies fastest, so that a volume is
//! never held nor turned: two slices in three are empty, and so are most lines of the rest.

use std::collections::BTreeMap;
use std::path::Path;

use nephrobox_imaging::{Geometry, LabelReader};
use nephrobox_shared::preprocess::{Preprocess, PreprocessError};

use crate::error::DataError;

/// Pixels of each class on one slice, by label (0 background, 1 kidney, 2 tumour).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceCounts {
    /// At the volume's own resolution.
    pub full: [u32; 3],
    /// At the network's resolution, labels by nearest neighbour.
    pub small: [u32; 3],
}

impl SliceCounts {
    /// Whether the slice has neither kidney nor tumour at the volume's own resolution.
    pub fn background_only(&self) -> bool {
        self.full[1] == 0 && self.full[2] == 0
    }
}

/// What a pass over one label volume found.
#[derive(Clone, Debug)]
pub struct LabelScan {
    /// Where the labels lie in space.
    pub geometry: Geometry,
    /// One entry per canonical slice.
    pub slices: Vec<SliceCounts>,
}

/// Label maps at the network's size by slice; a slice that is not there has background only.
pub type SmallMaps = BTreeMap<usize, Vec<u8>>;

impl LabelScan {
    /// Counts the labels of the volume at `path`.
    pub fn read(path: &Path, preprocess: &Preprocess) -> Result<Self, DataError> {
        Self::pass(path, preprocess, |_, _, _| {})
    }

    /// Counts the labels and also makes the small label maps, at most 64 KiB (at 256 x 256) for each labelled slice.
    pub fn read_with_maps(
        path: &Path,
        preprocess: &Preprocess,
    ) -> Result<(Self, SmallMaps), DataError> {
        let mut maps = SmallMaps::new();
        let scan = Self::pass(path, preprocess, |slice, targets, label| {
            let map = maps
                .entry(slice)
                .or_insert_with(|| vec![0; preprocess.rows * preprocess.cols]);
            for &target in targets {
                map[target as usize] = label;
            }
        })?;
        Ok((scan, maps))
    }

    /// Goes over the volume once. `small` is told of every labelled voxel that is on the small map: its slice, the
    /// pixels of the small map that take it, and its label.
    fn pass(
        path: &Path,
        preprocess: &Preprocess,
        mut small: impl FnMut(usize, &[u32], u8),
    ) -> Result<Self, DataError> {
        let mut reader = LabelReader::open(path).map_err(|e| DataError::volume(path, e))?;
        let geometry = reader.geometry().clone();
        let [slices, rows, cols] = geometry.shape();
        let nearest =
            Nearest::of(preprocess, rows, cols).map_err(|e| DataError::volume(path, e))?;
        let mut counts = vec![SliceCounts::default(); slices];
        let nothing = vec![0; slices.max(rows).max(cols)];
        let mut visit = |line: nephrobox_imaging::Line, labels: &[u8]| {
            // Comparing memory is many times faster than looking at each voxel, also in a build without optimisation.
            if labels == &nothing[..labels.len()] {
                return;
            }
            for (i, &label) in labels.iter().enumerate().filter(|&(_, &label)| label != 0) {
                let [slice, row, col] = line.voxel(i);
                let targets = nearest.targets(row * cols + col);
                counts[slice].full[usize::from(label)] += 1;
                counts[slice].small[usize::from(label)] += targets.len() as u32;
                if !targets.is_empty() {
                    small(slice, targets, label);
                }
            }
        };
        reader
            .for_each_line(&mut visit)
            .map_err(|e| DataError::volume(path, e))?;
        for slice in &mut counts {
            slice.full[0] = (rows * cols) as u32 - slice.full[1] - slice.full[2];
            slice.small[0] =
                (preprocess.rows * preprocess.cols) as u32 - slice.small[1] - slice.small[2];
        }
        Ok(Self {
            geometry,
            slices: counts,
        })
    }

    /// For every slice, whether it is background only.
    pub fn background_only(&self) -> Vec<bool> {
        self.slices
            .iter()
            .map(SliceCounts::background_only)
            .collect()
    }

    /// Voxels of each class in the whole volume, by label.
    pub fn voxels(&self) -> [u64; 3] {
        let mut voxels = [0; 3];
        for slice in &self.slices {
            for (sum, &count) in voxels.iter_mut().zip(&slice.full) {
                *sum += u64::from(count);
            }
        }
        voxels
    }
}

/// For every pixel of a slice, the pixels of the small label map that take their label from it.
struct Nearest {
    /// Targets of pixel `p` are `targets[starts[p]..starts[p + 1]]`.
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Nearest {
    /// Asks the one resize rule there is, by sending coordinates through it in place of labels, a byte at a time.
    fn of(preprocess: &Preprocess, rows: usize, cols: usize) -> Result<Self, PreprocessError> {
        let pixels = preprocess.rows * preprocess.cols;
        let mut sent = vec![0; rows * cols];
        let mut send = |value: &dyn Fn(usize) -> u8| {
            let mut arrived = vec![0; pixels];
            sent.iter_mut()
                .enumerate()
                .for_each(|(p, byte)| *byte = value(p));
            preprocess
                .labels(&sent, rows, cols, &mut arrived)
                .map(|()| arrived)
        };
        let inside = send(&|_| 1)?; // 0 arrives where the slice was padded
        let mut source = vec![0usize; pixels];
        for byte in 0..4 {
            for (source, arrived) in source.iter_mut().zip(send(&|p| (p >> (8 * byte)) as u8)?) {
                *source |= usize::from(arrived) << (8 * byte);
            }
        }
        let mut pairs: Vec<(usize, u32)> = (0u32..)
            .zip(source)
            .filter(|&(target, _)| inside[target as usize] == 1)
            .map(|(t, p)| (p, t))
            .collect();
        pairs.sort_unstable();
        let mut starts = vec![0; rows * cols + 1];
        for &(p, _) in &pairs {
            starts[p + 1] += 1;
        }
        for p in 0..rows * cols {
            starts[p + 1] += starts[p];
        }
        Ok(Self {
            starts,
            targets: pairs.into_iter().map(|(_, target)| target).collect(),
        })
    }

    fn targets(&self, pixel: usize) -> &[u32] {
        &self.targets[self.starts[pixel] as usize..self.starts[pixel + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use nephrobox_imaging::write_labels;
    use nephrobox_shared::measure::Spacing;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// The pass in the file's order and the canonical reader with `Preprocess::labels` must tell the same.
        #[test]
        fn a_pass_agrees_with_slices_through_the_preprocessing(
            shape in (1usize..5, 1usize..90, 1usize..90),
            side in prop::sample::select(vec![(32, 32), (64, 64), (7, 13)]),
            pad_to_square: bool,
            seed: u32,
        ) {
            let shape = [shape.0, shape.1, shape.2];
            let preprocess = Preprocess { rows: side.0, cols: side.1, pad_to_square, ..Preprocess::default() };
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("segmentation.nii.gz");
            let geometry = Geometry::kits(shape, Spacing::new(3.0, 0.8, 0.8).unwrap()).unwrap();
            let label = |s: usize, p: usize| match (s * 7919 + p).wrapping_mul(seed as usize | 1) >> 7 & 15 {
                1..=3 if s != 1 => 1,
                4 if s != 1 => 2,
                _ => 0, // and slice 1 is background only
            };
            write_labels(&path, &geometry, &mut |s, out| {
                out.iter_mut().enumerate().for_each(|(p, value)| *value = label(s, p));
            }).unwrap();

            let (scan, maps) = LabelScan::read_with_maps(&path, &preprocess).unwrap();
            prop_assert_eq!(&LabelScan::read(&path, &preprocess).unwrap().slices, &scan.slices);
            let mut reader = LabelReader::open(&path).unwrap();
            let mut slice = vec![0; shape[1] * shape[2]];
            let mut small = vec![0; side.0 * side.1];
            let count = |labels: &[u8]| {
                let mut counts = [0u32; 3];
                for &label in labels {
                    counts[usize::from(label)] += 1;
                }
                counts
            };
            while let Some(s) = reader.next_slice(&mut slice).unwrap() {
                preprocess.labels(&slice, shape[1], shape[2], &mut small).unwrap();
                prop_assert_eq!(scan.slices[s], SliceCounts { full: count(&slice), small: count(&small) });
                prop_assert_eq!(maps.get(&s).cloned().unwrap_or(vec![0; small.len()]), small.clone());
            }
        }
    }
}
