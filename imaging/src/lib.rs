//! Volumes in, canonical transverse slices out, label maps back in the geometry of the input.
//!
//! Used by the trainer, the engine and the box: whatever reads or writes a scan does it here, so that the patient's sides and the
//! spacing are decided in one place. A **canonical slice** is transverse; slices count from the head end, row 0 is the front of the
//! patient, column 0 the patient's right; pixels are HU (`i16`) or labels (`u8`: 0 background, 1 kidney, 2 tumour).
//!
//! * [`ScanReader`] and [`LabelReader`] read NIfTI-1 in one file (`.nii`, `.nii.gz`), slice by slice;
//! * [`ScanReader::open_series`] reads a CT series of DICOM files in the same way, and [`ScanReader::open`] one that is packed as one file; [`dicom`] has its rules;
//! * [`SliceReader::for_each_line`] hands out the same voxels in the file's order, for counting without holding a volume;
//! * [`Geometry`] is a volume's grid: shape, [`Spacing`], the way to the patient and back to the file;
//! * [`write_labels`] and [`write_scan`] write a volume on such a grid;
//! * [`files`] writes any file so that it is whole or not there.
//!
//! Limits: 64-bit machines, NIfTI-1 or DICOM CT, one 3-D image a file or series, axes within [`MAX_TILT_DEGREES`] of the patient's. Nothing is resampled or windowed here.
//! Files are not trusted: every way in which one can be wrong is an [`ImagingError`], and no size in a header is believed before the
//! file has shown that it can hold it. `docs/imaging.md` has the rules and the measurements.

mod affine;
pub mod dicom;
mod error;
mod extent;
mod file;
pub mod files;
pub mod geometry;
mod header;
mod held;
mod layout;
mod lines;
mod memory;
mod place;
mod reader;
mod source;
mod voxel;
mod writer;

pub use affine::MAX_TILT_DEGREES;
pub use error::{GeometryError, ImagingError};
pub use geometry::Geometry;
pub use lines::Line;
pub use nephrobox_shared::measure::Spacing;
pub use reader::{LabelReader, ScanReader, SliceReader};
pub use voxel::Voxel;
pub use writer::{write_labels, write_scan};
