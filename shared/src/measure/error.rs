//! Why a label map cannot be built or measured.

use core::fmt;

/// What is wrong with a label map, a midline or a slice.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MeasureError {
    /// Rows or columns are 0 or above 65,535.
    Size {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
    },
    /// A slice does not have the pixels it should have.
    Length {
        /// Pixels it should have.
        expected: usize,
        /// Pixels it has.
        found: usize,
    },
    /// A label is none of the classes.
    Label {
        /// Row of the pixel.
        row: usize,
        /// Column of the pixel.
        col: usize,
        /// Its label.
        label: u8,
    },
    /// A slice index is beyond what a label map can hold (65,536 slices).
    TooManySlices {
        /// The slice's index.
        slice: usize,
    },
    /// A slice is not in the label map, either beyond its end or not set yet.
    MissingSlice {
        /// The slice's index.
        slice: usize,
    },
    /// The midline is not a number.
    Midline {
        /// The column.
        column: f64,
    },
}

impl fmt::Display for MeasureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Size { rows, cols } => {
                write!(
                    f,
                    "slices of {rows} x {cols} pixels cannot be held; both sizes must be 1 to 65535"
                )
            }
            Self::Length { expected, found } => {
                write!(f, "a slice has {found} pixels where {expected} are needed")
            }
            Self::Label { row, col, label } => write!(
                f,
                "the pixel in row {row}, column {col} has label {label}; only 0, 1 and 2 are classes"
            ),
            Self::TooManySlices { slice } => {
                write!(
                    f,
                    "slice {slice} is beyond the 65536 slices that a label map can hold"
                )
            }
            Self::MissingSlice { slice } => {
                write!(
                    f,
                    "slice {slice} of the label map was never set; label every slice before measuring"
                )
            }
            Self::Midline { column } => {
                write!(f, "the midline is at column {column}, which is no position")
            }
        }
    }
}

impl core::error::Error for MeasureError {}
