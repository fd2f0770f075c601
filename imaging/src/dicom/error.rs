//! Why a series gives no volume, one variant each; every sentence says what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::{MAX_FILES, MAX_SIDE};
use crate::affine::MAX_TILT_DEGREES;
use crate::error::GeometryError;

/// Why a DICOM series was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DicomError {
    /// The operating system refused.
    #[error("{}: cannot read ({source}); check the path and the rights", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own answer.
        source: io::Error,
    },
    /// No DICOM file where one was named, or none in a folder.
    #[error("{}: there is no DICOM file here; give the files of one CT series, or their folder", path.display())]
    NotDicom {
        /// The file or folder.
        path: PathBuf,
    },
    /// More files than a series can have.
    #[error("{}: more than {MAX_FILES} files; give the files of one CT series only", path.display())]
    TooManyFiles {
        /// The folder or archive, or the file that was one too many.
        path: PathBuf,
    },
    /// An archive that is packed otherwise than a series may be.
    #[error("{}: {what}; give the series' folder, or an uncompressed tar of its files", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A series could not be packed into one file.
    #[error("{}: the series cannot be packed ({source}); check the space left", path.display())]
    NotPacked {
        /// The first file of the series.
        path: PathBuf,
        /// Why the packed series cannot be written.
        source: io::Error,
    },
    /// The file contradicts itself or ends early.
    #[error("{}: the file is damaged, {what}; send the series again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// A way of writing pixels that is not read.
    #[error("{}: transfer syntax {uid} ({name}) is not read; send the series uncompressed or with lossless compression", path.display())]
    TransferSyntax {
        /// The file.
        path: PathBuf,
        /// The identifier in the file.
        uid: String,
        /// What it is called.
        name: &'static str,
    },
    /// Something that every CT slice must say.
    #[error("{}: {name} is missing or is not what it should be; send the original series as the scanner made it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// DICOM's name of the element.
        name: &'static str,
    },
    /// Several slices in one file.
    #[error("{}: the file holds several slices (multi-frame CT), which is not read; send the series as one file a slice", path.display())]
    MultiFrame {
        /// The file.
        path: PathBuf,
    },
    /// No slices of CT among the images.
    #[error("{}: there is no CT series here, only {found}; give a transverse CT series", path.display())]
    NoCt {
        /// The file or folder.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// More than one series.
    #[error("{}: the files belong to {} series ({}); give the files of one", path.display(), parts.len(), listed(parts))]
    MixedSeries {
        /// The file or folder.
        path: PathBuf,
        /// Slices and one file of each.
        parts: Vec<(usize, PathBuf)>,
    },
    /// Slices of one series that cannot be one volume.
    #[error("{} and {}: two slices of one series differ in {what}; give the files of one stack of slices only", first.display(), second.display())]
    Differ {
        /// A slice.
        first: PathBuf,
        /// Another that does not go with it.
        second: PathBuf,
        /// In what.
        what: &'static str,
    },
    /// Two images of one place.
    #[error("{} and {}: two images lie at the same place; give one phase or reconstruction only", first.display(), second.display())]
    SamePlace {
        /// A slice.
        first: PathBuf,
        /// Another at its place.
        second: PathBuf,
    },
    /// Slices are missing in between.
    #[error("{} and {}: they lie {found_mm:.2} mm apart where slices are {usual_mm:.2} mm apart, so {missing} are missing; send the whole series again", first.display(), second.display())]
    Gap {
        /// The slice before the gap.
        first: PathBuf,
        /// The slice behind it.
        second: PathBuf,
        /// Their distance.
        found_mm: f64,
        /// The distance of most others.
        usual_mm: f64,
        /// Slices that fit in between.
        missing: usize,
    },
    /// Distances that differ too much for one spacing.
    #[error("{} and {}: they lie {found_mm:.2} mm apart where slices are {usual_mm:.2} mm apart; send a reconstruction with even spacing", first.display(), second.display())]
    Uneven {
        /// A slice.
        first: PathBuf,
        /// The next one.
        second: PathBuf,
        /// Their distance.
        found_mm: f64,
        /// The distance of most others.
        usual_mm: f64,
    },
    /// A slice beside the stack of the others.
    #[error("{}: the slice lies {off_mm:.2} mm beside the straight line of the others; send the original series as the scanner made it", path.display())]
    Astray {
        /// The slice.
        path: PathBuf,
        /// How far, within its plane.
        off_mm: f64,
    },
    /// Not transverse.
    #[error("{}: the slices lie {tilt_degrees:.1} degrees off the patient's axes, more than {MAX_TILT_DEGREES}; send a transverse reconstruction", path.display())]
    Oblique {
        /// The first slice.
        path: PathBuf,
        /// The largest angle of an axis to its patient axis.
        tilt_degrees: f64,
    },
    /// The volume's place in space is unusable in another way.
    #[error("{}: {source}", path.display())]
    Geometry {
        /// The first slice.
        path: PathBuf,
        /// What is wrong.
        source: GeometryError,
    },
    /// Pixels of a kind that CT does not have.
    #[error("{}: {what}; send the original CT series as the scanner made it", path.display())]
    Pixels {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// An empty or oversized slice.
    #[error("{}: a slice of {rows} x {cols} pixels is not possible; each must be 1 to {MAX_SIDE}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Rows.
        rows: u16,
        /// Columns.
        cols: u16,
    },
    /// A file is not what it was when the series was opened.
    #[error("{}: the file changed while it was read; wait until the series is complete", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl DicomError {
    /// The file or folder to look at first.
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::NotDicom { path }
            | Self::TooManyFiles { path }
            | Self::Archive { path, .. }
            | Self::NotPacked { path, .. }
            | Self::Damaged { path, .. }
            | Self::TransferSyntax { path, .. }
            | Self::Missing { path, .. }
            | Self::MultiFrame { path }
            | Self::NoCt { path, .. }
            | Self::MixedSeries { path, .. }
            | Self::Astray { path, .. }
            | Self::Oblique { path, .. }
            | Self::Geometry { path, .. }
            | Self::Pixels { path, .. }
            | Self::Size { path, .. }
            | Self::Changed { path } => path,
            Self::Differ { first, .. }
            | Self::SamePlace { first, .. }
            | Self::Gap { first, .. }
            | Self::Uneven { first, .. } => first,
        }
    }
}

/// Series in a mixed folder that a sentence lists.
const LISTED: usize = 4;

fn listed(parts: &[(usize, PathBuf)]) -> String {
    let mut words: Vec<String> = parts
        .iter()
        .take(LISTED)
        .map(|(slices, file)| format!("{slices} slices like {}", file.display()))
        .collect();
    if parts.len() > LISTED {
        words.push(format!("{} more", parts.len() - LISTED));
    }
    words.join(", ")
}
