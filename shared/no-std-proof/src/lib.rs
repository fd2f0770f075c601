//! Proof that `nephrobox-shared` needs neither std nor a heap.
//!
//! For whoever changes `shared`. This crate is `no_std`, names no allocator, takes `shared` without features and calls
//! everything there that must work on bare metal: classes, preprocessing, metrics, spacing and midline, opening a
//! package.
//!
//! **What it proves.** `cargo build -p nephrobox-no-std-proof` fails to compile if anything named here moves behind
//! `alloc` or needs `std`; its tests run that code, and fail if a dependency of `shared` is built with a feature `std`
//! or `alloc`, or if `shared` stops being `no_std`.
//!
//! **What it does not prove.** That a dependency names no std without a feature for it, or that everything links on a
//! target that has no std: only a build for a bare-metal target shows that. When the whole workspace is built at once,
//! other crates switch `alloc` on; the proof holds for this crate built by itself, which the test asks cargo about.
#![no_std]

use core::fmt;

use nephrobox_shared::{
    class::Class,
    measure::{MeasureError, Midline, Spacing, SpacingError},
    metrics::{ClassFrequencies, ClassScores, ConfusionMatrix, KitsDice, MetricsError, Spread},
    package::{PackageError, PackageView},
    preprocess::{Interpolation, Preprocess, PreprocessError},
};

/// Side of the tiny slices used here, in pixels.
pub const SIDE: usize = 8;
const SMALL: usize = SIDE / 2;

/// What one slice gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Dice of the kidney after the label slice went to half size and back.
    pub kidney_dice: Option<f64>,
    /// The same as the challenge counts it.
    pub challenge_dice: Option<f64>,
    /// Area of a pixel, mm².
    pub pixel_mm2: f64,
    /// The patient's midline.
    pub midline_column: f64,
    /// Mean of the preprocessed image.
    pub mean: Option<f64>,
}

/// Why a call into `shared` failed.
#[derive(Debug)]
pub enum Failure {
    /// In preprocessing.
    Preprocess(PreprocessError),
    /// In metrics.
    Metrics(MetricsError),
    /// In the spacing.
    Spacing(SpacingError),
    /// In the midline.
    Measure(MeasureError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preprocess(error) => error.fmt(f),
            Self::Metrics(error) => error.fmt(f),
            Self::Spacing(error) => error.fmt(f),
            Self::Measure(error) => error.fmt(f),
        }
    }
}

/// Walks one slice of HU and labels through everything that works without a heap.
pub fn walk(hu: &[i16; SIDE * SIDE], labels: &[u8; SIDE * SIDE]) -> Result<Outcome, Failure> {
    let mut image = [0.0; SMALL * SMALL];
    let mut small = [0; SMALL * SMALL];
    let mut back = [0; SIDE * SIDE];
    for interpolation in [Interpolation::Area, Interpolation::Linear] {
        let preprocess = Preprocess {
            interpolation,
            rows: SMALL,
            cols: SMALL,
            ..Preprocess::default()
        };
        preprocess
            .image(hu, SIDE, SIDE, &mut image)
            .map_err(Failure::Preprocess)?;
        preprocess
            .labels(labels, SIDE, SIDE, &mut small)
            .map_err(Failure::Preprocess)?;
        preprocess
            .labels_back(&small, SIDE, SIDE, &mut back)
            .map_err(Failure::Preprocess)?;
    }
    let mut mean = Spread::new();
    for pixel in image {
        mean.push(f64::from(pixel));
    }

    let mut matrix = ConfusionMatrix::new();
    matrix.add(labels, &back, 0.5).map_err(Failure::Metrics)?;
    let mut frequencies = ClassFrequencies::new();
    frequencies.add(Class::ALL.map(|class| {
        labels
            .iter()
            .map(|&label| u64::from(label == class.label()))
            .sum()
    }));

    let mut midline = Midline::new();
    midline.add(hu, SIDE).map_err(Failure::Measure)?;
    let spacing = Spacing::new(1.0, 0.5, 0.5).map_err(Failure::Spacing)?;
    Ok(Outcome {
        kidney_dice: ClassScores::of(&matrix).kidney.dice,
        challenge_dice: KitsDice::of(&matrix).kidney_and_tumour(),
        pixel_mm2: spacing.pixel_mm2(),
        midline_column: midline.column(),
        mean: frequencies.frequency(Class::Background).and(mean.mean()),
    })
}

/// Opens a package where it lies and counts the bytes of its tensors.
pub fn tensor_bytes(package: &[u8]) -> Result<usize, PackageError> {
    let view = PackageView::open(package)?;
    Ok(view
        .tensors()
        .map(|tensor| tensor.data.len() + 4 * tensor.scales().len())
        .sum())
}
