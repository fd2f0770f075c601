//! Whose series it is, and which image is which canonical slice.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use nephrobox_imaging::ScanReader;
use nephrobox_imaging::dicom::{DicomError, Identity, PatientIdentity, StudyIdentity};

use crate::series::{SHAPE, SPACING, SUPINE, SliceFile, in_order, order, save, series};

/// Puts bytes into an element as they are.
fn raw(slice: &mut SliceFile, tag: Tag, vr: VR, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(b' ');
    }
    // A text of bytes cannot be put as a text; written out, the type of a value does not show.
    slice
        .object
        .put(DataElement::new(tag, vr, PrimitiveValue::U8(bytes.into())));
}

/// Opens a series whose slices have all been changed in the same way.
fn opened(change: impl Fn(&mut SliceFile)) -> (tempfile::TempDir, ScanReader) {
    let home = tempfile::tempdir().unwrap();
    let mut slices = series(SUPINE);
    slices.iter_mut().for_each(change);
    save(home.path(), &slices, in_order);
    let scan = ScanReader::open_series(&[home.path().to_owned()]).unwrap();
    (home, scan)
}

#[test]
fn the_patient_and_the_study_are_read_as_the_series_names_them() {
    let (_home, scan) = opened(|slice| {
        for (tag, vr, text) in [
            (tags::SPECIFIC_CHARACTER_SET, VR::CS, &b"ISO_IR 100"[..]),
            (tags::PATIENT_NAME, VR::PN, b"M\xFCller^J\xFCrgen^^Dr."),
            (tags::PATIENT_ID, VR::LO, b" 4711 "),
            (tags::ISSUER_OF_PATIENT_ID, VR::LO, b"WARD\x07\x0D3"),
            (tags::PATIENT_BIRTH_DATE, VR::DA, b"19640229"),
            (tags::PATIENT_SEX, VR::CS, b"M"),
            (tags::PATIENT_AGE, VR::AS, b"062Y"),
            (tags::STUDY_DATE, VR::DA, b"20260105"),
            (tags::STUDY_TIME, VR::TM, b"073059.25"),
            (tags::STUDY_ID, VR::SH, b"S1"),
            (tags::ACCESSION_NUMBER, VR::SH, b"A-123"),
            (tags::REFERRING_PHYSICIAN_NAME, VR::PN, b"Nobody"),
            (tags::STUDY_DESCRIPTION, VR::LO, b"Abdomen \xFCber alles"),
            (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, b"+0100"),
            (tags::POSITION_REFERENCE_INDICATOR, VR::LO, b"XY"),
        ] {
            raw(slice, tag, vr, text);
        }
    });
    let expected = Identity {
        patient: PatientIdentity {
            name: "Müller^Jürgen^^Dr.".into(),
            id: "4711".into(),
            id_issuer: "WARD3".into(),
            birth_date: "19640229".into(),
            sex: "M".into(),
            age: "062Y".into(),
        },
        study: StudyIdentity {
            date: "20260105".into(),
            time: "073059.25".into(),
            id: "S1".into(),
            accession_number: "A-123".into(),
            referring_physician: "Nobody".into(),
            description: "Abdomen über alles".into(),
            utc_offset_minutes: Some(60),
        },
        position_reference: "XY".into(),
    };
    assert_eq!(scan.identity().unwrap(), Some(expected));
}

#[test]
fn a_series_without_names_has_an_empty_identity_and_a_long_text_is_cut() {
    let (_home, scan) = opened(|slice| {
        slice.object.remove_element(tags::PATIENT_NAME);
    });
    assert_eq!(scan.identity().unwrap(), Some(Identity::default()));
    let (_home, scan) = opened(|slice| {
        raw(slice, tags::PATIENT_ID, VR::LO, &[b'9'; 900]);
        raw(slice, tags::STUDY_ID, VR::SH, &[b'9'; 9000]);
        raw(slice, tags::STUDY_DATE, VR::DA, b"yesterday");
    });
    let identity = scan.identity().unwrap().unwrap();
    assert_eq!(identity.patient.id, "9".repeat(64));
    assert_eq!(
        (identity.study.id.as_str(), identity.study.date.as_str()),
        ("", "")
    );
}

/// Shows RQ-09.
#[test]
fn slices_of_two_patients_are_no_series() {
    for (tag, vr, what) in [
        (tags::PATIENT_ID, VR::LO, "Patient ID"),
        (tags::PATIENT_NAME, VR::PN, "name"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let mut slices = series(SUPINE);
        slices[3].text(tag, vr, "Somebody");
        save(home.path(), &slices, in_order);
        let error = ScanReader::open_series(&[home.path().to_owned()])
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains(what) && !error.contains("Somebody"),
            "{error}"
        );
    }
}

