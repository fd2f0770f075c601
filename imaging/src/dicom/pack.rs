//! A series in one file, so that it can wait and travel as one: an uncompressed tar of its slices.
//!
//! The same slices give the same bytes, whatever their files are called and wherever they lie: they are sorted by their identifiers and
//! content, numbered, and nothing else about the files goes in. So a series that is packed twice is one object to whoever compares hashes.

use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::CrcReader;
use tar::{EntryType, Header};

use super::archive::BLOCK;
use super::error::DicomError;
use super::sort::{SeriesFiles, SliceFile, sort_out};
use crate::place::Place;

/// Bytes compared or copied at a time.
const PIECE: usize = 1 << 16;

/// What went into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Slices.
    pub slices: usize,
    /// Files that are byte for byte one of these and were left out.
    pub copies: usize,
    /// Bytes written.
    pub bytes: u64,
}

/// Writes the CT series among files, below folders and in archives to `out` as one tar, which [`ScanReader::open`](crate::ScanReader::open)
/// reads. Localisers, other objects and other files stay outside.
///
/// # Errors
/// As [`sort_out`] and [`SeriesFiles::pack`]; several series are [`DicomError::MixedSeries`].
pub fn pack(paths: &[PathBuf], out: &mut impl Write) -> Result<Packed, DicomError> {
    let sorted = sort_out(paths)?;
    match sorted.as_slice() {
        [series] => series.pack(out),
        several => {
            let mut parts: Vec<_> = several
                .iter()
                .map(|series| (series.count(), series.first().to_owned()))
                .collect();
            parts.sort_by_key(|&(slices, _)| std::cmp::Reverse(slices));
            Err(DicomError::MixedSeries {
                path: paths.first().cloned().unwrap_or_default(),
                parts,
            })
        }
    }
}

impl SeriesFiles {
    /// Writes the series to `out` as one tar.
    ///
    /// # Errors
    /// Files that cannot be read or that change meanwhile; whatever `out` says, as [`DicomError::NotPacked`].
    pub fn pack(&self, out: &mut impl Write) -> Result<Packed, DicomError> {
        let mut files: Vec<&SliceFile> = self.files.iter().collect();
        files.sort_by(|a, b| a.instance.cmp(&b.instance).then(a.bytes.cmp(&b.bytes)));
        sort_by_content(&mut files)?;
        let mut packed = Packed {
            slices: 0,
            copies: 0,
            bytes: 0,
        };
        let mut before: Option<&SliceFile> = None;
        for file in files {
            if let Some(before) = before
                && alike(before, file)
                && same(before, file)?
            {
                packed.copies += 1;
                continue;
            }
            packed.slices += 1;
            packed.bytes += add(packed.slices, &file.place, file.bytes, out)?;
            before = Some(file);
        }
        packed.bytes += finish(self.first(), out)?;
        Ok(packed)
    }
}

/// Writes files as they are, in their order, to `out` as one tar: for what cannot be sorted out, so that whoever reads it says why. Returns the bytes
/// written.
///
/// # Errors
/// Files that cannot be read or that change meanwhile; whatever `out` says, as [`DicomError::NotPacked`].
pub fn pack_as_they_are(paths: &[PathBuf], out: &mut impl Write) -> Result<u64, DicomError> {
    let mut written = 0;
    for (index, path) in paths.iter().enumerate() {
        let bytes = std::fs::metadata(path).map_err(|source| DicomError::Io {
            path: path.clone(),
            source,
        })?;
        written += add(index + 1, &Place::file(path.clone()), bytes.len(), out)?;
    }
    let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
    Ok(written + finish(first, out)?)
}

/// Writes one file with its header and padding.
fn add(number: usize, place: &Place, bytes: u64, out: &mut impl Write) -> Result<u64, DicomError> {
    let unwritten = |source| unwritten(place.label(), source);
    let mut header = Header::new_ustar();
    header
        .set_path(format!("{number:05}.dcm"))
        .map_err(unwritten)?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    out.write_all(header.as_bytes()).map_err(unwritten)?;

    let unread = |source| unread(place, source);
    let mut source = place.window().map_err(unread)?;
    let mut piece = vec![0; PIECE];
    let mut copied = 0;
    loop {
        let count = read_up_to(&mut source, &mut piece).map_err(unread)?;
        out.write_all(&piece[..count]).map_err(unwritten)?;
        copied += count as u64;
        if count < piece.len() {
            break;
        }
    }
    if copied != bytes {
        return Err(DicomError::Changed {
            path: place.label().to_owned(),
        });
    }
    let padding = copied.next_multiple_of(BLOCK) - copied;
    out.write_all(&[0; BLOCK as usize][..padding as usize])
        .map_err(unwritten)?;
    Ok(BLOCK + copied + padding)
}

/// Writes what ends a tar. `first` is named if that fails.
fn finish(first: &Path, out: &mut impl Write) -> Result<u64, DicomError> {
    let end = [0; 2 * BLOCK as usize];
    out.write_all(&end)
        .and_then(|()| out.flush())
        .map_err(|source| unwritten(first, source))?;
    Ok(end.len() as u64)
}

fn unwritten(path: &Path, source: io::Error) -> DicomError {
    DicomError::NotPacked {
        path: path.to_owned(),
        source,
    }
}

/// Whether two slices may be copies of each other, as far as their headers say.
fn alike(a: &SliceFile, b: &SliceFile) -> bool {
    (&a.instance, a.bytes) == (&b.instance, b.bytes)
}

/// Orders slices that only their content tells apart: copies, and none in a sound series.
fn sort_by_content(files: &mut [&SliceFile]) -> Result<(), DicomError> {
    for group in files.chunk_by_mut(|a, b| alike(a, b)) {
        if let [_, _, ..] = group {
            let mut keyed = Vec::with_capacity(group.len());
            for &file in &*group {
                keyed.push((checksum(file)?, file));
            }
            keyed.sort_by_key(|&(checksum, _)| checksum);
            for (place, (_, file)) in group.iter_mut().zip(keyed) {
                *place = file;
            }
        }
    }
    Ok(())
}

fn checksum(file: &SliceFile) -> Result<u32, DicomError> {
    let unread = |source| unread(&file.place, source);
    let source = file.place.window().map_err(unread)?;
    let mut summed = CrcReader::new(BufReader::new(source));
    io::copy(&mut summed, &mut io::sink()).map_err(unread)?;
    Ok(summed.crc().sum())
}

/// Compares the contents of two files.
fn same(a: &SliceFile, b: &SliceFile) -> Result<bool, DicomError> {
    let mut first = a
        .place
        .window()
        .map_err(|source| unread(&a.place, source))?;
    let mut second = b
        .place
        .window()
        .map_err(|source| unread(&b.place, source))?;
    let (mut left, mut right) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let count = read_up_to(&mut first, &mut left).map_err(|source| unread(&a.place, source))?;
        let other =
            read_up_to(&mut second, &mut right).map_err(|source| unread(&b.place, source))?;
        if left[..count] != right[..other] {
            return Ok(false);
        }
        if count < PIECE {
            return Ok(true);
        }
    }
}

/// Fills `out` as far as there are bytes.
fn read_up_to(source: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match source.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn unread(place: &Place, source: io::Error) -> DicomError {
    DicomError::Io {
        path: place.label().to_owned(),
        source,
    }
}
