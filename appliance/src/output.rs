//! Results appear whole or not at all.
//!
//! Everything a command writes goes into a staging folder on the same disk first and is renamed into place at the
//! end. A new folder appears in one step. In a folder that exists, files are exchanged one by one; `report.json` goes
//! first and comes last, so a folder with a `report.json` is always a whole result. Files that Nephrobox did not write
//! are never touched.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nephrobox_imaging::files;
pub use nephrobox_shared::report::names::{LABELS, REPORT_JSON, REPORT_TEXT};
use tempfile::TempDir;

use crate::failure::{Exit, Failure};
use crate::pulse::Pulse;
use crate::remedy::Remedies;

/// The report as a picture of one page.
pub const REPORT_PNG: &str = "report.png";
/// The report as a document of one page.
pub const REPORT_PDF: &str = "report.pdf";
/// The report for programs that speak FHIR; only where it is asked for.
pub const FHIR: &str = "fhir.json";
/// The slice with the largest tumour area.
pub const OVERLAY_TUMOUR: &str = "overlay-tumour.png";
/// The middle slice of the kidney on the patient's right.
pub const OVERLAY_RIGHT: &str = "overlay-right-kidney.png";
/// The middle slice of the kidney on the patient's left.
pub const OVERLAY_LEFT: &str = "overlay-left-kidney.png";
/// The slice that tells most, without a page around it, of the size that the panel shows.
pub const OVERLAY_KEY: &str = "overlay-key.png";
/// The label map as DICOM segmentation.
pub const SEGMENTATION_DCM: &str = "segmentation.dcm";
/// The measures as DICOM structured report.
pub const MEASUREMENTS_DCM: &str = "measurements.dcm";
/// The page as DICOM picture.
pub const PICTURE_DCM: &str = "picture.dcm";
/// The page as PDF within DICOM.
pub const DOCUMENT_DCM: &str = "document.dcm";

/// Every name that a result may hold, in the order in which files are put in place.
const NAMES: [&str; 14] = [
    DOCUMENT_DCM,
    PICTURE_DCM,
    MEASUREMENTS_DCM,
    SEGMENTATION_DCM,
    OVERLAY_KEY,
    OVERLAY_TUMOUR,
    OVERLAY_RIGHT,
    OVERLAY_LEFT,
    LABELS,
    FHIR,
    REPORT_PDF,
    REPORT_PNG,
    REPORT_TEXT,
    REPORT_JSON,
];

/// Bytes of a file that are written and forced to the disk at a time: a second or two of a slow card.
const PIECE: usize = 16 << 20;

/// Start of the names of staging folders, which are hidden.
const STAGING: &str = ".nephrobox-partial-";

/// A folder that results may go to, checked but not touched.
#[derive(Debug, Clone)]
pub struct Destination {
    folder: PathBuf,
    remedies: Remedies,
}

impl Destination {
    /// Checks that results can go to `folder` without creating it.
    ///
    /// # Errors
    /// When it is a file, cannot be written to, or holds files and `force` is not given.
    pub fn check(folder: &Path, force: bool) -> Result<Self, Failure> {
        Self::checked(folder, force, Remedies::CommandLine)
    }

    /// The same for a folder of a box's own, which nobody has named: what is said of it is for whoever looks after the box.
    ///
    /// # Errors
    /// When it cannot be written to, or holds files.
    pub fn on_box(folder: &Path) -> Result<Self, Failure> {
        Self::checked(folder, false, Remedies::Box)
    }

