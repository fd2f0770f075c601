//! Named disasters: each is lived through once for every operation at which the power can go, and each such cut is followed by a start from
//! everything that the disk may hold then.
//!
//! `docs/power-cuts.md` has the table; `NEPHROBOX_BLESS=1 cargo test -p nephrobox --test slots` writes it.

mod table;

use std::fmt::Write as _;
use std::path::Path;

use nephrobox::slots::{Slots, SlotsError};
use nephrobox::storage::faulty::{Dice, Fault, Faulty, Luck};

use crate::packages::{End, Stage, flash, open, package, settings, version};
use table::DISASTERS;

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
is `appliance/src/storage/faulty`: it keeps what the contract of the box's storage promises, and may lose everything else.

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

/// Shows RQ-42.
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
