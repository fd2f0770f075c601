//! What tools send over the line to a box that runs, and what is no tool.

use std::fs;
use std::io::Write as _;

use nephrobox_shared::package::{SecretKey, signing};

use super::program;
use super::site::{MOST_BYTES, Site};
use crate::ground::{Ground, Place};
use crate::phantom::nifti::{Declared, F32, Order};
use crate::row::{Given, Row, Section, Told, Way, refused, taken};
use crate::run::{self, WORK_KIB};
use crate::support::{Kind, active};

pub(crate) const SECTION: Section = Section {
    title: "Scans over the line",
    command: "nephroctl COMMAND, to a box that runs",
    way: Way::Service(scans),
};

pub(crate) const PACKAGES: Section = Section {
    title: "Packages over the line",
    command: "nephroctl flash PACKAGE, to a box that runs",
    way: Way::Service(packages),
};

const ID: &str = "00000042-9f86d081";

#[rustfmt::skip]
const SCANS: &[Row] = &[
    refused("a scan that is none", |p| Given::from(["send"]).and(p.file("a.nii", "no scan".repeat(90))), 3, "no NIfTI-1 header"),
    refused("a scan that was cut off", |p| { let whole = crate::ground::scan(|_| ()); Given::from(["send"]).and(p.file("a.nii", &whole[..9000])) }, 3, "only"),
    refused("a pipe that nobody writes into", |p| Given::from(["send"]).and(p.pipe("a.nii")), 3, "a pipe or a device|no DICOM file"),
    refused("a device without end", |_| ["send", "/dev/zero"].into(), 3, "a pipe or a device|no DICOM file"),
    refused("a series with a gap", |p| Given::from(["send"]).and(p.series(|s| { s.remove(9); })), 3, "missing"),
    refused("a folder of two series", |p| Given::from(["send"]).and(p.series(|s| for one in &mut s[..9] { one.text(dicom_dictionary_std::tags::SERIES_INSTANCE_UID, dicom_core::VR::UI, "2.25.4"); })), 3, "2 CT series|2 series|two series|series"),
    refused("a scan larger than the box takes", |p| Given::from(["send"]).and(p.file("a.nii", large())), 7, "4000000|larger"),
    refused("NaN in the last voxel, which only the box finds", |p| Given::from(["send"]).and(p.file("a.nii", nan())), 8, "value NaN"),
    refused("results into a folder with files", |p| { fs::create_dir(p.path("out")).expect("a folder"); p.file("out/mine", b""); Given::from(["send", "--out", "out"]).and(p.nifti(|_| ())) }, 6, "not empty|files"),
    refused("a scan that the box does not know", |_| ["fetch", ID, "--out", "out"].into(), 7, "no such scan"),
    refused("a scan that is a path upwards", |_| ["fetch", "../../../etc/passwd", "--out", "out"].into(), 7, "eight digits"),
    refused("a scan of 100,000 letters", |_| ["fetch", "a".repeat(100_000).as_str(), "--out", "out"].into(), 7, "eight digits"),
    refused("to erase a path upwards", |_| ["erase", "../../models", "--yes"].into(), 7, "eight digits"),
    refused("to erase everything", |_| ["erase", "*", "--yes"].into(), 7, "eight digits"),
    refused("to export a path upwards", |_| ["export", "../..", "--out", "out"].into(), 7, "eight digits"),
    taken("a name with line breaks, commands to the terminal and a path", |p| Given::from(["send", "--no-wait"]).and(p.file("a\n\u{1b}[2J..%2f.nii", crate::ground::scan(|_| ()))), "-"),
];

