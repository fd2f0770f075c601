//! Frames: how messages are told apart on a line of bytes.
//!
//! A frame is its content and CRC-32 (ISO-HDLC, little-endian) of the content, together in COBS, which leaves no zero byte in
//! them, and a zero byte. A receiver that has lost its place waits for the next zero.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

use super::message::Packet;

const CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
const CRC_BYTES: usize = 4;

/// Most bytes of an object in one piece.
pub const PIECE: usize = 8192;
/// Most bytes of a frame's content: a piece and what stands around it.
pub const CONTENT: usize = PIECE + 32;
/// Most bytes of a frame on the line, its zero included.
pub const FRAME: usize = cobs::max_encoding_length(CONTENT + CRC_BYTES) + 1;

/// Everything that can be wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// It is longer than any frame, or its content does not fit into one.
    Long,
    /// It is shorter than any frame.
    Short,
    /// The bytes are not COBS.
    Cobs,
    /// The checksum is not that of the content.
    Checksum,
    /// The content is no message.
    Message,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Long => "a frame is longer than any can be",
            Self::Short => "a frame is shorter than any can be",
            Self::Cobs => "a frame is not in COBS",
            Self::Checksum => "a frame's checksum is wrong",
            Self::Message => "a frame holds no message of this protocol",
        })
    }
}

impl core::error::Error for FrameError {}

/// Writes a packet as a frame and returns the frame's length.
///
/// # Errors
/// [`FrameError::Long`] when the packet is longer than [`CONTENT`]; with a piece of at most [`PIECE`] none is.
pub fn encode(packet: &Packet<'_>, into: &mut [u8; FRAME]) -> Result<usize, FrameError> {
    let mut plain = [0; CONTENT + CRC_BYTES];
    let len = packet.write(&mut plain[..CONTENT])?;
    let checksum = CRC.checksum(&plain[..len]);
    plain[len..len + CRC_BYTES].copy_from_slice(&checksum.to_le_bytes());
    let len = cobs::encode(&plain[..len + CRC_BYTES], into);
    into[len] = 0;
    Ok(len + 1)
}

/// Finds frames among the bytes of a line.
#[derive(Debug)]
pub struct Decoder {
    held: [u8; FRAME],
    len: usize,
    /// Bytes are being skipped up to the next zero.
    lost: bool,
    /// Length of the content of a frame that was opened; 0 if there is none.
    content: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            held: [0; FRAME],
            len: 0,
            lost: false,
            content: 0,
        }
    }
}

impl Decoder {
    /// Takes bytes from the front of `bytes` until a whole frame is there or they are used up; `None` in the latter case. The
    /// frame's packet is then to be had from [`Decoder::packet`], until this is called again.
    ///
    /// Zeros between frames are no frames and no errors. After an error, go on with the same bytes.
    pub fn advance(&mut self, bytes: &mut &[u8]) -> Option<Result<(), FrameError>> {
        if self.content > 0 {
            (self.content, self.len) = (0, 0);
        }
        loop {
            let end = bytes.iter().position(|&byte| byte == 0);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if !self.lost && self.len + part.len() < FRAME {
                self.held[self.len..self.len + part.len()].copy_from_slice(part);
                self.len += part.len();
            } else {
                self.lost = true;
            }
            *bytes = &bytes[part.len()..];
            end?;
            *bytes = &bytes[1..];
            let (len, lost) = (self.len, self.lost);
            (self.len, self.lost) = (0, false);
            if lost {
                return Some(Err(FrameError::Long));
            }
            if len > 0 {
                let opened = open(&mut self.held[..len]);
                return Some(opened.map(|content| self.content = content));
            }
        }
    }

    /// The packet of the frame that [`Decoder::advance`] found last.
    #[must_use]
    pub fn packet(&self) -> Option<Packet<'_>> {
        Packet::read(&self.held[..self.content]).ok()
    }
}

/// Opens a frame without its zero, in place, and returns the length of its content, which is a packet.
fn open(frame: &mut [u8]) -> Result<usize, FrameError> {
    let len = cobs::decode_in_place(frame).map_err(|_| FrameError::Cobs)?;
    let plain = &frame[..len];
    let (content, checksum) = plain
        .split_last_chunk::<CRC_BYTES>()
        .ok_or(FrameError::Short)?;
    if CRC.checksum(content) != u32::from_le_bytes(*checksum) {
        return Err(FrameError::Checksum);
    }
    Packet::read(content)?;
    Ok(content.len())
}
