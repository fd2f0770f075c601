//! One page: 80 columns, 66 lines, whatever the report holds.

mod support;

use nephrobox::page;
use nephrobox::segment;
use nephrobox_shared::report::{Report, Severity, SliceFindings, Warning};
use support::nifti::{Declared, Order};
use support::{args, raw_scan, save_model};
use tempfile::TempDir;

fn phantom_report() -> Report {
    let home = TempDir::new().expect("a folder");
    let scan = raw_scan(Order::KITS, Declared::Sform).save(home.path().join("imaging.nii.gz"));
    let out = home.path().join("out");
    segment::run(
        &args(&scan, &save_model(home.path()), &out),
        &mut Vec::new(),
    )
    .expect("segmented");
    let written = std::fs::read_to_string(out.join("report.txt")).expect("a page");
    let report: Report =
        serde_json::from_slice(&std::fs::read(out.join("report.json")).expect("a report"))
            .expect("its fields");
    assert_eq!(
        page::write(&report),
        written,
        "a page can be made again from the JSON"
    );
    report
}

fn check(page: &str) {
    let lines: Vec<&str> = page.lines().collect();
    assert!(lines.len() <= page::LINES, "{} lines\n{page}", lines.len());
    for line in lines {
        assert!(line.chars().count() <= 80, "too wide: {line}");
    }
}

/// Shows RQ-17, RQ-32, RQ-33.
#[test]
fn the_phantoms_page_tells_what_matters() {
    let report = phantom_report();
    let page = page::write(&report);
    check(&page);
    let warnings = page.find("WARNINGS").expect("warnings");
    assert!(
        warnings < page.find("RESULTS").expect("results"),
        "warnings come first\n{page}"
    );
    for part in [
        "For research use only.",
        "threshold, version 7",
        &report.model.blake3,
        "not measured",
        "Run as      f32 on cpu, kernels ",
        "Made by hand",
        "imaging.nii.gz",
        "3.000 mm between slices, 0.7500 x 0.8125 mm pixels",
        "Slice with the largest tumour area: 11",
        "Kidney is kidney without its tumour.",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    let volume = format!("{:.1}", report.findings.sides.left.kidney_volume_ml);
    assert!(page.contains(&volume), "{volume} in\n{page}");
}

#[test]
fn a_very_long_report_still_fits_on_its_page() {
    let mut report = phantom_report();
    for kind in 0..30 {
        for _ in 0..20 {
            let message = format!(
                "Warning of kind {kind}, {}",
                "with many words in it ".repeat(30)
            );
            report.warnings.push(Warning {
                code: format!("kind_{kind}"),
                severity: Severity::Caution,
                message,
            });
        }
    }
    report.model.licence_notice = "All rights of everyone are reserved for ever. ".repeat(40);
    report.model.test_scores = "Dice 0.900 ± 0.050; ".repeat(40);
    report.model.name = "m".repeat(300);
    report.input.file = format!("{}.nii.gz", "a_very_long_name".repeat(20));
    let areas = report.findings.slices[0].areas;
    report.findings.slices = (0..1000)
        .map(|slice| SliceFindings { slice, areas })
        .collect();
    report.findings.peak_tumour_slice = Some(437);
    let page = page::write(&report);
    check(&page);
    assert!(
        page.contains("more kinds of warning are in report.json"),
        "{page}"
    );
    assert!(
        page.contains("437"),
        "the slice with the largest tumour is among those shown\n{page}"
    );
}
