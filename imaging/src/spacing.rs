//! Until the shared crate has it.
/// Distances in mm.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Spacing {
    /// Between neighbouring slices, mm.
    pub slice_mm: f64,
    /// Between neighbouring rows, mm.
    pub row_mm: f64,
    /// Between neighbouring columns, mm.
    pub col_mm: f64,
}
#[derive(Debug)]
/// No distance.
pub struct SpacingError;
impl Spacing {
    /// Checked.
    pub fn new(slice_mm: f64, row_mm: f64, col_mm: f64) -> Result<Self, SpacingError> {
        if [slice_mm, row_mm, col_mm]
            .iter()
            .all(|mm| mm.is_finite() && *mm > 0.0)
        {
            Ok(Self {
                slice_mm,
                row_mm,
                col_mm,
            })
        } else {
            Err(SpacingError)
        }
    }
}
