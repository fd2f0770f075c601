//! Packages whose bytes are whole and whose network is none: what a maker can get wrong, or put in.

use nephrobox_engine::program::{Op, Program, TensorId, ValueId};
use nephrobox_shared::package::{HEADER_LEN, Header, Manifest, PackageView, TRAILER_LEN};

use super::package::{rehashed, sound, verify};
use crate::ground::{Place, SHAPE};
use crate::row::{Given, Row, Section, refused, taken};
use crate::run::{REFUSAL_KIB, WORK_KIB};

pub(crate) const SECTION: Section = Section::of_program(
    "A model package: manifest, program, tensors",
    "nephroctl verify PACKAGE",
    verify,
    REFUSAL_KIB,
    ROWS,
);

pub(crate) const SHOWN: Section = Section::of_program(
    "A model package: what it says of itself",
    "nephroctl inspect PACKAGE",
    |_, given| Given::from(["ctl", "inspect"]).and(given).0,
    WORK_KIB,
    SHOWN_ROWS,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("no manifest", |p| parts(p, |part| part.manifest.clear()), 4, "manifest cannot be decoded"),
    refused("a manifest of ones", |p| parts(p, |part| part.manifest.fill(0xff)), 4, "manifest cannot be decoded"),
    refused("a manifest that ends in a name of 4 GB", |p| parts(p, |part| part.manifest = vec![0xff, 0xff, 0xff, 0xff, 0x0f, b'a']), 4, "manifest cannot be decoded"),
    refused("a manifest with other bytes behind it", |p| parts(p, |part| part.manifest.extend([0; 900])), 4, "manifest"),
    refused("a model without a name", |p| manifest(p, |m| m.name = " ".into()), 4, "name"),
    refused("a model without a licence", |p| manifest(p, |m| m.training.licence_notice.clear()), 4, "licence"),
    refused("no classes", |p| manifest(p, |m| m.classes.clear()), 4, "class map"),
    refused("kidney and tumour exchanged", |p| manifest(p, |m| m.classes.swap(1, 2)), 4, "class map"),
    refused("255 input channels", |p| manifest(p, |m| m.input.channels = 255), 4, "input channels"),
    refused("a scale of 0", |p| manifest(p, |m| m.input.scale = 0), 4, "scale"),
    refused("slices of 0 rows", |p| manifest(p, |m| m.input.preprocess.rows = 0), 4, "preprocessing"),
    refused("slices of 2^60 rows", |p| manifest(p, |m| m.input.preprocess.rows = 1 << 60), 4, "preprocessing|bytes|multiples|pixels"),
    refused("slices of 1 million rows and columns", |p| manifest(p, |m| { m.input.preprocess.rows = 1 << 20; m.input.preprocess.cols = 1 << 20; }), 4, "more than 4096 pixels a side"),
    refused("slices that the network does not take", |p| manifest(p, |m| m.input.preprocess.rows = 65), 4, "multiples of 32"),
    refused("a window without width", |p| manifest(p, |m| m.input.preprocess.window.high_hu = m.input.preprocess.window.low_hu), 4, "preprocessing"),
    refused("a self-test of 4 billion rows", |p| self_test(p, u32::MAX, SHAPE[2] as u32, 0), 4, "self-test"),
    refused("a self-test without pixels", |p| self_test(p, 0, 0, 0), 4, "self-test"),
    refused("a self-test with label 9", |p| self_test(p, SHAPE[1] as u32, SHAPE[2] as u32, 9), 4, "label"),
    refused("a self-test that the network fails", |p| self_test(p, SHAPE[1] as u32, SHAPE[2] as u32, 2), 4, "self-test|label"),
    refused("no program", |p| parts(p, |part| part.program.clear()), 4, "program"),
    refused("a program of ones", |p| parts(p, |part| part.program.fill(0xff)), 4, "program"),
    refused("a program that says it has 4 billion operations", |p| parts(p, |part| part.program = vec![1, 3, 32, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]), 4, "program"),
    refused("other bytes behind the program", |p| parts(p, |part| part.program.extend([0; 7])), 4, "7 bytes follow"),
    refused("a program without operations", |p| program(p, |q| q.ops.clear()), 4, "0 operations"),
    refused("100,000 operations", |p| program(p, |q| q.ops = (0..100_000).map(|n| Op::Relu { input: ValueId(n), output: ValueId(n + 1) }).collect()), 4, "100000 operations"),
    refused("an operation that reads itself", |p| program(p, |q| q.ops[0] = Op::Relu { input: ValueId(1), output: ValueId(1) }), 4, "nothing before it defines"),
    refused("an operation that reads value 4 billion", |p| program(p, |q| q.ops[0] = Op::Relu { input: ValueId(u32::MAX), output: ValueId(1) }), 4, "nothing before it defines"),
    refused("an operation that writes value 4 billion", |p| program(p, |q| q.ops[0] = Op::Relu { input: ValueId(0), output: ValueId(u32::MAX) }), 4, "numbered too high|tensor"),
    refused("an operation that writes over the image", |p| program(p, |q| q.ops[0] = Op::Relu { input: ValueId(0), output: ValueId(0) }), 4, "defined already"),
    refused("a tensor that is not there", |p| conv(p, |op| if let Op::Conv2d { weight, .. } = op { *weight = TensorId(u32::MAX); }), 4, "does not exist"),
    refused("a tensor of another shape", |p| conv(p, |op| if let Op::Conv2d { weight, .. } = op { *weight = TensorId(1); }), 4, "cannot use tensor"),
    refused("a tensor that nobody reads", |p| conv(p, |op| if let Op::Conv2d { bias, .. } = op { *bias = None; }), 4, "read by no operation"),
    refused("a stride of 0", |p| conv(p, |op| if let Op::Conv2d { stride, .. } = op { *stride = 0; }), 4, "stride 0"),
    refused("a padding of 4 billion", |p| conv(p, |op| if let Op::Conv2d { padding, .. } = op { *padding = u32::MAX; }), 4, "padding 4294967295"),
    refused("an image doubled 1,000 times", |p| program(p, doubled), 4, "extent|pixels|size"),
    refused("channels doubled 40 times", |p| program(p, concatenated), 4, "channels"),
    refused("4 billion classes", |p| program(p, |q| q.classes = u32::MAX), 4, "number of classes"),
    refused("0 input channels", |p| program(p, |q| q.input_channels = 0), 4, "input channels"),
    refused("a multiple of 4 billion", |p| program(p, |q| q.multiple = u32::MAX), 4, "multiple"),
    refused("logits that are the image", |p| program(p, |q| q.output = ValueId(0)), 4, "logits"),
    refused("logits that nobody writes", |p| program(p, |q| q.output = ValueId(900)), 4, "logits"),
    refused("a tensor beyond the file", |p| table(p, 0, &(1_u64 << 40).to_le_bytes()), 4, "outside their section"),
    refused("a tensor of 2^64 bytes less one", |p| table(p, 8, &[0xff; 8]), 4, "bytes"),
    refused("a tensor on an odd byte", |p| table(p, 0, &[1]), 4, "not aligned"),
    refused("a tensor over another", |p| table(p, 64, &[0]), 4, "overlap|tensor"),
    refused("a tensor with a name beyond the table", |p| table(p, 28, &[0xff; 4]), 4, "name"),
    refused("a tensor of unknown numbers", |p| table(p, 34, &[99]), 4, "number format 99"),
    refused("a tensor of 200 axes", |p| table(p, 35, &[200]), 4, "axes"),
    refused("a tensor with an axis of 0", |p| table(p, 36, &[0; 4]), 4, "axes"),
    refused("a tensor with axes of 4 billion", |p| table(p, 36, &[0xff; 16]), 4, "axes|bytes"),
    refused("weights of NaN", |p| weights(p, f32::NAN), 4, "number|finite|NaN"),
    refused("weights of infinity", |p| weights(p, f32::INFINITY), 4, "number|finite|inf"),
];

