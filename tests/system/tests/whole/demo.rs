//! What `cargo demo` shows.

use std::process::Command;

#[test]
fn the_demo_flashes_sends_and_leaves_report_overlays_and_the_panels_pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("demo");
    let shown = Command::new(env!("CARGO_BIN_EXE_nephrobox-demo"))
        .arg("--out")
        .arg(&out)
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    for words in [
        "is in use",
        "KIDNEY AND KIDNEY TUMOUR REPORT",
        "the chain is whole",
    ] {
        assert!(said.contains(words), "{said}");
    }
    for file in [
        "panel-1-without-a-model.png",
        "panel-2-flashing.png",
        "panel-3-ready.png",
        "panel-4-working.png",
        "panel-5-result.png",
        "results/report.json",
        "results/labels.nii.gz",
        "results/overlay-tumour.png",
    ] {
        assert!(out.join(file).is_file(), "{file}: {said}");
    }
}
