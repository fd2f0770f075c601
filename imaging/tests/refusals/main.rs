//! Named disasters: one file each, one clear sentence each. The sentences are tested whole where wording matters to whoever reads
//! them, otherwise the typed error is.

#[path = "../support/mod.rs"]
mod support;

/// The error of a refusal, which must be of this kind.
macro_rules! refused {
    ($result:expr, $pattern:pat $(if $guard:expr)?) => {{
        let error = $result.unwrap_err();
        assert!(matches!(&error, $pattern $(if $guard)?), "{error:?}");
        error
    }};
}

mod extent;
mod geometry;
mod header;
mod voxels;
mod writing;

use std::path::{Path, PathBuf};

use nephrobox_imaging::{GeometryError, ImagingError, ScanReader};
use support::RawNifti;
use tempfile::TempDir;

/// 6 slices, 5 rows, 4 columns as KiTS19 files them: voxel `i` belongs to slice `i % 6`.
fn healthy(datatype: i16) -> RawNifti {
    RawNifti::new([6, 5, 4], datatype, (0..120).map(|i| f64::from(i % 3)))
}

struct Case {
    folder: TempDir,
}

impl Case {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bytes(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn scan(&self, raw: &RawNifti) -> Result<(), ImagingError> {
        read(&raw.save(self.path("scan.nii")))
    }
}

/// Opens and reads everything.
fn read(path: &Path) -> Result<(), ImagingError> {
    let mut reader = ScanReader::open(path)?;
    let mut slice = vec![0; reader.geometry().slice_len()];
    while reader.next_slice(&mut slice)?.is_some() {}
    Ok(())
}

/// The message without the path in front.
fn sentence(error: &ImagingError) -> String {
    error.to_string().split_once(": ").unwrap().1.to_owned()
}

fn geometry_error(raw: &RawNifti) -> GeometryError {
    match Case::new().scan(raw) {
        Err(ImagingError::Geometry { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}
