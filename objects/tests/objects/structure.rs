//! The objects as a reader without any of our code finds them: written, read back with `dicom-object`, and looked at.

use crate::phantom::{MADE, PDF, SHAPE, Stored, device, label, labels, report, results};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{FileDicomObject, InMemDicomObject};
use nephrobox_objects::{EmptyFrames, Object, ObjectsError, Picture, Results, Segment, Source};
use nephrobox_shared::{measure::LabelMap, report::RESEARCH_USE_NOTICE};

fn read(object: &Object) -> FileDicomObject<InMemDicomObject> {
    let mut bytes = Vec::new();
    object.write(&mut bytes).unwrap();
    dicom_object::from_reader(bytes.as_slice()).unwrap()
}

fn text(item: &InMemDicomObject, tag: Tag) -> String {
    let value = item.element(tag).unwrap().to_str().unwrap();
    value.trim_end_matches(['\0', ' ']).to_owned()
}

fn items(item: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    item.element(tag).unwrap().items().unwrap_or(&[])
}

/// The labels that a segmentation holds, found by each frame's own segment number and source image.
fn labels_of(seg: &InMemDicomObject, stored: Stored) -> Vec<u8> {
    let [slices, rows, cols] = SHAPE;
    let source = stored.source();
    let bits = seg.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    let [image_rows, image_cols] = stored.size();
    let mut found = vec![0; slices * rows * cols];
    for (index, frame) in items(seg, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
        .iter()
        .enumerate()
    {
        let number = &items(frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE)[0];
        let number: usize = number
            .element(tags::REFERENCED_SEGMENT_NUMBER)
            .unwrap()
            .to_int()
            .unwrap();
        let derivation = &items(frame, tags::DERIVATION_IMAGE_SEQUENCE)[0];
        let image = text(
            &items(derivation, tags::SOURCE_IMAGE_SEQUENCE)[0],
            tags::REFERENCED_SOP_INSTANCE_UID,
        );
        let slice = source
            .slices
            .iter()
            .position(|slice| slice.sop_instance_uid == image)
            .unwrap();
        let position = &items(frame, tags::PLANE_POSITION_SEQUENCE)[0];
        let position = position.element(tags::IMAGE_POSITION_PATIENT).unwrap();
        assert_eq!(
            position.to_multi_float64().unwrap(),
            source.slices[slice].position_mm
        );
        for row in 0..image_rows {
            for col in 0..image_cols {
                let bit = (index * image_rows + row) * image_cols + col;
                if bits[bit / 8] >> (bit % 8) & 1 == 1 {
                    let [row, col] = stored.canonical(row, col);
                    let voxel = &mut found[(slice * rows + row) * cols + col];
                    assert_eq!(*voxel, 0, "segments overlap");
                    *voxel = Segment::ALL[number - 1].class.label();
                }
            }
        }
    }
    found
}

fn expected() -> Vec<u8> {
    let [slices, rows, cols] = SHAPE;
    (0..slices * rows * cols)
        .map(|i| label([i / cols / rows, i / cols % rows, i % cols]))
        .collect()
}

#[test]
fn a_segmentation_holds_the_label_map_in_each_of_the_eight_orientations() {
    let (map, device) = (labels(), device());
    let report = report(&map);
    for stored in Stored::all() {
        let source = stored.source();
        for (empty, frames) in [(EmptyFrames::LeftOut, "8"), (EmptyFrames::Kept, "24")] {
            let seg = results(&source, &report, &device)
                .segmentation(&map, empty)
                .unwrap();
            let seg = read(&seg.object);
            assert_eq!(text(&seg, tags::NUMBER_OF_FRAMES), frames, "{stored:?}");
            assert_eq!(labels_of(&seg, stored), expected(), "{stored:?}");
        }
    }
}

#[test]
fn each_segment_is_one_structure_on_one_side_of_the_patient() {
    let (map, device, source) = (labels(), device(), Stored::PLAIN.source());
    let report = report(&map);
    let seg = results(&source, &report, &device)
        .segmentation(&map, EmptyFrames::LeftOut)
        .unwrap();
    let present: Vec<&str> = seg.present.iter().map(|segment| segment.label).collect();
    assert_eq!(
        present,
        ["Right kidney", "Left kidney", "Right kidney tumour"]
    );
    let file = read(&seg.object);
    let coded: Vec<[String; 3]> = items(&file, tags::SEGMENT_SEQUENCE)
        .iter()
        .map(|segment| {
            let kind = &items(segment, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE)[0];
            let side = &items(kind, tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE)[0];
            [
                text(segment, tags::SEGMENT_LABEL),
                text(kind, tags::CODE_VALUE),
                text(side, tags::CODE_VALUE),
            ]
        })
        .collect();
    // SNOMED CT: kidney, neoplasm; right, left.
    assert_eq!(
        coded,
        [
            ["Right kidney", "64033007", "24028007"],
            ["Left kidney", "64033007", "7771000"],
            ["Right kidney tumour", "108369006", "24028007"],
            ["Left kidney tumour", "108369006", "7771000"],
        ]
    );
}

#[test]
fn a_scan_without_kidneys_still_gives_a_segmentation_and_a_report_that_say_so() {
    let [slices, rows, cols] = SHAPE;
    let mut map = LabelMap::new(rows, cols).unwrap();
    for _ in 0..slices {
        map.push(&vec![0; rows * cols]).unwrap();
    }
    let (report, device, source) = (report(&map), device(), Stored::PLAIN.source());
    let results = results(&source, &report, &device);
    let seg = results.segmentation(&map, EmptyFrames::LeftOut).unwrap();
    assert!(seg.present.is_empty());
    assert_eq!(text(&read(&seg.object), tags::NUMBER_OF_FRAMES), "4");
    let sr = read(&results.measurements(&seg).unwrap());
    let sentences = texts(&sr);
    assert!(
        sentences.contains(&"Right kidney: none outlined.".to_owned()),
        "{sentences:?}"
    );
    assert!(
        sentences
            .iter()
            .any(|text| text.starts_with("No kidney and no tumour"))
    );
}

/// Every text of a content tree, depth first.
fn texts(item: &InMemDicomObject) -> Vec<String> {
    let mut found = Vec::new();
    if item.get(tags::TEXT_VALUE).is_some() {
        found.push(text(item, tags::TEXT_VALUE));
    }
    if item.get(tags::CONTENT_SEQUENCE).is_some() {
        found.extend(items(item, tags::CONTENT_SEQUENCE).iter().flat_map(texts));
    }
    found
}

/// Numbers of a content tree with unit, to the last bit, depth first.
fn numbers(item: &InMemDicomObject) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    if item.get(tags::MEASURED_VALUE_SEQUENCE).is_some() {
        let measured = &items(item, tags::MEASURED_VALUE_SEQUENCE)[0];
        let unit = &items(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE)[0];
        let value = measured.element(tags::FLOATING_POINT_VALUE).unwrap();
        found.push((text(unit, tags::CODE_VALUE), value.to_float64().unwrap()));
    }
    if item.get(tags::CONTENT_SEQUENCE).is_some() {
        found.extend(items(item, tags::CONTENT_SEQUENCE).iter().flat_map(numbers));
    }
    found
}

