//! The rows.

use nephrobox::slots::{Announced, Begin, Refusal, Slots, SlotsError, Stage as Step};
use nephrobox::storage::Storage;
use nephrobox::storage::faulty::{Faulty, Luck};

use super::Disaster;
use crate::packages::{
    End, MAKER, RETIRED, STRANGER, Stage, flash, installed, key, manifest, model, open, package,
    permit, send, settings, signed, version,
};

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

/// Everything that was thought of.
pub(super) const DISASTERS: &[Disaster] = &[
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
