//! Scans: taken, asked for, confirmed.

use nephrobox_link::message::{Code, Hash, Refused, ScanState, Sentence, Word, cut};
use nephrobox_link::server::Announced;

use super::{BoxDesk, Incoming, refuse};
use crate::config::LINE;
use crate::fault::FaultCode;
use crate::logs::scan_span;
use crate::run::{Core, Transfer, has_model};
use crate::spool::{Begin, Incoming as Announcement, Outcome, ScanId, SpoolError, State};

/// A scan that comes in at a desk.
pub(super) struct Receiving {
    desk: u64,
    id: ScanId,
    blake3: Hash,
    bytes: u64,
    /// Hundredths that were shown last.
    shown: u64,
}

impl BoxDesk {
    pub(super) fn announce_scan(
        &mut self,
        name: &Word,
        fast: bool,
        bytes: u64,
        blake3: &Hash,
    ) -> Result<Announced, Refused> {
        let core = &self.core;
        if !has_model(core) {
            return Err(Refused::new(
                Code::NoModel,
                "the box has no model that it could use; install one with nephroctl flash",
            ));
        }
        let announcement = Announcement {
            bytes,
            blake3: blake3::Hash::from_bytes(*blake3),
            file_name: name.as_str().to_owned(),
            source: self.line.into(),
            fast: fast || core.config.compute.fast,
        };
        match core
            .spool
            .begin(&announcement)
            .map_err(|error| refuse::spool(&error))?
        {
            Begin::Receive { id, offset } => {
                core.clear(FaultCode::NoRoom);
                let receiving = Receiving {
                    desk: self.number,
                    id,
                    blake3: *blake3,
                    bytes,
                    shown: 0,
                };
                receiving.show(core, offset);
                self.incoming = Incoming::Scan(receiving);
                Ok(Announced::From(offset))
            }
            Begin::Accepted(id) => {
                core.clear(FaultCode::NoRoom);
                Ok(Announced::Have(cut(&id.to_string())))
            }
            Begin::Refused(refusal) => {
                let refused = refuse::admission(refusal);
                if refused.code == Code::Full {
                    core.raise(FaultCode::NoRoom, refusal.to_string());
                }
                Err(refused)
            }
        }
    }
}

impl Receiving {
    pub(super) fn blake3(&self) -> Hash {
        self.blake3
    }

    /// Takes bytes. Another desk may be receiving the same scan: what is here already is passed over.
    pub(super) fn take(
        &mut self,
        core: &Core,
        mut offset: u64,
        mut bytes: &[u8],
    ) -> Result<(), Refused> {
        while !bytes.is_empty() {
            match core.spool.write(self.id, offset, bytes) {
                Ok(_) => break,
                Err(SpoolError::Order { expected, .. }) if expected > offset => {
                    let known = (expected - offset).min(bytes.len() as u64);
                    bytes = &bytes[known as usize..];
                    offset += known;
                }
                // The other one was faster, and all of it is here.
                Err(SpoolError::State { .. }) if self.is_accepted(core) => break,
                Err(error) => return Err(refuse::spool(&error)),
            }
        }
        let done = offset + bytes.len() as u64;
        let hundredths = done * 100 / self.bytes.max(1);
        if self.shown != hundredths {
            self.shown = hundredths;
            self.show(core, done);
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, core: &Core) -> Result<Word, Refused> {
        let _entered = scan_span(&self.id.to_string()).entered();
        let id = core
            .spool
            .finish(self.id)
            .map_err(|error| refuse::spool(&error))?;
        // Only when the audit log has it too, the sender is told that the scan is accepted.
        if let Some(listed) = core
            .spool
            .listed(id)
            .map_err(|error| refuse::spool(&error))?
        {
            core.ledger
                .settle(&*core.spool, &listed)
                .map_err(|error| refuse::audit(&error))?;
            tracing::info!(
                source = listed.record.source,
                bytes = self.bytes,
                "received"
            );
        }
        core.doing.receiving(self.desk, None);
        core.bells.worker();
        core.bells.upkeep();
        Ok(cut(&id.to_string()))
    }

    pub(super) fn pause(self, core: &Core) {
        core.spool.pause(self.id);
        core.doing.receiving(self.desk, None);
    }

    fn show(&self, core: &Core, done: u64) {
        let transfer = Transfer {
            id: self.id,
            done,
            total: self.bytes,
        };
        core.doing.receiving(self.desk, Some(transfer));
    }

    fn is_accepted(&self, core: &Core) -> bool {
        let state = core.spool.state(self.id);
        matches!(state, Ok(Some(state)) if !matches!(state, State::Receiving { .. }))
    }
}

/// The scan that a word names.
pub(super) fn id(word: &str) -> Result<ScanId, Refused> {
    word.parse().map_err(refuse::scan_id)
}

/// What became of a scan.
pub(super) fn state(core: &Core, scan: &Word) -> Result<ScanState, Refused> {
    let id = id(scan)?;
    let state = core
        .spool
        .state(id)
        .map_err(|error| refuse::spool(&error))?;
    let state = state.ok_or_else(|| refuse::spool(&SpoolError::Unknown(id)))?;
    Ok(match state {
        State::Receiving { received, bytes } => ScanState::Receiving { received, bytes },
        State::Waiting { ahead, .. } => ScanState::Waiting {
            ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
        },
        State::Working { attempt } => {
            let work = core.doing.work().filter(|work| work.id == id);
            ScanState::Working {
                attempt,
                slice: work.map_or(0, |work| work.slice),
                slices: work.map_or(0, |work| work.slices),
            }
        }
        State::Ended(Outcome::Finished) => ScanState::Finished,
        State::Ended(Outcome::Refused { reason }) => ScanState::Refused {
            reason: sentence(&reason),
        },
        State::Ended(Outcome::SetAside { reason }) => ScanState::SetAside {
            reason: sentence(&reason),
        },
    })
}

fn sentence(reason: &str) -> Sentence {
    cut(reason)
}

/// A tool has the results. If nobody waits for that, there is nothing to note.
pub(super) fn confirm(core: &Core, scan: &Word) -> Result<(), Refused> {
    let id = id(scan)?;
    if !core.spool.settings().destinations.contains(LINE) {
        // An unknown scan, or one without results, is still told of.
        return core
            .spool
            .results_folder(id)
            .map(|_| ())
            .map_err(|error| refuse::spool(&error));
    }
    let missing = |listed: &crate::spool::Listed| listed.missing.iter().any(|name| name == LINE);
    let before = core
        .spool
        .listed(id)
        .map_err(|error| refuse::spool(&error))?;
    core.spool
        .confirm(id, LINE)
        .map_err(|error| refuse::spool(&error))?;
    if let Some(listed) = core
        .spool
        .listed(id)
        .map_err(|error| refuse::spool(&error))?
    {
        core.ledger
            .settle(&*core.spool, &listed)
            .map_err(|error| refuse::audit(&error))?;
    }
    if before.is_some_and(|listed| missing(&listed)) {
        core.shared.change(|state| state.counters.delivered += 1);
        core.clear(FaultCode::NoRoom); // these results may give way now
        core.bells.upkeep();
    }
    Ok(())
}

/// Erases a scan and all that was made of it.
pub(super) fn erase(core: &Core, line: &str, scan: &Word) -> Result<(), Refused> {
    let erased = core.erase_for(line, id(scan)?);
    erased.map_err(|error| refuse::erase(&error))?;
    core.bells.upkeep();
    Ok(())
}