/// Bytes on the line before a tool comes.
type Noise = (&'static str, fn() -> Vec<u8>);

const NOISE: [Noise; 5] = [
    ("64 kB of zeros", || vec![0; 64 << 10]),
    ("64 kB without an end of a frame", || vec![0x55; 64 << 10]),
    ("a login at a terminal", || {
        b"root\r\npassword\r\nrm -rf /\r\n".to_vec()
    }),
    ("frames of one byte", || [7, 0].repeat(4096)),
    ("64 kB by chance", || {
        let mut state = 7_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(64 << 10).collect()
    }),
];

#[rustfmt::skip]
const FLASHES: &[Row] = &[
    refused("a package without a signature", |p| flash(program::named(p, 9)), 4, "nobody has signed"),
    refused("a package that another key signed", |p| flash(signed(p, 9, &SecretKey::from_seed(&[9; 32]))), 7, "not among the trusted keys"),
    refused("a package of an older version", |p| flash(own(p, 2)), 7, "version"),
    refused("a package that was changed after it was signed", |p| { own(p, 9); let path = p.path("a.nbx"); let mut bytes = fs::read(&path).expect("a package"); bytes[100] ^= 1; fs::write(&path, bytes).expect("written"); ["flash", "a.nbx"].into() }, 4, "hash"),
    refused("half of a package", |p| { own(p, 9); let bytes = fs::read(p.path("a.nbx")).expect("a package"); flash(p.file("a.nbx", &bytes[..bytes.len() / 2])) }, 4, "cut off"),
    refused("a package without a self-test", |p| { program::bare(p, 9); sign(p, "a.nbx"); ["flash", "a.nbx"].into() }, 7, "self-test"),
    refused("a package whose self-test fails", |p| { lying(p); ["flash", "a.nbx"].into() }, 8, "self-test|label"),
    refused("a pipe that nobody writes into", |p| flash(p.pipe("a.nbx")), 4, "cannot be read"),
    refused("a version of 2^64 less one, and back", |p| { own(p, u64::MAX); ["flash", "a.nbx", "--permit", "nowhere.permit"].into() }, 3, "No such file"),
];

fn large() -> Vec<u8> {
    crate::ground::scan(|raw| {
        raw.dim[1] = 400;
        raw.voxels = raw.voxels.repeat(20);
    })
}

const _: () = assert!(400 * 64 * 96 * 2 > MOST_BYTES);

fn nan() -> Vec<u8> {
    let value = |at: [usize; 3]| if at == [19, 63, 95] { f64::NAN } else { 0.0 };
    crate::phantom::raw(Order::KITS, Declared::Sform, F32, value).bytes()
}

fn flash(package: Given) -> Given {
    Given::from(["flash"]).and(package)
}

/// A package signed with a key.
fn signed(p: &Place<'_>, version: u64, key: &SecretKey) -> Given {
    let given = program::named(p, version);
    let mut bytes = fs::read(p.path("a.nbx")).expect("a package");
    signing::sign(&mut bytes, key).expect("signed");
    fs::write(p.path("a.nbx"), bytes).expect("written");
    given
}

/// Signs a package with the key that the box trusts.
fn sign(p: &Place<'_>, name: &str) {
    let text = fs::read_to_string(p.aside(KEY)).expect("the key");
    let key: SecretKey = text.parse().expect("a key");
    let mut bytes = fs::read(p.path(name)).expect("a package");
    signing::sign(&mut bytes, &key).expect("signed");
    fs::write(p.path(name), bytes).expect("written");
}

/// A package signed with the key that the box trusts.
fn own(p: &Place<'_>, version: u64) -> Given {
    let given = program::named(p, version);
    sign(p, "a.nbx");
    given
}

/// The package whose self-test says something else than its network; made by the site.
fn lying(p: &Place<'_>) {
    fs::copy(p.aside(LYING), p.path("a.nbx")).expect("copied");
}

/// Beside a row's folder: the key that the box trusts, and a package that lies.
const KEY: &str = "signing.secret";
const LYING: &str = "lying.nbx";

/// Runs the tools' rows at a box.
fn tools(
    ground: &Ground,
    site: &Site,
    lying: &std::path::Path,
    rows: &[Row],
) -> Vec<Result<Told, String>> {
    let port = site.home.rig.cable().tool_end().to_owned();
    let mut told = Vec::new();
    for row in rows {
        let place = Place::new(ground, 1);
        fs::copy(site.home.rig.key(), place.aside(KEY)).expect("the key");
        fs::copy(lying, place.aside(LYING)).expect("the package");
        let words = Given::from(["ctl"]).and((row.make)(&place));
        let words = words.and(["--port"]).and(port.clone()).0;
        let one = run::once(&place, row, &words, WORK_KIB);
        told.push(one.map_err(|why| format!("{}: {why}", row.name)));
    }
    told
}

fn scans(ground: &Ground) -> Vec<Result<Told, String>> {
    let mut site = Site::running(ground);
    let package = site.home.model(4, Kind::Lying);
    let mut told = tools(ground, &site, &package, SCANS);
    for (name, bytes) in NOISE {
        told.push(noise(&mut site, name, &bytes()));
    }
    if let Err(why) = site.is_well() {
        told.push(Err(why));
    }
    told
}

fn packages(ground: &Ground) -> Vec<Result<Told, String>> {
    let mut site = Site::running(ground);
    let package = site.home.model(4, Kind::Lying);
    let mut told = tools(ground, &site, &package, FLASHES);
    let runs = active(&mut site.client());
    if runs != Some(3) {
        told.push(Err(format!(
            "version {runs:?} runs, and not the one from before"
        )));
    }
    if let Err(why) = site.is_well() {
        told.push(Err(why));
    }
    told
}

/// Writes to the line as somebody would who takes it for something else; the next tool is answered.
fn noise(site: &mut Site, name: &str, bytes: &[u8]) -> Result<Told, String> {
    let end = site.home.rig.cable().tool_end().to_owned();
    let mut port = fs::OpenOptions::new()
        .write(true)
        .open(end)
        .map_err(|error| format!("{name}: {error}"))?;
    port.write_all(bytes)
        .map_err(|error| format!("{name}: {error}"))?;
    drop(port);
    let client = site.home.rig.client();
    client.map_err(|error| format!("{name}: {error}"))?;
    Ok(Told {
        name: format!("{name}, and then a tool"),
        answer: "none".into(),
        what: "the tool is answered".into(),
        remedy: String::new(),
    })
}
