//! The box's side of a line: what a tool sends, asks and fetches goes through here.
//!
//! Every line has a desk of its own, so that objects of two clients do not mix. Scans of several clients come in side by side;
//! the same scan from two of them is taken once. One package comes in at a time.

mod bench;
mod items;
mod package;
mod refuse;
mod scan;
mod slots;

use std::sync::Arc;

use nephrobox_link::message::{Code, Hash, Item, Object, Refused, Reply, Request, Word};
use nephrobox_link::server::{Announced, Desk};

use crate::audit::{Deed, What, Who};
use crate::run::Core;

/// Answers on one line.
pub struct BoxDesk {
    core: Arc<Core>,
    /// The line's name in records and in the audit log.
    line: &'static str,
    /// Tells this desk from the others.
    number: u64,
    incoming: Incoming,
    /// The object that was refused last, so that a client that tries again and again does not fill the audit log.
    refused: Option<Hash>,
}

/// The object that is on its way.
enum Incoming {
    Nothing,
    Scan(scan::Receiving),
    Package(package::Receiving),
}

impl BoxDesk {
    /// A desk for a line, by the line's name in records.
    #[must_use]
    pub fn new(core: Arc<Core>, line: &'static str) -> Self {
        Self {
            number: core.next_desk(),
            core,
            line,
            incoming: Incoming::Nothing,
            refused: None,
        }
    }

    /// Notes that an object was not taken.
    fn turned_away(&mut self, blake3: &Hash, refused: Refused) -> Refused {
        // Who comes back later for want of time or room is not told of each time.
        if self.refused.replace(*blake3) != Some(*blake3) {
            let code = refused.code.name();
            tracing::warn!(line = self.line, code, words = %refused.words, "not taken");
            self.core.shared.change(|state| state.counters.refused += 1);
            // A log that cannot be written is shown as a fault, and nothing was taken.
            let _ = self.core.ledger.note(&Deed {
                who: Who::Source(self.line.into()),
                what: What::Refused,
                scan: None,
                hash: Some(blake3::Hash::from_bytes(*blake3)),
            });
        }
        refused
    }
}

impl Desk for BoxDesk {
    fn put(&mut self, object: &Object, bytes: u64, blake3: &Hash) -> Result<Announced, Refused> {
        self.pause();
        let answer = match object {
            Object::Scan { name, fast } => self.announce_scan(name, *fast, bytes, blake3),
            Object::Package { .. } => self.announce_package(object, bytes, blake3),
        };
        match answer {
            Ok(announced) => {
                self.refused = None;
                Ok(announced)
            }
            Err(refused) if refused.code == Code::Busy => Err(refused),
            Err(refused) => Err(self.turned_away(blake3, refused)),
        }
    }

    fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refused> {
        match &mut self.incoming {
            Incoming::Scan(receiving) => receiving.take(&self.core, offset, bytes),
            Incoming::Package(receiving) => receiving.take(&self.core, offset, bytes),
            Incoming::Nothing => Err(refuse::nothing_announced()),
        }
    }

    fn finish(&mut self) -> Result<Word, Refused> {
        let (finished, blake3) = match &mut self.incoming {
            Incoming::Scan(receiving) => (receiving.finish(&self.core), receiving.blake3()),
            Incoming::Package(receiving) => (receiving.finish(&self.core), receiving.blake3()),
            Incoming::Nothing => return Err(refuse::nothing_announced()),
        };
        finished.map_err(|refused| match refused.code {
            // The bytes are gone: this object is not taken.
            Code::Hash | Code::Signature | Code::Version | Code::Incompatible | Code::Package => {
                self.pause();
                self.turned_away(&blake3, refused)
            }
            _ => refused,
        })
    }

    fn pause(&mut self) {
        match std::mem::replace(&mut self.incoming, Incoming::Nothing) {
            Incoming::Scan(receiving) => receiving.pause(&self.core),
            Incoming::Package(receiving) => receiving.pause(&self.core),
            Incoming::Nothing => {}
        }
    }

    fn get(&mut self, item: &Item) -> Result<Vec<u8>, Refused> {
        items::get(&self.core, self.line, item)
    }

    fn answer(&mut self, request: &Request) -> Result<Reply, Refused> {
        match request {
            Request::Scan { scan } => scan::state(&self.core, scan).map(Reply::Scan),
            Request::Confirm { scan } => scan::confirm(&self.core, scan).map(|()| Reply::Done),
            Request::Slots => slots::state(&self.core).map(Reply::Slots),
            Request::Erase { scan } => {
                scan::erase(&self.core, self.line, scan).map(|()| Reply::Done)
            }
            Request::Rollback { from } => {
                slots::rollback(&self.core, self.line, from).map(|()| Reply::Done)
            }
            // These the line answers itself.
            Request::Put { .. }
            | Request::Finish { .. }
            | Request::Get { .. }
            | Request::Baud { .. } => Err(Refused::new(
                Code::BadRequest,
                "the request moves bytes, and the line answers it; update the program that asks",
            )),
        }
    }
}

impl Drop for BoxDesk {
    fn drop(&mut self) {
        self.pause();
    }
}
