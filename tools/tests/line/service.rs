//! What the box says of itself, and how its refusals reach whoever called.

use std::fs;
use std::process::Command;

use nephrobox_link::message::{Code, Refused};
use nephroctl::audit::{Broken, verify};
use nephroctl::failure::Exit;
use serde_json::Value;
use tempfile::TempDir;

use crate::fake::{Fake, Script};
use crate::support::text;

fn with_item(item: impl Into<Vec<u8>>) -> Fake {
    Fake::start(Script {
        item: item.into(),
        ..Script::default()
    })
}

#[test]
fn slots_are_shown_for_people_and_for_programs() {
    let fake = Fake::start(Script::default());
    let words = fake.call(&["slots"]).expect("slots");
    assert_eq!(
        words,
        "* A  confirmed   kidney version 3  0707070707070707\n  B  empty     \n* runs\n"
    );
    let json = fake.call(&["slots", "--json"]).expect("slots");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["active"], 0);
    assert_eq!(json["slots"][0]["version"], 3);
    assert_eq!(json["slots"][0]["blake3"], "07".repeat(32));
    assert_eq!(json["slots"][1]["state"], "empty");
}

#[test]
fn the_status_says_what_the_box_does_and_what_is_wrong() {
    let fake = with_item(
        r#"{
        "name": "ward-3", "version": "0.1.0", "started_unix_s": 1, "started": true,
        "activity": { "kind": "working", "scan": "00000042-9f86d081", "slice": 12, "slices": 80 },
        "results": [{ "scan": "00000041-9f86d081", "finished_unix_s": 1, "kidney_ml": 301.25, "tumour_ml": 4.0,
                      "seconds": 9.5, "warnings": 2 }],
        "active_model": "kidney version 3", "slots": [], "queued": 1, "aside": 1, "used_bytes": 5000000,
        "limit_bytes": 20000000000, "faults": [], "counters": {},
        "readiness": { "ready": false, "reasons": ["the disk is full; fetch results"] }
    }"#,
    );
    let words = fake.call(&["status"]).expect("a status");
    assert_eq!(
        words,
        "\
ward-3, nephrobox 0.1.0
  model     kidney version 3
  now       working on 00000042-9f86d081, slice 12 of 80
  takes     no scans: the disk is full; fetch results
  waiting   1
  set aside 1, see `nephroctl scans`
  room      5 of 20000 MB used
  result    00000041-9f86d081  kidney 301.2 mL, tumour 4.0 mL, warnings: 2
  faults    none
"
    );
    let json = fake.call(&["status", "--json"]).expect("a status");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["started_unix_s"], 1, "all that the box says");
}

#[test]
fn scans_are_listed_with_what_became_of_them() {
    let fake = with_item(
        r#"[
        { "id": "00000041-9f86d081", "state": "finished", "reason": null, "bytes": 80000000, "source": "serial",
          "missing": ["archive"], "attempts": 1 },
        { "id": "00000042-9f86d081", "state": "refused", "reason": "all values are 0", "bytes": 1000, "source": "watch",
          "missing": [] }
    ]"#,
    );
    assert_eq!(
        fake.call(&["scans"]).expect("a list"),
        "\
00000041-9f86d081  finished      80.0 MB  from serial  not yet at archive
00000042-9f86d081  refused        0.0 MB  from watch
    all values are 0
"
    );
    fake.script().item = b"[]".to_vec();
    let words = fake.call(&["scans"]).expect("a list");
    assert_eq!(words, "there are no scans on the box\n");
}

