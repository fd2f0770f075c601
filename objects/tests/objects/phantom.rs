//! An asymmetric patient, stored in each of the ways in which transverse images can be stored.

use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};
use nephrobox_objects::{Device, Patient, Results, Source, SourceSlice, Study};
use nephrobox_shared::{
    measure::{LabelMap, Midline, Spacing, measure},
    report::{
        Findings, InputInfo, ModelInfo, ProgramInfo, RESEARCH_USE_NOTICE, Report, SCHEMA_VERSION,
        Timing,
    },
};

/// Slices, rows and columns; a slice has no whole number of bytes of bits.
pub(crate) const SHAPE: [usize; 3] = [6, 15, 21];
/// Between slices, rows and columns, all different.
pub(crate) const SPACING_MM: [f64; 3] = [2.5, 0.75, 0.5];
/// When the results were made: 2026-03-01 12:34:56 UTC.
pub(crate) const MADE: Duration = Duration::from_secs(1_772_368_496);

/// A right kidney with a tumour, and a left kidney lower down, in canonical voxels.
pub(crate) fn label([slice, row, col]: [usize; 3]) -> u8 {
    let within = |[s, r, c]: [std::ops::Range<usize>; 3]| {
        s.contains(&slice) && r.contains(&row) && c.contains(&col)
    };
    if within([2..4, 4..6, 3..5]) {
        return 2;
    }
    u8::from(within([1..4, 4..10, 3..8]) || within([2..5, 5..12, 13..17]))
}

/// The label map of the patient.
pub(crate) fn labels() -> LabelMap {
    let [slices, rows, cols] = SHAPE;
    let mut map = LabelMap::new(rows, cols).unwrap();
    for slice in 0..slices {
        let pixels = (0..rows * cols).map(|i| label([slice, i / cols, i % cols]));
        map.push(&pixels.collect::<Vec<u8>>()).unwrap();
    }
    map
}

/// What the box would report of a label map.
pub(crate) fn report(map: &LabelMap) -> Report {
    let [slice_mm, row_mm, col_mm] = SPACING_MM;
    let spacing = Spacing::new(slice_mm, row_mm, col_mm).unwrap();
    let [slices, rows, cols] = SHAPE;
    let mut midline = Midline::new();
    midline.add(&vec![40; rows * cols], cols).unwrap();
    let measures = measure(map, spacing, midline.column()).unwrap();
    let findings = Findings::new(&measures, &midline);
    Report {
        schema_version: SCHEMA_VERSION,
        notice: RESEARCH_USE_NOTICE.into(),
        program: ProgramInfo {
            name: "nephrobox".into(),
            version: "0.1.0".into(),
        },
        model: ModelInfo {
            name: "demo-resnet18".into(),
            version: 3,
            blake3: "5e".repeat(32),
            encoder: "resnet18".into(),
            licence_notice: String::new(),
            test_scores: "not measured".into(),
        },
        engine: None,
        input: InputInfo {
            file: "phantom".into(),
            blake3: None,
            slices,
            rows,
            cols,
            spacing,
            orientation: "LPS".into(),
        },
        subject: None,
        visited: None,
        confidence: None,
        change: None,
        warnings: findings.warnings(),
        findings,
        outputs: Vec::new(),
        timing: Timing::default(),
    }
}

/// The box.
pub(crate) fn device() -> Device {
    Device {
        serial: "NB-0007".into(),
        station: "BEDSIDE-3".into(),
        utc_offset_minutes: 60,
    }
}

/// Where a canonical voxel lies in the patient, mm (x to the left, y to the back, z to the head).
fn place(voxel: [f64; 3]) -> [f64; 3] {
    [
        voxel[2] * SPACING_MM[2] - 5.0,
        voxel[1] * SPACING_MM[1] + 12.25,
        -700.125 - voxel[0] * SPACING_MM[0],
    ]
}