    fn checked(folder: &Path, force: bool, remedies: Remedies) -> Result<Self, Failure> {
        let refused = |place: &Path, error: &io::Error| unwritable(place, error, remedies);
        let taken =
            |what: &str, remedy: &str| Failure::new(Exit::Output, what, folder.display(), remedy);
        match fs::metadata(folder) {
            Ok(found) if !found.is_dir() => {
                return Err(taken("the output folder is a file", remedies.file()));
            }
            Ok(_) => {
                if !force && !is_free(folder).map_err(|error| refused(folder, &error))? {
                    return Err(taken("the output folder is not empty", remedies.taken()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(folder, &error)),
        }
        // The disk may be full or read-only: better said now than after minutes of work.
        let place = nearest_existing(folder);
        tempfile::Builder::new()
            .prefix(STAGING)
            .tempfile_in(&place)
            .map_err(|error| refused(&place, &files::nameless(error)))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            remedies,
        })
    }

    /// What to do about what fails on the way to it.
    pub(crate) const fn remedies(&self) -> Remedies {
        self.remedies
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the staging folder on the disk of the destination.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn stage(&self) -> Result<Staging, Failure> {
        let home = if self.folder.is_dir() {
            self.folder.clone()
        } else {
            parent(&self.folder)
        };
        let made = fs::create_dir_all(&home)
            .and_then(|()| tempfile::Builder::new().prefix(STAGING).tempdir_in(&home))
            .map_err(|error| unwritable(&home, &files::nameless(error), self.remedies))?;
        Ok(Staging {
            made,
            folder: self.folder.clone(),
            remedies: self.remedies,
            pulse: Pulse::default(),
        })
    }
}

/// The staging folder; dropped without [`Staging::commit`] it vanishes with all it holds.
#[derive(Debug)]
pub struct Staging {
    made: TempDir,
    folder: PathBuf,
    remedies: Remedies,
    pulse: Pulse,
}

impl Staging {
    /// The same, which gives signs of life while it writes.
    #[must_use]
    pub fn beating(mut self, pulse: &Pulse) -> Self {
        self.pulse = pulse.clone();
        self
    }

    /// Where a file of the result is to be written now.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.made.path().join(name)
    }

    /// Writes one file of the result and forces it to the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let write = || -> io::Result<()> {
            let mut file = File::create(self.path(name))?;
            for piece in bytes.chunks(PIECE) {
                file.write_all(piece)?;
                file.sync_data()?;
                self.pulse.beat();
            }
            file.sync_all()
        };
        write().map_err(|error| unwritable(&self.folder.join(name), &error, self.remedies))
    }

    /// Puts the result in place and returns the names that it holds.
    ///
    /// # Errors
    /// When the disk refuses; then no `report.json` is left that speaks of a result which is not there.
    pub fn commit(self) -> Result<Vec<&'static str>, Failure> {
        let (folder, remedies) = (self.folder.clone(), self.remedies);
        self.put_in_place()
            .map_err(|error| unwritable(&folder, &error, remedies))
    }

    fn put_in_place(self) -> io::Result<Vec<&'static str>> {
        let names: Vec<_> = NAMES
            .into_iter()
            .filter(|name| self.path(name).is_file())
            .collect();
        files::sync_folder(self.made.path())?;
        if self.folder.is_dir() {
            remove_if_there(&self.folder.join(REPORT_JSON))?;
            files::sync_folder(&self.folder)?;
            for name in NAMES {
                if names.contains(&name) {
                    fs::rename(self.path(name), self.folder.join(name))?;
                } else {
                    // A picture of an earlier result that this one does not have.
                    remove_if_there(&self.folder.join(name))?;
                }
            }
            files::sync_folder(&self.folder)?;
        } else {
            open_to_readers(self.made.path())?;
            fs::rename(self.made.path(), &self.folder)?;
            // The folder has another name now and is nobody's to remove.
            let _ = self.made.keep();
            files::sync_folder(&parent(&self.folder))?;
        }
        Ok(names)
    }
}

