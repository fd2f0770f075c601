//! Where a volume lies in the patient, and how its file orders the voxels.
//!
//! Used by everyone who reads or writes a volume: [`Geometry`] says which file axis runs along which patient axis, gives the
//! spacing in canonical order, and carries the header's transforms unchanged, so that a label map can be written back into exactly
//! the same place. Limits: 3-D volumes whose axes lie within [`MAX_TILT_DEGREES`](crate::MAX_TILT_DEGREES) of the patient's;
//! nothing is ever resampled.

use std::ops::Range;

use nephrobox_shared::measure::Spacing;

use crate::affine::{self, Affine, Orientation, Unusable};
use crate::error::GeometryError;
use crate::layout::View;

/// Longest axis: NIfTI-1 stores lengths as signed 16-bit numbers.
const MAX_AXIS: usize = i16::MAX as usize;

/// Most voxels in one volume. A whole-body CT has about 5 * 10^8.
const MAX_VOXELS: u64 = 1 << 32;

/// Plausible spacing of a CT in mm; outside, the affine or its unit is wrong.
const PLAUSIBLE_MM: std::ops::RangeInclusive<f64> = 0.01..=100.0;

/// How far `pixdim` and the affine may disagree about the size of a voxel.
const SIZE_TOLERANCE: f64 = 0.01;

/// How far corresponding corners of two volumes on one grid may lie apart, as a share of the smallest spacing.
///
/// Tools round affines to f32 or to a few decimals, which moves the far corner by hundredths of a millimetre; a grid shifted by one
/// voxel moves it ten times as far as this allows.
const CORNER_TOLERANCE: f64 = 0.1;

/// The spatial part of a NIfTI-1 header, value for value, so that it can be written back as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Forms {
    /// Count, then lengths; unused ones are 1.
    pub(crate) dim: [u16; 8],
    pub(crate) pixdim: [f32; 8],
    pub(crate) xyzt_units: u8,
    pub(crate) qform_code: i16,
    /// `quatern_b`, `_c`, `_d`.
    pub(crate) quatern: [f32; 3],
    /// `qoffset_x`, `_y`, `_z`.
    pub(crate) offset: [f32; 3],
    pub(crate) sform_code: i16,
    pub(crate) srow: [[f32; 4]; 3],
}

/// A volume's grid: shape, spacing, the way from canonical slices to the file and to the patient.
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
    forms: Forms,
    affine: Affine,
    orientation: Orientation,
    spacing: Spacing,
    forms_disagree: bool,
}

impl Geometry {
    /// Takes the sform if it is declared and usable, else the qform.
    pub(crate) fn from_forms(forms: Forms) -> Result<Self, GeometryError> {
        let lengths = [forms.dim[1], forms.dim[2], forms.dim[3]].map(usize::from);
        check_shape(lengths)?;
        let unit_mm = unit_mm(forms.xyzt_units);
        let sform =
            (forms.sform_code > 0).then(|| scaled(affine::from_sform(&forms.srow), unit_mm));
        let qform = (forms.qform_code > 0).then(|| {
            scaled(
                affine::from_qform(&forms.pixdim, forms.quatern, forms.offset),
                unit_mm,
            )
        });
        let (affine, orientation, forms_disagree) = match (sform, qform) {
            (None, None) => {
                return Err(GeometryError::NoAffine {
                    sform_code: forms.sform_code,
                    qform_code: forms.qform_code,
                });
            }
            (Some(sform), None) => (sform, orient("sform", &sform)?, false),
            (None, Some(qform)) => (qform, orient("qform", &qform)?, false),
            (Some(sform), Some(qform)) => {
                match (orient("sform", &sform), orient("qform", &qform)) {
                    (Ok(s), Ok(q)) => {
                        let disagree = s.codes != q.codes;
                        (sform, s, disagree)
                    }
                    (Ok(s), Err(_)) => (sform, s, false),
                    // Zeros under a declared sform are a known slip of exporters; the qform beside it is then the only affine there is.
                    // An oblique sform is a statement, not a slip, and stands.
                    (Err(GeometryError::Singular { .. }), Ok(q)) => (qform, q, false),
                    (Err(error), _) => return Err(error),
                }
            }
        };
        let spacing_mm = orientation.spacing_mm;
        let [slice_mm, row_mm, col_mm] = spacing_mm;
        let spacing = match Spacing::new(slice_mm, row_mm, col_mm) {
            Ok(spacing) if spacing_mm.iter().all(|mm| PLAUSIBLE_MM.contains(mm)) => spacing,
            _ => return Err(GeometryError::Implausible { spacing_mm }),
        };
        let geometry = Self {
            forms,
            affine,
            orientation,
            spacing,
            forms_disagree,
        };
        geometry.check_sizes(unit_mm)?;
        Ok(geometry)
    }

