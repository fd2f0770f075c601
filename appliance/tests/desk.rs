//! What a tool on a line gets from a box that runs, without the line between.

#[path = "support/home.rs"]
mod home;
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use home::{Home, PATIENCE, ready, stop, until};
use nephrobox::desk::BoxDesk;
use nephrobox::run::Appliance;
use nephrobox_engine::package::Model;
use nephrobox_link::message::{
    Code, Item, Object, Refused, Reply, Request, ScanState, SlotState, SlotsState, Word, cut,
};
use nephrobox_link::server::{Announced, Desk};
use nephrobox_shared::package::{PackageView, SecretKey, signing};
use serde_json::Value;

fn desk(appliance: &Appliance, line: &'static str) -> BoxDesk {
    BoxDesk::new(Arc::clone(appliance.core()), line)
}

fn scan(name: &str) -> Object {
    Object::Scan {
        name: cut(name),
        fast: false,
    }
}

fn announce(desk: &mut BoxDesk, object: &Object, bytes: &[u8]) -> Result<Announced, Refused> {
    desk.put(object, bytes.len() as u64, blake3::hash(bytes).as_bytes())
}

/// Sends an object as a line would.
fn send(desk: &mut BoxDesk, object: &Object, bytes: &[u8]) -> Result<Word, Refused> {
    match announce(desk, object, bytes)? {
        Announced::Have(id) => Ok(id),
        Announced::From(offset) => {
            let mut at = offset as usize;
            while at < bytes.len() {
                let piece = &bytes[at..bytes.len().min(at + 8192)];
                desk.take(at as u64, piece)?;
                at += piece.len();
            }
            desk.finish()
        }
    }
}

/// What a tool says of a package.
fn package(path: &Path, dry_run: bool) -> (Object, Vec<u8>) {
    let bytes = fs::read(path).expect("a package");
    let view = PackageView::open(&bytes).expect("a package");
    let object = Object::Package {
        hash: *view.hash(),
        version: view.manifest().expect("a manifest").version,
        key: view
            .signature()
            .map_or([0; 16], |signature| signature.key_id),
        permit: None,
        dry_run,
    };
    (object, bytes)
}