/// Whether a folder holds nothing but staging folders that a killed run left.
fn is_free(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        if !entry?.file_name().to_string_lossy().starts_with(STAGING) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str() != OsStr::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn nearest_existing(path: &Path) -> PathBuf {
    let mut place = path.to_path_buf();
    while !place.exists() {
        let above = parent(&place);
        if above == place {
            break;
        }
        place = above;
    }
    place
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Temporary folders are for their owner alone; a result is as readable as any folder the user makes.
fn open_to_readers(folder: &Path) -> io::Result<()> {
    // A folder made the ordinary way shows what the user's umask allows.
    let ordinary = folder.join("mode");
    fs::create_dir(&ordinary)?;
    let permissions = fs::metadata(&ordinary)?.permissions();
    fs::remove_dir(&ordinary)?;
    fs::set_permissions(folder, permissions)
}

fn unwritable(place: &Path, error: &io::Error, remedies: Remedies) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => remedies.forbidden(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => remedies.full(),
        _ => remedies.disk(),
    };
    Failure::new(
        Exit::Output,
        format!("the results cannot be written: {error}"),
        place.display(),
        remedy,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    /// Shows RQ-52.
    #[test]
    fn a_new_folder_appears_in_one_step() {
        let home = TempDir::new().expect("a folder");
        let out = home.path().join("deep/er/out");
        let staging = Destination::check(&out, false)
            .and_then(|free| free.stage())
            .expect("free");
        staging.write(REPORT_JSON, b"{}").expect("written");
        assert!(!out.exists(), "nothing shows before the commit");
        assert_eq!(staging.commit().expect("in place"), [REPORT_JSON]);
        assert_eq!(names(&out), ["report.json"]);
        assert_eq!(
            names(&home.path().join("deep/er")),
            ["out"],
            "no staging folder is left"
        );
    }

    /// Shows RQ-52.
    #[test]
    fn an_abandoned_result_leaves_nothing() {
        let home = TempDir::new().expect("a folder");
        let staging = Destination::check(&home.path().join("out"), false)
            .and_then(|free| free.stage())
            .expect("free");
        staging.write(REPORT_TEXT, b"half").expect("written");
        drop(staging);
        assert!(names(home.path()).is_empty());
    }

    /// Shows RQ-58.
    #[test]
    fn a_folder_with_files_needs_force_and_keeps_foreign_files() {
        let home = TempDir::new().expect("a folder");
        let out = home.path();
        for name in ["notes.md", OVERLAY_TUMOUR, REPORT_JSON] {
            fs::write(out.join(name), b"old").expect("written");
        }
        let refused = Destination::check(out, false).expect_err("not empty");
        assert_eq!(refused.exit, Exit::Output);
        assert!(refused.told.remedy.contains("--force"), "{refused}");

        let staging = Destination::check(out, true)
            .and_then(|free| free.stage())
            .expect("forced");
        staging.write(REPORT_JSON, b"new").expect("written");
        staging.commit().expect("in place");
        assert_eq!(
            names(out),
            ["notes.md", "report.json"],
            "the old picture is gone, the notes stay"
        );
        assert_eq!(fs::read(out.join(REPORT_JSON)).expect("there"), b"new");
    }

    #[test]
    fn an_empty_folder_is_used_as_it_is() {
        let home = TempDir::new().expect("a folder");
        fs::create_dir(home.path().join(".nephrobox-partial-killed")).expect("made");
        let staging = Destination::check(home.path(), false)
            .and_then(|free| free.stage())
            .expect("free");
        staging.write(LABELS, b"x").expect("written");
        staging.commit().expect("in place");
        assert!(home.path().join(LABELS).is_file());
    }

    #[test]
    fn what_a_box_says_of_its_disk_names_its_folder_and_no_flag() {
        let home = TempDir::new().expect("a folder");
        let work = home.path().join("work");
        fs::write(&work, b"a file").expect("written");
        let refused = Destination::on_box(&work.join("results")).expect_err("below a file");
        assert_eq!(
            refused.told.remedy,
            "check the disk of the folder box.state"
        );
        let refused = Destination::on_box(&work).expect_err("a file");
        assert_eq!(
            refused.told.remedy,
            "check the disk of the folder box.state"
        );
        fs::remove_file(&work).expect("removed");
        let staging = Destination::on_box(&work.join("results"))
            .and_then(|free| free.stage())
            .expect("free");
        fs::remove_dir_all(staging.path("")).expect("removed");
        for refused in [
            staging.write(LABELS, b"x").expect_err("it is gone"),
            staging.commit().expect_err("it is gone"),
        ] {
            assert!(refused.told.remedy.contains("box.state"), "{refused}");
        }
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::StorageFull,
            io::ErrorKind::QuotaExceeded,
        ] {
            let told = |remedies| unwritable(&work, &kind.into(), remedies).told.remedy;
            assert!(told(Remedies::CommandLine).contains("--out"), "{kind}");
            let on_box = told(Remedies::Box);
            assert!(
                on_box.contains("box.state") && !on_box.contains("--"),
                "{on_box}"
            );
        }
    }

    #[test]
    fn a_file_in_the_way_is_refused() {
        let home = TempDir::new().expect("a folder");
        let path = home.path().join("out");
        fs::write(&path, b"a file").expect("written");
        assert_eq!(
            Destination::check(&path, true).expect_err("a file").exit,
            Exit::Output
        );
        assert_eq!(
            Destination::check(&path.join("below"), false)
                .expect_err("below a file")
                .exit,
            Exit::Output
        );
    }
}
