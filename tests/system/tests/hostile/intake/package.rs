//! Model packages that are damaged on their way, or were none.

use std::ffi::OsString;
use std::fs;

use super::with_model;
use crate::ground::Place;
use crate::row::{Given, Row, Section, refused, taken};
use crate::run::REFUSAL_KIB;

pub(crate) const SECTION: Section = Section::of_program(
    "A model package: damage",
    "nephroctl verify PACKAGE",
    verify,
    REFUSAL_KIB,
    ROWS,
);

pub(crate) const AT_THE_BOX: Section = Section::of_program(
    "A model package at the box",
    "nephrobox segment SCAN --model PACKAGE",
    |p, given| with_model(p.nifti(|_| ()), given, p),
    REFUSAL_KIB,
    BOX_ROWS,
);

/// `nephroctl verify` with what the row gives.
pub(super) fn verify(_: &Place<'_>, given: Given) -> Vec<OsString> {
    Given::from(["ctl", "verify"]).and(given).0
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("a file that is not there", |_| ["nowhere.nbx"].into(), 4, "cannot be read"),
    refused("a folder", |p| { fs::create_dir(p.path("a.nbx")).expect("a folder"); p.path("a.nbx").into() }, 4, "cannot be read"),
    refused("a pipe that nobody writes into", |p| p.pipe("a.nbx"), 4, "cannot be read"),
    refused("a device without end", |_| ["/dev/zero"].into(), 4, "cannot be read"),
    refused("an empty file", |p| p.file("a.nbx", b""), 4, "no model package"),
    refused("a text", |p| p.file("a.nbx", "no model"), 4, "no model package"),
    refused("a scan", |p| p.nifti(|_| ()), 4, "no model package"),
    refused("its first four bytes", |p| p.file("a.nbx", b"NBX1"), 4, "cut off"),
    refused("a file of 2 TB", |p| p.sparse("a.nbx", b"NBX1", 2 << 40), 4, "no model package has more"),
    refused("a sound package with 1 GB of nothing behind it", |p| { let whole = sound(p); p.sparse("a.nbx", &whole, 1 << 30) }, 4, "followed by other bytes"),
    refused("a package of 1 GB of nothing, as its header says", |p| { let mut whole = sound(p); whole[8..16].copy_from_slice(&(1_u64 << 30).to_le_bytes()); p.sparse("a.nbx", &whole, 1 << 30) }, 4, "memory"),
    refused("cut off at every 1 %", |p| { let whole = sound(p); p.file("a.nbx", p.cut(&whole)) }, 4, "cut off|no model package").at_every_percent(),
    refused("one bit changed at every 1 %", |p| changed(p, |bytes| { let at = bytes.len() * p.turn as usize / 100; bytes[at] ^= 0x10; }), 4, "package").at_every_percent(),
    refused("one byte more", |p| changed(p, |bytes| bytes.push(0)), 4, "followed by other bytes"),
    refused("another first byte", |p| changed(p, |bytes| bytes[0] = b'M'), 4, "no model package"),
    refused("a format of the year 65535", |p| changed(p, |bytes| bytes[4..6].fill(0xff)), 4, "format version 65535"),
    refused("format 0", |p| changed(p, |bytes| bytes[4..6].fill(0)), 4, "does not exist"),
    refused("a length of 2^64 bytes less one", |p| changed(p, |bytes| bytes[8..16].fill(0xff)), 4, "cut off|contradict"),
    refused("a manifest of 2^64 bytes less one", |p| changed(p, |bytes| bytes[16..24].fill(0xff)), 4, "contradict"),
    refused("a program of 2^63 bytes", |p| changed(p, |bytes| bytes[31] = 0x80), 4, "contradict"),
    refused("a table of 1 TB", |p| changed(p, |bytes| bytes[37] = 1), 4, "contradict"),
    refused("4 billion tensors", |p| changed(p, |bytes| bytes[48..52].fill(0xff)), 4, "contradict|tensors|hash"),
    refused("a byte that must be 0", |p| rehashed(p, |bytes| bytes[60] = 1), 4, "must be 0"),
    refused("a signature of an unknown kind", |p| changed(p, |bytes| { let at = bytes.len() - 96; bytes[at] = 77; }), 4, "kind 77|contradicts"),
    refused("a signature without a kind", |p| changed(p, |bytes| { let at = bytes.len() - 1; bytes[at] = 1; }), 4, "contradicts itself"),
    refused("a kind without a signature", |p| changed(p, |bytes| { let at = bytes.len() - 96; bytes[at] = 1; }), 4, "contradicts itself"),
    refused("another hash", |p| changed(p, |bytes| { let at = bytes.len() - 120; bytes[at] ^= 1; }), 4, "hash"),
    refused("a key to verify with that did not sign", |p| { let whole = sound(p); p.file("a.nbx", whole).and(["--key", "nephrobox-key-1:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"]) }, 4, "nobody has signed"),
    taken("a package under another ending", |p| { let whole = sound(p); p.file("a.tar.gz", whole) }, "whole"),
];

#[rustfmt::skip]
const BOX_ROWS: &[Row] = &[
    refused("a file that is not there", |_| ["nowhere.nbx"].into(), 4, "cannot be read"),
    refused("a pipe that nobody writes into", |p| p.pipe("a.nbx"), 4, "cannot be read"),
    refused("a device without end", |_| ["/dev/zero"].into(), 4, "cannot be read"),
    refused("the scan once more", |p| p.path("scan.nii").into(), 4, "no model package"),
    refused("a file of 2 TB", |p| p.sparse("a.nbx", b"NBX1", 2 << 40), 4, "no model package has more"),
    refused("one bit changed", |p| changed(p, |bytes| bytes[100] ^= 1), 4, "hash"),
    refused("half of it", |p| { let whole = sound(p); p.file("a.nbx", &whole[..whole.len() / 2]) }, 4, "cut off"),
];

/// The small model's package.
pub(super) fn sound(p: &Place<'_>) -> Vec<u8> {
    fs::read(&p.ground().model).expect("a package")
}

/// The package with other bytes, and the hash of the old ones.
fn changed(p: &Place<'_>, change: impl FnOnce(&mut Vec<u8>)) -> Given {
    let mut bytes = sound(p);
    change(&mut bytes);
    p.file("a.nbx", bytes)
}

/// The package with other bytes and the hash of these.
pub(super) fn rehashed(p: &Place<'_>, change: impl FnOnce(&mut Vec<u8>)) -> Given {
    let mut bytes = sound(p);
    change(&mut bytes);
    let trailer = bytes.len() - nephrobox_shared::package::TRAILER_LEN;
    let hash = blake3::hash(&bytes[..trailer]);
    bytes[trailer..trailer + 32].copy_from_slice(hash.as_bytes());
    p.file("a.nbx", bytes)
}
