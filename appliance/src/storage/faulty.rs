//! A disk in memory whose power is cut, or which refuses once, at the n-th operation that changes something: the twin on which tests try what the
//! box keeps.
//!
//! It promises exactly what [`Storage`] promises, and no more. Whoever looks sees what was done last, as a running system does through its page
//! cache. What a cut leaves is another matter, and [`Faulty::after_power_cut`] gives several answers:
//!
//! * of bytes that were not synced, any part: none, all, a beginning, blocks in between, and zeros or garbage for the rest;
//! * of names that were not synced, any subset of the changes, each whole: a rename has happened or has not;
//! * what was synced, always.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Storage;

/// Bytes that a disk writes in one piece.
const BLOCK: usize = 512;
/// The root folder's node.
const ROOT: u64 = 0;

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

#[derive(Clone, Debug, Default)]
struct File {
    /// What a reader sees.
    bytes: Vec<u8>,
    /// What was there at the last sync.
    synced: Vec<u8>,
    /// Bytes at the beginning that have not changed since.
    safe: usize,
}

impl File {
    fn of(bytes: Vec<u8>) -> Self {
        Self {
            safe: bytes.len(),
            synced: bytes.clone(),
            bytes,
        }
    }

    fn sync(&mut self) {
        *self = Self::of(std::mem::take(&mut self.bytes));
    }

    fn survivor(&self, luck: Luck, dice: &mut Dice) -> Vec<u8> {
        match luck {
            Luck::Worst => self.synced.clone(),
            Luck::Best => self.bytes.clone(),
            Luck::Seed(_) => match dice.roll(5) {
                0 => self.synced.clone(),
                1 => self.bytes.clone(),
                2 => {
                    let unsafe_bytes = (self.bytes.len() - self.safe) as u64;
                    let end = self.safe + dice.roll(unsafe_bytes + 1) as usize;
                    self.bytes[..end].to_vec()
                }
                _ => self.in_blocks(dice),
            },
        }
    }

    /// The new length, with each block that was not synced there, zeros or garbage.
    fn in_blocks(&self, dice: &mut Dice) -> Vec<u8> {
        let mut left = self.bytes.clone();
        for block in left[self.safe..].chunks_mut(BLOCK) {
            match dice.roll(3) {
                0 => {}
                1 => block.fill(0),
                _ => block.fill_with(|| dice.roll(256) as u8),
            }
        }
        left
    }
}

#[derive(Clone, Debug)]
enum Node {
    File(File),
    Folder,
}

/// A name in a folder.
type At = (u64, String);
type Names = BTreeMap<At, u64>;

/// A change of names that has not survived yet: something made (`to`), moved (both) or removed (`from`).
#[derive(Clone, Debug)]
struct Change {
    node: u64,
    from: Option<At>,
    to: Option<At>,
}

impl Change {
    fn is_in(&self, folder: u64) -> bool {
        let mut places = self.from.iter().chain(&self.to);
        places.any(|(parent, _)| *parent == folder)
    }

    /// Whether the later one makes no sense without this one.
    fn comes_before(&self, later: &Self) -> bool {
        let mut places = self.from.iter().chain(&self.to);
        let there = |at: &At| later.from.as_ref() == Some(at) || later.to.as_ref() == Some(at);
        self.node == later.node || places.any(there)
    }