#[rustfmt::skip]
const SHOWN_ROWS: &[Row] = &[
    refused("a name with commands to the terminal", |p| manifest(p, |m| m.name = "kidney\u{1b}[2J\u{7}\r\u{9b}31m".into()), 4, "control characters"),
    taken("a licence with line breaks and commands to the terminal", |p| manifest(p, |m| m.training.licence_notice = "free\n\u{1b}]0;owned\u{7}\nfor all".into()), "free"),
    taken("settings with markup and text from right to left", |p| manifest(p, |m| m.training.source_revision = "</td><script>alert(1)</script>\u{202e}".into()), "script"),
    taken("a version of 2^64 less one", |p| manifest(p, |m| m.version = u64::MAX), "18446744073709551615"),
];

/// A package's sections.
struct Parts {
    manifest: Vec<u8>,
    program: Vec<u8>,
    table: Vec<u8>,
    data: Vec<u8>,
    tensors: u32,
}

/// The small model's package with other sections, put together as the format says, with the right hash.
fn parts(p: &Place<'_>, change: impl FnOnce(&mut Parts)) -> Given {
    let whole = sound(p);
    let header = Header::read(&whole).expect("a header");
    let mut rest = &whole[HEADER_LEN..];
    let mut next = |len: u64| {
        let (section, behind) = rest.split_at(len as usize);
        let pad = section.len().next_multiple_of(64) - section.len();
        rest = &behind[pad..];
        section.to_vec()
    };
    let mut parts = Parts {
        manifest: next(header.manifest_len),
        program: next(header.program_len),
        table: next(header.table_len),
        data: next(header.data_len),
        tensors: header.tensors,
    };
    change(&mut parts);
    let sections = [parts.manifest, parts.program, parts.table, parts.data];
    let mut bytes = whole[..8].to_vec();
    bytes.extend([0; 8]);
    for section in &sections {
        bytes.extend((section.len() as u64).to_le_bytes());
    }
    bytes.extend(parts.tensors.to_le_bytes());
    for section in sections {
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        bytes.extend(section);
    }
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    let total = (bytes.len() + TRAILER_LEN) as u64;
    bytes[8..16].copy_from_slice(&total.to_le_bytes());
    bytes.extend([0; TRAILER_LEN]);
    rehashed(p, |whole| *whole = bytes)
}

