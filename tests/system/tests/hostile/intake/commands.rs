//! Words of a command line: ids that are none, and commands at a box that does not run.

use std::ffi::OsString;

use crate::ground::Place;
use crate::row::{Given, Row, Section, refused};
use crate::run::REFUSAL_KIB;

pub(crate) const ERASE: Section = Section::of_program(
    "A scan to erase",
    "nephrobox erase SCAN-ID",
    |p, given| with_config(p, Given::from(["box", "erase"]).and(given)),
    REFUSAL_KIB,
    ERASE_ROWS,
);

pub(crate) const EXPORT: Section = Section::of_program(
    "A scan to export",
    "nephrobox export SCAN-ID --out DIR",
    |p, given| with_config(p, Given::from(["box", "export"]).and(given)),
    REFUSAL_KIB,
    EXPORT_ROWS,
);

pub(crate) const WORDS: Section = Section::of_program(
    "Words of the tools",
    "nephroctl COMMAND",
    |_, given| Given::from(["ctl"]).and(given).0,
    REFUSAL_KIB,
    WORD_ROWS,
);

const ID: &str = "00000042-9f86d081";

#[rustfmt::skip]
const ERASE_ROWS: &[Row] = &[
    refused("a scan that the box does not know", |_| [ID].into(), 3, "no such scan"),
    refused("no id", |_| Given::default(), 2, "required arguments"),
    refused("an empty id", |_| [""].into(), 2, "eight digits"),
    refused("a path upwards", |_| ["../../../etc/passwd"].into(), 2, "eight digits"),
    refused("an id with a path behind it", |_| ["00000042-9f86d081/../.."].into(), 2, "eight digits"),
    refused("all of them", |_| ["*"].into(), 2, "eight digits"),
    refused("two ids", |_| [ID, ID].into(), 2, "unexpected argument"),
];

#[rustfmt::skip]
const EXPORT_ROWS: &[Row] = &[
    refused("a scan that the box does not know", |_| [ID, "--out", "out"].into(), 3, "no such scan"),
    refused("a path upwards", |_| ["../../results", "--out", "out"].into(), 2, "eight digits"),
    refused("into a file", |p| { p.file("out", b"mine"); [ID, "--out", "out"].into() }, 6, "is a file"),
    refused("into a folder with files", |p| { std::fs::create_dir(p.path("out")).expect("a folder"); p.file("out/mine", b""); [ID, "--out", "out"].into() }, 6, "not empty"),
    refused("without a place", |_| [ID].into(), 2, "required arguments"),
];

#[rustfmt::skip]
const WORD_ROWS: &[Row] = &[
    refused("a command that does not exist", |_| ["destroy"].into(), 2, "unrecognized subcommand"),
    refused("a port that is no port", |_| ["status", "--port", "nonsense://"].into(), 5, "cannot be opened"),
    refused("a host of 100,000 letters", |_| ["status", "--port", format!("tcp://{}", "a".repeat(100_000)).as_str()].into(), 2, "needs certificates"),
    refused("a host with commands to the terminal", |_| ["status", "--port", "tcp://\u{1b}[2J\n:1"].into(), 2, "needs certificates"),
    refused("a serial port that is a text", |p| Given::from(["status", "--patience", "1", "--port"]).and(p.file("port", "hello")), 5, "no serial port"),
    refused("a serial port that is not there", |_| ["status", "--patience", "1", "--port", "/dev/nowhere"].into(), 5, "No such file"),
    refused("a speed of 0", |_| ["status", "--baud", "0"].into(), 2, "invalid value"),
    refused("a wait of 10^20 seconds", |_| ["status", "--patience", "100000000000000000000"].into(), 2, "invalid value"),
    refused("a certificate without its key", |_| ["status", "--tls-cert", "a.pem"].into(), 2, "required arguments"),
    refused("certificates that are texts", |p| tls(p, "no certificate"), 3, "certificate"),
    refused("certificates that are empty", |p| tls(p, ""), 3, "certificate"),
    refused("certificates that are damaged", |p| tls(p, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 3, "certificate|key"),
    refused("an authority out of a pipe that nobody writes into", |p| { p.pipe("ca.pem"); tls_of(p.file("a.pem", "").and(["--tls-key", "a.pem", "--tls-ca", "ca.pem"])) }, 3, "no file"),
    refused("a key's name that is taken", |p| { p.file("mine.secret", b"old"); p.file("mine.public", b"old"); ["keygen", "mine"].into() }, 6, "there already"),
    refused("a key's name in a folder that is not there", |_| ["keygen", "nowhere/key"].into(), 6, "No such file"),
    refused("a permit for a version of words", |_| ["permit", "a.nbx", "--replaces", "all", "--key", "k"].into(), 2, "invalid value"),
    refused("a permit for a version below 0", |_| ["permit", "a.nbx", "--replaces=-1", "--key", "k"].into(), 2, "invalid value"),
    refused("an id that is a path, to fetch", |_| ["fetch", "../../etc", "--out", "out", "--port", "/dev/null", "--patience", "1"].into(), 5, "cannot be opened"),
];

/// A configuration whose box has never run.
fn with_config(p: &Place<'_>, given: Given) -> Vec<OsString> {
    // Beside the input: the command makes the state folder, as the box would.
    let state = p.aside("state");
    let config = format!("[box]\nstate = \"{}\"\n", state.display());
    let file = p.file("box.toml", config);
    given.and(["--config"]).and(file).0
}

/// Three files of the same text for a line over the network.
fn tls(p: &Place<'_>, text: &str) -> Given {
    let file = p.file("a.pem", text);
    tls_of(file.and(["--tls-key", "a.pem", "--tls-ca", "a.pem"]))
}

fn tls_of(files: Given) -> Given {
    Given::from([
        "status",
        "--patience",
        "1",
        "--port",
        "tcp://127.0.0.1:1",
        "--tls-cert",
    ])
    .and(files)
}
