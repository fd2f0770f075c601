//! The twin keeps what it promises and loses the rest.

use super::*;

const LUCKS: [Luck; 3] = [Luck::Worst, Luck::Best, Luck::Seed(0)];

/// The disks that a cut may leave, each seen once.
fn found(disk: &Faulty, path: &str) -> Vec<Option<Vec<u8>>> {
    let lucks = (1..200).map(Luck::Seed).chain(LUCKS);
    let read = |luck| disk.after_power_cut(luck).read(path, 9).expect("read");
    let mut found: Vec<_> = lucks.map(read).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn what_was_synced_survives_and_its_name_only_with_its_folder() {
    let disk = Faulty::new();
    disk.append("file", b"kept").expect("written");
    disk.sync("file").expect("synced");
    assert_eq!(found(&disk, "file"), [None, Some(b"kept".to_vec())]);
    disk.sync_folder("").expect("synced");
    assert_eq!(found(&disk, "file"), [Some(b"kept".to_vec())]);
    disk.append("file", b"more").expect("written");
    let left = found(&disk, "file");
    assert!(left.len() > 3, "lost, torn, zero and garbage: {left:?}");
    for left in left.into_iter().flatten() {
        assert_eq!(&left[..4], b"kept");
    }
}

#[test]
fn a_file_is_replaced_whole_only_if_it_was_synced_first() {
    let replaced = |careful: bool| {
        let disk = Faulty::new();
        disk.replace("file", b"old").expect("written");
        disk.append("file.new", b"new").expect("written");
        if careful {
            disk.sync("file.new").expect("synced");
        }
        disk.rename("file.new", "file").expect("renamed");
        found(&disk, "file")
    };
    let [old, new] = [b"old", b"new"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(replaced(true), [new.clone(), old]);
    assert!(replaced(false).len() > 2, "an empty file, or garbage");
}

#[test]
fn a_cut_at_an_operation_leaves_it_done_or_not_and_nothing_works_after() {
    let disk = Faulty::new();
    disk.replace("file", b"old").expect("written");
    disk.fail_at(2, Fault::Cut);
    disk.append("other", b"first").expect("the first");
    assert!(disk.remove("file").is_err());
    assert!(disk.has_failed() && disk.read("file", 9).is_err());
    assert_eq!(found(&disk, "file"), [None, Some(b"old".to_vec())]);
}

#[test]
fn a_folder_moves_with_all_that_is_in_it() {
    let disk = Faulty::new();
    for folder in ["a/x", "b"] {
        disk.make_folder(folder).expect("made");
    }
    disk.append("a/x/file", b"1").expect("written");
    for folder in ["", "a", "a/x"] {
        disk.sync_folder(folder).expect("synced");
    }
    disk.sync("a/x/file").expect("synced");
    disk.rename("a/x", "b/x").expect("moved");
    for luck in LUCKS {
        let disk = disk.after_power_cut(luck);
        let places = ["a/x/file", "b/x/file"].map(|path| disk.read(path, 9).expect("read"));
        assert_eq!(places.iter().flatten().count(), 1, "{luck:?}");
    }
    disk.remove("b").expect("removed");
    assert_eq!(disk.list("").expect("listed"), ["a"]);
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = Faulty::new();
    disk.set_capacity(3);
    let error = disk.append("file", b"12345").expect_err("full");
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(
        disk.read("file", 9).expect("read").as_deref(),
        Some(&b"123"[..])
    );
    assert_eq!(disk.free().expect("none"), 0);
}
