//! The report: units in every name, nothing lost in JSON, warnings where a reader needs them.

use nephrobox_shared::{
    measure::{LabelMap, Midline, Spacing, measure},
    metrics::Evaluation,
    package::{Input, Manifest, TestScores, Training},
    preprocess::Preprocess,
    report::{
        Change, Confidence, EngineInfo, Findings, InputInfo, ModelInfo, OutputFile, ProgramInfo,
        RESEARCH_USE_NOTICE, Report, SCHEMA_VERSION, Timing, VisitedSlices, WarningCode,
    },
};
use serde_json::Value;

const ROWS: usize = 6;
const COLS: usize = 20;

/// Powers of two, because `serde_json` reads other decimals to within one unit in the last place only.
fn spacing() -> Spacing {
    Spacing::new(4.0, 0.5, 0.5).unwrap()
}

/// Four slices; the patient's right kidney holds a tumour, the left one reaches the last slice.
fn findings() -> Findings {
    let mut map = LabelMap::new(ROWS, COLS).unwrap();
    let mut midline = Midline::new();
    for slice in 0..4 {
        let mut labels = vec![0; ROWS * COLS];
        if slice == 1 || slice == 2 {
            labels[2 * COLS + 3..2 * COLS + 7].fill(1);
            labels[3 * COLS + 4..3 * COLS + 4 + slice].fill(2);
        }
        if slice >= 2 {
            labels[2 * COLS + 14..2 * COLS + 17].fill(1);
        }
        map.push(&labels).unwrap();
        midline.add(&[50; ROWS * COLS], COLS).unwrap();
    }
    let measures = measure(&map, spacing(), midline.column()).unwrap();
    Findings::new(&measures, &midline)
}

fn report() -> Report {
    let mut evaluation = Evaluation::new();
    evaluation
        .add(1, &[0, 1, 1, 2], &[0, 1, 1, 1], 1.0)
        .unwrap();
    let scores = evaluation.scores();
    let manifest = Manifest {
        name: "example".into(),
        version: 3,
        encoder: "resnet18".into(),
        input: Input {
            preprocess: Preprocess::default(),
            channels: 1,
            scale: 1,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            licence_notice: "CC BY-NC-SA 4.0".into(),
            ..Training::default()
        },
        scores: TestScores {
            float: Some(scores),
            int8: None,
        },
        calibration: None,
        self_test: vec![],
    };
    let findings = findings();
    Report {
        schema_version: SCHEMA_VERSION,
        notice: RESEARCH_USE_NOTICE.into(),
        program: ProgramInfo {
            name: "nephrobox".into(),
            version: "0.1.0".into(),
        },
        model: ModelInfo::new(&manifest, &[0xAB; 32], manifest.scores.float.as_ref()),
        engine: Some(EngineInfo {
            device: "cpu".into(),
            device_name: None,
            arithmetic: "int8".into(),
            kernels: Some("avx2".into()),
            threads: 2,
        }),
        input: InputInfo {
            file: "imaging.nii.gz".into(),
            blake3: None,
            slices: 4,
            rows: ROWS,
            cols: COLS,
            spacing: spacing(),
            orientation: "IPL".into(),
        },
        subject: None,
        visited: Some(VisitedSlices::new([true, true, false, true])),
        confidence: Some(Confidence {
            slices: 8,
            kidney_probability: Some(0.98),
            kidney_unsure_percent: Some(2.5),
            flipped_kidney_dice: Some(0.95),
            ..Confidence::default()
        }),
        change: Some(Change {
            days: Some(170),
            ..Change::default()
        }),
        warnings: findings.warnings(),
        findings,
        outputs: vec![OutputFile {
            kind: "labels".into(),
            file: "labels.nii.gz".into(),
        }],
        timing: Timing::default(),
    }
}