fn fetch(desk: &mut BoxDesk, item: &Item) -> Value {
    let bytes = desk.get(item).expect("an item");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn slots(desk: &mut BoxDesk) -> SlotsState {
    match desk.answer(&Request::Slots) {
        Ok(Reply::Slots(slots)) => slots,
        other => panic!("{other:?}"),
    }
}

/// Asks until an answer is the one that is waited for.
async fn ask_until<T: std::fmt::Debug>(
    mut ask: impl FnMut() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let began = std::time::Instant::now();
    loop {
        let answer = ask();
        if wanted(&answer) {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn state(desk: &mut BoxDesk, id: &Word) -> ScanState {
    match desk.answer(&Request::Scan { scan: id.clone() }) {
        Ok(Reply::Scan(state)) => state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_send_one_scan_and_both_get_its_results() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    let appliance = home.start_with("[[destination]]\nkind = \"line\"\n").await;
    ready(&appliance).await;
    let (mut one, mut two) = (desk(&appliance, "serial"), desk(&appliance, "tcp"));
    let bytes = home.phantom(0);
    let half = bytes.len() / 2;

    // Both begin; the second overtakes the first; each hears that its own bytes are taken.
    for desk in [&mut one, &mut two] {
        let begun = announce(desk, &scan("Doe, Jane.nii"), &bytes).expect("taken");
        assert_eq!(begun, Announced::From(0));
    }
    one.take(0, &bytes[..half]).expect("taken");
    two.take(0, &bytes[..half - 7]).expect("known");
    two.take(half as u64 - 7, &bytes[half - 7..])
        .expect("half known");
    let id = two.finish().expect("accepted");
    one.take(half as u64, &bytes[half..]).expect("known by now");
    assert_eq!(one.finish().expect("accepted"), id);
    assert_eq!(
        send(&mut one, &scan("again.nii"), &bytes).expect("known"),
        id
    );

    ask_until(
        || state(&mut one, &id),
        |state| *state == ScanState::Finished,
    )
    .await;
    let results = fetch(&mut one, &Item::Results { scan: id.clone() });
    let names: Vec<_> = results
        .as_array()
        .expect("a list")
        .iter()
        .map(|file| file["name"].as_str())
        .collect();
    assert!(
        names.contains(&Some("report.json")) && names.contains(&Some("labels.nii.gz")),
        "{names:?}"
    );
    let item = Item::Result {
        scan: id.clone(),
        name: cut("report.json"),
    };
    let report = fetch(&mut two, &item);
    assert_eq!(report["model"]["name"], "threshold");
    let wrong = Item::Result {
        scan: id.clone(),
        name: cut("../record"),
    };
    assert_eq!(
        one.get(&wrong).expect_err("no such result").code,
        Code::Unknown
    );

    // Results stay until they are confirmed; asked twice, it is done once.
    let listed = || fetch(&mut desk(&appliance, "tcp"), &Item::Scans)[0].clone();
    assert_eq!(listed()["missing"], serde_json::json!(["line"]));
    for _ in 0..2 {
        let confirmed = one.answer(&Request::Confirm { scan: id.clone() });
        assert_eq!(confirmed, Ok(Reply::Done));
    }
    assert_eq!(listed()["missing"], serde_json::json!([]));
    assert!(!listed().to_string().contains("Jane"), "{}", listed());
    let counters = appliance.shared().get().counters;
    assert_eq!((counters.accepted, counters.delivered), (1, 1));

    let log = String::from_utf8(one.get(&Item::Audit).expect("the log")).expect("text");
    let count = |what: &str| {
        log.lines()
            .filter(|line| line.contains(&format!("\"what\":\"{what}\"")))
            .count()
    };
    assert_eq!(
        (count("received"), count("reported"), count("sent")),
        (1, 1, 1),
        "{log}"
    );
    assert!(!log.contains("Jane"), "{log}");
    drop((one, two));
    stop(appliance);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_without_a_model_takes_a_package_and_no_scan_before_that() {
    let home = Home::new();
    let appliance = home.start().await;
    until(&appliance, "started", |state| state.started).await;
    let mut one = desk(&appliance, "serial");
    let refused = send(&mut one, &scan("case.nii"), &home.phantom(0)).expect_err("no model");
    assert_eq!(refused.code, Code::NoModel);

    let (object, bytes) = package(&home.small_model(3, true), false);
    assert_eq!(
        send(&mut one, &object, &bytes).expect("written").as_str(),
        "A"
    );
    let told = ask_until(
        || slots(&mut one),
        |slots| slots.verdict.as_ref().is_some_and(|verdict| verdict.good),
    )
    .await;
    assert_eq!(
        (told.active, told.slots[0].state),
        (Some(0), SlotState::Confirmed)
    );
    let id = send(&mut one, &scan("case.nii"), &home.phantom(0)).expect("a model");
    ask_until(
        || state(&mut one, &id),
        |state| *state == ScanState::Finished,
    )
    .await;

    // Nobody waits for it on a line here, and confirming it is no mistake.
    assert_eq!(one.answer(&Request::Confirm { scan: id }), Ok(Reply::Done));
    let unknown = one.answer(&Request::Confirm {
        scan: cut("00000099-00000000"),
    });
    assert_eq!(unknown.expect_err("no such scan").code, Code::Unknown);
    drop(one);
    stop(appliance);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_flashes_at_a_time_and_what_may_not_be_installed_is_refused_by_its_code() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    let appliance = home.start().await;
    ready(&appliance).await;
    let (mut one, mut two) = (desk(&appliance, "serial"), desk(&appliance, "tcp"));
    let first = slots(&mut one).slots[0].model.clone().expect("a model");

    let (object, bytes) = package(&home.small_model(2, true), false);
    assert_eq!(
        announce(&mut one, &object, &bytes).expect("taken"),
        Announced::From(0)
    );
    one.take(0, &bytes[..100]).expect("taken");
    let refused = announce(&mut two, &object, &bytes).expect_err("the first is at it");
    assert_eq!(refused.code, Code::Busy);
    one.pause();
    // The first is gone; another client goes on where it ended.
    assert_eq!(
        announce(&mut two, &object, &bytes).expect("taken"),
        Announced::From(100)
    );
    two.take(100, &bytes[100..]).expect("taken");
    assert_eq!(two.finish().expect("written").as_str(), "B");
    let hash = PackageView::open(&bytes)
        .map(|view| *view.hash())
        .expect("a package");
    let good = |slots: &SlotsState, of: &[u8; 32]| {
        let verdict = slots.verdict.as_ref();
        verdict.is_some_and(|verdict| verdict.hash == *of && verdict.good)
    };
    let told = ask_until(|| slots(&mut one), |slots| good(slots, &hash)).await;
    assert_eq!(told.active, Some(1));

    // The same version again, and a key that nobody trusts; a dry run says so without a byte sent.
    let (dry, bytes) = package(&home.small_model(2, false), true);
    assert_eq!(
        announce(&mut one, &dry, &bytes)
            .expect_err("not above")
            .code,
        Code::Version
    );
    let stranger = SecretKey::from_seed(&[9; 32]);
    let mut forged = Model::load(home.small_model(5, true))
        .expect("a model")
        .model
        .to_bytes()
        .expect("a package");
    signing::sign(&mut forged, &stranger).expect("signed");
    let path = home.path("forged.nbx");
    fs::write(&path, forged).expect("written");
    let (object, bytes) = package(&path, false);
    assert_eq!(
        send(&mut one, &object, &bytes)
            .expect_err("a stranger")
            .code,
        Code::Signature
    );
    let (dry, bytes) = package(&home.small_model(3, true), true);
    let would = announce(&mut one, &dry, &bytes).expect("it would be taken");
    assert_eq!(would, Announced::Have(cut("A")));
    assert_eq!(
        slots(&mut one).slots[0].model.as_ref(),
        Some(&first),
        "a dry run changes nothing"
    );

    // Back, and asked twice only once.
    for _ in 0..2 {
        let back = one.answer(&Request::Rollback { from: hash });
        assert_eq!(back, Ok(Reply::Done));
    }
    let told = ask_until(|| slots(&mut one), |slots| good(slots, &first.hash)).await;
    assert_eq!(told.active, Some(0));
    let log = String::from_utf8(one.get(&Item::Audit).expect("the log")).expect("text");
    let count = |what: &str| {
        log.lines()
            .filter(|line| line.contains(&format!("\"what\":\"{what}\"")))
            .count()
    };
    assert_eq!((count("flashed"), count("rolled_back")), (1, 1), "{log}");
    assert!(log.contains(&home.key.public().id().to_string()), "{log}");
    drop((one, two));
    stop(appliance);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_picture_logs_and_speed_can_be_fetched() {
    let home = Home::new();
    home.install(&home.small_model(1, true));
    let appliance = home.start().await;
    ready(&appliance).await;
    let mut one = desk(&appliance, "serial");
    let status = fetch(&mut one, &Item::Status);
    assert_eq!(status["name"], "bedside");
    assert_eq!(status["readiness"]["ready"], true);
    let picture = one.get(&Item::Screenshot).expect("a picture");
    let picture = image::load_from_memory(&picture).expect("a PNG");
    assert_eq!((picture.width(), picture.height()), (800, 480));
    one.get(&Item::Logs { lines: 10 }).expect("lines");
    let figures = fetch(&mut one, &Item::Bench { seconds: 1 });
    assert_eq!(figures["model"], "threshold");
    assert!(
        figures["slices_per_s"].as_f64().expect("a speed") > 0.0,
        "{figures}"
    );
    drop(one);
    stop(appliance);
}
