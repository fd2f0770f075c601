//! Where a quantised value lies in memory.

use crate::program::Precision;

/// A value in memory, `[rows, cols, channels]` with a border of zeros around it.
///
/// Channels are filled up with zeros to whole registers, so that kernels never meet a part of one; only an image of one or two channels
/// is kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes from the beginning of the memory.
    pub(crate) start: usize,
    /// Rows without the border.
    pub(crate) rows: usize,
    /// Columns without the border.
    pub(crate) cols: usize,
    /// Channels that count.
    pub(crate) channels: usize,
    /// Elements from one pixel to the next.
    pub(crate) step: usize,
    /// Width of the border in pixels.
    pub(crate) border: usize,
    /// Kind of elements.
    pub(crate) precision: Precision,
}

/// Output channels are computed in groups of this many.
pub(crate) const GROUP: usize = 16;

impl Layout {
    /// Bytes of an element.
    pub(crate) const fn size(&self) -> usize {
        match self.precision {
            Precision::U8 => 1,
            Precision::I16 => 2,
        }
    }

    /// Bytes from one pixel to the next.
    pub(crate) const fn pixel(&self) -> usize {
        self.step * self.size()
    }

    /// Bytes from one row to the next.
    pub(crate) const fn row(&self) -> usize {
        (self.cols + 2 * self.border) * self.pixel()
    }

    /// Bytes of the whole value with its border.
    pub(crate) const fn bytes(&self) -> usize {
        (self.rows + 2 * self.border) * self.row()
    }

    /// The byte behind the last.
    pub(crate) const fn end(&self) -> usize {
        self.start + self.bytes()
    }

    /// Where a pixel begins; the border has negative numbers, which `inside` must not exceed.
    pub(crate) const fn at(&self, row: usize, col: usize) -> usize {
        self.start + (row + self.border) * self.row() + (col + self.border) * self.pixel()
    }
}
