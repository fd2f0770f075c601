//! From a slice in HU to the network's input, and labels to the network's size and back.
//!
//! The trainer's `prepare` and the box's worker call this on one slice at a time, into a buffer of the caller; nothing
//! is allocated. The order is the paper's: clip to the window, normalise to [0, 1], resize. Any source and target size
//! of at least 1 x 1 works, enlarging included; the aspect ratio is kept only with
//! [`pad_to_square`](Preprocess::pad_to_square).
//!
//! Resizing follows OpenCV 4.5 (`INTER_LINEAR`, `INTER_AREA`, `INTER_NEAREST`): the same source pixels and weights,
//! and for label maps the same bytes. Floating-point sums have a fixed order, so all machines agree bit for bit;
//! OpenCV's own order depends on the processor, hence it differs from this by up to about 1e-7.

pub mod axis;
mod resample;

use core::fmt;

use axis::nearest;
use resample::Slice;
use serde::{Deserialize, Serialize};

/// Columns handled together: their source positions fit a small array on the stack.
const BLOCK: usize = 64;

/// The range of HU that is spread over [0, 1]; what lies outside is clipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// HU that becomes 0.
    pub low_hu: i16,
    /// HU that becomes 1; above `low_hu`.
    pub high_hu: i16,
}

impl Window {
    /// The paper's window, [-125, 225] HU.
    pub const ABDOMEN: Self = Self {
        low_hu: -125,
        high_hu: 225,
    };

    /// `(clamp(hu) - low) / (high - low)`, in [0, 1].
    ///
    /// The quotient is taken in f32. Both operands are integers below 2^24, so it is the correctly rounded quotient,
    /// the same as dividing in f64 and rounding once to f32. An empty window (`high_hu <= low_hu`) gives 0.
    ///
    /// ```
    /// use nephrobox_shared::preprocess::Window;
    /// assert_eq!(Window::ABDOMEN.normalise(50), 0.5);
    /// assert_eq!(Window::ABDOMEN.normalise(-1000), 0.0);
    /// ```
    #[inline]
    pub fn normalise(&self, hu: i16) -> f32 {
        if self.is_empty() {
            return 0.0;
        }
        let (low, high) = (i32::from(self.low_hu), i32::from(self.high_hu));
        (i32::from(hu.clamp(self.low_hu, self.high_hu)) - low) as f32 / (high - low) as f32
    }

    /// Whether the window holds no range at all, which [`Preprocess::check`] refuses.
    pub const fn is_empty(&self) -> bool {
        self.high_hu <= self.low_hu
    }
}

/// How image pixels are combined when an image changes size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Bilinear between the two nearest pixel centres of each axis, edges repeated (`INTER_LINEAR`). It skips source
    /// pixels when the factor is above 2.
    #[default]
    Linear,
    /// Mean over the source area that a target pixel covers (`INTER_AREA`). Where either axis grows, it is OpenCV's
    /// bilinear variant on pixel corners. At exactly 2:1 it is bit-equal to [`Interpolation::Linear`].
    Area,
}

/// Everything that decides how a slice becomes network input; stored in the model package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Preprocess {
    /// HU window.
    pub window: Window,
    /// Resizing of images; label maps are always resized by nearest neighbour.
    pub interpolation: Interpolation,
    /// Rows of the network's input, in pixels; at least 1.
    pub rows: usize,
    /// Columns of the network's input, in pixels; at least 1.
    pub cols: usize,
    /// Whether a slice that is not square is first padded to a square around its centre (image with air, labels with
    /// background) rather than stretched. An odd pixel goes to the end.
    pub pad_to_square: bool,
}

impl Default for Preprocess {
    /// The paper's: [-125, 225] HU, 256 x 256, bilinear, stretched.
    fn default() -> Self {
        Self {
            window: Window::ABDOMEN,
            interpolation: Interpolation::Linear,
            rows: 256,
            cols: 256,
            pad_to_square: false,
        }
    }
}

impl Preprocess {
    /// Whether the parameters themselves make sense: a window that holds something, a target of at least 1 x 1.
    pub fn check(&self) -> Result<(), PreprocessError> {
        if self.window.is_empty() {
            return Err(PreprocessError::EmptyWindow {
                low_hu: self.window.low_hu,
                high_hu: self.window.high_hu,
            });
        }
        check_size(self.rows, self.cols).map(|_| ())
    }

