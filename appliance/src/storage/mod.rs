//! The few things that the box asks of its disk, behind one trait.
//!
//! Everything that must survive a power cut (model slots, the queue of scans, the audit log) goes through [`Storage`] and nothing else, so that a
//! twin, [`faulty`], can cut the power at any of these calls and the tests can look at what a restart then finds. [`Folder`] is the real one.
//!
//! Paths are relative, with `/` between folders, and made by the box itself: names from outside never become part of one.
//!
//! What survives a power cut: bytes of a file once [`Storage::sync`] has returned, names (new, renamed, removed) once [`Storage::sync_folder`] of
//! their folder has. Of what was not synced, any part may be there afterwards, in any order; a rename is there whole or not at all.

#[doc(hidden)] // for tests, of other crates too
pub mod faulty;
mod folder;

use std::io;
use std::path::PathBuf;

pub use folder::Folder;

/// A place for files that survives a power cut as far as it was told to.
pub trait Storage: Send + Sync {
    /// Names in a folder, sorted; none if the folder is not there.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Bytes of a file, or `None` if there is no such file.
    fn len(&self, path: &str) -> io::Result<Option<u64>>;
    /// Reads from `offset` until `into` is full or the file ends, and returns how many bytes that were.
    fn read_at(&self, path: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes at the end of a file, which is made if it is not there.
    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Shortens a file to `len` bytes.
    fn truncate(&self, path: &str, len: u64) -> io::Result<()>;
    /// Makes the bytes of a file survive.
    fn sync(&self, path: &str) -> io::Result<()>;
    /// Gives a file or folder another name, replacing a file that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file, or a folder with everything in it; fine if it is not there.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Makes a folder and those above it; fine if it is there.
    fn make_folder(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a folder survive. The storage's own root is the empty path.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
    /// Bytes that can still be written.
    fn free(&self) -> io::Result<u64>;
    /// Where the path lies for programs that open files themselves; `None` if it lies on no disk.
    fn real_path(&self, path: &str) -> Option<PathBuf>;

    /// The whole of a file that is at most `limit` bytes long, or `None` if it is not there.
    fn read(&self, path: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(len) = self.len(path)? else {
            return Ok(None);
        };
        if len > limit {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{path} has {len} bytes where at most {limit} can be"),
            ));
        }
        let mut bytes = vec![0; len as usize];
        let read = self.read_at(path, 0, &mut bytes)?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }

    /// Puts a file in place whole: after a power cut at any moment it holds either what it held before or `bytes`.
    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let beside = format!("{path}.new");
        self.remove(&beside)?;
        self.append(&beside, bytes)?;
        self.sync(&beside)?;
        self.rename(&beside, path)?;
        self.sync_folder(path.rsplit_once('/').map_or("", |(folder, _)| folder))
    }
}
