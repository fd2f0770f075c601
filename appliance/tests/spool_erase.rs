//! Scans erased from the queue: who is refused, what nobody sees any more, and what a cut at any operation leaves.

use nephrobox::spool::{
    Begin, ErasedBy, Incoming, Outcome, ScanId, Settings, Spool, SpoolError, State, Work,
};
use nephrobox::storage::Storage;
use nephrobox::storage::faulty::{Fault, Faulty, Luck};

fn settings() -> Settings {
    Settings {
        quota_bytes: 1 << 20,
        floor_bytes: 0,
        results_bytes: 4096,
        ..Settings::default()
    }
}

fn open(disk: &Faulty) -> Spool<Faulty> {
    Spool::open(disk.clone(), settings()).expect("a start").0
}

fn begin(spool: &Spool<Faulty>, content: &[u8]) -> Begin {
    let incoming = Incoming {
        bytes: content.len() as u64,
        blake3: blake3::hash(content),
        file_name: "Doe, Jane.nii.gz".into(),
        source: "serial".into(),
        fast: false,
    };
    spool.begin(&incoming).expect("a disk")
}

fn accept(spool: &Spool<Faulty>, content: &[u8]) -> ScanId {
    let Begin::Receive { id, offset: 0 } = begin(spool, content) else {
        panic!("not taken");
    };
    spool.write(id, 0, content).expect("written");
    spool.finish(id).expect("accepted")
}

fn finish(spool: &Spool<Faulty>) -> Work {
    let work = spool.next().expect("a disk").expect("a scan");
    let report = work.results.join("report.json");
    let report = report.to_str().expect("a path");
    let written = spool.storage().write_beside(report, b"{\"a report\"}");
    written.expect("a report");
    assert_eq!(spool.finished(work.id).expect("noted"), Outcome::Finished);
    work
}

fn line() -> ErasedBy {
    ErasedBy::Line("serial".into())
}

/// Nothing of a scan is left but its number.
fn gone(disk: &Faulty, case: &str) {
    for folder in ["incoming", "queue", "work", "done", "aside", "trash"] {
        let left = disk.list(folder).expect("a folder");
        assert!(left.is_empty(), "{case}: {folder}: {left:?}");
    }
}

#[test]
fn a_scan_that_somebody_is_at_is_not_erased() {
    let disk = Faulty::new();
    let spool = open(&disk);
    let Begin::Receive { id, .. } = begin(&spool, b"on its way") else {
        panic!("not taken");
    };
    let held = |error: &SpoolError, state: &str| matches!(error, SpoolError::Held { state: found, .. } if *found == state);
    let refused = spool.condemn(id, &line()).expect_err("it comes in");
    assert!(held(&refused, "being received"), "{refused}");
    spool.pause(id);
    let record = spool.condemn(id, &line()).expect("nobody sends it");
    assert_eq!(record.erased_by, Some(line()));
    spool.erase(id).expect("erased");
    // Whoever goes on sending it has it, and hears of it otherwise than whoever asks for an id.
    for lost in [
        spool.write(id, 10, b"more").map(drop),
        spool.finish(id).map(drop),
    ] {
        let lost = lost.expect_err("it is gone");
        assert!(matches!(lost, SpoolError::Lost(_)), "{lost}");
        assert!(lost.to_string().ends_with("; send it again"), "{lost}");
    }

    let id = accept(&spool, b"a scan");
    let work = spool.next().expect("a disk").expect("a scan");
    let refused = spool.condemn(id, &line()).expect_err("in work");
    assert!(held(&refused, "in work"), "{refused}");
    spool.give_back(work.id).expect("noted");
    spool.condemn(id, &line()).expect("it waits");
    spool.erase(id).expect("erased");
    gone(&disk, "all");

    let unknown = spool.condemn(id, &line()).expect_err("gone");
    assert!(matches!(unknown, SpoolError::Unknown(_)), "{unknown}");
    assert_eq!(
        unknown.to_string(),
        format!(
            "{id}: there is no such scan on the box; look for its id with nephroctl scans or on the page of studies"
        )
    );
    spool.erase(id).expect("fine to repeat");
    let other = accept(&spool, b"another");
    let early = spool.erase(other).expect_err("nobody condemned it");
    assert!(matches!(early, SpoolError::State { .. }), "{early}");
    assert!(other > id, "numbers are not given out twice");
}

