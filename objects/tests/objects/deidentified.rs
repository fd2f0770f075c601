//! Objects without whose they are: what is gone, what stays, and what others' judges say.

use dicom_core::header::Header as _;
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, OpenFileOptions, file::ReadPreamble};
use nephrobox_objects::{EmptyFrames, Object, ObjectsError, Picture, deidentify};
use nephrobox_shared::report::{Warning, WarningCode};

use crate::peers;
use crate::phantom::{Stored, device, labels, report, results};

const KEY: [u8; 32] = [7; 32];
const NAME: &str = "export-0123456789ab";
/// Stands in everything that could say whose an object is.
const MARK: &str = "MARKER";

fn bytes(object: &Object) -> Vec<u8> {
    let mut bytes = Vec::new();
    object.write(&mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> InMemDicomObject {
    let options = OpenFileOptions::new().read_preamble(ReadPreamble::Always);
    options.from_reader(bytes).unwrap().into_inner()
}

/// Segmentation and report of a series that has the marker in every text.
fn originals() -> [Vec<u8>; 2] {
    let (map, mut device) = (labels(), device());
    let mut source = Stored::PLAIN.source();
    for text in [
        &mut source.patient.name,
        &mut source.patient.id,
        &mut source.patient.id_issuer,
        &mut source.study.id,
        &mut source.study.accession_number,
        &mut source.study.referring_physician,
        &mut source.study.description,
        &mut source.position_reference,
        &mut device.serial,
        &mut device.station,
    ] {
        *text = MARK.into();
    }
    source.patient.birth_date = "19500417".into();
    let mut report = report(&map);
    let message = format!("{MARK} is what the scanner says.");
    report
        .warnings
        .push(Warning::new(WarningCode::Tilted, message));
    let results = results(&source, &report, &device);
    let seg = results.segmentation(&map, EmptyFrames::LeftOut).unwrap();
    let sr = results.measurements(&seg).unwrap();
    [bytes(&seg.object), bytes(&sr)]
}

fn deidentified() -> [Vec<u8>; 2] {
    originals().map(|original| deidentify(&original, &KEY, NAME).unwrap())
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Every UID below an object, at whatever depth.
fn uids_of(object: &InMemDicomObject, found: &mut Vec<String>) {
    for element in object {
        if let Some(items) = element.items() {
            for item in items {
                uids_of(item, found);
            }
        } else if element.vr() == dicom_core::VR::UI {
            let text = element.to_str().unwrap();
            found.push(text.trim_end_matches('\0').to_owned());
        }
    }
}

/// Shows RQ-63.
#[test]
fn nothing_that_names_the_patient_the_study_or_the_box_is_left() {
    let source = Stored::PLAIN.source();
    for (original, object) in originals().iter().zip(deidentified()) {
        for text in [MARK, "19500417", &source.study.date, &source.study.uid] {
            assert!(holds(original, text), "{text} is in the original");
            assert!(!holds(&object, text), "{text}");
        }
        for uid in source.slices.iter().map(|slice| &slice.sop_instance_uid) {
            assert!(!holds(&object, uid), "{uid}");
        }
        let object = read(&object);
        let text = |tag| object.element(tag).unwrap().to_str().unwrap().into_owned();
        assert_eq!(text(tags::PATIENT_NAME), NAME);
        assert_eq!(text(tags::PATIENT_ID), NAME);
        assert_eq!(text(tags::PATIENT_IDENTITY_REMOVED), "YES");
        assert_eq!(text(tags::STUDY_DATE), "");
    }
}

#[test]
fn every_uid_but_those_of_the_standard_is_another_one_and_references_still_meet() {
    let originals = originals().map(|bytes| read(&bytes));
    let objects = deidentified().map(|bytes| read(&bytes));
    let mut before = Vec::new();
    for object in &originals {
        uids_of(object, &mut before);
    }
    let mut after = Vec::new();
    for object in &objects {
        uids_of(object, &mut after);
    }
    for uid in &after {
        let of_the_standard = uid.starts_with("1.2.840.10008.");
        assert_eq!(before.contains(uid), of_the_standard, "{uid}");
    }
    let [seg, sr] = &objects;
    let segmentation = seg.element(tags::SOP_INSTANCE_UID).unwrap();
    let segmentation = segmentation.to_str().unwrap().into_owned();
    let mut named = Vec::new();
    uids_of(sr, &mut named);
    assert!(
        named.contains(&segmentation),
        "the report names its outlines"
    );
    let study = |object: &InMemDicomObject| {
        let uid = object.element(tags::STUDY_INSTANCE_UID).unwrap();
        uid.to_str().unwrap().into_owned()
    };
    assert_eq!(study(seg), study(sr));
}

#[test]
fn pixels_measures_and_codes_stay() {
    let [seg, sr] = &originals().map(|bytes| read(&bytes));
    let [clean_seg, clean_sr] = &deidentified().map(|bytes| read(&bytes));
    for tag in [
        tags::PIXEL_DATA,
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        tags::NUMBER_OF_FRAMES,
    ] {
        let len = |object: &InMemDicomObject| {
            let element = object.element(tag).unwrap();
            element.items().map_or_else(
                || element.to_bytes().unwrap().to_vec(),
                |items| items.len().to_le_bytes().to_vec(),
            )
        };
        assert_eq!(len(clean_seg), len(seg), "{tag}");
    }
    let numbers = |object| {
        let mut found = Vec::new();
        values(object, tags::FLOATING_POINT_VALUE, &mut found);
        found
    };
    assert!(numbers(sr).len() >= 6);
    assert_eq!(numbers(clean_sr), numbers(sr));
    let mut comments = Vec::new();
    values(clean_sr, tags::TEXT_VALUE, &mut comments);
    let comment = |words: &str| comments.iter().any(|text| text.contains(words));
    assert!(comment("For research use only") && comment("none outlined"));
    assert!(comment("The model's own test"));
}

/// The values of an attribute, at whatever depth.
fn values(object: &InMemDicomObject, tag: dicom_core::Tag, found: &mut Vec<String>) {
    for element in object {
        if let Some(items) = element.items() {
            for item in items {
                values(item, tag, found);
            }
        } else if element.tag() == tag {
            found.push(element.to_str().unwrap().into_owned());
        }
    }
}

#[test]
fn another_key_gives_other_uids_and_the_same_one_the_same_bytes() {
    let [seg, _] = originals();
    let by = |key| deidentify(&seg, key, NAME).unwrap();
    assert_eq!(by(&KEY), by(&KEY));
    let uid = |bytes: &[u8]| {
        let object = read(bytes);
        let uid = object.element(tags::SOP_INSTANCE_UID).unwrap();
        uid.to_str().unwrap().into_owned()
    };
    assert_ne!(uid(&by(&KEY)), uid(&by(&[8; 32])));
}

#[test]
fn what_is_not_known_to_be_ours_or_shows_a_picture_is_refused() {
    let (map, device, source) = (labels(), device(), Stored::PLAIN.source());
    let report = report(&map);
    let rgb = vec![0; 4 * 3 * 3];
    let picture = Picture {
        rows: 4,
        cols: 3,
        rgb: &rgb,
    };
    let capture = results(&source, &report, &device)
        .capture(picture, &[2])
        .unwrap();
    let mut image = Vec::new();
    Stored::PLAIN.ct(&source, 0).write_all(&mut image).unwrap();
    let [seg, _] = originals();
    for bytes in [&bytes(&capture), &image, &seg[..300], b"no DICOM", b""] {
        let refused = deidentify(bytes, &KEY, NAME);
        assert!(matches!(refused, Err(ObjectsError::Foreign)));
    }
}

#[test]
fn a_name_cannot_end_its_value_early() {
    let [seg, _] = originals();
    let object = deidentify(&seg, &KEY, "a\\b\0^c=\u{e4}-1").unwrap();
    let object = read(&object);
    let name = object.element(tags::PATIENT_ID).unwrap();
    assert_eq!(name.to_str().unwrap(), "abc-1");
}

#[test]
fn dciodvfy_finds_no_error_in_them() {
    let folder = tempfile::tempdir().unwrap();
    for (name, object) in ["seg.dcm", "sr.dcm"].iter().zip(deidentified()) {
        let path = folder.path().join(name);
        std::fs::write(&path, object).unwrap();
        peers::no_errors(&path);
    }
}
