//! DICOM series to the box: each as one scan, from a folder, a list of files or a tar.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use nephrobox_imaging::dicom::pack;
use nephrobox_link::message::{Object, cut};
use nephroctl::failure::Exit;
use tempfile::TempDir;

use crate::fake::{Fake, Script};
use crate::phantom::{SHAPE, SUPINE, SliceFile, in_order, save, series};
use crate::support::{call, text};

/// A folder with the phantom's series.
fn disc(home: &Path) -> (PathBuf, Vec<PathBuf>) {
    let folder = home.join("DOE JANE");
    fs::create_dir_all(folder.join("SE1")).expect("a folder");
    fs::write(folder.join("README.TXT"), "insert the disc").expect("written");
    let files = save(&folder.join("SE1"), &series(SUPINE), in_order);
    (folder, files)
}

/// A second series in that folder, with fewer slices.
fn second(folder: &Path) -> Vec<PathBuf> {
    let mut slices: Vec<SliceFile> = series(SUPINE);
    slices.truncate(4);
    for (k, slice) in slices.iter_mut().enumerate() {
        slice.text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.4");
        slice.text(
            tags::SOP_INSTANCE_UID,
            VR::UI,
            &format!("2.25.78.{}", k + 1),
        );
    }
    fs::create_dir_all(folder.join("SE2")).expect("a folder");
    save(&folder.join("SE2"), &slices, in_order)
}

fn packed(files: &[PathBuf]) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(files, &mut bytes).expect("packed");
    bytes
}

fn scan(slices: usize) -> Object {
    Object::Scan {
        name: cut(&format!("DICOM series of {slices} slices")),
        fast: false,
    }
}

/// Calls without a box: what fails otherwise than on the line was found before anybody was asked.
fn offline(arguments: &[&str]) -> nephroctl::failure::Failure {
    let nowhere = ["--port", "/nowhere", "--patience", "1"];
    call(&[arguments, &nowhere].concat()).expect_err("refused")
}

#[test]
fn a_folder_a_list_and_a_tar_are_sent_as_the_same_one_file() {
    let home = TempDir::new().expect("a folder");
    let (folder, files) = disc(home.path());
    let tar = home.path().join("series.tar");
    pack(&files, &mut File::create(&tar).expect("a file")).expect("packed");
    let fake = Fake::start(Script::default());
    let list: Vec<_> = files.iter().map(|file| text(file)).collect();
    for named in [vec![text(&folder)], list, vec![text(&tar)]] {
        let arguments = [&["send", "--no-wait"][..], &named].concat();
        let words = fake.call(&arguments).expect("sent");
        assert!(words.contains(named[0]), "{words}");
    }
    let expected = (scan(SHAPE[0]), packed(&files));
    let received = &fake.script().received;
    assert_eq!(received.len(), 3);
    // The folder's name, which may be the patient's, is not among what the box is told.
    assert!(received.iter().all(|one| *one == expected));
}

#[test]
fn of_several_series_none_is_guessed() {
    let home = TempDir::new().expect("a folder");
    let (folder, files) = disc(home.path());
    let others = second(&folder);
    let failure = offline(&["send", text(&folder)]);
    assert_eq!(failure.exit, Exit::Input);
    for words in [
        format!("(1) {} slices like {}", SHAPE[0], text(&files[0])),
        format!("(2) 4 slices like {}", text(&others[0])),
    ] {
        assert!(failure.told.what.contains(&words), "{failure}");
    }
    assert!(failure.told.remedy.contains("--series") && failure.told.remedy.contains("--all"));
    assert!(
        !failure.to_string().contains("2.25"),
        "no identifiers: {failure}"
    );

    let fake = Fake::start(Script::default());
    fake.call(&["send", text(&folder), "--series", "2", "--no-wait"])
        .expect("sent");
    fake.call(&["send", text(&folder), "--all", "--no-wait"])
        .expect("sent");
    let second = (scan(4), packed(&others));
    let first = (scan(SHAPE[0]), packed(&files));
    assert!(fake.script().received == [second.clone(), first, second]);
}

#[test]
fn results_of_all_series_go_into_numbered_folders() {
    let home = TempDir::new().expect("a folder");
    let (folder, _) = disc(home.path());
    second(&folder);
    let fake = Fake::start(Script {
        results: ["labels.nii.gz", "report.txt", "report.json"]
            .map(|name| (name.to_owned(), b"a result".to_vec()))
            .into(),
        ..Script::default()
    });
    let out = home.path().join("results");
    fake.call(&["send", text(&folder), "--all", "--out", text(&out)])
        .expect("two reports");
    for name in ["DOE JANE-1", "DOE JANE-2"] {
        assert!(out.join(name).join("report.json").exists(), "{name}");
    }
}

#[test]
fn what_the_box_could_not_read_is_refused_here_with_the_files_own_names() {
    let home = TempDir::new().expect("a folder");
    let (folder, files) = disc(home.path());
    let failure = offline(&["send", text(&folder), "--series", "2"]);
    assert_eq!(failure.exit, Exit::Usage, "{failure}");
    assert!(
        failure.told.what.contains("no series 2 here: (1) 6 slices"),
        "{failure}"
    );
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sample/imaging.nii.gz");
    let failure = offline(&["send", text(&sample), "--series", "1"]);
    assert_eq!(failure.exit, Exit::Usage, "{failure}");

    fs::remove_file(&files[2]).expect("removed");
    let failure = offline(&["send", text(&folder)]);
    assert_eq!(failure.exit, Exit::Input);
    assert!(failure.to_string().contains(text(&files[1])), "{failure}");
    assert!(failure.told.what.contains("1 are missing"), "{failure}");

    let empty = home.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    let failure = offline(&["send", text(&empty)]);
    assert!(
        failure
            .told
            .what
            .contains("neither imaging.nii.gz nor a DICOM file"),
        "{failure}"
    );
}
