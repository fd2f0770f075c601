//! The queue of scans: what was accepted is never lost, and the disk never overflows.
//!
//! Sentences in quotation marks are those of `docs/formats/spool.md`.

#[path = "spool/silent.rs"]
mod silent;

#[path = "spool/spoilt.rs"]
mod spoilt;

use nephrobox::spool::{
    Begin, FAILURE_JSON, Incoming, Outcome, RECORD_BYTES, Refusal, ScanId, Settings, Spool,
    SpoolError, State, Work,
};
use nephrobox::storage::Storage;
use nephrobox::storage::faulty::{Dice, Fault, Faulty, Luck};

/// Bytes set apart for results here.
const RESULTS: u64 = 1000;

fn settings(scans: u64, destinations: &[&str]) -> Settings {
    Settings {
        quota_bytes: scans * (RECORD_BYTES + RESULTS + 3000),
        floor_bytes: 0,
        largest_scan_bytes: 3000,
        results_bytes: RESULTS,
        checkpoint_bytes: 1000,
        destinations: destinations.iter().map(|&name| name.into()).collect(),
        silent: false,
    }
}

/// A scan of up to 3,000 bytes; each number has another.
fn content(number: u64) -> Vec<u8> {
    let bytes = 1 + (number * 977) % 3000;
    (0..bytes).map(|at| (at * 31 + number * 7) as u8).collect()
}

fn incoming(content: &[u8]) -> Incoming {
    Incoming {
        bytes: content.len() as u64,
        blake3: blake3::hash(content),
        file_name: "../../Müller, case 7.nii.gz".into(),
        source: "line 1".into(),
        fast: false,
    }
}

type Answer<T> = Result<T, SpoolError>;

/// Sends a scan, going on from wherever the box says.
fn send<S: Storage>(spool: &Spool<S>, content: &[u8]) -> Answer<ScanId> {
    let (id, offset) = match spool.begin(&incoming(content))? {
        Begin::Receive { id, offset } => (id, offset),
        Begin::Accepted(id) => return Ok(id),
        Begin::Refused(refusal) => panic!("{refusal}"),
    };
    let mut offset = offset;
    for chunk in content[offset as usize..].chunks(700) {
        offset = spool.write(id, offset, chunk)?;
    }
    spool.finish(id)
}

/// The queue on a disk.
fn open(disk: &Faulty, settings: Settings) -> Spool<Faulty> {
    Spool::open(disk.clone(), settings).expect("a start").0
}

/// What the worker would write.
fn make_results(disk: &Faulty, work: &Work, bytes: usize) {
    let report = work.results.join("report.json");
    let report = report.to_str().expect("a path");
    disk.write_beside(report, &vec![b'{'; bytes])
        .expect("a report");
}

fn is_ended(spool: &Spool<impl Storage>, id: ScanId) -> bool {
    matches!(spool.state(id), Ok(Some(State::Ended(_))))
}

/// What has been promised to the outside during a life.
#[derive(Debug, Default)]
struct Promised {
    accepted: Option<ScanId>,
    finished: bool,
    confirmed: bool,
}

/// One scan from its announcement to its recycling; ends at the first error.
fn live(spool: &Spool<Faulty>, content: &[u8], promised: &mut Promised) -> Answer<()> {
    let id = send(spool, content)?;
    promised.accepted = Some(id);
    if let Some(work) = spool.next()? {
        make_results(spool.storage(), &work, 100);
        assert_eq!(spool.finished(work.id)?, Outcome::Finished);
    }
    promised.finished = true;
    spool.confirm(id, "clinic")?;
    promised.confirmed = true;
    assert_eq!(spool.recycle()?, Some(id));
    Ok(())
}

/// What the power may leave of that which was not synced.
fn lucks(seed: u64) -> impl Iterator<Item = Luck> {
    let seeds = (0..6).map(move |luck| Luck::Seed(seed * 6 + luck));
    [Luck::Worst, Luck::Best].into_iter().chain(seeds)
}

/// Shows RQ-47.
#[test]
fn a_power_cut_at_every_operation_loses_nothing_that_was_promised() {
    let content = content(3);
    let mut cuts = 0;
    for n in 1.. {
        let disk = Faulty::new();
        disk.fail_at(n, Fault::Cut);
        let mut promised = Promised::default();
        let lived = Spool::open(disk.clone(), settings(2, &["clinic"]))
            .and_then(|(spool, _)| live(&spool, &content, &mut promised));
        if lived.is_ok() {
            break;
        }
        cuts += 1;
        for luck in lucks(n as u64) {
            find_what_was_promised(
                &disk.after_power_cut(luck),
                &content,
                &promised,
                &format!("cut {n}, {luck:?}"),
            );
        }
    }
    println!("{cuts} operations cut");
    assert!(cuts > 60, "a life has more operations than {cuts}");
}