    fn apply(&self, names: &mut Names) {
        if let Some(at) = &self.from {
            names.remove(at);
        }
        if let Some(at) = &self.to {
            // What has another name by a move that was lost has this one now.
            names.retain(|_, node| *node != self.node);
            names.insert(at.clone(), self.node);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Power {
    /// Operations until the fault; 0 when it has happened.
    left: usize,
    fault: Fault,
    out: bool,
    operations: usize,
}

impl Default for Power {
    fn default() -> Self {
        Self {
            left: usize::MAX,
            fault: Fault::Cut,
            out: false,
            operations: 0,
        }
    }
}

#[derive(Clone, Debug)]
struct Disk {
    nodes: BTreeMap<u64, Node>,
    /// As a reader sees them.
    names: Names,
    /// As they survive.
    synced: Names,
    /// Changes from `synced` to `names`, in order.
    changes: Vec<Change>,
    next: u64,
    capacity: u64,
    power: Power,
}

/// The disk; clones are the same one.
#[derive(Clone, Debug)]
pub struct Faulty(Arc<Mutex<Disk>>);

impl Default for Faulty {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk {
    fn child(&self, folder: u64, name: &str) -> Option<u64> {
        self.names.get(&(folder, name.to_owned())).copied()
    }

    fn find(&self, path: &str) -> Option<u64> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(ROOT, |folder, name| self.child(folder, name))
    }

    /// The folder that a path lies in, and its name there.
    fn place(&self, path: &str) -> io::Result<At> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.find(folder).ok_or(ErrorKind::NotFound)?;
        Ok((folder, name.to_owned()))
    }

    fn file(&mut self, path: &str) -> io::Result<&mut File> {
        let found = self.find(path);
        match found.and_then(|node| self.nodes.get_mut(&node)) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn make(&mut self, at: At, node: Node) -> u64 {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        self.change(Change {
            node: number,
            from: None,
            to: Some(at),
        });
        number
    }

    fn make_folders(&mut self, path: &str) -> u64 {
        let mut folder = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            folder = match self.child(folder, name) {
                Some(there) => there,
                None => self.make((folder, name.to_owned()), Node::Folder),
            };
        }
        folder
    }

    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        if self.find(path).is_none() {
            let at = self.place(path)?;
            self.make(at, Node::File(File::default()));
        }
        let room = self.capacity.saturating_sub(self.used());
        let fits = bytes.len().min(room as usize);
        self.file(path)?.bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn remove(&mut self, at: At, node: u64) {
        let below: Vec<(At, u64)> = self
            .names
            .range((node, String::new())..(node + 1, String::new()))
            .map(|(at, node)| (at.clone(), *node))
            .collect();
        for (at, node) in below {
            self.remove(at, node);
        }
        let from = Some(at);
        self.change(Change {
            node,
            from,
            to: None,
        });
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let node = self.find(from).ok_or(ErrorKind::NotFound)?;
        let (from, to) = (self.place(from)?, self.place(to)?);
        if from != to {
            let (from, to) = (Some(from), Some(to));
            self.change(Change { node, from, to });
        }
        Ok(())
    }

    /// Lets the changes in a folder survive, and those before that they need.
    fn sync_folder(&mut self, folder: u64) {
        let mut kept: Vec<Change> = Vec::new();
        let mut left = Vec::new();
        for change in std::mem::take(&mut self.changes).into_iter().rev() {
            let needed = kept.iter().any(|later| change.comes_before(later));
            if needed || change.is_in(folder) {
                kept.push(change);
            } else {
                left.push(change);
            }
        }
        for change in kept.iter().rev() {
            change.apply(&mut self.synced);
        }
        left.reverse();
        self.changes = left;
    }

    fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|node| self.nodes.get(node));
        let bytes = files.map(|node| match node {
            Node::File(file) => file.bytes.len() as u64,
            Node::Folder => 0,
        });
        bytes.sum()
    }

    /// What a start finds.
    fn survivor(&self, luck: Luck) -> Self {
        let mut dice = Dice(match luck {
            Luck::Seed(seed) => seed,
            Luck::Worst | Luck::Best => 0,
        });
        let mut names = self.synced.clone();
        for change in &self.changes {
            let survives = match luck {
                Luck::Worst => false,
                Luck::Best => true,
                Luck::Seed(_) => dice.roll(2) == 0,
            };
            if survives {
                change.apply(&mut names);
            }
        }
        let nodes = self.nodes.iter().map(|(number, node)| {
            let node = match node {
                Node::File(file) => Node::File(File::of(file.survivor(luck, &mut dice))),
                Node::Folder => Node::Folder,
            };
            (*number, node)
        });
        Self {
            nodes: nodes.collect(),
            synced: names.clone(),
            names,
            changes: Vec::new(),
            power: Power::default(),
            ..*self
        }
    }
}

impl Faulty {
    /// An empty disk without faults, with room for a terabyte.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Disk {
            nodes: BTreeMap::from([(ROOT, Node::Folder)]),
            names: Names::new(),
            synced: Names::new(),
            changes: Vec::new(),
            next: ROOT + 1,
            capacity: 1 << 40,
            power: Power::default(),
        })))
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

    /// Counts an operation and does it: whole, or as the fault has it. With `half` it does what a full disk lets it do.
    fn operate(
        &self,
        whole: impl FnOnce(&mut Disk) -> io::Result<()>,
        half: impl FnOnce(&mut Disk) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut disk = self.on()?;
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

    fn operate_or_not(&self, whole: impl FnOnce(&mut Disk) -> io::Result<()>) -> io::Result<()> {
        self.operate(whole, |_| Ok(()))
    }
}

