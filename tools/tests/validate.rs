//! Field validation as a validator meets it: held-back cases, a package with scores, and boxes that are honest or not.
//!
//! The packed scores are taken here as the trainer takes them, at the network's size and slice by slice, so that they are
//! an oracle for what `validate` gets out of label maps at the scan's size.

#[path = "support/field.rs"]
mod field;
mod support;

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use field::{Field, Lie, Local};
use nephrobox_shared::class::Class;
use nephroctl::failure::{Exit, Failure};
use nephroctl::validate::{self, Job, Outcome, Verdict};

/// The evening of 28 November 2026.
fn now() -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_hours(498_861)
}

fn validated(field: &Field, local: &mut Local) -> Result<Outcome, Failure> {
    Job::prepare(&field.args())?.run(local, now(), &mut |_| ())
}

fn close(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
        (found, expected) => found == expected,
    }
}

#[test]
fn a_box_that_does_what_the_package_says_passes_with_the_packed_scores_themselves() {
    let field = Field::new();
    let outcome = validated(&field, &mut field.local()).expect("a verdict");
    assert_eq!(outcome.verdict, Verdict::Pass, "{}", outcome.reason());
    assert_eq!(
        (outcome.data.cases, outcome.data.slices),
        (field::CASES, field.slices())
    );
    assert_eq!(outcome.data.lost_pixels, 0);
    assert_eq!(
        (outcome.maps.equal_scans, outcome.maps.different_voxels),
        (field::CASES, 0)
    );
    assert!(!outcome.maps.equality_promised, "f32");
    let (measured, packed) = (&outcome.measured, &outcome.packed);
    for class in Class::ALL {
        let judged = outcome.classes.get(class);
        for (metric, compared) in judged.metrics() {
            assert!(
                close(compared.measured, compared.packed),
                "{class} {metric}: {compared:?}"
            );
            let interval = compared.interval.expect("five patients have an interval");
            let packed = compared.packed.expect("defined");
            assert!(
                (interval.low..=interval.high).contains(&packed),
                "{class} {metric}"
            );
        }
        // The unweighted readings are the same numbers too: sums of whole pixels.
        assert_eq!(measured.pooled.get(class), packed.pooled.get(class));
        assert_eq!(measured.per_case.get(class), packed.per_case.get(class));
    }
    assert_eq!(measured.kits, packed.kits);
    let kidney = outcome.classes.kidney.dice.packed.expect("defined");
    assert!(
        (0.3..0.99).contains(&kidney),
        "the oracle sees right and wrong pixels: {kidney}"
    );
}