fn find_what_was_promised(disk: &Faulty, content: &[u8], promised: &Promised, case: &str) {
    let spool = open(disk, settings(2, &["clinic"]));
    let listed = spool.listing().expect("a list");
    if let Some(id) = promised.accepted
        && !promised.confirmed
    {
        let found = &listed[0];
        assert_eq!(found.id, id, "{case}");
        assert_eq!(found.record.file_name, "../../Müller, case 7.nii.gz");
        let scan = disk.read(&format!("queue/{id}/{id}"), 3000);
        assert!(
            found.state == State::Ended(Outcome::Finished)
                || scan.expect("the scan").as_deref() == Some(content),
            "{case}"
        );
    }
    if promised.finished && !promised.confirmed {
        let id = promised.accepted.expect("accepted");
        let results = spool.results(id).expect("results");
        assert_eq!(results.len(), 1, "{case}");
    }
    if promised.confirmed {
        assert!(
            listed.iter().all(|listed| listed.missing.is_empty()),
            "{case}"
        );
    }
    // "Whatever a cut left, the scan can be sent again and goes its way."
    live(&spool, content, &mut Promised::default())
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    assert!(spool.listing().expect("a list").is_empty(), "{case}");
    for folder in ["incoming", "queue", "work", "done", "aside", "trash"] {
        let left_over = disk.list(folder).expect("a folder").len();
        assert_eq!(left_over, 0, "{case}: {folder}");
    }
}

#[test]
fn a_disk_that_refuses_once_at_any_operation_harms_nothing() {
    let content = content(3);
    for left in 1.. {
        let disk = Faulty::new();
        let spool = open(&disk, settings(2, &["clinic"]));
        disk.fail_at(left, Fault::Full);
        let id = send(&spool, &content)
            .or_else(|_| send(&spool, &content))
            .expect("accepted");
        if let Some(work) = spool.next().or_else(|_| spool.next()).expect("work") {
            make_results(&disk, &work, 100);
            let outcome = spool.finished(id).or_else(|_| spool.finished(id));
            assert_eq!(
                outcome.expect("finished"),
                Outcome::Finished,
                "refusal {left}"
            );
        }
        assert!(is_ended(&spool, id), "refusal {left}");
        let confirmed = spool
            .confirm(id, "clinic")
            .or_else(|_| spool.confirm(id, "clinic"));
        confirmed.expect("confirmed");
        spool
            .recycle()
            .or_else(|_| spool.recycle())
            .expect("recycled");
        assert_eq!(spool.state(id).expect("a state"), None, "refusal {left}");
        if !disk.has_failed() {
            break;
        }
    }
}

#[test]
fn killed_while_receiving_it_goes_on_from_the_last_sync() {
    let content = content(3); // 2,932 bytes
    let disk = Faulty::new();
    let spool = open(&disk, settings(1, &[]));
    let Ok(Begin::Receive { id, offset: 0 }) = spool.begin(&incoming(&content)) else {
        panic!("not taken");
    };
    assert_eq!(spool.write(id, 0, &content[..1200]).expect("written"), 1200);
    assert_eq!(
        spool
            .write(id, 1200, &content[1200..2000])
            .expect("written"),
        2000
    );
    let (spool, recovery) =
        Spool::open(disk.after_power_cut(Luck::Best), settings(1, &[])).expect("a start");
    assert_eq!((recovery.partial, recovery.cut_bytes), (1, 800));
    let again = spool.begin(&incoming(&content)).expect("taken");
    assert_eq!(again, Begin::Receive { id, offset: 1200 });
    let wrong = spool
        .write(id, 2000, &content[2000..])
        .expect_err("out of order");
    assert!(
        matches!(wrong, SpoolError::Order { expected: 1200, .. }),
        "{wrong}"
    );
    assert!(matches!(
        spool.finish(id),
        Err(SpoolError::Short { received: 1200, .. })
    ));
    spool.write(id, 1200, &content[1200..]).expect("written");
    assert_eq!(spool.finish(id).expect("accepted"), id);
    assert_eq!(spool.finish(id).expect("said again"), id);
    // "The same scan, sent again, is answered with its id."
    assert_eq!(
        spool.begin(&incoming(&content)).expect("known"),
        Begin::Accepted(id)
    );
}