    /// A grid of `shape`, fastest axis first, that lies in the patient as `affine` says, in mm. It goes into headers as an sform.
    ///
    /// Errors: an empty or oversized shape, axes too far from the patient's, an implausible spacing.
    pub(crate) fn from_affine(shape: [usize; 3], affine: &Affine) -> Result<Self, GeometryError> {
        check_shape(shape)?;
        let [a, b, c] = [0, 1, 2].map(|axis| {
            let squared: f64 = affine.iter().map(|row| row[axis] * row[axis]).sum();
            squared.sqrt() as f32
        });
        let [cols, rows, slices] = shape.map(|length| length as u16);
        Self::from_forms(Forms {
            dim: [3, cols, rows, slices, 1, 1, 1, 1],
            pixdim: [1.0, a, b, c, 1.0, 1.0, 1.0, 1.0],
            xyzt_units: 2,
            qform_code: 0,
            quatern: [0.0; 3],
            offset: [0.0; 3],
            sform_code: 1,
            srow: affine.map(|row| row.map(|value| value as f32)),
        })
    }

    /// The grid of a KiTS19 volume: slices on the first (fastest) axis, axis codes "IPL", an sform with its origin at 0.
    ///
    /// `shape` is slices, rows, columns. Errors: an empty or oversized shape, an implausible spacing.
    pub fn kits(shape: [usize; 3], spacing: Spacing) -> Result<Self, GeometryError> {
        check_shape(shape)?;
        let [s, r, c] = [spacing.slice_mm, spacing.row_mm, spacing.col_mm].map(|mm| mm as f32);
        let half_turn = std::f32::consts::FRAC_1_SQRT_2;
        Self::from_forms(Forms {
            dim: [
                3,
                shape[0] as u16,
                shape[1] as u16,
                shape[2] as u16,
                1,
                1,
                1,
                1,
            ],
            pixdim: [1.0, s, r, c, 1.0, 1.0, 1.0, 1.0],
            xyzt_units: 2,
            qform_code: 0,
            quatern: [-half_turn, 0.0, half_turn],
            offset: [0.0; 3],
            sform_code: 2,
            srow: [
                [0.0, 0.0, -c, 0.0],
                [0.0, -r, 0.0, 0.0],
                [-s, 0.0, 0.0, 0.0],
            ],
        })
    }

    /// Slices, rows and columns of the canonical volume.
    pub fn shape(&self) -> [usize; 3] {
        let file = self.file_shape();
        self.orientation.canonical.map(|a| file[a.axis])
    }

    /// Lengths of the file's axes, fastest-varying first.
    pub fn file_shape(&self) -> [usize; 3] {
        let dim = &self.forms.dim;
        [dim[1], dim[2], dim[3]].map(usize::from)
    }

    /// Number of canonical slices.
    pub fn slices(&self) -> usize {
        self.shape()[0]
    }

    /// Pixels of one canonical slice, rows times columns.
    pub fn slice_len(&self) -> usize {
        let [_, rows, cols] = self.shape();
        rows * cols
    }

    /// Voxels of the whole volume.
    pub fn voxels(&self) -> u64 {
        self.shape().iter().map(|&n| n as u64).product()
    }

    /// Distances between neighbouring slice planes, rows and columns in mm.
    pub fn spacing(&self) -> Spacing {
        self.spacing
    }

    /// NIfTI axis codes of the file's axes: "IPL" for KiTS19, "LPS" for most scanners' exports.
    pub fn codes(&self) -> &str {
        &self.orientation.codes
    }

    /// Largest angle in degrees between an axis of the file and the patient axis it is taken for; at most
    /// [`MAX_TILT_DEGREES`](crate::MAX_TILT_DEGREES). Slices of a tilted volume are not exactly transverse: worth a flag above a
    /// few degrees.
    pub fn tilt_degrees(&self) -> f64 {
        self.orientation.tilt_degrees
    }

    /// Sform and qform are both usable but name different sides. The sform is used, as everywhere; worth a flag.
    pub fn forms_disagree(&self) -> bool {
        self.forms_disagree
    }

    /// The slice axis varies slowest in the file, so slices can be read one after the other without holding the volume.
    pub fn streams(&self) -> bool {
        self.orientation.canonical[0].axis == 2
    }

