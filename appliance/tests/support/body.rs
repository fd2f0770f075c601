//! A patient made of ellipsoids, the report on it, and its pictures: what a page looks like without any patient's data.

#![allow(dead_code)] // each program uses its own part

use nephrobox::overlay::OverlaySlice;
use nephrobox::sheet::Picture;
use nephrobox_shared::measure::{LabelMap, Midline, Spacing, measure};
use nephrobox_shared::report::{
    Change, Confidence, EngineInfo, Findings, HuFindings, InputInfo, ModelInfo, OutputFile,
    ProgramInfo, RESEARCH_USE_NOTICE, Report, SCHEMA_VERSION, Severity, Subject, Timing,
    VisitedSlices, Warning, WarningCode,
};

/// Slices, rows, columns.
pub(crate) const SHAPE: [usize; 3] = [48, 160, 200];
/// Millimetres between slices, rows, columns.
pub(crate) const SPACING: [f64; 3] = [4.0, 1.75, 1.75];

/// Whether a voxel lies in an ellipsoid: its middle and its half axes, by slice, row, column.
fn within(index: [usize; 3], middle: [f64; 3], half: [f64; 3]) -> bool {
    let distance: f64 = (0..3)
        .map(|axis| ((index[axis] as f64 - middle[axis]) / half[axis]).powi(2))
        .sum();
    distance <= 1.0
}

/// A voxel in a cylinder along all slices.
fn through(index: [usize; 3], middle: [f64; 2], half: [f64; 2]) -> bool {
    within(
        [0, index[1], index[2]],
        [0.0, middle[0], middle[1]],
        [1.0, half[0], half[1]],
    )
}

/// The truth: two kidneys, a large tumour at the left one and, `grown` times as large, a small one within the right one.
pub(crate) fn label(index: [usize; 3], grown: f64) -> u8 {
    let kidney = |col, hilum, slice| {
        within(index, [slice, 88.0, col], [14.0, 16.0, 13.0])
            && !within(index, [slice, 82.0, hilum], [5.0, 6.0, 9.0])
    };
    let large = within(index, [27.0, 84.0, 160.0], [6.0, 13.0, 13.0]);
    let small = within(
        index,
        [30.0, 94.0, 50.0],
        [2.4 * grown, 5.0 * grown, 5.0 * grown],
    );
    if large || small {
        2
    } else {
        u8::from(kidney(56.0, 68.0, 26.0) || kidney(144.0, 132.0, 22.0))
    }
}

/// Its CT in the late arterial phase.
pub(crate) fn hu(index: [usize; 3], grown: f64) -> i16 {
    let [slice, row, col] = index;
    let grain = ((slice * 7919 + row * 104_729 + col * 1_299_709) ^ (row * col)) % 23;
    let noise = grain as i16 - 11;
    let tissue = match label(index, grown) {
        1 => 175,
        2 => 95,
        _ if through(index, [116.0, 100.0], [12.0, 14.0]) => 330,
        _ if through(index, [94.0, 108.0], [7.0, 7.0]) => 260,
        _ if through(index, [94.0, 90.0], [7.0, 9.0]) => 120,
        _ if within(index, [10.0, 62.0, 58.0], [22.0, 34.0, 36.0]) => 105,
        _ if within(index, [4.0, 70.0, 150.0], [14.0, 22.0, 20.0]) => 115,
        _ if within(index, [30.0, 50.0, 110.0], [12.0, 14.0, 20.0]) => -300,
        _ if through(index, [82.0, 100.0], [52.0, 80.0]) => {
            -85 + if through(index, [118.0, 100.0], [22.0, 52.0]) {
                140
            } else {
                0
            }
        }
        _ if through(index, [82.0, 100.0], [57.0, 86.0]) => 50,
        _ if through(index, [82.0, 100.0], [66.0, 94.0]) => -105,
        _ => return -1000,
    };
    tissue + noise
}

