//! Named disasters: each is lived through once for every operation at which the power can go, and each such cut is followed by a start from
//! everything that the disk may hold then.
//!
//! `docs/power-cuts.md` has the table; `NEPHROBOX_BLESS=1 cargo test -p nephrobox --test slots` writes it.

use std::fmt::Write as _;
use std::path::Path;

use nephrobox::slots::{Announced, Begin, Refusal, Slots, SlotsError, Stage as Step};
use nephrobox::storage::Storage;
use nephrobox::storage::faulty::{Dice, Fault, Faulty, Luck};

use crate::packages::{
    End, MAKER, RETIRED, STRANGER, Stage, flash, installed, key, manifest, model, open, package,
    permit, send, settings, signed, version,
};

/// What the power may leave of that which was not synced: nothing, everything, and this many parts.
const PARTS: u64 = 6;
/// Starts that a box gets to come up when self-tests kill it.
const STARTS: usize = 5;

/// One row of the table.
struct Disaster {
    name: &'static str,
    /// What must hold after every cut, for people.
    holds: &'static str,
    /// The box before.
    before: fn() -> Faulty,
    /// How self-tests end, by version.
    ends: &'static [(u64, End)],
    /// What happens.
    happens: fn(&Slots<Faulty>, &Stage) -> Result<(), SlotsError>,
    /// Versions that may be in use after a cut; 0 is none.
    allowed: &'static [u64],
    /// The version in use when it has happened without a cut.
    after: u64,
}

/// Flashes a version that has every right to be there.
fn upgrade(slots: &Slots<Faulty>, stage: &Stage) -> Result<(), SlotsError> {
    flash(slots, stage, &package(7), None).map(drop)
}

/// Starts, and nothing else.
fn start(slots: &Slots<Faulty>, stage: &Stage) -> Result<(), SlotsError> {
    slots.bring_up(stage).map(drop)
}