impl Storage for Faulty {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let disk = self.on()?;
        let Some(folder) = disk.find(folder) else {
            return Ok(Vec::new());
        };
        let names = disk
            .names
            .range((folder, String::new())..(folder + 1, String::new()));
        Ok(names.map(|((_, name), _)| name.clone()).collect())
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        let disk = self.on()?;
        let node = disk.find(path).and_then(|node| disk.nodes.get(&node));
        Ok(match node {
            Some(Node::File(file)) => Some(file.bytes.len() as u64),
            Some(Node::Folder) | None => None,
        })
    }

    fn read_at(&self, path: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut disk = self.on()?;
        let bytes = &disk.file(path)?.bytes;
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.operate(
            |disk| disk.append(path, bytes),
            |disk| disk.append(path, &bytes[..bytes.len() / 2]),
        )
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.operate_or_not(|disk| {
            let file = disk.file(path)?;
            file.bytes.truncate(len as usize);
            file.safe = file.safe.min(file.bytes.len());
            Ok(())
        })
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.operate_or_not(|disk| {
            // Of a sync that the power cut, everything may have survived, and nothing: as without it.
            if !disk.power.out {
                disk.file(path)?.sync();
            }
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operate_or_not(|disk| disk.rename(from, to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.operate_or_not(|disk| {
            if let Some(node) = disk.find(path) {
                let at = disk.place(path)?;
                disk.remove(at, node);
            }
            Ok(())
        })
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        self.operate_or_not(|disk| {
            disk.make_folders(path);
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.operate_or_not(|disk| {
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

#[cfg(test)]
mod tests {
    use super::*;

    const LUCKS: [Luck; 3] = [Luck::Worst, Luck::Best, Luck::Seed(0)];

    /// The disks that a cut may leave, each seen once.
    fn found(disk: &Faulty, path: &str) -> Vec<Option<Vec<u8>>> {
        let lucks = (1..200).map(Luck::Seed).chain(LUCKS);
        let read = |luck| disk.after_power_cut(luck).read(path, 9).expect("read");
        let mut found: Vec<_> = lucks.map(read).collect();
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn what_was_synced_survives_and_its_name_only_with_its_folder() {
        let disk = Faulty::new();
        disk.append("file", b"kept").expect("written");
        disk.sync("file").expect("synced");
        assert_eq!(found(&disk, "file"), [None, Some(b"kept".to_vec())]);
        disk.sync_folder("").expect("synced");
        assert_eq!(found(&disk, "file"), [Some(b"kept".to_vec())]);
        disk.append("file", b"more").expect("written");
        let left = found(&disk, "file");
        assert!(left.len() > 3, "lost, torn, zero and garbage: {left:?}");
        for left in left.into_iter().flatten() {
            assert_eq!(&left[..4], b"kept");
        }
    }

    #[test]
    fn a_file_is_replaced_whole_only_if_it_was_synced_first() {
        let replaced = |careful: bool| {
            let disk = Faulty::new();
            disk.replace("file", b"old").expect("written");
            disk.append("file.new", b"new").expect("written");
            if careful {
                disk.sync("file.new").expect("synced");
            }
            disk.rename("file.new", "file").expect("renamed");
            found(&disk, "file")
        };
        let [old, new] = [b"old", b"new"].map(|bytes| Some(bytes.to_vec()));
        assert_eq!(replaced(true), [new.clone(), old]);
        assert!(replaced(false).len() > 2, "an empty file, or garbage");
    }

    #[test]
    fn a_cut_at_an_operation_leaves_it_done_or_not_and_nothing_works_after() {
        let disk = Faulty::new();
        disk.replace("file", b"old").expect("written");
        disk.fail_at(2, Fault::Cut);
        disk.append("other", b"first").expect("the first");
        assert!(disk.remove("file").is_err());
        assert!(disk.has_failed() && disk.read("file", 9).is_err());
        assert_eq!(found(&disk, "file"), [None, Some(b"old".to_vec())]);
    }

    #[test]
    fn a_folder_moves_with_all_that_is_in_it() {
        let disk = Faulty::new();
        for folder in ["a/x", "b"] {
            disk.make_folder(folder).expect("made");
        }
        disk.append("a/x/file", b"1").expect("written");
        for folder in ["", "a", "a/x"] {
            disk.sync_folder(folder).expect("synced");
        }
        disk.sync("a/x/file").expect("synced");
        disk.rename("a/x", "b/x").expect("moved");
        for luck in LUCKS {
            let disk = disk.after_power_cut(luck);
            let places = ["a/x/file", "b/x/file"].map(|path| disk.read(path, 9).expect("read"));
            assert_eq!(places.iter().flatten().count(), 1, "{luck:?}");
        }
        disk.remove("b").expect("removed");
        assert_eq!(disk.list("").expect("listed"), ["a"]);
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let disk = Faulty::new();
        disk.set_capacity(3);
        let error = disk.append("file", b"12345").expect_err("full");
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(
            disk.read("file", 9).expect("read").as_deref(),
            Some(&b"123"[..])
        );
        assert_eq!(disk.free().expect("none"), 0);
    }
}
