//! States of a box, one for each screen; the numbers of the result are measured on the sample scan's own labels.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use nephrobox::fault::{Fault, FaultCode};
use nephrobox::overlay::{self, OverlaySlice};
use nephrobox::snapshot::{Activity, ResultSummary, Slot, SlotState, Snapshot};
use nephrobox_imaging::{LabelReader, ScanReader};
use nephrobox_shared::measure::{LabelMap, Midline, Sides, measure};
use nephrobox_shared::report::{
    Findings, InputInfo, ModelInfo, ProgramInfo, RESEARCH_USE_NOTICE, Report, SCHEMA_VERSION,
    Timing,
};

const SCAN: &str = "00000042-9f86d081";

/// Every screen's name and a state that shows it.
pub(crate) fn all() -> Result<Vec<(&'static str, Snapshot)>, Box<dyn Error>> {
    let result = result()?;
    let warned = ResultSummary {
        warnings: 1,
        first_warning: Some(
            "The patient's midline could not be found; right and left are divided at the middle of the image.".into(),
        ),
        ..result.clone()
    };
    let fell_back = Fault::new(
        FaultCode::ModelFellBack,
        "Model kidney-resnet50 5 failed its self-test; kidney-resnet50 4 stays in use. Flash a sound package.",
    );
    let nothing = ResultSummary {
        overlay_png: None,
        key_slice: None,
        sides: Sides::default(),
        kidney_ml: 0.0,
        tumour_ml: 0.0,
        first_warning: Some("No kidney and no tumour was outlined in this scan.".into()),
        ..warned.clone()
    };
    let before = result.clone();
    Ok(vec![
        (
            "starting",
            Snapshot {
                started: false,
                active_model: None,
                ..well()
            },
        ),
        ("idle", well()),
        (
            "idle-no-model",
            Snapshot {
                active_model: None,
                ..well()
            },
        ),
        (
            "receiving",
            doing(Activity::Receiving {
                scan: SCAN.into(),
                done_bytes: 63_400_000,
                total_bytes: 148_200_000,
            }),
        ),
        (
            "working",
            doing(Activity::Working {
                scan: SCAN.into(),
                slice: 214,
                slices: 523,
            }),
        ),
        ("result", showing(result.clone(), vec![])),
        ("result-warned", showing(warned, vec![])),
        ("result-fell-back", showing(result, vec![fell_back])),
        ("result-nothing", showing(nothing, vec![])),
        (
            "result-of-before",
            Snapshot {
                active_model: Some("kidney-resnet50 5".into()),
                ..showing(before, vec![])
            },
        ),
        (
            "fault",
            Snapshot {
                faults: vec![Fault::new(
                    FaultCode::DiskFull,
                    "The disk is full and no scan can be kept. Fetch the results that wait, or give the spool a larger disk.",
                )],
                ..well()
            },
        ),
        (
            "flashing",
            Snapshot {
                slots: [
                    slot("kidney-resnet50 4", SlotState::Confirmed),
                    slot("kidney-resnet50 5", SlotState::Trial),
                ],
                ..doing(Activity::Flashing {
                    step: "Self-test, slice 3 of 8".into(),
                })
            },
        ),
    ])
}

fn well() -> Snapshot {
    Snapshot {
        name: "radiology-2".into(),
        version: "0.1.0".into(),
        started: true,
        active_model: Some("kidney-resnet50 4".into()),
        used_bytes: 21_000_000_000,
        limit_bytes: 64_000_000_000,
        ..Snapshot::default()
    }
}

fn doing(activity: Activity) -> Snapshot {
    Snapshot {
        activity,
        queued: 2,
        ..well()
    }
}

fn showing(result: ResultSummary, faults: Vec<Fault>) -> Snapshot {
    Snapshot {
        results: vec![result],
        faults,
        ..well()
    }
}

fn slot(model: &str, state: SlotState) -> Slot {
    Slot {
        model: Some(model.into()),
        state,
    }
}

/// The sample scan measured with its own labels.
fn result() -> Result<ResultSummary, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sample");
    let mut scan = ScanReader::open(folder.join("imaging.nii.gz"))?;
    let mut truth = LabelReader::open(folder.join("segmentation.nii.gz"))?;
    let geometry = scan.geometry().clone();
    let [slices, rows, cols] = geometry.shape();
    let spacing = geometry.spacing();

    let mut labels = LabelMap::new(rows, cols)?;
    let mut midline = Midline::new();
    let (mut hu, mut label) = (vec![0; rows * cols], vec![0; rows * cols]);
    for slice in 0..slices {
        truth.read_slice(slice, &mut label)?;
        labels.push(&label)?;
        scan.read_slice(slice, &mut hu)?;
        midline.add(&hu, cols)?;
    }
    let measures = measure(&labels, spacing, midline.column())?;
    let findings = Findings::new(&measures, &midline);

    let key = findings.key_slice().ok_or("the sample has kidneys")?;
    scan.read_slice(key, &mut hu)?;
    labels.read(key, &mut label)?;
    let picture = overlay::draw_key(&OverlaySlice {
        hu: &hu,
        labels: &label,
        rows,
        cols,
        row_mm: spacing.row_mm,
        col_mm: spacing.col_mm,
    })?;
    let report = Report {
        schema_version: SCHEMA_VERSION,
        notice: RESEARCH_USE_NOTICE.into(),
        program: ProgramInfo::default(),
        model: ModelInfo {
            name: "kidney-resnet50".into(),
            version: 4,
            ..ModelInfo::default()
        },
        engine: None,
        input: InputInfo {
            file: "imaging.nii.gz".into(),
            blake3: None,
            slices,
            rows,
            cols,
            spacing,
            orientation: geometry.codes().into(),
        },
        subject: None,
        visited: None,
        confidence: None,
        change: None,
        findings,
        warnings: vec![],
        outputs: vec![],
        timing: Timing::default(),
    };
    let overlay = Arc::from(overlay::png(&picture)?);
    Ok(ResultSummary::of(&report, Some(overlay), SCAN, 0))
}
