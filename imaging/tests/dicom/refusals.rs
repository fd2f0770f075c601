//! What makes a series no volume: a typed error, and a sentence that says what to do.

use std::fs;
use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use nephrobox_imaging::dicom::DicomError;
use nephrobox_imaging::{ImagingError, ScanReader};

use crate::series::{SUPINE, SliceFile, in_order, save, series};

/// Opens what is in a folder and reads it to the end; expects a refusal and checks its sentence.
fn refusal(folder: &Path) -> DicomError {
    let read = || {
        let mut scan = ScanReader::open_series(&[folder.to_owned()])?;
        let mut slice = vec![0; scan.geometry().slice_len()];
        while scan.next_slice(&mut slice)?.is_some() {}
        Ok(())
    };
    match read() {
        Err(ImagingError::Dicom(error)) => {
            let words = error.to_string();
            assert!(words.contains("; ") && !words.contains('\n'), "{words}");
            assert!(error.path().starts_with(folder), "{words}");
            println!("{words}");
            error
        }
        Err(other) => panic!("{other}"),
        Ok(()) => panic!("a refusal"),
    }
}

/// The refusal of a sound series after `spoil`.
fn spoilt(spoil: impl FnOnce(&mut Vec<SliceFile>)) -> DicomError {
    let home = tempfile::tempdir().unwrap();
    let mut slices = series(SUPINE);
    spoil(&mut slices);
    save(home.path(), &slices, in_order);
    refusal(home.path())
}

#[test]
fn a_folder_without_dicom() {
    let home = tempfile::tempdir().unwrap();
    assert!(matches!(refusal(home.path()), DicomError::NotDicom { .. }));
    fs::write(home.path().join("notes.txt"), "no scan here").unwrap();
    assert!(matches!(refusal(home.path()), DicomError::NotDicom { .. }));
}

#[test]
fn a_file_named_that_is_no_dicom() {
    let home = tempfile::tempdir().unwrap();
    let mut files = save(home.path(), &series(SUPINE), in_order);
    let text = home.path().join("notes.txt");
    fs::write(&text, "no scan here").unwrap();
    files.push(text.clone());
    match ScanReader::open_series(&files) {
        Err(ImagingError::Dicom(DicomError::NotDicom { path })) => assert_eq!(path, text),
        _ => panic!("a refusal"),
    }
    assert!(matches!(
        ScanReader::open_series(&[home.path().join("nowhere")]),
        Err(ImagingError::Dicom(DicomError::Io { .. }))
    ));
    assert!(ScanReader::open_series(&[]).is_err());
}

#[test]
fn an_mr_series() {
    let error = spoilt(|slices| {
        for slice in slices {
            slice.text(tags::MODALITY, VR::CS, "MR");
        }
    });
    assert!(matches!(error, DicomError::NoCt { found, .. } if found == "MR"));
}

#[test]
fn localisers_only() {
    let error = spoilt(|slices| {
        for slice in slices {
            slice.text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
        }
    });
    assert!(matches!(error, DicomError::NoCt { found, .. } if found == "localisers"));
}

/// Shows RQ-09.
#[test]
fn two_series_in_one_folder() {
    let error = spoilt(|slices| {
        let mut second = series(SUPINE);
        second.truncate(2);
        for slice in &mut second {
            slice.text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.4");
        }
        slices.extend(second);
    });
    assert!(error.to_string().contains("6 slices like"), "{error}");
    assert!(matches!(error, DicomError::MixedSeries { parts, .. } if parts.len() == 2));
}

#[test]
fn a_slice_of_another_orientation_size_spacing_or_frame_of_reference() {
    type Spoil = fn(&mut SliceFile);
    let spoils: [(Spoil, &str); 4] = [
        (
            |slice| slice.text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\1\\0\\0\\0\\-1"),
            "orientation",
        ),
        (
            |slice| {
                slice.short(tags::ROWS, 4);
                slice.short(tags::COLUMNS, 5);
            },
            "rows and columns",
        ),
        (
            |slice| slice.text(tags::PIXEL_SPACING, VR::DS, "0.75\\0.82"),
            "pixel spacing",
        ),
        (
            |slice| slice.text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.8"),
            "frame of reference",
        ),
    ];
    for (spoil, expected) in spoils {
        let error = spoilt(|slices| spoil(&mut slices[3]));
        assert!(
            matches!(error, DicomError::Differ { what, .. } if what == expected),
            "{error}"
        );
    }
}

