//! Whose the results are, and which images they refer to.

use std::time::Duration;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use nephrobox::source;
use nephrobox_imaging::ScanReader;
use nephrobox_objects::{Device, EmptyFrames, Results};
use nephrobox_shared::measure::LabelMap;
use nephrobox_shared::report::Subject;
use tempfile::TempDir;

use crate::series::{self, SUPINE, SliceFile};
use crate::support::nifti::{Declared, Order};
use crate::support::{ORIGIN, SHAPE, SPACING, hu, raw_scan, save_model};
use crate::{segmented, slices};

/// Shows RQ-10.
#[test]
fn the_report_says_whose_scan_it_is() {
    let home = TempDir::new().expect("a folder");
    save_model(home.path());
    let mut named = slices(SUPINE);
    for slice in &mut named {
        for (tag, vr, text) in [
            (tags::PATIENT_ID, VR::LO, "4711"),
            (tags::PATIENT_BIRTH_DATE, VR::DA, "19640229"),
            (tags::PATIENT_SEX, VR::CS, "F"),
            (tags::STUDY_DATE, VR::DA, "20260105"),
            (tags::STUDY_TIME, VR::TM, "073059"),
            (tags::STUDY_DESCRIPTION, VR::LO, "Abdomen"),
            (tags::ACCESSION_NUMBER, VR::SH, "A-123"),
            (tags::ISSUER_OF_PATIENT_ID, VR::LO, "ward 3"),
        ] {
            slice.text(tag, vr, text);
        }
    }
    let files = series::save(home.path(), &named, series::in_order);
    let report = segmented(files, home.path(), "out").expect("segmented");
    let expected = Subject {
        patient_name: "Nobody^At^All".into(),
        patient_id: "4711".into(),
        patient_id_issuer: "ward 3".into(),
        birth_date: "19640229".into(),
        sex: "F".into(),
        study_date: "20260105".into(),
        study_time: "073059".into(),
        study_description: "Abdomen".into(),
        accession_number: "A-123".into(),
        study_uid: "2.25.1".into(),
        series_uid: "2.25.2".into(),
    };
    assert_eq!(report.subject, Some(expected));
}

/// Shows RQ-09.
#[test]
fn slices_of_two_patients_are_refused() {
    let home = TempDir::new().expect("a folder");
    save_model(home.path());
    let mut mixed = slices(SUPINE);
    mixed[4].text(tags::PATIENT_ID, VR::LO, "4712");
    let files = series::save(home.path(), &mixed, series::in_order);
    let refused = segmented(files, home.path(), "out").expect_err("a refusal");
    assert!(refused.told.what.contains("Patient ID"), "{refused}");
    assert!(!refused.to_string().contains("4712"), "{refused}");
}

/// A segmentation with a single voxel, made through [`source`], points at the one image in which that voxel lies, and at its pixel there.
/// Shows RQ-07.
#[test]
fn a_voxel_of_the_segmentation_lies_in_the_image_that_it_refers_to() {
    const VOXEL: [usize; 3] = [6, 30, 66];
    let home = TempDir::new().expect("a folder");
    save_model(home.path());
    let files = series::save(home.path(), &slices(SUPINE), series::in_order);
    let report = segmented(files, home.path(), "out").expect("segmented");
    // One voxel in the whole volume is this bright.
    let bright = |index| if index == VOXEL { 999 } else { hu(index) };
    let mut map = LabelMap::new(SHAPE[1], SHAPE[2]).expect("a map");
    for slice in 0..SHAPE[0] {
        let mut labels = vec![0; SHAPE[1] * SHAPE[2]];
        if slice == VOXEL[0] {
            labels[VOXEL[1] * SHAPE[2] + VOXEL[2]] = 1;
        }
        map.push(&labels).expect("a slice");
    }
    let device = Device {
        serial: "NB-0007".into(),
        station: "WARD-3".into(),
        utc_offset_minutes: 0,
    };
    let ways = (0..16).map(|way| Order {
        axes: if way & 8 == 0 { [2, 1, 0] } else { [1, 2, 0] },
        reversed: [0, 1, 2].map(|axis| way >> axis & 1 == 1),
    });
    for order in ways {
        let stored = series::of(order, SHAPE, SPACING, ORIGIN, &bright);
        let folder = TempDir::new().expect("a folder");
        series::save(folder.path(), &stored, |k| format!("{}", 97 - 31 * k % 97));
        let reader = ScanReader::open_series(&[folder.path().to_owned()]).expect("a series");
        let source = source::of(&reader).expect("read").series.expect("a series");
        let made = Duration::from_hours(500_000);
        let results = Results::new(&source, &report, &device, made).expect("a sound source");
        let seg = results
            .segmentation(&map, EmptyFrames::LeftOut)
            .expect("a segmentation");

        let seg = seg.object.dataset();
        let item = |object: &InMemDicomObject, tag: Tag| {
            object
                .element(tag)
                .expect("a sequence")
                .items()
                .expect("items")[0]
                .clone()
        };
        let frame = item(seg, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        let derived = item(&frame, tags::DERIVATION_IMAGE_SEQUENCE);
        let image = item(&derived, tags::SOURCE_IMAGE_SEQUENCE);
        let referenced = image
            .element(tags::REFERENCED_SOP_INSTANCE_UID)
            .expect("a UID");
        let referenced = referenced.to_str().expect("text");
        let bits = seg
            .element(tags::PIXEL_DATA)
            .expect("pixels")
            .to_bytes()
            .expect("bytes");
        let pixel = bits
            .iter()
            .enumerate()
            .find_map(|(at, byte)| (*byte > 0).then(|| at * 8 + byte.trailing_zeros() as usize))
            .expect("a pixel");

        let instance = |slice: &SliceFile| {
            let uid = slice.object.element(tags::SOP_INSTANCE_UID).expect("a UID");
            uid.to_str().expect("text").into_owned()
        };
        let pointed = stored
            .iter()
            .find(|slice| instance(slice) == referenced)
            .expect("an image");
        let raw = pointed.raw();
        let value = u16::from_le_bytes([raw[2 * pixel], raw[2 * pixel + 1]]);
        assert_eq!(i32::from(value) - 1024, 999, "{order:?}");
    }
}

#[test]
fn a_nifti_file_is_of_nobody_and_a_coronal_stack_has_no_image_for_a_slice() {
    let home = TempDir::new().expect("a folder");
    let nifti = raw_scan(Order::KITS, Declared::Sform).save(home.path().join("scan.nii.gz"));
    let reader = ScanReader::open(nifti).expect("a scan");
    let origin = source::of(&reader).expect("read");
    assert_eq!((origin.subject, origin.series), (None, None));
    assert_eq!(origin.warning, None);

    let coronal = Order {
        axes: [2, 0, 1],
        reversed: [false; 3],
    };
    let files = series::save(home.path(), &slices(coronal), series::in_order);
    let reader = ScanReader::open_series(&files).expect("a series");
    let origin = source::of(&reader).expect("read");
    assert_eq!(origin.series, None);
    let warning = origin.warning.expect("a warning");
    assert!(
        warning.message.contains("not transverse"),
        "{}",
        warning.message
    );
    let subject = origin.subject.expect("a patient");
    assert_eq!(subject.patient_name, "Nobody^At^All");
}
