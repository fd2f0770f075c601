//! Finding and opening the scan that a person names: a NIfTI file, or a case folder in the layout of KiTS19.

use std::path::{Path, PathBuf};

use nephrobox_imaging::{ImagingError, ScanReader};

use crate::failure::{Exit, Failure, told};

/// Names of the imaging in a case folder, in the order in which they are looked for.
pub(crate) const IMAGING: [&str; 2] = ["imaging.nii.gz", "imaging.nii"];

/// The file that `scan` means: itself, or the imaging inside if it is a folder.
///
/// # Errors
/// When there is no such file or folder, or no imaging in the folder.
pub fn find(scan: &Path) -> Result<PathBuf, Failure> {
    if !scan.is_dir() {
        if scan.exists() {
            return Ok(scan.to_path_buf());
        }
        let remedy = "check the path; it must be a .nii or .nii.gz file, or a folder that holds imaging.nii.gz";
        return Err(Failure::new(
            Exit::Input,
            "there is no such scan",
            scan.display(),
            remedy,
        ));
    }
    IMAGING
        .iter()
        .map(|name| scan.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            let remedy = "name the NIfTI file itself, or a case folder in the layout of KiTS19";
            Failure::new(
                Exit::Input,
                "the folder holds no imaging.nii.gz",
                scan.display(),
                remedy,
            )
        })
}

/// Opens a scan; its header is checked, its voxels are read later.
///
/// # Errors
/// Whatever makes the file unusable.
pub fn open(path: &Path) -> Result<ScanReader, Failure> {
    ScanReader::open(path).map_err(|error| unusable(path, &error))
}

/// Turns an error of the reader into a failure of the input.
pub fn unusable(path: &Path, error: &ImagingError) -> Failure {
    told(
        Exit::Input,
        error,
        path.display(),
        "export the scan again as one 3-D NIfTI-1 file",
    )
}