/// Shows RQ-16.
#[test]
fn a_missing_slice() {
    let error = spoilt(|slices| {
        slices.remove(2);
    });
    assert!(
        matches!(error, DicomError::Gap { missing: 1, .. }),
        "{error}"
    );
}

/// Shows RQ-16.
#[test]
fn two_missing_slices() {
    let error = spoilt(|slices| {
        slices.drain(2..4);
    });
    assert!(
        matches!(error, DicomError::Gap { missing: 2, .. }),
        "{error}"
    );
}

/// Shows RQ-16.
#[test]
fn uneven_spacing() {
    let error = spoilt(|slices| slices[5].shift([0.0, 0.0, -1.0]));
    assert!(matches!(error, DicomError::Uneven { .. }), "{error}");
}

/// Shows RQ-16.
#[test]
fn two_phases_at_the_same_places() {
    let error = spoilt(|slices| {
        let mut second = series(SUPINE);
        for (k, slice) in second.iter_mut().enumerate() {
            slice.text(
                tags::SOP_INSTANCE_UID,
                VR::UI,
                &format!("2.25.88.{}", k + 1),
            );
        }
        slices.extend(second);
    });
    assert!(matches!(error, DicomError::SamePlace { .. }), "{error}");
}

#[test]
fn one_identifier_for_two_slices() {
    let error = spoilt(|slices| slices[1].text(tags::SOP_INSTANCE_UID, VR::UI, "2.25.77.1"));
    assert!(matches!(error, DicomError::Differ { .. }), "{error}");
}

/// Which of the two would be used must not hang on the names of their files.
#[test]
fn two_images_with_one_identifier() {
    let error = spoilt(|slices| {
        let mut second = slices[1].clone();
        let mut raw = second.raw();
        raw[0] ^= 1;
        second.bytes(raw);
        slices.push(second);
    });
    assert!(matches!(error, DicomError::Differ { .. }), "{error}");
}

#[test]
fn a_slice_pushed_aside() {
    let error = spoilt(|slices| slices[3].shift([1.0, 0.0, 0.0]));
    assert!(matches!(error, DicomError::Astray { .. }), "{error}");
}

#[test]
fn a_stack_sheared_beyond_any_gantry() {
    let error = spoilt(|slices| {
        for (k, slice) in slices.iter_mut().enumerate() {
            slice.shift([0.0, 3.0 * k as f64, 0.0]);
        }
    });
    assert!(matches!(error, DicomError::Oblique { .. }), "{error}");
}

/// Shows RQ-02.
#[test]
fn a_tag_that_every_slice_must_have() {
    let needed = [
        tags::SOP_INSTANCE_UID,
        tags::STUDY_INSTANCE_UID,
        tags::SERIES_INSTANCE_UID,
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::PIXEL_SPACING,
        tags::ROWS,
        tags::COLUMNS,
        tags::SAMPLES_PER_PIXEL,
        tags::BITS_ALLOCATED,
        tags::BITS_STORED,
        tags::HIGH_BIT,
        tags::PIXEL_REPRESENTATION,
        tags::RESCALE_SLOPE,
        tags::RESCALE_INTERCEPT,
        tags::PIXEL_DATA,
    ];
    for tag in needed {
        let error = spoilt(|slices| {
            slices[4].object.remove_element(tag);
        });
        assert!(
            matches!(error, DicomError::Missing { .. }),
            "{tag}: {error}"
        );
    }
}

