//! P-DATA: pieces of messages (PS3.8 section 9.3.5 and annex E).

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::{Malformed, P_DATA};
use crate::transport::Line;

/// Length, context and control byte before each piece.
const VALUE_HEAD: usize = 6;
/// Type, a reserved byte and length before a PDU.
const PDU_HEAD: usize = 6;
/// The greatest P-DATA that is written, whatever the peer would take: more makes nothing faster.
const MAX_WRITTEN: u32 = 256 << 10;

/// A piece of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    /// The presentation context.
    pub(crate) context: u8,
    /// A piece of a command, and not of a data set.
    pub(crate) command: bool,
    /// The last piece of it.
    pub(crate) last: bool,
    pub(crate) bytes: &'a [u8],
}

/// The pieces in a P-DATA's content, where they lie.
pub(crate) fn values(mut body: &[u8]) -> impl Iterator<Item = Result<Value<'_>, Malformed>> {
    let mut empty = body.is_empty();
    std::iter::from_fn(move || {
        if std::mem::take(&mut empty) {
            return Some(Err("a P-DATA PDU is empty"));
        }
        if body.is_empty() {
            return None;
        }
        let value = one(&mut body);
        if value.is_err() {
            body = &[];
        }
        Some(value)
    })
}

fn one<'a>(body: &mut &'a [u8]) -> Result<Value<'a>, Malformed> {
    let (length, rest) = body
        .split_first_chunk::<4>()
        .ok_or("a presentation data value has no length")?;
    let (value, rest) = rest
        .split_at_checked(u32::from_be_bytes(*length) as usize)
        .ok_or("a presentation data value is longer than its PDU")?;
    let [context, control, bytes @ ..] = value else {
        return Err("a presentation data value has no head");
    };
    *body = rest;
    Ok(Value {
        context: *context,
        command: control & 1 != 0,
        last: control & 2 != 0,
        bytes,
    })
}

/// Writes a command or a data set in pieces that the peer takes, and says how many bytes it had.
///
/// `max` is the length of P-DATA that the peer has asked for; 0 is any. Each PDU is one write, which the peer must take within `patience`.
pub(crate) fn write_message(
    line: &mut Line,
    patience: Duration,
    context: u8,
    command: bool,
    content: &mut dyn Read,
    max: u32,
) -> Result<u64, WriteFault> {
    let max = if max == 0 {
        MAX_WRITTEN
    } else {
        max.min(MAX_WRITTEN)
    };
    // Even pieces, as PS3.8 annex E asks for; `pdu::associate` has seen to it that there is room for two bytes.
    let room = (max as usize - VALUE_HEAD) & !1;
    let begin = PDU_HEAD + VALUE_HEAD;
    let mut ahead = vec![0; begin + room];
    let mut next = vec![0; begin + room];
    let mut total = 0;
    let mut filled = fill(&mut ahead[begin..], content).map_err(WriteFault::Content)?;
    loop {
        // One piece ahead, since the last one says that it is the last.
        let following = if filled == room {
            fill(&mut next[begin..], content).map_err(WriteFault::Content)?
        } else {
            0
        };
        let last = following == 0;
        ahead[0] = P_DATA;
        ahead[2..6].copy_from_slice(&((filled + VALUE_HEAD) as u32).to_be_bytes());
        ahead[6..10].copy_from_slice(&((filled + 2) as u32).to_be_bytes());
        ahead[10] = context;
        ahead[11] = u8::from(command) | u8::from(last) << 1;
        line.set_deadline(Instant::now() + patience);
        line.write_all(&ahead[..begin + filled])
            .map_err(WriteFault::Line)?;
        total += filled as u64;
        if last {
            line.flush().map_err(WriteFault::Line)?;
            return Ok(total);
        }
        std::mem::swap(&mut ahead, &mut next);
        filled = following;
    }
}

/// What failed while a message was written.
#[derive(Debug)]
pub(crate) enum WriteFault {
    /// Reading its content.
    Content(io::Error),
    /// The connection.
    Line(io::Error),
}

/// Reads until `buffer` is full or the content is at its end.
fn fill(buffer: &mut [u8], content: &mut dyn Read) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