#[test]
fn the_reports_say_verdict_scores_cases_and_what_it_is_for() {
    let field = Field::new();
    let args = field.args();
    let outcome = validated(&field, &mut field.local()).expect("a verdict");
    let mut said = Vec::new();
    validate::deliver(&args, &outcome, &mut said).expect("PASS");
    let read = |name: &str| fs::read_to_string(args.out.join(name)).expect("written");
    let (text, page) = (read("validation.txt"), read("validation.html"));
    assert_eq!(String::from_utf8(said).expect("text"), text);
    for part in [
        "PASS",
        "For research use only",
        "a box in a test",
        "2026-11-28",
        &outcome.model.blake3,
        "case_00001",
        "2,000 draws",
    ] {
        assert!(page.contains(part), "{part} in the page");
    }
    for part in [
        "VALIDATION OF A BOX: PASS",
        "For research use only",
        "precision",
        "seed 2019",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    // One file that runs nothing, asks nobody, and says nothing of this machine.
    let home = field.home().to_str().expect("text");
    for part in ["http", "<script", "@import", "url(", home] {
        assert!(!page.contains(part), "{part} in the page");
    }
    let json: serde_json::Value = serde_json::from_str(&read("validation.json")).expect("JSON");
    assert_eq!(json["verdict"], "PASS");
    assert_eq!(json["classes"]["tumour"]["dice"]["verdict"], "PASS");
    assert_eq!(json["cases"].as_array().map(Vec::len), Some(field::CASES));
    assert_eq!(json["made"], "2026-11-28T21:00:00.000Z");
}

/// Shows RQ-44.
#[test]
fn a_few_wrong_pixels_are_drift_and_many_are_fail() {
    for (lie, verdict, exit) in [
        (Lie::FewKidneyVoxels, Verdict::Drift, Exit::Drift),
        (Lie::NoTumour, Verdict::Fail, Exit::Failed),
    ] {
        let field = Field::new();
        let args = field.args();
        let outcome = validated(&field, &mut field.local().lying(lie)).expect("a verdict");
        assert_eq!(outcome.verdict, verdict, "{lie:?}: {}", outcome.reason());
        let failure = validate::deliver(&args, &outcome, &mut Vec::new()).expect_err("no PASS");
        assert_eq!(failure.exit, exit);
        assert!(failure.told.place.ends_with("validation.html"), "{failure}");
        assert!(args.out.join("validation.html").is_file());
        assert!(outcome.maps.different_voxels > 0 && outcome.maps.verdict == Verdict::NotJudged);
    }
}

/// The proof of the label maps is sharper than the scores: one voxel on a slice that nobody scores is enough.
/// Shows RQ-44.
#[test]
fn one_voxel_that_integers_would_not_have_given_is_fail() {
    let field = Field::in_integers();
    let honest = validated(&field, &mut field.local()).expect("a verdict");
    assert_eq!(honest.verdict, Verdict::Pass, "{}", honest.reason());
    assert!(honest.maps.equality_promised && honest.maps.verdict == Verdict::Pass);
    assert!(honest.maps_sentence().contains("bit for bit"));
    assert_eq!(honest.model.arithmetic, "int8");

    let field = field.elsewhere("lied");
    let lied =
        validated(&field, &mut field.local().lying(Lie::OneUnscoredVoxel)).expect("a verdict");
    assert_eq!(lied.classes, honest.classes, "no score tells");
    assert_eq!(
        (lied.maps.different_voxels, lied.maps.verdict),
        (1, Verdict::Fail)
    );
    assert_eq!(lied.verdict, Verdict::Fail);
    assert!(lied.reason().contains("label maps"), "{}", lied.reason());
}

#[test]
fn a_validation_that_broke_off_goes_on_with_what_is_missing() {
    let field = Field::new();
    let mut broken = field.local().lying(Lie::BreakAfter(3));
    let failure = validated(&field, &mut broken).expect_err("the line breaks");
    assert_eq!((failure.exit, broken.sent.len()), (Exit::Line, 3));

    let mut again = field.local();
    let outcome = validated(&field, &mut again).expect("a verdict");
    assert_eq!(again.sent, ["case_00004", "case_00005"]);
    assert_eq!(again.confirmed, 2);
    let elsewhere = field.elsewhere("undisturbed");
    let undisturbed = validated(&elsewhere, &mut elsewhere.local()).expect("a verdict");
    assert_eq!(outcome.classes, undisturbed.classes);
    assert_eq!(outcome.measured, undisturbed.measured);

    // A record that a power cut or a person spoilt is no record.
    let record = field.args().out.join("scans/case_00002.0.json");
    fs::write(&record, b"{").expect("spoilt");
    let mut third = field.local();
    validated(&field, &mut third).expect("a verdict");
    assert_eq!(third.sent, ["case_00002"]);
}

#[test]
fn records_of_another_package_do_not_count() {
    let field = Field::new();
    validated(&field, &mut field.local()).expect("a verdict");
    let newer = field.with_version(13);
    let mut local = newer.local();
    validated(&newer, &mut local).expect("a verdict");
    assert_eq!(local.sent.len(), field::CASES);
}

#[test]
fn a_class_that_no_case_shows_is_not_judged_and_said_to_be_so() {
    let field = Field::without_tumours();
    let args = field.args();
    let outcome = validated(&field, &mut field.local()).expect("a verdict");
    assert_eq!(outcome.classes.tumour.verdict, Verdict::NotJudged);
    assert_eq!(outcome.verdict, Verdict::Pass);
    let mut said = Vec::new();
    validate::deliver(&args, &outcome, &mut said).expect("PASS");
    let text = String::from_utf8(said).expect("text");
    assert!(text.contains("No case shows tumour"), "{text}");
}

/// Shows RQ-44.
#[test]
fn a_box_with_another_model_or_other_slices_than_the_scores_are_of_is_refused() {
    let field = Field::new();
    let refused = |lie, sent: usize| {
        let mut local = field.local().lying(lie);
        let failure = validated(&field, &mut local).expect_err("a refusal");
        assert_eq!(local.sent.len(), sent, "{failure}");
        assert!(!field.args().out.join("scans/case_00001.0.json").exists());
        failure
    };
    let other = refused(Lie::OtherModel, 0);
    assert_eq!((other.exit, other.code), (Exit::Model, "other_model"));
    let switched = refused(Lie::OtherModelLater, 1);
    assert_eq!((switched.exit, switched.code), (Exit::Model, "other_model"));
    let scan = refused(Lie::OtherScan, 1);
    assert!(scan.told.what.contains("another scan"), "{scan}");
    let fast = refused(Lie::SkipsSlices, 1);
    assert!(fast.told.remedy.contains("compute.fast"), "{fast}");
}

/// Whatever does not belong to the packed scores is refused before anything is sent.
/// Shows RQ-46.
#[test]
fn data_that_the_scores_are_not_of_are_refused_with_what_to_do() {
    type Spoil = fn(&Field);
    let table: [(&str, Spoil, &str); 6] = [
        (
            "another scan",
            |f| f.change_scan("case_00003"),
            "case_00003",
        ),
        (
            "a case is missing",
            |f| f.remove("case_00002"),
            "case_00002",
        ),
        ("another split", |f| f.resplit(), "split.toml"),
        (
            "a changed fingerprint",
            |f| f.edit_fingerprint(),
            "changed after",
        ),
        ("no fingerprint", |f| f.remove_set(), "no fingerprint.json"),
        ("no package", |f| f.spoil_package(), "hash"),
    ];
    for (name, spoil, word) in table {
        let field = Field::new();
        spoil(&field);
        let failure = validated(&field, &mut field.local()).expect_err(name);
        assert!(failure.told.what.contains(word), "{name}: {failure}");
        assert!(!failure.told.remedy.is_empty());
        assert!(
            [Exit::Input, Exit::Model].contains(&failure.exit),
            "{name}: {failure}"
        );
    }
}
