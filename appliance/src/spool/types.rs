//! What goes into the queue and what it answers.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use blake3::Hash;

use super::{Outcome, Record, ScanId};

/// Attempts at a scan that may end in the worker's death.
pub const ATTEMPTS: u32 = 2;

/// How much the queue may take, and who gets its results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes that scans and results may take together.
    pub quota_bytes: u64,
    /// Bytes that stay free on the disk.
    pub floor_bytes: u64,
    /// Bytes of the largest scan that is taken.
    pub largest_scan_bytes: u64,
    /// Bytes set apart for the results of each scan; a result that takes more is refused.
    pub results_bytes: u64,
    /// Bytes after which a scan that is being received is synced: what a power cut costs at most.
    pub checkpoint_bytes: u64,
    /// Names of those who must confirm results before these may be recycled.
    pub destinations: BTreeSet<String>,
    /// Whether scans that come now are for nobody.
    pub silent: bool,
}

impl Default for Settings {
    /// 32 GiB of disk, 1 GiB free, scans up to 4 GiB, 64 MiB for results, synced every 4 MiB, no destinations.
    fn default() -> Self {
        Self {
            quota_bytes: 32 << 30,
            floor_bytes: 1 << 30,
            largest_scan_bytes: 4 << 30,
            results_bytes: 64 << 20,
            checkpoint_bytes: 4 << 20,
            destinations: BTreeSet::new(),
            silent: false,
        }
    }
}

/// A scan that somebody wants to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Bytes of its file.
    pub bytes: u64,
    /// Its BLAKE3.
    pub blake3: Hash,
    /// Its name at the sender's, for people only.
    pub file_name: String,
    /// Who sends it, for people only.
    pub source: String,
    /// Whether slices may be skipped.
    pub fast: bool,
}

/// The answer to an announced scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Send the bytes from `offset` on.
    Receive {
        /// The scan's id from now on.
        id: ScanId,
        /// Bytes that are already here.
        offset: u64,
    },
    /// The same scan has been accepted before.
    Accepted(ScanId),
    /// The scan is not taken.
    Refused(Refusal),
}

/// Why a scan is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing in it.
    Empty,
    /// It would never fit.
    TooLarge {
        /// Bytes of the scan.
        bytes: u64,
        /// Bytes of the largest scan that is taken.
        largest_bytes: u64,
    },
    /// There is no room now.
    Full {
        /// Bytes that scan and results need.
        needed_bytes: u64,
        /// Bytes that can be had.
        room_bytes: u64,
        /// Ended scans that wait for a destination to confirm them.
        unconfirmed: usize,
        /// Ended scans that came in silent mode, so that no destination ever will.
        silent: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(out, "the scan is empty; export it again"),
            Self::TooLarge {
                bytes,
                largest_bytes,
            } => write!(
                out,
                "the scan has {bytes} bytes and the box takes {largest_bytes}; send fewer slices or raise the box's limits"
            ),
            Self::Full {
                needed_bytes,
                room_bytes,
                unconfirmed,
                silent,
            } => {
                write!(
                    out,
                    "the box is full: {needed_bytes} bytes are needed, {room_bytes} can be had and {unconfirmed} results wait to be fetched"
                )?;
                if *silent > 0 {
                    write!(
                        out,
                        ", beside {silent} that came in silent mode and go nowhere; erase those with nephroctl erase, fetch results, or send the scan again later"
                    )
                } else {
                    write!(out, "; fetch results, or send the scan again later")
                }
            }
        }
    }
}

/// A scan for the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The scan.
    pub id: ScanId,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Whether slices may be skipped.
    pub fast: bool,
    /// The scan's file.
    pub scan: PathBuf,
    /// Folder that results are to be put into, not there yet; it must appear whole.
    pub results: PathBuf,
}

/// What became of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being received, or was.
    Receiving {
        /// Bytes that are here.
        received: u64,
        /// Bytes of the scan.
        bytes: u64,
    },
    /// It is accepted and waits for the worker.
    Waiting {
        /// Scans that come first, the one in work included.
        ahead: usize,
        /// Attempts so far.
        attempts: u32,
    },
    /// The worker has it.
    Working {
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// It has ended.
    Ended(Outcome),
}

/// A scan in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The scan.
    pub id: ScanId,
    /// What became of it.
    pub state: State,
    /// What the box noted.
    pub record: Record,
    /// Destinations that have not confirmed; none before it has ended.
    pub missing: Vec<String>,
}
