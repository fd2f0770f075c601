//! What the disk holds: as a reader sees it, and as it survives.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use super::{Dice, Fault, Luck};

/// Bytes that a disk writes in one piece.
const BLOCK: usize = 512;
/// The root folder's node.
const ROOT: u64 = 0;

#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// What a reader sees.
    pub(super) bytes: Vec<u8>,
    /// What was there at the last sync.
    pub(super) synced: Vec<u8>,
    /// Bytes at the beginning that have not changed since.
    pub(super) safe: usize,
}

impl File {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self {
            safe: bytes.len(),
            synced: bytes.clone(),
            bytes,
        }
    }

    pub(super) fn sync(&mut self) {
        *self = Self::of(std::mem::take(&mut self.bytes));
    }

    pub(super) fn survivor(&self, luck: Luck, dice: &mut Dice) -> Vec<u8> {
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
    pub(super) fn in_blocks(&self, dice: &mut Dice) -> Vec<u8> {
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
pub(super) enum Node {
    File(File),
    Folder,
}

/// A name in a folder.
pub(super) type At = (u64, String);
pub(super) type Names = BTreeMap<At, u64>;

/// A change of names that has not survived yet: something made (`to`), moved (both) or removed (`from`).
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) node: u64,
    pub(super) from: Option<At>,
    pub(super) to: Option<At>,
}

impl Change {
    pub(super) fn is_in(&self, folder: u64) -> bool {
        let mut places = self.from.iter().chain(&self.to);
        places.any(|(parent, _)| *parent == folder)
    }

    /// Whether the later one makes no sense without this one.
    pub(super) fn comes_before(&self, later: &Self) -> bool {
        let mut places = self.from.iter().chain(&self.to);
        let there = |at: &At| later.from.as_ref() == Some(at) || later.to.as_ref() == Some(at);
        self.node == later.node || places.any(there)
    }

    pub(super) fn apply(&self, names: &mut Names) {
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
pub(super) struct Power {
    /// Operations until the fault; 0 when it has happened.
    pub(super) left: usize,
    pub(super) fault: Fault,
    pub(super) out: bool,
    pub(super) operations: usize,
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
pub(super) struct Disk {
    pub(super) nodes: BTreeMap<u64, Node>,
    /// As a reader sees them.
    pub(super) names: Names,
    /// As they survive.
    pub(super) synced: Names,
    /// Changes from `synced` to `names`, in order.
    pub(super) changes: Vec<Change>,
    pub(super) next: u64,
    pub(super) capacity: u64,
    /// What refuses whatever is asked of it.
    pub(super) spoilt: Option<String>,
    pub(super) power: Power,
}

impl Disk {
    /// An empty one that works.
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Folder)]),
            names: Names::new(),
            synced: Names::new(),
            changes: Vec::new(),
            next: ROOT + 1,
            capacity,
            spoilt: None,
            power: Power::default(),
        }
    }

    pub(super) fn child(&self, folder: u64, name: &str) -> Option<u64> {
        self.names.get(&(folder, name.to_owned())).copied()
    }

    pub(super) fn find(&self, path: &str) -> Option<u64> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(ROOT, |folder, name| self.child(folder, name))
    }

    /// The folder that a path lies in, and its name there.
    pub(super) fn place(&self, path: &str) -> io::Result<At> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.find(folder).ok_or(ErrorKind::NotFound)?;
        Ok((folder, name.to_owned()))
    }

    pub(super) fn file(&mut self, path: &str) -> io::Result<&mut File> {
        let found = self.find(path);
        match found.and_then(|node| self.nodes.get_mut(&node)) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    pub(super) fn make(&mut self, at: At, node: Node) -> u64 {
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

    pub(super) fn make_folders(&mut self, path: &str) -> u64 {
        let mut folder = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            folder = match self.child(folder, name) {
                Some(there) => there,
                None => self.make((folder, name.to_owned()), Node::Folder),
            };
        }
        folder
    }

    pub(super) fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
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

    pub(super) fn remove(&mut self, at: At, node: u64) {
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

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let node = self.find(from).ok_or(ErrorKind::NotFound)?;
        let (from, to) = (self.place(from)?, self.place(to)?);
        if from != to {
            let (from, to) = (Some(from), Some(to));
            self.change(Change { node, from, to });
        }
        Ok(())
    }

    /// Lets the changes in a folder survive, and those before that they need.
    pub(super) fn sync_folder(&mut self, folder: u64) {
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

    pub(super) fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|node| self.nodes.get(node));
        let bytes = files.map(|node| match node {
            Node::File(file) => file.bytes.len() as u64,
            Node::Folder => 0,
        });
        bytes.sum()
    }

    /// What a start finds.
    pub(super) fn survivor(&self, luck: Luck) -> Self {
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
            spoilt: self.spoilt.clone(),
            ..*self
        }
    }
}