/// What is to be seen in a report.
#[derive(Clone, Copy)]
pub(crate) struct Patient {
    /// How far the small tumour has grown; 1 in the first scan.
    pub(crate) grown: f64,
    /// Whether anything was outlined.
    pub(crate) found: bool,
    pub(crate) study_date: &'static str,
}

impl Patient {
    pub(crate) const NOW: Self = Self {
        grown: 1.35,
        found: true,
        study_date: "20260301",
    };
    pub(crate) const BEFORE: Self = Self {
        grown: 1.0,
        found: true,
        study_date: "20250912",
    };
    pub(crate) const EMPTY: Self = Self {
        grown: 1.0,
        found: false,
        study_date: "20260301",
    };

    fn slice(self, slice: usize) -> (Vec<i16>, Vec<u8>) {
        let [_, rows, cols] = SHAPE;
        let voxels = || (0..rows * cols).map(|pixel| [slice, pixel / cols, pixel % cols]);
        let labels = voxels().map(|at| if self.found { label(at, self.grown) } else { 0 });
        (
            voxels().map(|at| hu(at, self.grown)).collect(),
            labels.collect(),
        )
    }

    pub(crate) fn report(self) -> Report {
        let [slices, rows, cols] = SHAPE;
        let [slice_mm, row_mm, col_mm] = SPACING;
        let spacing = Spacing::new(slice_mm, row_mm, col_mm).expect("a spacing");
        let mut map = LabelMap::new(rows, cols).expect("a map");
        let mut midline = Midline::new();
        for slice in 0..slices {
            let (hu, labels) = self.slice(slice);
            map.push(&labels).expect("a slice");
            midline.add(&hu, cols).expect("a slice");
        }
        let measures = measure(&map, spacing, midline.column()).expect("measured");
        let mut findings = Findings::new(&measures, &midline);
        findings.hu = Some(HuFindings {
            soft_tissue_percent: 40.0,
            kidney_mean_hu: Some(175.0),
            ..HuFindings::default()
        });
        Report {
            schema_version: SCHEMA_VERSION,
            notice: RESEARCH_USE_NOTICE.into(),
            program: ProgramInfo { name: "nephrobox".into(), version: "0.1.0".into() },
            model: ModelInfo {
                name: "phantom".into(),
                version: 3,
                blake3: "5f0c".repeat(16),
                encoder: "resnet18".into(),
                licence_notice: "Trained on phantoms, free of anyone's rights.".into(),
                test_scores: "Dice, patient-weighted: kidney 0.961, tumour 0.834; per case: kidney 0.958 ± 0.021 (n 21), \
                              tumour 0.801 ± 0.174 (n 21), kidney with tumour (KiTS19) 0.966 ± 0.017 (n 21); cases 21, slices 5104"
                    .into(),
            },
            engine: Some(EngineInfo {
                device: "cpu".into(),
                device_name: None,
                arithmetic: "int8".into(),
                kernels: Some("avx2".into()),
                threads: 4,
            }),
            input: InputInfo {
                file: "phantom.nii.gz".into(),
                blake3: Some("9ae1".repeat(16)),
                slices,
                rows,
                cols,
                spacing,
                orientation: "IPL".into(),
            },
            subject: Some(Subject {
                patient_name: "PHANTOM^PAULA^^DR".into(),
                patient_id: "P-00017".into(),
                patient_id_issuer: "Example Clinic".into(),
                birth_date: "19560704".into(),
                sex: "F".into(),
                study_date: self.study_date.into(),
                study_time: "101530.25".into(),
                study_description: "CT abdomen, arterial".into(),
                accession_number: "A2026-118".into(),
                study_uid: format!("2.25.1{}", self.study_date),
                series_uid: format!("2.25.2{}", self.study_date),
            }),
            visited: Some(VisitedSlices::new([true; SHAPE[0]])),
            confidence: Some(Confidence {
                slices: 3,
                kidney_probability: Some(0.972),
                tumour_probability: Some(0.914),
                kidney_unsure_percent: Some(1.2),
                tumour_unsure_percent: Some(6.5),
                flipped_kidney_dice: Some(0.981),
                flipped_tumour_dice: Some(0.927),
            }),
            change: None,
            warnings: findings.warnings(),
            findings,
            outputs: ["report.txt", "report.png", "report.pdf", "labels.nii.gz"]
                .map(|file| OutputFile { kind: "file".into(), file: file.into() })
                .to_vec(),
            timing: Timing { network_s: 7.4, total_s: 9.1, ..Timing::default() },
        }
    }

