//! Objects and series that the disk damages or does not give back, after their sender was told that they are stored.

use std::fs;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::{Bench, Refused, objects, slices};

type Damage = fn(&mut Vec<u8>);

/// Shows RQ-48.
#[test]
fn what_a_disk_does_to_a_slice_after_it_was_stored_does_not_lose_it() {
    let slices = slices();
    let damages: [(&str, Damage); 3] = [
        ("its head is zeros", |bytes| bytes[..200].fill(0)),
        ("its end is gone", |bytes| bytes.truncate(400)),
        ("nothing is left", Vec::clear),
    ];
    for (what, damage) in damages {
        for count in [1, slices.len()] {
            let mut bench = Bench::new();
            bench.store_all(&slices);
            for slice in slices.iter().skip(2).chain(&slices[..2]).take(count) {
                let path = bench.lies(slice);
                let mut bytes = fs::read(&path).expect("stored");
                damage(&mut bytes);
                fs::write(&path, bytes).expect("written");
            }
            bench.restart();
            assert_eq!(bench.gatherer.arriving(), (1, 6), "{what}, {count} slices");
            assert_eq!(objects(&bench.later(61)), [6], "{what}, {count} slices");
            // "Stored" was said of six, so five are not measured as if they were all.
            let work = bench.spool.next().expect("a disk").expect("work");
            let opened = nephrobox::scan::open(&work.scan);
            assert!(opened.is_err(), "{what}, {count} slices");
        }
    }
}

/// A link to itself is what a bad sector is to whoever opens the file: there, and not to be read.
#[test]
fn a_slice_that_the_disk_does_not_give_back_is_kept_and_whole_again_once_it_is_sent_again() {
    let mut bench = Bench::new();
    let slices = slices();
    bench.store_all(&slices);
    let bad = bench.lies(&slices[2]);
    fs::remove_file(&bad).expect("removed");
    std::os::unix::fs::symlink(&bad, &bad).expect("a link");
    bench.restart();
    assert_eq!(bench.gatherer.arriving(), (1, 6));
    bench.store_all(&slices[2..3]);
    assert_eq!(fs::read(&bad).expect("there"), slices[2].encode());
    assert_eq!(objects(&bench.later(61)), [6]);
    let work = bench.spool.next().expect("a disk").expect("work");
    nephrobox::scan::open(&work.scan).expect("a whole series");
}

/// Shows RQ-48.
#[test]
fn a_series_that_the_disk_does_not_give_back_keeps_the_box_from_nothing_and_stays() {
    let mut bench = Bench::new();
    bench.store_all(&slices());
    // A file in a folder's place cannot be listed either.
    let bad = bench.home.path().join("dicom/series").join("f".repeat(32));
    fs::write(&bad, "what the disk made of it").expect("written");
    bench.restart();
    let turn = bench.turn(61);
    assert_eq!(objects(&turn.news), [6]);
    assert!(turn.trouble.is_some(), "it is told of");
    assert!(bad.exists(), "the next start tries again");
}

#[test]
fn a_series_that_cannot_be_read_holds_up_no_other_and_waits_until_it_is_sent_again() {
    let mut bench = Bench::new();
    let named = |uid: &str| {
        let mut slices = slices();
        for slice in &mut slices {
            slice.text(tags::SERIES_INSTANCE_UID, VR::UI, uid);
        }
        slices
    };
    for uid in ["2.25.2", "2.25.4", "2.25.6"] {
        bench.store_all(&named(uid));
    }
    let slice = &named("2.25.4")[5];
    let bad = bench.lies(slice);
    fs::remove_file(&bad).expect("removed");
    std::os::unix::fs::symlink(&bad, &bad).expect("a link");
    let turn = bench.turn(61);
    assert_eq!(objects(&turn.news), [6, 6]);
    let told = turn.trouble.expect("one that fails").to_string();
    assert!(
        told.contains("a series that came over the network stays there"),
        "{told}"
    );
    assert_eq!(bench.gatherer.arriving(), (1, 6), "nothing is lost");
    let again = bench.turn(1);
    assert!(
        again.news.is_empty() && again.trouble.is_some(),
        "{again:?}"
    );
    bench.store("CT1", &slice.encode()).expect("stored");
    assert_eq!(objects(&bench.later(61)), [6]);
}

/// The sender of a late slice hears that the disk refused, sends it again, and hears that it is stored: then it has to become a part of a scan.
#[test]
fn a_late_slice_becomes_part_of_a_scan_though_the_disk_refused_it_at_first() {
    for cut in [false, true] {
        let mut bench = Bench::new();
        let slices = slices();
        bench.store_all(&slices[..5]);
        assert_eq!(objects(&bench.later(61)), [5]);
        // A folder in the way of the note that the series is open again.
        let in_the_way = bench.lies(&slices[0]).with_file_name("about.new");
        fs::create_dir(&in_the_way).expect("a folder");
        let late = slices[5].encode();
        let refused = bench.store("CT1", &late);
        assert!(matches!(refused, Err(Refused::Disk(_))), "{refused:?}");
        fs::remove_dir(&in_the_way).expect("removed");
        bench.store("CT1", &late).expect("stored");
        if cut {
            bench.restart();
        }
        assert_eq!(objects(&bench.later(61)), [6]);
        assert_eq!(bench.scans(), 2);
    }
}
