//! Single things on the disk that it does not give back, or does not let go of.

use nephrobox::spool::{Outcome, Spool, SpoolError};
use nephrobox::storage::Storage as _;
use nephrobox::storage::faulty::{Fault, Faulty};

use super::{content, is_ended, make_results, send, settings};

/// Shows RQ-47.
#[test]
fn a_scan_that_the_disk_does_not_give_back_stays_and_keeps_the_others_from_nothing() {
    let settings = settings(4, &["clinic"]);
    let start = |disk: &Faulty| Spool::open(disk.clone(), settings.clone()).expect("a start");
    for what in ["", "/record"] {
        let disk = Faulty::new();
        let (spool, _) = start(&disk);
        let bad = send(&spool, &content(1)).expect("accepted");
        let good = send(&spool, &content(2)).expect("accepted");
        disk.spoil(&format!("queue/{bad}{what}"));

        let (spool, recovery) = start(&disk);
        let [(id, why)] = &recovery.unread[..] else {
            panic!("{recovery:?}");
        };
        assert!(*id == bad && why.contains("a bad sector"), "{why}");
        let state = spool.state(bad);
        assert!(matches!(state, Err(SpoolError::Unread(_))), "{state:?}");
        assert!(spool.is_taken_anew(bad).expect("a disk"));
        // The others go their way, and a disk that refuses once on it changes nothing of that.
        let work = spool.next().expect("a disk").expect("work");
        assert_eq!(work.id, good);
        make_results(&disk, &work, 100);
        disk.fail_at(1, Fault::Full);
        let outcome = spool.finished(good).or_else(|_| spool.finished(good));
        assert_eq!(outcome.expect("finished"), Outcome::Finished);
        assert!(spool.next().expect("a disk").is_none());
        // Sent again it is another scan, whose number is none that was given out.
        let again = send(&spool, &content(1)).expect("accepted");
        assert!(again.sequence() > good.sequence());

        // With the disk mended it is there as it was.
        disk.mend();
        let (spool, recovery) = start(&disk);
        assert_eq!((recovery.unread, recovery.waiting), (vec![], 2));
        assert_eq!(spool.next().expect("a disk").expect("work").id, bad);
    }
}

/// A disk that is away as a whole must not make a running box forget what it has.
#[test]
fn while_the_box_runs_every_scan_has_to_be_found_again() {
    let disk = Faulty::new();
    let (spool, _) = Spool::open(disk.clone(), settings(4, &[])).expect("a start");
    let id = send(&spool, &content(1)).expect("accepted");
    disk.fail_at(1, Fault::Full);
    spool.next().expect_err("it refuses");
    disk.spoil(&format!("queue/{id}"));
    assert!(matches!(spool.listing(), Err(SpoolError::Storage { .. })));
    disk.mend();
    assert_eq!(spool.listing().expect("a disk").len(), 1);
    assert_eq!(spool.next().expect("a disk").expect("work").id, id);
}

/// What is to be removed is out of sight; that it cannot be removed yet holds up nothing.
#[test]
fn what_does_not_leave_the_trash_keeps_the_box_from_nothing() {
    let disk = Faulty::new();
    let start = || {
        Spool::open(disk.clone(), settings(4, &[]))
            .expect("a start")
            .0
    };
    let spool = start();
    let id = send(&spool, &content(1)).expect("accepted");
    let work = spool.next().expect("a disk").expect("work");
    make_results(&disk, &work, 100);
    spool.finished(id).expect("finished");
    let stubborn = "trash/99999998-00000000";
    disk.write_beside(&format!("{stubborn}/a"), b"old")
        .expect("room");
    disk.spoil(stubborn);
    let spool = start();
    assert!(is_ended(&spool, id));
    send(&spool, &content(2)).expect("accepted");
    disk.mend();
    start();
    assert!(disk.list("trash").expect("a folder").is_empty());
}
