//! DICOM files whose pixels are not what the header says, and files that are damaged.

use dicom_core::VR;
use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, Tag};
use dicom_dictionary_std::{tags, uids};

use super::dicom::{all, one};
use super::segment;
use crate::ground::{Place, slices};
use crate::row::{Given, Row, Section, refused, taken};
use crate::run::{REFUSAL_KIB, WORK_KIB};

pub(crate) const SECTION: Section = Section::of_program(
    "A DICOM series: pixels and damage",
    "nephrobox segment FOLDER",
    segment,
    REFUSAL_KIB,
    ROWS,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("RGB", |p| all(p, |s| { s.short(tags::SAMPLES_PER_PIXEL, 3); s.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB"); }), 3, "Samples per Pixel|pixels|RGB|colour"),
    refused("white and black exchanged", |p| all(p, |s| s.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1")), 3, "MONOCHROME1|pixels"),
    refused("no rows", |p| all(p, |s| s.short(tags::ROWS, 0)), 3, "0 x"),
    refused("65,535 rows", |p| all(p, |s| s.short(tags::ROWS, 65_535)), 3, "65535"),
    refused("more rows than pixels", |p| all(p, |s| s.short(tags::ROWS, 4096)), 3, "pixels"),
    refused("a slice of another size", |p| one(p, |s| { s.short(tags::ROWS, 96); s.short(tags::COLUMNS, 64); }), 3, "rows and columns"),
    refused("0 bits", |p| all(p, |s| s.short(tags::BITS_ALLOCATED, 0)), 3, "bits|Bits|pixels"),
    refused("64 bits", |p| all(p, |s| { s.short(tags::BITS_ALLOCATED, 64); s.short(tags::BITS_STORED, 64); s.short(tags::HIGH_BIT, 63); }), 3, "bits|Bits|pixels"),
    refused("more bits stored than there are", |p| all(p, |s| s.short(tags::BITS_STORED, 40)), 3, "bits|Bits|pixels"),
    refused("a high bit of its own", |p| all(p, |s| s.short(tags::HIGH_BIT, 3)), 3, "bit|pixels"),
    refused("no pixels", |p| one(p, |s| { s.object.remove_element(tags::PIXEL_DATA); }), 3, "Pixel Data"),
    refused("half of the pixels", |p| one(p, |s| s.bytes(vec![0; 64 * 96])), 3, "pixels"),
    refused("ten times the pixels", |p| one(p, |s| s.bytes(vec![0; 20 * 64 * 96])), 3, "pixels"),
    refused("an image without fragments", |p| one(p, |s| { s.packed(uids::JPEG_LOSSLESS_SV1, Vec::new()); s.object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PixelFragmentSequence::<Vec<u8>>::new(vec![], vec![]))); }), 3, "image|pixels|damaged"),
    refused("an uncompressed image where a compressed one is announced", |p| one(p, |s| s.syntax = uids::JPEG_LOSSLESS_SV1), 3, "damaged|pixels|compressed"),
    refused("a compressed image where none is announced", |p| one(p, |s| { s.packed(uids::EXPLICIT_VR_LITTLE_ENDIAN, vec![0xff; 64]); }), 3, "damaged|pixels|compressed"),
    refused("a length of 4 GB for the pixels", |p| p.series_with(|bytes| pixel_length(bytes, u32::MAX - 1)), 3, "pixels|ends"),
    refused("an unknown length for plain pixels", |p| p.series_with(|bytes| pixel_length(bytes, u32::MAX)), 3, "damaged|ends"),
    refused("a text longer than its file", |p| p.series_with(|bytes| element_length(bytes, tags::MODALITY, u16::MAX)), 3, "damaged|ends|missing"),
    refused("first elements of 4 GB", |p| p.series_with(|mut bytes| { bytes[140..144].fill(0xff); bytes }), 3, "4294967295 bytes"),
    refused("first elements without their length", |p| p.series_with(|mut bytes| { bytes[134] = 9; bytes }), 3, "does not begin with a length"),
    refused("zeros behind the first elements", |p| p.series_with(|mut bytes| { let at = body(&bytes); bytes[at..].fill(0); bytes }), 3, "damaged|missing"),
    refused("ones behind the first elements", |p| p.series_with(|mut bytes| { let at = body(&bytes); bytes[at..].fill(0xff); bytes }), 3, "damaged|missing"),
    refused("sequences within sequences, 100,000 deep", |p| p.series_with(|bytes| deep(&bytes)), 3, "damaged"),
    refused("big-endian", |p| p.series_with(|bytes| other_syntax(bytes, "1.2.840.10008.1.2.2")), 3, "1.2.840.10008.1.2.2"),
    refused("a photograph's compression, which loses", |p| p.series_with(|bytes| other_syntax(bytes, "1.2.840.10008.1.2.4.50")), 3, "1.2.840.10008.1.2.4.50"),
    refused("a film", |p| p.series_with(|bytes| other_syntax(bytes, "1.2.840.10008.1.2.4.100")), 3, "1.2.840.10008.1.2.4.100"),
    refused("a transfer syntax that is a path", |p| p.series_with(|bytes| other_syntax(bytes, "../../../../etc/pass")), 3, "transfer syntax"),
    refused("a file cut off at every 1 %", |p| p.series_with(|bytes| p.cut(&bytes).to_vec()), 3, "damaged|missing|transfer syntax").at_every_percent(),
    taken("a signed image of 12 bits, with what scanners leave above them", |p| all(p, |s| { s.bits(16, 12, true); let raw: Vec<u16> = s.raw().as_chunks().0.iter().map(|&b| u16::from_le_bytes(b) & 0x07ff | 0x7000).collect(); s.pixels(&raw); }), "Kidney volume").within(WORK_KIB),
    taken("implicit types", |p| all(p, |s| s.syntax = uids::IMPLICIT_VR_LITTLE_ENDIAN), "Kidney volume").within(WORK_KIB),
    taken("deflated", |p| all(p, |s| s.syntax = uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN), "Kidney volume").within(WORK_KIB),
];

/// Where the data set begins.
fn body(bytes: &[u8]) -> usize {
    144 + u32::from_le_bytes([bytes[140], bytes[141], bytes[142], bytes[143]]) as usize
}

/// Where an element of an explicit type begins.
fn element(bytes: &[u8], tag: Tag) -> usize {
    let wanted = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    let from = body(bytes);
    let at = bytes[from..].windows(4).position(|four| four == wanted);
    from + at.expect("the element")
}

fn pixel_length(mut bytes: Vec<u8>, length: u32) -> Vec<u8> {
    let at = element(&bytes, tags::PIXEL_DATA) + 8;
    bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    bytes
}

fn element_length(mut bytes: Vec<u8>, tag: Tag, length: u16) -> Vec<u8> {
    let at = element(&bytes, tag) + 6;
    bytes[at..at + 2].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// Another transfer syntax in the file's first elements, which keep their length.
fn other_syntax(mut bytes: Vec<u8>, uid: &str) -> Vec<u8> {
    let at = bytes
        .windows(19)
        .position(|part| part == b"1.2.840.10008.1.2.1");
    let at = at.expect("the transfer syntax");
    let mut meta: Vec<u8> = uid.into();
    if meta.len() % 2 == 1 {
        meta.push(0);
    }
    let (old, new) = (20, meta.len());
    bytes.splice(at..at + old, meta);
    bytes[at - 2..at].copy_from_slice(&(new as u16).to_le_bytes());
    let length = (body(&bytes) - 144 + new - old) as u32;
    bytes[140..144].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// Sequences of unknown length that never end.
fn deep(bytes: &[u8]) -> Vec<u8> {
    let at = body(bytes);
    let mut deep = bytes[..at].to_vec();
    for _ in 0..100_000 {
        deep.extend([
            0x09, 0, 0x10, 0x10, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff,
        ]);
        deep.extend([0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff]);
    }
    deep
}

/// The phantom with the image of one slice as `image` packs it.
pub(super) fn packed(p: &Place<'_>, syntax: &'static str, image: Vec<u8>) -> Given {
    p.series(|slices| slices[10].packed(syntax, image))
}

/// The plain pixels of that slice.
pub(super) fn plain() -> Vec<u8> {
    slices()[10].raw()
}
