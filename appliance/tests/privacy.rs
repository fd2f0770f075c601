//! Scans erased by somebody or by their age, and exported without whose they are: on a box that runs, and on one that does not.

#[path = "support/folder.rs"]
mod folder;
#[path = "support/home.rs"]
mod home;
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use clap::Parser;
use crc::{CRC_32_ISO_HDLC, Crc};
use folder::{holding, holds};
use home::{Home, ready, stop, until};
use nephrobox::audit::{self, Line, What, Who};
use nephrobox::cli::{self, Cli};
use nephrobox::desk::BoxDesk;
use nephrobox::failure::Failure;
use nephrobox::fault::FaultCode;
use nephrobox::run::Appliance;
use nephrobox::storage::Folder;
use nephrobox_imaging::LabelReader;
use nephrobox_link::message::{Code, Item, Object, Refused, Reply, Request, cut};
use nephrobox_link::server::{Announced, Desk};
use nephrobox_shared::report::{Change, Report, Subject};
use serde_json::Value;

/// Stands in everything that a scan and its report say of the patient.
const MARK: &str = "MARKERPATIENT";
const LINE: &str = "[[destination]]\nkind = \"line\"\n";

fn desk(appliance: &Appliance) -> BoxDesk {
    BoxDesk::new(Arc::clone(appliance.core()), "serial")
}

/// The phantom with the patient's name in the header's free text.
fn named_scan(home: &Home) -> Vec<u8> {
    let mut scan = home.phantom(0);
    scan[148..148 + MARK.len()].copy_from_slice(MARK.as_bytes());
    scan
}

/// Sends a scan under the patient's name, waits for its report, and fills in whose it is, as a report of a DICOM series says.
async fn reported(home: &Home, appliance: &Appliance) -> String {
    ready(appliance).await;
    let scan = named_scan(home);
    let object = Object::Scan {
        name: cut(&format!("{MARK}.nii")),
        fast: false,
    };
    let mut desk = desk(appliance);
    let announced = desk.put(&object, scan.len() as u64, blake3::hash(&scan).as_bytes());
    assert_eq!(announced, Ok(Announced::From(0)));
    desk.take(0, &scan).expect("taken");
    let id = desk.finish().expect("accepted").as_str().to_owned();
    until(appliance, "a report", |state| state.counters.finished == 1).await;
    let path = home.path(&format!("state/spool/done/{id}/results/report.json"));
    let mut report: Report = read(&path);
    report.subject = Some(Subject {
        patient_name: format!("{MARK}^JANE"),
        patient_id: format!("ID-{MARK}"),
        study_uid: "1.2.3.4711".into(),
        ..Subject::default()
    });
    report.change = Some(Change {
        scan: MARK.into(),
        study_date: "20250101".into(),
        ..Change::default()
    });
    fs::write(path, serde_json::to_vec(&report).expect("JSON")).expect("written");
    id
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

fn erase(desk: &mut BoxDesk, id: &str) -> Result<Reply, Refused> {
    desk.answer(&Request::Erase { scan: cut(id) })
}

/// Lines of a kind in the audit log, after checking its chain.
fn lines(home: &Home, what: What) -> Vec<Line> {
    let folder = Folder::open(&home.path("state/audit")).expect("a folder");
    let mut lines = Vec::new();
    audit::walk(&folder, &mut |line| lines.push(line)).expect("a whole chain");
    lines.retain(|line| line.what == what);
    lines
}

/// Calls `nephrobox` on the box's configuration.
fn call(home: &Home, words: &[&str], more: &str) -> Result<String, Failure> {
    let config = home.path("box.toml");
    fs::write(&config, home.text(more)).expect("written");
    let config = config.to_str().expect("a path");
    let words = [&["nephrobox"], words, &["--config", config]].concat();
    let mut out = Vec::new();
    cli::run(
        Cli::try_parse_from(words).expect("a command line"),
        &mut out,
    )?;
    Ok(String::from_utf8(out).expect("text"))
}

/// Shows RQ-64.
#[tokio::test(flavor = "multi_thread")]
async fn an_erased_scan_leaves_the_audit_line_and_nothing_that_names_the_patient() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    let appliance = home.start_with(LINE).await;
    let id = reported(&home, &appliance).await;
    let state = home.path("state");
    assert!(
        holding(&state, MARK).len() >= 2,
        "record and report name them"
    );
    let mut desk = desk(&appliance);
    assert_eq!(erase(&mut desk, &id), Ok(Reply::Done));

    assert_eq!(holding(&state, MARK), Vec::<std::path::PathBuf>::new());
    let left = holding(&state, &id);
    let only: Vec<_> = left
        .iter()
        .filter(|path| {
            !path.ends_with("audit/audit.jsonl") && !path.starts_with(state.join("logs"))
        })
        .collect();
    assert!(only.is_empty(), "{only:?}");
    assert_eq!(
        appliance.shared().get().results,
        [],
        "panel and page forgot it"
    );
    // Asked again after a line was lost, it says the same; what never was is unknown.
    assert_eq!(erase(&mut desk, &id), Ok(Reply::Done));
    let unknown = erase(&mut desk, "00000077-9f86d081").expect_err("never was");
    assert_eq!(unknown.code, Code::Unknown);
    let wrong = erase(&mut desk, "../../etc").expect_err("no id");
    assert_eq!(wrong.code, Code::BadRequest);
    let [line] = &lines(&home, What::Erased)[..] else {
        panic!("one line");
    };
    assert_eq!(line.who, Who::Source("serial".into()));
    assert_eq!(line.scan.as_deref(), Some(id.as_str()));
    let hash = blake3::hash(&named_scan(&home)).to_hex().to_string();
    assert_eq!(line.hash, Some(hash));
    // The same scan may come again, under another number.
    let scan = named_scan(&home);
    let object = Object::Scan {
        name: cut("again.nii"),
        fast: false,
    };
    let again = desk.put(&object, scan.len() as u64, blake3::hash(&scan).as_bytes());
    assert_eq!(again, Ok(Announced::From(0)));
    stop(appliance);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_does_not_run_erases_and_exports_and_one_that_runs_is_left_alone() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    let appliance = home.start_with(LINE).await;
    let id = reported(&home, &appliance).await;
    let running = call(&home, &["erase", &id], LINE).expect_err("it runs");
    assert_eq!(running.exit.code(), 7, "{running}");
    stop(appliance);

    let out = home.path("out");
    let out_word = out.to_str().expect("a path");
    let words = ["export", &id, "--out", out_word];
    let said = call(&home, &words, LINE).expect("exported");
    assert!(said.contains("report.json"), "{said}");
    assert!(holding(&out, MARK).is_empty() && holding(&out, &id).is_empty());
    let [exported] = &lines(&home, What::Exported)[..] else {
        panic!("one line");
    };
    assert_eq!(exported.who, Who::Source("console".into()));
    let report = fs::read(out.join("report.json")).expect("a report");
    let hash = blake3::hash(&report).to_hex().to_string();
    assert_eq!(exported.hash, Some(hash));

    let unknown = call(&home, &["erase", "00000077-9f86d081"], LINE).expect_err("never was");
    assert_eq!(unknown.exit.code(), 3, "{unknown}");
    for _ in 0..2 {
        let said = call(&home, &["erase", &id], LINE).expect("erased");
        assert_eq!(said, format!("{id} is erased\n"));
    }
    assert!(holding(&home.path("state"), MARK).is_empty());
    assert_eq!(lines(&home, What::Erased).len(), 1);
}

