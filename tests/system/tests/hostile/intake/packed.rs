//! DICOM files whose images are packed, and unpack to something else.

use std::io::Write as _;

use dicom_dictionary_std::uids;
use dicom_toolkit_codec::jpeg::lossless_encoder::encode_jpeg_lossless;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::pixels::{packed, plain};
use super::segment;
use crate::ground::{Place, SHAPE};
use crate::row::{Given, Row, Section, refused, taken};
use crate::run::WORK_KIB;

pub(crate) const SECTION: Section = Section::of_program(
    "A DICOM series: packed images",
    "nephrobox segment FOLDER",
    segment,
    WORK_KIB,
    ROWS,
);

const RLE: &str = uids::RLE_LOSSLESS;
const JPEG: &str = uids::JPEG_LOSSLESS_SV1;
const LS: &str = uids::JPEGLS_LOSSLESS;
const J2K: &str = uids::JPEG2000_LOSSLESS;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("an RLE image of nothing", |p| packed(p, RLE, Vec::new()), 3, "RLE image"),
    refused("an RLE image with 15 segments", |p| packed(p, RLE, rle(15, &[64; 15], &[])), 3, "15 segments"),
    refused("an RLE image with a segment at 4 GB", |p| packed(p, RLE, rle(2, &[64, u32::MAX], &[0; 64])), 3, "ends early|beyond its end"),
    refused("an RLE image that ends early", |p| packed(p, RLE, rle(2, &[64, 66], &[0x81, 7, 0x81, 7])), 3, "ends early"),
    refused("an RLE image of codes that say nothing", |p| packed(p, RLE, rle(2, &[64, 64], &[0x80; 4096])), 3, "ends early"),
    taken("an RLE image that is longer than the slice", |p| packed(p, RLE, rle(2, &[64, 64], &[0x81, 0].repeat(10_000))), "Kidney volume"),
    refused("a JPEG of nothing", |p| packed(p, JPEG, Vec::new()), 3, "no JPEG"),
    refused("a JPEG that is a text", |p| packed(p, JPEG, b"no picture at all".to_vec()), 3, "no JPEG"),
    refused("a JPEG of the other kind, which loses", |p| packed(p, JPEG, frame(0xC0, 64, 96, 1)), 3, "another kind"),
    refused("a JPEG of 65,535 x 65,535 pixels", |p| packed(p, JPEG, frame(0xC3, 65_535, 65_535, 1)), 3, "65535 x 65535"),
    refused("a JPEG of 0 x 0 pixels", |p| packed(p, JPEG, frame(0xC3, 0, 0, 1)), 3, "0 x 0"),
    refused("a JPEG of 255 colours", |p| packed(p, JPEG, frame(0xC3, 64, 96, 255)), 3, "255 times"),
    refused("a JPEG with a size and nothing behind it", |p| packed(p, JPEG, frame(0xC3, 64, 96, 1)), 3, "damaged"),
    refused("a JPEG with two sizes", |p| packed(p, JPEG, [frame(0xC3, 64, 96, 1), frame(0xC3, 4096, 4096, 1)[2..].to_vec()].concat()), 3, "two sizes"),
    refused("a JPEG of 10,000 empty segments", |p| packed(p, JPEG, [vec![0xFF, 0xD8], [0xFF, 0xE0, 0, 2].repeat(10_000)].concat()), 3, "size"),
    refused("a JPEG cut off at every 1 % of its first half", |p| { let whole = jpeg(); packed(p, JPEG, whole[..whole.len() * p.turn as usize / 200].to_vec()) }, 3, "damaged|JPEG|image|pixels").at_every_percent(),
    refused("a JPEG-LS image of 65,535 x 65,535 pixels", |p| packed(p, LS, frame(0xF7, 65_535, 65_535, 1)), 3, "65535 x 65535"),
    refused("a JPEG-LS image with a size and nothing behind it", |p| packed(p, LS, frame(0xF7, 64, 96, 1)), 3, "damaged"),
    refused("a JPEG-LS image of zeros", |p| packed(p, LS, [frame(0xF7, 64, 96, 1), vec![0; 4096]].concat()), 3, "damaged"),
    refused("a JPEG 2000 image that is none", |p| packed(p, J2K, vec![0xFF; 200]), 3, "no JPEG 2000"),
    refused("a JPEG 2000 image of 4 billion pixels a side", |p| packed(p, J2K, code_stream(u32::MAX, u32::MAX, 1)), 3, "4294967295 x 4294967295"),
    refused("a JPEG 2000 image of 16,384 components", |p| packed(p, J2K, code_stream(96, 64, 16_384)), 3, "16384 times"),
    refused("a JPEG 2000 image with tiles of no size", |p| packed(p, J2K, code_stream(96, 64, 1)), 3, "damaged|image"),
    refused("a deflate bomb: 1 GB in a slice", bomb, 3, "inflates to more than"),
    refused("deflated data of another kind", |p| deflated(p, &[0x07; 4096]), 3, "damaged"),
    refused("deflated data cut off at every 1 %", |p| { let whole = deflate(&[0; 200_000]); let cut = p.cut(&whole).to_vec(); deflated(p, &cut) }, 3, "damaged|missing").at_every_percent(),
    refused("fragments of 64 MB for a slice of 12 kB", |p| packed(p, JPEG, vec![0; 64 << 20]), 3, "more than|no JPEG"),
];

