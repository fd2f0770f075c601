//! What is taken, what is refused and with which words, and what the slots say of themselves.

use nephrobox::audit::What;
use nephrobox::slots::{
    Announced, Begin, Letter, Outcome, Refusal, Settings, Slots, SlotsError, Stage as Step,
};
use nephrobox::snapshot::SlotState;
use nephrobox::storage::Storage;
use nephrobox::storage::faulty::{Fault, Faulty, Luck};
use nephrobox_shared::package::permit::PermitError;
use nephrobox_shared::package::{PackageError, SignatureError};

use crate::packages::{
    End, MAKER, RETIRED, STRANGER, Stage, flash, installed, key, manifest, model, open, package,
    permit, send, settings, signed, version,
};

/// The refusal of a package by a box that runs version 6, which has written nothing for it.
fn refused(file: &[u8], permit: Option<&[u8]>) -> Refusal {
    let disk = installed(&[6]);
    let slots = open(&disk);
    let before = disk.operations();
    let announced = Announced::of(file, permit).expect("a package");
    let Ok(Begin::Refused(refusal)) = slots.begin(&announced) else {
        panic!("it was taken");
    };
    assert_eq!(disk.operations(), before, "nothing is written");
    refusal
}

#[test]
fn a_package_goes_from_empty_to_in_use() {
    let disk = Faulty::new();
    let slots = open(&disk);
    let states = |slots: &Slots<Faulty>| slots.snapshot().expect("slots").map(|slot| slot.state);
    assert_eq!(states(&slots), [SlotState::Empty; 2]);
    let file = package(7);
    assert_eq!(send(&slots, &file, None).expect("sent"), Some(Letter::A));
    assert_eq!(states(&slots), [SlotState::Written, SlotState::Empty]);
    assert_eq!(version(&slots).expect("slots"), None);
    let stage = Stage::new(&disk, &[]);
    let (verdict, model) = slots.try_out(&stage).expect("tried").expect("a verdict");
    assert_eq!(model, Some(7));
    assert_eq!(
        verdict.to_string(),
        "threshold version 7 passed its self-test and is in use, in slot A"
    );
    assert_eq!(verdict.deed().what, What::Confirmed);
    assert_eq!(states(&slots), [SlotState::Confirmed, SlotState::Empty]);
    // "That very package, sent again, is answered at once."
    assert_eq!(send(&slots, &file, None).expect("sent"), None);
    // The next goes into the other slot.
    assert_eq!(
        flash(&slots, &stage, &package(8), None).expect("flashed"),
        Some(8)
    );
    let listing = slots.listing().expect("slots");
    assert_eq!(listing.map(|slot| slot.in_use), [false, true]);
    assert_eq!(states(&slots), [SlotState::Confirmed; 2]);
}

