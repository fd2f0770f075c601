//! What is odd about a series and is dealt with: the volume is right all the same, and the finding says what was done.

use std::fs;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use nephrobox_imaging::ScanReader;
use nephrobox_imaging::dicom::Finding;

use crate::orientations::volume;
use crate::series::{SHAPE, SUPINE, SliceFile, hu, in_order, save, series};
use crate::support::gzipped;

fn truth() -> Vec<i16> {
    SUPINE.indices(SHAPE).map(hu).collect()
}

/// Saves and opens a series with something changed.
fn opened(slices: &[SliceFile]) -> (tempfile::TempDir, ScanReader) {
    let home = tempfile::tempdir().unwrap();
    save(home.path(), slices, in_order);
    let scan = ScanReader::open_series(&[home.path().to_owned()]).unwrap();
    (home, scan)
}

/// Whether reports show the only finding as a warning.
fn warns(scan: &ScanReader) -> bool {
    let [finding] = scan.findings() else {
        panic!("one finding, not {:?}", scan.findings());
    };
    assert!(finding.code().starts_with("dicom_"));
    assert!(finding.to_string().ends_with('.'));
    finding.is_warning()
}

#[test]
fn a_disc_with_text_a_report_and_a_localiser_gives_its_series() {
    let home = tempfile::tempdir().unwrap();
    let deep = home.path().join("DICOM/PA0/ST0");
    fs::create_dir_all(&deep).unwrap();
    let slices = series(SUPINE);
    save(&deep, &slices, in_order);
    fs::write(home.path().join("README.TXT"), "insert the disc").unwrap();
    fs::write(home.path().join("empty"), "").unwrap();
    let mut scout = slices[0].clone();
    scout.text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
    scout.text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.9");
    let mut dose = slices[0].clone();
    dose.text(tags::MODALITY, VR::CS, "SR");
    let mut screen = slices[0].clone();
    screen.text(
        tags::SOP_CLASS_UID,
        VR::UI,
        uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    );
    save(home.path(), &[scout, dose, screen], |k| format!("other{k}"));
    let mut scan = ScanReader::open_series(&[home.path().to_owned()]).unwrap();
    assert_eq!(
        scan.findings(),
        [
            Finding::OtherFiles { files: 2 },
            Finding::OtherObjects {
                objects: 2,
                modalities: vec!["CT that is no slice".to_owned(), "SR".to_owned()],
            },
            Finding::Localisers { images: 1 },
        ]
    );
    assert!(!scan.findings().iter().any(Finding::is_warning));
    assert_eq!(volume(&mut scan), truth());
}

/// Shows RQ-16.
#[test]
fn a_series_copied_twice_is_one() {
    let mut slices = series(SUPINE);
    slices.extend(slices.clone());
    let (_home, mut scan) = opened(&slices);
    assert_eq!(scan.findings(), [Finding::Copies { files: 6 }]);
    assert!(warns(&scan));
    assert_eq!(volume(&mut scan), truth());
}

#[test]
fn slightly_uneven_slices_get_the_mean_spacing() {
    let mut slices = series(SUPINE);
    slices[2].shift([0.0, 0.0, 0.1]);
    let (_home, mut scan) = opened(&slices);
    assert!(warns(&scan));
    let [
        Finding::UnevenSpacing {
            least_mm,
            most_mm,
            mean_mm,
        },
    ] = *scan.findings()
    else {
        panic!("{:?}", scan.findings())
    };
    let near = |found: f64, mm: f64| (found - mm).abs() < 1e-6;
    assert!(near(least_mm, 2.4) && near(most_mm, 2.6) && near(mean_mm, 2.5));
    assert_eq!(volume(&mut scan), truth());
}

/// Shows RQ-08.
#[test]
fn a_tilted_gantry_makes_slices_no_thicker() {
    let mut slices = series(SUPINE);
    let degrees = 15.0_f64;
    for (k, slice) in slices.iter_mut().enumerate() {
        slice.shift([0.0, k as f64 * 2.5 * degrees.to_radians().tan(), 0.0]);
    }
    let (_home, mut scan) = opened(&slices);
    assert!(warns(&scan));
    let [Finding::GantryTilt { degrees: found }] = *scan.findings() else {
        panic!("{:?}", scan.findings())
    };
    assert!((found - degrees).abs() < 1e-3);
    assert!((scan.geometry().spacing().slice_mm - 2.5).abs() < 1e-5);
    assert!((scan.geometry().tilt_degrees() - degrees).abs() < 1e-3);
    assert_eq!(volume(&mut scan), truth());
}

#[test]
fn one_slice_is_as_far_from_the_next_as_it_is_thick() {
    let (_home, scan) = opened(&series(SUPINE)[3..4]);
    assert_eq!(
        scan.findings(),
        [Finding::SingleSlice { thickness_mm: 2.5 }]
    );
    assert!(warns(&scan));
    assert_eq!(scan.geometry().shape(), [1, 5, 4]);
    assert!((scan.geometry().spacing().slice_mm - 2.5).abs() < 1e-6);
}

