//! The whole road: one patient filed in many ways gives one report, and labels in each file's own geometry.

mod support;

use std::fs;

use nephrobox::segment;
use nephrobox_shared::class::Class;
use nephrobox_shared::measure::{Side, Sides};
use nephrobox_shared::report::Report;
use serde_json::Value;
use support::nifti::{Declared, I16, Order, content};
use support::{
    SHAPE, SPACING, args, label, names, raw, raw_labels, raw_scan, save_model, true_areas_mm2,
};
use tempfile::TempDir;

const ALL_FILES: [&str; 9] = [
    "labels.nii.gz",
    "overlay-key.png",
    "overlay-left-kidney.png",
    "overlay-right-kidney.png",
    "overlay-tumour.png",
    "report.json",
    "report.pdf",
    "report.png",
    "report.txt",
];

fn read_report(folder: &std::path::Path) -> Report {
    serde_json::from_slice(&fs::read(folder.join("report.json")).expect("a report"))
        .expect("a report's fields")
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-6 * expected.abs().max(1.0)
}

/// Where two values differ by more than the last digits of numbers: a spacing from a quaternion is not exact.
fn difference(place: &str, a: &Value, b: &Value) -> Option<String> {
    let same = match (a, b) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            return pairs
                .find_map(|(index, (a, b))| difference(&format!("{place}[{index}]"), a, b));
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            let mut pairs = a.iter().zip(b.values());
            return pairs.find_map(|((name, a), b)| difference(&format!("{place}.{name}"), a, b));
        }
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .zip(b.as_f64())
            .is_some_and(|(a, b)| (a - b).abs() <= 1e-12 * a.abs().max(b.abs())),
        _ => a == b,
    };
    (!same).then(|| format!("{place}: {a} and {b}"))
}

/// Checks every number of a report on the phantom against pixels counted in the truth.
fn check_numbers(report: &Report) {
    let mut volumes_ml = Sides::<[f64; 2]>::default();
    let mut labelled = Vec::new();
    for slice in 0..SHAPE[0] {
        let truth = true_areas_mm2(slice);
        for side in Side::ALL {
            for class in 0..2 {
                volumes_ml.get_mut(side)[class] += truth.get(side)[class] * SPACING[0] / 1000.0;
            }
        }
        if truth.right.iter().chain(&truth.left).sum::<f64>() > 0.0 {
            labelled.push((slice, truth));
        }
    }
    let findings = &report.findings;
    assert_eq!(findings.slices.len(), labelled.len());
    for (found, (slice, truth)) in findings.slices.iter().zip(&labelled) {
        assert_eq!(found.slice, *slice);
        for side in Side::ALL {
            let (found, truth) = (found.areas.get(side), truth.get(side));
            assert!(
                near(found.kidney_area_mm2, truth[0]),
                "kidney {side:?} in slice {slice}"
            );
            assert!(
                near(found.tumour_area_mm2, truth[1]),
                "tumour {side:?} in slice {slice}"
            );
        }
    }
    for side in Side::ALL {
        let (found, truth) = (findings.sides.get(side), volumes_ml.get(side));
        assert!(near(found.kidney_volume_ml, truth[0]), "{found:?}");
        assert!(near(found.tumour_volume_ml, truth[1]), "{found:?}");
    }
    assert_eq!(
        findings.sides.right.tumour_volume_ml, 0.0,
        "the tumour is on the patient's left"
    );
    assert_eq!(
        findings.peak_tumour_slice,
        Some(11),
        "its rows grow with the remainder of slice / 3"
    );
    assert!(findings.midline_estimated);
}

