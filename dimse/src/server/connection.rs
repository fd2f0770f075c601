//! One connection from its first byte to its last.

use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom_ul::pdu::{AbortRQServiceProviderReason, Pdu};

use super::desk::{Denial, Desk, End, Event, Who};
use super::exchange::Exchange;
use super::negotiate::{self, Answer};
use super::settings::Settings;
use crate::pdu::{self, Fault};
use crate::transport::Line;

/// How long a peer is waited for at the end, at most.
const LINGER: Duration = Duration::from_secs(5);

/// Serves a connection, and says how it ended. `crowded`: only to refuse it.
pub(super) fn serve(
    settings: &Settings,
    desk: &dyn Desk,
    socket: &Arc<TcpStream>,
    address: IpAddr,
    crowded: bool,
) -> (Who, End) {
    let begin = Instant::now();
    let mut who = Who::at(address);
    let Some(mut line) = open(settings, socket, begin + settings.negotiation) else {
        desk.event(Event::Refused(who.clone(), Denial::Tls));
        return (who, End::Refused);
    };
    let end = match associate(settings, desk, &mut line, &mut who, crowded) {
        Ok(mut exchange) => exchange.run(&mut line, begin + settings.association),
        Err(end) => end,
    };
    if let Some(reason) = abort_reason(end) {
        line.set_deadline(Instant::now() + LINGER.min(settings.negotiation));
        // It is gone, or it is told.
        let _ = pdu::write(&mut line, &pdu::abort(reason));
    }
    line.close(LINGER.min(settings.negotiation));
    (who, end)
}

fn open(settings: &Settings, socket: &Arc<TcpStream>, deadline: Instant) -> Option<Line> {
    let socket = Arc::clone(socket);
    match &settings.tls {
        None => Some(Line::plain(socket, deadline)),
        Some(tls) => {
            let tls = rustls::ServerConnection::new(Arc::clone(tls)).ok()?;
            Line::server(tls, socket, deadline).ok()
        }
    }
}

/// What a peer is told when the connection ends so; nothing if it is gone, or has been told already.
fn abort_reason(end: End) -> Option<AbortRQServiceProviderReason> {
    use AbortRQServiceProviderReason::{
        InvalidPduParameter, ReasonNotSpecified, UnexpectedPdu, UnrecognizedPdu,
    };
    match end {
        End::Broken(pdu::UNEXPECTED) => Some(UnexpectedPdu),
        End::Broken(pdu::UNKNOWN) => Some(UnrecognizedPdu),
        End::Broken(_) => Some(InvalidPduParameter),
        End::Silent | End::Overlong | End::Stopped => Some(ReasonNotSpecified),
        End::Released | End::Aborted | End::Lost | End::Refused | End::Panicked => None,
    }
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Lost(_) => Self::Lost,
            Fault::Late => Self::Silent,
            Fault::Unknown => Self::Broken(pdu::UNKNOWN),
            Fault::Malformed(what) => Self::Broken(what),
        }
    }
}

/// Reads the association request and answers it.
fn associate<'a>(
    settings: &'a Settings,
    desk: &'a dyn Desk,
    line: &mut Line,
    who: &mut Who,
    crowded: bool,
) -> Result<Exchange<'a>, End> {
    let mut body = Vec::new();
    match pdu::read(line, settings.max_pdu, &mut body)? {
        pdu::ASSOCIATE_RQ => {}
        pdu::ABORT => return Err(End::Aborted),
        _ => return Err(End::Broken(pdu::UNEXPECTED)),
    }
    let request = pdu::read_request(&body).map_err(End::Broken)?;
    drop(body);
    who.title.clone_from(&request.calling_ae_title);
    let peer = negotiate::peer(settings, &who.title, who.address);
    who.name = peer.map(|peer| peer.name.clone());
    let called = request.called_ae_title.clone();
    let peer_max = pdu::max_length(&request.user_variables);
    match negotiate::answer(settings, request, peer.is_some(), crowded) {
        Answer::Reject(rejection, denial) => {
            desk.event(Event::Refused(who.clone(), denial));
            // It is gone, or it is told.
            let _ = pdu::write(line, &Pdu::AssociationRJ(rejection));
            Err(End::Refused)
        }
        Answer::Accept {
            answer,
            contexts,
            opened,
        } => {
            pdu::write(line, &Pdu::AssociationAC(answer)).map_err(Fault::from)?;
            desk.event(Event::Opened(who.clone(), opened));
            Ok(Exchange::new(
                settings,
                desk,
                who.clone(),
                called,
                contexts,
                peer_max,
            ))
        }
    }
}
