//! Scans that come in silent mode are for nobody: what that means for them, for those that are sent again, and where it is in doubt.

use nephrobox::spool::{Begin, Refusal, Settings, Spool};
use nephrobox::storage::faulty::Faulty;

use crate::{content, incoming, is_ended, make_results, open, send, settings};

/// Shows RQ-75.
#[test]
fn what_came_in_silent_mode_is_for_nobody_and_stays_so() {
    let disk = Faulty::new();
    let silent = Settings {
        silent: true,
        ..settings(2, &["archive"])
    };
    let spool = open(&disk, silent);
    let id = send(&spool, &content(1)).expect("room");
    let work = spool.next().expect("a disk").expect("work");
    make_results(&disk, &work, 10);
    spool.finished(id).expect("a disk");
    drop(spool);
    let spool = open(&disk, settings(2, &["archive"]));
    let listed = spool.listed(id).expect("a disk").expect("known");
    assert!(is_ended(&spool, id) && listed.missing.is_empty());
}

/// Shows RQ-75.
#[test]
fn what_came_in_silent_mode_and_is_sent_again_when_that_has_ended_is_a_scan_whose_results_go_out() {
    let silent = Settings {
        silent: true,
        ..settings(3, &["archive"])
    };
    let loud = settings(3, &["archive"]);
    let disk = Faulty::new();
    let whole = send(&open(&disk, silent.clone()), &content(1)).expect("room");
    // Of another only a part came in silence.
    let part = content(3);
    let begun = open(&disk, silent.clone());
    let Ok(Begin::Receive { id, .. }) = begun.begin(&incoming(&part)) else {
        panic!("not taken");
    };
    begun.write(id, 0, &part[..1200]).expect("written");

    let spool = open(&disk, loud);
    let again = send(&spool, &content(1)).expect("room");
    assert_ne!(again, whole, "nobody would get the results of that one");
    // "The same scan, sent again, is answered with its id."
    assert_eq!(send(&spool, &content(1)).expect("known"), again);
    assert_eq!(send(&spool, &part).expect("the rest"), id);
    let mut missing = Vec::new();
    while let Some(work) = spool.next().expect("a disk") {
        make_results(&disk, &work, 10);
        spool.finished(work.id).expect("a disk");
        let listed = spool.listed(work.id).expect("a disk").expect("known");
        missing.push((work.id, listed.missing.len()));
    }
    assert_eq!(missing, [(whole, 0), (id, 1), (again, 1)]);

    // The other way round there is an answer, whose results go where they were to go.
    let spool = open(&disk, silent);
    assert!(matches!(
        spool.begin(&incoming(&content(1))),
        Ok(Begin::Accepted(_))
    ));
}

/// Shows RQ-75.
#[test]
fn a_damaged_record_costs_a_name_and_not_the_scan_and_in_doubt_nobody_gets_its_results() {
    let disk = Faulty::new();
    let archive = settings(3, &["archive"]);
    let damage = |place: &str| {
        disk.damage(place, |record| record[9] ^= 4)
            .expect("damaged");
        Spool::open(disk.clone(), archive.clone()).expect("a start")
    };
    let work_on = |spool: &Spool<Faulty>| {
        let work = spool.next().expect("a disk").expect("a scan");
        make_results(&disk, &work, 10);
        spool.finished(work.id).expect("a disk");
        let listed = spool.listed(work.id).expect("a disk").expect("known");
        (work.id, listed.missing)
    };
    let id = send(&open(&disk, archive.clone()), b"a scan").expect("accepted");
    let (spool, recovery) = damage(&format!("queue/{id}/record"));
    assert_eq!(recovery.mended, [id]);
    assert_eq!(work_on(&spool), (id, vec![]), "it may have come in silence");
    // Nothing is lost: results are kept, and the scan sent again goes the whole way.
    assert_eq!(spool.recycle().expect("a disk"), None);
    assert_eq!(spool.results(id).expect("results").len(), 1);
    let again = send(&spool, b"a scan").expect("accepted");
    assert_ne!(again, id);
    assert_eq!(work_on(&spool), (again, vec!["archive".into()]));

    let (spool, recovery) = damage(&format!("done/{again}/record"));
    assert_eq!(recovery.mended, [again]);
    let listed = spool.listed(again).expect("a disk").expect("known");
    assert!(is_ended(&spool, again) && listed.missing.is_empty());
    assert_eq!(spool.recycle().expect("a disk"), None);
    assert_eq!(spool.results(again).expect("results").len(), 1);
}

/// An archive takes nothing of them, so that waiting and fetching make no room.
#[test]
fn a_box_that_is_full_of_what_came_in_silence_says_how_many_and_how_they_are_erased() {
    let disk = Faulty::new();
    let limits = |silent| Settings {
        silent,
        ..settings(2, &["archive"])
    };
    for (number, silent) in [(1_u8, true), (2, false)] {
        let spool = open(&disk, limits(silent));
        send(&spool, &[number; 3000]).expect("accepted");
        let work = spool.next().expect("a disk").expect("a scan");
        make_results(&disk, &work, 1000);
        spool.finished(work.id).expect("a disk");
    }
    let spool = open(&disk, limits(false));
    let Begin::Refused(refusal) = spool.begin(&incoming(&[9; 3000])).expect("said") else {
        panic!("neither has gone where it is to go");
    };
    let counted = matches!(
        refusal,
        Refusal::Full {
            unconfirmed: 1,
            silent: 1,
            ..
        }
    );
    assert!(counted, "{refusal:?}");
    let said = refusal.to_string();
    for part in [
        "1 results wait to be fetched, beside 1 that came in silent mode",
        "nephroctl erase",
    ] {
        assert!(said.contains(part), "{said}");
    }
}
