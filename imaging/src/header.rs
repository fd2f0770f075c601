//! The NIfTI-1 header: read and believed only as far as it agrees with itself and the file's size, and written for new files.
//!
//! Used by the reader and the writer. Parsing of the fields is the `nifti` crate's; all checks are here, because that crate leaves
//! them to its volumes, which this one does not use. Limits: NIfTI-1 in one file, one 3-D image (further axes of length 1 are fine).

use nifti::{Endianness, NiftiHeader, NiftiType};

use crate::dicom::{DicomError, Series, begins_tar};
use crate::error::ImagingError;
use crate::geometry::{Forms, Geometry};
use crate::source::Source;
use crate::voxel::{Encoding, Number};

/// Length of the NIfTI-1 header.
const HEADER: usize = 348;

/// First byte at which the voxels of a single file may begin: header and four bytes that announce extensions.
pub(crate) const FIRST_VOXEL: usize = 352;

/// What the reader needs to know about a file.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) geometry: Geometry,
    pub(crate) encoding: Encoding,
    /// Byte at which the voxels begin.
    pub(crate) offset: u64,
}

impl Header {
    /// Bytes from the first of the file to the last voxel.
    pub(crate) fn expected(&self) -> u64 {
        self.offset + self.geometry.voxels() * self.encoding.number.size() as u64
    }

    /// What a DICOM series, seen as one file, would have for a header.
    pub(crate) fn of_series(series: &Series) -> Self {
        Self {
            geometry: series.geometry().clone(),
            encoding: Encoding {
                number: Number::I16,
                big_endian: cfg!(target_endian = "big"),
                scaling: None,
            },
            offset: 0,
        }
    }

    /// Reads and checks the header of `source`. Nothing is allocated by what it says.
    pub(crate) fn read(source: &mut Source) -> Result<Self, ImagingError> {
        let path = source.path().to_owned();
        let not_nifti = |found: String| ImagingError::NotNifti {
            path: path.clone(),
            found,
        };
        let mut raw = [0; HEADER];
        let found = source.read_up_to(&mut raw)?;
        if found < HEADER {
            return Err(not_nifti(format!(
                "this holds {found} bytes, less than the {HEADER} of a header"
            )));
        }
        if begins_tar(&raw) && source.is_gzip() {
            return Err(ImagingError::Dicom(DicomError::Archive {
                path,
                what: "a series in one file must not be compressed",
            }));
        }
        let length = [raw[0], raw[1], raw[2], raw[3]];
        if 540 == i32::from_le_bytes(length) || 540 == i32::from_be_bytes(length) {
            return Err(not_nifti("this is NIfTI-2".into()));
        }
        let header = match NiftiHeader::from_reader(&raw[..]) {
            Ok(header) if header.sizeof_hdr == HEADER as i32 => header,
            Ok(_) | Err(_) => return Err(not_nifti("this has no NIfTI-1 header".into())),
        };
        if header.magic != *b"n+1\0" {
            return Err(not_nifti(
                "this is the header of a pair of files (.hdr and .img)".into(),
            ));
        }
        let dimensions = |problem: &str| ImagingError::Dimensions {
            path: path.clone(),
            dim: header.dim.map(|n| n as i16),
            problem: problem.to_owned(),
        };
        let count = usize::from(header.dim[0]);
        if !(3..=7).contains(&count) {
            return Err(dimensions("which is no volume"));
        }
        let lengths = &header.dim[1..=count];
        if lengths.iter().any(|&n| n == 0 || n > i16::MAX as u16) {
            return Err(dimensions("one of which is not positive"));
        }
        if lengths[3..].iter().any(|&n| n != 1) {
            return Err(dimensions("more than one volume"));
        }
        let encoding = encoding(&header, source)?;
        let offset = header.vox_offset;
        if !(FIRST_VOXEL as f32..=i32::MAX as f32).contains(&offset) || offset.fract() != 0.0 {
            return Err(ImagingError::VoxelOffset { path, offset });
        }
        let geometry =
            Geometry::from_forms(forms(&header)).map_err(|source| ImagingError::Geometry {
                path: path.clone(),
                source,
            })?;
        let checked = Self {
            geometry,
            encoding,
            offset: offset as u64,
        };
        let (expected, at_most) = (checked.expected(), source.at_most());
        if expected > at_most {
            return Err(ImagingError::TooShort {
                path,
                expected,
                found: at_most,
                at_most: source.is_gzip(),
            });
        }
        if expected < at_most && !source.is_gzip() {
            return Err(ImagingError::TooLong { path, expected });
        }
        Ok(checked)
    }
}

