//! What can go wrong with the queue.

use std::io;

use super::ScanId;

/// Why the queue could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The disk refused; what was accepted is still there, and the same call may be made again.
    #[error("{place}: the disk of the queue refuses: {source}; check the disk and its free space")]
    Storage {
        /// File or folder in the spool.
        place: String,
        /// What the disk says.
        source: io::Error,
    },
    /// A newer program wrote what lies on the disk.
    #[error("{place}: a newer nephrobox wrote this; install that version or empty the spool")]
    Newer {
        /// File in the spool.
        place: String,
    },
    /// No scan has this id (any more).
    #[error(
        "{0}: there is no such scan on the box; look for its id with nephroctl scans or on the page of studies"
    )]
    Unknown(ScanId),
    /// The scan is there, and the disk does not give it back.
    #[error(
        "{0}: the disk of the queue did not give this scan back when the box started; have the disk looked at and start the box again, or send the scan again"
    )]
    Unread(ScanId),
    /// The scan that was being received has given way to another, or was erased.
    #[error("{0}: the scan that was being received is not on the box any more; send it again")]
    Lost(ScanId),
    /// The scan is in another state than the call needs.
    #[error("{id}: the scan is {state}; ask for its state first")]
    State {
        /// The scan.
        id: ScanId,
        /// Where it is.
        state: &'static str,
    },
    /// Somebody is at the scan, so it cannot be erased.
    #[error("{id}: the scan is {state} and cannot be erased now; try again when that is over")]
    Held {
        /// The scan.
        id: ScanId,
        /// What is done with it.
        state: &'static str,
    },
    /// Bytes came out of order.
    #[error("{id}: bytes from {found} on came where {expected} is next; go on from there")]
    Order {
        /// The scan.
        id: ScanId,
        /// Offset at which to go on.
        expected: u64,
        /// Offset that was given.
        found: u64,
    },
    /// More bytes than announced.
    #[error("{id}: more than the {announced} bytes that were announced; announce the scan again")]
    TooMany {
        /// The scan.
        id: ScanId,
        /// Bytes that were announced.
        announced: u64,
    },
    /// Bytes are missing at the end.
    #[error("{id}: {received} of {announced} bytes are here; send the rest")]
    Short {
        /// The scan.
        id: ScanId,
        /// Bytes that are here.
        received: u64,
        /// Bytes that were announced.
        announced: u64,
    },
    /// The bytes are not those that were announced; they are gone.
    #[error("{0}: the bytes do not have the announced hash; send the scan again")]
    Hash(ScanId),
    /// The work left no whole result.
    #[error("{0}: there is no whole result to hand over; it is a fault in nephrobox")]
    NoResult(ScanId),
    /// Nobody configured a destination of this name.
    #[error("{0}: there is no destination of this name; see the box's configuration")]
    Destination(String),
    /// The box has numbered 99,999,999 scans.
    #[error("the queue has run out of numbers; empty the spool")]
    Numbers,
}

impl SpoolError {
    /// Puts the place beside what the disk says.
    pub(super) fn at(place: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let place = place.into();
        move |source| Self::Storage { place, source }
    }
}
