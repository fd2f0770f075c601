//! From the two transforms of a NIfTI header to one affine, and from an affine to the patient's axes.
//!
//! Used by [`crate::geometry`], its vectors also by [`crate::dicom`]; pure arithmetic on a few numbers, no files. World coordinates are NIfTI's: millimetres, x growing
//! towards the patient's right, y towards the front, z towards the head ("RAS+").

/// Voxel index to patient coordinates in millimetres: the upper three rows of the homogeneous matrix.
pub(crate) type Affine = [[f64; 4]; 3];

/// Greatest angle in degrees between an axis of the file and the patient axis it is taken for.
///
/// CT gantries tilt by up to 30 degrees; beyond that "transverse" stops being a fair name, and at 45 degrees the choice of axis
/// itself becomes arbitrary.
pub const MAX_TILT_DEGREES: f64 = 30.0;

/// The square of `a` that three f32 can leave over when it is 0; nibabel takes the same.
const QUATERNION_ROUNDING: f64 = 3.0 * f32::EPSILON as f64;

/// The sform: its three rows as they are (NIfTI-1 standard, "method 3").
pub(crate) fn from_sform(rows: &[[f32; 4]; 3]) -> Affine {
    rows.map(|row| row.map(f64::from))
}

/// The qform: rotation by the unit quaternion (a, b, c, d), columns scaled by the voxel sizes, the third by `qfac` as well
/// (NIfTI-1 standard, "method 2").
///
/// `a` is not stored; it follows from the other three. Where those leave less than the rounding of an f32, `a` is 0 and they are
/// normalised, as the standard's own C library does: its square root would otherwise turn a straight volume by hundredths of a
/// degree. Three numbers more than 1 % too long are no rotation and give NaN, which [`Orientation::of`] refuses.
pub(crate) fn from_qform(pixdim: &[f32; 8], quatern: [f32; 3], offset: [f32; 3]) -> Affine {
    let [mut b, mut c, mut d] = quatern.map(f64::from);
    let norm = (b * b + c * c + d * d).sqrt();
    let mut a = (1.0 - norm * norm).max(0.0).sqrt();
    if 1.0 - norm * norm < QUATERNION_ROUNDING {
        let scale = if norm <= 1.01 { norm } else { f64::NAN };
        (b, c, d) = (b / scale, c / scale, d / scale);
        a = 0.0;
    }
    let rotation = [
        [
            a * a + b * b - c * c - d * d,
            2.0 * (b * c - a * d),
            2.0 * (b * d + a * c),
        ],
        [
            2.0 * (b * c + a * d),
            a * a + c * c - b * b - d * d,
            2.0 * (c * d - a * b),
        ],
        [
            2.0 * (b * d - a * c),
            2.0 * (c * d + a * b),
            a * a + d * d - b * b - c * c,
        ],
    ];
    // Any negative pixdim[0] means a left-handed grid; 0 and other oddities count as +1, as the standard asks.
    let qfac = if pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let size = [
        f64::from(pixdim[1]),
        f64::from(pixdim[2]),
        f64::from(pixdim[3]) * qfac,
    ];
    let mut affine = [[0.0; 4]; 3];
    for (row, line) in affine.iter_mut().enumerate() {
        for (axis, value) in line[..3].iter_mut().enumerate() {
            *value = rotation[row][axis] * size[axis];
        }
        line[3] = f64::from(offset[row]);
    }
    affine
}

/// One axis of the file and whether it runs against the canonical direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileAxis {
    /// 0 varies fastest in the file, 2 slowest.
    pub(crate) axis: usize,
    pub(crate) reversed: bool,
}

/// Which file axis runs along which patient axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Orientation {
    /// In canonical order: slice (towards the feet), row (towards the back), column (towards the patient's left).
    pub(crate) canonical: [FileAxis; 3],
    /// NIfTI axis codes of the file's axes, such as "IPL": the direction in which each index grows.
    pub(crate) codes: String,
    /// Largest angle in degrees between a file axis and its patient axis.
    pub(crate) tilt_degrees: f64,
    /// Distance in mm between neighbouring slice planes, rows and columns. The first is measured at a right angle to the slices,
    /// so that area times it is a volume even where a tilted gantry sheared the stack.
    pub(crate) spacing_mm: [f64; 3],
    /// Length in mm of one step along each file axis.
    pub(crate) step_mm: [f64; 3],
}

