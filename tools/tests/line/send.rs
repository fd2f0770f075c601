//! Scans to the box, and results back.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_link::message::{Object, ScanState, cut};
use nephroctl::failure::Exit;
use tempfile::TempDir;

use crate::fake::{Fake, Script};
use crate::support::{call, text};

/// The sample scan of the demo: a real file, as a scanner's archive would export it.
fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sample/imaging.nii.gz")
}

/// The files of a report, as a box lists them.
fn results() -> Vec<(String, Vec<u8>)> {
    [
        ("overlay-tumour.png", "a picture"),
        ("labels.nii.gz", "a label map"),
        ("report.txt", "For research use only.\nKidneys 301.2 mL\n"),
        ("report.json", "{}"),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes.as_bytes().to_vec()))
    .into()
}

/// The files of a scan without a report.
fn failure() -> Vec<(String, Vec<u8>)> {
    vec![("failure.txt".into(), b"no report".to_vec())]
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_scan_is_sent_waited_for_fetched_and_only_then_confirmed() {
    let home = TempDir::new().expect("a folder");
    let out = home.path().join("results");
    let fake = Fake::start(Script {
        states: VecDeque::from([
            ScanState::Waiting { ahead: 1 },
            ScanState::Working {
                attempt: 1,
                slice: 3,
                slices: 8,
            },
            ScanState::Finished,
        ]),
        results: results(),
        watched: out.join("report.json"),
        ..Script::default()
    });
    let words = fake.call(&["send", text(&sample()), "--fast", "--out", text(&out)]);
    let words = words.expect("a report");
    assert!(words.starts_with("For research use only.\nKidneys 301.2 mL\n"));
    assert!(words.contains("00000001-0badf00d"), "{words}");

    let script = fake.script();
    let [(object, bytes)] = &script.received[..] else {
        panic!("one scan")
    };
    // Its file is called like any case's; its folder says which it is.
    let name = cut("sample");
    assert_eq!(*object, Object::Scan { name, fast: true });
    assert_eq!(*bytes, fs::read(sample()).expect("a scan"));
    for (name, bytes) in results() {
        assert_eq!(fs::read(out.join(name)).expect("a result"), bytes);
    }
    assert_eq!(names(home.path()), ["results"], "nothing is left beside");
    assert_eq!(script.confirmed, [("00000001-0badf00d".to_owned(), true)]);
}

#[test]
fn without_a_folder_the_results_stay_on_the_box_to_be_fetched() {
    let home = TempDir::new().expect("a folder");
    let fake = Fake::start(Script {
        results: results(),
        ..Script::default()
    });
    let words = fake.call(&["send", text(&sample())]).expect("a report");
    assert!(words.contains("nephroctl fetch 00000001-0badf00d --out"));
    let id = fake.call(&["send", text(&sample()), "--no-wait"]);
    let id = id.expect("an id");
    let (id, _) = id.split_once("  ").expect("id and file");
    assert_eq!(id, "00000002-0badf00d");
    assert!(fake.script().confirmed.is_empty());

    let out = home.path().join("results");
    fake.call(&["fetch", id, "--out", text(&out)])
        .expect("fetched");
    assert_eq!(names(&out).len(), 4);
    assert_eq!(fake.script().confirmed.len(), 1);
}

#[test]
fn several_scans_go_into_folders_of_their_names() {
    let home = TempDir::new().expect("a folder");
    let [a, b] = ["a.nii.gz", "b.nii.gz"].map(|name| {
        let path = home.path().join(name);
        fs::copy(sample(), &path).expect("copied");
        path
    });
    let fake = Fake::start(Script {
        results: results(),
        ..Script::default()
    });
    let out = home.path().join("results");
    fake.call(&["send", text(&a), text(&b), "--out", text(&out)])
        .expect("two reports");
    assert_eq!(names(&out), ["a", "b"]);
    assert_eq!(fake.script().confirmed.len(), 2);
}

#[test]
fn an_unusable_scan_ends_with_8_and_stops_no_other() {
    let home = TempDir::new().expect("a folder");
    let [a, b] = ["a.nii.gz", "b.nii.gz"].map(|name| {
        let path = home.path().join(name);
        fs::copy(sample(), &path).expect("copied");
        path
    });
    let reason = cut("no CT: all values are 0; export the scan again");
    let fake = Fake::start(Script {
        states: VecDeque::from([ScanState::Refused { reason }, ScanState::Finished]),
        results: [failure(), results()].concat(),
        ..Script::default()
    });
    let out = home.path().join("results");
    let refused = fake.call(&["send", text(&a), text(&b), "--out", text(&out)]);
    let refused = refused.expect_err("the first is unusable");
    assert_eq!(
        (refused.exit, refused.code),
        (Exit::Unfit, "scan_refused"),
        "{refused}"
    );
    assert_eq!(refused.told.what, "no CT: all values are 0");
    assert_eq!(refused.told.place, text(&a));
    assert_eq!(
        fs::read(out.join("a/failure.txt")).expect("an error report"),
        b"no report"
    );
    assert!(out.join("b/report.json").exists());
    // The box may let go of an error report, too.
    assert_eq!(fake.script().confirmed.len(), 2);
}

#[test]
fn results_that_cannot_be_written_are_not_confirmed() {
    let home = TempDir::new().expect("a folder");
    let out = home.path().join("results");
    let fake = Fake::start(Script {
        results: results(),
        obstacle: Some(out.clone()),
        ..Script::default()
    });
    let failure = fake.call(&["send", text(&sample()), "--out", text(&out)]);
    assert_eq!(failure.expect_err("in the way").exit, Exit::Output);
    assert_eq!(names(home.path()), ["results"], "nothing is left beside");
    assert!(fake.script().confirmed.is_empty());
}

/// Shows RQ-71.
#[test]
fn a_box_that_names_files_elsewhere_is_not_believed() {
    let home = TempDir::new().expect("a folder");
    let out = home.path().join("inner/results");
    for name in ["../evil", "/tmp/evil", ".evil", "a/evil", ""] {
        let fake = Fake::start(Script {
            results: vec![(name.to_owned(), b"evil".to_vec())],
            ..Script::default()
        });
        let failure = fake.call(&["send", text(&sample()), "--out", text(&out)]);
        let failure = failure.expect_err("no result");
        assert_eq!((failure.exit, failure.code), (Exit::Line, "answer"));
        assert!(fake.script().confirmed.is_empty());
    }
    assert!(names(home.path()).is_empty());
}

/// There is no box at the port, so a failure that is not of the line was found before anybody was asked.
#[test]
fn files_that_are_no_scans_and_folders_that_are_taken_are_refused_here() {
    let home = TempDir::new().expect("a folder");
    let text_file = home.path().join("notes.nii.gz");
    fs::write(&text_file, "no scan").expect("written");
    let (sample, taken) = (sample(), home.path());
    let cases: [(&[&str], Exit); 4] = [
        (&["send", "/nowhere.nii.gz"], Exit::Input),
        (&["send", text(&text_file)], Exit::Input),
        (&["send", text(taken)], Exit::Input),
        (&["send", text(&sample), "--out", text(taken)], Exit::Output),
    ];
    for (arguments, exit) in cases {
        let nowhere = ["--port", "/nowhere", "--patience", "1"];
        let failure = call(&[arguments, &nowhere].concat()).expect_err("refused");
        assert_eq!(failure.exit, exit, "{failure}");
    }
    let twice = ["send", text(&sample), text(&sample), "--out", "/tmp/never"];
    let nowhere = ["--port", "/nowhere", "--patience", "1"];
    let failure = call(&[&twice[..], &nowhere].concat()).expect_err("one name, two scans");
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.told.what.contains("called sample"), "{failure}");
}
