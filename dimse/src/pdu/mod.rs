//! Protocol data units (PS3.8 section 9.3).

mod associate;
mod values;

pub(crate) use associate::{max_length, read_accept, read_request};
pub(crate) use values::{Value, WriteFault, values, write_message};

use std::io::{self, Read, Write};

use dicom_ul::pdu::{AbortRQServiceProviderReason, AbortRQSource, Pdu, read_pdu, write_pdu};

use crate::transport::Line;

/// What a peer sent is not what PS3.8 or PS3.7 says: what about it, in words of ours.
pub(crate) type Malformed = &'static str;

/// A PDU that the state of the connection has no place for.
pub(crate) const UNEXPECTED: Malformed = "a PDU that has no place here";
/// A PDU whose type is none of the seven.
pub(crate) const UNKNOWN: Malformed = "a PDU of an unknown type";

pub(crate) const ASSOCIATE_RQ: u8 = 1;
pub(crate) const ASSOCIATE_AC: u8 = 2;
pub(crate) const ASSOCIATE_RJ: u8 = 3;
pub(crate) const P_DATA: u8 = 4;
pub(crate) const RELEASE_RQ: u8 = 5;
pub(crate) const RELEASE_RP: u8 = 6;
pub(crate) const ABORT: u8 = 7;

/// The greatest association request or answer that is read, in bytes. 128 contexts of 30 syntaxes each are about 100,000.
pub(crate) const MAX_ASSOCIATE: u32 = 256 << 10;
/// The length of rejection, release and abort, which is fixed.
const SHORT: u32 = 4;

/// The beginning of every PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u8,
    pub(crate) length: u32,
}

impl Head {
    /// The greatest length of a PDU of this kind, where P-DATA may have `max_data` bytes.
    const fn greatest(self, max_data: u32) -> u32 {
        match self.kind {
            ASSOCIATE_RQ | ASSOCIATE_AC => MAX_ASSOCIATE,
            P_DATA => max_data,
            _ => SHORT,
        }
    }
}

/// Why there is no PDU.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection is closed, between two PDUs or within one, or is broken.
    Lost(io::Error),
    /// The deadline has passed.
    Late,
    /// Its type is none of the seven.
    Unknown,
    /// It breaks a rule.
    Malformed(Malformed),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Late,
            _ => Self::Lost(error),
        }
    }
}

/// Reads one PDU: its type, and its content into `body`, which is of `max_data` bytes at most for P-DATA.
pub(crate) fn read(line: &mut impl Read, max_data: u32, body: &mut Vec<u8>) -> Result<u8, Fault> {
    let mut bytes = [0; 6];
    line.read_exact(&mut bytes)?;
    let [kind, _, length @ ..] = bytes;
    let head = Head {
        kind,
        length: u32::from_be_bytes(length),
    };
    if !(ASSOCIATE_RQ..=ABORT).contains(&kind) {
        return Err(Fault::Unknown);
    }
    if head.length > head.greatest(max_data) {
        return Err(Fault::Malformed("a PDU is longer than its kind may be"));
    }
    body.clear();
    // Grows as bytes come, so that a peer which only names a length costs nothing.
    let read = line
        .by_ref()
        .take(u64::from(head.length))
        .read_to_end(body)?;
    if read < head.length as usize {
        return Err(Fault::Lost(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(kind)
}

/// A short PDU as `dicom-ul` reads it; none where its codes are none of the standard's.
pub(crate) fn read_short(kind: u8, body: &[u8]) -> Option<Pdu> {
    let mut whole = vec![kind, 0];
    whole.extend((body.len() as u32).to_be_bytes());
    whole.extend(body);
    read_pdu(&mut whole.as_slice(), MAX_ASSOCIATE, true).ok()?
}

/// Writes a PDU that is no P-DATA.
pub(crate) fn write(line: &mut Line, pdu: &Pdu) -> io::Result<()> {
    let mut bytes = Vec::new();
    write_pdu(&mut bytes, pdu).map_err(io::Error::other)?;
    line.write_all(&bytes)?;
    line.flush()
}

/// The abort of a service provider: a rule of the protocol was broken.
pub(crate) const fn abort(reason: AbortRQServiceProviderReason) -> Pdu {
    Pdu::AbortRQ {
        source: AbortRQSource::ServiceProvider(reason),
    }
}
