//! A DICOM series through the box: the report of the NIfTI file of the same patient, labels in the series' own place, results that refer
//! to the right patient and the right images, and ways in for folders.

#[path = "../support/mod.rs"]
mod support;

// Series as the reader's own tests make them.
#[path = "../../../imaging/tests/dicom/series.rs"]
mod series;

mod identity;
mod watched;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use nephrobox::failure::{Exit, Failure};
use nephrobox::segment;
use nephrobox_imaging::{LabelReader, ScanReader, dicom};
use nephrobox_shared::report::Report;
use series::{SUPINE, SliceFile};
use support::nifti::{Declared, Order};
use support::{ORIGIN, SHAPE, SPACING, args, hu, label, raw_scan, save_model};
use tempfile::TempDir;

/// How a patient lies in the scanner, and which way the stack is stored: columns, rows and slices of the canonical volume that run
/// backwards. Pictures keep to the scanner's axes, so that turning the patient round turns them, too.
const LYING: [(&str, &str, [bool; 3]); 5] = [
    ("head first, supine", "HFS", [false, false, false]),
    (
        "the same, stored from the feet",
        "HFS",
        [false, false, true],
    ),
    ("feet first, supine", "FFS", [true, false, true]),
    ("head first, prone", "HFP", [true, true, false]),
    ("feet first, prone", "FFP", [false, true, true]),
];

pub(crate) fn slices(order: Order) -> Vec<SliceFile> {
    series::of(order, SHAPE, SPACING, ORIGIN, &hu)
}

pub(crate) fn segmented(scan: Vec<PathBuf>, home: &Path, name: &str) -> Result<Report, Failure> {
    let (model, out) = (home.join("threshold.nbx"), home.join(name));
    let mut args = args(Path::new(""), &model, &out);
    args.scan = scan;
    segment::run(&args, &mut Vec::new())?;
    let report = fs::read(out.join("report.json")).expect("a report");
    Ok(serde_json::from_slice(&report).expect("a report's fields"))
}

#[test]
fn a_folder_and_a_list_of_files_give_the_report_of_the_nifti_file() {
    let home = TempDir::new().expect("a folder");
    save_model(home.path());
    let nifti = raw_scan(Order::KITS, Declared::Sform).save(home.path().join("scan.nii.gz"));
    let expected = segmented(vec![nifti.clone()], home.path(), "nifti").expect("segmented");
    // A small right kidney, and a large left one with a tumour.
    let sides = &expected.findings.sides;
    assert!(sides.right.kidney_volume_ml < sides.left.kidney_volume_ml);
    assert!(sides.right.tumour_volume_ml == 0.0 && sides.left.tumour_volume_ml > 0.0);
    for (name, position, reversed) in LYING {
        let folder = home.path().join(format!("{name} series"));
        fs::create_dir(&folder).expect("a folder");
        let mut lying = slices(series::order(reversed));
        for slice in &mut lying {
            slice.text(tags::PATIENT_POSITION, VR::CS, position);
        }
        let files = series::save(&folder, &lying, series::in_order);
        let report = segmented(vec![folder], home.path(), name).expect("segmented");
        assert_eq!(report.findings, expected.findings, "{name}");
        assert_eq!(report.warnings, expected.warnings);
        assert_eq!(report.input.file, format!("{name} series"));
        assert_eq!(report.input.slices, SHAPE[0]);

        let path = home.path().join(name).join("labels.nii.gz");
        let mut labels = LabelReader::open(path).expect("labels");
        let scan = ScanReader::open(&nifti).expect("the scan");
        scan.check_labels(&labels).expect("one place");
        let mut slice = vec![0; SHAPE[1] * SHAPE[2]];
        while let Some(s) = labels.next_slice(&mut slice).expect("a slice") {
            let truth = (0..slice.len()).map(|i| label([s, i / SHAPE[2], i % SHAPE[2]]));
            assert!(slice.iter().copied().eq(truth), "{name}, slice {s}");
        }

        let list = segmented(files.clone(), home.path(), &format!("{name} list"));
        let one = home.path().join(format!("{name}.tar"));
        dicom::pack(&files, &mut File::create(&one).expect("a file")).expect("packed");
        let packed = segmented(vec![one], home.path(), &format!("{name} packed"));
        for same in [list, packed] {
            let same = same.expect("segmented");
            assert_eq!(same.input.blake3, report.input.blake3);
            assert_eq!(same.findings, report.findings);
            assert_eq!(same.subject, report.subject);
        }
    }
}

#[test]
fn what_a_series_was_read_in_spite_of_stands_in_the_report() {
    let home = TempDir::new().expect("a folder");
    save_model(home.path());
    let folder = home.path().join("tilted");
    fs::create_dir(&folder).expect("a folder");
    let mut tilted = slices(SUPINE);
    for (k, slice) in tilted.iter_mut().enumerate() {
        slice.shift([0.0, 0.5 * k as f64, 0.0]);
    }
    series::save(&folder, &tilted, series::in_order);
    fs::write(folder.join("README.TXT"), "insert the disc").expect("written");
    let report = segmented(vec![folder], home.path(), "out").expect("segmented");
    let codes: Vec<_> = report.warnings.iter().map(|w| w.code.as_str()).collect();
    assert!(codes.contains(&"dicom_gantry_tilt"), "{codes:?}");
    assert!(!codes.contains(&"dicom_other_files"), "{codes:?}");
}

#[test]
fn a_series_with_a_gap_is_refused_as_input_and_leaves_nothing() {
    let home = TempDir::new().expect("a folder");
    save_model(home.path());
    let mut gap = slices(SUPINE);
    gap.remove(7);
    let files = series::save(home.path(), &gap, series::in_order);
    let refused = segmented(files, home.path(), "out").expect_err("a refusal");
    assert_eq!(refused.exit, Exit::Input);
    assert!(refused.told.what.contains("1 are missing"), "{refused}");
    assert_eq!(refused.told.remedy, "send the whole series again");
    assert!(!home.path().join("out").exists());
}
