//! What a scan asks of a network: label maps for a small batch of slices.
//!
//! Executors implement [`SliceModel`]; tests put an oracle in its place.

use crate::program::ArgmaxError;

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
    )*};
}

delegate!(&mut M, Box<M>);

/// Why a network could not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// An image of a size the program does not take.
    #[error(
        "images of {rows} x {cols} pixels do not fit the network; both numbers must be multiples of {multiple}"
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
