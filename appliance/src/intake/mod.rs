//! How scans reach the box.

pub mod dicom;
pub mod folder;
mod turn;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::spool::{Begin, Incoming, Refusal, ScanId, Spool, SpoolError};
use crate::storage::Storage;

pub use turn::{IntakeError, Turn};

/// What became of a file that was to go into the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is in the queue.
    Taken(ScanId),
    /// The queue does not take it.
    Refused(Refusal),
    /// It changed, or could not be read to its end.
    Changed,
}

/// Puts a file on this machine into the queue.
///
/// # Errors
/// When the queue's disk refuses.
pub(crate) fn put<S: Storage>(
    spool: &Spool<S>,
    file: &mut File,
    file_name: &str,
    source: &str,
    fast: bool,
) -> Result<Put, SpoolError> {
    let mut hasher = blake3::Hasher::new();
    let hashed = file
        .rewind()
        .and_then(|()| hasher.update_reader(&mut *file).map(|_| ()))
        .and_then(|()| file.metadata());
    let Ok(found) = hashed else {
        return Ok(Put::Changed);
    };
    let incoming = Incoming {
        bytes: found.len(),
        blake3: hasher.finalize(),
        file_name: file_name.to_owned(),
        source: source.to_owned(),
        fast,
    };
    let (id, offset) = match spool.begin(&incoming)? {
        Begin::Accepted(id) => return Ok(Put::Taken(id)),
        Begin::Refused(refusal) => return Ok(Put::Refused(refusal)),
        Begin::Receive { id, offset } => (id, offset),
    };
    let sending = Sending { spool, id };
    let sent = send(spool, id, offset, file);
    drop(sending);
    match sent {
        Ok(true) => Ok(Put::Taken(id)),
        Ok(false)
        | Err(SpoolError::Hash(_) | SpoolError::TooMany { .. } | SpoolError::Short { .. }) => {
            Ok(Put::Changed)
        }
        Err(error) => Err(error),
    }
}

/// Somebody sends a scan, until this is dropped, in a panic too.
struct Sending<'a, S: Storage> {
    spool: &'a Spool<S>,
    id: ScanId,
}

impl<S: Storage> Drop for Sending<'_, S> {
    fn drop(&mut self) {
        self.spool.pause(self.id);
    }
}

/// Sends the bytes from `offset` on. `false` if the file cannot be read to its end.
fn send<S: Storage>(
    spool: &Spool<S>,
    id: ScanId,
    mut offset: u64,
    file: &mut File,
) -> Result<bool, SpoolError> {
    if file.seek(SeekFrom::Start(offset)).is_err() {
        return Ok(false);
    }
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => offset = spool.write(id, offset, &buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(false),
        }
    }
    spool.finish(id)?;
    Ok(true)
}
