//! Models onto the box, and back.

use std::fs;
use std::path::PathBuf;

use nephrobox_engine::package::Model;
use nephrobox_link::message::{Code, Object, Refused, SlotState};
use nephroctl::failure::Exit;
use tempfile::TempDir;

use crate::fake::{Fake, Script, slot};
use crate::support::{call, save, save_version, text};

/// A folder with a pair of keys, and a package signed with them.
struct Bench {
    home: TempDir,
    package: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let home = TempDir::new().expect("a folder");
        call(&["keygen", text(&home.path().join("clinic"))]).expect("keys");
        let package = save(home.path());
        let bench = Self { home, package };
        call(&[
            "sign",
            text(&bench.package),
            "--key",
            &bench.at("clinic.secret"),
        ])
        .expect("signed");
        bench
    }

    fn at(&self, name: &str) -> String {
        text(&self.home.path().join(name)).to_owned()
    }
}

#[test]
fn a_good_model_is_flashed_whole_and_its_verdict_is_waited_for() {
    let (bench, fake) = (Bench::new(), Fake::start(Script::default()));
    let key = bench.at("clinic.public");
    let words = fake
        .call(&["flash", text(&bench.package), "--verify-key", &key])
        .expect("flashed");
    assert_eq!(
        words,
        "example version 12 in slot B: its 2 slices came out right; it runs\n"
    );
    let script = fake.script();
    let [(object, bytes)] = &script.received[..] else {
        panic!("one package")
    };
    assert_eq!(*bytes, fs::read(&bench.package).expect("a package"));
    let loaded = Model::load(&bench.package).expect("a package");
    assert_eq!(
        *object,
        Object::Package {
            hash: loaded.hash.0,
            version: 12,
            key: loaded.signature.expect("a signature").key_id,
            permit: None,
            dry_run: false,
        }
    );
    assert_eq!(script.slots.active, Some(1));
}

#[test]
fn a_model_that_fails_its_trial_ends_with_8_and_the_boxs_words() {
    let bench = Bench::new();
    let fake = Fake::start(Script {
        good: false,
        ..Script::default()
    });
    let failure = fake.call(&["flash", text(&bench.package)]);
    let failure = failure.expect_err("a bad model");
    assert_eq!((failure.exit, failure.code), (Exit::Unfit, "trial"));
    assert_eq!(failure.told.what, "slice 1 came out wrong");
    assert_eq!(failure.told.remedy, "quantise the model again");
    assert_eq!(fake.script().slots.active, Some(0), "the old model runs");
}

#[test]
fn without_waiting_the_package_is_on_the_box_and_nothing_is_said_of_it() {
    let (bench, fake) = (Bench::new(), Fake::start(Script::default()));
    let words = fake.call(&["flash", text(&bench.package), "--no-wait"]);
    assert!(words.expect("flashed").contains("slot B; see"));
    let script = fake.script();
    assert_eq!(script.received.len(), 1);
    assert_eq!(script.slots.slots[1].state, SlotState::Written);
}

#[test]
fn a_dry_run_sends_nothing_and_tells_what_the_box_would_say() {
    let (bench, fake) = (Bench::new(), Fake::start(Script::default()));
    let dry = ["flash", text(&bench.package), "--dry-run"];
    let words = fake.call(&dry).expect("it would");
    assert_eq!(words, "the box would take example version 12: slot B\n");
    fake.script().refusal = Some(Refused::new(
        Code::Version,
        "version 12 is not above version 12; raise it",
    ));
    let failure = fake.call(&dry).expect_err("it would not");
    assert_eq!((failure.exit, failure.code), (Exit::Refused, "version"));
    assert_eq!(failure.told.remedy, "raise it");
    let script = fake.script();
    assert!(script.received.is_empty());
    assert!(matches!(
        script.announced[..],
        [Object::Package { dry_run: true, .. }]
    ));
}

/// There is no box at the port, so a failure that is not of the line was found before anybody was asked.
#[test]
fn packages_that_no_box_can_take_are_refused_here() {
    let bench = Bench::new();
    call(&["keygen", &bench.at("other")]).expect("keys");
    let unsigned = save_version(bench.home.path(), "unsigned.nbx", 13);
    let damaged = bench.at("damaged.nbx");
    let mut bytes = fs::read(&bench.package).expect("a package");
    bytes[200] ^= 1;
    fs::write(&damaged, bytes).expect("written");
    let other = bench.at("other.public");
    let cases: [(&[&str], &str, &str); 3] = [
        (
            &["flash", text(&unsigned)],
            "nobody has signed",
            "signature",
        ),
        (&["flash", &damaged], "damaged", "model"),
        (
            &["flash", text(&bench.package), "--verify-key", &other],
            "not among the trusted keys",
            "signature",
        ),
    ];
    for (arguments, word, code) in cases {
        let nowhere = ["--port", "/nowhere", "--patience", "1"];
        let failure = call(&[arguments, &nowhere].concat()).expect_err(word);
        assert_eq!((failure.exit, failure.code), (Exit::Model, code));
        assert!(failure.told.what.contains(word), "{failure}");
    }
}

#[test]
fn a_permit_goes_with_the_package_it_is_for_and_with_no_other() {
    let (bench, fake) = (Bench::new(), Fake::start(Script::default()));
    let secret = bench.at("clinic.secret");
    let permit = |package: &str| {
        call(&["permit", package, "--replaces", "20", "--key", &secret]).expect("a permit");
    };
    permit(text(&bench.package));
    let file = bench.at("example.permit");
    fake.call(&["flash", text(&bench.package), "--permit", &file])
        .expect("flashed");
    let bytes = fs::read(&file).expect("a permit");
    {
        let script = fake.script();
        let Object::Package { permit, .. } = &script.received[0].0 else {
            panic!("a package")
        };
        assert_eq!(permit.as_deref(), Some(&bytes[..]));
    }

    let other = save_version(bench.home.path(), "other.nbx", 13);
    permit(text(&other));
    let key = bench.at("clinic.public");
    let refused = |file: &str, word: &str| {
        let mut arguments = vec!["flash", text(&bench.package), "--permit", file];
        arguments.extend(["--verify-key", &key]);
        let failure = fake.call(&arguments).expect_err(word);
        assert_eq!((failure.exit, failure.code), (Exit::Input, "permit"));
        assert!(failure.told.what.contains(word), "{failure}");
    };
    refused(&bench.at("other.permit"), "for another package");
    refused(text(&bench.package), "no permit");
    fs::write(&file, &bytes[..100]).expect("written");
    refused(&file, "100 bytes instead of 128");
    assert_eq!(fake.script().received.len(), 1);
}

#[test]
fn going_back_waits_for_the_other_models_trial() {
    let mut script = Script::default();
    script.slots.slots[1] = slot(SlotState::Confirmed, 2, [9; 32]);
    let fake = Fake::start(script);
    let words = fake.call(&["rollback"]).expect("back");
    assert_eq!(
        words,
        "kidney version 2: its 2 slices came out right; it runs\n"
    );
    assert_eq!(fake.script().slots.active, Some(1));
}

#[test]
fn there_is_no_going_back_to_an_empty_slot() {
    let fake = Fake::start(Script::default());
    let failure = fake.call(&["rollback"]).expect_err("nothing there");
    assert_eq!((failure.exit, failure.code), (Exit::Refused, "no_model"));
}
