//! The self-test on the real executor, on a disk.

use nephrobox::slots::{Outcome, SelfTester, Settings, Slots, Trial, TrialError};
use nephrobox::storage::Folder;
use nephrobox_engine::package::Model;
use tempfile::TempDir;

use crate::packages::{MAKER, manifest, model, package, send, settings, signed, tester, version};

fn box_settings() -> Settings {
    Settings {
        checkpoint_bytes: 4 << 20,
        ..settings()
    }
}

#[test]
fn a_model_proves_itself_on_what_will_run_it() {
    let home = TempDir::new().expect("a folder");
    let folder = || Folder::open(home.path()).expect("a folder");
    let (slots, _) = Slots::open(folder(), box_settings()).expect("a start");
    send(&slots, &package(6), None).expect("sent");
    let (verdict, model_in_use) = slots.try_out(&tester()).expect("tried").expect("a verdict");
    assert!(verdict.is_good(), "{verdict}");
    let running = model_in_use.expect("a model");
    assert_eq!(running.manifest.version, 6);
    assert_eq!(
        slots.path().expect("slots"),
        Some(home.path().join("a.nbx"))
    );

    // The next one labels its slice otherwise than where it was made.
    let mut wrong = manifest(7);
    wrong.self_test[0].labels.fill(2);
    send(&slots, &signed(&model(wrong), MAKER), None).expect("sent");
    let (verdict, model_in_use) = slots.try_out(&tester()).expect("tried").expect("a verdict");
    assert!(model_in_use.is_none());
    let Outcome::Bad(why) = &verdict.outcome else {
        panic!("{verdict}");
    };
    assert!(why.starts_with("64 pixels of the self-test"), "{why}");

    let (slots, recovery) = Slots::open(folder(), box_settings()).expect("a start");
    assert!(recovery.sentences().is_empty());
    let brought = slots.bring_up(&tester()).expect("a start");
    let (current, running) = brought.model.expect("a model");
    assert_eq!((current.package.version, running.manifest.version), (6, 6));
    assert_eq!(version(&slots).expect("slots"), Some(6));
}

#[test]
fn without_a_self_test_there_is_nothing_to_prove() {
    let mut untested = manifest(7);
    untested.self_test.clear();
    let loaded = || {
        let file = model(untested.clone()).to_bytes().expect("a package");
        Model::from_vec(file).expect("a model")
    };
    assert!(matches!(
        tester().run(loaded()),
        Err(TrialError::NoSelfTest)
    ));
    let lenient = SelfTester {
        allow_without_self_test: true,
        ..tester()
    };
    assert!(lenient.run(loaded()).is_ok());
}

/// The bundled model, in integers: to the bit.
/// Shows RQ-40.
#[test]
fn the_demo_model_passes_and_one_label_more_is_noticed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/demo-resnet18.nbx");
    let demo = Model::load(path).expect("the bundled model").model;
    let home = TempDir::new().expect("a folder");
    let folder = Folder::open(home.path()).expect("a folder");
    let (slots, _) = Slots::open(folder, box_settings()).expect("a start");
    let mut changed = demo.manifest().clone();
    changed.version += 1;
    let label = &mut changed.self_test[0].labels[0];
    *label = (*label + 1) % 3;
    for (model, good) in [
        (demo.clone(), true),
        (demo.with_manifest(changed).expect("a model"), false),
    ] {
        send(&slots, &signed(&model, MAKER), None).expect("sent");
        let (verdict, _) = slots.try_out(&tester()).expect("tried").expect("a verdict");
        assert_eq!(verdict.is_good(), good, "{verdict}");
        if let Outcome::Bad(why) = &verdict.outcome {
            assert!(why.starts_with("1 pixels of self-test slice 1"), "{why}");
        }
    }
    assert_eq!(
        version(&slots).expect("slots"),
        Some(
            slots.listing().expect("slots")[0]
                .package
                .as_ref()
                .expect("a package")
                .0
                .version
        )
    );
}
