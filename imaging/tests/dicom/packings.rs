//! Every transfer syntax that is read gives the same voxels.

use std::fs;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::uids;
use dicom_toolkit_codec::jpeg::lossless_encoder::encode_jpeg_lossless;
use dicom_toolkit_codec::rle_encode_frame;
use nephrobox_imaging::dicom::{DicomError, Finding};
use nephrobox_imaging::{ImagingError, ScanReader};

use crate::orientations::volume;
use crate::series::{ORIGIN, SPACING, SUPINE, SliceFile, in_order, of, save};

const SHAPE: [usize; 3] = [3, 70, 45];

/// Smooth with some noise, as CT is, and with the whole range of 12 bits.
fn hu([s, r, c]: [usize; 3]) -> i16 {
    let noise = (((s * 131 + r * 31 + c * 17) * 2_654_435_761_usize) >> 7) & 63;
    match (r, c) {
        (0, 0) => -1024,
        (0, 1) => 3071,
        _ => (r * 30 + c * 20) as i16 + noise as i16 - 1000,
    }
}

fn slices() -> Vec<SliceFile> {
    of(SUPINE, SHAPE, SPACING, ORIGIN, &hu)
}

/// Packs the pixels of a slice, 16 bits in the machine's order of DICOM, rows and columns.
pub(crate) type Pack = fn(&[u8], u16, u16) -> Vec<u8>;

/// Packings that keep every voxel.
pub(crate) const LOSSLESS: [(&str, Pack); 3] = [
    (uids::RLE_LOSSLESS, |raw, rows, cols| {
        // RLE packs the high bytes first.
        let swapped: Vec<u8> = raw
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|[low, high]| [*high, *low])
            .collect();
        rle_encode_frame(&swapped, rows, cols, 1, 16).unwrap()
    }),
    (uids::JPEG_LOSSLESS, |raw, rows, cols| {
        encode_jpeg_lossless(raw, cols, rows, 1, 16, 16, 4).unwrap()
    }),
    (uids::JPEG_LOSSLESS_SV1, |raw, rows, cols| {
        encode_jpeg_lossless(raw, cols, rows, 1, 16, 16, 1).unwrap()
    }),
];

fn open(slices: &[SliceFile]) -> (tempfile::TempDir, ScanReader) {
    let home = tempfile::tempdir().unwrap();
    save(home.path(), slices, in_order);
    let scan = ScanReader::open_series(&[home.path().to_owned()]).unwrap();
    (home, scan)
}

fn truth() -> Vec<i16> {
    SUPINE.indices(SHAPE).map(hu).collect()
}

#[test]
fn implicit_explicit_and_deflated_series_are_the_same() {
    for syntax in [
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ] {
        let mut slices = slices();
        for slice in &mut slices {
            slice.syntax = syntax;
        }
        let (_home, mut scan) = open(&slices);
        assert_eq!(volume(&mut scan), truth(), "{syntax}");
        assert_eq!(scan.findings(), []);
    }
}

/// Shows RQ-25.
#[test]
fn every_lossless_packing_keeps_every_voxel() {
    for (syntax, pack) in LOSSLESS {
        let mut slices = slices();
        for slice in &mut slices {
            let packed = pack(&slice.raw(), SHAPE[1] as u16, SHAPE[2] as u16);
            slice.packed(syntax, packed);
        }
        let (_home, mut scan) = open(&slices);
        assert!(volume(&mut scan) == truth(), "{syntax}");
        assert_eq!(scan.findings(), []);
    }
}

/// A slice that pydicom packed with `CharLS` or `OpenJPEG` (`peers.py` made them), of 12 bits without a sign or 16 with one.
fn golden(name: &str) -> (Vec<i16>, ScanReader) {
    let mut scan = ScanReader::open_series(&[golden_folder().join(name)]).unwrap();
    (volume(&mut scan), scan)
}

pub(crate) fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dicom/golden")
}

/// HU of the golden slice.
fn golden_truth() -> Vec<i16> {
    let bytes = fs::read(golden_folder().join("truth.i16")).unwrap();
    let words = bytes.as_chunks::<2>().0.iter();
    words.map(|word| i16::from_le_bytes(*word)).collect()
}

pub(crate) const GOLDEN: [&str; 4] = [
    "charls-unsigned.dcm",
    "charls-signed.dcm",
    "openjpeg-unsigned.dcm",
    "openjpeg-signed.dcm",
];

#[test]
fn jpeg_ls_of_charls_and_jpeg_2000_of_openjpeg_keep_every_voxel() {
    for name in GOLDEN {
        let (found, scan) = golden(name);
        assert!(found == golden_truth(), "{name}");
        assert_eq!(
            scan.findings(),
            [Finding::SingleSlice { thickness_mm: 3.0 }]
        );
    }
}

#[test]
fn near_lossless_jpeg_ls_is_near_and_a_finding() {
    let (found, scan) = golden("charls-near.dcm");
    let differences = found.iter().zip(golden_truth()).map(|(a, b)| a.abs_diff(b));
    assert_eq!(differences.max(), Some(2));
    assert!(
        scan.findings()
            .contains(&Finding::MayHaveLost { slices: 1 })
    );
}

#[test]
fn a_packed_image_of_another_size_is_refused_before_it_is_unpacked() {
    for (syntax, pack) in &LOSSLESS[1..] {
        let mut slices = slices();
        let packed = pack(&slices[1].raw()[..70 * 40 * 2], 70, 40);
        slices[1].packed(syntax, packed);
        slices[0].syntax = uids::EXPLICIT_VR_LITTLE_ENDIAN;
        let (_home, mut scan) = open(&slices);
        let error = scan.read_slice(1, &mut vec![0; 70 * 45]).unwrap_err();
        assert!(
            matches!(error, ImagingError::Dicom(DicomError::Damaged { .. })),
            "{error}"
        );
    }
}
