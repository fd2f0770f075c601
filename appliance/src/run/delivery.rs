//! The outbox's thread: results to their destinations.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, FOLDER};
use super::network::identity;
use crate::audit::{Deed, What, Who};
use crate::config::{self, AE_TITLE, LINE, Recipient};
use crate::failure::sentence;
use crate::fault::FaultCode;
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
/// The thread.
pub(super) fn run(core: &Core) {
    let bell = &core.bells.outbox;
    let mut outbox = match Outbox::new(Arc::clone(&core.spool), destinations(core)) {
        Ok(outbox) => outbox,
        // The queue has its names from the same configuration.
        Err(error) => return tracing::error!(error = sentence(&error), "there is no outbox"),
    };
    let mut failing = Failing::default();
    while !bell.stops() {
        turn(core, &mut outbox, &mut failing);
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

/// Destinations that do not take results, by name, and why. One that works says nothing of the others.
#[derive(Debug, Default)]
struct Failing(BTreeMap<String, String>);

impl Failing {
    /// Takes in what happened, in the order in which it did.
    fn hear(&mut self, sent: &Sent) {
        match sent {
            Sent::Confirmed { destination, .. } => drop(self.0.remove(destination)),
            Sent::Failed {
                destination,
                reason,
                ..
            } => drop(self.0.insert(destination.clone(), reason.clone())),
        }
    }

    /// Forgets those that wait for nothing any more, since what they did not take was erased.
    fn forget(&mut self, waits: impl Fn(&str) -> bool) {
        self.0.retain(|destination, _| waits(destination));
    }

    /// What to say of them; `None` if all work.
    fn message(&self) -> Option<String> {
        let each = self
            .0
            .iter()
            .map(|(name, why)| format!("{name} does not take results ({why})"));
        let all = each.collect::<Vec<_>>().join(", ");
        let remedy = "see that the disk, share or archive is there and has room";
        (!all.is_empty()).then(|| format!("{all}; {remedy}"))
    }
}

fn turn(core: &Core, outbox: &mut Outbox<Folder>, failing: &mut Failing) {
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
        failing.hear(&one);
        match one {
            Sent::Confirmed { id, destination } => {
                let _entered = scan_span(&id.to_string()).entered();
                tracing::info!(destination, "delivered");
                core.shared.change(|state| state.counters.delivered += 1);
                core.clear(FaultCode::NoRoom); // these results may give way now
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
            }
        }
    }
    tell(core, failing);
}

/// Shows which destinations fail, as long as one does.
fn tell(core: &Core, failing: &mut Failing) {
    // A disk that refuses to be listed is told of by the thread that keeps the snapshot.
    if !failing.0.is_empty()
        && let Ok(listing) = core.spool.listing()
    {
        failing.forget(|name| {
            listing
                .iter()
                .any(|listed| listed.missing.iter().any(|one| one == name))
        });
    }
    match failing.message() {
        Some(message) => core.raise(FaultCode::DestinationFailed, message),
        None => core.clear(FaultCode::DestinationFailed),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn confirmed(destination: &str) -> Sent {
        Sent::Confirmed {
            id: "00000002-00000000".parse().expect("an id"),
            destination: destination.into(),
        }
    }

    fn failed(destination: &str, reason: &str) -> Sent {
        Sent::Failed {
            id: "00000001-00000000".parse().expect("an id"),
            destination: destination.into(),
            reason: reason.into(),
            again_in: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_delivery_takes_back_only_what_was_said_of_its_own_destination() {
        let mut failing = Failing::default();
        assert_eq!(failing.message(), None);
        failing.hear(&failed("/srv/share", "no such folder"));
        failing.hear(&failed("pacs", "refused"));
        failing.hear(&confirmed("/mnt/usb"));
        assert_eq!(
            failing.message().as_deref(),
            Some(
                "/srv/share does not take results (no such folder), pacs does not take results (refused); \
                 see that the disk, share or archive is there and has room"
            )
        );
        failing.hear(&confirmed("/srv/share"));
        assert_eq!(
            failing.message().as_deref(),
            Some(
                "pacs does not take results (refused); see that the disk, share or archive is there and has room"
            )
        );
        failing.hear(&confirmed("pacs"));
        assert_eq!(failing.message(), None);
    }

    #[test]
    fn a_destination_whose_failing_scan_is_erased_fails_no_more() {
        let mut failing = Failing::default();
        failing.hear(&failed("/srv/share", "no such folder"));
        failing.hear(&failed("pacs", "refused"));
        failing.forget(|name| name == "pacs");
        let message = failing.message().expect("one fails");
        assert!(message.starts_with("pacs does not take"), "{message}");
        failing.forget(|_| false);
        assert_eq!(failing.message(), None);
    }
}