#[test]
fn findings_have_their_units() {
    let findings = findings();
    let (pixel, voxel) = (0.25, 0.001);
    let right = findings.sides.right;
    assert!((right.kidney_volume_ml - 8.0 * voxel).abs() < 1e-12);
    assert!((right.tumour_volume_ml - 3.0 * voxel).abs() < 1e-12);
    assert!((right.kidney_and_tumour_volume_ml - 11.0 * voxel).abs() < 1e-12);
    assert!((right.tumour_largest_area_mm2 - 2.0 * pixel).abs() < 1e-12);
    assert_eq!(right.mid_kidney_slice, Some(1));
    assert_eq!(findings.sides.left.tumour_volume_ml, 0.0);
    assert_eq!(findings.peak_tumour_slice, Some(2));
    let slices: Vec<_> = findings.slices.iter().map(|s| s.slice).collect();
    assert_eq!(slices, [1, 2, 3], "slices without a finding are left out");
    assert!((findings.slices[2].areas.left.kidney_area_mm2 - 3.0 * pixel).abs() < 1e-12);
    assert_eq!(findings.component_counts.kidney_and_tumour, 2);
    assert_eq!(findings.components.len(), 2 + 2 + 1);
}

#[test]
fn json_keeps_everything() {
    let report = report();
    let json = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["findings"]["slices"][0]["slice"], 1);
    assert!(
        value["findings"]["slices"][0]["right"]["tumour_area_mm2"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    assert_eq!(
        value["findings"]["components"][0]["structure"],
        "kidney_and_tumour"
    );
    assert_eq!(value["findings"]["components"][0]["placement"], "right");
}

/// Fields were added within the version: reports of earlier programs are still read.
#[test]
fn a_report_without_the_later_fields_is_read() {
    let mut value = serde_json::to_value(report()).unwrap();
    let fields = value.as_object_mut().unwrap();
    for later in ["visited", "engine"] {
        assert!(fields.remove(later).is_some(), "{later}");
    }
    let read: Report = serde_json::from_value(value).unwrap();
    assert_eq!((read.visited, read.engine), (None, None));
}

/// Every number's name ends in a unit, or says that it is a count or a position.
/// Shows RQ-17.
#[test]
fn every_number_carries_its_unit() {
    fn walk(name: &str, value: &Value, numbers: &mut usize) {
        const UNITS: [&str; 6] = ["_mm", "_mm2", "_ml", "_s", "_percent", "_hu"];
        const COUNTS_AND_POSITIONS: [&str; 20] = [
            "days",
            "slice",
            "slices",
            "rows",
            "cols",
            "_slice",
            "_row",
            "_column",
            "_voxels",
            "version",
            "_version",
            "kidney",
            "tumour",
            "kidney_and_tumour",
            "components",
            "threads",
            "_components",
            "points",
            // From 0 to 1.
            "_probability",
            "_dice",
        ];
        match value {
            Value::Number(_) => {
                *numbers += 1;
                let fits =
                    |end: &&str| name == *end || end.starts_with('_') && name.ends_with(*end);
                assert!(
                    UNITS.iter().chain(&COUNTS_AND_POSITIONS).any(fits),
                    "{name} has no unit"
                );
            }
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, value)| walk(name, value, numbers)),
            Value::Array(items) => items.iter().for_each(|value| walk(name, value, numbers)),
            _ => {}
        }
    }
    let mut numbers = 0;
    walk("", &serde_json::to_value(report()).unwrap(), &mut numbers);
    assert!(numbers > 60, "only {numbers} numbers were looked at");
}

/// Shows RQ-34.
#[test]
fn the_model_is_named_with_hash_licence_and_scores() {
    let model = report().model;
    assert_eq!(model.blake3, "ab".repeat(32));
    assert_eq!(model.licence_notice, "CC BY-NC-SA 4.0");
    assert_eq!(
        model.test_scores,
        "Dice, patient-weighted: kidney 0.800, tumour 0.000; per case: kidney 0.800 ± 0.000 (n 1), \
         tumour 0.000 ± 0.000 (n 1), kidney with tumour (KiTS19) 1.000 ± 0.000 (n 1); cases 1, slices 1"
    );
}