    /// The report with what changed since the first scan.
    pub(crate) fn report_with_change(self) -> Report {
        let mut report = self.report();
        report.change = Change::between(&Self::BEFORE.report(), &report);
        report
    }

    /// The slices that a report shows.
    pub(crate) fn pictures(self, report: &Report) -> Vec<Picture> {
        let findings = &report.findings;
        [
            ("Largest tumour slice", findings.peak_tumour_slice),
            (
                "Right kidney, middle slice",
                findings.sides.right.mid_kidney_slice,
            ),
            (
                "Left kidney, middle slice",
                findings.sides.left.mid_kidney_slice,
            ),
        ]
        .into_iter()
        .filter_map(|(title, slice)| Some((title, slice?)))
        .map(|(title, slice)| {
            let (hu, labels) = self.slice(slice);
            let shown = OverlaySlice {
                hu: &hu,
                labels: &labels,
                rows: SHAPE[1],
                cols: SHAPE[2],
                row_mm: SPACING[1],
                col_mm: SPACING[2],
            };
            let caption = format!("slice {slice}");
            Picture::new(&shown, slice, title.into(), caption, &findings.tumours)
                .expect("a picture")
        })
        .collect()
    }
}

/// A report with a warning of every severity.
pub(crate) fn flagged() -> Report {
    let mut report = Patient::NOW.report_with_change();
    report.warnings = [
        (WarningCode::PartialCoverage, "A component of 212.4 mL in slices 12 to 47 reaches the first or last slice; part of it may be missing from its area, volume and diameters."),
        (WarningCode::ImplausibleSpacing, "A spacing of 12.000 x 1.750 x 1.750 mm (slices, rows, columns) is unusual for CT of the abdomen; if it is wrong, every area and volume is."),
        (WarningCode::PhaseUnlikeTraining, "The kidneys average 38 HU, as without contrast agent; a model trained on KiTS19 knows the late arterial phase only."),
        (WarningCode::TumourAwayFromKidney, "A tumour of 1.9 mL in slices 28 to 32 on the patient's right touches no kidney and may be false."),
        (WarningCode::AnisotropicPixels, "Pixels are not square: 1.750 mm between rows, 1.700 mm between columns."),
    ]
    .map(|(code, message)| Warning::new(code, message))
    .to_vec();
    report
}

/// A report with far too much of everything.
pub(crate) fn overfull() -> Report {
    let mut report = flagged();
    report.subject = Some(Subject {
        patient_name: format!(
            "{}^{}",
            "Wolfeschlegelsteinhausen".repeat(8),
            "Jane ".repeat(60)
        ),
        patient_id: "9".repeat(64),
        study_description: "CT of everything ".repeat(40),
        accession_number: "A".repeat(300),
        study_date: "20260301".into(),
        ..Subject::default()
    });
    for kind in 0..40 {
        report.warnings.push(Warning {
            code: format!("kind_{kind}"),
            severity: Severity::Serious,
            message: format!(
                "Warning of kind {kind}, {}",
                "with many words in it ".repeat(30)
            ),
        });
    }
    let tumour = report.findings.tumours[0].clone();
    report.findings.tumours = vec![tumour; 30];
    report.model.licence_notice = "All rights of everyone are reserved for ever. ".repeat(40);
    report.model.test_scores = "Dice 0.900 ± 0.050; ".repeat(40);
    report.model.name = "m".repeat(300);
    report.input.file = format!("{}.nii.gz", "a_very_long_name".repeat(200));
    report.notice = report.notice.repeat(9);
    report
}
