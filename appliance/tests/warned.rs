//! What is unusual about a scan and would spoil its numbers stands in its report: each oddity made by hand on the phantom, through the whole road.

mod support;

use std::fs;

use nephrobox::segment;
use nephrobox_shared::report::Report;
use support::nifti::{Declared, I16, Order, RawNifti, place};
use support::{ORIGIN, SHAPE, SPACING, args, hu, label, save_model};
use tempfile::TempDir;

/// A scan in KiTS19's order whose voxel at slice, row, column has this label's brightness.
fn scan(spacing: [f64; 3], label: impl Fn([usize; 3]) -> u8) -> RawNifti {
    let order = Order::KITS;
    let brightness = |index: [usize; 3]| match label(index) {
        2 => 215.0,
        1 => 150.0,
        _ => f64::from(hu(index).min(40)),
    };
    let mut raw = RawNifti::new(
        order.file_shape(SHAPE),
        I16,
        order.indices(SHAPE).map(brightness),
    );
    place(
        &mut raw,
        &order.affine(SHAPE, spacing, ORIGIN),
        Declared::Both,
    );
    raw
}

/// One block of a label: slices, rows, columns.
fn within(index: [usize; 3], block: [std::ops::Range<usize>; 3]) -> bool {
    index
        .iter()
        .zip(block)
        .all(|(at, range)| range.contains(at))
}

/// Shows RQ-03, RQ-08, RQ-15, RQ-24, RQ-27, RQ-28.
#[test]
fn each_oddity_of_a_scan_has_its_warning() {
    // The sform's columns run to the other side than the qform's.
    let mut mirrored = scan(SPACING, label);
    mirrored.srow[0][2] *= -1.0;
    // Slices stand 8 degrees off the transverse plane.
    let mut tilted = scan(SPACING, label);
    let (sin, cos) = 8_f32.to_radians().sin_cos();
    tilted.qform_code = 0;
    for axis in 0..3 {
        let [y, z] = [tilted.srow[1][axis], tilted.srow[2][axis]];
        (tilted.srow[1][axis], tilted.srow[2][axis]) = (cos * y - sin * z, sin * y + cos * z);
    }
    // A kidney from the first slice to the last.
    let cut_off = |at| u8::from(within(at, [0..20, 20..42, 10..30]));
    // A tumour beside a kidney, on its side, without touching it.
    let apart = |at| {
        if within(at, [4..8, 10..16, 15..22]) {
            2
        } else {
            u8::from(within(at, [4..12, 32..44, 15..25]))
        }
    };
    // Three pieces as large as a kidney each.
    let three = |at| {
        let blocks = [
            [2..18, 20..42, 10..26],
            [2..18, 6..28, 60..76],
            [2..18, 32..54, 60..76],
        ];
        u8::from(blocks.into_iter().any(|block| within(at, block)))
    };
    let cases = [
        ("sides_disagree", mirrored),
        ("tilted", tilted),
        ("implausible_spacing", scan([3.0, 0.1, 0.1], label)),
        ("implausible_spacing", scan([12.0, 0.75, 0.8125], label)),
        ("partial_coverage", scan(SPACING, cut_off)),
        ("tumour_away_from_kidney", scan(SPACING, apart)),
        ("more_than_two_kidneys", scan([5.0, 0.75, 0.8125], three)),
    ];

    let home = TempDir::new().expect("a folder");
    let model = save_model(home.path());
    let warned = |name: &str, raw: &RawNifti| -> Vec<String> {
        let file = raw.save(home.path().join(format!("{name}.nii")));
        let out = home.path().join(name);
        segment::run(&args(&file, &model, &out), &mut Vec::new()).expect("segmented");
        let report = fs::read(out.join("report.json")).expect("a report");
        let report: Report = serde_json::from_slice(&report).expect("a report's fields");
        report.warnings.into_iter().map(|one| one.code).collect()
    };
    let usual = warned("usual", &scan(SPACING, label));
    for (number, (code, raw)) in cases.iter().enumerate() {
        assert!(!usual.contains(&(*code).to_owned()), "{usual:?}");
        let found = warned(&format!("{number}"), raw);
        assert!(found.contains(&(*code).to_owned()), "{code} in {found:?}");
    }
}