/// Expects that a package is refused.
fn refused(slots: &Slots<Faulty>, file: &[u8], permit: Option<&[u8]>) -> Result<(), SlotsError> {
    match send(slots, file, permit) {
        Err(SlotsError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => panic!("a package that must be refused was taken"),
    }
}

/// A box with these versions, and version 7 whose self-test killed it so many times.
fn killed(versions: &[u64], times: usize) -> Faulty {
    let mut disk = installed(versions);
    send(&open(&disk), &package(7), None).expect("sent");
    for _ in 0..times {
        let stage = Stage::new(&disk, &[(7, End::Kills)]);
        open(&disk).bring_up(&stage).expect_err("killed");
        disk = disk.after_power_cut(Luck::Worst);
    }
    disk
}

/// A box with these versions, whose file was changed by its disk.
fn damaged(versions: &[u64], file: &str, at: usize) -> Faulty {
    let disk = installed(versions);
    disk.damage(file, |bytes| bytes[at] ^= 4).expect("damaged");
    disk
}

const DISASTERS: &[Disaster] = &[
    Disaster {
        name: "first install",
        holds: "no model, or the new one",
        before: Faulty::new,
        ends: &[],
        happens: upgrade,
        allowed: &[0, 7],
        after: 7,
    },
    Disaster {
        name: "upgrade",
        holds: "the old model, or the new one",
        before: || installed(&[6]),
        ends: &[],
        happens: upgrade,
        allowed: &[6, 7],
        after: 7,
    },
    Disaster {
        name: "upgrade into a slot that was used",
        holds: "the old model, or the new one",
        before: || installed(&[5, 6]),
        ends: &[],
        happens: upgrade,
        allowed: &[6, 7],
        after: 7,
    },
    Disaster {
        name: "downgrade with a permit",
        holds: "the newer model, or the permitted one",
        before: || installed(&[7]),
        ends: &[],
        happens: |slots, stage| {
            let older = package(6);
            flash(slots, stage, &older, Some(&permit(&older, 7, MAKER))).map(drop)
        },
        allowed: &[7, 6],
        after: 6,
    },
    Disaster {
        name: "downgrade without a permit, then rollback",
        holds: "the newer model, or the one that was there before",
        before: || installed(&[5, 7]),
        ends: &[],
        happens: |slots, _| {
            refused(slots, &package(6), None)?;
            slots.rollback().map(drop) // the slot that it would have gone into is untouched
        },
        allowed: &[7, 5],
        after: 5,
    },
    Disaster {
        name: "self-test fails",
        holds: "the old model; the new one is bad",
        before: || installed(&[6]),
        ends: &[(7, End::Fails)],
        happens: |slots, stage| {
            upgrade(slots, stage)?;
            let [_, other] = slots.listing()?;
            let bad = matches!(other.package, Some((_, Step::Bad { .. })));
            assert!(bad && slots.notice()?.is_some());
            Ok(())
        },
        allowed: &[6],
        after: 6,
    },
    Disaster {
        name: "self-test kills the box",
        holds: "the old model; the new one is bad after three times",
        before: || killed(&[6], 0),
        ends: &[(7, End::Kills)],
        happens: start,
        allowed: &[6],
        after: 6,
    },
    Disaster {
        name: "self-test kills the box the third time",
        holds: "the old model; the new one is bad after three times",
        before: || killed(&[6], 2),
        ends: &[(7, End::Kills)],
        happens: start,
        allowed: &[6],
        after: 6,
    },
    Disaster {
        name: "start after the self-test killed the box three times",
        holds: "the old model; the new one is bad after three times",
        before: || killed(&[6], 3),
        ends: &[(7, End::Kills)],
        happens: start,
        allowed: &[6],
        after: 6,
    },
    Disaster {
        name: "self-test of the first model kills the box",
        holds: "no model; the box starts and can be flashed",
        before: || killed(&[], 0),
        ends: &[(7, End::Kills)],
        happens: start,
        allowed: &[0],
        after: 0,
    },
    Disaster {
        name: "rollback",
        holds: "the newer model, or the one before",
        before: || installed(&[6, 7]),
        ends: &[],
        happens: |slots, stage| {
            slots.rollback()?;
            slots.try_out(stage).map(drop)
        },
        allowed: &[7, 6],
        after: 6,
    },
    Disaster {
        name: "rollback to a model that fails now",
        holds: "the newer model",
        before: || installed(&[6, 7]),
        ends: &[(6, End::Fails)],
        happens: |slots, stage| {
            slots.rollback()?;
            slots.try_out(stage).map(drop)
        },
        allowed: &[7],
        after: 7,
    },
    Disaster {
        name: "resumed after an unplug",
        holds: "the old model, or the new one",
        before: || {
            let disk = installed(&[6]);
            half(&open(&disk), &package(7)).expect("half");
            disk.after_power_cut(Luck::Worst)
        },
        ends: &[],
        happens: |slots, stage| {
            let announced = Announced::of(&package(7), None).expect("a package");
            let begun = slots.begin(&announced)?;
            assert!(matches!(
                begun,
                Begin::Receive { offset: 1.., .. } | Begin::Have { .. }
            ));
            upgrade(slots, stage)
        },
        allowed: &[6, 7],
        after: 7,
    },
    Disaster {
        name: "another package in the middle of a flash",
        holds: "the old model, or the second one",
        before: || installed(&[6]),
        ends: &[],
        happens: |slots, stage| {
            half(slots, &package(7))?;
            flash(slots, stage, &package(8), None).map(drop)
        },
        allowed: &[6, 8],
        after: 8,
    },
    Disaster {
        name: "installed model's key is retired",
        holds: "the old model runs; only the new key installs",
        before: || {
            let disk = installed(&[]);
            let mut before = settings();
            before.keys.append(&mut before.retired_keys);
            let (slots, _) = Slots::open(disk.clone(), before).expect("a start");
            let old = signed(&model(manifest(6)), RETIRED);
            flash(&slots, &Stage::new(&disk, &[]), &old, None).expect("flashed");
            disk
        },
        ends: &[],
        happens: |slots, stage| {
            if version(slots)? == Some(6) {
                refused(slots, &signed(&model(manifest(7)), RETIRED), None)?;
            }
            upgrade(slots, stage)
        },
        allowed: &[6, 7],
        after: 7,
    },
    Disaster {
        name: "wrong key, truth told",
        holds: "the old model; nothing is written",
        before: || installed(&[6]),
        ends: &[],
        happens: |slots, stage| {
            refused(slots, &signed(&model(manifest(7)), STRANGER), None)?;
            start(slots, stage)
        },
        allowed: &[6],
        after: 6,
    },
    Disaster {
        name: "wrong key, a trusted one claimed",
        holds: "the old model; the package is dropped when it is whole",
        before: || installed(&[6]),
        ends: &[],
        happens: |slots, _| {
            let strange = signed(&model(manifest(7)), STRANGER);
            let mut claim = Announced::of(&strange, None).expect("a package");
            claim.package.key = Some(key(MAKER).public().id());
            lie(slots, &claim, &strange)
        },
        allowed: &[6],
        after: 6,
    },
    Disaster {
        name: "bytes changed on the way",
        holds: "the old model; the package is dropped when it is whole",
        before: || installed(&[6]),
        ends: &[],
        happens: |slots, _| {
            let mut file = package(7);
            let claim = Announced::of(&file, None).expect("a package");
            file[500] ^= 4;
            lie(slots, &claim, &file)
        },
        allowed: &[6],
        after: 6,
    },
    Disaster {
        name: "disk fills up in the middle of a flash",
        holds: "the old model; the flash goes on when there is room",
        before: || installed(&[6]),
        ends: &[],
        happens: |slots, stage| {
            let announced = Announced::of(&package(7), None).expect("a package");
            slots.begin(&announced)?;
            let disk = &stage.disk;
            disk.set_capacity(disk.used() + 500);
            let full = send(slots, &package(7), None);
            disk.set_capacity(1 << 40);
            if version(slots)? == Some(6) {
                assert!(full.is_err(), "there is no room");
            }
            upgrade(slots, stage)
        },
        allowed: &[6, 7],
        after: 7,
    },
    Disaster {
        name: "record of the slots damaged",
        holds: "the newer model, which is tried again; the older one until then",
        before: || damaged(&[6, 7], "state", 40),
        ends: &[],
        happens: start,
        allowed: &[7],
        after: 7,
    },
    Disaster {
        name: "record lost, newest model bad",
        holds: "the older model",
        before: || {
            let disk = installed(&[6]);
            let stage = Stage::new(&disk, &[(7, End::Fails)]);
            upgrade(&open(&disk), &stage).expect("flashed");
            disk.remove("state").expect("lost");
            disk.sync_folder("").expect("for good");
            disk
        },
        ends: &[(7, End::Fails)],
        happens: start,
        allowed: &[6],
        after: 6,
    },
    Disaster {
        name: "model in use damaged",
        holds: "the model before; the damaged one can be flashed again",
        before: || damaged(&[6, 7], "b.nbx", 300),
        ends: &[],
        happens: |slots, stage| {
            start(slots, stage)?;
            upgrade(slots, stage)
        },
        allowed: &[6, 7],
        after: 7,
    },
    Disaster {
        name: "only model damaged",
        holds: "no model, or the one flashed again",
        before: || damaged(&[7], "a.nbx", 300),
        ends: &[],
        happens: |slots, stage| {
            start(slots, stage)?;
            upgrade(slots, stage)
        },
        allowed: &[0, 7],
        after: 7,
    },
    Disaster {
        name: "model before damaged, then rollback",
        holds: "the model in use; there is no way back",
        before: || damaged(&[6, 7], "a.nbx", 300),
        ends: &[],
        happens: |slots, _| match slots.rollback() {
            Err(SlotsError::NoWayBack { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => panic!("back to a damaged package"),
        },
        allowed: &[7],
        after: 7,
    },
    Disaster {
        name: "confirmed model does not get ready any more",
        holds: "the model before, for as long as that lasts",
        before: || installed(&[6, 7]),
        ends: &[(7, End::Fails)],
        happens: start,
        allowed: &[6],
        after: 6,
    },
    Disaster {
        name: "flashed once more while it waits for its trial",
        holds: "the old model, or the new one",
        before: || {
            let disk = installed(&[6]);
            send(&open(&disk), &package(7), None).expect("sent");
            disk
        },
        ends: &[],
        happens: |slots, stage| {
            let announced = Announced::of(&package(7), None).expect("a package");
            assert!(matches!(slots.begin(&announced)?, Begin::Have { .. }));
            upgrade(slots, stage)
        },
        allowed: &[6, 7],
        after: 7,
    },
];

/// Sends the first half of a package.
fn half(slots: &Slots<Faulty>, file: &[u8]) -> Result<(), SlotsError> {
    let announced = Announced::of(file, None).expect("a package");
    if let Begin::Receive { offset: 0, .. } = slots.begin(&announced)? {
        slots.write(0, &file[..file.len() / 2])?;
    }
    Ok(())
}

/// Sends another package than was announced, which must not be taken.
fn lie(slots: &Slots<Faulty>, claim: &Announced, file: &[u8]) -> Result<(), SlotsError> {
    let Begin::Receive { offset, .. } = slots.begin(claim)? else {
        panic!("what is announced may be sent");
    };
    slots.write(offset, &file[offset as usize..])?;
    match slots.finish() {
        Err(SlotsError::Refused(Refusal::Hash | Refusal::Signature(_))) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => panic!("a lie was taken"),
    }
}

/// Opens the box and lets it happen.
fn live(disaster: &Disaster, disk: &Faulty) -> Result<(), SlotsError> {
    let (slots, _) = Slots::open(disk.clone(), settings())?;
    (disaster.happens)(&slots, &Stage::new(disk, disaster.ends))
}

/// Starts the box, again if a self-test kills it, and returns the disk and the version that came up; 0 is none.
fn come_up(disaster: &Disaster, mut disk: Faulty, case: &str) -> (Faulty, u64) {
    for _ in 0..STARTS {
        let stage = Stage::new(&disk, disaster.ends);
        let slots = open(&disk);
        match slots.bring_up(&stage) {
            Ok(brought) => {
                let came_up = brought.model.map(|(current, model)| {
                    assert_eq!(current.package.version, model, "{case}");
                    model
                });
                assert_eq!(version(&slots).expect("slots"), came_up, "{case}");
                return (disk, came_up.unwrap_or(0));
            }
            Err(_) => disk = disk.after_power_cut(Luck::Best),
        }
    }
    panic!("{case}: {STARTS} starts and no end");
}

/// What was found out about one disaster.
struct Tried {
    cuts: usize,
    starts: usize,
}

fn try_it(disaster: &Disaster) -> Tried {
    let name = disaster.name;
    let before = (disaster.before)().after_power_cut(Luck::Best);
    let mut tried = Tried { cuts: 0, starts: 0 };
    let mut dice = Dice(1);
    for n in 1.. {
        let disk = before.after_power_cut(Luck::Best);
        disk.fail_at(n, Fault::Cut);
        let lived = live(disaster, &disk);
        let killed = disaster.ends.iter().any(|(_, end)| *end == End::Kills);
        if disk.operations() < n || lived.is_ok() && !disk.has_failed() {
            let (_, version) = come_up(disaster, disk.after_power_cut(Luck::Worst), name);
            assert_eq!(version, disaster.after, "{name}");
            assert!(killed || lived.is_ok(), "{name}: {lived:?}");
            return tried;
        }
        tried.cuts += 1;
        let parts = (0..PARTS).map(|part| Luck::Seed(n as u64 * PARTS + part));
        for luck in [Luck::Worst, Luck::Best].into_iter().chain(parts) {
            let case = format!("{name}, cut {n}, {luck:?}");
            let mut found = disk.after_power_cut(luck);
            if matches!(luck, Luck::Seed(_)) {
                // And once more while it recovers.
                found.fail_at(1 + dice.roll(8) as usize, Fault::Cut);
                if let Ok((slots, _)) = Slots::open(found.clone(), settings()) {
                    let _ = slots.bring_up(&Stage::new(&found, disaster.ends));
                }
                found = found.after_power_cut(Luck::Seed(dice.roll(u64::MAX)));
            }
            let (disk, version) = come_up(disaster, found, &case);
            assert!(
                disaster.allowed.contains(&version),
                "{case}: version {version}"
            );
            tried.starts += 1;
            // Whatever a cut left, a package can be flashed.
            let (slots, stage) = (open(&disk), Stage::new(&disk, &[]));
            let now = flash(&slots, &stage, &package(9), None);
            assert_eq!(now.expect("flashed"), Some(9), "{case}");
            assert_eq!(version_after_a_start(&disk), Some(9), "{case}");
        }
    }
    unreachable!("the loop ends by returning");
}

fn version_after_a_start(disk: &Faulty) -> Option<u64> {
    version(&open(&disk.after_power_cut(Luck::Worst))).expect("slots")
}

/// The page of `docs/` that this test writes.
fn page(rows: &[(&Disaster, Tried)]) -> String {
    let cuts: usize = rows.iter().map(|(_, tried)| tried.cuts).sum();
    let starts: usize = rows.iter().map(|(_, tried)| tried.starts).sum();
    let mut page = format!(
        "# Power cuts

`cargo test -p nephrobox --test slots --test spool` cuts the power at every write, sync, rename, removal and new folder that the box's storage
sees, and starts the box from what its disk may hold then: nothing of what was not synced, everything, and {PARTS} random parts, in which blocks
are missing, zero or garbage and any of the names may be old. After each random part the power goes once more while the box recovers. The disk
is `appliance/src/storage/faulty.rs`: it keeps what the contract of the box's storage promises, and may lose everything else.

## Model slots

{cuts} cuts, {starts} starts. After each the box came up with one of the models named, and version 9 could be flashed and was in use after one
more cut. The test fails if this table is not what it found; `NEPHROBOX_BLESS=1` before the command writes it anew.

| disaster | cuts | starts | what holds |
| --- | --: | --: | --- |
"
    );
    for (disaster, Tried { cuts, starts }) in rows {
        let Disaster { name, holds, .. } = disaster;
        let _ = writeln!(page, "| {name} | {cuts} | {starts} | {holds} |");
    }
    page.push_str(
        "
How the slots are kept is in [formats/slots.md](formats/slots.md).

## Queue of scans

`appliance/tests/spool.rs` cuts one scan's life, from its announcement to its recycling, at every operation, and 2,000 random lives at random
ones: nothing that was accepted is lost, and the quota holds. See [formats/spool.md](formats/spool.md).
",
    );
    page
}

#[test]
fn whenever_the_power_goes_the_box_starts_with_a_working_model() {
    // Two halves at once: the rows know nothing of each other.
    let (first, second) = DISASTERS.split_at(DISASTERS.len() / 2);
    let all = |rows: &'static [Disaster]| -> Vec<_> {
        rows.iter().map(|row| (row, try_it(row))).collect()
    };
    let rows = std::thread::scope(|scope| {
        let second = scope.spawn(|| all(second));
        let mut rows = all(first);
        rows.extend(second.join().expect("the second half"));
        rows
    });
    let page = page(&rows);
    println!("{page}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/power-cuts.md");
    if std::env::var_os("NEPHROBOX_BLESS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/power-cuts.md");
    assert_eq!(
        written, page,
        "docs/power-cuts.md is not what was found; look at the difference, then run with NEPHROBOX_BLESS=1"
    );
}