#[test]
fn a_reception_whose_synced_bytes_the_disk_lost_goes_on_from_what_is_left() {
    let content = content(3); // 2,932 bytes
    let disk = Faulty::new();
    let spool = open(&disk, settings(1, &[]));
    let Ok(Begin::Receive { id, offset: 0 }) = spool.begin(&incoming(&content)) else {
        panic!("not taken");
    };
    spool.write(id, 0, &content[..1400]).expect("written");
    disk.damage(&format!("incoming/{id}/{id}"), |scan| scan.truncate(500))
        .expect("damaged");
    let spool = open(&disk, settings(1, &[]));
    let again = spool.begin(&incoming(&content)).expect("taken");
    assert_eq!(again, Begin::Receive { id, offset: 500 });
    assert_eq!(send(&spool, &content).expect("accepted"), id);
}

/// Shows RQ-57.
#[test]
fn bytes_with_another_hash_are_not_accepted_and_leave_nothing() {
    let disk = Faulty::new();
    let spool = open(&disk, settings(1, &[]));
    let mut content = content(3);
    let announced = incoming(&content);
    content[77] ^= 1;
    let Ok(Begin::Receive { id, .. }) = spool.begin(&announced) else {
        panic!("not taken");
    };
    spool.write(id, 0, &content).expect("written");
    assert!(matches!(
        spool.write(id, 2932, b"x"),
        Err(SpoolError::TooMany { .. })
    ));
    assert!(matches!(spool.finish(id), Err(SpoolError::Hash(_))));
    assert!(spool.listing().expect("a list").is_empty());
    // "Numbers are not given out twice", not even of what never was accepted.
    let spool = open(&disk, settings(1, &[]));
    assert_eq!(send(&spool, b"good").expect("accepted").sequence(), 2);
}

/// Shows RQ-54.
#[test]
fn a_scan_that_kills_the_worker_twice_is_set_aside_with_its_reason() {
    let disk = Faulty::new();
    let open = || open(&disk, settings(3, &["clinic"]));
    let spool = open();
    let bad = send(&spool, b"bad").expect("accepted");
    let good = send(&spool, b"good").expect("accepted");
    for attempt in 1..=2 {
        let work = open().next().expect("work").expect("a scan");
        assert_eq!((work.id, work.attempt), (bad, attempt));
        // and here the process dies
    }
    let spool = open();
    assert_eq!(spool.next().expect("work").expect("a scan").id, good);
    let Ok(Some(State::Ended(Outcome::SetAside { reason }))) = spool.state(bad) else {
        panic!("not set aside");
    };
    assert!(reason.contains("broke off 2 times"), "{reason}");
    let error_report = &spool.results(bad).expect("an error report")[0];
    assert!(error_report.ends_with(FAILURE_JSON));
    assert_eq!(
        disk.read(&format!("aside/{bad}/{bad}"), 3000)
            .expect("kept")
            .as_deref(),
        Some(&b"bad"[..])
    );
    // A worker that stops in good order costs no attempt.
    for _ in 0..5 {
        spool.give_back(good).expect("given back");
        assert_eq!(spool.next().expect("work").expect("a scan").attempt, 1);
    }
    assert!(!spool.died(good, "a panic").expect("noted"));
    assert_eq!(spool.next().expect("work").expect("a scan").attempt, 2);
    assert!(spool.died(good, "a panic").expect("noted"));
    assert!(spool.next().expect("nothing").is_none());
}

/// Shows RQ-50.
#[test]
fn the_quota_recycles_what_was_delivered_and_nothing_else() {
    let disk = Faulty::new();
    let spool = open(&disk, settings(2, &["clinic", "archive"]));
    let mut ids = Vec::new();
    for number in 0..2 {
        let id = send(&spool, &[number; 3000]).expect("accepted");
        let work = spool.next().expect("work").expect("a scan");
        make_results(&disk, &work, 1000);
        spool.finished(id).expect("finished");
        spool.confirm(id, "clinic").expect("confirmed");
        ids.push(id);
    }
    let third = incoming(&[9; 3000]);
    let Ok(Begin::Refused(Refusal::Full { unconfirmed: 2, .. })) = spool.begin(&third) else {
        panic!("unconfirmed results must not be recycled");
    };
    assert_eq!(spool.recycle().expect("nothing"), None);
    assert!(matches!(
        spool.confirm(ids[0], "nobody"),
        Err(SpoolError::Destination(_))
    ));
    spool.confirm(ids[1], "archive").expect("confirmed");
    assert!(matches!(spool.begin(&third), Ok(Begin::Receive { .. })));
    assert_eq!(
        spool.state(ids[1]).expect("a state"),
        None,
        "the delivered one gave way"
    );
    assert!(is_ended(&spool, ids[0]));

    let large = incoming(&[0; 3001]);
    assert!(matches!(
        spool.begin(&large),
        Ok(Begin::Refused(Refusal::TooLarge {
            bytes: 3001,
            largest_bytes: 3000
        }))
    ));
    assert_eq!(
        spool.begin(&incoming(&[])).expect("said"),
        Begin::Refused(Refusal::Empty)
    );
}

