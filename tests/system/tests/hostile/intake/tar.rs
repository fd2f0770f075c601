//! A series in one file: tars that nobody's tar writes.

use std::sync::OnceLock;

use nephrobox_imaging::dicom::pack;

use super::segment;
use crate::ground::{Place, slices};
use crate::row::{Given, Row, Section, refused, taken};
use crate::run::{REFUSAL_KIB, WORK_KIB};
use crate::series;

pub(crate) const SECTION: Section = Section::of_program(
    "A series in a tar",
    "nephrobox segment TAR",
    segment,
    REFUSAL_KIB,
    ROWS,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("an empty tar", |p| tar(p, &[]), 3, "no NIfTI-1 header"),
    refused("a folder and no file", |p| tar(p, &[entry("series/", b'5', 0, b"")]), 3, "no DICOM file"),
    refused("texts alone", |p| tar(p, &[entry("readme", b'0', 6, b"nobody")]), 3, "no DICOM file"),
    refused("cut off at every 1 %", |p| p.file("series.tar", p.cut(sound())), 3, "ends within a file|end mark|of a header|tar|damaged").at_every_percent(),
    refused("without its end mark", |p| p.file("series.tar", &sound()[..sound().len() - 1024]), 3, "end mark"),
    refused("a file of 8 GB that is not there", |p| tar(p, &[entry("a", b'0', 8 << 30, b"")]), 3, "ends within a file"),
    refused("a file of 2^63 bytes", |p| tar(p, &[binary_size(0x80, [0x80, 0, 0, 0, 0, 0, 0, 0])]), 3, "damaged|ends within"),
    refused("a file of 2^64 bytes less one", |p| tar(p, &[binary_size(0x80, [0xff; 8])]), 3, "damaged|ends within"),
    refused("a file of a negative size", |p| tar(p, &[binary_size(0xff, [0xff; 8])]), 3, "damaged|ends within"),
    refused("a size in words", |p| tar(p, &[field(entry("a", b'0', 0, b""), 124, b"plenty......")]), 3, "damaged"),
    refused("another checksum", |p| tar(p, &[{ let mut bytes = entry("a", b'0', 0, b""); bytes[148] ^= 1; bytes }]), 3, "damaged"),
    refused("a sparse file of 1 TB", |p| tar(p, &[entry("a", b'S', 512, &[0; 512])]), 3, "sparse"),
    refused("a sparse file in the newer way", |p| tar(p, &[entry("x", b'x', 26, b"26 GNU.sparse.major=1\n\n\n\n\n"), entry("a", b'0', 0, b"")]), 3, "sparse|damaged"),
    refused("a name of 1 MB", |p| tar(p, &[entry("././@LongLink", b'L', 1 << 20, &[b'a'; 1 << 20])]), 3, "longer than any path"),
    refused("an extended header of 64 MB", |p| tar(p, &[entry("x", b'x', 64 << 20, &vec![b'9'; 64 << 20])]), 3, "longer than any path"),
    refused("a volume header of another tape", |p| tar(p, &[entry("a", b'V', 0, b""), entry("b", b'M', 0, b"")]), 3, "packs no plain file as"),
    refused("100,000 links", |p| tar(p, &vec![entry("a", b'2', 0, b""); 100_000]), 3, "more than 16384 files"),
    refused("20,000 empty files", crowd, 3, "more than 16384 files"),
    refused("a tar within a tar", |p| tar(p, &[entry("series.tar", b'0', sound().len() as u64, sound())]), 3, "no DICOM file"),
    taken("names that are paths upwards", |p| tar(p, &slices_called("../../../../tmp/evil")), "Kidney volume").within(WORK_KIB),
    taken("names that are absolute", |p| tar(p, &slices_called("/etc/cron.d/evil")), "Kidney volume").within(WORK_KIB),
    taken("all names alike", |p| tar(p, &slices_called("a")), "Kidney volume").within(WORK_KIB),
    taken("links out of the folder, devices and pipes among the slices", |p| tar(p, &[slices_called("a"), vec![link("b", "/etc/passwd", b'2'), link("c", "../../../etc/passwd", b'1'), entry("d", b'3', 0, b""), entry("e", b'6', 0, b"")]].concat()), "Kidney volume").within(WORK_KIB),
    taken("a program behind the end mark", |p| p.file("series.tar", [sound(), b"#!/bin/sh\nrm -rf /\n".repeat(50).as_slice()].concat()), "Kidney volume").within(WORK_KIB),
];

/// The phantom's series as the tools pack it.
pub(crate) fn sound() -> &'static [u8] {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let home = tempfile::tempdir().expect("a folder");
        series::save(home.path(), &slices(), series::in_order);
        let mut bytes = Vec::new();
        pack(&[home.path().to_owned()], &mut bytes).expect("packed");
        bytes
    })
}

/// The phantom's slices, each under this name.
fn slices_called(name: &str) -> Vec<Vec<u8>> {
    let files = slices();
    let files = files.iter().map(series::SliceFile::encode);
    files
        .map(|file| entry(name, b'0', file.len() as u64, &file))
        .collect()
}

/// More files than a series can have.
pub(super) fn crowd(p: &Place<'_>) -> Given {
    tar(p, &vec![entry("a", b'0', 0, b""); 20_000])
}

/// A tar of these entries with its end mark.
fn tar(p: &Place<'_>, entries: &[Vec<u8>]) -> Given {
    let mut bytes = entries.concat();
    bytes.extend([0; 1024]);
    p.file("series.tar", bytes)
}

/// One entry: a header after POSIX.1-1988, with the size that it says, and the bytes that there are.
fn entry(name: &str, kind: u8, size: u64, bytes: &[u8]) -> Vec<u8> {
    let mut entry = vec![0; 512];
    entry[..name.len()].copy_from_slice(name.as_bytes());
    entry[100..107].copy_from_slice(b"0000644");
    entry[108..115].copy_from_slice(b"0000000");
    entry[116..123].copy_from_slice(b"0000000");
    entry[124..136].copy_from_slice(format!("{size:012o}").as_bytes());
    entry[136..147].copy_from_slice(b"00000000000");
    entry[156] = kind;
    entry[257..265].copy_from_slice(b"ustar\x0000");
    sum(&mut entry);
    entry.extend(bytes);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

/// The header's checksum, of which its own field counts as blanks.
fn sum(entry: &mut [u8]) {
    entry[148..156].fill(b' ');
    let sum: u32 = entry[..512].iter().map(|&byte| u32::from(byte)).sum();
    entry[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

/// An entry with another field.
fn field(mut entry: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    entry[at..at + bytes.len()].copy_from_slice(bytes);
    sum(&mut entry);
    entry
}

/// A size in GNU's binary way: a mark, and a number of 64 bits at the end.
fn binary_size(mark: u8, number: [u8; 8]) -> Vec<u8> {
    let fill = if mark == 0x80 { 0 } else { mark };
    let bytes = [&[mark, fill, fill, fill][..], &number].concat();
    field(entry("a", b'0', 0, b""), 124, &bytes)
}

/// A link.
fn link(name: &str, target: &str, kind: u8) -> Vec<u8> {
    field(entry(name, kind, 0, b""), 157, target.as_bytes())
}
