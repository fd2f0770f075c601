//! Passes over the label volumes of many cases at once.

use rayon::prelude::*;

pub use nephrobox_dataset::labels::{LabelScan, SliceCounts};

use super::error::{DataError, DataErrorKind};
use super::folder::CaseFolder;
use super::progress::Progress;
use nephrobox_shared::preprocess::Preprocess;

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
        let scan = LabelScan::read(path, preprocess)?;
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
            let what = format!("cannot start {jobs} threads");
            DataError::new(
                DataErrorKind::Io,
                "this machine",
                what,
                "give a smaller --jobs",
            )
            .because(e)
        })?;
    Ok(pool.install(work))
}
