//! DICOM series that are no volume, or say what no scanner says.

use std::fs;
use std::os::unix::fs::symlink;

use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};

use super::segment;
use crate::ground::{MARKS, named, slices};
use crate::phantom;
use crate::row::{Row, Section, refused, taken};
use crate::run::{LARGE_KIB, REFUSAL_KIB, WORK_KIB};
use crate::series::{self, SliceFile};

pub(crate) const SECTION: Section = Section::of_program(
    "A DICOM series: what its files say",
    "nephrobox segment FOLDER",
    segment,
    REFUSAL_KIB,
    ROWS,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("an empty folder", |p| { fs::create_dir(p.path("series")).expect("a folder"); p.path("series").into() }, 3, "neither imaging.nii.gz nor a DICOM file"),
    refused("a folder of texts", |p| { fs::create_dir(p.path("series")).expect("a folder"); p.file("series/readme", "no scan"); p.path("series").into() }, 3, "neither imaging.nii.gz nor a DICOM file"),
    refused("a folder with a file of zeros called DICOMDIR", |p| { fs::create_dir(p.path("series")).expect("a folder"); p.file("series/DICOMDIR", [0; 9000]); p.path("series").into() }, 3, "neither imaging.nii.gz nor a DICOM file"),
    refused("a case folder with an empty imaging.nii.gz", |p| { fs::create_dir(p.path("case")).expect("a folder"); p.file("case/imaging.nii.gz", b""); p.path("case").into() }, 3, "0 bytes"),
    refused("an MR series", |p| all(p, |s| s.text(tags::MODALITY, VR::CS, "MR")), 3, "only MR"),
    refused("localisers alone", |p| all(p, |s| s.text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER")), 3, "only localisers"),
    refused("two series in a folder", |p| p.series(|s| { for slice in &mut s[..9] { slice.text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.4"); } }), 3, "2 series"),
    refused("two patients in a series", |p| p.series(|s| { for slice in &mut s[..9] { slice.text(tags::PATIENT_ID, VR::LO, "PID-7741903-B"); } }), 3, "differ in"),
    refused("a slice missing in the middle", |p| p.series(|s| { s.remove(7); }), 3, "missing"),
    refused("three slices missing", |p| p.series(|s| { s.drain(7..10); }), 3, "missing"),
    refused("a slice between two others", |p| p.series(|s| s[9].shift([0.0, 0.0, -1.0])), 3, "mm"),
    refused("a slice pushed aside", |p| p.series(|s| s[9].shift([4.0, 0.0, 0.0])), 3, "mm|beside|line"),
    refused("a slice 100 km away", |p| p.series(|s| s[19].shift([0.0, 0.0, 1e8])), 3, "mm|missing"),
    refused("all slices at one place", |p| all(p, |s| s.text(tags::IMAGE_POSITION_PATIENT, VR::DS, "0\\0\\0")), 3, "same place"),
    refused("one identifier for all slices", |p| all(p, |s| s.text(tags::SOP_INSTANCE_UID, VR::UI, "2.25.9")), 3, "differ in"),
    refused("coronal slices", |p| all(p, |s| s.text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1")), 3, "degrees|place|line|slices"),
    refused("rows and columns along one direction", |p| all(p, |s| s.text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\1\\0\\0")), 3, "Image Orientation"),
    refused("directions of length 2", |p| all(p, |s| s.text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "2\\0\\0\\0\\2\\0")), 3, "Image Orientation"),
    refused("a place of NaN", |p| one(p, |s| s.text(tags::IMAGE_POSITION_PATIENT, VR::DS, "NaN\\0\\0")), 3, "Image Position"),
    refused("a place of 10^999", |p| one(p, |s| s.text(tags::IMAGE_POSITION_PATIENT, VR::DS, "1e999\\0\\0")), 3, "Image Position"),
    refused("a place with two numbers", |p| one(p, |s| s.text(tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\2")), 3, "Image Position"),
    refused("a pixel spacing of 0", |p| all(p, |s| s.text(tags::PIXEL_SPACING, VR::DS, "0\\0")), 3, "Pixel Spacing"),
    refused("a negative pixel spacing", |p| all(p, |s| s.text(tags::PIXEL_SPACING, VR::DS, "-1\\1")), 3, "Pixel Spacing"),
    refused("a pixel spacing of 10 m", |p| all(p, |s| s.text(tags::PIXEL_SPACING, VR::DS, "10000\\10000")), 3, "not plausible"),
    refused("a pixel spacing in words", |p| all(p, |s| s.text(tags::PIXEL_SPACING, VR::DS, "one\\two")), 3, "Pixel Spacing"),
    refused("no spacing at all", |p| all(p, |s| { s.object.remove_element(tags::PIXEL_SPACING); }), 3, "Pixel Spacing"),
    refused("no series", |p| all(p, |s| { s.object.remove_element(tags::SERIES_INSTANCE_UID); }), 3, "Series Instance UID"),
    refused("an empty identifier", |p| one(p, |s| s.text(tags::SOP_INSTANCE_UID, VR::UI, "")), 3, "SOP Instance UID"),
    refused("a rescale slope of 0", |p| all(p, |s| s.text(tags::RESCALE_SLOPE, VR::DS, "0")), 3, "Rescale Slope"),
    refused("a rescale slope of NaN", |p| all(p, |s| s.text(tags::RESCALE_SLOPE, VR::DS, "nan")), 3, "Rescale Slope"),
    refused("other units than HU", |p| all(p, |s| s.text(tags::RESCALE_TYPE, VR::LO, "Z_EFF")), 3, "HU|unit|Z_EFF|pixels"),
    refused("several slices in one file", |p| one(p, |s| s.text(tags::NUMBER_OF_FRAMES, VR::IS, "3000")), 3, "several slices"),
    refused("an enhanced CT", |p| one(p, |s| s.text(tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_CT_IMAGE_STORAGE)), 3, "several slices"),
    refused("one slice without a thickness", |p| p.series(|s| { s.truncate(1); s[0].object.remove_element(tags::SLICE_THICKNESS); }), 3, "Slice Thickness"),
    refused("more files than a series can have", crowd, 3, "more than 16384 files"),
    refused("folders within folders, 40 deep", |p| { let deep = p.path(&"series/".repeat(40)); fs::create_dir_all(&deep).expect("folders"); series::save(&deep, &slices(), series::in_order); p.path("series").into() }, 3, "neither imaging.nii.gz nor a DICOM file"),
    refused("a link to its own folder, and nothing else", |p| { fs::create_dir(p.path("series")).expect("a folder"); symlink(p.path("series"), p.path("series/again")).expect("a link"); p.path("series").into() }, 3, "neither imaging.nii.gz nor a DICOM file"),
    taken("a link to its own folder beside the slices", |p| { let given = p.series(|_| ()); symlink(p.path("series"), p.path("series/again")).expect("a link"); given }, "Kidney volume").within(WORK_KIB),
    taken("a pipe, a text and an archive beside the slices", |p| { let given = p.series(|_| ()); p.pipe("series/pipe"); p.file("series/readme", "no slice"); p.file("series/old.tar", super::tar::sound()); given }, "Kidney volume").within(WORK_KIB),
    taken("every slice twice", |p| { let given = p.series(|_| ()); fs::create_dir(p.path("series/copy")).expect("a folder"); series::save(&p.path("series/copy"), &slices(), series::in_order); given }, "Kidney volume").within(WORK_KIB),
    taken("UIDs that are paths upwards", |p| all(p, |s| { for tag in [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::FRAME_OF_REFERENCE_UID] { s.text(tag, VR::UI, "../../../../tmp/2.25.338811"); } }), "Kidney volume").within(WORK_KIB),
    taken("a name of 60 kB", |p| all(p, |s| s.text(tags::PATIENT_NAME, VR::PN, &MARKS[0].repeat(12_000))), "Kidney volume").within(WORK_KIB),
    taken("a private element of 16 MB in a slice", |p| one(p, |s| { s.object.put(DataElement::new(dicom_core::Tag(0x0009, 0x1010), VR::OB, dicom_core::value::PrimitiveValue::from(vec![7_u8; 16 << 20]))); }), "Kidney volume").within(WORK_KIB),
    taken("names with control characters and markup", |p| all(p, |s| { s.text(tags::PATIENT_NAME, VR::PN, "Zzyzx\u{1b}[2J\u{7}<script>^\r\n"); s.text(tags::STUDY_DESCRIPTION, VR::LO, "\u{1b}]0;owned\u{7}</svg><b>&"); }), "Kidney volume").within(WORK_KIB),
    taken("a character set that does not exist", |p| all(p, |s| { s.text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 9999"); }), "Kidney volume").within(WORK_KIB),
    taken("one slice", |p| p.series(|s| s.truncate(1)), "warning: ").within(WORK_KIB),
    taken("3,000 slices", |p| { let folder = p.path("series"); fs::create_dir(&folder).expect("a folder"); let many = series::of(series::SUPINE, [3000, 8, 8], phantom::SPACING, phantom::ORIGIN, &|[_, row, col]| (row * col) as i16); let mut many = named(many); for (k, slice) in many.iter_mut().enumerate() { slice.text(tags::SOP_INSTANCE_UID, VR::UI, &format!("2.25.5.{k}")); } series::save(&folder, &many, |k| format!("{k}.dcm")); folder.into() }, "3000 slices in").within(LARGE_KIB),
    taken("a study date of the year 0 and a birth date of words", |p| all(p, |s| { s.text(tags::STUDY_DATE, VR::DA, "00000000"); s.text(tags::PATIENT_BIRTH_DATE, VR::DA, "yesterday"); }), "Kidney volume").within(WORK_KIB),
    taken("slices of two names and one patient", |p| one(p, |s| s.text(tags::SERIES_DESCRIPTION, VR::LO, "another")), "Kidney volume").within(WORK_KIB),
];

/// Spoils every slice.
pub(super) fn all(p: &crate::ground::Place<'_>, spoil: fn(&mut SliceFile)) -> crate::row::Given {
    p.series(|slices| slices.iter_mut().for_each(spoil))
}

/// Spoils one slice in the middle.
pub(super) fn one(p: &crate::ground::Place<'_>, spoil: fn(&mut SliceFile)) -> crate::row::Given {
    p.series(|slices| spoil(&mut slices[10]))
}

/// A folder of very many small files.
fn crowd(p: &crate::ground::Place<'_>) -> crate::row::Given {
    let folder = p.path("series");
    fs::create_dir(&folder).expect("a folder");
    let file = folder.join("0");
    fs::write(&file, b"").expect("written");
    // Names of one file cost no room on the disk.
    for number in 1..=16_384 {
        let name = folder.join(number.to_string());
        if fs::hard_link(&file, &name).is_err() {
            fs::write(&name, b"").expect("written");
        }
    }
    folder.into()
}