/// Shows RQ-36.
#[test]
fn a_package_is_refused_before_anything_is_written() {
    let older = package(5);
    assert_eq!(
        refused(&older, None).to_string(),
        "the package has version 5 and the box runs version 6; flash a higher version, or add a permit to go back"
    );
    let unsigned = model(manifest(7)).to_bytes().expect("a package");
    let unsigned = refused(&unsigned, None);
    assert!(matches!(
        unsigned,
        Refusal::Signature(SignatureError::Unsigned)
    ));
    let strange = refused(&signed(&model(manifest(7)), STRANGER), None);
    assert!(matches!(
        strange,
        Refusal::Signature(SignatureError::UnknownKey { .. })
    ));
    let retired = refused(&signed(&model(manifest(7)), RETIRED), None);
    assert!(matches!(retired, Refusal::Retired(_)), "{retired}");
    for (wrong, why) in [
        (permit(&older, 7, MAKER), "replaces another version"),
        (permit(&package(4), 6, MAKER), "is for another package"),
        (permit(&older, 6, RETIRED), "is by a retired key"),
        (permit(&older, 6, STRANGER), "is by a stranger"),
        (vec![7; 128], "is no permit"),
        (vec![], "is empty"),
    ] {
        let refusal = refused(&older, Some(&wrong));
        assert!(matches!(refusal, Refusal::Permit(_)), "{why}: {refusal}");
    }
    let announced = Announced::of(&package(7), None).expect("a package");
    let slots = open(&installed(&[6]));
    let answer = |change: fn(&mut Announced)| {
        let mut wrong = announced.clone();
        change(&mut wrong);
        match slots.begin(&wrong) {
            Ok(Begin::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(answer(|a| a.package.bytes = 0), Refusal::Size(0)));
    assert!(matches!(
        answer(|a| a.package.bytes = u64::MAX),
        Refusal::Size(_)
    ));
    assert!(matches!(answer(|a| a.format = 3), Refusal::Format(3)));
}

/// Shows RQ-38.
#[test]
fn a_permit_opens_exactly_one_step() {
    let disk = installed(&[5, 7]);
    let slots = open(&disk);
    let stage = Stage::new(&disk, &[]);
    let older = package(6);
    let permit = permit(&older, 7, MAKER);
    let now = flash(&slots, &stage, &older, Some(&permit)).expect("flashed");
    assert_eq!(now, Some(6));
    // Up again without one, and then it is worth nothing.
    let now = flash(&slots, &stage, &package(8), None).expect("flashed");
    assert_eq!(now, Some(8));
    let again = send(&slots, &older, Some(&permit)).expect_err("a used permit");
    assert!(matches!(
        again,
        SlotsError::Refused(Refusal::Permit(PermitError::OtherVersion {
            permitted: 7,
            running: 8
        }))
    ));
}

/// Announces one thing and sends another of the same length.
fn deceive(announced: &Announced, sent: &[u8]) -> (Faulty, SlotsError) {
    let disk = installed(&[6]);
    let slots = open(&disk);
    let Ok(Begin::Receive { offset: 0, .. }) = slots.begin(announced) else {
        panic!("not taken");
    };
    slots.write(0, sent).expect("written");
    let error = slots.finish().expect_err("a deceit");
    assert_eq!(version(&slots).expect("slots"), Some(6));
    (disk, error)
}

#[test]
fn the_truth_is_looked_at_when_the_package_is_whole() {
    let good = package(7);
    let announced = Announced::of(&good, None).expect("a package");
    let mut bytes_changed = 0;
    for at in (0..good.len()).step_by(29) {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        let (disk, error) = deceive(&announced, &damaged);
        assert!(matches!(error, SlotsError::Refused(Refusal::Hash)), "{at}");
        assert_eq!(disk.len("b.nbx").expect("a length"), None, "it is gone");
        // Whoever changes the file's hash too meets the package's own.
        let mut whole = announced.clone();
        whole.blake3 = blake3::hash(&damaged);
        let (_, error) = deceive(&whole, &damaged);
        assert!(
            matches!(
                error,
                SlotsError::Refused(Refusal::Model(_) | Refusal::Signature(_))
            ),
            "{at}: {error}"
        );
        bytes_changed += 1;
    }
    assert!(bytes_changed > 10);

    // A package that is good, and not the one that was announced.
    let older = package(5);
    let mut said = Announced::of(&older, None).expect("a package");
    said.package.version = 7;
    let (_, error) = deceive(&said, &older);
    assert!(
        matches!(error, SlotsError::Refused(Refusal::Announced("version"))),
        "{error}"
    );
    let strange = signed(&model(manifest(7)), STRANGER);
    let mut said = Announced::of(&strange, None).expect("a package");
    said.package.key = Some(key(MAKER).public().id());
    let (_, error) = deceive(&said, &strange);
    assert!(
        matches!(
            error,
            SlotsError::Refused(Refusal::Signature(SignatureError::UnknownKey { .. }))
        ),
        "{error}"
    );
    let mut untested = manifest(7);
    untested.self_test.clear();
    let untested = signed(&model(untested), MAKER);
    let said = Announced::of(&untested, None).expect("a package");
    let (_, error) = deceive(&said, &untested);
    assert!(matches!(error, SlotsError::Refused(Refusal::NoSelfTest)));
    let disk = installed(&[6]);
    let lenient = Settings {
        allow_without_self_test: true,
        ..settings()
    };
    let (slots, _) = Slots::open(disk, lenient).expect("a start");
    assert_eq!(
        send(&slots, &untested, None).expect("taken"),
        Some(Letter::B)
    );
}

#[test]
fn bytes_come_in_order_and_none_too_many() {
    let slots = open(&Faulty::new());
    assert!(matches!(slots.write(0, b"x"), Err(SlotsError::NoReception)));
    assert!(matches!(slots.finish(), Err(SlotsError::NoReception)));
    let file = package(7);
    let bytes = file.len() as u64;
    let announced = Announced::of(&file, None).expect("a package");
    slots.begin(&announced).expect("announced");
    slots.write(0, &file[..500]).expect("written");
    assert!(matches!(
        slots.write(501, &file[501..]),
        Err(SlotsError::Order {
            expected: 500,
            found: 501
        })
    ));
    assert!(matches!(
        slots.write(500, &vec![0; file.len()]),
        Err(SlotsError::TooMany { announced }) if announced == bytes
    ));
    assert!(matches!(
        slots.finish(),
        Err(SlotsError::Short { received: 500, .. })
    ));
    assert_eq!(slots.progress().expect("one"), (500, bytes));
    let listing = slots.listing().expect("slots");
    assert_eq!(listing[0].receiving, Some((500, bytes)));
}

#[test]
fn a_reception_goes_on_where_the_last_sync_was() {
    let disk = installed(&[6]);
    let slots = open(&disk);
    let file = package(7);
    let announced = Announced::of(&file, None).expect("a package");
    slots.begin(&announced).expect("announced");
    slots.write(0, &file[..450]).expect("written"); // past 400: synced
    slots.write(450, &file[450..600]).expect("written");
    let disk = disk.after_power_cut(Luck::Best);
    let (slots, recovery) = Slots::open(disk, settings()).expect("a start");
    assert_eq!(recovery.partial, Some((450, file.len() as u64)));
    assert_eq!(version(&slots).expect("slots"), Some(6));
    assert!(matches!(
        slots.begin(&announced),
        Ok(Begin::Receive {
            slot: Letter::B,
            offset: 450
        })
    ));
    assert_eq!(send(&slots, &file, None).expect("sent"), Some(Letter::B));
}

#[test]
fn a_package_that_fails_its_self_test_changes_nothing_and_is_told_until_it_is_noticed() {
    let disk = installed(&[6]);
    let slots = open(&disk);
    let stage = Stage::new(&disk, &[(7, End::Fails)]);
    send(&slots, &package(7), None).expect("sent");
    let (verdict, model) = slots.try_out(&stage).expect("tried").expect("a verdict");
    assert_eq!(model, None);
    assert!(matches!(&verdict.outcome, Outcome::Bad(why) if why.contains("broke off")));
    let told = verdict.to_string();
    assert!(
        told.ends_with("; threshold version 6 stays in use"),
        "{told}"
    );
    assert_eq!(verdict.deed().what, What::Refused);
    assert_eq!(version(&slots).expect("slots"), Some(6));
    let slots = open(&disk.after_power_cut(Luck::Worst));
    assert_eq!(slots.notice().expect("slots"), Some(told));
    slots.noticed().expect("noted");
    assert_eq!(slots.notice().expect("slots"), None);
    assert!(matches!(
        slots.listing().expect("slots")[1].package,
        Some((_, Step::Bad { .. }))
    ));
    assert!(matches!(
        slots.rollback(),
        Err(SlotsError::NoWayBack { .. })
    ));
    // Flashed again after what was wrong is mended.
    let stage = Stage::new(&disk, &[]);
    let now = flash(&slots, &stage, &package(7), None).expect("flashed");
    assert_eq!(now, Some(7));
}

#[test]
fn a_confirmed_model_that_does_not_get_ready_is_told_of_with_the_one_that_runs_instead() {
    let disk = installed(&[6, 7]);
    let slots = open(&disk);
    let before = disk.operations();
    let failing = Stage::new(&disk, &[(7, End::Fails)]);
    let brought = slots.bring_up(&failing).expect("a start");
    assert_eq!(brought.model.map(|(_, model)| model), Some(6));
    let told = brought.stand_in.expect("a sentence");
    assert!(
        told.starts_with("threshold version 7 in slot B does not run: its self-test broke off")
            && told.ends_with("; threshold version 6 in slot A is used instead"),
        "{told}"
    );
    assert_eq!(slots.notice().expect("slots"), Some(told));
    slots.noticed().expect("noted");
    assert_eq!(slots.notice().expect("slots"), None);
    assert_eq!(disk.operations(), before, "nothing is written");

    // The next start tries the wanted one again, and a report by it says nothing of the past.
    slots.bring_up(&failing).expect("a start");
    let slots = open(&disk);
    let brought = slots.bring_up(&Stage::new(&disk, &[])).expect("a start");
    assert_eq!(brought.model.map(|(_, model)| model), Some(7));
    assert_eq!(
        (brought.stand_in, slots.notice().expect("slots")),
        (None, None)
    );

    // So it is with a package that was damaged in its slot.
    let file = disk
        .read("b.nbx", u64::MAX)
        .expect("a disk")
        .expect("a file");
    disk.replace("b.nbx", &file[1..]).expect("damaged");
    let slots = open(&disk);
    let brought = slots.bring_up(&Stage::new(&disk, &[])).expect("a start");
    assert_eq!(brought.model.map(|(_, model)| model), Some(6));
    assert!(brought.stand_in.is_some(), "the other one is used");
    assert_eq!(slots.notice().expect("slots"), brought.stand_in);
    // Another one that passes its trial takes over, and there is nothing to say any more.
    let now = flash(&slots, &failing, &package(8), None).expect("flashed");
    assert_eq!((now, slots.notice().expect("slots")), (Some(8), None));
}

#[test]
fn going_back_tries_the_model_before_and_keeps_the_one_in_use_until_it_has_passed() {
    let disk = installed(&[6, 7]);
    let slots = open(&disk);
    assert_eq!(slots.rollback().expect("asked").version, 6);
    assert_eq!(slots.rollback().expect("asked twice").version, 6);
    assert_eq!(version(&slots).expect("slots"), Some(7), "not yet");
    let failing = Stage::new(&disk, &[(6, End::Fails)]);
    slots.try_out(&failing).expect("tried").expect("a verdict");
    assert_eq!(version(&slots).expect("slots"), Some(7), "it failed");

    let disk = installed(&[6, 7]);
    let slots = open(&disk);
    slots.rollback().expect("asked");
    let stage = Stage::new(&disk, &[]);
    slots.try_out(&stage).expect("tried").expect("a verdict");
    assert_eq!(version(&slots).expect("slots"), Some(6));
    // And forward again the same way.
    assert_eq!(slots.rollback().expect("asked").version, 7);
    slots.try_out(&stage).expect("tried").expect("a verdict");
    assert_eq!(version(&slots).expect("slots"), Some(7));
}

/// Shows RQ-36.
#[test]
fn a_retired_key_installs_nothing_and_runs_what_is_installed() {
    let disk = Faulty::new();
    let before = Settings {
        keys: vec![key(RETIRED).public()],
        retired_keys: vec![],
        ..settings()
    };
    let (slots, _) = Slots::open(disk.clone(), before).expect("a start");
    let file = signed(&model(manifest(7)), RETIRED);
    let stage = Stage::new(&disk, &[]);
    flash(&slots, &stage, &file, None).expect("flashed");
    let (slots, recovery) = Slots::open(disk.clone(), settings()).expect("a start");
    assert_eq!(recovery.sentences(), Vec::<String>::new());
    assert_eq!(version(&slots).expect("slots"), Some(7));
    // Taken out of the configuration, it runs nothing any more; put back, everything is as before.
    let without = Settings {
        retired_keys: vec![],
        ..settings()
    };
    let (slots, recovery) = Slots::open(disk.clone(), without).expect("a start");
    assert_eq!(version(&slots).expect("slots"), None);
    let told = recovery.sentences();
    assert!(told[0].contains("slot A cannot be used"), "{told:?}");
    assert_eq!(version(&open(&disk)).expect("slots"), Some(7));
}

#[test]
fn a_full_disk_refuses_before_anything_is_written() {
    let disk = installed(&[6]);
    disk.set_capacity(disk.used() + 1000);
    let slots = open(&disk);
    let before = disk.operations();
    let announced = Announced::of(&package(7), None).expect("a package");
    assert!(matches!(
        slots.begin(&announced),
        Ok(Begin::Refused(Refusal::Room { free: 1000, .. }))
    ));
    assert_eq!(disk.operations(), before);
}

#[test]
fn a_disk_that_refuses_once_at_any_operation_costs_a_repetition() {
    let (file, mut refusals) = (package(7), 0);
    for n in 1.. {
        let disk = installed(&[6]);
        let slots = open(&disk);
        let stage = Stage::new(&disk, &[]);
        disk.fail_at(n, Fault::Full);
        let now = flash(&slots, &stage, &file, None)
            .or_else(|_| flash(&slots, &stage, &file, None))
            .expect("flashed");
        assert_eq!(now, Some(7), "refusal {n}");
        if !disk.has_failed() {
            break;
        }
        refusals += 1;
    }
    assert!(refusals > 20, "{refusals}");
}

#[test]
fn a_reception_that_another_package_takes_the_place_of_leaves_nothing() {
    let slots = open(&installed(&[6]));
    let (first, second) = (package(7), package(8));
    let announced = Announced::of(&first, None).expect("a package");
    slots.begin(&announced).expect("announced");
    slots.write(0, &first[..700]).expect("written");
    send(&slots, &second, None).expect("sent");
    assert!(matches!(
        &slots.listing().expect("slots")[1].package,
        Some((package, Step::Written)) if package.version == 8
    ));
}

#[test]
fn a_file_is_installed_like_what_is_sent() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("model.nbx");
    std::fs::write(&path, package(7)).expect("written");
    let disk = Faulty::new();
    let slots = open(&disk);
    let begun = slots.install_file(&path, None).expect("installed");
    assert!(matches!(begun, Begin::Have { in_use: false, .. }));
    slots.try_out(&Stage::new(&disk, &[])).expect("tried");
    let begun = slots.install_file(&path, None).expect("installed");
    assert!(matches!(begun, Begin::Have { in_use: true, .. }));
    std::fs::write(&path, b"a picture").expect("written");
    assert!(matches!(
        slots.install_file(&path, None),
        Err(SlotsError::NotAPackage {
            source: PackageError::NotAPackage,
            ..
        })
    ));
    let gone = home.path().join("gone.nbx");
    let told = slots.install_file(&gone, None).expect_err("no file");
    assert!(told.to_string().contains("name a model package"), "{told}");
}

#[test]
fn what_would_be_answered_can_be_asked_without_anything_being_written() {
    let disk = installed(&[6]);
    let slots = open(&disk);
    let before = disk.operations();
    let ask = |file: &[u8]| {
        let mut announced = Announced::of(file, None).expect("a package");
        announced.package.name.clear(); // which decides nothing
        slots.consider(&announced).expect("slots")
    };
    assert!(matches!(
        ask(&package(7)),
        Begin::Receive {
            slot: Letter::B,
            offset: 0
        }
    ));
    assert!(matches!(ask(&package(6)), Begin::Have { in_use: true, .. }));
    assert!(matches!(
        ask(&package(5)),
        Begin::Refused(Refusal::Version { .. })
    ));
    assert_eq!(disk.operations(), before);
}
