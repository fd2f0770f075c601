//! What can go wrong with a remote, and whether trying again is of use.

use std::io;

use dicom_ul::pdu::{
    AssociationRJResult, AssociationRJServiceProviderPresentationReason as Presentation,
    AssociationRJServiceUserReason as User, AssociationRJSource as Source, Pdu,
};

use super::{Context, Remote};
use crate::pdu::{self, Fault};

/// Why there is no association.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No application entity title.
    #[error(
        "{0:?} is no AE title; give 1 to 16 printable ASCII characters without a backslash and without spaces at the ends"
    )]
    Title(String),
    /// No UID.
    #[error("{0:?} is no UID; an SOP class or transfer syntax is named by one")]
    Uid(String),
    /// No contexts, or too many.
    #[error(
        "an association has 1 to 128 contexts, not {0}; send the objects in several associations"
    )]
    Contexts(usize),
    /// A length of PDUs that is out of range.
    #[error("PDUs of {0} bytes are out of range; take 4096 to 1048576")]
    MaxPdu(u32),
    /// No address.
    #[error("{host}: no such host ({source}); correct its name, or give its address")]
    Resolve {
        /// The host.
        host: String,
        /// Why not.
        source: io::Error,
    },
    /// No connection.
    #[error(
        "{host}:{port}: no connection ({source}); see that the archive is on and that host and port are right"
    )]
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// No TLS.
    #[error(
        "{host}:{port}: TLS failed ({reason}); see that the archive speaks TLS at this port, and compare certificates on both sides"
    )]
    Tls {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why not.
        reason: String,
    },
    /// The remote refused.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The connection ended while it was negotiated.
    #[error(transparent)]
    Line(#[from] LineError),
}

/// The remote refused the association.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the archive refused the association: {reason}")]
#[non_exhaustive]
pub struct Rejection {
    /// The remote says that trying again is of no use.
    pub permanent: bool,
    /// Why, and what to do.
    pub reason: String,
}

impl Rejection {
    pub(super) fn read(body: &[u8], remote: &Remote) -> Self {
        let Some(Pdu::AssociationRJ(rejection)) = pdu::read_short(pdu::ASSOCIATE_RJ, body) else {
            return Self {
                permanent: false,
                reason: "it gives a reason that the standard does not know".to_owned(),
            };
        };
        let reason = match rejection.source {
            Source::ServiceUser(User::CallingAETitleNotRecognized) => format!(
                "it does not know our title {:?}; add it there, with our address",
                remote.calling
            ),
            Source::ServiceUser(User::CalledAETitleNotRecognized) => format!(
                "it does not go by the title {:?}; correct the title here",
                remote.called
            ),
            Source::ServiceProviderPresentation(Presentation::TemporaryCongestion) => {
                "it is congested; try again later".to_owned()
            }
            Source::ServiceProviderPresentation(Presentation::LocalLimitExceeded) => {
                "it has as many associations as it takes; try again later".to_owned()
            }
            source => format!("{source}; ask its administrator"),
        };
        Self {
            permanent: rejection.result == AssociationRJResult::Permanent,
            reason,
        }
    }
}

/// A connection ended, and the association with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The remote took too long.
    #[error("the archive did not answer in time; see whether it is busy, or raise the timeout")]
    Late,
    /// The connection was closed or broke.
    #[error("the connection to the archive was lost ({0}); try again")]
    Lost(io::Error),
    /// The remote aborted.
    #[error("the archive aborted the association; its log says why")]
    Aborted,
    /// The remote released the association, which is not for it to do.
    #[error("the archive ended the association before everything was sent; try again")]
    Released,
    /// The remote broke a rule.
    #[error("the archive broke a rule of the protocol: {0}; ask its maker")]
    Broken(&'static str),
    /// The association was over already.
    #[error("the association is over; open another one")]
    Over,
}

impl From<Fault> for LineError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Late => Self::Late,
            Fault::Lost(error) => Self::Lost(error),
            Fault::Unknown => Self::Broken(pdu::UNKNOWN),
            Fault::Malformed(what) => Self::Broken(what),
        }
    }
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The association is not for this.
    #[error(
        "SOP class {} in transfer syntax {} cannot be sent: {reason}; let the archive accept it, or send another form",
        context.sop_class_uid, context.transfer_syntax
    )]
    NotAccepted {
        /// What was needed.
        context: Context,
        /// Why it is not there.
        reason: &'static str,
    },
    /// The file cannot be read.
    #[error("the file could not be read to its end: {0}; see whether its disk is well")]
    Read(io::Error),
    /// The remote did not do it.
    #[error("the archive answered with status {status:04X}: {}{}{comment}", meaning(*status), if comment.is_empty() { "" } else { "; it says: " })]
    Status {
        /// The status (PS3.4 annex B.2.3, PS3.7 annex C).
        status: u16,
        /// Its comment: printable ASCII, 64 characters at most.
        comment: String,
    },
    /// The connection ended.
    #[error(transparent)]
    Line(#[from] LineError),
}

impl From<Fault> for RequestError {
    fn from(fault: Fault) -> Self {
        Self::Line(fault.into())
    }
}

/// A status in words.
const fn meaning(status: u16) -> &'static str {
    match status {
        0x0110 => "processing failed there; see its log",
        0x0117 => "the SOP instance is invalid",
        0x0122 => "the SOP class is not supported",
        0x0124 => "we are not allowed to; add our title there",
        0x0211 => "it does not know the operation",
        0xa700..=0xa7ff => "it is out of resources; try again later, or make room there",
        0xa900..=0xa9ff => "the data set does not match its SOP class",
        0xc000..=0xcfff => "it cannot understand the data set",
        _ => "it failed; see its log",
    }
}