/// Trailing blanks are no other patient.
#[test]
fn padding_makes_no_other_patient() {
    let home = tempfile::tempdir().unwrap();
    let mut slices = series(SUPINE);
    raw(
        &mut slices[3],
        tags::PATIENT_NAME,
        VR::PN,
        b"Nobody^At^All   ",
    );
    save(home.path(), &slices, in_order);
    assert!(ScanReader::open_series(&[home.path().to_owned()]).is_ok());
}

/// The phantom's instances are numbered as the file's slices run, so the canonical order shows in them.
#[test]
fn images_are_listed_from_the_head_in_every_orientation() {
    for reversed in 0..8 {
        let reversed = [0, 1, 2].map(|axis| reversed >> axis & 1 == 1);
        let home = tempfile::tempdir().unwrap();
        save(home.path(), &series(order(reversed)), in_order);
        let scan = ScanReader::open_series(&[home.path().to_owned()]).unwrap();
        let info = scan.series().unwrap();
        let mut numbers: Vec<_> = (1..=SHAPE[0]).map(|k| format!("2.25.77.{k}")).collect();
        if reversed[2] {
            numbers.reverse();
        }
        let found: Vec<_> = info
            .slices
            .iter()
            .map(|slice| slice.instance_uid.clone())
            .collect();
        assert_eq!(found, numbers, "{reversed:?}");
        for pair in info.slices.windows(2) {
            let down = pair[0].position_mm[2] - pair[1].position_mm[2];
            assert!((down - SPACING[0]).abs() < 1e-5, "{reversed:?}: {down} mm");
        }
        assert_eq!((info.rows, info.cols), (SHAPE[1] as u16, SHAPE[2] as u16));
        assert_eq!(info.pixel_spacing_mm, [SPACING[1], SPACING[2]]);
        assert_eq!(info.slice_thickness_mm, Some(SPACING[0]));
        let sign = |reversed| if reversed { -1.0 } else { 1.0 };
        let [across, down] = [sign(reversed[0]), sign(reversed[1])];
        assert_eq!(info.orientation, [across, 0.0, 0.0, 0.0, down, 0.0]);
        assert_eq!(
            [
                &info.study_uid,
                &info.series_uid,
                &info.frame_of_reference_uid
            ],
            ["2.25.1", "2.25.2", "2.25.3"]
        );
        assert_eq!(info.sop_class_uid, uids::CT_IMAGE_STORAGE);
    }
}

#[test]
fn a_stack_across_the_patient_has_no_image_for_a_canonical_slice() {
    let coronal = crate::support::Order {
        axes: [2, 0, 1],
        reversed: [false; 3],
    };
    let home = tempfile::tempdir().unwrap();
    save(home.path(), &series(coronal), in_order);
    let scan = ScanReader::open_series(&[home.path().to_owned()]).unwrap();
    assert!(!scan.geometry().streams());
    assert!(scan.series().unwrap().slices.is_empty());
}

#[test]
fn a_picture_in_a_packing_that_is_not_read_does_not_stop_the_series_beside_it() {
    let home = tempfile::tempdir().unwrap();
    let slices = series(SUPINE);
    save(home.path(), &slices, in_order);
    let picture = {
        let mut bytes = slices[0].encode();
        let class = uids::CT_IMAGE_STORAGE.as_bytes();
        let other = b"1.2.840.10008.5.1.4.1.1.7"; // Secondary Capture, as long
        let syntax = b"1.2.840.10008.1.2.1\0";
        let lossy = b"1.2.840.10008.1.2.9\0"; // no such
        for (from, to) in [(class, &other[..]), (syntax, &lossy[..])] {
            let at = bytes
                .windows(from.len())
                .position(|part| part == from)
                .unwrap();
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        bytes
    };
    std::fs::write(home.path().join("picture"), &picture).unwrap();
    let scan = ScanReader::open_series(&[home.path().to_owned()]).unwrap();
    assert_eq!(scan.findings()[0].code(), "dicom_other_objects");
    let mut ct = slices[0].encode();
    let at = ct
        .windows(20)
        .position(|part| part == b"1.2.840.10008.1.2.1\0")
        .unwrap();
    ct[at + 18] = b'9';
    std::fs::write(home.path().join("picture"), &ct).unwrap();
    let error = ScanReader::open_series(&[home.path().to_owned()])
        .err()
        .unwrap();
    let nephrobox_imaging::ImagingError::Dicom(error) = error else {
        panic!("{error}")
    };
    assert!(
        matches!(error, DicomError::TransferSyntax { .. }),
        "{error}"
    );
}
