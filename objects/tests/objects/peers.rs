//! The objects before others' judges: dicom3tools' `dciodvfy`, dcmtk, highdicom. Each test says so and passes where its tool is missing.
//!
//! `apt install dicom3tools dcmtk` and `pip install highdicom pydicom`.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::phantom::{PDF, Stored, device, labels, report, results};
use nephrobox_objects::{EmptyFrames, Object, Picture};
use serde_json::json;

/// Runs a tool; `None`, with a word about it, if it is not there.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

fn write(folder: &Path, name: &str, object: &Object) -> PathBuf {
    let path = folder.join(name);
    object.write(File::create(&path).unwrap()).unwrap();
    path
}

/// The series and all objects of it, and what they must say, in a folder.
fn folder(stored: Stored, empty: EmptyFrames) -> (tempfile::TempDir, [PathBuf; 4]) {
    let folder = tempfile::tempdir().unwrap();
    let (map, device, source) = (labels(), device(), stored.source());
    let report = report(&map);
    let results = results(&source, &report, &device);
    for slice in 0..source.slices.len() {
        let path = folder.path().join(format!("ct-{slice}.dcm"));
        stored.ct(&source, slice).write_to_file(path).unwrap();
    }
    let seg = results.segmentation(&map, empty).unwrap();
    let sr = results.measurements(&seg).unwrap();
    let rgb: Vec<u8> = (0..40 * 30 * 3).map(|i| (i % 251) as u8).collect();
    let picture = Picture {
        rows: 40,
        cols: 30,
        rgb: &rgb,
    };
    let capture = results.capture(picture, &[2, 3]).unwrap();
    let document = results.document(PDF).unwrap();
    let paths = [
        write(folder.path(), "seg.dcm", &seg.object),
        write(folder.path(), "sr.dcm", &sr),
        write(folder.path(), "capture.dcm", &capture),
        write(folder.path(), "document.dcm", &document),
    ];
    let sides = &report.findings.sides;
    let group = |ml: f64, mm2: f64| json!({"volume_ml": ml, "area_mm2": mm2});
    let tumour = &report.findings.tumours[0];
    let mut with_diameters = group(
        sides.right.tumour_volume_ml,
        sides.right.tumour_largest_area_mm2,
    );
    for (code, line) in [
        ("103339001", tumour.in_plane_diameter),
        ("103340004", tumour.in_plane_perpendicular),
        ("81827009", tumour.largest_diameter),
    ] {
        with_diameters[code] = json!(line.length_mm);
    }
    let expected = json!({
        "Right kidney": group(sides.right.kidney_volume_ml, sides.right.kidney_largest_area_mm2),
        "Left kidney": group(sides.left.kidney_volume_ml, sides.left.kidney_largest_area_mm2),
        "Right kidney tumour": with_diameters,
    });
    std::fs::write(folder.path().join("expected.json"), expected.to_string()).unwrap();
    (folder, paths)
}

/// Fails if dicom3tools' judge finds an error; does nothing where it is not installed.
pub(crate) fn no_errors(path: &Path) {
    let Some(output) = run("dciodvfy", &[path.to_str().unwrap()]) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    eprintln!("{said}");
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("Error"))
        .collect();
    assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
}

#[test]
fn dciodvfy_finds_no_error() {
    for empty in [EmptyFrames::LeftOut, EmptyFrames::Kept] {
        let (_folder, paths) = folder(Stored::PLAIN, empty);
        for path in &paths {
            no_errors(path);
        }
    }
}

#[test]
fn dcmtk_reads_every_object_and_understands_the_report() {
    let (_folder, paths) = folder(Stored::PLAIN, EmptyFrames::LeftOut);
    for path in &paths {
        let Some(output) = run("dcmdump", &["-q", path.to_str().unwrap()]) else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("PatientName"),
            "{}",
            path.display()
        );
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let Some(output) = run("dsrdump", &["-Er", paths[1].to_str().unwrap()]) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.contains("Referenced Segment") && said.contains("Volume"),
        "{said}"
    );
}

#[test]
fn highdicom_reads_our_label_map_and_our_numbers_in_each_orientation() {
    if !run("python3", &["-c", "import highdicom"]).is_some_and(|output| output.status.success()) {
        eprintln!("skipped: python3 has no highdicom");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/objects/read_back.py");
    let folders: Vec<_> = Stored::all()
        .flat_map(|stored| {
            [EmptyFrames::LeftOut, EmptyFrames::Kept].map(|empty| folder(stored, empty))
        })
        .collect();
    let paths = folders
        .iter()
        .map(|(folder, _)| folder.path().to_str().unwrap());
    let arguments: Vec<&str> = std::iter::once(script).chain(paths).collect();
    let output = run("python3", &arguments).unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
