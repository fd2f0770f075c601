//! The way of a model and of a scan, as people go it.

use std::fs;

use nephrobox_imaging::LabelReader;

use crate::phantom::{SHAPE, label};
use crate::support::{Home, Kind, active, ended, status};

/// Every voxel of the label map that came back over the line is that of the truth, which the small model finds.
#[test]
fn a_flashed_box_sends_back_the_right_label_map() {
    let (home, client) = Home::running();
    drop(client);
    let (scan, out) = (home.scan(1), home.path("results"));
    let said = home.rig.tool([
        "send".as_ref(),
        scan.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ]);
    let report = said.expect("sent");
    assert!(
        report.contains("KIDNEY AND KIDNEY TUMOUR REPORT"),
        "{report}"
    );
    assert!(report.contains("For research use only"));
    let mut labels = LabelReader::open(out.join("labels.nii.gz")).expect("a label map");
    let [slices, rows, cols] = SHAPE;
    let mut found = vec![0; rows * cols];
    for slice in 0..slices {
        let index = labels
            .next_slice(&mut found)
            .expect("a slice")
            .expect("there");
        let truth = (0..rows * cols).map(|at| label([index, at / cols, at % cols]));
        assert!(truth.eq(found.iter().copied()), "slice {slice}");
    }
    for file in ["report.json", "report.txt", "overlay-tumour.png"] {
        assert!(out.join(file).is_file(), "{file}");
    }
}

/// Shows RQ-51.
#[test]
fn the_same_scan_sent_twice_is_done_once() {
    let (home, client) = Home::running();
    drop(client);
    let scan = home.scan(1);
    let send = || {
        home.rig
            .tool(["send".as_ref(), "--no-wait".as_ref(), scan.as_os_str()])
            .expect("sent")
    };
    assert_eq!(send(), send());
}

/// Shows RQ-40.
#[test]
fn a_model_that_fails_its_self_test_leaves_the_old_one_at_work() {
    let (home, mut client) = Home::running();
    let bad = home.model(2, Kind::Lying);
    drop(client);
    let flashed = home
        .rig
        .try_tool(["flash".as_ref(), bad.as_os_str()])
        .expect("run");
    assert_eq!(flashed.status.code(), Some(8), "{flashed:?}");
    let said = String::from_utf8_lossy(&flashed.stderr).into_owned();
    assert!(said.contains("self-test"), "{said}");

    let mut home = home;
    client = home.rig.client().expect("a line");
    assert_eq!(active(&mut client), Some(1));
    let faults = status(&mut client)["faults"].to_string();
    assert!(faults.contains("fell_back"), "{faults}");
    // The next report says so, and the one after it no longer.
    drop(client);
    let report = |number: u32| {
        let scan = home.scan(number);
        home.rig
            .tool(["send".as_ref(), scan.as_os_str()])
            .expect("a report")
    };
    assert!(report(1).contains("self-test"));
    assert!(!report(2).contains("self-test"));
}

/// Shows RQ-61.
#[test]
fn a_scan_that_is_none_is_refused_with_a_sentence_and_the_next_one_goes_its_way() {
    let (home, client) = Home::running();
    drop(client);
    let broken = home.path("broken.nii");
    let whole = fs::read(home.scan(1)).expect("a scan");
    // Whole as a file and a header, so that it is the box that finds out: most of the voxels are missing.
    fs::write(&broken, &whole[..whole.len() / 3]).expect("written");
    let mut home = home;
    let mut client = home.rig.client().expect("a line");
    let file = fs::read(&broken).expect("a file");
    let id = client
        .put(
            &crate::support::scan_object(),
            &mut std::io::Cursor::new(file),
            &mut |_| {},
        )
        .expect("accepted");
    let state = format!("{:?}", ended(&mut client, &id));
    assert!(state.starts_with("Refused"), "{state}");
    let good = fs::read(home.scan(2)).expect("a file");
    let id = client
        .put(
            &crate::support::scan_object(),
            &mut std::io::Cursor::new(good),
            &mut |_| {},
        )
        .expect("accepted");
    assert_eq!(format!("{:?}", ended(&mut client, &id)), "Finished");
}
