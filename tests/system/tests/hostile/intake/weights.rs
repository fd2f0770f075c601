//! Weights and settings that the trainer is given.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::ground::Place;
use crate::row::{Given, Row, Section, refused};
use crate::run::{REFUSAL_KIB, WORK_KIB};

pub(crate) const WEIGHTS: Section = Section::of_program(
    "Weights to start from",
    "nephrotrain train --weights FILE --data DIR --out RUN",
    |_, given| train(Given::from(["--weights"]).and(given)),
    REFUSAL_KIB,
    WEIGHT_ROWS,
);

pub(crate) const SETTINGS: Section = Section::of_program(
    "Settings of a training",
    "nephrotrain train --config FILE --data DIR --out RUN",
    |_, given| train(Given::from(["--config"]).and(given)),
    REFUSAL_KIB,
    SETTING_ROWS,
);

fn train(given: Given) -> Vec<OsString> {
    Given::from(["train", "train"])
        .and(given)
        .and(["--data", "nowhere", "--out", "run", "--device", "cpu"])
        .0
}

/// A file of the trainer's own tests, written by the real libraries.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../trainer/tests/fixtures");
    fs::read(folder.join(name)).expect("a fixture")
}

/// Such a file, changed.
fn changed(p: &Place<'_>, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Given {
    let mut bytes = fixture(name);
    change(&mut bytes);
    p.file(name, bytes)
}

const KERAS: &str = "keras_weights_fixed.h5";
const TORCH: &str = "torch_zip.pth";
const OLD_TORCH: &str = "torch_legacy.pth";
const SAFE: &str = "torchvision_unet_logits.safetensors";

/// A file of safetensors with this header and nothing behind it.
fn safetensors(p: &Place<'_>, header: &str) -> Given {
    let length = (header.len() as u64).to_le_bytes();
    p.file("a.safetensors", [&length, header.as_bytes()].concat())
}

/// A pickle of these bytes behind the magic number, as PyTorch wrote them before it took zips.
fn pickle(p: &Place<'_>, code: &[u8]) -> Given {
    let magic = &fixture(OLD_TORCH)[..15];
    p.file("a.pth", [magic, b"\x80\x02", code].concat())
}

