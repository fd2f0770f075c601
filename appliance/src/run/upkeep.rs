//! The thread that keeps the snapshot like the disk: queue, room, slots; and the audit log like the queue.

use std::time::Duration;

use super::core::Core;
use super::erase::{self, EraseError};
use super::ledger::held;
use crate::failure::sentence;
use crate::fault::FaultCode;
use crate::snapshot::Snapshot;
use crate::spool::{Listed, Outcome, SpoolError, State, Usage};

/// Between two looks if nobody rings.
const TURN: Duration = Duration::from_secs(1);
/// The thread.
pub(super) fn run(core: &Core) {
    let bell = &core.bells.upkeep;
    while !bell.stops() {
        turn(core);
        bell.sleep(TURN);
    }
}

/// Brings everything up to date once.
pub(super) fn turn(core: &Core) {
    // An audit log that cannot be written is shown as a fault of its own.
    let erased = match erase::turn(core) {
        Ok(()) | Err(EraseError::Audit(_)) => Ok(()),
        Err(EraseError::Spool(error)) => Err(error),
    };
    // What cannot be erased keeps nothing else from being shown and noted.
    let looked = queue(core);
    match erased.and(looked) {
        Ok(()) => core.clear(FaultCode::SpoolDisk),
        Err(error) => core.raise(FaultCode::SpoolDisk, sentence(&error)),
    }
    slots(core);
}

/// Shows the slots as they are.
pub(super) fn slots(core: &Core) {
    // A disk of the slots that refuses is told of by the thread of the models, which needs it.
    if let Ok(slots) = core.slots.snapshot() {
        change(core, |state| state.slots.clone_from(&slots));
    }
}

fn queue(core: &Core) -> Result<(), SpoolError> {
    let listing = core.spool.listing()?;
    for listed in &listing {
        // A log that cannot be written is shown as a fault; the next turn goes on.
        if core.ledger.settle(&*core.spool, listed).is_err() {
            break;
        }
    }
    core.ledger.forget(&held(&core.spool)?);
    let count = |is: fn(&State) -> bool| {
        let scans = listing.iter().filter(|listed: &&Listed| is(&listed.state));
        scans.count() as u64
    };
    let queued = count(|state| matches!(state, State::Waiting { .. }));
    let aside = count(|state| matches!(state, State::Ended(Outcome::SetAside { .. })));
    let usage = core.spool.usage()?;
    let before = core.shared.get().used_bytes;
    if usage.used_bytes < before {
        core.clear(FaultCode::NoRoom);
    }
    change(core, |state| {
        (state.queued, state.aside) = (queued, aside);
        (state.used_bytes, state.limit_bytes) = (usage.used_bytes, usage.quota_bytes);
    });
    room(core, usage);
    Ok(())
}

/// Says so if others have filled the disk.
fn room(core: &Core, usage: Usage) {
    let floor = core.config.spool.keep_free_bytes;
    if usage.free_bytes >= floor {
        core.clear(FaultCode::DiskFull);
        return;
    }
    let message = format!(
        "the disk is full: less than the {floor} bytes of spool.keep_free_bytes are free; remove what does not belong on it"
    );
    core.raise(FaultCode::DiskFull, message);
}

/// Changes the snapshot if that makes a difference, so that nobody is woken for nothing.
fn change(core: &Core, change: impl Fn(&mut Snapshot)) {
    let before = core.shared.get();
    let mut after = before.clone();
    change(&mut after);
    if before != after {
        core.shared.change(change);
    }
}
