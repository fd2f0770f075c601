//! Where bad inputs are made: what all rows share, and a folder for each.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::phantom;
use crate::phantom::nifti::{Declared, Order, RawNifti};
use crate::row::Given;
use crate::series::{self, SliceFile};

/// Whose every scan here is. No program may say any of it.
pub(crate) const MARKS: [&str; 4] = ["Zzyzx", "PID-7741903", "ACC-5520917", "2.25.338811"];

/// Rows, columns and slices of the smallest scan that the small model takes as it is.
pub(crate) const SHAPE: [usize; 3] = phantom::SHAPE;

/// What all rows share.
pub(crate) struct Ground {
    /// Box and tools in one.
    pub(crate) program: PathBuf,
    /// A small, sound model.
    pub(crate) model: PathBuf,
    home: TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let home = TempDir::new().expect("a folder");
        let model = phantom::save_model(home.path());
        Self {
            program: env!("CARGO_BIN_EXE_nephrobox-demo").into(),
            model,
            home,
        }
    }

    /// The trainer, which cargo puts beside the other programs when it builds the workspace.
    pub(crate) fn trainer(&self) -> PathBuf {
        let program = self.program.with_file_name("nephrotrain");
        assert!(
            program.is_file(),
            "{} is not there: build it with `cargo build --workspace`",
            program.display()
        );
        program
    }

    /// The folder of all of it.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }
}

/// The folder of one input.
pub(crate) struct Place<'a> {
    ground: &'a Ground,
    /// Which input of a row that stands for many, from 1.
    pub(crate) turn: u32,
    home: TempDir,
}

impl<'a> Place<'a> {
    pub(crate) fn new(ground: &'a Ground, turn: u32) -> Self {
        let home = TempDir::new_in(ground.home()).expect("a folder");
        for name in ["here", "tmp", "home"] {
            fs::create_dir(home.path().join(name)).expect("a folder");
        }
        Self { ground, turn, home }
    }

    pub(crate) fn ground(&self) -> &Ground {
        self.ground
    }

    /// Where the input lies and the program runs.
    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("here")
    }

    /// Where the program may put what it forgets before it ends.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.aside("tmp")
    }

    /// Beside the input.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Words without this folder's name, which is another one each time.
    pub(crate) fn plain(&self, words: &str) -> String {
        let here = format!("{}/", self.folder().display());
        let words = words
            .replace(&here, "")
            .replace(&*self.folder().to_string_lossy(), ".");
        without_hashes(&words)
    }

    /// A file of these bytes.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> Given {
        let path = self.path(name);
        fs::write(&path, bytes).expect("written");
        path.into()
    }

    /// A pipe that nobody writes into: whoever opens it waits.
    pub(crate) fn pipe(&self, name: &str) -> Given {
        let path = self.path(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.is_ok_and(|status| status.success()), "a pipe");
        path.into()
    }

    /// A file that is long and takes no room.
    pub(crate) fn sparse(&self, name: &str, head: &[u8], len: u64) -> Given {
        let path = self.path(name);
        fs::write(&path, head).expect("written");
        let file = fs::OpenOptions::new().write(true).open(&path);
        file.and_then(|file| file.set_len(len))
            .expect("a long file");
        path.into()
    }

    /// The first `turn` hundredths of `bytes`.
    pub(crate) fn cut<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[..bytes.len() * self.turn as usize / 100]
    }

    /// The phantom as a NIfTI file, spoilt.
    pub(crate) fn nifti(&self, spoil: impl FnOnce(&mut RawNifti)) -> Given {
        self.file("scan.nii", scan(spoil))
    }

    /// The phantom as a series in a folder, spoilt.
    pub(crate) fn series(&self, spoil: impl FnOnce(&mut Vec<SliceFile>)) -> Given {
        let folder = self.path("series");
        fs::create_dir(&folder).expect("a folder");
        let mut slices = slices();
        spoil(&mut slices);
        series::save(&folder, &slices, series::in_order);
        folder.into()
    }

    /// The same with one file changed as bytes.
    pub(crate) fn series_with(&self, spoil: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Given {
        let given = self.series(|_| ());
        let path = self.path("series").join(series::in_order(1));
        let bytes = fs::read(&path).expect("a slice");
        fs::write(&path, spoil(bytes)).expect("written");
        given
    }
}

/// Words without hashes and names of keys, some of which are another each time: hexadecimal words of 16 digits and more.
fn without_hashes(words: &str) -> String {
    let hash = |word: &&str| word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = words.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let plain = parts.map(|part| {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        match Some(word).filter(hash) {
            Some(word) if word.bytes().any(|byte| byte.is_ascii_alphabetic()) => {
                part.replacen(word, "…", 1)
            }
            _ => part.to_owned(),
        }
    });
    plain.collect()
}

/// The phantom as the bytes of a NIfTI file, spoilt; the patient stands in the header's free texts.
pub(crate) fn scan(spoil: impl FnOnce(&mut RawNifti)) -> Vec<u8> {
    let mut raw = phantom::raw_scan(Order::KITS, Declared::Sform);
    spoil(&mut raw);
    let mut bytes = raw.bytes();
    for (at, text) in [(14, MARKS[0]), (148, MARKS[1]), (228, MARKS[2])] {
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    bytes
}

/// The phantom's slices with the names of a patient.
pub(crate) fn slices() -> Vec<SliceFile> {
    named(series::of(
        series::SUPINE,
        SHAPE,
        phantom::SPACING,
        phantom::ORIGIN,
        &phantom::hu,
    ))
}

/// Slices as those of the patient.
pub(crate) fn named(mut slices: Vec<SliceFile>) -> Vec<SliceFile> {
    use dicom_core::VR;
    use dicom_dictionary_std::tags;
    for slice in &mut slices {
        for (tag, vr, text) in [
            (tags::PATIENT_NAME, VR::PN, "Zzyzx^Quentin"),
            (tags::PATIENT_ID, VR::LO, MARKS[1]),
            (tags::ACCESSION_NUMBER, VR::SH, MARKS[2]),
            (tags::STUDY_INSTANCE_UID, VR::UI, MARKS[3]),
        ] {
            slice.text(tag, vr, text);
        }
    }
    slices
}
