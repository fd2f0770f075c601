//! A DICOM series through the box: the report of the NIfTI file of the same patient, labels in the series' own place, and results that
//! refer to the right patient and the right images.

mod support;

// Series as the reader's own tests make them.
#[path = "../../imaging/tests/dicom/series.rs"]
mod series;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use nephrobox::failure::{Exit, Failure};
use nephrobox::{segment, source};
use nephrobox_imaging::{LabelReader, ScanReader, dicom};
use nephrobox_objects::{Device, EmptyFrames, Results};
use nephrobox_shared::measure::LabelMap;
use nephrobox_shared::report::{Report, Subject};
use series::{SUPINE, SliceFile};
use support::nifti::{Declared, Order};
use support::{ORIGIN, SHAPE, SPACING, args, hu, label, raw_scan, save_model};
use tempfile::TempDir;

/// How a patient lies in the scanner, and which way the stack is stored: columns, rows and slices of the canonical volume that run
/// backwards. Pictures keep to the scanner's axes, so that turning the patient round turns them, too.
const LYING: [(&str, &str, [bool; 3]); 5] = [
    ("head first, supine", "HFS", [false, false, false]),
    (
        "the same, stored from the feet",
        "HFS",
        [false, false, true],
    ),
    ("feet first, supine", "FFS", [true, false, true]),
    ("head first, prone", "HFP", [true, true, false]),
    ("feet first, prone", "FFP", [false, true, true]),
];

fn slices(order: Order) -> Vec<SliceFile> {
    series::of(order, SHAPE, SPACING, ORIGIN, &hu)
}

fn segmented(scan: Vec<PathBuf>, home: &Path, name: &str) -> Result<Report, Failure> {
    let (model, out) = (home.join("threshold.nbx"), home.join(name));
    let mut args = args(Path::new(""), &model, &out);
    args.scan = scan;
    segment::run(&args, &mut Vec::new())?;
    let report = fs::read(out.join("report.json")).expect("a report");
    Ok(serde_json::from_slice(&report).expect("a report's fields"))
}

#[test]
fn a_folder_and_a_list_of_files_give_the_report_of_the_nifti_file() {
    let home = TempDir::new().expect("a folder");
    save_model(home.path());
    let nifti = raw_scan(Order::KITS, Declared::Sform).save(home.path().join("scan.nii.gz"));
    let expected = segmented(vec![nifti.clone()], home.path(), "nifti").expect("segmented");
    // A small right kidney, and a large left one with a tumour.
    let sides = &expected.findings.sides;
    assert!(sides.right.kidney_volume_ml < sides.left.kidney_volume_ml);
    assert!(sides.right.tumour_volume_ml == 0.0 && sides.left.tumour_volume_ml > 0.0);
    for (name, position, reversed) in LYING {
        let folder = home.path().join(format!("{name} series"));
        fs::create_dir(&folder).expect("a folder");
        let mut lying = slices(series::order(reversed));
        for slice in &mut lying {
            slice.text(tags::PATIENT_POSITION, VR::CS, position);
        }
        let files = series::save(&folder, &lying, series::in_order);
        let report = segmented(vec![folder], home.path(), name).expect("segmented");
        assert_eq!(report.findings, expected.findings, "{name}");
        assert_eq!(report.warnings, expected.warnings);
        assert_eq!(report.input.file, format!("{name} series"));
        assert_eq!(report.input.slices, SHAPE[0]);

        let path = home.path().join(name).join("labels.nii.gz");
        let mut labels = LabelReader::open(path).expect("labels");
        let scan = ScanReader::open(&nifti).expect("the scan");
        scan.check_labels(&labels).expect("one place");
        let mut slice = vec![0; SHAPE[1] * SHAPE[2]];
        while let Some(s) = labels.next_slice(&mut slice).expect("a slice") {
            let truth = (0..slice.len()).map(|i| label([s, i / SHAPE[2], i % SHAPE[2]]));
            assert!(slice.iter().copied().eq(truth), "{name}, slice {s}");
        }

        let list = segmented(files.clone(), home.path(), &format!("{name} list"));
        let one = home.path().join(format!("{name}.tar"));
        dicom::pack(&files, &mut File::create(&one).expect("a file")).expect("packed");
        let packed = segmented(vec![one], home.path(), &format!("{name} packed"));
        for same in [list, packed] {
            let same = same.expect("segmented");
            assert_eq!(same.input.blake3, report.input.blake3);
            assert_eq!(same.findings, report.findings);
            assert_eq!(same.subject, report.subject);
        }
    }
}

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

#[test]
fn slices_of_two_patients_are_refused() {
    let home = TempDir::new().expect("a folder");
    save_model(home.path());
    let mut mixed = slices(SUPINE);
    mixed[4].text(tags::PATIENT_ID, VR::LO, "4712");
    let files = series::save(home.path(), &mixed, series::in_order);
    let refused = segmented(files, home.path(), "out").expect_err("a refusal");
    assert!(refused.what.contains("Patient ID"), "{refused}");
    assert!(!refused.to_string().contains("4712"), "{refused}");
}

/// A segmentation with a single voxel, made through [`source`], points at the one image in which that voxel lies, and at its pixel there.
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
        let source = source::of(&reader).expect("read").expect("a series");
        let made = std::time::Duration::from_secs(1_800_000_000);
        let results = Results::new(&source, &report, &device, made).expect("a sound source");
        let seg = results
            .segmentation(&map, EmptyFrames::LeftOut)
            .expect("a segmentation");

        let seg = seg.object.dataset();
        let item = |object: &InMemDicomObject, tag| {
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
    assert_eq!(source::of(&reader), Ok(None));
    assert_eq!(source::subject(&reader), Ok(None));

    let coronal = Order {
        axes: [2, 0, 1],
        reversed: [false; 3],
    };
    let files = series::save(home.path(), &slices(coronal), series::in_order);
    let reader = ScanReader::open_series(&files).expect("a series");
    assert_eq!(source::of(&reader), Ok(None));
    let subject = source::subject(&reader).expect("read").expect("a patient");
    assert_eq!(subject.patient_name, "Nobody^At^All");
}

#[test]
fn what_a_series_was_read_in_spite_of_stands_in_the_report() {
    let home = TempDir::new().expect("a folder");
    save_model(home.path());
    let folder = home.path().join("tilted");
    fs::create_dir(&folder).expect("a folder");
    let mut tilted = slices(SUPINE);
    for (k, slice) in tilted.iter_mut().enumerate() {
        slice.shift([0.0, 0.5 * k as f64, 0.0]);
    }
    series::save(&folder, &tilted, series::in_order);
    fs::write(folder.join("README.TXT"), "insert the disc").expect("written");
    let report = segmented(vec![folder], home.path(), "out").expect("segmented");
    let codes: Vec<_> = report.warnings.iter().map(|w| w.code.as_str()).collect();
    assert!(codes.contains(&"dicom_gantry_tilt"), "{codes:?}");
    assert!(!codes.contains(&"dicom_other_files"), "{codes:?}");
}

#[test]
fn a_series_with_a_gap_is_refused_as_input_and_leaves_nothing() {
    let home = TempDir::new().expect("a folder");
    save_model(home.path());
    let mut gap = slices(SUPINE);
    gap.remove(7);
    let files = series::save(home.path(), &gap, series::in_order);
    let refused = segmented(files, home.path(), "out").expect_err("a refusal");
    assert_eq!(refused.exit, Exit::Input);
    assert!(refused.what.contains("1 are missing"), "{refused}");
    assert_eq!(refused.remedy, "send the whole series again");
    assert!(!home.path().join("out").exists());
}
