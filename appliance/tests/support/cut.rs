//! A folder whose power is cut, or whose disk refuses once, at the n-th operation that changes something.
//!
//! Bytes that were not synced when the power went are zeros afterwards. Syncs reach no disk, so thousands of runs are fast.

#![allow(dead_code)] // each test program uses its own part

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nephrobox::storage::{Folder, Storage};

/// What happens at the n-th operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The power goes: of an append half is written, and nothing works any more.
    Cut,
    /// The disk is full this once: of an append half is written.
    Full,
}

#[derive(Debug)]
struct Power {
    left: usize,
    fault: Fault,
    out: bool,
    /// Bytes of files that are synced, for those with more.
    synced: BTreeMap<String, u64>,
}

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    folder: Folder,
    power: Arc<Mutex<Power>>,
}

impl Cut {
    /// With a fault after `left` operations.
    pub(crate) fn open(root: &Path, left: usize, fault: Fault) -> Self {
        let power = Power {
            left,
            fault,
            out: false,
            synced: BTreeMap::new(),
        };
        Self {
            folder: Folder::open(root).expect("a folder"),
            power: Arc::new(Mutex::new(power)),
        }
    }

    /// Without faults.
    pub(crate) fn sound(root: &Path) -> Self {
        Self::open(root, usize::MAX, Fault::Cut)
    }

    /// Whether the fault has happened.
    pub(crate) fn happened(&self) -> bool {
        self.power.lock().expect("power").left == 0
    }

    /// Makes the n-th operation from now on fail.
    pub(crate) fn cut_after(&self, left: usize) {
        self.power.lock().expect("power").left = left;
    }

    /// Takes the power away: what was not synced becomes zeros.
    pub(crate) fn pull_the_plug(&self) {
        let mut power = self.power.lock().expect("power");
        power.out = true;
        for (path, synced) in std::mem::take(&mut power.synced) {
            let path = self.folder.root().join(path);
            if let Ok(mut bytes) = fs::read(&path) {
                let synced = bytes.len().min(synced as usize);
                bytes[synced..].fill(0);
                fs::write(&path, bytes).expect("zeros");
            }
        }
    }

    /// Counts one operation; whether it is to fail.
    fn fails(&self) -> io::Result<bool> {
        let mut power = self.power.lock().expect("power");
        if power.out {
            return Err(io::Error::other("the power is out"));
        }
        if power.left == 0 {
            return Ok(false); // full once, and that was it
        }
        power.left -= 1;
        power.out = power.left == 0 && power.fault == Fault::Cut;
        Ok(power.left == 0)
    }

    fn change(&self, done: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.fails()? {
            return Err(ErrorKind::StorageFull.into());
        }
        done()
    }
}

impl Storage for Cut {
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
        let fails = self.fails()?;
        let before = self.folder.len(path)?.unwrap_or(0);
        let mut power = self.power.lock().expect("power");
        power.synced.entry(path.into()).or_insert(before);
        if fails {
            self.folder.append(path, &bytes[..bytes.len() / 2])?;
            return Err(ErrorKind::StorageFull.into());
        }
        self.folder.append(path, bytes)
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.change(|| self.folder.truncate(path, len))
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.change(|| {
            self.power.lock().expect("power").synced.remove(path);
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|| self.folder.rename(from, to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.change(|| self.folder.remove(path))
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        self.change(|| self.folder.make_folder(path))
    }

    fn sync_folder(&self, _folder: &str) -> io::Result<()> {
        self.change(|| Ok(()))
    }

    fn free(&self) -> io::Result<u64> {
        Ok(1 << 40)
    }

    fn real_path(&self, path: &str) -> Option<PathBuf> {
        self.folder.real_path(path)
    }
}

/// Bytes of all files in a folder.
pub(crate) fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder");
    let sizes = entries.map(|entry| {
        let entry = entry.expect("an entry");
        let found = entry.metadata().expect("metadata");
        if found.is_dir() {
            bytes_below(&entry.path())
        } else {
            found.len()
        }
    });
    sizes.sum()
}
