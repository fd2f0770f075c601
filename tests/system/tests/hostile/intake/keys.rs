//! Keys and permits that are none.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nephrobox_shared::package::{PackageView, SecretKey, permit, signing};

use super::package::sound;
use crate::ground::Place;
use crate::row::{Given, Row, Section, Way, refused};
use crate::run::REFUSAL_KIB;

pub(crate) const SIGNING: Section = Section {
    title: "A secret key",
    command: "nephroctl sign PACKAGE --key FILE",
    way: Way::Program {
        call: |p, given| {
            let package = sound(p);
            let words = Given::from(["ctl", "sign"]).and(p.file("a.nbx", package));
            words.and(["--out", "signed.nbx", "--key"]).and(given).0
        },
        kib: REFUSAL_KIB,
        rows: SIGNING_ROWS,
    },
};

pub(crate) const PUBLIC: Section = Section {
    title: "A public key",
    command: "nephroctl verify PACKAGE --key KEY",
    way: Way::Program {
        call: |p, given| {
            let package = sound(p);
            let words = Given::from(["ctl", "verify"]).and(p.file("a.nbx", package));
            words.and(["--key"]).and(given).0
        },
        kib: REFUSAL_KIB,
        rows: PUBLIC_ROWS,
    },
};

pub(crate) const PERMITS: Section = Section::of_program(
    "A permit to go back",
    "nephroctl flash PACKAGE --permit FILE",
    flash,
    REFUSAL_KIB,
    PERMIT_ROWS,
);

#[rustfmt::skip]
const SIGNING_ROWS: &[Row] = &[
    refused("a file that is not there", |_| ["nowhere.secret"].into(), 3, "No such file"),
    refused("an empty file", |p| private(p, b""), 3, "no secret key"),
    refused("a text", |p| private(p, b"open sesame"), 3, "no secret key"),
    refused("a public key", |p| private(p, format!("{}\n", key().public()).as_bytes()), 3, "public key"),
    refused("half a key", |p| private(p, &key().text().as_bytes()[..40]), 3, "64 hexadecimal digits"),
    refused("a key with a letter that is no digit", |p| private(p, &[&key().text().as_bytes()[..82], b"g"].concat()), 3, "64 hexadecimal digits"),
    refused("a key of a later form", |p| private(p, b"nephrobox-secret-99:00"), 3, "later form"),
    refused("a key that others can read", |p| p.file("k.secret", key().text().as_bytes()), 3, "others can read"),
    refused("1 MB of zeros", |p| private(p, &vec![0; 1 << 20]), 3, "no secret key"),
    refused("a key with 1 MB behind it", |p| private(p, &[key().text().as_bytes().as_slice(), &vec![b'a'; 1 << 20]].concat()), 3, "no secret key|digits"),
    refused("a key that is no UTF-8", |p| private(p, b"nephrobox-secret-1:\xff\xfe"), 3, "no secret key"),
    refused("a pipe that nobody writes into", |p| p.pipe("k.secret"), 3, "no file"),
    refused("a folder", |p| { fs::create_dir(p.path("k.secret")).expect("a folder"); p.path("k.secret").into() }, 3, "no file|others can read|directory"),
    refused("a device without end", |_| ["/dev/zero"].into(), 3, "no file|others can read"),
];

#[rustfmt::skip]
const PUBLIC_ROWS: &[Row] = &[
    refused("a secret key on the command line", |_| ["nephrobox-secret-1:00"].into(), 3, "secret key"),
    refused("a key without digits", |_| ["nephrobox-key-1:"].into(), 3, "64 hexadecimal digits"),
    refused("a key of zeros, under which one signature fits many", |_| [format!("nephrobox-key-1:{}", "0".repeat(64)).as_str()].into(), 3, "proves"),
    refused("a key that is no point of the curve", |_| [format!("nephrobox-key-1:{}", "02".repeat(32)).as_str()].into(), 3, "proves"),
    refused("a key of a later form", |_| ["nephrobox-key-2:00"].into(), 3, "later form"),
    refused("100,000 digits", |_| [format!("nephrobox-key-1:{}", "0".repeat(100_000)).as_str()].into(), 3, "64 hexadecimal digits"),
    refused("an empty word", |_| [""].into(), 3, "No such file"),
    refused("a pipe that nobody writes into", |p| p.pipe("k.public"), 3, "no file"),
    refused("a file of two keys", |p| p.file("k.public", format!("{0}\n{0}\n", key().public())), 3, "64 hexadecimal digits"),
];

#[rustfmt::skip]
const PERMIT_ROWS: &[Row] = &[
    refused("a file that is not there", |_| ["nowhere.permit"].into(), 3, "No such file"),
    refused("an empty file", |p| p.file("a.permit", b""), 3, "no permit"),
    refused("a text", |p| p.file("a.permit", "let me in"), 3, "no permit"),
    refused("cut off at every 1 %", |p| { let whole = issued(p); p.file("a.permit", p.cut(&whole)) }, 3, "permit").at_every_percent(),
    refused("bytes behind it", |p| { let whole = issued(p); p.file("a.permit", [whole, vec![0; 9]].concat()) }, 3, "137 bytes|bytes"),
    refused("a later format", |p| { let mut whole = issued(p); whole[4] = 9; p.file("a.permit", whole) }, 3, "version 9|version"),
    refused("bytes that must be 0", |p| { let mut whole = issued(p); whole[6] = 1; p.file("a.permit", whole) }, 3, "0"),
    refused("another package's", |p| { let bytes = permit::make(&[7; 32], 9, &key()); p.file("a.permit", bytes) }, 3, "package"),
    refused("a changed version", |p| { let mut whole = issued(p); whole[40] ^= 1; p.file("a.permit", whole) }, 3, "signature|signed"),
    refused("1 TB of nothing", |p| p.sparse("a.permit", b"NBP1", 1 << 40), 3, "1099511627776 bytes"),
    refused("a pipe that nobody writes into", |p| p.pipe("a.permit"), 3, "no file"),
    refused("a device without end", |_| ["/dev/zero"].into(), 3, "no file"),
];

fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

/// A file that only its owner can read, as keys must be.
fn private(p: &Place<'_>, bytes: &[u8]) -> Given {
    let given = p.file("k.secret", bytes);
    let owner = fs::Permissions::from_mode(0o600);
    fs::set_permissions(p.path("k.secret"), owner).expect("rights");
    given
}

/// A sound permit for the small model.
fn issued(p: &Place<'_>) -> Vec<u8> {
    let whole = sound(p);
    let view = PackageView::open(&whole).expect("a package");
    permit::make(view.hash(), 9, &key()).to_vec()
}

/// `nephroctl flash` as far as it goes without a box: the permit is looked at first.
fn flash(p: &Place<'_>, given: Given) -> Vec<OsString> {
    let mut package = sound(p);
    signing::sign(&mut package, &key()).expect("signed");
    Given::from(["ctl", "flash"])
        .and(p.file("a.nbx", package))
        .and([
            "--verify-key",
            key().public().to_string().as_str(),
            "--port",
            "/dev/null",
            "--permit",
        ])
        .and(given)
        .0
}
