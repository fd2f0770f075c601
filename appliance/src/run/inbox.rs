//! The watched folder's thread.

use std::time::{Duration, Instant};

use super::core::{Core, FOLDER};
use crate::audit::{Deed, What, Who};
use crate::config::Folder;
use crate::failure::sentence;
use crate::fault::FaultCode;
use crate::intake::Turn;
use crate::intake::folder::{Seen, Watched};
use crate::logs::scan_span;

/// Between two looks.
const TURN: Duration = Duration::from_secs(1);
/// The thread.
pub(super) fn run(core: &Core, folder: &Folder) {
    let bell = &core.bells.inbox;
    let mut watched = None;
    while !bell.stops() {
        // Scans wait in the folder until there is a model for them; the page says that there is none.
        if has_model(core) {
            turn(core, folder, &mut watched);
        }
        bell.sleep(TURN);
    }
}

/// Whether a scan taken now will be worked on. A model that is still being got ready counts.
pub(crate) fn has_model(core: &Core) -> bool {
    matches!(core.slots.current(), Ok(Some(_)))
}

fn turn(core: &Core, folder: &Folder, watched: &mut Option<Watched>) {
    let watched = if let Some(watched) = watched {
        watched
    } else {
        let quiet = Duration::from_secs(folder.quiet_s);
        match Watched::open(&folder.watch, FOLDER, quiet, core.config.compute.fast) {
            Ok(opened) => watched.insert(opened),
            Err(error) => return failed(core, &error.to_string()),
        }
    };
    let Turn { news, trouble } = watched.turn(&core.spool, Instant::now());
    for seen in &news {
        tell(core, seen);
    }
    match trouble {
        None => core.clear(FaultCode::WatchedFolder),
        Some(error) => core.raise(FaultCode::WatchedFolder, sentence(&error)),
    }
}

fn tell(core: &Core, seen: &Seen) {
    match seen {
        &Seen::Taken(id) => {
            let _entered = scan_span(&id.to_string()).entered();
            tracing::info!(source = FOLDER, "received");
            core.clear(FaultCode::NoRoom);
            if let Ok(Some(listed)) = core.spool.listed(id) {
                let _ = core.ledger.settle(&*core.spool, &listed);
            }
            core.bells.worker();
            core.bells.upkeep();
        }
        Seen::Refused(_) => {
            // The reason may name the file, which the log may not.
            tracing::warn!(source = FOLDER, "refused; the reason is beside the file");
            core.shared.change(|state| state.counters.refused += 1);
            let _ = core.ledger.note(&Deed {
                who: Who::Source(FOLDER.into()),
                what: What::Refused,
                scan: None,
                hash: None,
            });
        }
        Seen::Waits(refusal) => core.raise(FaultCode::NoRoom, refusal.to_string()),
    }
}

fn failed(core: &Core, why: &str) {
    let message = format!(
        "the watched folder cannot be used ({why}); see that it is there and may be written"
    );
    core.raise(FaultCode::WatchedFolder, message);
}
