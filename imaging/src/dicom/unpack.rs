//! From a slice's bytes to its stored numbers, for every packing that is read.
//!
//! Used by the slice. What a packed image says of its own size is compared with the slice's before a decoder sees it, so no decoder
//! takes more memory than the slice may.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_toolkit_jpeg2000::{DecodeSettings, Image};
use jpeg_decoder::Decoder;

use super::image::Slice;
use super::syntax::Packing;
use super::{jpeg_ls, rle};

/// JPEG markers of a lossless frame by Huffman codes, and of a JPEG-LS frame.
const LOSSLESS: u8 = 0xC3;
const LS: u8 = 0xF7;

/// Start of a JPEG 2000 code stream and of its first segment, which holds its size.
const JPEG_2000: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];

/// Where in a code stream the first component's kind stands.
const COMPONENT: usize = 42;

/// What a packed image says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Size {
    rows: u32,
    cols: u32,
    components: u16,
    bits: u8,
    signed: bool,
}

/// The stored numbers of a slice, row by row, in the low bits; or in a few words how its bytes are damaged.
pub(crate) fn unpack(packing: Packing, bytes: &[u8], slice: &Slice) -> Result<Vec<u16>, String> {
    let guarded = AssertUnwindSafe(|| unpack_unguarded(packing, bytes, slice));
    // Decoders are another house's; should an image that they never met make one panic, that file alone is refused.
    let numbers = catch_unwind(guarded)
        .unwrap_or_else(|_| Err("its packed pixels make no sense".to_owned()))?;
    if numbers.len() < slice.pixels() {
        return Err(format!(
            "it unpacks to {} of {} pixels",
            numbers.len(),
            slice.pixels()
        ));
    }
    Ok(numbers)
}

fn unpack_unguarded(packing: Packing, bytes: &[u8], slice: &Slice) -> Result<Vec<u16>, String> {
    let (rows, cols) = (slice.rows, slice.cols);
    let wide = slice.stored.bytes() == 2;
    let mut numbers = match packing {
        Packing::Native => words(bytes, wide, u16::from_le_bytes),
        Packing::Rle => rle::decode(bytes, slice.pixels(), wide)?,
        Packing::JpegLossless => {
            let size = jpeg_size(bytes, LOSSLESS)?;
            size.check(slice)?;
            let unpacked = Decoder::new(bytes)
                .decode()
                .map_err(|error| format!("its JPEG image cannot be unpacked ({error})"))?;
            words(&unpacked, size.bits > 8, u16::from_ne_bytes)
        }
        Packing::JpegLs => {
            let size = jpeg_size(bytes, LS)?;
            size.check(slice)?;
            jpeg_ls::decode(bytes, usize::from(rows), usize::from(cols), size.bits)?
        }
        Packing::Jpeg2000 => {
            let size = jpeg_2000_size(bytes)?;
            size.check(slice)?;
            // The decoder cuts off what is below 0. Told that there is no sign, it moves everything up by half the range.
            let mut unsigned = bytes.to_vec();
            unsigned[COMPONENT] &= 0x7F;
            let unpacked = Image::new(&unsigned, &DecodeSettings::default())
                .and_then(|image| image.decode_native())
                .map_err(|error| format!("its JPEG 2000 image cannot be unpacked ({error})"))?;
            let half = if size.signed { 1 << (size.bits - 1) } else { 0 };
            words(&unpacked.data, size.bits > 8, |word| {
                u16::from_le_bytes(word).wrapping_sub(half)
            })
        }
    };
    numbers.truncate(slice.pixels());
    Ok(numbers)
}

fn words(bytes: &[u8], wide: bool, read: impl Fn([u8; 2]) -> u16) -> Vec<u16> {
    if wide {
        bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|word| read(*word))
            .collect()
    } else {
        bytes
            .iter()
            .map(|&byte| read([byte, byte]) & 0xFF)
            .collect()
    }
}

impl Size {
    fn check(&self, slice: &Slice) -> Result<(), String> {
        let bits = 8 * slice.stored.bytes();
        if self.rows == u32::from(slice.rows)
            && self.cols == u32::from(slice.cols)
            && self.components == 1
            && (2..=bits).contains(&usize::from(self.bits))
        {
            Ok(())
        } else {
            Err(format!(
                "its packed image has {} x {} pixels of {} times {} bits, not {} x {} of up to {bits}",
                self.rows, self.cols, self.components, self.bits, slice.rows, slice.cols
            ))
        }
    }
}

/// The size in the frame header of a JPEG image (ITU-T T.81, B.2.2), which must be of the kind `expected`.
fn jpeg_size(bytes: &[u8], expected: u8) -> Result<Size, String> {
    let mut rest = bytes
        .strip_prefix(&[0xFF, 0xD8])
        .ok_or("its packed image is no JPEG")?;
    loop {
        let [0xFF, kind, high, low, ..] = *rest else {
            return Err("its JPEG image has no size".to_owned());
        };
        if kind == 0xFF {
            // Markers may be preceded by more such bytes.
            rest = &rest[1..];
            continue;
        }
        let frame = matches!(kind, 0xC0..=0xCF | LS) && !matches!(kind, 0xC4 | 0xC8 | 0xCC);
        if frame && kind != expected {
            return Err("its JPEG image is of another kind than it says".to_owned());
        }
        if frame {
            let [bits, a, b, c, d, components, ..] = rest[4..] else {
                return Err("its JPEG image ends within its size".to_owned());
            };
            if rest[4..].windows(2).any(|marker| marker == [0xFF, kind]) {
                return Err("its JPEG image has two sizes".to_owned());
            }
            return Ok(Size {
                rows: u32::from(u16::from_be_bytes([a, b])),
                cols: u32::from(u16::from_be_bytes([c, d])),
                components: u16::from(components),
                bits,
                signed: false,
            });
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        rest = rest
            .get(2 + length.max(2)..)
            .ok_or("its JPEG image ends before its size")?;
    }
}

/// The size in the first segment of a JPEG 2000 code stream (ITU-T T.800, A.5.1). Refused: high-throughput coding, which another
/// transfer syntax announces, and a component that is sampled coarsely.
fn jpeg_2000_size(bytes: &[u8]) -> Result<Size, String> {
    let head = bytes
        .get(..COMPONENT + 3)
        .filter(|head| head.starts_with(&JPEG_2000))
        .ok_or("its packed image is no JPEG 2000 code stream")?;
    let short = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let long = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let high_throughput = short(6) & 0x4000 != 0;
    if high_throughput || head[COMPONENT + 1..] != [1, 1] {
        return Err("its JPEG 2000 image uses what CT does not".to_owned());
    }
    Ok(Size {
        cols: long(8).saturating_sub(long(16)),
        rows: long(12).saturating_sub(long(20)),
        components: short(40),
        bits: (head[COMPONENT] & 0x7F).saturating_add(1),
        signed: head[COMPONENT] & 0x80 != 0,
    })
}
