//! A CT series of DICOM files as one volume.
//!
//! [`ScanReader::open_series`](crate::ScanReader::open_series) reads it; everything behind that is the same as for a NIfTI file. The
//! road: find files (`gather`) → look at each header (`image`, `part10`, `elements`) → leave out what is no slice, put
//! the rest in order and in its place (`stack`) → read one slice at a time (`unpack`, `pixels`). What was odd and was dealt
//! with is a [`Finding`], what cannot be dealt with a [`DicomError`]; `docs/dicom.md` lists both.
//!
//! Limits: one slice a file, at most [`MAX_SIDE`] pixels a side and [`MAX_FILES`] files. Memory: some hundred bytes a file and a few
//! slices, whatever the files say. Nothing in a file becomes part of a path, and no name or date is read.

mod elements;
mod error;
mod finding;
mod gather;
mod glance;
mod image;
mod jpeg_ls;
mod part10;
mod pixels;
mod rle;
mod stack;
mod syntax;
mod unpack;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use error::DicomError;
pub use finding::Finding;
pub use glance::{Glance, glance};

use self::gather::gather;
use self::image::{Kind, Slice};
use self::stack::Stack;
use crate::geometry::Geometry;

/// Most pixels along a side of a slice; scanners make 512 to 2048.
pub const MAX_SIDE: usize = 4096;

/// Most files looked at; a whole-body CT in thin slices has about 4000.
pub const MAX_FILES: usize = 16_384;

/// Whether a file begins as DICOM files do. Only its first 132 bytes are read; what cannot be read is none.
pub fn is_dicom(path: &Path) -> bool {
    let mut head = [0; 132];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
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
    /// Looks at files and at all files below folders.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, DicomError> {
        let path = paths.first().cloned().unwrap_or_default();
        let mut findings = Vec::new();
        let slices = slices(&path, paths, &mut findings)?;
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

    /// The slices' files in the order of the stack.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.stack.slices.iter().map(|slice| slice.path.as_path())
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

/// Looks at every file and keeps the slices.
fn slices(
    path: &Path,
    paths: &[PathBuf],
    findings: &mut Vec<Finding>,
) -> Result<Vec<Slice>, DicomError> {
    let mut slices = Vec::new();
    let (mut other_files, mut localisers) = (0, 0);
    let mut others: Vec<String> = Vec::new();
    for file in gather(paths)? {
        match image::look(&file.path)? {
            Some(Kind::Slice(slice)) => slices.push(*slice),
            Some(Kind::Localiser) => localisers += 1,
            Some(Kind::Other(modality)) => others.push(modality),
            None if file.named => return Err(DicomError::NotDicom { path: file.path }),
            None => other_files += 1,
        }
    }
    let objects = others.len();
    others.sort_unstable();
    others.dedup();
    if slices.is_empty() {
        if localisers > 0 {
            others.push("localisers".to_owned());
        }
        let path = path.to_owned();
        return Err(if others.is_empty() {
            DicomError::NotDicom { path }
        } else {
            DicomError::NoCt {
                path,
                found: others.join(", "),
            }
        });
    }
    if other_files > 0 {
        findings.push(Finding::OtherFiles { files: other_files });
    }
    if objects > 0 {
        findings.push(Finding::OtherObjects {
            objects,
            modalities: others,
        });
    }
    if localisers > 0 {
        findings.push(Finding::Localisers { images: localisers });
    }
    Ok(slices)
}