/// Shows RQ-53.
#[test]
fn a_nearly_full_disk_refuses_before_anything_is_written() {
    let disk = Faulty::new();
    disk.set_capacity(1100);
    let floor = Settings {
        floor_bytes: 1000,
        ..settings(2, &[])
    };
    let spool = open(&disk, floor);
    let before = disk.operations();
    let answer = spool.begin(&incoming(b"small")).expect("said");
    assert!(
        matches!(
            answer,
            Begin::Refused(Refusal::Full {
                room_bytes: 100,
                ..
            })
        ),
        "{answer:?}"
    );
    assert_eq!(disk.operations(), before);
}

/// What the outside remembers of a scan.
struct Remembered {
    id: ScanId,
    confirmed: [bool; 2],
}

/// Shows RQ-47.
#[test]
fn random_lives_with_cuts_lose_nothing_and_never_exceed_the_quota() {
    for seed in 0..2000 {
        random_life(seed);
    }
}

const TWO: [&str; 2] = ["clinic", "archive"];

fn random_life(seed: u64) {
    let mut dice = Dice(seed);
    let limits = settings(4, &TWO);
    let mut disk = Faulty::new();
    let mut spool = open(&disk, limits.clone());
    let mut known: Vec<Remembered> = Vec::new();
    for _ in 0..20 {
        if dice.roll(3) == 0 {
            disk.fail_at(1 + dice.roll(12) as usize, Fault::Cut);
        }
        if step(&spool, &mut dice, &mut known).is_err() || dice.roll(10) == 0 {
            disk = disk.after_power_cut(Luck::Seed(dice.roll(u64::MAX)));
            spool = open(&disk, limits.clone());
        } else {
            disk.sound();
        }
        let bytes = disk.used();
        assert!(bytes <= limits.quota_bytes, "seed {seed}: {bytes} bytes");
        known.retain(|scan| {
            let there = spool.state(scan.id).expect("a state");
            let held = matches!(
                there,
                Some(State::Waiting { .. } | State::Working { .. } | State::Ended(_))
            );
            assert!(
                held || scan.confirmed == [true; 2],
                "seed {seed}: {} is lost",
                scan.id
            );
            held
        });
    }
}

/// One thing that the outside or the worker does.
fn step(spool: &Spool<Faulty>, dice: &mut Dice, known: &mut Vec<Remembered>) -> Answer<()> {
    match dice.roll(6) {
        0 | 1 => {
            let content = content(dice.roll(12));
            let Begin::Receive { id, mut offset } = spool.begin(&incoming(&content))? else {
                return Ok(());
            };
            for chunk in content[offset as usize..].chunks(1 + dice.roll(1500) as usize) {
                offset = spool.write(id, offset, chunk)?;
                if dice.roll(12) == 0 {
                    spool.pause(id);
                    return Ok(());
                }
            }
            // From the moment at which the answer is out, and not before, the box must keep it.
            let id = spool.finish(id)?;
            known.push(Remembered {
                id,
                confirmed: [false; 2],
            });
        }
        2 | 3 => {
            let Some(work) = spool.next()? else {
                return Ok(());
            };
            match dice.roll(5) {
                0 => spool.failed(work.id, "no scan")?,
                1 => spool.give_back(work.id)?,
                2 => spool.died(work.id, "a panic").map(|_| ())?,
                _ => {
                    make_results(spool.storage(), &work, 1 + dice.roll(1000) as usize);
                    spool.finished(work.id)?;
                }
            }
        }
        4 => {
            for scan in known.iter_mut() {
                let which = dice.roll(2) as usize;
                if is_ended(spool, scan.id) {
                    // Whether a cut confirmation counts is open; the box may hold it for confirmed.
                    scan.confirmed[which] = true;
                    spool.confirm(scan.id, TWO[which])?;
                }
            }
        }
        _ => {
            spool.recycle()?;
        }
    }
    Ok(())
}

#[test]
fn what_is_not_the_boxs_own_is_left_alone() {
    let disk = Faulty::new();
    let foreign = "queue/lost+found/a file";
    disk.write_beside(foreign, b"theirs").expect("written");
    let spool = open(&disk, settings(1, &[]));
    assert!(spool.listing().expect("a list").is_empty());
    assert_eq!(disk.len(foreign).expect("a length"), Some(6));
}