#[test]
fn logs_figures_and_the_panels_picture_are_fetched() {
    let home = TempDir::new().expect("a folder");
    let fake = with_item("INFO started\nINFO \u{1b}[2Jreceived\n");
    let log = fake.call(&["logs", "-n", "2"]).expect("a log");
    assert_eq!(log, "INFO started\nINFO \\u{1b}[2Jreceived\n");

    fake.script().item = br#"{"slices_per_s": 31.25, "model": "kidney"}"#.to_vec();
    let figures = fake.call(&["bench", "--seconds", "1"]).expect("figures");
    assert_eq!(
        figures,
        "model                    kidney\nslices_per_s             31.250\n"
    );

    let picture = home.path().join("panel.png");
    let failure = fake.call(&["screenshot", text(&picture)]);
    let failure = failure.expect_err("figures are no picture");
    assert_eq!((failure.exit, failure.code), (Exit::Line, "answer"));
    assert!(!picture.exists());
    let png = b"\x89PNG\r\n\x1a\n and so on".to_vec();
    fake.script().item.clone_from(&png);
    fake.call(&["screenshot", text(&picture)])
        .expect("a picture");
    assert_eq!(fs::read(&picture).expect("a picture"), png);
}

/// A log of three lines as docs/formats/audit.md has them.
fn log() -> Vec<u8> {
    let mut prev = "0".repeat(64);
    let mut log = Vec::new();
    for (seq, rest) in [
        (1, r#""who":"device","what":"started""#),
        (
            2,
            r#""who":{"source":"serial"},"what":"received","scan":"00000001-9f86d081","hash":"9f86d081""#,
        ),
        (
            3,
            r#""who":{"key":"00112233445566778899aabbccddeeff"},"what":"flashed","hash":"00""#,
        ),
    ] {
        let line =
            format!(r#"{{"seq":{seq},"time":"2026-03-01T12:34:56.789Z",{rest},"prev":"{prev}"}}"#);
        prev = blake3::hash(line.as_bytes()).to_hex().to_string();
        log.extend_from_slice(line.as_bytes());
        log.push(b'\n');
    }
    log
}

/// Where the lines of a log end, the first beginning at 0.
fn ends(log: &[u8]) -> Vec<usize> {
    let breaks = log.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(at, _)| at + 1).collect()
}

#[test]
fn an_audit_log_is_shown_kept_and_checked() {
    let home = TempDir::new().expect("a folder");
    let fake = with_item(log());
    let shown = fake.call(&["audit"]).expect("a log");
    assert_eq!(shown.as_bytes(), log());
    let words = fake.call(&["audit", "--verify"]).expect("whole");
    let last = verify(&log(), None).expect("whole").last;
    assert_eq!(
        words,
        format!("3 lines, the chain is whole\nlast hash: {last}\n")
    );
    let known = last.to_hex();
    fake.call(&["audit", "--verify", "--known", &known])
        .expect("it is there");

    // Without its last line the chain is whole, and only who knows the hash can tell.
    let mut shorter = log();
    shorter.truncate(ends(&shorter)[1]);
    fake.script().item.clone_from(&shorter);
    fake.call(&["audit", "--verify"]).expect("whole");
    let kept = home.path().join("audit.jsonl");
    let arguments = ["audit", "--verify", "--known", &known, "--out", text(&kept)];
    let failure = fake.call(&arguments).expect_err("a line is gone");
    assert_eq!((failure.exit, failure.code), (Exit::Fault, "audit"));
    assert_eq!(fs::read(&kept).expect("kept all the same"), shorter);
}

/// Shows RQ-72.
#[test]
fn every_changed_byte_and_every_missing_line_of_an_audit_log_shows() {
    let log = log();
    let ends = ends(&log);
    for at in 0..ends[1] {
        let mut changed = log.clone();
        changed[at] ^= 1;
        assert!(verify(&changed, None).is_err(), "byte {at}");
    }
    let without_second = [&log[..ends[0]], &log[ends[1]..]].concat();
    let twice = [&log[..ends[0]], &log[..]].concat();
    for (wrong, place) in [
        (&log[ends[0]..], 1),
        (&without_second[..], 2),
        (&twice[..], 2),
        (&log[..ends[2] - 1], 3),
    ] {
        let broken = verify(wrong, None).expect_err("broken");
        assert!(
            matches!(broken, Broken::Line { line, .. } if line == place),
            "{broken}"
        );
    }
    assert_eq!(verify(b"", None).expect("nothing is wrong").lines, 0);
}

#[test]
fn every_refusal_of_the_box_ends_with_its_own_codes() {
    let fake = Fake::start(Script::default());
    for (code, exit) in [
        (Code::BadRequest, Exit::Refused),
        (Code::Unknown, Exit::Refused),
        (Code::Full, Exit::Later),
        (Code::Size, Exit::Refused),
        (Code::Hash, Exit::Later),
        (Code::Signature, Exit::Refused),
        (Code::Version, Exit::Refused),
        (Code::Incompatible, Exit::Refused),
        (Code::Package, Exit::Refused),
        (Code::Busy, Exit::Later),
        (Code::NoModel, Exit::Refused),
        (Code::Disk, Exit::Fault),
        (Code::Internal, Exit::Fault),
    ] {
        fake.script().refusal = Some(Refused::new(code, "not now"));
        let failure = fake.call(&["slots"]).expect_err("refused");
        assert_eq!((failure.exit, failure.code), (exit, code.name()));
        assert_eq!(failure.told.what, "not now");
        assert!(!failure.told.remedy.is_empty(), "{failure}");
    }
}

#[test]
fn a_missing_box_ends_with_5_and_is_told_as_json_where_json_is_wanted() {
    let home = TempDir::new().expect("a folder");
    let nowhere = home.path().join("tty");
    let output = Command::new(env!("CARGO_BIN_EXE_nephroctl"))
        .args(["slots", "--json", "--patience", "1"])
        .env("NEPHROBOX_PORT", &nowhere)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(5));
    assert!(output.stdout.is_empty());
    let told: Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(told["error"]["exit"], 5);
    assert_eq!(told["error"]["where"], text(&nowhere));
}

