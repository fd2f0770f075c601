//! A phantom patient without any symmetry, and a real package whose tiny program labels it by brightness.

#![allow(dead_code)] // each test program uses its own part

// Volumes byte by byte, in any order of axes, as the reader's own tests make them.
#[path = "../../../imaging/tests/support/mod.rs"]
pub(crate) mod nifti;

use std::path::{Path, PathBuf};

use nephrobox::segment::{Args, Compute, Numbers};
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{Builder, Storage, Tensor};
use nephrobox_shared::measure::Sides;
use nephrobox_shared::package::{Input, Manifest, TestScores, Training};
use nephrobox_shared::preprocess::Preprocess;
pub(crate) use nifti::Order;
use nifti::{Declared, I16, RawNifti, U8, place};

/// Slices, rows, columns.
pub(crate) const SHAPE: [usize; 3] = [20, 64, 96];
/// Millimetres between slices, rows, columns; three different numbers, so that no two can be confused.
pub(crate) const SPACING: [f64; 3] = [3.0, 0.75, 0.8125];
/// Of the first voxel of the first slice, in NIfTI coordinates.
pub(crate) const ORIGIN: [f64; 3] = [120.0, 95.0, 410.0];

/// The truth: a small right kidney, a larger left one nearer the feet, with a tumour on its outer side.
pub(crate) fn label([slice, row, col]: [usize; 3]) -> u8 {
    let within = |slices: std::ops::Range<usize>,
                  rows: std::ops::Range<usize>,
                  cols: std::ops::Range<usize>| {
        slices.contains(&slice) && rows.contains(&row) && cols.contains(&col)
    };
    if within(9..13, 30..36 + slice % 3, 77..84) {
        2
    } else {
        u8::from(within(4..12, 32..44, 15..25) || within(6..17, 28..44, 65..79))
    }
}

/// CT of that truth: soft tissue in a body that fills the middle, brighter kidneys, brightest tumour, air around.
pub(crate) fn hu(index: [usize; 3]) -> i16 {
    let [slice, row, col] = index;
    match label(index) {
        2 => 215,
        1 => 150,
        _ if (4..60).contains(&row) && (6..90).contains(&col) => {
            30 + ((slice + row * 3 + col) % 7) as i16
        }
        _ => -1000,
    }
}

/// Areas in mm² of kidney and tumour in one slice, by counting pixels of the truth.
pub(crate) fn true_areas_mm2(slice: usize) -> Sides<[f64; 2]> {
    let mut areas = Sides::<[f64; 2]>::default();
    for row in 0..SHAPE[1] {
        for col in 0..SHAPE[2] {
            let side = if col < SHAPE[2] / 2 {
                &mut areas.right
            } else {
                &mut areas.left
            };
            match label([slice, row, col]) {
                0 => {}
                class => side[usize::from(class) - 1] += SPACING[1] * SPACING[2],
            }
        }
    }
    areas
}

/// The phantom as a file's content.
pub(crate) fn raw(
    order: Order,
    declared: Declared,
    datatype: i16,
    value: impl Fn([usize; 3]) -> f64,
) -> RawNifti {
    let mut raw = RawNifti::new(
        order.file_shape(SHAPE),
        datatype,
        order.indices(SHAPE).map(value),
    );
    place(&mut raw, &order.affine(SHAPE, SPACING, ORIGIN), declared);
    raw
}

/// The scan as a file's content.
pub(crate) fn raw_scan(order: Order, declared: Declared) -> RawNifti {
    raw(order, declared, I16, |index| f64::from(hu(index)))
}

/// The true label map as a file's content.
pub(crate) fn raw_labels(order: Order, declared: Declared) -> RawNifti {
    raw(order, declared, U8, |index| f64::from(label(index)))
}

/// What the tiny model's package says.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        name: "threshold".into(),
        version: 7,
        encoder: "none".into(),
        input: Input {
            preprocess: Preprocess {
                rows: SHAPE[1],
                cols: SHAPE[2],
                ..Preprocess::default()
            },
            channels: 1,
            scale: 1,
        },
        classes: Manifest::kits_classes(),
        training: Training {
            licence_notice: "Made by hand, free of anyone's rights.".into(),
            ..Training::default()
        },
        scores: TestScores::default(),
        calibration: None,
        self_test: Vec::new(),
    }
}

/// Writes a package whose program is one 1 x 1 convolution: kidney above 95 HU, tumour above 183 HU.
///
/// With x the pixel in 0..=1, the logits are 0, x - 0.63 and 3x - 2.39; they cross at 0.63 and at 0.88.
pub(crate) fn save_model(folder: &Path) -> PathBuf {
    let mut builder = Builder::new(1, 32);
    let weight = Tensor::f32("head", vec![3, 1, 1, 1], vec![0.0, 1.0, 3.0]).expect("a tensor");
    let bias = Tensor::f32("bias", vec![3], vec![0.0, -0.63, -2.39]).expect("a tensor");
    let (weight, bias) = (builder.tensor(weight), builder.tensor(bias));
    let logits = builder.conv2d(builder.input(), weight, Some(bias), 1, 0);
    let (program, tensors) = builder.finish(logits, 3).expect("a program");
    let path = folder.join("threshold.nbx");
    let model = Model::new(manifest(), program, tensors).expect("a model");
    model.save(&path, Storage::F32).expect("saved");
    path
}

/// `nephrobox segment scan --model model --out out --device cpu`.
pub(crate) fn args(scan: &Path, model: &Path, out: &Path) -> Args {
    Args {
        scan: vec![scan.to_owned()],
        model: model.to_owned(),
        out: out.to_owned(),
        fast: false,
        fhir: false,
        empty_frames: false,
        earlier: None,
        force: false,
        compute: Compute {
            device: "cpu".into(),
            threads: None,
            arithmetic: Numbers::Auto,
            state: None,
        },
    }
}

/// Names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}