/// Shows RQ-06.
#[test]
fn warnings_tell_what_not_to_rely_on() {
    let codes = |findings: &Findings| {
        findings
            .warnings()
            .into_iter()
            .map(|w| w.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&findings()), ["component_at_border"]);

    let empty = LabelMap::new(ROWS, COLS).unwrap();
    let unseen = Midline::new();
    let measures = measure(&empty, spacing(), 9.5).unwrap();
    assert_eq!(
        codes(&Findings::new(&measures, &unseen)),
        ["nothing_found", "midline_not_estimated"]
    );

    // A horseshoe across the middle and two specks on the right, away from the scan's border.
    let mut map = LabelMap::new(ROWS, COLS).unwrap();
    let blank = [0; ROWS * COLS];
    let mut labels = blank;
    labels[2 * COLS + 6..2 * COLS + 14].fill(1);
    labels[4 * COLS + 1] = 1;
    labels[4 * COLS + 4] = 1;
    map.push(&blank).unwrap();
    map.push(&labels).unwrap();
    map.push(&blank).unwrap();
    let measures = measure(&map, spacing(), 9.5).unwrap();
    let mut midline = Midline::new();
    midline.add(&[50; ROWS * COLS], COLS).unwrap();
    assert_eq!(
        codes(&Findings::new(&measures, &midline)),
        ["component_divided", "components_dropped"]
    );
}

/// A kidney, specks of kidney and of tumour beside it, at 1 mm³ a voxel.
/// Shows RQ-29.
#[test]
fn dropped_pieces_are_named_and_not_counted() {
    let mut map = LabelMap::new(ROWS, COLS).unwrap();
    let blank = [0; ROWS * COLS];
    let mut labels = blank;
    labels[2 * COLS + 2..2 * COLS + 6].fill(1);
    let mut specks = labels;
    specks[4 * COLS + 2] = 1;
    specks[2 * COLS + 8] = 2;
    specks[4 * COLS + 8] = 1;
    for slice in [&blank, &labels, &specks, &blank] {
        map.push(slice).unwrap();
    }
    let measures = measure(&map, spacing(), 9.5).unwrap();
    let mut midline = Midline::new();
    midline.add(&[50; ROWS * COLS], COLS).unwrap();
    let findings = Findings::new(&measures, &midline);
    let messages = |code: &str| -> Vec<String> {
        let warnings = findings.warnings().into_iter();
        warnings
            .filter(|w| w.code == code)
            .map(|w| w.message)
            .collect()
    };
    assert_eq!(
        messages("tumour_dropped"),
        [
            "A separate piece of 0.001 mL in slices 2 to 2 is outlined as tumour and is not counted, being below 0.1 mL."
        ]
    );
    assert_eq!(
        messages("components_dropped"),
        [
            "2 separate pieces below 0.1 mL, of 0.002 mL together, are outlined as kidney and not counted."
        ]
    );
    assert!((findings.sides.right.kidney_volume_ml - 0.008).abs() < 1e-12);
    assert_eq!(findings.sides.right.tumour_volume_ml, 0.0);
    assert_eq!(findings.sides.right.tumour_components, 0);
    assert!(findings.tumours.is_empty());
    assert_eq!(messages("several_components"), [""; 0]);
    let listed = findings.components.iter().filter(|piece| piece.dropped);
    assert_eq!(listed.count(), 3 + 2 + 1, "as wholes, as kidney, as tumour");
}

/// What people read about a report, `docs/report.md`; none in a copy of the crate alone.
fn page() -> Option<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/report.md");
    std::fs::read_to_string(path).ok()
}

#[test]
fn the_page_explains_every_warning() {
    let Some(page) = page() else {
        return println!("skipped: docs/report.md is not here");
    };
    for code in WarningCode::ALL {
        assert!(page.contains(&format!("`{}`", code.name())), "{code:?}");
    }
}

#[test]
fn the_page_explains_every_field() {
    fn walk(value: &Value, page: &str, unknown: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let words = |c: char| !c.is_ascii_alphanumeric() && c != '_';
                    if !page.split(words).any(|word| word == name) {
                        unknown.push(name.clone());
                    }
                    walk(value, page, unknown);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, page, unknown)),
            _ => {}
        }
    }
    let Some(page) = page() else {
        return println!("skipped: docs/report.md is not here");
    };
    let mut unknown = Vec::new();
    walk(
        &serde_json::to_value(report()).unwrap(),
        &page,
        &mut unknown,
    );
    assert!(unknown.is_empty(), "{unknown:?}");
}