#[test]
fn numbers_that_are_none() {
    let wrong = [
        (tags::IMAGE_POSITION_PATIENT, "1\\2"),
        (tags::IMAGE_POSITION_PATIENT, "1\\2\\NaN"),
        (tags::IMAGE_POSITION_PATIENT, "1\\2\\1e999"),
        (tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\1\\0\\0"),
        (tags::IMAGE_ORIENTATION_PATIENT, "2\\0\\0\\0\\1\\0"),
        (tags::PIXEL_SPACING, "0\\0.8"),
        (tags::PIXEL_SPACING, "-1\\0.8"),
        (tags::RESCALE_SLOPE, "0"),
        (tags::RESCALE_SLOPE, "one"),
    ];
    for (tag, text) in wrong {
        let error = spoilt(|slices| slices[0].text(tag, VR::DS, text));
        assert!(
            matches!(error, DicomError::Missing { .. }),
            "{text}: {error}"
        );
    }
}

#[test]
fn one_slice_without_a_thickness() {
    let error = spoilt(|slices| {
        slices.truncate(1);
        slices[0].object.remove_element(tags::SLICE_THICKNESS);
    });
    assert!(matches!(error, DicomError::Missing { name, .. } if name == "Slice Thickness"));
}

#[test]
fn several_slices_in_one_file() {
    let error = spoilt(|slices| slices[0].text(tags::NUMBER_OF_FRAMES, VR::IS, "40"));
    assert!(matches!(error, DicomError::MultiFrame { .. }), "{error}");
    let error = spoilt(|slices| {
        slices[0].text(tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_CT_IMAGE_STORAGE);
    });
    assert!(matches!(error, DicomError::MultiFrame { .. }), "{error}");
}

#[test]
fn colours_and_other_units_than_hu() {
    let error = spoilt(|slices| {
        slices[0].text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
    });
    assert!(matches!(error, DicomError::Pixels { .. }), "{error}");
    let error = spoilt(|slices| slices[0].text(tags::RESCALE_TYPE, VR::LO, "Z_EFF"));
    assert!(matches!(error, DicomError::Pixels { .. }), "{error}");
    let error = spoilt(|slices| slices[0].short(tags::HIGH_BIT, 15));
    assert!(matches!(error, DicomError::Pixels { .. }), "{error}");
}

#[test]
fn an_empty_or_gigantic_slice() {
    for side in [0, 4097, 65535] {
        let error = spoilt(|slices| slices[0].short(tags::ROWS, side));
        assert!(matches!(error, DicomError::Size { .. }), "{error}");
    }
}

#[test]
fn photographs_and_big_endian() {
    for syntax in ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.2"] {
        let home = tempfile::tempdir().unwrap();
        let mut slices = series(SUPINE);
        slices[0].packed("1.2.840.10008.1.2.4.70", vec![0; 60]);
        let mut file = slices[0].encode();
        let at = file
            .windows(22)
            .position(|window| window == b"1.2.840.10008.1.2.4.70")
            .unwrap();
        let mut uid = syntax.as_bytes().to_vec();
        uid.resize(22, 0);
        file[at..at + 22].copy_from_slice(&uid[..22]);
        fs::write(home.path().join("slice"), file).unwrap();
        let error = refusal(home.path());
        assert!(
            matches!(error, DicomError::TransferSyntax { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_file_cut_off_anywhere() {
    let home = tempfile::tempdir().unwrap();
    let files = save(home.path(), &series(SUPINE), in_order);
    let whole = fs::read(&files[2]).unwrap();
    for length in (132..whole.len()).step_by(7) {
        fs::write(&files[2], &whole[..length]).unwrap();
        let error = refusal(home.path());
        assert!(
            matches!(
                error,
                DicomError::Damaged { .. }
                    | DicomError::Missing { .. }
                    | DicomError::TransferSyntax { .. }
                    | DicomError::Gap { .. }
            ),
            "{length} bytes: {error}"
        );
    }
}

#[test]
fn a_file_replaced_after_the_series_was_opened() {
    let home = tempfile::tempdir().unwrap();
    let mut slices = series(SUPINE);
    let files = save(home.path(), &slices, in_order);
    let mut scan = ScanReader::open_series(&files).unwrap();
    slices[3].text(tags::RESCALE_INTERCEPT, VR::DS, "-1000");
    fs::write(&files[3], slices[3].encode()).unwrap();
    let mut slice = vec![0; 20];
    scan.read_slice(2, &mut slice).unwrap();
    assert!(matches!(
        scan.read_slice(3, &mut slice),
        Err(ImagingError::Dicom(DicomError::Changed { .. }))
    ));
}