/// Shows RQ-20.
#[test]
fn every_slice_is_scaled_by_its_own_numbers() {
    let mut slices = series(SUPINE);
    for (k, slice) in slices.iter_mut().enumerate() {
        let raw: Vec<u16> = (0..20)
            .map(|i| ((f64::from(hu([k, i / 4, i % 4])) + 2000.0) * 2.0) as u16 + k as u16 * 10)
            .collect();
        slice.bits(16, 16, false);
        slice.pixels(&raw);
        slice.text(tags::RESCALE_SLOPE, VR::DS, "0.5");
        let intercept = format!("{}", -2000 - 5 * k as i32);
        slice.text(tags::RESCALE_INTERCEPT, VR::DS, &intercept);
    }
    let (_home, mut scan) = opened(&slices);
    assert_eq!(scan.findings(), [Finding::ScalesDiffer]);
    assert!(!warns(&scan));
    assert_eq!(volume(&mut scan), truth());
}

#[test]
fn signed_and_unsigned_numbers_of_12_to_16_bits_are_read_under_whatever_lies_above_them() {
    for bits in 12..=16_u16 {
        for signed in [false, true] {
            let mut slices = series(SUPINE);
            let offset = if signed { 0 } else { 1024 };
            for (k, slice) in slices.iter_mut().enumerate() {
                let rubbish = if bits < 16 { 0xFFFF << bits } else { 0 };
                let mask = 0xFFFF >> (16 - bits);
                let raw: Vec<u16> = (0..20)
                    .map(|i| ((hu([k, i / 4, i % 4]) + offset) as u16 & mask) ^ rubbish)
                    .collect();
                slice.bits(16, bits, signed);
                slice.pixels(&raw);
                slice.text(tags::RESCALE_INTERCEPT, VR::DS, &format!("{}", -offset));
            }
            let (_home, mut scan) = opened(&slices);
            assert_eq!(scan.findings(), []);
            assert_eq!(volume(&mut scan), truth(), "{bits} bits, signed {signed}");
        }
    }
}

/// Shows RQ-20.
#[test]
fn padding_around_the_field_of_view_is_air_and_not_tissue() {
    // As some scanners do: signed numbers that are HU already, and -2000 outside the circle.
    let mut slices = series(SUPINE);
    for (k, slice) in slices.iter_mut().enumerate() {
        let raw: Vec<u16> = (0..20)
            .map(|i| match i {
                0 => -2000_i16 as u16,
                _ => hu([k, i / 4, i % 4]) as u16,
            })
            .collect();
        slice.bits(16, 16, true);
        slice.pixels(&raw);
        slice.short(tags::PIXEL_PADDING_VALUE, -2000_i16 as u16);
        slice.text(tags::RESCALE_INTERCEPT, VR::DS, "0");
    }
    let (_home, mut scan) = opened(&slices);
    assert_eq!(scan.findings(), []);
    let mut expected = truth();
    expected.iter_mut().step_by(20).for_each(|hu| *hu = -1024);
    assert_eq!(volume(&mut scan), expected);
}

#[test]
fn a_padding_value_that_tissue_has_too_is_air_and_a_warning() {
    let mut slices = series(SUPINE);
    slices[1].short(tags::PIXEL_PADDING_VALUE, (hu([1, 0, 3]) + 1024) as u16);
    let (_home, mut scan) = opened(&slices);
    let hidden = hu([1, 0, 3]);
    assert_eq!(
        scan.findings(),
        [Finding::PaddingInTissue { hu: hidden }],
        "{hidden} HU"
    );
    assert!(warns(&scan));
    let mut expected = truth();
    expected[23] = -1024;
    assert_eq!(volume(&mut scan), expected);
}

/// Shows RQ-25.
#[test]
fn a_series_that_was_compressed_with_loss_once_says_so_for_ever() {
    let mut slices = series(SUPINE);
    for slice in &mut slices[2..] {
        slice.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01");
    }
    let (_home, scan) = opened(&slices);
    assert_eq!(scan.findings(), [Finding::MayHaveLost { slices: 4 }]);
    assert!(warns(&scan));
}

#[test]
fn a_gzipped_slice_in_a_folder_is_left_out_as_no_dicom_and_leaves_no_gap_unseen() {
    let home = tempfile::tempdir().unwrap();
    let slices = series(SUPINE);
    save(home.path(), &slices[..5], in_order);
    fs::write(
        home.path().join("slice-005.dcm.gz"),
        gzipped(&slices[5].encode()),
    )
    .unwrap();
    let scan = ScanReader::open_series(&[home.path().to_owned()]).unwrap();
    assert_eq!(scan.findings(), [Finding::OtherFiles { files: 1 }]);
    assert_eq!(scan.geometry().slices(), 5);
}
