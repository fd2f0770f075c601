//! The outbox's thread: results to their destinations.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, FOLDER};
use super::inbox::NO_ROOM;
use super::network::identity;
use crate::audit::{Deed, What, Who};
use crate::config::{self, AE_TITLE, LINE, Recipient};
use crate::failure::sentence;
use crate::intake::dicom as gather;
use crate::logs::scan_span;
use crate::outbox::{
    ArchiveDestination, Delivery, Destination, FolderDestination, LineDestination, Outbox, Results,
    Sent, StowDestination,
};
use crate::output::REPORT_JSON;
use crate::spool::{FAILURE_JSON, ScanId, SpoolError};
use crate::storage::Folder;

/// Between two looks if nobody rings.
const TURN: Duration = Duration::from_secs(1);
/// Code of the fault while a destination takes nothing.
const FAULT: &str = "destination_failed";

/// The thread.
pub(super) fn run(core: &Core) {
    let bell = &core.bells.outbox;
    let mut outbox = match Outbox::new(Arc::clone(&core.spool), destinations(core)) {
        Ok(outbox) => outbox,
        // The queue has its names from the same configuration.
        Err(error) => return tracing::error!(error = sentence(&error), "there is no outbox"),
    };
    while !bell.stops() {
        turn(core, &mut outbox);
        bell.sleep(TURN);
    }
}

fn destinations(core: &Core) -> Vec<Box<dyn Destination>> {
    let one = |recipient: Recipient<'_>| -> Box<dyn Destination> {
        let name = recipient.name();
        match recipient {
            Recipient::Destination(config::Destination::Folder { path }) => Box::new(FolderAt {
                name,
                path: path.clone(),
            }),
            Recipient::Destination(config::Destination::Line) => {
                Box::new(LineDestination::new(name))
            }
            Recipient::Archive(archive) => {
                let dicom = core.config.dicom.as_ref();
                let calling = dicom.map_or(AE_TITLE, |dicom| &dicom.ae_title);
                let own = dicom.and_then(|dicom| dicom.tls.as_ref()).map(identity);
                Box::new(ArchiveDestination::new(name, archive, calling, own))
            }
            Recipient::DicomWeb(web) => Box::new(StowDestination::new(name, web)),
        }
    };
    core.config.recipients().map(one).collect()
}

/// A folder that need not be there yet, for instance on another machine: it is looked for at every delivery.
struct FolderAt {
    name: String,
    path: PathBuf,
}

impl Destination for FolderAt {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&self, id: ScanId, results: &Results<'_>) -> io::Result<Delivery> {
        let folder = Folder::open(&self.path)?;
        FolderDestination::new(self.name.as_str(), folder).deliver(id, results)
    }
}

fn turn(core: &Core, outbox: &mut Outbox<Folder>) {
    // What had come before silent mode waits for its end.
    if core.config.identity.silent {
        return;
    }
    let turned = without_a_line(core).and_then(|()| outbox.turn(Instant::now()));
    let sent = match turned {
        Ok(sent) => sent,
        Err(error) => {
            tracing::warn!(error = sentence(&error), "results cannot be delivered now");
            return;
        }
    };
    for one in sent {
        match one {
            Sent::Confirmed { id, destination } => {
                let _entered = scan_span(&id.to_string()).entered();
                tracing::info!(destination, "delivered");
                core.shared.change(|state| state.counters.delivered += 1);
                core.clear(FAULT);
                core.clear(NO_ROOM); // these results may give way now
                // If one of these cannot be written that is shown, and the confirmation is written later.
                let _ = core.ledger.note(&sent_deed(core, id, destination));
                if let Ok(Some(listed)) = core.spool.listed(id) {
                    let _ = core.ledger.settle(&*core.spool, &listed);
                }
                core.bells.upkeep();
            }
            Sent::Failed {
                id,
                destination,
                reason,
                again_in,
            } => {
                let _entered = scan_span(&id.to_string()).entered();
                let again_s = again_in.as_secs();
                tracing::warn!(destination, reason, again_s, "not delivered");
                failed(core, &destination, &reason);
            }
        }
    }
}

/// That results were handed to a destination.
pub(crate) fn sent_deed(core: &Core, id: ScanId, destination: String) -> Deed {
    let file = |name| super::results::file(&core.spool, id, name).ok().flatten();
    let report = file(REPORT_JSON).or_else(|| file(FAILURE_JSON));
    Deed {
        who: Who::Destination(destination),
        what: What::Sent,
        scan: Some(id),
        hash: report.map(|report| blake3::hash(&report)),
    }
}

/// A scan from the watched folder or from an archive came over no line, so nobody on one waits for its results.
fn without_a_line(core: &Core) -> Result<(), SpoolError> {
    for listed in core.spool.listing()? {
        let waits = listed.missing.iter().any(|name| name == LINE);
        let source = &listed.record.source;
        if waits && (source == FOLDER || gather::is_source(source)) {
            core.spool.confirm(listed.id, LINE)?;
        }
    }
    Ok(())
}

fn failed(core: &Core, destination: &str, why: &str) {
    let message = format!(
        "{destination} does not take results ({why}); see that the disk, share or archive is there and has room"
    );
    core.raise(FAULT, message, false);
}
