//! Packages: announced, received, written. Their trial is begun here and runs elsewhere.

use nephrobox_link::message::{Code, Hash, Object, Refused, Word, cut};
use nephrobox_link::server::Announced;
use nephrobox_shared::package::{KeyId, MAJOR};

use super::{BoxDesk, Incoming, refuse};
use crate::audit::{Deed, What, Who};
use crate::run::Core;
use crate::slots::{Announced as Announcement, Begin, Identity, Letter};

/// A package that comes in at a desk.
pub(super) struct Receiving {
    desk: u64,
    hash: Hash,
    blake3: Hash,
    key: KeyId,
    version: u64,
    bytes: u64,
    /// Hundredths that were shown last.
    shown: u64,
    /// Where it lies, once it is written.
    written: Option<Letter>,
    /// Whether the audit log has it.
    noted: bool,
}

impl BoxDesk {
    pub(super) fn announce_package(
        &mut self,
        object: &Object,
        bytes: u64,
        blake3: &Hash,
    ) -> Result<Announced, Refused> {
        let Object::Package {
            hash,
            version,
            key,
            permit,
            dry_run,
        } = object
        else {
            return Err(refuse::nothing_announced());
        };
        let core = &self.core;
        let announcement = Announcement {
            package: Identity {
                // A name refuses nothing; it is read from the package once that is here.
                name: String::new(),
                version: *version,
                hash: blake3::Hash::from_bytes(*hash),
                key: Some(KeyId(*key)),
                bytes,
            },
            blake3: blake3::Hash::from_bytes(*blake3),
            // So is the format: a tool that speaks this protocol has read the package before.
            format: MAJOR,
            permit: permit.as_ref().map(|permit| permit.to_vec()),
        };
        if *dry_run {
            let would = core.slots.consider(&announcement);
            return match would.map_err(|error| refuse::slots(&error))? {
                Begin::Receive { slot, .. } | Begin::Have { slot, .. } => {
                    Ok(Announced::Have(cut(&slot.to_string())))
                }
                Begin::Refused(refusal) => Err(refuse::package(&refusal)),
            };
        }
        if !core.take_flashing(self.number) {
            return Err(Refused::new(
                Code::Busy,
                "another client is sending a package; wait until it has ended and flash again",
            ));
        }
        let begun = core
            .slots
            .begin(&announcement)
            .map_err(|error| refuse::slots(&error));
        let answer = match begun {
            Ok(Begin::Receive { offset, .. }) => {
                let mut receiving = Receiving {
                    desk: self.number,
                    hash: *hash,
                    blake3: *blake3,
                    key: KeyId(*key),
                    version: *version,
                    bytes,
                    shown: 0,
                    written: None,
                    noted: false,
                };
                receiving.show(core, offset);
                self.incoming = Incoming::Package(receiving);
                return Ok(Announced::From(offset));
            }
            Ok(Begin::Have { slot, in_use }) => {
                if !in_use {
                    core.bells.models();
                }
                Ok(Announced::Have(cut(&slot.to_string())))
            }
            Ok(Begin::Refused(refusal)) => Err(refuse::package(&refusal)),
            Err(refused) => Err(refused),
        };
        core.leave_flashing(self.number);
        answer
    }
}

impl Receiving {
    pub(super) fn blake3(&self) -> Hash {
        self.blake3
    }

    pub(super) fn take(&mut self, core: &Core, offset: u64, bytes: &[u8]) -> Result<(), Refused> {
        let written = core.slots.write(offset, bytes);
        let done = written.map_err(|error| refuse::slots(&error))?;
        let hundredths = done * 100 / self.bytes.max(1);
        if self.shown != hundredths {
            self.show(core, done);
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, core: &Core) -> Result<Word, Refused> {
        let slot = if let Some(slot) = self.written {
            slot
        } else {
            self.say(core, "checking");
            let finished = core.slots.finish();
            let slot = finished.map_err(|error| refuse::slots(&error))?;
            let (version, key) = (self.version, self.key);
            tracing::info!(version, %key, %slot, "a package was written");
            *self.written.insert(slot)
        };
        // The trial does not begin before the audit log says who sent the package; a start after a cut begins it in any case.
        if !self.noted {
            let deed = Deed {
                who: Who::Key(self.key.to_string()),
                what: What::Flashed,
                scan: None,
                hash: Some(blake3::Hash::from_bytes(self.hash)),
            };
            core.ledger
                .note(&deed)
                .map_err(|error| refuse::audit(&error))?;
            self.noted = true;
        }
        core.leave_flashing(self.desk);
        core.bells.models();
        core.bells.upkeep();
        Ok(cut(&slot.to_string()))
    }

    pub(super) fn pause(self, core: &Core) {
        core.leave_flashing(self.desk);
    }

    fn show(&mut self, core: &Core, done: u64) {
        self.shown = done * 100 / self.bytes.max(1);
        let step = format!("receiving, {} %", self.shown);
        self.say(core, &step);
    }

    fn say(&self, core: &Core, step: &str) {
        let version = self.version;
        core.doing
            .package(Some(format!("version {version}: {step}")));
    }
}
