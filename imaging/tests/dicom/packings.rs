//! Every transfer syntax that is read gives the same voxels. The packed images are made by encoders of the same house as the decoders;
//! `docs/dicom.md` names the check against others.

use dicom_dictionary_std::{tags, uids};
use dicom_toolkit_codec::jp2k::encoder::encode_jp2k;
use dicom_toolkit_codec::jpeg::lossless_encoder::encode_jpeg_lossless;
use dicom_toolkit_codec::jpeg_ls::encoder::encode_jpeg_ls;
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
pub(crate) const LOSSLESS: [(&str, Pack); 6] = [
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
    (uids::JPEGLS_LOSSLESS, |raw, rows, cols| {
        encode_jpeg_ls(raw, cols.into(), rows.into(), 16, 1, 0).unwrap()
    }),
    (uids::JPEG2000_LOSSLESS, |raw, rows, cols| {
        encode_jp2k(raw, cols.into(), rows.into(), 16, 1, true).unwrap()
    }),
    (uids::JPEG2000, |raw, rows, cols| {
        encode_jp2k(raw, cols.into(), rows.into(), 16, 1, true).unwrap()
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
        let may_lose = syntax == uids::JPEG2000;
        assert_eq!(
            scan.findings() == [Finding::MayHaveLost { slices: 3 }],
            may_lose
        );
    }
}

#[test]
fn near_lossless_jpeg_ls_is_near_and_a_finding() {
    let mut slices = slices();
    for slice in &mut slices {
        let (rows, cols) = (SHAPE[1] as u32, SHAPE[2] as u32);
        let packed = encode_jpeg_ls(&slice.raw(), cols, rows, 12, 1, 2).unwrap();
        slice.packed(uids::JPEGLS_NEAR_LOSSLESS, packed);
    }
    let (_home, mut scan) = open(&slices);
    let found = volume(&mut scan);
    assert!(found.iter().zip(truth()).all(|(a, b)| a.abs_diff(b) <= 2));
    assert_eq!(scan.findings(), [Finding::MayHaveLost { slices: 3 }]);
}

/// What a scanner with signed pixels sends: the code stream says so, too. Its first component's kind stands at byte 42.
#[test]
fn signed_jpeg_2000_keeps_its_sign() {
    let mut slices = slices();
    for slice in &mut slices {
        // Moved up by half the range, which is what the decoder of a signed image does not do.
        let moved: Vec<u8> = slice
            .raw()
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|word| {
                let hu = u16::from_le_bytes(*word).wrapping_sub(1024);
                hu.wrapping_add(0x8000).to_le_bytes()
            })
            .collect();
        let (rows, cols) = (SHAPE[1] as u32, SHAPE[2] as u32);
        let mut packed = encode_jp2k(&moved, cols, rows, 16, 1, true).unwrap();
        assert_eq!(packed[42], 15);
        packed[42] = 0x8F;
        slice.packed(uids::JPEG2000_LOSSLESS, packed);
        slice.bits(16, 16, true);
        slice.text(tags::RESCALE_INTERCEPT, dicom_core::VR::DS, "0");
    }
    let (_home, mut scan) = open(&slices);
    assert!(volume(&mut scan) == truth());
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