#[test]
fn a_condemned_scan_is_gone_for_everybody_but_who_erases() {
    let disk = Faulty::new();
    let spool = open(&disk);
    let ended = accept(&spool, b"a scan");
    finish(&spool);
    let waiting = accept(&spool, b"another");
    for id in [ended, waiting] {
        spool.condemn(id, &ErasedBy::Age).expect("condemned");
        // Who was first remains.
        let record = spool.condemn(id, &line()).expect("again");
        assert_eq!(record.erased_by, Some(ErasedBy::Age));
        assert_eq!(spool.state(id).expect("a state"), None);
        assert_eq!(spool.listed(id).expect("a list"), None);
        let no_results = spool.results(id).expect_err("gone");
        assert!(matches!(no_results, SpoolError::Unknown(_)), "{no_results}");
        let confirmed = spool.confirm(id, "clinic");
        assert!(confirmed.is_err());
    }
    assert!(spool.listing().expect("a list").is_empty());
    assert_eq!(spool.next().expect("a disk"), None, "nobody works on it");
    assert_eq!(
        spool.recycle().expect("a disk"),
        None,
        "it has a line to get"
    );
    // The same scan, sent again, is another one.
    let again = accept(&spool, b"a scan");
    assert!(again > waiting);
    // A start finds what was not gone on with.
    let spool = open(&disk);
    let condemned: Vec<_> = spool.condemned().expect("a list");
    let ids: Vec<_> = condemned.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [ended, waiting]);
    assert!(
        condemned
            .iter()
            .all(|(_, record)| record.erased_by == Some(ErasedBy::Age))
    );
}

/// Shows RQ-64.
#[test]
fn an_erase_that_is_cut_at_any_operation_is_gone_on_with() {
    let mut cuts = 0;
    for n in 1.. {
        let disk = Faulty::new();
        let spool = open(&disk);
        let id = accept(&spool, b"a scan");
        finish(&spool);
        disk.fail_at(n, Fault::Cut);
        let condemned = spool.condemn(id, &line()).is_ok();
        let erased = condemned && spool.erase(id).is_ok();
        if erased && !disk.has_failed() {
            break;
        }
        cuts += 1;
        for luck in [Luck::Worst, Luck::Best, Luck::Seed(n as u64), Luck::Seed(7)] {
            let case = format!("cut {n}, {luck:?}");
            let disk = disk.after_power_cut(luck);
            let spool = open(&disk);
            let listed = spool.listing().expect("a list");
            let left = spool.condemned().expect("a list");
            if condemned {
                assert!(listed.is_empty(), "{case}: it is seen again");
            } else if let [listed] = &listed[..] {
                assert_eq!(listed.state, State::Ended(Outcome::Finished), "{case}");
                spool.condemn(id, &line()).expect("condemned");
            } else {
                assert_eq!(left.len(), 1, "{case}: neither there nor condemned");
            }
            spool.erase(id).expect("erased");
            gone(&disk, &case);
            assert!(
                accept(&spool, b"the next") > id,
                "{case}: its number came again"
            );
        }
    }
    println!("{cuts} operations cut");
    assert!(cuts > 8, "an erase has more operations than {cuts}");
}

#[test]
fn its_age_is_on_the_record_and_begins_anew_at_its_end() {
    let disk = Faulty::new();
    let spool = open(&disk);
    let Begin::Receive { id, .. } = begin(&spool, b"a scan") else {
        panic!("not taken");
    };
    spool.note_age(id, 5).expect("noted");
    let age = |spool: &Spool<Faulty>| {
        let listed = spool.listed(id).expect("a list").expect("there");
        listed.record.age_from_s
    };
    assert_eq!(age(&spool), Some(5));
    spool.pause(id);
    assert_eq!(age(&open(&disk)), Some(5));
    spool.write(id, 0, b"a scan").expect("written");
    spool.finish(id).expect("accepted");
    finish(&spool);
    assert_eq!(age(&spool), None);
    spool.note_age(id, 9).expect("noted");
    assert_eq!(age(&open(&disk)), Some(9));
}