#[test]
fn a_structured_report_holds_the_reports_numbers_to_the_last_bit() {
    let (map, device, source) = (labels(), device(), Stored::PLAIN.source());
    let report = report(&map);
    let results = results(&source, &report, &device);
    let seg = results.segmentation(&map, EmptyFrames::LeftOut).unwrap();
    let sr = read(&results.measurements(&seg).unwrap());
    let sides = &report.findings.sides;
    let of = |ml: f64, mm2: f64| [("mL".to_owned(), ml), ("mm2".to_owned(), mm2)];
    let expected = [
        of(
            sides.right.kidney_volume_ml,
            sides.right.kidney_largest_area_mm2,
        ),
        of(
            sides.left.kidney_volume_ml,
            sides.left.kidney_largest_area_mm2,
        ),
        of(
            sides.right.tumour_volume_ml,
            sides.right.tumour_largest_area_mm2,
        ),
    ];
    let tumour = &report.findings.tumours[0];
    let diameters = [
        tumour.in_plane_diameter,
        tumour.in_plane_perpendicular,
        tumour.largest_diameter,
    ];
    let diameters = diameters.map(|line| ("mm".to_owned(), line.length_mm));
    assert!(sides.right.kidney_volume_ml > 0.0);
    assert_eq!(numbers(&sr), [&expected.concat()[..], &diameters].concat());
    assert!(texts(&sr).contains(&RESEARCH_USE_NOTICE.to_owned()));
}