/// The box's own time as it is kept, set on by some seconds while the box does not run.
fn let_time_pass(home: &Home, seconds: u64) {
    let path = home.path("state/age");
    let kept = fs::read_to_string(&path).expect("it is kept");
    let (_, json) = kept.split_once('\n').expect("a record");
    let mut moment: Value = serde_json::from_str(json).expect("JSON");
    let own_s = moment["own_s"].as_u64().expect("seconds");
    moment["own_s"] = (own_s + seconds).into();
    let json = moment.to_string();
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(json.as_bytes());
    fs::write(path, format!("nephrobox age 1 {crc:08x}\n{json}")).expect("written");
}

/// Shows RQ-50.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_is_erased_once_a_destination_has_it_and_a_fault_says_so_until_then() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    let more = format!("{LINE}[privacy]\nretention_days = 30\n");
    let appliance = home.start_with(&more).await;
    let id = reported(&home, &appliance).await;
    let record = home.path(&format!("state/spool/done/{id}/record"));
    let noted = async {
        while !fs::read_to_string(&record).is_ok_and(|record| record.contains("age_from_s")) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(home::PATIENCE, noted)
        .await
        .expect("its age is noted");
    stop(appliance);

    let_time_pass(&home, 29 * 86_400);
    let appliance = home.start_with(&more).await;
    until(&appliance, "started", |state| state.started).await;
    assert_eq!(appliance.shared().get().results.len(), 1, "it is kept");
    assert_eq!(appliance.shared().get().faults, []);
    stop(appliance);

    let_time_pass(&home, 86_400);
    let appliance = home.start_with(&more).await;
    let state = until(&appliance, "the fault", |state| {
        state.has_fault(FaultCode::RetentionWaits)
    })
    .await;
    assert_eq!(state.results.len(), 1, "nobody has it, so it is kept");
    let mut desk = desk(&appliance);
    let confirmed = desk.answer(&Request::Confirm { scan: cut(&id) });
    assert_eq!(confirmed, Ok(Reply::Done));
    let state = until(&appliance, "erased", |state| state.results.is_empty()).await;
    until(&appliance, "the fault is gone", |state| {
        !state.has_fault(FaultCode::RetentionWaits)
    })
    .await;
    assert_eq!(state.counters.failed, 0);
    stop(appliance);
    assert!(holding(&home.path("state"), MARK).is_empty());
    let [line] = &lines(&home, What::Erased)[..] else {
        panic!("one line");
    };
    assert_eq!(line.who, Who::Device);
}