    /// Windows, normalises and resizes one slice.
    ///
    /// `hu` holds `rows x cols` pixels in row-major order, `out` receives `self.rows x self.cols` values in [0, 1].
    /// On an error `out` is untouched.
    ///
    /// ```
    /// use nephrobox_shared::preprocess::Preprocess;
    /// let preprocess = Preprocess { rows: 1, cols: 1, ..Preprocess::default() };
    /// let mut out = [0.0];
    /// preprocess.image(&[-125, 50, 225, 50], 2, 2, &mut out)?;
    /// assert_eq!(out, [0.5]);
    /// # Ok::<(), nephrobox_shared::preprocess::PreprocessError>(())
    /// ```
    pub fn image(
        &self,
        hu: &[i16],
        rows: usize,
        cols: usize,
        out: &mut [f32],
    ) -> Result<(), PreprocessError> {
        self.check()?;
        check_buffer(Buffer::Source, rows, cols, hu.len())?;
        check_buffer(Buffer::Network, self.rows, self.cols, out.len())?;
        let slice = Slice {
            hu,
            cols,
            frame: self.frame(rows, cols),
            window: self.window,
        };
        slice.resize(self.interpolation, out, self.rows, self.cols);
        Ok(())
    }

    /// Resizes one label slice of `rows x cols` to `self.rows x self.cols` by nearest neighbour: target pixel `i`
    /// takes source pixel `floor(i * scale)` of each axis, so at 2:1 the top left of each 2 x 2 block.
    ///
    /// Label values pass through unchanged. On an error `out` is untouched.
    pub fn labels(
        &self,
        labels: &[u8],
        rows: usize,
        cols: usize,
        out: &mut [u8],
    ) -> Result<(), PreprocessError> {
        self.check()?;
        check_buffer(Buffer::Source, rows, cols, labels.len())?;
        check_buffer(Buffer::Network, self.rows, self.cols, out.len())?;
        let frame = self.frame(rows, cols);
        pick(
            (labels, cols),
            (out, self.cols),
            |row| nearest(row, frame.rows, self.rows).wrapping_sub(frame.top),
            |col| nearest(col, frame.cols, self.cols).wrapping_sub(frame.left),
        );
        Ok(())
    }

    /// Brings a label slice of the network's size back to `rows x cols`, the size of the slice it was made from, by
    /// nearest neighbour; padding is cut off again.
    ///
    /// `small` holds `self.rows x self.cols` labels, `out` receives `rows x cols`. On an error `out` is untouched.
    pub fn labels_back(
        &self,
        small: &[u8],
        rows: usize,
        cols: usize,
        out: &mut [u8],
    ) -> Result<(), PreprocessError> {
        self.check()?;
        check_buffer(Buffer::Network, self.rows, self.cols, small.len())?;
        check_buffer(Buffer::Source, rows, cols, out.len())?;
        let frame = self.frame(rows, cols);
        pick(
            (small, self.cols),
            (out, cols),
            |row| nearest(row + frame.top, self.rows, frame.rows),
            |col| nearest(col + frame.left, self.cols, frame.cols),
        );
        Ok(())
    }

    /// The network's own label map again, from what [`labels_back`](Self::labels_back) made of it; returns how many of
    /// its pixels are lost.
    ///
    /// `labels` holds `rows x cols` labels, `out` receives `self.rows x self.cols`. A pixel that has a copy in the slice
    /// comes back exactly. One that has none is lost and becomes background: those of the padding, and where the slice
    /// has fewer rows or columns than the network, those that were passed over. On an error `out` is untouched.
    ///
    /// ```
    /// use nephrobox_shared::preprocess::Preprocess;
    /// let preprocess = Preprocess { rows: 2, cols: 2, ..Preprocess::default() };
    /// let (mut slice, mut again) = ([0; 9], [0; 4]);
    /// preprocess.labels_back(&[0, 1, 2, 1], 3, 3, &mut slice)?;
    /// assert_eq!(preprocess.labels_recovered(&slice, 3, 3, &mut again)?, 0);
    /// assert_eq!(again, [0, 1, 2, 1]);
    /// # Ok::<(), nephrobox_shared::preprocess::PreprocessError>(())
    /// ```
    pub fn labels_recovered(
        &self,
        labels: &[u8],
        rows: usize,
        cols: usize,
        out: &mut [u8],
    ) -> Result<usize, PreprocessError> {
        self.check()?;
        check_buffer(Buffer::Source, rows, cols, labels.len())?;
        check_buffer(Buffer::Network, self.rows, self.cols, out.len())?;
        let frame = self.frame(rows, cols);
        let row = |index| copy_of(index, self.rows, frame.rows, frame.top, rows);
        let col = |index| copy_of(index, self.cols, frame.cols, frame.left, cols);
        // No slice has so many rows that the largest number could be one of them.
        pick(
            (labels, cols),
            (out, self.cols),
            |index| row(index).unwrap_or(usize::MAX),
            |index| col(index).unwrap_or(usize::MAX),
        );
        let found_rows = (0..self.rows).filter(|&index| row(index).is_some()).count();
        let found_cols = (0..self.cols).filter(|&index| col(index).is_some()).count();
        Ok(self.rows * self.cols - found_rows * found_cols)
    }

