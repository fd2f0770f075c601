//! Files that are either whole or not there, and hashes of files.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use memmap2::Mmap;
pub(super) use nephrobox_dataset::hash_file as hash;
use nephrobox_imaging::files::{Sink, UNFINISHED, write_with};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{DataError, DataErrorKind};

/// Writes `path` so that a kill at any moment leaves either the old file or the new one.
pub(super) fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut Sink<'_>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    write_with(path, |e| DataError::io(path, "write this file", e), fill)
}

/// Whether a kill left this file half-written.
pub(super) fn unfinished(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()))
}

/// Writes `value` as indented JSON with a final newline. The same value gives the same bytes.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DataError> {
    write_whole(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value)
            .map_err(|e| DataError::io(path, "write this file", e.into()))?;
        out.write_all(b"\n")
            .map_err(|e| DataError::io(path, "write this file", e))
    })
}

/// Reads a JSON file which this program wrote earlier.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, DataError> {
    let text = fs::read(path).map_err(|e| DataError::io(path, "read this file", e))?;
    serde_json::from_slice(&text).map_err(|e| {
        DataError::new(
            DataErrorKind::Damaged,
            path,
            "this file is not as nephrotrain wrote it",
            "delete it and run `nephrotrain prepare` again with the same options",
        )
        .because(e)
    })
}

/// Maps a whole prepared file for reading.
///
/// # Errors
/// If the file cannot be opened or is not exactly `bytes` long.
#[allow(unsafe_code)]
pub(super) fn map(path: &Path, bytes: u64) -> Result<Mmap, DataError> {
    let failed = |e| DataError::io(path, "read this prepared file", e);
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?.len();
    if found != bytes {
        return Err(DataError::new(
            DataErrorKind::Damaged,
            path,
            format!("this prepared file has {found} bytes instead of {bytes}"),
            "run `nephrotrain prepare` again with the same options; it makes only what is missing",
        ));
    }
    // SAFETY: the danger of a map is that someone changes or cuts the file under it. Prepared files are written
    // beside and renamed, never changed in place, so a map keeps the file it was made from. What is mapped is read
    // only as plain numbers, for which every bit pattern is valid. A person who truncates the file by hand while it
    // is in use gets a bus error; no copy-free design avoids that.
    unsafe { Mmap::map(&file) }.map_err(failed)
}

/// An exclusive hold on a folder, given up when dropped or when the process ends in whatever way.
#[derive(Debug)]
pub(super) struct FolderLock(#[expect(dead_code, reason = "held for its drop")] File);

impl FolderLock {
    /// Takes the hold, or says that someone else has it.
    pub(super) fn take(folder: &Path) -> Result<Self, DataError> {
        let path = folder.join(".lock");
        let file =
            File::create(&path).map_err(|e| DataError::io(folder, "write into this folder", e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(DataError::new(
                DataErrorKind::Busy,
                folder,
                "another `nephrotrain prepare` is writing to this folder",
                "wait for it, or give another --out",
            )),
            Err(fs::TryLockError::Error(e)) => Err(DataError::io(path, "lock this folder", e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_length_is_not_mapped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, [7u8; 12]).unwrap();
        assert_eq!(&map(&path, 12).unwrap()[..], [7u8; 12]);
        assert_eq!(map(&path, 16).unwrap_err().kind(), DataErrorKind::Damaged);
    }

    #[test]
    fn two_runs_cannot_hold_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        assert_eq!(
            FolderLock::take(folder.path()).unwrap_err().kind(),
            DataErrorKind::Busy
        );
        drop(first);
        FolderLock::take(folder.path()).unwrap();
    }
}
