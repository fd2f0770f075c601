//! A validation over the line, whole: slots, scan, report and label map as a box sends them.

use std::fs;

use nephrobox_engine::executor::Arithmetic;
use nephrobox_imaging::{ScanReader, write_labels};
use nephrobox_link::message::{Object, SlotState};
use nephrobox_shared::measure::{Midline, measure};
use nephrobox_shared::report::{
    EngineInfo, Findings, InputInfo, ModelInfo, ProgramInfo, RESEARCH_USE_NOTICE, Report,
    SCHEMA_VERSION, Timing,
};
use nephroctl::failure::{Exit, Failure};
use nephroctl::validate::Workstation;

use crate::fake::{Fake, Script, slot};
use crate::field::Field;
use crate::support::text;

/// The results of the field's only scan, as a box makes them.
fn results(field: &Field) -> Vec<(String, Vec<u8>)> {
    let scan = field.home().join("data/case_00001/imaging.nii.gz");
    let loaded = field.package();
    let (hash, manifest) = (loaded.hash.0, loaded.model.manifest().clone());
    let mut workstation =
        Workstation::start(loaded.model, Arithmetic::F32, &scan).expect("it runs");
    let map = workstation.label(&scan).expect("labels");
    let reader = ScanReader::open(&scan).expect("a scan");
    let geometry = reader.geometry();
    let labels = field.home().join("box.nii.gz");
    write_labels(&labels, geometry, &mut |slice, out| {
        map.read(slice, out).expect("labelled");
    })
    .expect("written");
    let [slices, rows, cols] = geometry.shape();
    let measures = measure(&map, geometry.spacing(), cols as f64 / 2.0).expect("measures");
    let report = Report {
        schema_version: SCHEMA_VERSION,
        notice: RESEARCH_USE_NOTICE.into(),
        program: ProgramInfo::default(),
        model: ModelInfo::new(&manifest, &hash, None),
        engine: Some(EngineInfo {
            device: "cpu".into(),
            arithmetic: "f32".into(),
            ..EngineInfo::default()
        }),
        input: InputInfo {
            file: "case_00001".into(),
            blake3: Some(nephrobox_dataset::hash_file(&scan).expect("a scan").0),
            slices,
            rows,
            cols,
            spacing: geometry.spacing(),
            orientation: geometry.codes().into(),
        },
        subject: None,
        visited: None,
        confidence: None,
        change: None,
        findings: Findings::new(&measures, &Midline::new()),
        warnings: Vec::new(),
        outputs: Vec::new(),
        timing: Timing::default(),
    };
    vec![
        ("labels.nii.gz".into(), fs::read(&labels).expect("written")),
        (
            "report.json".into(),
            serde_json::to_vec(&report).expect("JSON"),
        ),
    ]
}

fn validate(fake: &Fake, field: &Field) -> Result<String, Failure> {
    let args = field.args();
    fake.call(&[
        "validate",
        "--data",
        text(&args.data[0]),
        "--split",
        "test",
        "--model",
        text(&args.model),
        "--out",
        text(&args.out),
    ])
}

#[test]
fn a_box_is_validated_over_its_line_and_may_let_go_of_the_results() {
    let field = Field::of_one_case();
    let hash = field.package().hash.0;
    let mut script = Script {
        results: results(&field),
        watched: field.args().out.join("scans/case_00001.0.json"),
        ..Script::default()
    };
    script.slots.slots[0] = slot(SlotState::Confirmed, 12, hash);
    let fake = Fake::start(script);
    let words = validate(&fake, &field).expect("PASS");
    for part in ["PASS", "ward-3, fake 1", "no interval"] {
        assert!(words.contains(part), "{part} in\n{words}");
    }
    let seen = fake.script();
    let [(Object::Scan { name, fast: false }, _)] = &seen.received[..] else {
        panic!("one scan, every slice: {:?}", seen.announced);
    };
    assert_eq!(name.as_str(), "case_00001");
    assert_eq!(
        seen.confirmed,
        [("00000001-0badf00d".to_owned(), true)],
        "after the record"
    );
}

#[test]
fn a_box_with_another_model_is_sent_nothing() {
    let field = Field::of_one_case();
    let fake = Fake::start(Script::default());
    let failure = validate(&fake, &field).expect_err("another model");
    assert_eq!((failure.exit, failure.code), (Exit::Model, "other_model"));
    assert!(failure.told.what.contains("0707070707070707"), "{failure}");
    assert!(fake.script().announced.is_empty());
}