#[test]
fn a_network_line_without_certificates_is_a_mistake_in_the_command_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_nephroctl"))
        .args(["status", "--port", "tcp://127.0.0.1:1", "--patience", "1"])
        .output()
        .expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.starts_with("error[certificate]: "), "{words}");
}

#[test]
fn a_scan_is_erased_and_one_in_work_is_refused_for_now() {
    let fake = Fake::start(Script::default());
    let words = fake
        .call(&["erase", "00000042-9f86d081", "--yes"])
        .expect("erased");
    assert_eq!(words, "00000042-9f86d081 is erased\n");
    assert_eq!(fake.script().erased, ["00000042-9f86d081"]);
    let words = "00000042-9f86d081: the scan is in work and cannot be erased now; try again when that is over";
    fake.script().refusal = Some(Refused::new(Code::Busy, words));
    let busy = fake
        .call(&["erase", "00000042-9f86d081", "--yes"])
        .expect_err("in work");
    assert_eq!((busy.exit, busy.code), (Exit::Later, "busy"), "{busy}");
}

#[test]
fn an_export_is_written_whole_and_the_box_may_not_let_go_of_the_results_for_it() {
    let files = ["report.json", "report.txt", "labels.nii.gz"]
        .map(|name| (name.to_owned(), format!("{name} of nobody").into_bytes()));
    let fake = Fake::start(Script {
        results: files.to_vec(),
        ..Script::default()
    });
    let home = TempDir::new().expect("a folder");
    let out = home.path().join("out");
    let words = fake
        .call(&["export", "00000042-9f86d081", "--out", text(&out)])
        .expect("exported");
    assert!(words.contains("report.json, report.txt"), "{words}");
    for (name, bytes) in &files {
        assert_eq!(&fs::read(out.join(name)).expect("written"), bytes);
    }
    assert!(fake.script().confirmed.is_empty());
    fake.script().results.truncate(1);
    let again = home.path().join("again");
    let lacking = fake
        .call(&["export", "00000042-9f86d081", "--out", text(&again)])
        .expect_err("half an export");
    assert_eq!(lacking.code, "answer", "{lacking}");
    assert!(!again.exists());
}