fn encoding(header: &NiftiHeader, source: &Source) -> Result<Encoding, ImagingError> {
    let number = header
        .data_type()
        .ok()
        .and_then(Number::from_nifti)
        .ok_or_else(|| ImagingError::UnsupportedType {
            path: source.path().to_owned(),
            datatype: header.datatype,
        })?;
    let expected = 8 * number.size() as i16;
    if header.bitpix != expected {
        return Err(ImagingError::BitsDisagree {
            path: source.path().to_owned(),
            datatype: header.datatype,
            bitpix: header.bitpix,
            expected,
        });
    }
    // 0 means "no scaling" in the standard, NaN in nibabel's files.
    let (slope, intercept) = (header.scl_slope, header.scl_inter);
    let scaled = slope != 0.0 && slope.is_finite();
    if scaled && !intercept.is_finite() {
        return Err(ImagingError::Scaling {
            path: source.path().to_owned(),
            slope,
            intercept,
        });
    }
    Ok(Encoding {
        number,
        big_endian: header.endianness == Endianness::Big,
        scaling: (scaled && (slope, intercept) != (1.0, 0.0))
            .then_some((f64::from(slope), f64::from(intercept))),
    })
}

fn forms(header: &NiftiHeader) -> Forms {
    let mut dim = header.dim;
    for unused in &mut dim[usize::from(header.dim[0]).min(7) + 1..] {
        *unused = 1;
    }
    Forms {
        dim,
        pixdim: header.pixdim,
        xyzt_units: header.xyzt_units,
        qform_code: header.qform_code,
        quatern: [header.quatern_b, header.quatern_c, header.quatern_d],
        offset: [header.quatern_x, header.quatern_y, header.quatern_z],
        sform_code: header.sform_code,
        srow: [header.srow_x, header.srow_y, header.srow_z],
    }
}

/// The first 352 bytes of a little-endian file of `kind` on this grid, unscaled; byte positions are the standard's (nifti1.h).
pub(crate) fn encode(geometry: &Geometry, kind: NiftiType) -> [u8; FIRST_VOXEL] {
    let forms = geometry.forms();
    let mut raw = [0; FIRST_VOXEL];
    let mut put = |at: usize, bytes: &[u8]| raw[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(HEADER as i32).to_le_bytes());
    put(38, b"r");
    for (i, n) in forms.dim.iter().enumerate() {
        put(40 + 2 * i, &n.to_le_bytes());
    }
    put(70, &(kind as i16).to_le_bytes());
    put(72, &(8 * kind.size_of() as i16).to_le_bytes());
    for (i, size) in forms.pixdim.iter().enumerate() {
        put(76 + 4 * i, &size.to_le_bytes());
    }
    put(108, &(FIRST_VOXEL as f32).to_le_bytes());
    put(112, &1f32.to_le_bytes());
    put(123, &[forms.xyzt_units]);
    put(148, b"Nephrobox, research use only");
    put(252, &forms.qform_code.to_le_bytes());
    put(254, &forms.sform_code.to_le_bytes());
    for (i, value) in forms
        .quatern
        .iter()
        .chain(&forms.offset)
        .chain(forms.srow.as_flattened())
        .enumerate()
    {
        put(256 + 4 * i, &value.to_le_bytes());
    }
    put(344, b"n+1\0");
    raw
}
