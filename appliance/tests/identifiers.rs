//! A run in which everything that comes from outside names a patient, at the most talkative level of the log.

#[path = "support/folder.rs"]
mod folder;
#[path = "support/home.rs"]
mod home;
mod support;

use std::fs;
use std::sync::Arc;

use folder::holding;
use home::{Home, ready, stop, until, wait_for_file};
use nephrobox::config::{Log, LogFormat};
use nephrobox::desk::BoxDesk;
use nephrobox::health::metrics;
use nephrobox::logs::{self, Logs};
use nephrobox::panel::View;
use nephrobox::run::Appliance;
use nephrobox::snapshot::Activity;
use nephrobox_link::message::{Item, Object, Request, cut};
use nephrobox_link::server::Desk;
use nephrobox_shared::report::{Report, Subject};

const MARK: &str = "MARKERPATIENT";

/// Sends bytes under the patient's name, as a line would.
fn send(desk: &mut BoxDesk, bytes: &[u8]) -> String {
    let object = Object::Scan {
        name: cut(&format!("{MARK}, JANE.nii")),
        fast: false,
    };
    let hash = blake3::hash(bytes);
    desk.put(&object, bytes.len() as u64, hash.as_bytes())
        .expect("announced");
    desk.take(0, bytes).expect("taken");
    desk.finish().expect("accepted").as_str().to_owned()
}

/// Waits until so many scans have ended, with a report or without.
async fn ended(appliance: &Appliance, scans: u64) {
    until(appliance, "all ended", |state| {
        let ended = state.counters.finished + state.counters.failed;
        ended == scans && state.activity == Activity::Idle
    })
    .await;
}

/// Shows RQ-62.
#[tokio::test(flavor = "multi_thread")]
async fn identifiers_get_into_no_log_and_no_metric() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    let state = home.path("state");
    let talkative = Log {
        level: "trace".into(),
        format: LogFormat::Text,
    };
    let log = Logs::open(&state.join("logs")).expect("logs");
    logs::start(&talkative, &log).expect("the only one here");
    let config = || home.config_of("[[destination]]\nkind = \"line\"\n");
    let appliance = Appliance::start(config(), log.clone())
        .await
        .expect("it starts");
    ready(&appliance).await;

    // Through the folder: a scan, and what is none. Over a line: a scan, and one that is cut off.
    let mut scan = home.phantom(1);
    scan[148..148 + MARK.len()].copy_from_slice(MARK.as_bytes());
    home.drop_in(&format!("{MARK}^JANE.nii"), &scan);
    home.drop_in(
        &format!("{MARK} is no scan.txt"),
        MARK.repeat(50).as_bytes(),
    );
    wait_for_file(&home.path(&format!("inbox/taken/{MARK}^JANE.nii"))).await;
    wait_for_file(&home.path(&format!("inbox/refused/{MARK} is no scan.txt"))).await;
    let mut desk = BoxDesk::new(Arc::clone(appliance.core()), "serial");
    scan[148 + MARK.len()] = b'2';
    let finished = send(&mut desk, &scan);
    // One after another: the box sets room for results apart for each.
    ended(&appliance, 2).await;
    send(&mut desk, &scan[..scan.len() / 2]);
    ended(&appliance, 3).await;
    send(&mut desk, MARK.repeat(50).as_bytes());
    ended(&appliance, 4).await;

    // A report that says whose it is, as one of a DICOM series does, read again by a start.
    let report = state.join(format!("spool/done/{finished}/results/report.json"));
    let bytes = fs::read(&report).expect("a report");
    let mut named: Report = serde_json::from_slice(&bytes).expect("a report");
    named.subject = Some(Subject {
        patient_name: MARK.into(),
        patient_id: MARK.into(),
        accession_number: MARK.into(),
        study_uid: MARK.into(),
        ..Subject::default()
    });
    fs::write(&report, serde_json::to_vec(&named).expect("JSON")).expect("written");
    drop(desk);
    stop(appliance);
    let appliance = Appliance::start(config(), log).await.expect("it starts");
    ready(&appliance).await;
    let mut desk = BoxDesk::new(Arc::clone(appliance.core()), "serial");
    for item in [
        Item::Exports {
            scan: cut(&finished),
        },
        Item::Scans,
    ] {
        desk.get(&item).expect("an item");
    }
    let shown = appliance.shared().get();
    assert!(shown.results.len() >= 2, "{shown:?}");
    let status = String::from_utf8(desk.get(&Item::Status).expect("a status")).expect("text");
    let scans = String::from_utf8(desk.get(&Item::Scans).expect("a list")).expect("text");
    let lines = Item::Logs { lines: 100_000 };
    let logs = String::from_utf8(desk.get(&lines).expect("the log")).expect("text");
    let audit = String::from_utf8(desk.get(&Item::Audit).expect("the log")).expect("text");
    assert!(
        logs.lines().count() > 10 && audit.lines().count() > 5,
        "{logs}"
    );
    for (what, text) in [
        ("status", status),
        ("scans", scans),
        ("log", logs),
        ("audit log", audit),
        ("metrics", metrics::text(&shown)),
        ("panel", format!("{:?}", View::of(&shown))),
        ("snapshot", format!("{shown:?}")),
    ] {
        assert!(!text.contains(MARK), "{what}: {text}");
    }
    let erased = desk.answer(&Request::Erase {
        scan: cut(&finished),
    });
    assert!(erased.is_ok());
    stop(appliance);
    for folder in ["logs", "audit", "slots"] {
        assert!(holding(&state.join(folder), MARK).is_empty(), "{folder}");
    }
}
