//! The thread that puts series into the queue once they are whole.

use std::time::{Duration, Instant};

use super::core::Core;
use super::inbox::has_model;
use crate::audit::{Deed, What, Who};
use crate::config::{Config, Dicom};
use crate::failure::sentence;
use crate::fault::FaultCode;
use crate::intake::Turn;
use crate::intake::dicom::{Gathered, Gatherer, MOST_IN_ALL, Settings, source};
use crate::logs::scan_span;

/// Between two looks.
const TURN: Duration = Duration::from_secs(1);
/// What may lie there unasked for, as a share of the queue.
const SHARE: u64 = 4;

/// What follows from a configuration.
pub(super) fn settings(config: &Config, dicom: &Dicom) -> Settings {
    Settings {
        quiet: Duration::from_secs(dicom.quiet_s),
        most_bytes: config.spool.max_bytes / SHARE,
        most_objects: MOST_IN_ALL,
        floor_bytes: config.spool.keep_free_bytes,
        fast: config.compute.fast,
    }
}

/// The thread.
pub(super) fn run(core: &Core, gatherer: &Gatherer) {
    let bell = &core.bells.gather;
    while !bell.stops() {
        // Series wait here until there is a model for them; the page says that there is none.
        if has_model(core) {
            turn(core, gatherer);
        }
        let (series, objects) = gatherer.arriving();
        let before = core.shared.get();
        if (before.arriving_series, before.arriving_slices) != (series, objects) {
            core.shared.change(|state| {
                (state.arriving_series, state.arriving_slices) = (series, objects);
            });
        }
        bell.sleep(TURN);
    }
}

fn turn(core: &Core, gatherer: &Gatherer) {
    let Turn { news, trouble } = gatherer.turn(&core.spool, Instant::now());
    for one in news {
        tell(core, one);
    }
    match trouble {
        None => core.clear(FaultCode::DicomDisk),
        Some(error) => core.raise(FaultCode::DicomDisk, sentence(&error)),
    }
}

fn tell(core: &Core, gathered: Gathered) {
    match gathered {
        Gathered::Taken { id, peer, objects } => {
            let _entered = scan_span(&id.to_string()).entered();
            tracing::info!(source = source(&peer), objects, "received");
            core.clear(FaultCode::NoRoom);
            if let Ok(Some(listed)) = core.spool.listed(id) {
                // A log that cannot be written is shown as a fault, and written later.
                let _ = core.ledger.settle(&*core.spool, &listed);
            }
            core.bells.worker();
            core.bells.upkeep();
        }
        Gathered::Refused { peer, reason } => {
            tracing::warn!(source = source(&peer), reason, "a series is not taken");
            core.shared.change(|state| state.counters.refused += 1);
            let _ = core.ledger.note(&Deed {
                who: Who::Source(source(&peer)),
                what: What::Refused,
                scan: None,
                hash: None,
            });
        }
        Gathered::NoScan { peer } => {
            tracing::info!(
                source = source(&peer),
                "a series without slices, such as localisers, was left out"
            );
        }
        Gathered::Waits(refusal) => core.raise(FaultCode::NoRoom, refusal.to_string()),
    }
}
