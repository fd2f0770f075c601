//! Where results go.
//!
//! Every configured destination must confirm the results of every scan; confirmations are on the queue's records, so that a
//! kill at any moment means at worst that something is delivered twice. A destination that fails is asked again after a
//! while that doubles, and holds up no other.

mod archive;
mod folder;
mod stow;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use archive::ArchiveDestination;
pub use folder::FolderDestination;
pub use stow::{StowDestination, StowLimits};

use crate::panics::caught;
use crate::spool::{Listed, ScanId, Spool, SpoolError};
use crate::storage::Storage;

/// Wait after the first failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// The results of one scan.
pub struct Results<'a> {
    storage: &'a dyn Storage,
    folder: String,
}

impl Results<'_> {
    /// Names of the files, sorted.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn names(&self) -> io::Result<Vec<String>> {
        self.storage.list(&self.folder)
    }

    /// Hands a file over piece by piece.
    ///
    /// # Errors
    /// When the disk or the taker refuses.
    pub fn read(
        &self,
        name: &str,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut file = self.at(name);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            take(&buffer[..read])?;
        }
    }

    /// A file and its length; `None` if it is not among the results.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(&self, name: &str) -> io::Result<Option<(u64, ResultFile<'_>)>> {
        let file = self.at(name);
        let len = self.storage.len(&file.path)?;
        Ok(len.map(|len| (len, file)))
    }

    fn at(&self, name: &str) -> ResultFile<'_> {
        ResultFile {
            storage: self.storage,
            path: format!("{}/{name}", self.folder),
            offset: 0,
        }
    }
}

/// A file among the results, from its start.
pub struct ResultFile<'a> {
    storage: &'a dyn Storage,
    path: String,
    offset: u64,
}

impl Read for ResultFile<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.storage.read_at(&self.path, self.offset, into)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// What a destination did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It has the results, to stay.
    Confirmed,
    /// It fetches them itself and confirms with [`Spool::confirm`].
    Fetches,
}

/// Someone who is to have results.
pub trait Destination: Send {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// Delivers the results of a scan. May be called again for what it already has, and must leave one whole copy then.
    ///
    /// # Errors
    /// When it cannot take them now.
    fn deliver(&self, id: ScanId, results: &Results<'_>) -> io::Result<Delivery>;
}

/// A peer on a line, which fetches results and confirms that it has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineDestination {
    name: String,
}

impl LineDestination {
    /// A peer by the name that the configuration gives it.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Destination for LineDestination {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&self, _id: ScanId, _results: &Results<'_>) -> io::Result<Delivery> {
        Ok(Delivery::Fetches)
    }
}

/// What happened in a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A destination has the results, and it is noted.
    Confirmed {
        /// The scan.
        id: ScanId,
        /// The destination.
        destination: String,
    },
    /// A destination could not take them.
    Failed {
        /// The scan.
        id: ScanId,
        /// The destination.
        destination: String,
        /// Why.
        reason: String,
        /// When it is asked again.
        again_in: Duration,
    },
}

/// When a destination is asked again.
#[derive(Clone, Copy)]
struct Backoff {
    wait: Duration,
    until: Instant,
    /// What it did not take.
    scan: ScanId,
}

/// Delivers finished results to destinations.
pub struct Outbox<S> {
    spool: Arc<Spool<S>>,
    destinations: Vec<Box<dyn Destination>>,
    /// By the destination's name.
    failing: BTreeMap<String, Backoff>,
}

impl<S: Storage> Outbox<S> {
    /// An outbox for these destinations, whose names are among those of the queue's settings.
    ///
    /// # Errors
    /// [`SpoolError::Destination`] for a name that the queue does not wait for.
    pub fn new(
        spool: Arc<Spool<S>>,
        destinations: Vec<Box<dyn Destination>>,
    ) -> Result<Self, SpoolError> {
        let known = &spool.settings().destinations;
        let unknown = destinations.iter().find(|to| !known.contains(to.name()));
        if let Some(unknown) = unknown {
            return Err(SpoolError::Destination(unknown.name().into()));
        }
        Ok(Self {
            spool,
            destinations,
            failing: BTreeMap::new(),
        })
    }

    /// Delivers what can be delivered at `now`, the oldest scan first but for the one that failed last, and tells what happened. Call it about every second and
    /// when a scan has ended.
    ///
    /// # Errors
    /// When the queue's disk refuses; call it again later.
    pub fn turn(&mut self, now: Instant) -> Result<Vec<Sent>, SpoolError> {
        let mut sent = Vec::new();
        let listing = self.spool.listing()?;
        for to in &self.destinations {
            let name = to.name();
            let before = self.failing.get(name).copied();
            if before.is_some_and(|before| before.until > now) {
                continue;
            }
            let missing = |listed: &&Listed| listed.missing.iter().any(|missing| missing == name);
            let mut due: Vec<ScanId> = listing.iter().filter(missing).map(|one| one.id).collect();
            // The one that failed comes last: a scan that a destination never takes holds up no other.
            if let Some(before) = before {
                let next = due.partition_point(|&id| id <= before.scan);
                due.rotate_left(next);
            }
            for id in due {
                let folder = match self.spool.results_folder(id) {
                    Ok(folder) => folder,
                    // It was erased since the list was made.
                    Err(SpoolError::Unknown(_)) => continue,
                    Err(error) => return Err(error),
                };
                let results = Results {
                    storage: self.spool.storage(),
                    folder,
                };
                let destination = name.to_owned();
                // A fault that one scan brings out must not stop the delivery of the others, in this process or the next.
                let delivered = caught(|| to.deliver(id, &results));
                match delivered.unwrap_or_else(|fault| Err(io::Error::other(fault))) {
                    Ok(Delivery::Fetches) => {}
                    Ok(Delivery::Confirmed) => {
                        self.failing.remove(name);
                        match self.spool.confirm(id, name) {
                            Ok(()) => sent.push(Sent::Confirmed { id, destination }),
                            Err(SpoolError::Unknown(_)) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    // The destination is not to blame for results that were erased under its hands.
                    Err(_) if matches!(self.spool.state(id), Ok(None)) => {}
                    Err(error) => {
                        let before = self.failing.get(name).map(|backoff| backoff.wait * 2);
                        let wait = before.unwrap_or(FIRST_WAIT).min(LONGEST_WAIT);
                        let backoff = Backoff {
                            wait,
                            until: now + wait,
                            scan: id,
                        };
                        self.failing.insert(destination.clone(), backoff);
                        sent.push(Sent::Failed {
                            id,
                            destination,
                            reason: error.to_string(),
                            again_in: wait,
                        });
                        break;
                    }
                }
            }
        }
        Ok(sent)
    }
}