    /// Patient coordinates in mm of a canonical voxel's centre, given as slice, row and column (fractions allowed): NIfTI's RAS+, x
    /// growing towards the patient's right, y towards the front, z towards the head.
    pub fn position(&self, index: [f64; 3]) -> [f64; 3] {
        let file = self.file_shape();
        let mut at = [0.0; 3];
        for (canonical, value) in self.orientation.canonical.iter().zip(index) {
            let last = (file[canonical.axis] - 1) as f64;
            at[canonical.axis] = if canonical.reversed {
                last - value
            } else {
                value
            };
        }
        self.affine
            .map(|row| row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3])
    }

    /// Errors unless both volumes have the same canonical shape and every corner lies at the same place in the patient, within a
    /// tenth of the smallest spacing. The order of the axes in the two files may differ: canonical slices match all the same.
    pub fn same_grid(&self, other: &Self) -> Result<(), GeometryError> {
        let shape = self.shape();
        let spacing = self.orientation.spacing_mm;
        let limit = CORNER_TOLERANCE * spacing.into_iter().fold(f64::INFINITY, f64::min);
        let corners_agree = || {
            (0..8).all(|corner| {
                let index = [0, 1, 2].map(|axis| {
                    if corner >> axis & 1 == 1 {
                        (shape[axis] - 1) as f64
                    } else {
                        0.0
                    }
                });
                let (here, there) = (self.position(index), other.position(index));
                let squared: f64 = here.iter().zip(there).map(|(a, b)| (a - b) * (a - b)).sum();
                squared.sqrt() <= limit
            })
        };
        if shape == other.shape() && corners_agree() {
            return Ok(());
        }
        Err(GeometryError::GridsDiffer {
            first: self.describe(),
            second: other.describe(),
        })
    }

    /// The header fields to write back.
    pub(crate) fn forms(&self) -> &Forms {
        &self.forms
    }

    /// Where the canonical voxels are in the file's order.
    pub(crate) fn view(&self) -> View {
        let file = self.file_shape();
        let strides = [1, file[0], file[0] * file[1]];
        let mut view = View {
            base: 0,
            strides: [0; 3],
        };
        for (target, from) in view.strides.iter_mut().zip(self.orientation.canonical) {
            let stride = strides[from.axis];
            *target = stride as isize;
            if from.reversed {
                view.base += (file[from.axis] - 1) * stride;
                *target = -*target;
            }
        }
        view
    }

    /// Canonical slice to which the voxel at `offset` in the file's order belongs.
    pub(crate) fn slice_of(&self, offset: u64) -> usize {
        let file = self.file_shape();
        let strides = [1, file[0], file[0] * file[1]];
        let from = self.orientation.canonical[0];
        let index = (offset / strides[from.axis] as u64) as usize % file[from.axis];
        if from.reversed {
            file[from.axis] - 1 - index
        } else {
            index
        }
    }

    /// Ranges along the file's axes as ranges of canonical slices, rows and columns.
    pub(crate) fn canonical_ranges(&self, file: &[Range<usize>; 3]) -> [Range<usize>; 3] {
        let lengths = self.file_shape();
        self.orientation.canonical.map(|from| {
            let (range, length) = (&file[from.axis], lengths[from.axis]);
            if from.reversed {
                length - range.end..length - range.start
            } else {
                range.clone()
            }
        })
    }

    fn describe(&self) -> String {
        let [slices, rows, cols] = self.shape();
        let [slice_mm, row_mm, col_mm] = self.orientation.spacing_mm;
        let [x, y, z] = self.position([0.0; 3]);
        format!(
            "{slices} x {rows} x {cols} (slices x rows x columns) at {slice_mm:.4} x {row_mm:.4} x {col_mm:.4} mm, stored {}, \
             first voxel at ({x:.2}, {y:.2}, {z:.2}) mm",
            self.codes()
        )
    }

    /// A qform takes its sizes from `pixdim`; an sform has its own, and readers differ in which they believe.
    fn check_sizes(&self, unit_mm: f64) -> Result<(), GeometryError> {
        let pixdim_mm = [1, 2, 3].map(|i| f64::from(self.forms.pixdim[i]) * unit_mm);
        // Zeros, negatives and NaN are an empty field rather than another opinion.
        if !pixdim_mm.iter().all(|&mm| mm.is_finite() && mm > 0.0) {
            return Ok(());
        }
        let affine_mm = self.orientation.step_mm;
        let mut upright_mm = affine_mm;
        upright_mm[self.orientation.canonical[0].axis] = self.orientation.spacing_mm[0];
        let agrees = |axis: usize| {
            let near = |mm: f64| (pixdim_mm[axis] - mm).abs() <= SIZE_TOLERANCE * mm;
            near(affine_mm[axis]) || near(upright_mm[axis])
        };
        if (0..3).all(agrees) {
            Ok(())
        } else {
            Err(GeometryError::SizesDisagree {
                affine_mm,
                pixdim_mm,
            })
        }
    }
}

fn check_shape(shape: [usize; 3]) -> Result<(), GeometryError> {
    let fits = shape.iter().all(|n| (1..=MAX_AXIS).contains(n))
        && shape.iter().map(|&n| n as u64).product::<u64>() <= MAX_VOXELS;
    if fits {
        Ok(())
    } else {
        Err(GeometryError::Shape { shape })
    }
}

fn orient(form: &'static str, affine: &Affine) -> Result<Orientation, GeometryError> {
    Orientation::of(affine).map_err(|error| match error {
        Unusable::Singular => GeometryError::Singular {
            form,
            affine: Box::new(*affine),
        },
        Unusable::Oblique { tilt_degrees } => GeometryError::Oblique {
            form,
            affine: Box::new(*affine),
            tilt_degrees,
        },
    })
}

/// Millimetres in one unit of the affine: code 1 is metres, 3 micrometres, 2 and "unknown" millimetres.
fn unit_mm(xyzt_units: u8) -> f64 {
    match xyzt_units & 0b111 {
        1 => 1e3,
        3 => 1e-3,
        _ => 1.0,
    }
}

fn scaled(affine: Affine, unit_mm: f64) -> Affine {
    affine.map(|row| row.map(|value| value * unit_mm))
}