#[test]
fn a_picture_and_a_document_come_back_byte_for_byte() {
    let (map, device, source) = (labels(), device(), Stored::PLAIN.source());
    let report = report(&map);
    let results = results(&source, &report, &device);
    // 5 x 3 x 3 is odd, so a byte of padding follows.
    let rgb: Vec<u8> = (0..45).collect();
    let picture = Picture {
        rows: 5,
        cols: 3,
        rgb: &rgb,
    };
    let capture = read(&results.capture(picture, &[2]).unwrap());
    let pixels = capture
        .element(tags::PIXEL_DATA)
        .unwrap()
        .to_bytes()
        .unwrap();
    assert_eq!((&pixels[..45], pixels.len()), (rgb.as_slice(), 46));
    let document = read(&results.document(PDF).unwrap());
    let length: usize = document
        .element(tags::ENCAPSULATED_DOCUMENT_LENGTH)
        .unwrap()
        .to_int()
        .unwrap();
    let bytes = document
        .element(tags::ENCAPSULATED_DOCUMENT)
        .unwrap()
        .to_bytes()
        .unwrap();
    assert_eq!(&bytes[..length], PDF);
}

/// Shows RQ-10, RQ-33.
#[test]
fn every_object_carries_patient_notice_model_and_hash() {
    let (map, device, source) = (labels(), device(), Stored::PLAIN.source());
    let report = report(&map);
    for object in all(&results(&source, &report, &device), &map) {
        let file = read(&object);
        assert_eq!(text(&file, tags::PATIENT_NAME), "Müller^Jörg");
        assert_eq!(text(&file, tags::STUDY_INSTANCE_UID), source.study.uid);
        // An hour east of UTC.
        assert_eq!(text(&file, tags::CONTENT_TIME), "133456.000");
        assert!(text(&file, tags::SERIES_DESCRIPTION).starts_with("For research use only"));
        let contributor = &items(&file, tags::CONTRIBUTING_EQUIPMENT_SEQUENCE)[0];
        let statement = text(contributor, tags::CONTRIBUTION_DESCRIPTION);
        for part in [
            RESEARCH_USE_NOTICE,
            "demo-resnet18 version 3",
            &report.model.blake3,
        ] {
            assert!(statement.contains(part), "{statement}");
        }
    }
}

fn all(results: &Results<'_>, map: &LabelMap) -> Vec<Object> {
    let seg = results.segmentation(map, EmptyFrames::LeftOut).unwrap();
    let picture = Picture {
        rows: 1,
        cols: 2,
        rgb: &[1, 2, 3, 4, 5, 6],
    };
    vec![
        results.measurements(&seg).unwrap(),
        seg.object,
        results.capture(picture, &[]).unwrap(),
        results.document(PDF).unwrap(),
    ]
}

/// Shows RQ-51.
#[test]
fn the_same_results_are_the_same_objects_and_others_are_others() {
    let (map, device, source) = (labels(), device(), Stored::PLAIN.source());
    let report = report(&map);
    let bytes = |object: &Object| {
        let mut bytes = Vec::new();
        object.write(&mut bytes).unwrap();
        bytes
    };
    let first = all(&results(&source, &report, &device), &map);
    let again = all(&results(&source, &report, &device), &map);
    let mut other_report = report.clone();
    other_report.model.version += 1;
    let other = all(&results(&source, &other_report, &device), &map);
    for ((first, again), other) in first.iter().zip(&again).zip(&other) {
        assert_eq!(bytes(first), bytes(again));
        assert_ne!(first.sop_instance_uid(), other.sop_instance_uid());
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    type Change = fn(&mut Source);
    let (map, device, good) = (labels(), device(), Stored::PLAIN.source());
    let report = report(&map);
    let cases: [(Change, &str); 8] = [
        (|s| s.series_uid = "../x".into(), "no DICOM UID"),
        (|s| s.slices.clear(), "has 0 slices"),
        (
            |s| s.slices.reverse(),
            "slice 1 of the source does not lie below",
        ),
        (|s| s.slices[3].position_mm[0] = f64::NAN, "Image Position"),
        (|s| s.pixel_spacing_mm = [0.0, 1.0], "Pixel Spacing"),
        (
            |s| s.orientation = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0],
            "not transverse",
        ),
        (|s| s.orientation = [0.0; 6], "Image Orientation"),
        (|s| s.rows = 0, "neither may be 0"),
    ];
    for (change, says) in cases {
        let mut source = good.clone();
        change(&mut source);
        let refused = Results::new(&source, &report, &device, MADE).expect_err(says);
        assert!(refused.to_string().contains(says), "{refused}");
    }
    let results = results(&good, &report, &device);
    let small = LabelMap::new(2, 2).unwrap();
    assert!(matches!(
        results.segmentation(&small, EmptyFrames::Kept),
        Err(ObjectsError::Size { .. })
    ));
    assert!(matches!(results.document(b"PK"), Err(ObjectsError::NotPdf)));
    let picture = Picture {
        rows: 2,
        cols: 2,
        rgb: &[0; 11],
    };
    assert!(matches!(
        results.capture(picture, &[]),
        Err(ObjectsError::Picture { .. })
    ));
}