/// Why an affine gives no orientation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unusable {
    /// Not finite, all zero along an axis, or flat: no volume.
    Singular,
    /// Further from the patient's axes than [`MAX_TILT_DEGREES`].
    Oblique { tilt_degrees: f64 },
}

/// Below this share of the box that its three axes could span, a voxel is flat.
///
/// With each axis within 30 degrees of its own patient axis the share is at least 0.25; this only has to catch axes that coincide.
const FLAT: f64 = 1e-3;

/// Canonical directions in RAS+: slices towards the feet, rows towards the back, columns towards the patient's left.
const CANONICAL: [(usize, f64); 3] = [(2, -1.0), (1, -1.0), (0, -1.0)];

impl Orientation {
    /// Gives each file axis the patient axis with which it has the largest absolute cosine.
    pub(crate) fn of(affine: &Affine) -> Result<Self, Unusable> {
        let step: [[f64; 3]; 3] = [0, 1, 2].map(|axis| [0, 1, 2].map(|world| affine[world][axis]));
        let step_mm = step.map(|v| dot(v, v).sqrt());
        let finite = affine.iter().flatten().all(|value| value.is_finite());
        if !finite
            || step_mm
                .iter()
                .any(|&length| length == 0.0 || !length.is_finite())
        {
            return Err(Unusable::Singular);
        }
        let unit: [[f64; 3]; 3] =
            [0, 1, 2].map(|axis| step[axis].map(|value| value / step_mm[axis]));
        if dot(unit[0], cross(unit[1], unit[2])).abs() < FLAT {
            return Err(Unusable::Singular);
        }
        let nearest = unit.map(|v| {
            (0..3)
                .max_by(|&p, &q| v[p].abs().total_cmp(&v[q].abs()))
                .unwrap_or(0)
        });
        let cosine = [0, 1, 2].map(|axis| unit[axis][nearest[axis]].abs().min(1.0));
        // From sine and cosine together: acos alone would read the f32 rounding of a straight affine as 0.03 degrees.
        let tilt_degrees = [0, 1, 2]
            .map(|axis| {
                off_axis(unit[axis], nearest[axis])
                    .atan2(cosine[axis])
                    .to_degrees()
            })
            .into_iter()
            .fold(0.0, f64::max);
        let distinct =
            nearest[0] != nearest[1] && nearest[1] != nearest[2] && nearest[0] != nearest[2];
        if !distinct || tilt_degrees > MAX_TILT_DEGREES {
            return Err(Unusable::Oblique { tilt_degrees });
        }
        let canonical = CANONICAL.map(|(world, sign)| {
            let axis = (0..3).find(|&axis| nearest[axis] == world).unwrap_or(0);
            FileAxis {
                axis,
                reversed: unit[axis][world] * sign < 0.0,
            }
        });
        let codes = (0..3)
            .map(|axis| {
                let negative = unit[axis][nearest[axis]] < 0.0;
                [['R', 'L'], ['A', 'P'], ['S', 'I']][nearest[axis]][usize::from(negative)]
            })
            .collect();
        let [slice, row, col] = canonical.map(|a| a.axis);
        let normal = cross(unit[row], unit[col]);
        let slice_mm = (dot(step[slice], normal) / dot(normal, normal).sqrt()).abs();
        Ok(Self {
            canonical,
            codes,
            tilt_degrees,
            spacing_mm: [slice_mm, step_mm[row], step_mm[col]],
            step_mm,
        })
    }
}

/// Length of the part of `unit` that does not lie along `world`: the sine of the tilt.
fn off_axis(unit: [f64; 3], world: usize) -> f64 {
    (0..3)
        .filter(|&i| i != world)
        .map(|i| unit[i] * unit[i])
        .sum::<f64>()
        .sqrt()
}

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}
