//! Series written by pydicom with its own encoders, where `NEPHROBOX_PYTHON` names a Python that has it.

use std::fs;
use std::process::Command;

use nephrobox_imaging::ScanReader;

use crate::orientations::volume;

#[test]
fn series_of_pydicom_have_the_hu_that_went_in() {
    let Some(python) = std::env::var_os("NEPHROBOX_PYTHON") else {
        eprintln!("skipped: NEPHROBOX_PYTHON names no Python with pydicom");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dicom/peers.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(home.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let truth: Vec<i16> = fs::read(home.path().join("truth.i16"))
        .unwrap()
        .as_chunks::<2>()
        .0
        .iter()
        .map(|word| i16::from_le_bytes(*word))
        .collect();
    let names = String::from_utf8(output.stdout).unwrap();
    assert!(names.lines().count() >= 6, "{names}");
    for name in names.lines() {
        let mut scan = ScanReader::open_series(&[home.path().join(name)]).unwrap();
        assert_eq!(scan.geometry().shape(), [2, 40, 60]);
        assert!(volume(&mut scan) == truth, "{name}");
        println!("{name}: every voxel");
    }
}
