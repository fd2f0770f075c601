//! What can go wrong with a data folder, said so that the reader can act on it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The sort of failure, for callers which react and for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataErrorKind {
    /// The folder is not what the command needs: missing, empty, or of another kind.
    Folder,
    /// An option has a value that makes no sense.
    Option,
    /// A volume cannot be read.
    Volume,
    /// Image and labels of a case do not lie on the same grid.
    Grid,
    /// The split does not name exactly the cases, or breaks a reservation.
    Split,
    /// A source file or an option is not what the folder was prepared from.
    Changed,
    /// A prepared file is missing, cut short or of another version.
    Damaged,
    /// The operating system refused to read or write.
    Io,
    /// Another run is writing to the same folder.
    Busy,
}

/// [`what`](Self::what) is wrong, at which [`place`](Self::place), and what to do ([`remedy`](Self::remedy)); displayed
/// as one line of all three.
#[derive(Debug)]
pub struct DataError {
    kind: DataErrorKind,
    what: String,
    place: PathBuf,
    remedy: String,
}

impl DataError {
    /// `what` and `remedy` are sentences without their full stop.
    pub fn new(
        kind: DataErrorKind,
        place: impl Into<PathBuf>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            what: what.into(),
            place: place.into(),
            remedy: remedy.into(),
        }
    }

    /// Adds the text of the underlying error to the sentence.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.what = format!("{}: {cause}", self.what);
        self
    }

    /// A volume that cannot be used. `cause` may start with the path, as the errors of `nephrobox_imaging` do.
    pub fn volume(path: &Path, cause: impl fmt::Display) -> Self {
        let cause = cause.to_string();
        let what = cause
            .strip_prefix(&format!("{}: ", path.display()))
            .unwrap_or(&cause);
        Self::new(
            DataErrorKind::Volume,
            path,
            what,
            "mend this file, or take its case folder out of the data folder",
        )
    }

    /// A file could not be read, written, renamed or listed.
    pub fn io(place: impl Into<PathBuf>, doing: &str, cause: io::Error) -> Self {
        let remedy = match cause.kind() {
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied => {
                "give this user the right to it, or use another folder"
            }
            io::ErrorKind::StorageFull => {
                "free some space and run the same command again; it resumes"
            }
            _ => "check the disk and run the same command again",
        };
        Self::new(DataErrorKind::Io, place, format!("cannot {doing}"), remedy).because(cause)
    }

    /// The sort of failure.
    pub fn kind(&self) -> DataErrorKind {
        self.kind
    }

    /// What is wrong.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The file or folder at fault.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// What the user can do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}; {}",
            self.place.display(),
            self.what,
            self.remedy
        )
    }
}

impl Error for DataError {}