/// Shows RQ-01.
#[test]
fn every_orientation_gives_the_same_report_and_labels_in_its_own_geometry() {
    let home = TempDir::new().expect("a folder");
    let model = save_model(home.path());
    // KiTS19's own; a scanner's export; a mirrored one that runs towards the head; rows before columns; one qform only.
    let ways = [
        ("kits", Order::KITS, Declared::Sform),
        (
            "lps",
            Order {
                axes: [2, 1, 0],
                reversed: [false, false, true],
            },
            Declared::Both,
        ),
        (
            "ras",
            Order {
                axes: [2, 1, 0],
                reversed: [true, true, true],
            },
            Declared::Sform,
        ),
        (
            "rows-first",
            Order {
                axes: [1, 2, 0],
                reversed: [true, false, false],
            },
            Declared::Qform,
        ),
        (
            "slices-between",
            Order {
                axes: [2, 0, 1],
                reversed: [false, true, false],
            },
            Declared::Qform,
        ),
    ];
    let mut first: Option<Report> = None;
    for (name, order, declared) in ways {
        let scan = raw_scan(order, declared).save(home.path().join(format!("{name}.nii.gz")));
        let out = home.path().join(name);
        let mut said = Vec::new();
        segment::run(&args(&scan, &model, &out), &mut said)
            .unwrap_or_else(|failure| panic!("{name}: {failure}"));

        assert_eq!(names(&out), ALL_FILES, "{name}");
        let report = read_report(&out);
        check_numbers(&report);
        assert_eq!(report.input.orientation, order.codes());
        assert_eq!(report.outputs.len(), 8, "everything but the report itself");
        match &first {
            None => first = Some(report),
            Some(first) => {
                let json = |report: &Report| serde_json::to_value(&report.findings).expect("JSON");
                assert_eq!(
                    difference(name, &json(&report), &json(first)),
                    None,
                    "{report:#?}"
                );
                assert_eq!(report.warnings, first.warnings, "{name}");
            }
        }

        // The labels, byte by byte: same shape and voxels, and the affine as the scan's header has it.
        let (truth, found) = (
            raw_labels(order, declared).bytes(),
            content(&out.join("labels.nii.gz")),
        );
        assert_eq!(found[40..56], truth[40..56], "{name}: the shape");
        assert_eq!(found[252..328], truth[252..328], "{name}: qform and sform");
        assert!(found[352..] == truth[352..], "{name}: the voxels");
    }
}

#[test]
fn a_case_folder_is_a_scan_too() {
    let home = TempDir::new().expect("a folder");
    let case = home.path().join("case_00000");
    fs::create_dir(&case).expect("a folder");
    raw_scan(Order::KITS, Declared::Sform).save(case.join("imaging.nii.gz"));
    let mut said = Vec::new();
    let mut args = args(&case, &save_model(home.path()), &home.path().join("out"));
    args.compute.threads = Some(1);
    segment::run(&args, &mut said).expect("segmented");
    let said = String::from_utf8(said).expect("text");
    assert!(said.starts_with("For research use only."), "{said}");
    assert!(said.contains("Kidney volume, mL"), "{said}");
    check_numbers(&read_report(&args.out));
}

/// Radiological view: the patient's left, where the tumour is, on the right of the picture.
/// Shows RQ-04.
#[test]
fn pictures_show_the_patients_left_on_the_right() {
    let home = TempDir::new().expect("a folder");
    let scan = raw_scan(
        Order {
            axes: [2, 1, 0],
            reversed: [true, true, true],
        },
        Declared::Sform,
    )
    .save(home.path().join("scan.nii"));
    let out = home.path().join("out");
    segment::run(
        &args(&scan, &save_model(home.path()), &out),
        &mut Vec::new(),
    )
    .expect("segmented");

    let picture = image::open(out.join("overlay-tumour.png"))
        .expect("a picture")
        .to_rgb8();
    assert!(picture.width() >= 512);
    let place = |colour: [u8; 3]| -> Vec<u32> {
        // Only the anatomy: the legend below shows the colours too.
        let anatomy = picture
            .enumerate_pixels()
            .filter(|(_, y, _)| *y < picture.height() - 150);
        anatomy
            .filter(|(_, _, pixel)| pixel.0 == colour)
            .map(|(x, _, _)| x)
            .collect()
    };
    let tumour = place(Class::Tumour.colour());
    let kidney = place(Class::Kidney.colour());
    let middle = picture.width() / 2;
    assert!(
        tumour.len() > 100 && tumour.iter().all(|&x| x > middle),
        "the tumour lies on the patient's left"
    );
    assert!(
        kidney.iter().any(|&x| x < middle) && kidney.iter().any(|&x| x > middle),
        "slice 11 shows both kidneys"
    );

    // Drawn to scale: 96 columns of 0.8125 mm across 64 rows of 0.75 mm down.
    let right = image::open(out.join("overlay-right-kidney.png")).expect("a picture");
    assert_eq!(right.width(), picture.width());
    // The panel's picture shows the body alone: 56 rows of 0.75 mm and 84 columns of 0.8125 mm, and what is left of 8 mm around.
    let key = image::open(out.join("overlay-key.png"))
        .expect("a picture")
        .to_rgb8();
    assert_eq!(key.dimensions(), (444, 273));
    let tumour = |x: std::ops::Range<u32>| {
        let pixels = key.enumerate_pixels();
        pixels
            .filter(|(at, _, pixel)| x.contains(at) && pixel.0 == Class::Tumour.colour())
            .count()
    };
    assert!(tumour(222..444) > 30 && tumour(0..222) == 0);
}

