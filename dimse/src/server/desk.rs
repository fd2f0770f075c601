//! What a server asks and tells the program that it is part of.

use std::fmt;
use std::io;
use std::net::IpAddr;

/// The program behind a server. Called from the threads of all associations.
pub trait Desk: Send + Sync {
    /// A peer wants to store an object; its bytes follow.
    ///
    /// # Errors
    /// The object is not wanted. Its bytes are read away, and the peer is told.
    fn begin(&self, offer: &Offer) -> Result<Box<dyn Sink>, Refusal>;

    /// Something happened, for logs, metrics and the audit. No event holds anything of a data set, nor a UID.
    fn event(&self, event: Event);
}

/// Where one object goes: a complete part 10 file, piece by piece. Dropped without [`Sink::finish`] it is abandoned.
pub trait Sink {
    /// The next bytes of the file.
    ///
    /// # Errors
    /// The bytes cannot be kept. The sink is dropped, the rest is read away, and the peer is told "out of resources".
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// That was the last byte. The peer is told of success only after this returned, so what is stored must be on disk by then.
    ///
    /// # Errors
    /// The object is not kept.
    fn finish(self: Box<Self>) -> Result<(), Refusal>;
}

/// What a peer wants to store. The UIDs have a UID's alphabet and length; they still are a peer's words, and no names for files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offer {
    /// The peer's configured name.
    pub peer: String,
    /// The title it calls itself by, which is the configured one.
    pub calling_ae_title: String,
    /// The title it calls the server by, in printable ASCII.
    pub called_ae_title: String,
    /// Affected SOP Class UID: one of the classes in the settings.
    pub sop_class_uid: String,
    /// Affected SOP Instance UID.
    pub sop_instance_uid: String,
    /// How the data set is written: one of [`STORED`](crate::syntax::STORED).
    pub transfer_syntax: &'static str,
}

/// Why an object is not stored. The text is the Error Comment, which the peer reads: at most 64 characters, and no patient's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No room, for now: status A700. The peer may try again.
    OutOfResources(String),
    /// The data set is not what its SOP class asks for: status A900.
    NotOfItsClass(String),
    /// The data set cannot be read: status C000.
    NotUnderstood(String),
}

impl Refusal {
    /// The status of the C-STORE response (PS3.4 table B.2-1).
    pub const fn status(&self) -> u16 {
        match self {
            Self::OutOfResources(_) => 0xa700,
            Self::NotOfItsClass(_) => 0xa900,
            Self::NotUnderstood(_) => 0xc000,
        }
    }

    /// The Error Comment.
    pub fn comment(&self) -> &str {
        match self {
            Self::OutOfResources(text) | Self::NotOfItsClass(text) | Self::NotUnderstood(text) => {
                text
            }
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Who {
    /// The configured name; none if title or address are on no list, or not known yet.
    pub name: Option<String>,
    /// The title it calls itself by, in at most 16 printable ASCII characters; empty before it has said so.
    pub title: String,
    /// Where it connects from.
    pub address: IpAddr,
}

impl Who {
    /// Somebody of whom nothing but the address is known.
    pub(super) fn at(address: IpAddr) -> Self {
        Self {
            name: None,
            title: String::new(),
            address: address.to_canonical(),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.title.as_str()) {
            (Some(name), _) => f.write_str(name),
            (None, "") => write!(f, "somebody at {}", self.address),
            (None, title) => write!(f, "unknown {title:?} at {}", self.address),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An association was refused, or a connection before there was one.
    Refused(Who, Denial),
    /// An association began.
    Opened(Who, Opened),
    /// An echo was answered.
    Echoed(Who),
    /// An object was stored; the size of its data set in bytes.
    Stored(Who, u64),
    /// A request was answered with this status, and why.
    Declined(Who, u16, String),
    /// A connection is over.
    Ended(Who, End),
    /// No connection can be taken, for instance because the system has no more file handles. The server goes on trying.
    Deaf(io::ErrorKind),
}

/// What an association is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// Contexts in which objects may be stored.
    pub storage: usize,
    /// Contexts that were refused because the peer is on no list.
    pub not_allowed: usize,
    /// Contexts that were refused because of their SOP class or transfer syntaxes.
    pub not_supported: usize,
}

/// Why there is no association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// As many associations as there may be.
    #[error("there are as many associations as there may be; raise the limit, or wait")]
    Crowded,
    /// Title and address are on no list, and it did not ask for an echo.
    #[error("title and address are on no list; add the peer if it may store")]
    Unknown,
    /// It calls somebody else.
    #[error("it calls another title; set this server's title there")]
    CalledTitle,
    /// Another version of the protocol, or another application context.
    #[error("it speaks another protocol than DICOM's upper layer 1")]
    Protocol,
    /// TLS failed: no TLS, no common version, or a certificate that is not trusted.
    #[error("TLS failed; compare certificates on both sides")]
    Tls,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    /// As it should, by a release.
    #[error("released")]
    Released,
    /// The peer aborted.
    #[error("aborted by the peer")]
    Aborted,
    /// The connection was closed or broke.
    #[error("the connection was lost")]
    Lost,
    /// The peer was silent for too long.
    #[error("silent for too long")]
    Silent,
    /// The association took longer than one may.
    #[error("longer than an association may last")]
    Overlong,
    /// The peer broke a rule.
    #[error("the peer broke a rule: {0}")]
    Broken(&'static str),
    /// The association was refused; an [`Event::Refused`] said why.
    #[error("refused")]
    Refused,
    /// The server was stopped.
    #[error("the server was stopped")]
    Stopped,
    /// A bug: the thread panicked. Nothing but this connection is touched.
    #[error("a bug in the server ended the connection; please report it")]
    Panicked,
}