/// The package with another manifest, which need not be possible.
fn manifest(p: &Place<'_>, change: impl FnOnce(&mut Manifest)) -> Given {
    let whole = sound(p);
    let view = PackageView::open(&whole).expect("a package");
    let mut manifest = view.manifest().expect("a manifest");
    change(&mut manifest);
    let bytes = postcard::to_stdvec(&manifest).expect("encoded");
    parts(p, |parts| parts.manifest = bytes)
}

/// The package with a self-test of that size, in which every pixel has one label.
fn self_test(p: &Place<'_>, rows: u32, cols: u32, label: u8) -> Given {
    let pixels = SHAPE[1] * SHAPE[2];
    manifest(p, |m| {
        m.self_test = vec![nephrobox_shared::package::SelfTest {
            rows,
            cols,
            hu: vec![0; pixels],
            labels: vec![label; pixels],
        }];
    })
}

/// The package with another program.
fn program(p: &Place<'_>, change: impl FnOnce(&mut Program)) -> Given {
    let whole = sound(p);
    let view = PackageView::open(&whole).expect("a package");
    let mut program = Program::from_bytes(view.program()).expect("a program");
    change(&mut program);
    let bytes = program.to_bytes().expect("encoded");
    parts(p, |parts| parts.program = bytes)
}

/// The package with another convolution.
fn conv(p: &Place<'_>, change: impl FnOnce(&mut Op)) -> Given {
    program(p, |program| change(&mut program.ops[0]))
}

/// Doubles rows and columns again and again before anything else.
fn doubled(program: &mut Program) {
    let ops = (1..=1000).map(|n| Op::Upsample2x {
        input: ValueId(n),
        output: ValueId(n + 1),
    });
    program.ops.extend(ops);
}

/// Joins the image with itself again and again.
fn concatenated(program: &mut Program) {
    let ops = (1..=40).map(|n| Op::Concat {
        a: ValueId(n),
        b: ValueId(n),
        output: ValueId(n + 1),
    });
    program.ops.extend(ops);
}

/// The package with other bytes in the tensor table, whose entries have 64.
fn table(p: &Place<'_>, at: usize, bytes: &[u8]) -> Given {
    parts(p, |parts| {
        parts.table[at..at + bytes.len()].copy_from_slice(bytes);
    })
}

/// The package with another first weight, and a slice to try it on.
fn weights(p: &Place<'_>, weight: f32) -> Given {
    parts(p, |parts| {
        parts.data[..4].copy_from_slice(&weight.to_le_bytes());
        let mut manifest: Manifest = postcard::from_bytes(&parts.manifest).expect("a manifest");
        let pixels = SHAPE[1] * SHAPE[2];
        manifest.self_test = vec![nephrobox_shared::package::SelfTest {
            rows: SHAPE[1] as u32,
            cols: SHAPE[2] as u32,
            hu: vec![0; pixels],
            labels: vec![0; pixels],
        }];
        parts.manifest = postcard::to_stdvec(&manifest).expect("encoded");
    })
}

/// The small model under a version, with a self-test that it passes.
pub(super) fn named(p: &Place<'_>, version: u64) -> Given {
    let [_, rows, cols] = SHAPE;
    let pixels = || (0..rows * cols).map(|pixel| [11, pixel / cols, pixel % cols]);
    manifest(p, |m| {
        m.version = version;
        m.self_test = vec![nephrobox_shared::package::SelfTest {
            rows: rows as u32,
            cols: cols as u32,
            hu: pixels().map(crate::phantom::hu).collect(),
            labels: pixels().map(crate::phantom::label).collect(),
        }];
    })
}

/// The small model under a version, without a self-test.
pub(super) fn bare(p: &Place<'_>, version: u64) -> Given {
    manifest(p, |m| m.version = version)
}