    /// The grid that is resized: the slice itself, or the square around it.
    fn frame(&self, rows: usize, cols: usize) -> Frame {
        if self.pad_to_square {
            let side = rows.max(cols);
            Frame {
                rows: side,
                cols: side,
                top: (side - rows) / 2,
                left: (side - cols) / 2,
            }
        } else {
            Frame {
                rows,
                cols,
                top: 0,
                left: 0,
            }
        }
    }
}

/// The grid that is resized and where the slice's first pixel lies in it.
#[derive(Clone, Copy)]
struct Frame {
    rows: usize,
    cols: usize,
    top: usize,
    left: usize,
}

/// The first of the slice's `length` pixels that took its label from pixel `index` of the `small` ones of the network, along one
/// axis on which the slice lies `offset` pixels inside the `full` ones of its frame.
fn copy_of(index: usize, small: usize, full: usize, offset: usize, length: usize) -> Option<usize> {
    // The copies begin near `index * full / small`; where exactly, only the one rule knows.
    let near = (index as u128 * full as u128 / small as u128) as usize;
    (near.saturating_sub(1).max(offset)..offset + length)
        .take_while(|&pixel| nearest(pixel, small, full) <= index)
        .find(|&pixel| nearest(pixel, small, full) == index)
        .map(|pixel| pixel - offset)
}

/// Fills `to` with the pixels of `from` at the picked rows and columns, background where those lie outside.
fn pick(
    (from, from_cols): (&[u8], usize),
    (to, to_cols): (&mut [u8], usize),
    row: impl Fn(usize) -> usize,
    col: impl Fn(usize) -> usize,
) {
    let mut picked = [0; BLOCK];
    for left in (0..to_cols).step_by(BLOCK) {
        let picked = &mut picked[..BLOCK.min(to_cols - left)];
        for (index, slot) in (left..).zip(picked.iter_mut()) {
            *slot = col(index);
        }
        for (index, line) in to.chunks_exact_mut(to_cols).enumerate() {
            let source = line_of(from, row(index), from_cols);
            for (pixel, &col) in line[left..].iter_mut().zip(picked.iter()) {
                *pixel = source.get(col).copied().unwrap_or(0);
            }
        }
    }
}

/// One row of a plane; empty where there is no such row, as in the padding.
fn line_of<T>(pixels: &[T], row: usize, cols: usize) -> &[T] {
    let start = row.checked_mul(cols);
    start
        .and_then(|start| pixels.get(start..start.checked_add(cols)?))
        .unwrap_or(&[])
}

/// Which buffer of a call has the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// The slice at its own size.
    Source,
    /// The slice at the network's size.
    Network,
}

/// Why a slice cannot be preprocessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PreprocessError {
    /// The window's upper bound is not above its lower bound.
    EmptyWindow {
        /// Lower bound in HU.
        low_hu: i16,
        /// Upper bound in HU.
        high_hu: i16,
    },
    /// A size has no pixels, or more than can be counted.
    Size {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// A buffer does not hold rows x cols pixels.
    Length {
        /// Which buffer.
        buffer: Buffer,
        /// Rows it should have.
        rows: usize,
        /// Columns it should have.
        cols: usize,
        /// Pixels it has.
        found: usize,
    },
}

impl fmt::Display for PreprocessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::EmptyWindow { low_hu, high_hu } => {
                write!(
                    f,
                    "the HU window [{low_hu}, {high_hu}] is empty; its upper bound must be above its lower bound"
                )
            }
            Self::Size { rows, cols } => {
                write!(
                    f,
                    "a slice of {rows} x {cols} pixels cannot be resized; both sizes must be at least 1"
                )
            }
            Self::Length {
                buffer,
                rows,
                cols,
                found,
            } => {
                let buffer = match buffer {
                    Buffer::Source => "slice",
                    Buffer::Network => "buffer of the network's size",
                };
                write!(
                    f,
                    "the {buffer} holds {found} pixels where {rows} x {cols} are needed"
                )
            }
        }
    }
}

impl core::error::Error for PreprocessError {}

/// The number of pixels of a grid that has some.
fn check_size(rows: usize, cols: usize) -> Result<usize, PreprocessError> {
    match rows.checked_mul(cols) {
        Some(pixels) if pixels > 0 => Ok(pixels),
        _ => Err(PreprocessError::Size { rows, cols }),
    }
}

fn check_buffer(
    buffer: Buffer,
    rows: usize,
    cols: usize,
    found: usize,
) -> Result<(), PreprocessError> {
    if check_size(rows, cols)? == found {
        Ok(())
    } else {
        Err(PreprocessError::Length {
            buffer,
            rows,
            cols,
            found,
        })
    }
}
