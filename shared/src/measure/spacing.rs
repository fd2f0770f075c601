//! Distances between neighbouring voxels, and the areas and volumes that follow.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Distance between neighbouring voxels along each canonical axis, in mm; each finite and above 0.
///
/// Made by [`Spacing::new`]; a deserialised one is checked in the same way.
///
/// ```
/// use nephrobox_shared::measure::Spacing;
/// let spacing = Spacing::new(5.0, 0.8, 0.8)?;
/// assert_eq!(spacing.voxel_ml() * 1000.0, spacing.pixel_mm2() * 5.0);
/// # Ok::<(), nephrobox_shared::measure::SpacingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct Spacing {
    /// Between neighbouring slices, mm.
    pub slice_mm: f64,
    /// Between neighbouring rows, mm.
    pub row_mm: f64,
    /// Between neighbouring columns, mm.
    pub col_mm: f64,
}

impl Spacing {
    /// Checks and takes the three distances, in mm.
    pub fn new(slice_mm: f64, row_mm: f64, col_mm: f64) -> Result<Self, SpacingError> {
        let spacing = Self {
            slice_mm,
            row_mm,
            col_mm,
        };
        for (axis, mm) in [("slice", slice_mm), ("row", row_mm), ("column", col_mm)] {
            if !(mm.is_finite() && mm > 0.0) {
                return Err(SpacingError { axis, mm });
            }
        }
        Ok(spacing)
    }

    /// Area of one pixel in its slice, mm².
    pub fn pixel_mm2(&self) -> f64 {
        self.row_mm * self.col_mm
    }

    /// Volume of one voxel, mL (1 mL = 1000 mm³).
    pub fn voxel_ml(&self) -> f64 {
        self.slice_mm * self.pixel_mm2() / 1000.0
    }
}

/// Three numbers as they were read, before they are believed.
#[derive(Deserialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the unit belongs in the name, as in `Spacing`"
)]
struct Unchecked {
    slice_mm: f64,
    row_mm: f64,
    col_mm: f64,
}

impl TryFrom<Unchecked> for Spacing {
    type Error = SpacingError;

    fn try_from(raw: Unchecked) -> Result<Self, SpacingError> {
        Self::new(raw.slice_mm, raw.row_mm, raw.col_mm)
    }
}

/// A spacing that is no distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpacingError {
    /// The axis: slice, row or column.
    pub axis: &'static str,
    /// The value, mm.
    pub mm: f64,
}

impl fmt::Display for SpacingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} spacing is {} mm; it must be a finite number above 0",
            self.axis, self.mm
        )
    }
}

impl core::error::Error for SpacingError {}
