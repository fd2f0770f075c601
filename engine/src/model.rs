//! What a scan asks of a network: label maps for a small batch of slices.
//!
//! Executors implement [`SliceModel`], and [`LogitsModel`] for what looks behind the labels, such as [`over_flips`](crate::flips::over_flips).
//! A [`Labeller`] puts something around a model, or an oracle in its place.

use crate::program::{ArgmaxError, MAX_SIDE};

/// Labels slices of one fixed size.
pub trait SliceModel {
    /// Rows of the slices it takes, in pixels.
    fn rows(&self) -> usize;

    /// Columns of the slices it takes, in pixels.
    fn cols(&self) -> usize;

    /// How many slices at once it likes best; at least 1. Fewer are always fine.
    fn batch(&self) -> usize;

    /// Images it reads for one slice: 1, or 3 for the slice between its two neighbours, the one nearer the head first.
    fn planes(&self) -> usize {
        1
    }

    /// All of the above.
    fn shape(&self) -> SliceShape {
        SliceShape {
            rows: self.rows(),
            cols: self.cols(),
            planes: self.planes(),
            batch: self.batch(),
        }
    }

    /// Labels `batch` slices.
    ///
    /// `images` is `[batch, planes, rows, cols]`, normalised to 0 ..= 1 by the model's own preprocessing; `labels` is
    /// `[batch, rows, cols]`, written in the same order, as class numbers.
    fn segment(
        &mut self,
        images: &[f32],
        batch: usize,
        labels: &mut [u8],
    ) -> Result<(), EngineError>;
}

/// What slices a model takes: the answers of [`SliceModel`] in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceShape {
    /// Rows, in pixels.
    pub rows: usize,
    /// Columns, in pixels.
    pub cols: usize,
    /// Images for each slice.
    pub planes: usize,
    /// Slices it likes to get at once.
    pub batch: usize,
}

impl SliceShape {
    /// Slices of `[rows, cols]` pixels, one image each, one at a time.
    pub const fn new([rows, cols]: [usize; 2]) -> Self {
        Self {
            rows,
            cols,
            planes: 1,
            batch: 1,
        }
    }

    /// Refuses buffers that do not hold the images and labels of `batch` slices, at least one.
    pub(crate) fn fits(
        self,
        images: &[f32],
        batch: usize,
        labels: &[u8],
    ) -> Result<(), EngineError> {
        let all = (self.rows * self.cols).saturating_mul(batch.max(1));
        let expected = all.saturating_mul(self.planes);
        length("the batch of images", expected, images.len())?;
        length("the label buffer", all, labels.len())
    }
}

/// A model that also tells how near each class was.
pub trait LogitsModel: SliceModel {
    /// Classes it tells apart.
    fn classes(&self) -> usize;

    /// Logits of `batch` slices, at least one: from `[batch, planes, rows, cols]`, normalised to 0 ..= 1, to
    /// `[batch, classes, rows, cols]`.
    fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError>;
}

/// So that a model may be lent to a scan, or chosen at run time.
macro_rules! delegate {
    ($($pointer:ty),*) => {$(
        impl<M: SliceModel + ?Sized> SliceModel for $pointer {
            fn rows(&self) -> usize {
                (**self).rows()
            }

            fn cols(&self) -> usize {
                (**self).cols()
            }

            fn batch(&self) -> usize {
                (**self).batch()
            }

            fn planes(&self) -> usize {
                (**self).planes()
            }

            fn segment(
                &mut self,
                images: &[f32],
                batch: usize,
                labels: &mut [u8],
            ) -> Result<(), EngineError> {
                (**self).segment(images, batch, labels)
            }
        }

        impl<M: LogitsModel + ?Sized> LogitsModel for $pointer {
            fn classes(&self) -> usize {
                (**self).classes()
            }

            fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
                (**self).logits(images, batch)
            }
        }
    )*};
}

delegate!(&mut M, Box<M>);

/// A model made of a function of images, batch and labels as in [`SliceModel::segment`]: something around another model, or an oracle.
///
/// ```
/// use nephrobox_engine::model::{Labeller, SliceModel as _, SliceShape};
///
/// let mut bright = Labeller::new(SliceShape::new([2, 2]), |images: &[f32], _, labels: &mut [u8]| {
///     for (label, x) in labels.iter_mut().zip(images) {
///         *label = u8::from(*x > 0.5);
///     }
///     Ok(())
/// });
/// let mut dark = Labeller::new(bright.shape(), |images: &[f32], batch, labels: &mut [u8]| {
///     bright.segment(images, batch, labels)?;
///     labels.iter_mut().for_each(|label| *label = 1 - *label);
///     Ok(())
/// });
/// let mut labels = [9; 4];
/// dark.segment(&[0.0, 1.0, 0.2, 0.7], 1, &mut labels)?;
/// assert_eq!(labels, [1, 0, 1, 0]);
/// # Ok::<(), nephrobox_engine::model::EngineError>(())
/// ```
pub struct Labeller<F> {
    shape: SliceShape,
    label: F,
}

impl<F: FnMut(&[f32], usize, &mut [u8]) -> Result<(), EngineError>> Labeller<F> {
    /// A model that takes slices of this shape and labels them with `label`.
    pub const fn new(shape: SliceShape, label: F) -> Self {
        Self { shape, label }
    }
}

impl<F: FnMut(&[f32], usize, &mut [u8]) -> Result<(), EngineError>> SliceModel for Labeller<F> {
    fn rows(&self) -> usize {
        self.shape.rows
    }

    fn cols(&self) -> usize {
        self.shape.cols
    }

    fn batch(&self) -> usize {
        self.shape.batch
    }

    fn planes(&self) -> usize {
        self.shape.planes
    }

    fn segment(
        &mut self,
        images: &[f32],
        batch: usize,
        labels: &mut [u8],
    ) -> Result<(), EngineError> {
        (self.label)(images, batch, labels)
    }
}

/// Why a network could not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// An image of a size the program does not take.
    #[error(
        "images of {rows} x {cols} pixels do not fit the network; both numbers must be positive multiples of {multiple} up to {MAX_SIDE}"
    )]
    Size {
        /// Rows given.
        rows: usize,
        /// Columns given.
        cols: usize,
        /// What both must be a positive multiple of.
        multiple: u32,
    },
    /// A buffer of the wrong length.
    #[error("{what} has {found} numbers where {expected} belong")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// What its length should be.
        expected: usize,
        /// What it is.
        found: usize,
    },
    /// The device failed while it computed.
    #[error("the network could not be computed on the {device} device ({reason})")]
    Device {
        /// Name of the device.
        device: &'static str,
        /// What the backend says.
        reason: String,
    },
    /// The logits are unusable.
    #[error(transparent)]
    Logits(#[from] ArgmaxError),
}

/// Refuses a buffer of the wrong length.
pub(crate) fn length(what: &'static str, expected: usize, found: usize) -> Result<(), EngineError> {
    if expected == found {
        Ok(())
    } else {
        Err(EngineError::Length {
            what,
            expected,
            found,
        })
    }
}