/// Shows RQ-63.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_every_number_and_nothing_that_says_whose_they_are() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    let appliance = home.start_with(LINE).await;
    let id = reported(&home, &appliance).await;
    let mut desk = desk(&appliance);
    let list = desk.get(&Item::Exports { scan: cut(&id) }).expect("a list");
    let list: Vec<Value> = serde_json::from_slice(&list).expect("JSON");
    let names: Vec<_> = list
        .iter()
        .map(|file| file["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "report.json",
            "report.txt",
            "labels.nii.gz",
            "overlay-key.png"
        ]
    );
    let scan_hash = blake3::hash(&named_scan(&home)).to_hex().to_string();
    let mut fetch = |name: &str| {
        let item = Item::Export {
            scan: cut(&id),
            name: cut(name),
        };
        desk.get(&item).expect("a file")
    };
    for (name, listed) in names.iter().zip(&list) {
        let bytes = fetch(name);
        assert_eq!(bytes.len() as u64, listed["bytes"], "{name}");
        assert_eq!(bytes, fetch(name), "{name}: the same again");
        for text in [MARK, &id, &scan_hash, "4711", "20250101"] {
            assert!(!holds(&bytes, text), "{text} in {name}");
        }
    }
    let results = home.path(&format!("state/spool/done/{id}/results"));
    let whole: Report = read(&results.join("report.json"));
    let export: Report = serde_json::from_slice(&fetch("report.json")).expect("a report");
    assert_eq!(export.findings, whole.findings);
    assert_eq!(export.model, whole.model);
    assert_eq!(export.input.spacing, whole.input.spacing);
    assert_eq!((export.subject, export.change), (None, None));
    let codes = |report: &Report| {
        let codes = report.warnings.iter();
        codes
            .map(|warning| (warning.code.clone(), warning.severity))
            .collect::<Vec<_>>()
    };
    assert_eq!(export.warnings.len(), whole.warnings.len());
    assert_eq!(
        (export.input.blake3, export.input.file.len()),
        (None, "export-".len() + 12)
    );
    let again: Report = serde_json::from_slice(&fetch("report.json")).expect("a report");
    assert_eq!(codes(&again), codes(&whole));

    let labels = home.path("labels.nii.gz");
    fs::write(&labels, fetch("labels.nii.gz")).expect("written");
    let mut ours = LabelReader::open(results.join("labels.nii.gz")).expect("a label map");
    let mut theirs = LabelReader::open(labels).expect("a label map");
    let geometry = ours.geometry().clone();
    assert_eq!(theirs.geometry(), &geometry);
    for index in 0..geometry.slices() {
        let [mut a, mut b] = [vec![0; geometry.slice_len()], vec![0; geometry.slice_len()]];
        ours.read_slice(index, &mut a).expect("a slice");
        theirs.read_slice(index, &mut b).expect("a slice");
        assert_eq!(a, b, "slice {index}");
    }
    let mut other = |item| desk.get(&item).expect_err("refused").code;
    let scan = || cut(&id);
    for name in ["overlay-tumour.png", "record", "../record"] {
        let name = cut(name);
        assert_eq!(other(Item::Export { scan: scan(), name }), Code::Unknown);
    }
    let scan = cut("00000077-9f86d081");
    assert_eq!(other(Item::Exports { scan }), Code::Unknown);
    stop(appliance);
}

/// Fields of a report that stay on the box, by their paths; every other one is exported. Whoever adds a field to a report decides here.
const STAYS: [&str; 4] = ["subject", "change", "input.blake3", "outputs"];

/// Shows RQ-63.
#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_report_is_either_exported_or_known_to_stay() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    let appliance = home.start_with(LINE).await;
    let id = reported(&home, &appliance).await;
    let item = Item::Export {
        scan: cut(&id),
        name: cut("report.json"),
    };
    let export = desk(&appliance).get(&item).expect("a report");
    let export: Value = serde_json::from_slice(&export).expect("JSON");
    let path = home.path(&format!("state/spool/done/{id}/results/report.json"));
    let whole: Value = read(&path);
    let mut lost = Vec::new();
    missing(&whole, &export, "", &mut lost);
    lost.sort();
    lost.dedup();
    let decided = |path: &String| {
        STAYS
            .iter()
            .any(|stays| path == stays || path.starts_with(&format!("{stays}.")))
    };
    lost.retain(|path| !decided(path));
    assert!(lost.is_empty(), "{lost:?}");
    stop(appliance);
}

/// Paths of values that are in one and not in the other, lists taken as one element.
fn missing(whole: &Value, export: &Value, path: &str, lost: &mut Vec<String>) {
    match (whole, export) {
        (Value::Object(whole), export) => {
            for (name, value) in whole {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                missing(value, &export[name], &path, lost);
            }
        }
        (Value::Array(whole), Value::Array(export)) if whole.len() == export.len() => {
            for (whole, export) in whole.iter().zip(export) {
                missing(whole, export, path, lost);
            }
        }
        (Value::Null, _) => {}
        (_, Value::Null) | (Value::Array(_), _) => lost.push(path.to_owned()),
        _ => {}
    }
}
