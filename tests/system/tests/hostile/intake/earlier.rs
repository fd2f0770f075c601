//! Earlier reports that are none, and places for results that are none.

use std::ffi::OsString;
use std::fs;

use crate::ground::Place;
use crate::row::{Given, Row, Section, refused};
use crate::run::REFUSAL_KIB;

pub(crate) const SECTION: Section = Section::of_program(
    "An earlier report, and places for results",
    "nephrobox segment SCAN --earlier REPORT --out DIR",
    call,
    REFUSAL_KIB,
    ROWS,
);

/// A sound scan and model, and what the row adds.
fn call(p: &Place<'_>, given: Given) -> Vec<OsString> {
    Given::from(["box", "segment"])
        .and(p.nifti(|_| ()))
        .and(["--device", "cpu", "--threads", "1", "--model"])
        .and(p.ground().model.clone())
        .and(given)
        .0
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("a report that is not there", |_| earlier(["nowhere.json"]), 3, "cannot be read"),
    refused("a folder without a report", |p| { fs::create_dir(p.path("old")).expect("a folder"); earlier(p.path("old")) }, 3, "cannot be read"),
    refused("an empty report", |p| earlier(p.file("report.json", b"")), 3, "no report of nephrobox"),
    refused("a text", |p| earlier(p.file("report.json", "Dear colleague,")), 3, "no report of nephrobox"),
    refused("JSON of another kind", |p| earlier(p.file("report.json", "{\"schema_version\": 1, \"notice\": 7}")), 3, "no report of nephrobox"),
    refused("brackets, 100,000 deep", |p| earlier(p.file("report.json", "[".repeat(100_000))), 3, "no report of nephrobox"),
    refused("a report that is no UTF-8", |p| earlier(p.file("report.json", b"{\"notice\": \"\xff\xfe\"}")), 3, "no report of nephrobox"),
    refused("a report with the patient's name in a wrong place", |p| earlier(p.file("report.json", "{\"schema_version\": \"Zzyzx^Quentin\"}")), 3, "no report of nephrobox"),
    refused("a report of 1 TB", |p| earlier(p.sparse("report.json", b"{", 1 << 40)), 3, "cannot be read"),
    refused("a report without end", |_| earlier(["/dev/zero"]), 3, "cannot be read"),
    refused("a report out of a pipe that nobody writes into", |p| earlier(p.pipe("report.json")), 3, "cannot be read"),
    refused("results into a file", |p| out(p.file("results", b"mine")), 6, "is a file"),
    refused("results below a file", |p| { p.file("results", b"mine"); out(p.path("results/new")) }, 6, "Not a directory"),
    refused("results into a folder with files", |p| { fs::create_dir(p.path("results")).expect("a folder"); p.file("results/thesis.txt", b"mine"); out(p.path("results")) }, 6, "not empty"),
    refused("results into a device", |_| out(["/dev/null"]), 6, "is a file"),
    refused("results into a name of 300 letters", |_| out(["r".repeat(300).as_str()]), 6, "name too long"),
    refused("results into an empty name", |_| out([""]), 2, "a value is required"),
    refused("results where only the kernel writes", |_| out(["/proc/nephrobox"]), 6, "No such file|denied|cannot be written"),
];

fn earlier(report: impl Into<Given>) -> Given {
    Given::from(["--out", "new", "--earlier"]).and(report)
}

fn out(folder: impl Into<Given>) -> Given {
    Given::from(["--out"]).and(folder)
}
