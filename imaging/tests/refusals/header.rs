//! Files that are no volume, and headers that say so or lie about it.

use nephrobox_imaging::ImagingError;

use crate::support::I16;
use crate::{Case, healthy, read, sentence};

#[test]
fn no_such_file() {
    refused!(
        read(&Case::new().path("none.nii.gz")),
        ImagingError::Io { action: "open", .. }
    );
}

#[test]
fn a_folder() {
    refused!(
        read(Case::new().folder.path()),
        ImagingError::NotNifti { .. }
    );
}

#[test]
fn an_empty_file() {
    let case = Case::new();
    let error = refused!(
        read(&case.bytes("scan.nii", b"")),
        ImagingError::NotNifti { .. }
    );
    assert_eq!(
        sentence(&error),
        "this holds 0 bytes, less than the 348 of a header; give a NIfTI-1 volume in one file (.nii or .nii.gz)"
    );
}

#[test]
fn a_pointer_file_instead_of_the_volume() {
    let text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n".repeat(9);
    refused!(
        read(&Case::new().bytes("scan.nii.gz", text.as_bytes())),
        ImagingError::NotNifti { .. }
    );
}

#[test]
fn half_of_a_pair_of_files() {
    let mut raw = healthy(I16);
    raw.magic = *b"ni1\0";
    let error = refused!(Case::new().scan(&raw), ImagingError::NotNifti { .. });
    assert!(sentence(&error).starts_with("this is the header of a pair of files (.hdr and .img)"));
}

#[test]
fn another_version_of_nifti() {
    let mut raw = healthy(I16);
    raw.sizeof_hdr = 540;
    assert!(
        sentence(&refused!(
            Case::new().scan(&raw),
            ImagingError::NotNifti { .. }
        ))
        .starts_with("this is NIfTI-2")
    );
}

#[test]
fn a_wrong_header_length() {
    let mut raw = healthy(I16);
    raw.sizeof_hdr = 347;
    refused!(Case::new().scan(&raw), ImagingError::NotNifti { .. });
    // A count of dimensions above 7 is how a file of the other byte order is known; here the length then contradicts it.
    let mut raw = healthy(I16);
    raw.dim[0] = 8;
    refused!(Case::new().scan(&raw), ImagingError::NotNifti { .. });
}

#[test]
fn dimensions_that_are_no_volume() {
    for dim in [
        [0, 6, 5, 4, 1, 1, 1, 1],
        [2, 30, 4, 1, 1, 1, 1, 1],
        [3, -6, 5, 4, 1, 1, 1, 1],
        [3, 6, 0, 4, 1, 1, 1, 1],
        [4, 6, 5, 2, 2, 1, 1, 1],
    ] {
        let mut raw = healthy(I16);
        raw.dim = dim;
        refused!(Case::new().scan(&raw), ImagingError::Dimensions { dim: found, .. } if *found == dim);
    }
}

#[test]
fn further_dimensions_of_length_one_are_fine() {
    let mut raw = healthy(I16);
    raw.dim = [5, 6, 5, 4, 1, 1, 0, 0];
    Case::new().scan(&raw).unwrap();
}

#[test]
fn colours_and_complex_numbers() {
    for (datatype, bitpix) in [(128, 24), (32, 64), (1, 1), (1536, 128), (7, 8)] {
        let mut raw = healthy(I16);
        (raw.datatype, raw.bitpix) = (datatype, bitpix);
        refused!(Case::new().scan(&raw), ImagingError::UnsupportedType { datatype: found, .. } if *found == datatype);
    }
}

#[test]
fn bits_that_are_not_the_types() {
    let mut raw = healthy(I16);
    raw.bitpix = 8;
    refused!(
        Case::new().scan(&raw),
        ImagingError::BitsDisagree {
            datatype: 4,
            bitpix: 8,
            expected: 16,
            ..
        }
    );
}

#[test]
fn voxels_that_begin_inside_the_header() {
    for offset in [0.0, 348.0, 352.5, -1.0, f32::NAN, f32::INFINITY, 1e20] {
        let mut raw = healthy(I16);
        raw.vox_offset = offset;
        refused!(Case::new().scan(&raw), ImagingError::VoxelOffset { .. });
    }
}

#[test]
fn an_intercept_that_is_no_number() {
    let mut raw = healthy(I16);
    (raw.slope, raw.intercept) = (2.0, f32::NAN);
    refused!(
        Case::new().scan(&raw),
        ImagingError::Scaling { slope: 2.0, .. }
    );
    // Without a slope nothing is scaled and the intercept means nothing; nibabel writes NaN for both.
    for slope in [0.0, f32::NAN, f32::INFINITY] {
        raw.slope = slope;
        Case::new().scan(&raw).unwrap();
    }
}
