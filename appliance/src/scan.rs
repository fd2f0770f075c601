//! Finding and opening the scan that a person names: a NIfTI file, a case folder in the layout of KiTS19, or a DICOM series.

use std::path::{Path, PathBuf};

use nephrobox_imaging::{ImagingError, ScanReader, dicom};

use crate::failure::{Exit, Failure, told};

/// Names of the imaging in a case folder, in the order in which they are looked for.
pub(crate) const IMAGING: [&str; 2] = ["imaging.nii.gz", "imaging.nii"];

/// Opens what a person names: one NIfTI file, one folder, or the DICOM files of one series. Headers are checked, voxels are read later.
///
/// # Errors
/// When something named is not there, or whatever makes it unusable.
pub fn open_named(scan: &[PathBuf]) -> Result<ScanReader, Failure> {
    if let Some(missing) = scan.iter().find(|path| !path.exists()) {
        let remedy = "check the path; it must be a .nii or .nii.gz file, a folder that holds imaging.nii.gz, or a DICOM series";
        return Err(Failure::new(
            Exit::Input,
            "there is no such scan",
            missing.display(),
            remedy,
        ));
    }
    match scan {
        [file] if file.is_file() && !dicom::is_dicom(file) => open(file),
        [folder] if folder.is_dir() => open(folder),
        files => open_series(files),
    }
}

/// Opens a NIfTI file, or a folder that holds one or a DICOM series.
///
/// # Errors
/// Whatever makes it unusable.
pub fn open(path: &Path) -> Result<ScanReader, Failure> {
    if !path.is_dir() {
        return ScanReader::open(path).map_err(|error| unusable(path, &error));
    }
    let imaging = IMAGING.iter().map(|name| path.join(name));
    match imaging.into_iter().find(|path| path.is_file()) {
        Some(file) => open(&file),
        None => open_series(&[path.to_owned()]),
    }
}

fn open_series(paths: &[PathBuf]) -> Result<ScanReader, Failure> {
    ScanReader::open_series(paths).map_err(|error| match &error {
        ImagingError::Dicom(dicom::DicomError::NotDicom { path }) if path.is_dir() => Failure::new(
            Exit::Input,
            "the folder holds neither imaging.nii.gz nor a DICOM file",
            path.display(),
            "name the NIfTI file itself, a case folder in the layout of KiTS19, or the folder of a DICOM series",
        ),
        _ => unusable(&paths.first().cloned().unwrap_or_default(), &error),
    })
}

/// Turns an error of the reader into a failure of the input.
pub fn unusable(path: &Path, error: &ImagingError) -> Failure {
    // A person names a folder, and one file in it is what is wrong.
    let path = match error {
        ImagingError::Dicom(refused) => refused.path(),
        _ => path,
    };
    told(
        Exit::Input,
        error,
        path.display(),
        "export the scan again as one 3-D NIfTI-1 file",
    )
}