/// Shows RQ-24, RQ-35.
#[test]
fn a_scan_without_kidneys_has_a_report_and_no_pictures() {
    let home = TempDir::new().expect("a folder");
    let scan =
        raw(Order::KITS, Declared::Sform, I16, |_| 40.0).save(home.path().join("scan.nii.gz"));
    let out = home.path().join("out");
    segment::run(
        &args(&scan, &save_model(home.path()), &out),
        &mut Vec::new(),
    )
    .expect("segmented");
    assert_eq!(
        names(&out),
        [
            "labels.nii.gz",
            "report.json",
            "report.pdf",
            "report.png",
            "report.txt"
        ]
    );
    let report = read_report(&out);
    assert_eq!(report.warnings[0].code, "nothing_found");
    let text = fs::read_to_string(out.join("report.txt")).expect("a page");
    assert!(
        text.contains("overlay-tumour.png: no tumour was found"),
        "{text}"
    );
    assert!(
        content(&out.join("labels.nii.gz"))[352..]
            .iter()
            .all(|&label| label == 0)
    );
}

/// Shows RQ-30.
#[test]
fn a_fast_scan_finds_the_same_and_says_where_it_looked() {
    let home = TempDir::new().expect("a folder");
    let model = save_model(home.path());
    let segment = |raw: &support::nifti::RawNifti, name: &str, fast: bool| {
        let out = home.path().join(format!("{name}-{fast}"));
        let scan = raw.save(home.path().join(format!("{name}.nii.gz")));
        let mut args = args(&scan, &model, &out);
        args.fast = fast;
        args.compute.threads = fast.then_some(2);
        let mut said = Vec::new();
        segment::run(&args, &mut said).expect("segmented");
        let page = fs::read_to_string(out.join("report.txt")).expect("a page");
        let said = String::from_utf8(said).expect("words");
        (read_report(&out), page, said)
    };
    let phantom = raw_scan(Order::KITS, Declared::Sform);
    let (every, page, _) = segment(&phantom, "phantom", false);
    assert!(page.contains("  Visited     all 20 slices\n"), "{page}");
    let (fast, ..) = segment(&phantom, "phantom", true);
    assert_eq!(fast.findings, every.findings);
    // Slices are 3 mm apart and the kidneys reach from the fifth to the seventeenth, so nothing could be left out.
    assert_eq!(fast.visited, every.visited);

    let empty = raw(Order::KITS, Declared::Sform, I16, |_| 40.0);
    let (fast, page, said) = segment(&empty, "empty", true);
    let visited = fast.visited.expect("visited slices");
    let firsts: Vec<_> = visited.runs.iter().map(|run| run.first_slice).collect();
    assert_eq!(firsts, [0, 5, 10, 15, 19], "every 15 mm, and the last");
    assert!(page.contains("  Visited     5 of 20 slices: "), "{page}");
    assert!(said.contains("5 of 20 slices in "), "{said}");
}

/// Two results of one patient, whose names are put into the reports by hand: the scan's files name nobody.
#[test]
fn an_earlier_report_is_compared_if_it_is_of_the_same_patient() {
    let home = TempDir::new().expect("a folder");
    let model = save_model(home.path());
    let scan = raw_scan(Order::KITS, Declared::Sform).save(home.path().join("scan.nii.gz"));
    let before = home.path().join("before");
    segment::run(&args(&scan, &model, &before), &mut Vec::new()).expect("segmented");

    let mut now = args(&scan, &model, &home.path().join("now"));
    now.earlier = Some(before.clone());
    now.fhir = true;
    let mut said = Vec::new();
    segment::run(&now, &mut said).expect("segmented");
    let said = String::from_utf8(said).expect("words");
    assert!(said.contains("nothing was compared"), "{said}");
    assert_eq!(read_report(&now.out).change, None);
    let fhir = fs::read(now.out.join("fhir.json")).expect("it was asked for");
    let fhir: Value = serde_json::from_slice(&fhir).expect("JSON");
    assert_eq!(fhir["resourceType"], "Bundle");
    assert!(said.contains("fhir.json"), "{said}");

    let mut missing = args(&scan, &model, &home.path().join("missing"));
    missing.earlier = Some(home.path().join("nowhere"));
    let refused = segment::run(&missing, &mut Vec::new()).expect_err("there is none");
    assert!(refused.told.what.contains("earlier report"), "{refused}");
    assert!(!missing.out.exists(), "refused before the work");
}

