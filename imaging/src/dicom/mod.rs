//! A CT series of DICOM files as one volume.
//!
//! [`ScanReader::open_series`](crate::ScanReader::open_series) reads it; everything behind that is the same as for a NIfTI file. The
//! road: find files (`gather`, `archive`) → look at each header (`image`, `part10`, `elements`) → leave out what is no slice, put
//! the rest in order and in its place (`stack`) → read one slice at a time (`unpack`, `pixels`). What was odd and was dealt
//! with is a [`Finding`], what cannot be dealt with a [`DicomError`]; `docs/dicom.md` lists both.
//!
//! Beside the road: [`sort_out`] tells the series in a folder apart, [`pack`] puts one into a single file, which
//! [`ScanReader::open`](crate::ScanReader::open) reads as it is, and [`SeriesInfo`] and [`Identity`] say what results must refer to.
//!
//! Limits: one slice a file, at most [`MAX_SIDE`] pixels a side and [`MAX_FILES`] files. Memory: some hundred bytes a file and a few
//! slices, whatever the files say. Nothing in a file becomes part of a path.

mod archive;
mod character_set;
mod elements;
mod error;
mod finding;
mod gather;
mod glance;
mod identity;
mod image;
mod info;
mod jpeg_ls;
mod pack;
mod part10;
mod pixels;
mod rle;
mod sort;
mod stack;
mod syntax;
mod unpack;

use std::io::Read as _;
use std::path::{Path, PathBuf};

pub(crate) use archive::begins_tar;
pub use archive::is_tar;
pub use error::DicomError;
pub use finding::Finding;
pub use glance::{Glance, glance};
pub use identity::{Identity, PatientIdentity, StudyIdentity};
pub use info::{SeriesInfo, SeriesSlice};
pub use pack::{Packed, pack, pack_as_they_are};
pub use sort::{SeriesFiles, sort_out};

use self::gather::Found;
use self::image::Slice;
use self::stack::Stack;
use crate::geometry::Geometry;
pub use crate::place::Place;

/// Most pixels along a side of a slice; scanners make 512 to 2048.
pub const MAX_SIDE: usize = 4096;

/// Most files looked at; a whole-body CT in thin slices has about 4000.
pub const MAX_FILES: usize = 16_384;

/// Whether a file begins as DICOM files do. Only its first 132 bytes are read; what cannot be read is none.
pub fn is_dicom(path: &Path) -> bool {
    let mut head = [0; 132];
    let read = Place::file(path.to_owned())
        .window()
        .and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head[128..] == *b"DICM"
}

/// A series whose headers have been read and found good.
pub(crate) struct Series {
    path: PathBuf,
    stack: Stack,
    /// The slice in `plane`.
    read: Option<usize>,
    plane: Vec<i16>,
}

impl Series {
    /// Looks at files, at all files below folders, and at all files in archives.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, DicomError> {
        let path = paths.first().cloned().unwrap_or_default();
        Self::of(path, gather::gather(paths)?)
    }

    /// Looks at the files of a series that has been told apart from others.
    pub(crate) fn sorted(series: &SeriesFiles) -> Result<Self, DicomError> {
        let files = series.files.iter().map(|file| Found {
            place: file.place.clone(),
            named: true,
        });
        Self::of(series.first().to_owned(), files.collect())
    }

    fn of(path: PathBuf, files: Vec<Found>) -> Result<Self, DicomError> {
        let mut slices = Vec::new();
        let mut findings = sort::each_of(path.clone(), files, &mut |head| {
            slices.push(Slice::new(&head)?);
            Ok(())
        })?;
        let mut stack = Stack::new(&path, slices)?;
        findings.append(&mut stack.findings);
        stack.findings = findings;
        Ok(Self {
            path,
            stack,
            read: None,
            plane: Vec::new(),
        })
    }

    /// What the person named.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.stack.geometry
    }

    pub(crate) fn findings(&self) -> &[Finding] {
        &self.stack.findings
    }

    /// Where the slices lie, in the order of the stack.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.stack.slices.iter().map(|slice| &slice.place)
    }

    /// What results must refer to.
    pub(crate) fn info(&self) -> SeriesInfo {
        SeriesInfo::new(&self.stack)
    }

    /// Whose series this is, read from its first slice.
    pub(crate) fn identity(&self) -> Result<Identity, DicomError> {
        match self.stack.slices.first() {
            Some(slice) => slice.identity(),
            None => Ok(Identity::default()),
        }
    }

    /// Bytes of all voxels.
    pub(crate) fn len(&self) -> u64 {
        self.geometry().voxels() * size_of::<i16>() as u64
    }

    /// Copies bytes from `position` on: the voxels of all slices, one after the other, as the machine holds them. Fewer than asked
    /// for at the end of a slice, none at the end.
    pub(crate) fn read(&mut self, position: u64, out: &mut [u8]) -> Result<usize, DicomError> {
        let Some(first) = self.stack.slices.first() else {
            return Ok(0);
        };
        let pixels = first.pixels();
        let bytes = (pixels * size_of::<i16>()) as u64;
        let index = (position / bytes) as usize;
        let Some(slice) = self.stack.slices.get(index) else {
            return Ok(0);
        };
        if self.read != Some(index) {
            self.read = None;
            self.plane.resize(pixels, 0);
            slice.read(&mut self.plane)?;
            self.read = Some(index);
        }
        let rest = &bytemuck::cast_slice::<i16, u8>(&self.plane)[(position % bytes) as usize..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}
