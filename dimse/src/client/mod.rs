//! A client for C-ECHO and C-STORE (Verification and Storage SCU).
//!
//! ```no_run
//! # fn send() -> Result<(), Box<dyn std::error::Error>> {
//! use nephrobox_dimse::client::{Association, Object, Remote};
//!
//! let remote = Remote::new("archive.example", 104, "ARCHIVE", "NEPHROBOX");
//! let mut object = Object::open("report.dcm".as_ref())?;
//! let mut association = Association::open(&remote, &[object.context()])?;
//! association.store(&mut object)?;
//! association.release()?;
//! # Ok(())
//! # }
//! ```

mod error;
mod object;
mod open;

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom_ul::pdu::{AbortRQServiceProviderReason, AbortRQSource, Pdu};

pub use error::{LineError, OpenError, Rejection, RequestError};
pub use object::Object;

use crate::command::{C_ECHO_RQ, C_STORE_RQ, Command, MAX_COMMAND, RESPONSE, SUCCESS};
use crate::pdu::{self, Fault, WriteFault};
use crate::syntax::{ECHOED, VERIFICATION};
use crate::transport::Line;

/// How long a peer is waited for when everything is said, and how long it may take to say why it left.
const LINGER: Duration = Duration::from_secs(2);
/// "Stored, but": coercion of elements, elements discarded, data set does not match its class.
const WARNINGS: std::ops::RangeInclusive<u16> = 0xb000..=0xbfff;

/// Where objects are sent. Begin with [`Remote::new`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Remote {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The title that it goes by.
    pub called: String,
    /// The title that we go by.
    pub calling: String,
    /// TLS; none: plain.
    pub tls: Option<Tls>,
    /// How long connecting to each address of the host, and TLS with the negotiation, may take each. To find the addresses takes as long as the
    /// system lets it.
    pub negotiation: Duration,
    /// How long the remote may take for each PDU that it is sent, and for its answer.
    pub silence: Duration,
    /// The greatest PDU that it may send, in bytes, 4,096 to 1,048,576.
    pub max_pdu: u32,
}

/// How a remote is known to be itself.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whom we trust, and who we are; see [`tls::client`](crate::tls::client).
    pub config: Arc<rustls::ClientConfig>,
    /// The name in its certificate; none: the host.
    pub name: Option<String>,
}

impl Remote {
    /// A remote without TLS, with 10 s to connect and to negotiate and 60 s for everything else.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        called: impl Into<String>,
        calling: impl Into<String>,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            called: called.into(),
            calling: calling.into(),
            tls: None,
            negotiation: Duration::from_secs(10),
            silence: Duration::from_mins(1),
            max_pdu: 128 << 10,
        }
    }
}

/// What an association is to be for: one class in one transfer syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The SOP class.
    pub sop_class_uid: String,
    /// The transfer syntax.
    pub transfer_syntax: String,
}

impl Context {
    /// For [`Association::echo`].
    pub fn echo() -> Self {
        Self {
            sop_class_uid: VERIFICATION.to_owned(),
            transfer_syntax: ECHOED[0].to_owned(),
        }
    }
}

/// An object has been stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The remote stored it, but has something to say: a status of B000 to BFFF and its comment.
    pub warning: Option<(u16, String)>,
    /// The size of the data set in bytes.
    pub bytes: u64,
}

/// A proposed context, and why it was refused if it was.
#[derive(Debug)]
struct Proposed {
    context: Context,
    refused: Option<&'static str>,
}

/// An open association. Dropped without [`Association::release`] it is aborted.
#[derive(Debug)]
pub struct Association {
    /// None once it is over.
    line: Option<Line>,
    silence: Duration,
    max_pdu: u32,
    peer_max: u32,
    contexts: Vec<Proposed>,
    message: u16,
}

impl Association {
    /// Connects, and negotiates the contexts, 1 to 128. That one of them is refused is no error before it is used.
    ///
    /// # Errors
    /// No connection, TLS that fails, or a remote that refuses.
    pub fn open(remote: &Remote, contexts: &[Context]) -> Result<Self, OpenError> {
        open::open(remote, contexts)
    }

