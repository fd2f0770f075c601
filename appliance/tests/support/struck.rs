//! Storage that has a fault in it.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use nephrobox::storage::{Folder, Storage};

/// A folder that panics, once, when the first bytes are appended to anything.
pub(crate) struct Struck {
    folder: Folder,
    whole: AtomicBool,
}

impl Struck {
    pub(crate) fn new(folder: Folder) -> Self {
        Self {
            folder,
            whole: AtomicBool::new(false),
        }
    }
}

impl Storage for Struck {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.folder.list(folder)
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        self.folder.len(path)
    }

    fn read_at(&self, path: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.folder.read_at(path, offset, into)
    }

    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let whole = bytes.is_empty() || self.whole.swap(true, Ordering::SeqCst);
        assert!(whole, "a fault at {path}");
        self.folder.append(path, bytes)
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.folder.truncate(path, len)
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.folder.sync(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.folder.remove(path)
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        self.folder.make_folder(path)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.folder.sync_folder(folder)
    }

    fn free(&self) -> io::Result<u64> {
        self.folder.free()
    }

    fn real_path(&self, path: &str) -> Option<PathBuf> {
        self.folder.real_path(path)
    }

    // Records are written as ever: the fault is in the bytes of a scan.
    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.folder.replace(path, bytes)
    }
}