/// Shows RQ-35.
#[test]
fn force_replaces_the_results_and_nothing_else() {
    let home = TempDir::new().expect("a folder");
    let model = save_model(home.path());
    let out = home.path().join("out");
    let full = raw_scan(Order::KITS, Declared::Sform).save(home.path().join("full.nii.gz"));
    segment::run(&args(&full, &model, &out), &mut Vec::new()).expect("segmented");
    fs::write(out.join("notes.md"), "mine").expect("written");

    let empty =
        raw(Order::KITS, Declared::Sform, I16, |_| 40.0).save(home.path().join("empty.nii.gz"));
    let mut again = args(&empty, &model, &out);
    let refused = segment::run(&again, &mut Vec::new()).expect_err("there are results already");
    assert!(refused.told.remedy.contains("--force"), "{refused}");
    assert_eq!(read_report(&out).input.file, "full.nii.gz", "untouched");

    again.force = true;
    segment::run(&again, &mut Vec::new()).expect("replaced");
    assert_eq!(
        names(&out),
        [
            "labels.nii.gz",
            "notes.md",
            "report.json",
            "report.pdf",
            "report.png",
            "report.txt"
        ],
        "no picture of the other scan"
    );
    assert_eq!(read_report(&out).input.file, "empty.nii.gz");
}

/// The tiny model goes by brightness, so mirror images are outlined alike; its logits are a few hundredths apart.
/// Shows RQ-23.
#[test]
fn the_report_says_how_sure_the_network_was() {
    let home = TempDir::new().expect("a folder");
    let model = save_model(home.path());
    let scan = raw_scan(Order::KITS, Declared::Sform).save(home.path().join("scan.nii"));
    let out = home.path().join("out");
    segment::run(&args(&scan, &model, &out), &mut Vec::new()).expect("segmented");
    let report = read_report(&out);
    let confidence = report.confidence.expect("a second look");
    assert_eq!(
        confidence.slices, 6,
        "two that are drawn are among the six that are spread over the 13 outlined ones"
    );
    assert_eq!(
        (
            confidence.flipped_kidney_dice,
            confidence.flipped_tumour_dice
        ),
        (Some(1.0), Some(1.0))
    );
    // Kidney at 150 HU is x = 275/350: logits 0, x - 0.63, 3x - 2.39.
    let x = 275.0_f64 / 350.0;
    let odds = [0.0, x - 0.63, 3.0 * x - 2.39].map(f64::exp);
    let kidney = odds[1] / odds.iter().sum::<f64>();
    assert!((confidence.kidney_probability.expect("kidney") - kidney).abs() < 1e-6);
    assert_eq!(confidence.kidney_unsure_percent, Some(100.0));
}

/// Shows RQ-24, RQ-27, RQ-31.
#[test]
fn warnings_name_what_is_unusual_about_the_scan() {
    let home = TempDir::new().expect("a folder");
    let model = save_model(home.path());
    let codes = |raw: &support::nifti::RawNifti, name: &str| -> Vec<String> {
        let out = home.path().join(name);
        let scan = raw.save(home.path().join(format!("{name}.nii")));
        segment::run(&args(&scan, &model, &out), &mut Vec::new()).expect("segmented");
        read_report(&out)
            .warnings
            .into_iter()
            .map(|warning| warning.code)
            .collect()
    };
    assert_eq!(
        codes(&raw_scan(Order::KITS, Declared::Sform), "as-it-is"),
        [
            "small_kidneys",
            "model_not_scored",
            "low_confidence",
            "low_confidence",
            "anisotropic_pixels"
        ],
        "kidneys of a few mL; 0.75 mm between rows, 0.8125 mm between columns; the tiny model was never scored, and its logits lie \
         close together for kidney and for tumour"
    );

    // The left kidney alone, with slices 8 mm apart.
    let left_only = |index: [usize; 3]| {
        let hidden = index[2] < 48 && label(index) != 0;
        f64::from(if hidden { 40 } else { support::hu(index) })
    };
    let mut thick = raw(Order::KITS, Declared::Sform, I16, left_only);
    (thick.pixdim[1], thick.srow[2][0]) = (8.0, -8.0);
    let found = codes(&thick, "thick");
    assert!(
        found.contains(&"one_kidney".into()) && found.contains(&"thick_slices".into()),
        "{found:?}"
    );

    // Tumour at the head end of the scan and no kidney.
    let tumour_only = |index: [usize; 3]| {
        if index[0] < 3 && index[2] < 20 {
            215.0
        } else {
            40.0
        }
    };
    let found = codes(
        &raw(Order::KITS, Declared::Sform, I16, tumour_only),
        "tumour-only",
    );
    for code in ["no_kidney", "tumour_without_kidney", "component_at_border"] {
        assert!(found.contains(&code.into()), "{code} in {found:?}");
    }
}