/// One of the eight ways to store a transverse image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    /// Rows of the image run from front to back.
    pub(crate) transposed: bool,
    /// The first row is the last canonical one (column if transposed).
    pub(crate) rows_flipped: bool,
    /// The first column is the last canonical one (row if transposed).
    pub(crate) cols_flipped: bool,
}

impl Stored {
    /// All eight.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|bits| Self {
            transposed: bits & 1 != 0,
            rows_flipped: bits & 2 != 0,
            cols_flipped: bits & 4 != 0,
        })
    }

    /// The way of most scanners.
    pub(crate) const PLAIN: Self = Self {
        transposed: false,
        rows_flipped: false,
        cols_flipped: false,
    };

    /// Rows and columns of an image.
    pub(crate) fn size(self) -> [usize; 2] {
        let [_, rows, cols] = SHAPE;
        if self.transposed {
            [cols, rows]
        } else {
            [rows, cols]
        }
    }

    /// The canonical row and column that a stored pixel shows.
    pub(crate) fn canonical(self, row: usize, col: usize) -> [usize; 2] {
        let [rows, cols] = self.size();
        let row = if self.rows_flipped {
            rows - 1 - row
        } else {
            row
        };
        let col = if self.cols_flipped {
            cols - 1 - col
        } else {
            col
        };
        if self.transposed {
            [col, row]
        } else {
            [row, col]
        }
    }

    /// The series as its reader would describe it. Directions and positions come from places in the patient alone.
    pub(crate) fn source(self) -> Source {
        let at = |slice: usize, row, col| {
            let [row, col] = self.canonical(row, col);
            place([slice as f64, row as f64, col as f64])
        };
        let step = |to: [f64; 3]| {
            let from = at(0, 0, 0);
            let by = [to[0] - from[0], to[1] - from[1], to[2] - from[2]];
            let mm = by.iter().map(|x| x * x).sum::<f64>().sqrt();
            (by.map(|x| x / mm), mm)
        };
        let ([a, b, c], col_mm) = step(at(0, 0, 1));
        let ([d, e, f], row_mm) = step(at(0, 1, 0));
        let [rows, cols] = self.size();
        Source {
            patient: Patient {
                name: "Müller^Jörg".into(),
                id: "P-1".into(),
                birth_date: "19600229".into(),
                sex: "M".into(),
                age: "066Y".into(),
                ..Patient::default()
            },
            study: Study {
                uid: "1.2.826.0.1.3680043.10.999.1".into(),
                date: "20260301".into(),
                time: "101112".into(),
                id: "77".into(),
                accession_number: "A77".into(),
                description: "CT abdomen".into(),
                ..Study::default()
            },
            series_uid: "1.2.826.0.1.3680043.10.999.1.2".into(),
            frame_of_reference_uid: "1.2.826.0.1.3680043.10.999.1.3".into(),
            sop_class_uid: uids::CT_IMAGE_STORAGE.into(),
            rows: rows as u16,
            cols: cols as u16,
            orientation: [a, b, c, d, e, f],
            pixel_spacing_mm: [row_mm, col_mm],
            slice_thickness_mm: Some(2.5),
            slices: (0..SHAPE[0])
                .map(|slice| SourceSlice {
                    sop_instance_uid: format!("1.2.826.0.1.3680043.10.999.1.2.{}", 100 + slice),
                    position_mm: at(slice, 0, 0),
                })
                .collect(),
            ..Source::default()
        }
    }

    /// One image of the series as a CT file; a pixel is 100 times its label.
    pub(crate) fn ct(self, source: &Source, slice: usize) -> FileDicomObject<InMemDicomObject> {
        let [rows, cols] = self.size();
        let pixels: Vec<u16> = (0..rows * cols)
            .map(|i| {
                let [row, col] = self.canonical(i / cols, i % cols);
                100 * u16::from(label([slice, row, col]))
            })
            .collect();
        let decimals = |numbers: &[f64]| {
            let texts: Vec<String> = numbers.iter().map(f64::to_string).collect();
            texts.join("\\")
        };
        let of = &source.slices[slice];
        let texts = [
            (
                tags::SPECIFIC_CHARACTER_SET,
                VR::CS,
                "ISO_IR 192".to_owned(),
            ),
            (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL".into()),
            (tags::SOP_CLASS_UID, VR::UI, source.sop_class_uid.clone()),
            (tags::SOP_INSTANCE_UID, VR::UI, of.sop_instance_uid.clone()),
            (tags::STUDY_DATE, VR::DA, source.study.date.clone()),
            (tags::STUDY_TIME, VR::TM, source.study.time.clone()),
            (
                tags::ACCESSION_NUMBER,
                VR::SH,
                source.study.accession_number.clone(),
            ),
            (tags::MODALITY, VR::CS, "CT".into()),
            (tags::MANUFACTURER, VR::LO, "Phantom".into()),
            (tags::REFERRING_PHYSICIAN_NAME, VR::PN, String::new()),
            (tags::PATIENT_NAME, VR::PN, source.patient.name.clone()),
            (tags::PATIENT_ID, VR::LO, source.patient.id.clone()),
            (
                tags::PATIENT_BIRTH_DATE,
                VR::DA,
                source.patient.birth_date.clone(),
            ),
            (tags::PATIENT_SEX, VR::CS, source.patient.sex.clone()),
            (tags::SLICE_THICKNESS, VR::DS, "2.5".into()),
            (tags::KVP, VR::DS, "120".into()),
            (tags::PATIENT_POSITION, VR::CS, "HFS".into()),
            (tags::STUDY_INSTANCE_UID, VR::UI, source.study.uid.clone()),
            (tags::SERIES_INSTANCE_UID, VR::UI, source.series_uid.clone()),
            (tags::STUDY_ID, VR::SH, source.study.id.clone()),
            (tags::SERIES_NUMBER, VR::IS, "2".into()),
            (tags::ACQUISITION_NUMBER, VR::IS, "1".into()),
            (tags::INSTANCE_NUMBER, VR::IS, (slice + 1).to_string()),
            (
                tags::IMAGE_POSITION_PATIENT,
                VR::DS,
                decimals(&of.position_mm),
            ),
            (
                tags::IMAGE_ORIENTATION_PATIENT,
                VR::DS,
                decimals(&source.orientation),
            ),
            (
                tags::FRAME_OF_REFERENCE_UID,
                VR::UI,
                source.frame_of_reference_uid.clone(),
            ),
            (tags::POSITION_REFERENCE_INDICATOR, VR::LO, String::new()),
            (
                tags::PHOTOMETRIC_INTERPRETATION,
                VR::CS,
                "MONOCHROME2".into(),
            ),
            (
                tags::PIXEL_SPACING,
                VR::DS,
                decimals(&source.pixel_spacing_mm),
            ),
            (tags::RESCALE_INTERCEPT, VR::DS, "0".into()),
            (tags::RESCALE_SLOPE, VR::DS, "1".into()),
            (tags::RESCALE_TYPE, VR::LO, "HU".into()),
        ];
        let numbers = [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, source.rows),
            (tags::COLUMNS, source.cols),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 12),
            (tags::HIGH_BIT, 11),
            (tags::PIXEL_REPRESENTATION, 0),
        ];
        let mut ct = InMemDicomObject::new_empty();
        for (tag, vr, text) in texts {
            ct.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
        }
        for (tag, number) in numbers {
            ct.put(DataElement::new(tag, VR::US, PrimitiveValue::from(number)));
        }
        ct.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16(pixels.into()),
        ));
        let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        ct.with_meta(meta).unwrap()
    }
}

/// The results of a source, ready.
pub(crate) fn results<'a>(
    source: &'a Source,
    report: &'a Report,
    device: &'a Device,
) -> Results<'a> {
    Results::new(source, report, device, MADE).unwrap()
}

/// A PDF of one empty page.
pub(crate) const PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>endobj\n\
trailer<</Root 1 0 R>>\n%%EOF\n";
