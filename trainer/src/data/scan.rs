//! One pass over a label volume: what is on each slice, at the volume's own resolution and at the network's.

use std::path::Path;

use nephrobox_imaging::{Geometry, LabelReader};
use nephrobox_shared::preprocess::Preprocess;
use rayon::prelude::*;

use super::error::{DataError, DataErrorKind};
use super::folder::CaseFolder;
use super::progress::Progress;

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

impl LabelScan {
    /// Reads the label volume at `path` slice by slice. `labelled` is called with the index and the small label map of
    /// every slice that has kidney or tumour, in the order of the file, which may run from the feet.
    pub fn read(
        path: &Path,
        preprocess: &Preprocess,
        mut labelled: impl FnMut(usize, &[u8]),
    ) -> Result<Self, DataError> {
        let mut reader = LabelReader::open(path).map_err(|e| DataError::volume(path, e))?;
        let geometry = reader.geometry().clone();
        let [count, rows, cols] = geometry.shape();
        let (mut slice, mut small) = (
            vec![0; rows * cols],
            vec![0; preprocess.rows * preprocess.cols],
        );
        let nothing = vec![0; rows * cols];
        let empty = SliceCounts {
            full: [slice.len() as u32, 0, 0],
            small: [small.len() as u32, 0, 0],
        };
        let mut slices = vec![empty; count];
        while let Some(index) = reader
            .next_slice(&mut slice)
            .map_err(|e| DataError::volume(path, e))?
        {
            if slice == nothing {
                continue; // two slices in three; comparing is many times faster than counting
            }
            preprocess
                .labels(&slice, rows, cols, &mut small)
                .map_err(|e| DataError::volume(path, e))?;
            slices[index] = SliceCounts {
                full: count_labels(&slice),
                small: count_labels(&small),
            };
            labelled(index, &small);
        }
        Ok(Self { geometry, slices })
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

/// Scans the labels of all `folders` that have labels, `jobs` at a time; the result is in the order of `folders` and
/// has `None` where there are none.
pub fn scan_all(
    folders: &[CaseFolder],
    preprocess: &Preprocess,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<Option<LabelScan>>, DataError> {
    progress.start(
        "reading labels",
        folders.iter().filter(|f| f.segmentation.is_some()).count(),
    );
    let scan = |folder: &CaseFolder| {
        let Some(path) = &folder.segmentation else {
            return Ok(None);
        };
        let scan = LabelScan::read(path, preprocess, |_, _| {})?;
        progress.step(&folder.case);
        Ok(Some(scan))
    };
    let scans = in_parallel(jobs, || {
        folders.par_iter().with_max_len(1).map(scan).collect()
    });
    progress.finish();
    scans?
}

/// Runs `work` with `jobs` threads of its own.
pub(super) fn in_parallel<T: Send>(
    jobs: usize,
    work: impl FnOnce() -> T + Send,
) -> Result<T, DataError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(jobs)
        .build()
        .map_err(|e| {
            DataError::new(
                DataErrorKind::Io,
                "",
                format!("cannot start {jobs} threads"),
                "give a smaller --jobs",
            )
            .because(e)
        })?;
    Ok(pool.install(work))
}

/// Pixels of each label. Labels beyond 2 do not get past the reader.
fn count_labels(labels: &[u8]) -> [u32; 3] {
    let mut counts = [0u32; 3];
    // Sums of at most 255 fit a byte, so that a vector register counts 16 or 32 pixels at once.
    for run in labels.chunks(255) {
        let of = |label: u8| u32::from(run.iter().map(|&l| u8::from(l == label)).sum::<u8>());
        counts[1] += of(1);
        counts[2] += of(2);
    }
    counts[0] = labels.len() as u32 - counts[1] - counts[2];
    counts
}
