//! A disk in memory whose power is cut, or which refuses once, at the n-th operation that changes something: the twin on which tests try what the
//! box keeps.
//!
//! It promises exactly what [`Storage`] promises, and no more. Whoever looks sees what was done last, as a running system does through its page
//! cache. What a cut leaves is another matter, and [`Faulty::after_power_cut`] gives several answers:
//!
//! * of bytes that were not synced, any part: none, all, a beginning, blocks in between, and zeros or garbage for the rest;
//! * of names that were not synced, any subset of the changes, each whole: a rename has happened or has not;
//! * what was synced, always.

mod disk;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Storage;
use disk::{Disk, Node};

/// What happens at the n-th operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The power goes: the operation may have been done or not, and nothing works any more.
    Cut,
    /// The disk is full this once: of an append half is written, nothing of anything else is done.
    Full,
}

/// What a power cut leaves of that which was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Luck {
    /// Nothing.
    Worst,
    /// Everything.
    Best,
    /// A part, by this seed.
    Seed(u64),
}

/// Numbers for tests that must be the same each time: `SplitMix64`.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// The disk; clones are the same one.
#[derive(Clone, Debug)]
pub struct Faulty(Arc<Mutex<Disk>>);

impl Default for Faulty {
    fn default() -> Self {
        Self::new()
    }
}

impl Faulty {
    /// An empty disk without faults, with room for a terabyte.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Disk::new(1 << 40))))
    }

    /// Makes the n-th operation from now on fail: 1 is the next.
    pub fn fail_at(&self, n: usize, fault: Fault) {
        let power = &mut self.lock().power;
        (power.left, power.fault) = (n, fault);
    }

    /// Takes a fault back that has not happened.
    pub fn sound(&self) {
        self.fail_at(usize::MAX, Fault::Cut);
    }

    /// Whether the fault has happened.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.lock().power.left == 0
    }

    /// Operations so far that changed something.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.lock().power.operations
    }

    /// Another disk, without faults, as a start finds it after the power of this one went now, or when it was cut.
    #[must_use]
    pub fn after_power_cut(&self, luck: Luck) -> Self {
        Self(Arc::new(Mutex::new(self.lock().survivor(luck))))
    }

    /// Refuses from now on whatever is asked of a path, or of what lies below it: a bad sector. There is one at a time.
    pub fn spoil(&self, path: &str) {
        self.lock().spoilt = Some(path.into());
    }

    /// Makes good what was spoilt.
    pub fn mend(&self) {
        self.lock().spoilt = None;
    }

    /// Room for this many bytes in all files together.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity = bytes;
    }

    /// Bytes in all files together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// A file that another program writes: folders are made for it, nothing is synced, and no fault strikes.
    ///
    /// # Errors
    /// When the path is a folder's, or there is no room.
    pub fn write_beside(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.make_folders(path.rsplit_once('/').map_or("", |(folder, _)| folder));
        if disk.find(path).is_some() {
            disk.file(path)?.bytes.clear();
            disk.file(path)?.safe = 0;
        }
        disk.append(path, bytes)
    }

    /// Changes what lies in a file, as a disk does that forgets: what was there is gone for good.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn damage(&self, path: &str, damage: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut disk = self.lock();
        let file = disk.file(path)?;
        damage(&mut file.bytes);
        file.sync();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk, while the power is on.
    fn on(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.lock();
        if disk.power.out {
            return Err(io::Error::other("the power is out"));
        }
        Ok(disk)
    }

    /// The same for a path that is not spoilt.
    fn at(&self, path: &str) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.on()?;
        let below = |spoilt: &String| {
            let rest = path.strip_prefix(spoilt.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if disk.spoilt.as_ref().is_some_and(below) {
            return Err(io::Error::other("a bad sector"));
        }
        Ok(disk)
    }

    /// Counts an operation and does it: whole, or as the fault has it. With `half` it does what a full disk lets it do.
    fn operate(
        &self,
        path: &str,
        whole: impl FnOnce(&mut Disk) -> io::Result<()>,
        half: impl FnOnce(&mut Disk) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut disk = self.at(path)?;
        disk.power.operations += 1;
        let before = disk.power.left;
        disk.power.left = before.saturating_sub(1);
        if before != 1 {
            return whole(&mut disk);
        }
        match disk.power.fault {
            Fault::Cut => {
                disk.power.out = true;
                whole(&mut disk).and(Err(io::Error::other("the power is out")))
            }
            Fault::Full => half(&mut disk).and(Err(ErrorKind::StorageFull.into())),
        }
    }

    fn operate_or_not(
        &self,
        path: &str,
        whole: impl FnOnce(&mut Disk) -> io::Result<()>,
    ) -> io::Result<()> {
        self.operate(path, whole, |_| Ok(()))
    }
}

impl Storage for Faulty {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let disk = self.at(folder)?;
        let Some(folder) = disk.find(folder) else {
            return Ok(Vec::new());
        };
        let names = disk
            .names
            .range((folder, String::new())..(folder + 1, String::new()));
        Ok(names.map(|((_, name), _)| name.clone()).collect())
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        let disk = self.at(path)?;
        let node = disk.find(path).and_then(|node| disk.nodes.get(&node));
        Ok(match node {
            Some(Node::File(file)) => Some(file.bytes.len() as u64),
            Some(Node::Folder) | None => None,
        })
    }

    fn read_at(&self, path: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut disk = self.at(path)?;
        let bytes = &disk.file(path)?.bytes;
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.operate(
            path,
            |disk| disk.append(path, bytes),
            |disk| disk.append(path, &bytes[..bytes.len() / 2]),
        )
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.operate_or_not(path, |disk| {
            let file = disk.file(path)?;
            file.bytes.truncate(len as usize);
            file.safe = file.safe.min(file.bytes.len());
            Ok(())
        })
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.operate_or_not(path, |disk| {
            // Of a sync that the power cut, everything may have survived, and nothing: as without it.
            if !disk.power.out {
                disk.file(path)?.sync();
            }
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operate_or_not(from, |disk| disk.rename(from, to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.operate_or_not(path, |disk| {
            if let Some(node) = disk.find(path) {
                let at = disk.place(path)?;
                disk.remove(at, node);
            }
            Ok(())
        })
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        self.operate_or_not(path, |disk| {
            disk.make_folders(path);
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.operate_or_not(folder, |disk| {
            let folder = disk.find(folder).ok_or(ErrorKind::NotFound)?;
            if !disk.power.out {
                disk.sync_folder(folder);
            }
            Ok(())
        })
    }

    fn free(&self) -> io::Result<u64> {
        let disk = self.on()?;
        Ok(disk.capacity.saturating_sub(disk.used()))
    }

    fn real_path(&self, _path: &str) -> Option<PathBuf> {
        None
    }
}
