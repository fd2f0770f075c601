//! Proof that `nephrobox-shared` needs neither std nor a heap.
//!
//! For whoever changes `shared`. This crate is `no_std`, names no allocator, takes `shared` without features and calls
//! everything there that must work on bare metal: classes, preprocessing, metrics, spacing and midline, opening a
//! package, the link's frames and transfers.
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
    link::{
        frame::{Decoder, FRAME, FrameError, encode},
        message::Packet,
        transfer::{Receiver, Sender, Take},
    },
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

/// Sends an object from one array to another in frames of the link, and returns the bytes that went over the line.
pub fn exchange(object: &[u8], into: &mut [u8]) -> Result<usize, FrameError> {
    let total = object.len() as u64;
    let (mut sender, mut receiver) = (Sender::new(total, 0, 0), Receiver::new(total, 0, 0));
    let (mut there, mut back) = (Decoder::default(), Decoder::default());
    let mut frame = [0; FRAME];
    let mut carried = 0;
    for now in 0.. {
        if sender.is_done() || now > 10_000 {
            break;
        }
        while let Some(piece) = sender.poll(now) {
            let (offset, round) = (piece.offset, piece.round);
            let bytes = &object[offset as usize..][..piece.len];
            let transfer = 1;
            let data = Packet::Data {
                transfer,
                offset,
                round,
                bytes,
            };
            let len = encode(&data, &mut frame)?;
            carried += len;
            let mut line = &frame[..len];
            while let Some(end) = there.advance(&mut line) {
                end?;
                if let Some(Packet::Data {
                    offset,
                    round,
                    bytes,
                    ..
                }) = there.packet()
                    && let Take::From(skip) = receiver.piece(offset, bytes.len(), round, now)
                {
                    into[offset as usize..][skip..bytes.len()].copy_from_slice(&bytes[skip..]);
                }
            }
        }
        if let Some(ack) = receiver.poll(now) {
            let (next, round, gap) = (ack.next, ack.round, ack.gap);
            let len = encode(
                &Packet::Ack {
                    transfer: 1,
                    next,
                    round,
                    gap,
                },
                &mut frame,
            )?;
            carried += len;
            let mut line = &frame[..len];
            while let Some(end) = back.advance(&mut line) {
                end?;
                if let Some(Packet::Ack {
                    next, round, gap, ..
                }) = back.packet()
                {
                    sender.acknowledge(next, round, gap, now);
                }
            }
        }
    }
    Ok(carried)
}
