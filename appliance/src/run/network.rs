//! The DICOM server: slices from scanners and archives go to the gatherer.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use nephrobox_dimse::server::{
    self, Desk, Event, Offer, Peer, Refusal, Server, Settings, Sink, StartError,
};
use nephrobox_dimse::tls;

use super::core::Core;
use crate::audit::{Deed, What, Who};
use crate::config::Dicom;
use crate::failure::{Exit, Failure, told};
use crate::fault::FaultCode;
use crate::intake::dicom::{Part, Refused, source};

/// How long an association may last in all: the largest series over a slow line.
const ASSOCIATION: Duration = Duration::from_hours(1);

/// Listens and serves until the server is dropped.
///
/// # Errors
/// An address that is taken, certificates that cannot be used.
pub(super) fn start(core: &Arc<Core>, dicom: &Dicom) -> Result<Server, Failure> {
    let mut settings = Settings::new(&dicom.ae_title);
    settings.peers = dicom.peers.iter().map(peer).collect();
    settings.max_associations = dicom.max_associations;
    settings.max_pdu = dicom.max_pdu_bytes;
    settings.max_object_bytes = dicom.max_object_bytes;
    settings.silence = Duration::from_secs(dicom.timeout_s);
    settings.association = ASSOCIATION;
    if let Some(files) = &dicom.tls {
        let own = identity(files);
        let config = tls::server(&own, files.client_ca.as_deref()).map_err(|error| {
            let remedy = "correct the files that section dicom names";
            told(Exit::Service, &error, files.certificate.display(), remedy)
        })?;
        settings.tls = Some(config);
    }
    let taken = |error: &dyn std::error::Error| {
        let remedy = "see which program has this port, or change dicom.listen in the configuration";
        told(Exit::Service, error, dicom.listen, remedy)
    };
    let listener = TcpListener::bind(dicom.listen).map_err(|error| taken(&error))?;
    let desk = Arc::new(Reception(Arc::clone(core)));
    server::Server::start(listener, settings, desk).map_err(|error: StartError| taken(&error))
}

/// Certificate and key as the network's side takes them.
pub(super) fn identity(files: &crate::config::Tls) -> tls::Identity {
    tls::Identity {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    }
}

fn peer(peer: &crate::config::Peer) -> Peer {
    Peer {
        name: peer.ae_title.clone(),
        ae_title: peer.ae_title.clone(),
        address: peer.address,
    }
}

/// Takes objects for the gatherer and tells what happens.
struct Reception(Arc<Core>);

impl Desk for Reception {
    fn begin(&self, offer: &Offer) -> Result<Box<dyn Sink>, Refusal> {
        let Some(gatherer) = &self.0.gatherer else {
            return Err(Refusal::OutOfResources("the box takes no series".into()));
        };
        let part = gatherer.begin().map_err(|refused| refusal(&refused))?;
        Ok(Box::new(Arriving {
            core: Arc::clone(&self.0),
            peer: offer.peer.clone(),
            part,
        }))
    }

    fn event(&self, event: Event) {
        match event {
            Event::Opened(who, opened) => {
                tracing::debug!(
                    peer = %who,
                    storage = opened.storage,
                    not_allowed = opened.not_allowed,
                    not_supported = opened.not_supported,
                    "a DICOM association"
                );
                self.0.clear(FaultCode::DicomDeaf);
                if opened.not_allowed > 0 {
                    self.turned_away("not in dicom.peers", &who);
                }
            }
            Event::Refused(who, denial) => self.turned_away(&denial.to_string(), &who),
            Event::Declined(who, status, why) => {
                tracing::warn!(peer = %who, status, why, "a DICOM request was declined");
            }
            Event::Echoed(who) => tracing::debug!(peer = %who, "echo"),
            Event::Stored(who, bytes) => tracing::trace!(peer = %who, bytes, "an object is here"),
            Event::Ended(who, end) => {
                tracing::debug!(peer = %who, %end, "a DICOM connection ended");
            }
            Event::Deaf(kind) => {
                let message = format!("no DICOM connection can be taken: {kind}");
                self.0.raise(FaultCode::DicomDeaf, message);
            }
            _ => {}
        }
    }
}

impl Reception {
    fn turned_away(&self, why: &str, who: &server::Who) {
        tracing::warn!(peer = %who, why, "a DICOM association was not taken");
        self.0.shared.change(|state| state.counters.refused += 1);
    }
}

/// An object that comes in.
struct Arriving {
    core: Arc<Core>,
    peer: String,
    part: Part,
}

impl Sink for Arriving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.part.write_all(bytes)
    }

    fn finish(self: Box<Self>) -> Result<(), Refusal> {
        let Self { core, peer, part } = *self;
        let Some(gatherer) = &core.gatherer else {
            return Err(Refusal::OutOfResources("the box takes no series".into()));
        };
        gatherer.take(part, &peer).map_err(|refused| {
            // Why may quote the object, which the log may not; the peer hears it.
            tracing::warn!(source = source(&peer), "an object was not taken");
            let _ = core.ledger.note(&Deed {
                who: Who::Source(source(&peer)),
                what: What::Refused,
                scan: None,
                hash: None,
            });
            refusal(&refused)
        })
    }
}

/// What the peer hears, in the 64 characters that there are.
fn refusal(refused: &Refused) -> Refusal {
    match refused {
        Refused::NoRoom | Refused::Disk(_) => {
            Refusal::OutOfResources("no room now; send again later".into())
        }
        Refused::TooMany => Refusal::OutOfResources("too many objects in the series".into()),
        Refused::Unreadable(_) => Refusal::NotUnderstood("the object cannot be read".into()),
    }
}
