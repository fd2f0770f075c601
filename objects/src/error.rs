//! Everything that can be wrong with what is to become an object.

use nephrobox_shared::measure::MeasureError;

/// Why no object could be made. Messages are one sentence: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectsError {
    /// A UID of the source is none.
    #[error(
        "the {what} of the source series is no DICOM UID; send the series again from the scanner or the archive"
    )]
    Uid {
        /// Which one, such as "Study Instance UID".
        what: &'static str,
        /// What stands there.
        uid: String,
    },
    /// No slices, or more than an object can refer to.
    #[error("the source series has {slices} slices; an object needs 1 to 65,535")]
    SliceCount {
        /// How many it has.
        slices: usize,
    },
    /// The images have no pixels.
    #[error("the source images have {rows} rows and {cols} columns; neither may be 0")]
    Empty {
        /// Rows of an image.
        rows: u16,
        /// Columns of an image.
        cols: u16,
    },
    /// Orientation, spacing, thickness or a position is not usable.
    #[error(
        "{what} of the source series is not usable ({found}); send the series again from the scanner or the archive"
    )]
    Geometry {
        /// Which one, such as "Pixel Spacing".
        what: &'static str,
        /// What stands there.
        found: String,
    },
    /// The images lie nearer to another plane of the patient.
    #[error(
        "the source images are not transverse (Image Orientation {orientation:?}); reformat the series to transverse slices"
    )]
    NotTransverse {
        /// Image Orientation (Patient).
        orientation: [f64; 6],
    },
    /// The slices are not sorted from the head.
    #[error(
        "slice {slice} of the source does not lie below the one before it; give the slices sorted from the head"
    )]
    Order {
        /// The slice, counted from 0.
        slice: usize,
    },
    /// Label map and source do not have the same size.
    #[error(
        "the label map has {found:?} slices, rows and columns, but the source series gives {expected:?}; use the label map of this series"
    )]
    Size {
        /// Canonical slices, rows, columns of the source.
        expected: [usize; 3],
        /// Those of the label map.
        found: [usize; 3],
    },
    /// The label map cannot be read.
    #[error(transparent)]
    Labels(#[from] MeasureError),
    /// A measure is NaN or infinite.
    #[error("the report gives {value} as {what}, which is no measure; make the report again")]
    Measure {
        /// Which one, such as "Volume of Right kidney".
        what: String,
        /// Its value.
        value: f64,
    },
    /// A picture whose bytes are not its rows times columns times 3.
    #[error(
        "a picture of {rows} rows and {cols} columns needs {expected} bytes of RGB, but has {found}; give 3 bytes a pixel"
    )]
    Picture {
        /// Its rows.
        rows: u16,
        /// Its columns.
        cols: u16,
        /// Bytes it needs.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// A document that is no PDF.
    #[error("the document does not begin with \"%PDF-\"; give a PDF")]
    NotPdf,
    /// Bytes that are no segmentation or structured report of this crate.
    #[error(
        "the object is no segmentation or structured report of this program, so it cannot be told what in it names the patient; leave it out"
    )]
    Foreign,
    /// More than one value of a DICOM file can hold.
    #[error(
        "the {what} of {bytes} bytes is too large for a DICOM object, which holds at most {limit}; leave empty frames out or send less"
    )]
    TooLarge {
        /// "segmentation", "picture" or "document".
        what: &'static str,
        /// Its bytes.
        bytes: u64,
        /// The most that is possible.
        limit: u64,
    },
    /// The encoder refused.
    #[error(
        "the {what} cannot be encoded ({source}); the text of the source series may be damaged, send it again"
    )]
    Encode {
        /// Which object.
        what: &'static str,
        /// The encoder's own answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
