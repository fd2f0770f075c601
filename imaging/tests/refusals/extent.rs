//! Files shorter, longer or otherwise packed than their header says.

use nephrobox_imaging::{GeometryError, ImagingError};

use crate::support::{F32, F64, I16, U8, gzipped};
use crate::{Case, geometry_error, healthy, read, sentence};

/// Shows RQ-26.
#[test]
fn a_file_shorter_than_its_header_says() {
    let mut raw = healthy(I16);
    raw.voxels.pop();
    let error = refused!(
        Case::new().scan(&raw),
        ImagingError::TooShort {
            expected: 592,
            found: 591,
            at_most: false,
            ..
        }
    );
    assert_eq!(
        sentence(&error),
        "the header promises 592 bytes, but the file holds only 591; it was cut off or its header lies, copy it again"
    );
    let case = Case::new();
    let compressed = case.bytes("scan.nii.gz", &gzipped(&raw.bytes()));
    refused!(
        read(&compressed),
        ImagingError::TooShort {
            expected: 592,
            found: 591,
            ..
        }
    );
}

#[test]
fn a_file_longer_than_its_header_says() {
    let mut raw = healthy(I16);
    raw.voxels.push(0);
    let case = Case::new();
    refused!(case.scan(&raw), ImagingError::TooLong { expected: 592, .. });
    refused!(
        read(&case.bytes("scan.nii.gz", &gzipped(&raw.bytes()))),
        ImagingError::TooLong { expected: 592, .. }
    );
}

#[test]
fn a_type_that_is_not_the_voxels() {
    let mut raw = healthy(I16);
    (raw.datatype, raw.bitpix) = (F32, 32);
    refused!(Case::new().scan(&raw), ImagingError::TooShort { .. });
    (raw.datatype, raw.bitpix) = (U8, 8);
    refused!(Case::new().scan(&raw), ImagingError::TooLong { .. });
}

/// 30000^3 doubles are 216 TB. Neither kind of file may make the reader ask for them.
/// Shows RQ-70.
#[test]
fn a_header_that_promises_terabytes() {
    let case = Case::new();
    let mut raw = healthy(F64);
    raw.dim = [3, 30_000, 30_000, 30_000, 1, 1, 1, 1];
    assert!(matches!(geometry_error(&raw), GeometryError::Shape { .. }));
    // Just below the limit on voxels: the file's size gives it away.
    raw.dim = [3, 1600, 1600, 1600, 1, 1, 1, 1];
    refused!(
        case.scan(&raw),
        ImagingError::TooShort { at_most: false, .. }
    );
    refused!(
        read(&case.bytes("scan.nii.gz", &gzipped(&raw.bytes()))),
        ImagingError::TooShort { at_most: true, .. }
    );
}

/// Shows RQ-26.
#[test]
fn gzip_data_cut_off() {
    let case = Case::new();
    let whole = gzipped(&healthy(I16).bytes());
    read(&case.bytes("whole.nii.gz", &whole)).unwrap();
    for keep in 2..whole.len() {
        let error = read(&case.bytes("scan.nii.gz", &whole[..keep])).unwrap_err();
        assert!(
            matches!(
                error,
                ImagingError::DamagedGzip { .. } | ImagingError::TooShort { at_most: true, .. }
            ),
            "{keep} of {} bytes: {error}",
            whole.len()
        );
        assert!(
            keep < 30 || error.to_string().contains("the gzip data is cut off"),
            "{keep}: {error}"
        );
    }
}

/// Shows RQ-26.
#[test]
fn a_wrong_checksum() {
    let case = Case::new();
    let mut bytes = gzipped(&healthy(I16).bytes());
    let at = bytes.len() - 8;
    bytes[at] ^= 1;
    let error = refused!(
        read(&case.bytes("scan.nii.gz", &bytes)),
        ImagingError::DamagedGzip { .. }
    );
    assert!(error.to_string().contains("damaged"));
}

#[test]
fn bytes_after_the_gzip_data() {
    let case = Case::new();
    let bytes = gzipped(&healthy(I16).bytes());
    refused!(
        read(&case.bytes("scan.nii.gz", &[&bytes[..], b"more"].concat())),
        ImagingError::TrailingBytes { .. }
    );
    refused!(
        read(&case.bytes("scan.nii.gz", &[&bytes[..], b"\0\0more"].concat())),
        ImagingError::TrailingBytes { .. }
    );
    // Padding to whole blocks is common and means nothing, as for gzip itself.
    read(&case.bytes("scan.nii.gz", &[&bytes[..], &[0; 700]].concat())).unwrap();
}

/// Parallel compressors write a chain of members; to gzip that is one file.
#[test]
fn gzip_members_in_a_row_are_one_volume() {
    let case = Case::new();
    let bytes = healthy(I16).bytes();
    let chain: Vec<u8> = bytes.chunks(100).flat_map(gzipped).collect();
    read(&case.bytes("scan.nii.gz", &chain)).unwrap();
    refused!(
        read(&case.bytes("scan.nii.gz", &[chain, gzipped(b"x")].concat())),
        ImagingError::TooLong { .. }
    );
}

#[test]
fn compression_is_told_by_content_not_by_name() {
    let case = Case::new();
    read(&case.bytes("scan.nii", &gzipped(&healthy(I16).bytes()))).unwrap();
    read(&case.bytes("scan.nii.gz", &healthy(I16).bytes())).unwrap();
}
