//! Everything that can be wrong with a volume's file or its place in space, one variant each.
//!
//! Messages are one sentence: what is wrong, where, and what to do. [`ImagingError`] always names the file; [`GeometryError`] has
//! only numbers, because a geometry need not come from a file.

use std::io;
use std::path::PathBuf;

use crate::affine::MAX_TILT_DEGREES;
use crate::dicom::DicomError;

/// Why a volume could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImagingError {
    /// The operating system refused.
    #[error("{}: cannot {action} ({source}); check the path, the rights and the space left", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, such as "open" or "write".
        action: &'static str,
        /// The system's own answer.
        source: io::Error,
    },
    /// Not a single-file NIfTI-1 volume at all.
    #[error("{}: {found}; give a NIfTI-1 volume in one file (.nii or .nii.gz)", path.display())]
    NotNifti {
        /// The file.
        path: PathBuf,
        /// What it looks like instead.
        found: String,
    },
    /// The header's dimensions describe no volume.
    #[error("{}: the header gives the dimensions {dim:?} (count first), {problem}; export the volume again as one 3-D image", path.display())]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// `dim[0..=7]` of the header.
        dim: [i16; 8],
        /// What is wrong with them.
        problem: String,
    },
    /// A voxel type that is not a plain number, or unknown.
    #[error("{}: voxels of NIfTI type {datatype} are not supported; convert to 16-bit integers or 32-bit floats", path.display())]
    UnsupportedType {
        /// The file.
        path: PathBuf,
        /// `datatype` of the header.
        datatype: i16,
    },
    /// `bitpix` and `datatype` contradict each other.
    #[error("{}: the header says {bitpix} bits a voxel, but its type {datatype} has {expected}; the header is damaged, export the volume again", path.display())]
    BitsDisagree {
        /// The file.
        path: PathBuf,
        /// `datatype` of the header.
        datatype: i16,
        /// `bitpix` of the header.
        bitpix: i16,
        /// Bits that the type has.
        expected: i16,
    },
    /// `vox_offset` is not a place behind the header.
    #[error("{}: the header puts the voxels at byte {offset}, which is not a whole number of at least 352; the header is damaged, export the volume again", path.display())]
    VoxelOffset {
        /// The file.
        path: PathBuf,
        /// `vox_offset` of the header.
        offset: f32,
    },
    /// A usable slope with an unusable intercept.
    #[error("{}: the header scales voxels by {slope} but then adds {intercept}, which is no number; export the volume again", path.display())]
    Scaling {
        /// The file.
        path: PathBuf,
        /// `scl_slope` of the header.
        slope: f32,
        /// `scl_inter` of the header.
        intercept: f32,
    },
    /// The volume's place in space is unknown or unusable.
    #[error("{}: {source}", path.display())]
    Geometry {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: GeometryError,
    },
    /// Fewer bytes than the header promises.
    #[error("{}: the header promises {expected} bytes, but the file holds {} {found}; it was cut off or its header lies, copy it again", path.display(), if *.at_most { "at most" } else { "only" })]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Uncompressed bytes the header asks for, from the first of the header to the last voxel.
        expected: u64,
        /// Uncompressed bytes that are there.
        found: u64,
        /// `found` is an upper bound from the compressed size, seen before anything was inflated.
        at_most: bool,
    },
    /// More bytes than the header promises.
    #[error("{}: the header promises {expected} bytes, but more follow; its dimensions or type are wrong, export the volume again", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Uncompressed bytes the header asks for.
        expected: u64,
    },
    /// The gzip stream ends early, is corrupt, or fails its checksum.
    #[error("{}: the gzip data is {} after {position} uncompressed bytes ({source}); copy the file again", path.display(), if source.kind() == io::ErrorKind::UnexpectedEof { "cut off" } else { "damaged" })]
    DamagedGzip {
        /// The file.
        path: PathBuf,
        /// Uncompressed bytes read before.
        position: u64,
        /// The decoder's own answer.
        source: io::Error,
    },
    /// Something that is not gzip follows the gzip data.
    #[error("{}: bytes that are no gzip data follow the compressed volume; the file is damaged, copy it again", path.display())]
    TrailingBytes {
        /// The file.
        path: PathBuf,
    },
    /// NaN or an infinity among the voxels.
    #[error("{}: slice {slice} holds a voxel of value {value}; replace such voxels, for example by -1024 HU (air), before sending the scan", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Canonical slice index, 0 at the head end.
        slice: usize,
        /// The value after scaling.
        value: f64,
    },
    /// A label other than 0, 1 and 2.
    #[error("{}: slice {slice} holds label {value}; labels are 0 (background), 1 (kidney) and 2 (tumour), map others to these first", path.display())]
    NotALabel {
        /// The file.
        path: PathBuf,
        /// Canonical slice index, 0 at the head end.
        slice: usize,
        /// The value after scaling.
        value: f64,
    },
    /// An image and its labels do not lie on the same grid.
    #[error("{} and {}: {source}", image.display(), labels.display())]
    GridsDiffer {
        /// The image's file.
        image: PathBuf,
        /// The label map's file.
        labels: PathBuf,
        /// Both geometries.
        source: GeometryError,
    },
    /// The caller's buffer is not one slice long.
    #[error("{}: a slice has {expected} pixels, but the buffer has {found}; size it from the geometry's shape", path.display())]
    BufferSize {
        /// The file.
        path: PathBuf,
        /// Rows times columns.
        expected: usize,
        /// The buffer's length.
        found: usize,
    },
    /// A slice index beyond the volume.
    #[error("{}: there is no slice {index}; the volume has {slices}, counted from 0", path.display())]
    NoSuchSlice {
        /// The file.
        path: PathBuf,
        /// The index asked for.
        index: usize,
        /// Number of slices.
        slices: usize,
    },
    /// The volume does not fit into memory.
    #[error("{}: no memory for {bytes} bytes of voxels; store the volume with its slices on the last axis so that they stream, or use a larger machine", path.display())]
    OutOfMemory {
        /// The file.
        path: PathBuf,
        /// Bytes asked for.
        bytes: u64,
    },
    /// A DICOM series gives no volume.
    #[error(transparent)]
    Dicom(#[from] DicomError),
    /// The name to write to says neither `.nii` nor `.nii.gz`.
    #[error("{}: the name must end in .nii.gz or .nii; rename the output", path.display())]
    OutputName {
        /// The file.
        path: PathBuf,
    },
}