    /// Whether the remote takes objects so.
    pub fn accepts(&self, context: &Context) -> bool {
        self.context(context).is_ok()
    }

    /// Whether it can still be used. After an error of the connection it cannot, after a status it can.
    pub const fn is_open(&self) -> bool {
        self.line.is_some()
    }

    /// Asks whether the remote is there.
    ///
    /// # Errors
    /// [`Context::echo`] was not proposed or not accepted; a status other than success; a connection that ended.
    pub fn echo(&mut self) -> Result<(), RequestError> {
        let id = self.context(&Context::echo())?;
        let request = Command {
            field: C_ECHO_RQ,
            class: Some(VERIFICATION.to_owned()),
            ..Command::default()
        };
        match self.ask::<&[u8]>(id, request, None)? {
            (SUCCESS, ..) => Ok(()),
            (status, comment, _) => Err(RequestError::Status { status, comment }),
        }
    }

    /// Sends an object in its own transfer syntax, as it is read.
    ///
    /// # Errors
    /// Its context was not proposed or not accepted; a status that is neither success nor a warning; a file that cannot be read to its
    /// end; a connection that ended. After the last two the association is over.
    pub fn store<R: Read>(&mut self, object: &mut Object<R>) -> Result<Stored, RequestError> {
        let id = self.context(&object.context())?;
        let request = Command {
            field: C_STORE_RQ,
            data: true,
            class: Some(object.sop_class_uid().to_owned()),
            instance: Some(object.sop_instance_uid().to_owned()),
            ..Command::default()
        };
        let (status, comment, bytes) = self.ask(id, request, Some(object.data()))?;
        let warning = match status {
            SUCCESS => None,
            status if WARNINGS.contains(&status) => Some((status, comment)),
            status => return Err(RequestError::Status { status, comment }),
        };
        Ok(Stored { warning, bytes })
    }

    /// Ends the association as it should end.
    ///
    /// # Errors
    /// The remote does not answer. What it has confirmed before is stored all the same.
    pub fn release(mut self) -> Result<(), LineError> {
        let Some(mut line) = self.line.take() else {
            return Err(LineError::Over);
        };
        line.set_deadline(Instant::now() + self.silence);
        pdu::write(&mut line, &Pdu::ReleaseRQ).map_err(Fault::from)?;
        let mut body = Vec::new();
        loop {
            match pdu::read(&mut line, self.max_pdu, &mut body)? {
                pdu::RELEASE_RP => break,
                // Both sides release at once (PS3.8 section 7.2.2.7).
                pdu::RELEASE_RQ => pdu::write(&mut line, &Pdu::ReleaseRP).map_err(Fault::from)?,
                pdu::ABORT => return Err(LineError::Aborted),
                pdu::P_DATA => {}
                _ => return Err(LineError::Broken(pdu::UNEXPECTED)),
            }
        }
        line.close(LINGER);
        Ok(())
    }

    /// The number of an accepted context.
    fn context(&self, wanted: &Context) -> Result<u8, RequestError> {
        let mut reason = "it was not proposed";
        for (number, proposed) in self.contexts.iter().enumerate() {
            match proposed.refused {
                _ if proposed.context != *wanted => {}
                None => return Ok(context_id(number)),
                Some(refused) => reason = refused,
            }
        }
        Err(RequestError::NotAccepted {
            context: wanted.clone(),
            reason,
        })
    }

    /// Sends a request and its data set, and waits for status and comment; with the size of the data set.
    fn ask<R: Read>(
        &mut self,
        context: u8,
        mut request: Command,
        data: Option<&mut R>,
    ) -> Result<(u16, String, u64), RequestError> {
        let mut line = self.line.take().ok_or(LineError::Over)?;
        request.message_id = Some(self.message);
        self.message = self.message.wrapping_add(1);
        let sent = self.send(&mut line, context, &request, data);
        let asked = sent.and_then(|bytes| Ok((self.answer(&mut line, context, &request)?, bytes)));
        match asked {
            Ok((response, bytes)) => {
                self.line = Some(line);
                let status = response.status.unwrap_or(SUCCESS);
                Ok((status, response.comment.unwrap_or_default(), bytes))
            }
            Err(error) => {
                abandon(line, &error);
                Err(error)
            }
        }
    }