#[rustfmt::skip]
const WEIGHT_ROWS: &[Row] = &[
    refused("a file that is not there", |_| ["nowhere.h5"].into(), 1, "cannot be read"),
    refused("a folder", |p| { fs::create_dir(p.path("a.h5")).expect("a folder"); p.path("a.h5").into() }, 1, "a folder"),
    refused("a pipe that nobody writes into", |p| p.pipe("a.h5"), 1, "a pipe or a device"),
    refused("a device without end", |_| ["/dev/zero"].into(), 1, "a pipe or a device"),
    refused("a file of 2 TB", |p| p.sparse("a.h5", b"\x89HDF\r\n\x1a\n", 2 << 40), 1, "at most"),
    refused("an empty file", |p| p.file("a.h5", b""), 1, "it is empty"),
    refused("a text", |p| p.file("a.h5", "no weights"), 1, "none of the formats"),
    refused("a web page in place of a download", |p| p.file("a.h5", "<!DOCTYPE html><title>Sign in</title>"), 1, "web page"),
    refused("a pointer of Git LFS", |p| p.file("a.h5", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n"), 1, "Git LFS"),
    refused("a model package", |p| { let whole = super::package::sound(p); p.file("a.h5", whole) }, 1, "a model package"),
    refused("a scan", |p| p.nifti(|_| ()), 1, "none of the formats"),
    refused("HDF5 without weights", |p| p.file("a.h5", fixture("not_keras.h5")), 1, "no Keras layers"),
    refused("Keras, cut off at every 1 %", |p| p.file("a.h5", p.cut(&fixture(KERAS))), 1, "weights file").at_every_percent(),
    refused("Keras, 8 bytes of ones at every 1 %", |p| changed(p, KERAS, |bytes| ones(bytes, p.turn)), 1, "weights file|does not fit").at_every_percent(),
    refused("safetensors, cut off at every 1 %", |p| p.file("a.safetensors", p.cut(&fixture(SAFE))), 1, "weights file").at_every_percent(),
    refused("safetensors, 8 bytes of ones at every 1 %", |p| changed(p, SAFE, |bytes| ones(bytes, p.turn)), 1, "weights").at_every_percent(),
    refused("a header of 2^64 bytes less one", |p| p.file("a.safetensors", [[0xff; 8].as_slice(), b"{}"].concat()), 1, "none of the formats"),
    refused("a header that is no JSON", |p| safetensors(p, "{nothing"), 1, "damaged"),
    refused("a header of brackets, 60,000 deep", |p| safetensors(p, &"{\"a\":".repeat(60_000)), 1, "damaged"),
    refused("a tensor that ends before it begins", |p| safetensors(p, r#"{"conv1.weight":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#), 1, "damaged"),
    refused("a tensor of 2^60 values", |p| safetensors(p, r#"{"conv1.weight":{"dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,4]}}"#), 1, "damaged"),
    refused("a tensor of a kind that does not exist", |p| safetensors(p, r#"{"conv1.weight":{"dtype":"X9","shape":[1],"data_offsets":[0,4]}}"#), 1, "damaged"),
    refused("no tensors", |p| safetensors(p, "{}"), 1, "holds no weights"),
    refused("a name with commands to the terminal", |p| named(p, r"layer1.0.\u001b[2J\n.weight"), 1, "network|weights"),
    refused("a name of 100,000 letters", |p| named(p, &format!("layer1.0.{}.weight", "a".repeat(100_000))), 1, "network|weights"),
    refused("PyTorch, cut off at every 1 %", |p| p.file("a.pth", p.cut(&fixture(TORCH))), 1, "weights file|known here").at_every_percent(),
    refused("PyTorch, 8 bytes of ones at every 1 %", |p| changed(p, TORCH, |bytes| ones(bytes, p.turn)), 1, "weights").at_every_percent(),
    refused("PyTorch of old, cut off at every 1 %", |p| p.file("a.pth", p.cut(&fixture(OLD_TORCH))), 1, "weights file|known here").at_every_percent(),
    refused("PyTorch of old, 8 bytes of ones at every 1 %", |p| changed(p, OLD_TORCH, |bytes| ones(bytes, p.turn)), 1, "weights").at_every_percent(),
    refused("a pickle that runs a program", |p| pickle(p, b"cos\nsystem\nX\x0a\0\0\0touch evil\x85R."), 1, "weights"),
    refused("a pickle of lists, 100,000 deep", |p| pickle(p, &[b"]".repeat(100_000), b"a".repeat(99_999), b".".to_vec()].concat()), 1, "weights"),
    refused("a pickle with a text of 4 GB", |p| pickle(p, b"X\xff\xff\xff\xff."), 1, "weights"),
    refused("a pickle without the magic number", |p| p.file("a.pth", b"\x80\x02}q\x00."), 1, "none of the formats"),
    // Each of its bytes is a value that the reader keeps.
    refused("a pickle of 1 MB of nothing", |p| pickle(p, &b"N".repeat(1 << 20)), 1, "weights").within(WORK_KIB),
    refused("an empty zip", |p| p.file("a.pth", [b"PK\x05\x06".as_slice(), &[0; 18]].concat()), 1, "none of the formats|weights"),
    refused("weights of another network", |p| p.file("a.h5", fixture(KERAS)), 1, "does not fit this network"),
    refused("weights of the other kind of network", |p| p.file("a.pth", fixture(TORCH)), 1, "cannot be turned into"),
];

/// Ones where a length, an address or a value may have been.
fn ones(bytes: &mut [u8], percent: u32) {
    let at = (bytes.len() - 8) * percent as usize / 100;
    bytes[at..at + 8].fill(0xff);
}

/// One tensor of this name in JSON.
fn named(p: &Place<'_>, name: &str) -> Given {
    let header =
        format!("{{\"{name}\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}}}");
    let length = (header.len() as u64).to_le_bytes();
    p.file(
        "a.safetensors",
        [&length, header.as_bytes(), &[0; 4]].concat(),
    )
}

/// Settings of this text.
macro_rules! toml {
    ($text:expr) => {
        |p| p.file("run.toml", $text)
    };
}

#[rustfmt::skip]
const SETTING_ROWS: &[Row] = &[
    refused("a file that is not there", |_| ["nowhere.toml"].into(), 1, "cannot be used"),
    refused("a pipe that nobody writes into", |p| p.pipe("run.toml"), 1, "a pipe or a device"),
    refused("a device without end", |_| ["/dev/zero"].into(), 1, "a pipe or a device"),
    refused("1 TB of nothing", |p| p.sparse("run.toml", b"encoder = \"resnet18\"\n", 1 << 40), 1, "at most"),
    refused("no UTF-8", toml!(b"encoder = \"\xff\xfe\"\n"), 1, "UTF-8"),
    refused("a text", toml!("Dear trainer,\nplease be quick.\n"), 1, "line 1"),
    refused("brackets, 100,000 deep", toml!(format!("a = {}", "[".repeat(100_000))), 1, "line 1"),
    refused("tables, 100,000 deep", toml!(format!("a{} = 1", ".a".repeat(100_000))), 1, "recursion limit"),
    refused("a key that does not exist, with commands to the terminal", toml!("seed = 1\n\"\\u001b[2J\\n\" = 1\n"), 1, "line 2|unknown"),
    refused("one key twice", toml!("seed = 1\nseed = 2\n"), 1, "line 2"),
    refused("a number beyond 64 bits", toml!("seed = 99999999999999999999999999\n"), 1, "line 1"),
    refused("an encoder that does not exist", toml!("encoder = \"resnet9000\"\n"), 1, "line 1"),
    refused("no epochs", toml!("epochs = 0\n"), 1, "epochs"),
    refused("a batch below 1", toml!("batch = -1\n"), 1, "line 1"),
    refused("a learning rate that is no number", toml!("lr = nan\n"), 1, "lr"),
    refused("an endless learning rate", toml!("lr = inf\n"), 1, "lr"),
    refused("a share of images above 1", toml!("augment-share = 7.5\n"), 1, "augment-share|between 0 and 1"),
    refused("steps that do not exist", toml!("augment = [{ step = \"explode\" }]\n"), 1, "line 1"),
    refused("weights out of a pipe", |p| { p.pipe("w.h5"); p.file("run.toml", "weights = \"w.h5\"\n") }, 1, "a pipe or a device"),
];
