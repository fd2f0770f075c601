//! A series that lies in one file: an uncompressed tar of its images.
//!
//! Used by the series. The headers say where the images lie; they are read there. Names are never looked at, no length is believed beyond
//! the archive's own, and nothing is unpacked. An archive without its end mark was cut off, and is refused: slices that are missing at
//! the end of a stack leave no gap.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use tar::{Archive, EntryType};

use super::MAX_FILES;
use super::error::DicomError;
use crate::place::Place;

/// What tar puts a header and the padding of a file into.
pub(super) const BLOCK: u64 = 512;

/// Where the magic word stands in a header (POSIX.1-1988 and GNU alike), and the word.
const MAGIC_AT: usize = 257;
const MAGIC: [u8; 5] = *b"ustar";

/// Headers of folders, links and long names for each file that there may be.
const OTHERS: usize = 4;

/// Most bytes of a file's extended header. Names are in it, and paths end at 4096 bytes.
const LONGEST_EXTENSION: u64 = 1 << 16;

/// Whether a file begins as a tar does. Only its first block is read; what cannot be read is none.
pub fn is_tar(path: &Path) -> bool {
    // Before it is opened: a pipe would keep us waiting.
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let mut head = [0; BLOCK as usize];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && begins_tar(&head)
}

/// Whether these first bytes are a tar's.
pub(crate) fn begins_tar(head: &[u8]) -> bool {
    // DICOM's own magic word comes first: whatever follows it is not tar's.
    head.get(MAGIC_AT..MAGIC_AT + MAGIC.len()) == Some(&MAGIC[..])
        && head.get(128..132) != Some(b"DICM")
}

/// The files in an archive, in its order.
pub(crate) fn files(path: &Path) -> Result<Vec<Place>, DicomError> {
    let io_error = |source| DicomError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(io_error)?;
    let len = file.metadata().map_err(io_error)?.len();
    let mut archive = Archive::new(BufReader::with_capacity(BLOCK as usize, file));
    let failed = |error: io::Error| match error.raw_os_error() {
        Some(_) => io_error(error),
        // The parser's own words quote names in the archive, which may be a patient's.
        None => damaged(path, "a header in it makes no sense".to_owned()),
    };
    let shared: Arc<Path> = path.into();
    let mut found = Vec::new();
    let mut entries = 0;
    let mut end = 0;
    for entry in archive.entries_with_seek().map_err(failed)?.raw(true) {
        let mut entry = entry.map_err(failed)?;
        entries += 1;
        let (start, size) = (entry.raw_file_position(), entry.size());
        end = start
            .checked_add(size)
            .and_then(|end| end.checked_next_multiple_of(BLOCK))
            .filter(|&end| end <= len)
            .ok_or_else(|| damaged(path, "it ends within a file".to_owned()))?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                if found.len() == MAX_FILES {
                    return Err(too_many(path));
                }
                found.push(Place::within(&shared, found.len() + 1, start, size));
            }
            EntryType::XHeader | EntryType::XGlobalHeader => {
                if size > LONGEST_EXTENSION {
                    return Err(refused(path, "a name in it is longer than any path can be"));
                }
                let mut records = Vec::new();
                entry.read_to_end(&mut records).map_err(failed)?;
                if contains(&records, b"GNU.sparse.") {
                    return Err(sparse(path));
                }
            }
            EntryType::GNULongName | EntryType::GNULongLink => {
                if size > LONGEST_EXTENSION {
                    return Err(refused(path, "a name in it is longer than any path can be"));
                }
            }
            EntryType::Directory
            | EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Fifo => {}
            EntryType::GNUSparse => return Err(sparse(path)),
            _ => return Err(refused(path, "it holds what tar packs no plain file as")),
        }
        if entries > MAX_FILES * OTHERS {
            return Err(too_many(path));
        }
    }
    if end + BLOCK > len {
        return Err(damaged(path, "it ends before its end mark".to_owned()));
    }
    Ok(found)
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

fn too_many(path: &Path) -> DicomError {
    DicomError::TooManyFiles {
        path: path.to_owned(),
    }
}

fn sparse(path: &Path) -> DicomError {
    refused(path, "it holds sparse files")
}

fn refused(path: &Path, what: &'static str) -> DicomError {
    DicomError::Archive {
        path: path.to_owned(),
        what,
    }
}

fn damaged(path: &Path, what: String) -> DicomError {
    DicomError::Damaged {
        path: path.to_owned(),
        what,
    }
}