    fn send<R: Read>(
        &self,
        line: &mut Line,
        context: u8,
        request: &Command,
        data: Option<&mut R>,
    ) -> Result<u64, RequestError> {
        let command = request.to_bytes();
        let mut write = |command, content: &mut dyn Read| {
            pdu::write_message(line, self.silence, context, command, content, self.peer_max)
        };
        let written = write(true, &mut command.as_slice())
            .and_then(|_| data.map_or(Ok(0), |data| write(false, data)));
        written.map_err(|fault| match fault {
            WriteFault::Content(error) => RequestError::Read(error),
            WriteFault::Line(error) => match Fault::from(error) {
                // A remote that aborts closes at once; its reason is still there to be read.
                Fault::Lost(error) => self.farewell(line).unwrap_or(LineError::Lost(error)).into(),
                fault => LineError::from(fault).into(),
            },
        })
    }

    /// What the remote said before it was gone.
    fn farewell(&self, line: &mut Line) -> Option<LineError> {
        line.set_deadline(Instant::now() + LINGER);
        let kind = pdu::read(line, self.max_pdu, &mut Vec::new());
        matches!(kind, Ok(pdu::ABORT)).then_some(LineError::Aborted)
    }

    fn answer(
        &self,
        line: &mut Line,
        context: u8,
        request: &Command,
    ) -> Result<Command, LineError> {
        line.set_deadline(Instant::now() + self.silence);
        let (mut body, mut command) = (Vec::new(), Vec::new());
        loop {
            match pdu::read(line, self.max_pdu, &mut body)? {
                pdu::P_DATA => {}
                pdu::ABORT => return Err(LineError::Aborted),
                pdu::RELEASE_RQ => {
                    pdu::write(line, &Pdu::ReleaseRP).map_err(Fault::from)?;
                    return Err(LineError::Released);
                }
                _ => return Err(LineError::Broken(pdu::UNEXPECTED)),
            }
            for value in pdu::values(&body) {
                let value = value.map_err(LineError::Broken)?;
                if value.context != context || !value.command {
                    return Err(LineError::Broken("not an answer to what was asked"));
                }
                command.extend(value.bytes);
                if command.len() > MAX_COMMAND {
                    return Err(LineError::Broken("an answer without end"));
                }
                if value.last {
                    let response = Command::read(&command).map_err(LineError::Broken)?;
                    return if response.field == request.field | RESPONSE
                        && response.responded_to == request.message_id
                        && response.status.is_some()
                        && !response.data
                    {
                        Ok(response)
                    } else {
                        Err(LineError::Broken("not an answer to what was asked"))
                    };
                }
            }
        }
    }
}

impl Drop for Association {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            say(line, AbortRQSource::ServiceUser);
        }
    }
}

/// The number of a proposed context: odd ones, from 1.
const fn context_id(number: usize) -> u8 {
    number as u8 * 2 + 1
}

/// Ends a connection that failed, and tells the remote why where it still listens.
fn abandon(line: Line, error: &RequestError) {
    match error {
        RequestError::Line(LineError::Broken(_)) => say(
            line,
            AbortRQSource::ServiceProvider(AbortRQServiceProviderReason::InvalidPduParameter),
        ),
        RequestError::Line(LineError::Late) | RequestError::Read(_) => {
            say(line, AbortRQSource::ServiceUser);
        }
        _ => {}
    }
}

fn say(mut line: Line, source: AbortRQSource) {
    line.set_deadline(Instant::now() + LINGER);
    // It listens, or it does not matter.
    let _ = pdu::write(&mut line, &Pdu::AbortRQ { source });
}