/// An RLE image of so many segments.
fn rle(count: u32, offsets: &[u32], data: &[u8]) -> Vec<u8> {
    let mut words = [0_u32; 16];
    words[0] = count;
    words[1..=offsets.len()].copy_from_slice(offsets);
    let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    [head, data.to_vec()].concat()
}

/// A JPEG that ends behind its size.
fn frame(kind: u8, rows: u16, cols: u16, components: u8) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8, 0xFF, kind, 0, 11, 16];
    bytes.extend(rows.to_be_bytes());
    bytes.extend(cols.to_be_bytes());
    bytes.extend([components, 1, 0x11, 0]);
    bytes
}

/// A JPEG 2000 code stream that ends behind its size; its tiles have none.
fn code_stream(cols: u32, rows: u32, components: u16) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
    for number in [cols, rows, 0, 0, 0, 0, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(components.to_be_bytes());
    bytes.extend([15, 1, 1, 0xFF, 0x90]);
    bytes
}

/// The slice as a sound JPEG.
fn jpeg() -> Vec<u8> {
    let [_, rows, cols] = SHAPE.map(|n| n as u16);
    encode_jpeg_lossless(&plain(), cols, rows, 1, 16, 16, 1).expect("packed")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("deflated");
    encoder.finish().expect("deflated")
}

/// A slice whose data set is these deflated bytes.
fn deflated(p: &Place<'_>, data: &[u8]) -> Given {
    let given = p.series(|slices| slices[1].syntax = uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN);
    let path = p.path("series").join(crate::series::in_order(1));
    let bytes = std::fs::read(&path).expect("a slice");
    let head = 144 + u32::from_le_bytes([bytes[140], bytes[141], bytes[142], bytes[143]]) as usize;
    std::fs::write(&path, [&bytes[..head], data].concat()).expect("written");
    given
}

/// A slice that is small on the disk and has a private element of 1 GB.
fn bomb(p: &Place<'_>) -> Given {
    const LENGTH: u32 = 1 << 30;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(&[9, 0, 0x10, 0x10, b'O', b'B', 0, 0])
        .expect("deflated");
    encoder.write_all(&LENGTH.to_le_bytes()).expect("deflated");
    let block = vec![0; 1 << 20];
    for _ in 0..LENGTH >> 20 {
        encoder.write_all(&block).expect("deflated");
    }
    let data = encoder.finish().expect("deflated");
    deflated(p, &data)
}
