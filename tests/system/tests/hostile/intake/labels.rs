//! What validators give: label maps, and the two files that say which cases a model was scored on.

use std::ffi::OsString;
use std::fs;

use super::package::sound;
use crate::ground::{Place, SHAPE};
use crate::phantom::nifti::{Declared, F32, I16, Order, RawNifti, place as put_affine};
use crate::phantom::{self, label};
use crate::row::{Given, Row, Section, Way, refused, taken};
use crate::run::REFUSAL_KIB;

pub(crate) const SCORE: Section = Section {
    title: "Label maps",
    command: "nephroctl score LABELS --truth TRUTH",
    way: Way::Program {
        call: |p, given| {
            let truth = p.file("truth.nii", truth(|_| ()));
            let words = Given::from(["ctl", "score"]).and(given);
            words.and(["--truth"]).and(truth).0
        },
        kib: REFUSAL_KIB,
        rows: SCORE_ROWS,
    },
};

pub(crate) const VALIDATE: Section = Section::of_program(
    "Data to validate with",
    "nephroctl validate --data DIR --set DIR --model PACKAGE",
    validate,
    REFUSAL_KIB,
    VALIDATE_ROWS,
);

#[rustfmt::skip]
const SCORE_ROWS: &[Row] = &[
    refused("a file that is not there", |_| ["nowhere.nii"].into(), 3, "cannot open"),
    refused("a pipe that nobody writes into", |p| p.pipe("labels.nii"), 3, "a pipe or a device"),
    refused("a device without end", |_| ["/dev/zero"].into(), 3, "a pipe or a device"),
    refused("an empty file", |p| p.file("labels.nii", b""), 3, "0 bytes"),
    refused("label 3", |p| maps(p, F32, |at| if at == [19, 63, 95] { 3.0 } else { f64::from(label(at)) }), 3, "label 3"),
    refused("label -1", |p| maps(p, I16, |at| if at == [0, 0, 0] { -1.0 } else { 0.0 }), 3, "label -1"),
    refused("label 255", |p| maps(p, 2, |_| 255.0), 3, "label 255"),
    refused("label 0.5", |p| maps(p, F32, |_| 0.5), 3, "label 0.5"),
    refused("label NaN", |p| maps(p, F32, |_| f64::NAN), 3, "value NaN"),
    refused("the scan in place of the labels", |p| p.nifti(|_| ()), 3, "label"),
    refused("another size", |p| p.file("labels.nii", sized([19, 64, 96])), 3, "grids disagree"),
    refused("another place in the patient", |p| p.file("labels.nii", truth(|raw| raw.srow[0][3] += 40.0)), 3, "grids disagree"),
    refused("another spacing", |p| p.file("labels.nii", moved()), 3, "grids disagree"),
    refused("cut off at every 1 %", |p| { let whole = truth(|_| ()); p.file("labels.nii", p.cut(&whole)) }, 3, "only|0 bytes|of a header").at_every_percent(),
    refused("a series in a tar", |p| p.file("labels.nii", super::tar::sound()), 3, "NIfTI-1"),
    taken("the same in other axes", |p| p.file("labels.nii", phantom::raw_labels(Order { axes: [2, 1, 0], reversed: [true, false, true] }, Declared::Qform).bytes()), "100.00 %"),
    taken("labels in floats", |p| maps(p, F32, |at| f64::from(label(at))), "100.00 %"),
];

