//! Connecting and negotiating.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationRQ, Pdu, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason as Reason, UserVariableItem,
};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::{
    Association, Context, LINGER, LineError, OpenError, Proposed, Rejection, Remote, Tls,
    context_id, say,
};
use crate::pdu::{self, Fault};
use crate::syntax::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use crate::transport::Line;
use crate::uid::{is_title, is_uid};

/// As many odd numbers as a byte has.
const MAX_CONTEXTS: usize = 128;

pub(super) fn open(remote: &Remote, contexts: &[Context]) -> Result<Association, OpenError> {
    let request = request(remote, contexts)?;
    let socket = connect(remote)?;
    let deadline = Instant::now() + remote.negotiation;
    let mut line = match &remote.tls {
        None => Line::plain(socket, deadline),
        Some(tls) => secure(remote, tls, socket, deadline)?,
    };
    pdu::write(&mut line, &Pdu::AssociationRQ(request)).map_err(|error| lost(error.into()))?;
    let mut body = Vec::new();
    let kind = pdu::read(&mut line, remote.max_pdu, &mut body).map_err(lost)?;
    match kind {
        pdu::ASSOCIATE_AC => {}
        pdu::ASSOCIATE_RJ => {
            line.close(LINGER);
            return Err(OpenError::Rejected(Rejection::read(&body, remote)));
        }
        pdu::ABORT => return Err(LineError::Aborted.into()),
        _ => return Err(LineError::Broken(pdu::UNEXPECTED).into()),
    }
    match pdu::read_accept(&body) {
        Ok(answer) => Ok(Association {
            line: Some(line),
            silence: remote.silence,
            max_pdu: remote.max_pdu,
            peer_max: pdu::max_length(&answer.user_variables),
            contexts: contexts
                .iter()
                .enumerate()
                .map(|(number, context)| {
                    let id = context_id(number);
                    let answers = &answer.presentation_contexts;
                    let result = answers.iter().find(|result| result.id == id);
                    Proposed {
                        context: context.clone(),
                        refused: refused(context, result),
                    }
                })
                .collect(),
            message: 1,
        }),
        Err(what) => {
            say(line, dicom_ul::pdu::AbortRQSource::ServiceUser);
            Err(LineError::Broken(what).into())
        }
    }
}

fn lost(fault: Fault) -> OpenError {
    OpenError::Line(fault.into())
}

fn request(remote: &Remote, contexts: &[Context]) -> Result<AssociationRQ, OpenError> {
    for title in [&remote.called, &remote.calling] {
        if !is_title(title) {
            return Err(OpenError::Title(title.clone()));
        }
    }
    if !(1..=MAX_CONTEXTS).contains(&contexts.len()) {
        return Err(OpenError::Contexts(contexts.len()));
    }
    if !(4 << 10..=1 << 20).contains(&remote.max_pdu) {
        return Err(OpenError::MaxPdu(remote.max_pdu));
    }
    for context in contexts {
        for uid in [&context.sop_class_uid, &context.transfer_syntax] {
            if !is_uid(uid) {
                return Err(OpenError::Uid(uid.clone()));
            }
        }
    }
    let proposed = |(number, context): (usize, &Context)| PresentationContextProposed {
        id: context_id(number),
        abstract_syntax: context.sop_class_uid.clone(),
        transfer_syntaxes: vec![context.transfer_syntax.clone()],
    };
    Ok(AssociationRQ {
        protocol_version: 1,
        calling_ae_title: remote.calling.clone(),
        called_ae_title: remote.called.clone(),
        application_context_name: uids::DICOM_APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: contexts.iter().enumerate().map(proposed).collect(),
        user_variables: vec![
            UserVariableItem::MaxLength(remote.max_pdu),
            UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
            UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.to_owned()),
        ],
    })
}

/// Tries every address of the host until one answers.
fn connect(remote: &Remote) -> Result<Arc<TcpStream>, OpenError> {
    let unreachable = |source| OpenError::Connect {
        host: remote.host.clone(),
        port: remote.port,
        source,
    };
    let addresses = (remote.host.as_str(), remote.port)
        .to_socket_addrs()
        .map_err(|source| OpenError::Resolve {
            host: remote.host.clone(),
            source,
        })?;
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses {
        match TcpStream::connect_timeout(&address, remote.negotiation) {
            Ok(socket) => {
                socket.set_nodelay(true).map_err(unreachable)?;
                return Ok(Arc::new(socket));
            }
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

fn secure(
    remote: &Remote,
    tls: &Tls,
    socket: Arc<TcpStream>,
    deadline: Instant,
) -> Result<Line, OpenError> {
    let failed = |reason: String| OpenError::Tls {
        host: remote.host.clone(),
        port: remote.port,
        reason,
    };
    let name = tls.name.as_ref().unwrap_or(&remote.host).clone();
    let name = ServerName::try_from(name).map_err(|error| failed(error.to_string()))?;
    let connection = ClientConnection::new(Arc::clone(&tls.config), name)
        .map_err(|error| failed(error.to_string()))?;
    Line::client(connection, socket, deadline).map_err(|error| failed(error.to_string()))
}

/// Why a context cannot be used; none if it can.
fn refused(context: &Context, result: Option<&PresentationContextResult>) -> Option<&'static str> {
    let Some(result) = result else {
        return Some("the archive did not answer to it");
    };
    match result.reason {
        Reason::Acceptance if result.transfer_syntax == context.transfer_syntax => None,
        Reason::Acceptance => Some("the archive answered with another transfer syntax"),
        Reason::UserRejection => Some("the archive does not want it from us"),
        Reason::NoReason => Some("the archive gives no reason"),
        Reason::AbstractSyntaxNotSupported => Some("the archive does not store this SOP class"),
        Reason::TransferSyntaxesNotSupported => {
            Some("the archive does not take this transfer syntax")
        }
    }
}