/// Why numbers do not make a usable geometry.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// Neither transform is declared.
    #[error(
        "no usable affine: sform_code is {sform_code} and qform_code is {qform_code}, so the patient's sides are unknown; convert the volume again from its DICOM series"
    )]
    NoAffine {
        /// `sform_code` of the header.
        sform_code: i16,
        /// `qform_code` of the header.
        qform_code: i16,
    },
    /// A transform is declared but is zero, not finite or flat.
    #[error(
        "no usable affine: the {form} {affine:?} has zeros, NaN or coinciding axes; convert the volume again from its DICOM series"
    )]
    Singular {
        /// "sform" or "qform".
        form: &'static str,
        /// Its three rows.
        affine: Box<[[f64; 4]; 3]>,
    },
    /// The volume is too far from the patient's axes for "transverse" to mean anything.
    #[error(
        "no usable affine: the {form} {affine:?} lies {tilt_degrees:.1} degrees off the patient's axes, more than {MAX_TILT_DEGREES}; reformat the volume to transverse slices"
    )]
    Oblique {
        /// "sform" or "qform".
        form: &'static str,
        /// Its three rows.
        affine: Box<[[f64; 4]; 3]>,
        /// The largest angle of a file axis to its patient axis.
        tilt_degrees: f64,
    },
    /// A spacing no CT has.
    #[error(
        "a spacing of {spacing_mm:?} mm (slice, row, column) is not plausible for CT (0.01 to 100 mm); check the affine and its unit"
    )]
    Implausible {
        /// Slice, row and column spacing.
        spacing_mm: [f64; 3],
    },
    /// The affine and `pixdim` give different voxel sizes, so areas would depend on which one believes.
    #[error(
        "the affine's voxel size {affine_mm:?} mm and the header's pixdim {pixdim_mm:?} mm disagree by more than 1 %; convert the volume again from its DICOM series"
    )]
    SizesDisagree {
        /// Step along each file axis from the affine.
        affine_mm: [f64; 3],
        /// The same from `pixdim[1..=3]`.
        pixdim_mm: [f64; 3],
    },
    /// An empty or oversized grid.
    #[error(
        "a volume of {shape:?} (slices, rows, columns) is not possible; each must be 1 to 32767 and all together at most 2^32 voxels"
    )]
    Shape {
        /// Slices, rows, columns.
        shape: [usize; 3],
    },
    /// Two grids that should be one.
    #[error(
        "the grids disagree: one is {first}, the other {second}; use labels that were drawn on this very image"
    )]
    GridsDiffer {
        /// The one asked.
        first: String,
        /// The one compared with.
        second: String,
    },
}