#[rustfmt::skip]
const VALIDATE_ROWS: &[Row] = &[
    refused("a set that is not there", |_| ["nowhere"].into(), 3, "fingerprint"),
    refused("an empty set", |p| set(p, None, None), 3, "fingerprint"),
    refused("a fingerprint of nothing", |p| set(p, Some(b""), Some(b"")), 3, "no fingerprint"),
    refused("a fingerprint that is a text", |p| set(p, Some(b"thumb"), Some(b"")), 3, "no fingerprint"),
    refused("a fingerprint of brackets, 100,000 deep", |p| set(p, Some("[".repeat(100_000).as_bytes()), Some(b"")), 3, "no fingerprint"),
    refused("a fingerprint of 1 TB", |p| { let given = set(p, None, Some(b"")); p.sparse("set/fingerprint.json", b"{", 1 << 40); given }, 3, "fingerprint"),
    refused("a fingerprint out of a pipe that nobody writes into", |p| { let given = set(p, None, Some(b"")); p.pipe("set/fingerprint.json"); given }, 3, "fingerprint"),
    refused("a fingerprint that was changed", |p| set(p, Some(changed().as_bytes()), Some(b"")), 3, "changed after"),
];

/// The truth as the bytes of a file, spoilt.
fn truth(spoil: impl FnOnce(&mut RawNifti)) -> Vec<u8> {
    let mut raw = phantom::raw_labels(Order::KITS, Declared::Sform);
    spoil(&mut raw);
    raw.bytes()
}

/// Label maps on the grid of the truth.
fn maps(p: &Place<'_>, datatype: i16, value: fn([usize; 3]) -> f64) -> Given {
    let raw = phantom::raw(Order::KITS, Declared::Sform, datatype, value);
    p.file("labels.nii", raw.bytes())
}

/// A label map of another size.
fn sized(shape: [usize; 3]) -> Vec<u8> {
    let mut raw = RawNifti::new(shape, 2, std::iter::repeat_n(0.0, shape.iter().product()));
    let affine = Order::KITS.affine(shape, phantom::SPACING, phantom::ORIGIN);
    put_affine(&mut raw, &affine, Declared::Sform);
    raw.bytes()
}

/// A label map of another spacing.
fn moved() -> Vec<u8> {
    let affine = Order::KITS.affine(SHAPE, [3.0, 0.75, 0.9], phantom::ORIGIN);
    truth(|raw| put_affine(raw, &affine, Declared::Sform))
}

/// A fingerprint of no volumes under the hash of something else.
fn changed() -> String {
    let options = nephrobox_dataset::Options::default();
    let fingerprint = nephrobox_dataset::Fingerprint::new(options, Vec::new());
    let text = serde_json::to_string(&fingerprint).expect("JSON");
    text.replace(&fingerprint.overall, &"0".repeat(64))
}

/// A folder with these two files.
fn set(p: &Place<'_>, fingerprint: Option<&[u8]>, split: Option<&[u8]>) -> Given {
    fs::create_dir(p.path("set")).expect("a folder");
    for (name, bytes) in [
        ("set/fingerprint.json", fingerprint),
        ("set/split.toml", split),
    ] {
        if let Some(bytes) = bytes {
            p.file(name, bytes);
        }
    }
    p.path("set").into()
}

fn validate(p: &Place<'_>, given: Given) -> Vec<OsString> {
    let package = scored(p);
    fs::create_dir(p.path("data")).expect("a folder");
    Given::from([
        "ctl",
        "validate",
        "--data",
        "data",
        "--out",
        "validation",
        "--port",
        "/dev/null",
        "--model",
    ])
    .and(p.file("a.nbx", package))
    .and(["--set"])
    .and(given)
    .0
}

/// The small model with scores to compare with.
fn scored(p: &Place<'_>) -> Vec<u8> {
    let loaded = nephrobox_engine::package::Model::from_vec(sound(p)).expect("a model");
    let mut manifest = loaded.model.manifest().clone();
    let mut evaluation = nephrobox_shared::metrics::Evaluation::new();
    evaluation
        .add(1, &[0, 1, 1, 2], &[0, 1, 1, 1], 1.0)
        .expect("sound labels");
    manifest.scores.float = Some(evaluation.scores());
    let model = loaded.model.with_manifest(manifest).expect("a model");
    model.to_bytes().expect("a package")
}
