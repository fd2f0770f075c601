//! Where the patient's left and right halves meet.

use super::MeasureError;

/// Voxels above this count as soft tissue or bone. Fat and air lie below it, and so does what a scan clipped at 0 HU
/// shows in their place, so such scans give the same midline.
const TISSUE_ABOVE_HU: i16 = 10;

/// Below this share of tissue among all pixels the mean says nothing about a patient.
const ENOUGH: f64 = 0.01;

/// Estimates the column of a scan's mid-sagittal plane: the mean column of all tissue above 10 HU.
///
/// A patient is symmetric enough for this to be good to a centimetre or so when they lie straight, whole and alone in
/// the field of view; it is used only to tell right kidneys from left ones, and the measures keep a component whole
/// unless it really straddles the plane. With less than 1 % tissue the middle of the image is taken instead.
///
/// Sums are integers, so slices may come in any order.
///
/// ```
/// use nephrobox_shared::measure::Midline;
/// let mut midline = Midline::new();
/// midline.add(&[-1000, 40, 40, 40, -1000, -1000], 6)?;
/// assert_eq!(midline.column(), 2.0);
/// # Ok::<(), nephrobox_shared::measure::MeasureError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Midline {
    cols: usize,
    pixels: u64,
    tissue: u64,
    columns: u64,
}

impl Midline {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self {
            cols: 0,
            pixels: 0,
            tissue: 0,
            columns: 0,
        }
    }

    /// Adds one canonical slice in HU, rows of `cols` pixels; every slice of a scan has the same `cols`.
    pub fn add(&mut self, hu: &[i16], cols: usize) -> Result<(), MeasureError> {
        if cols == 0 || (self.cols != 0 && self.cols != cols) {
            return Err(MeasureError::Length {
                expected: self.cols.max(1),
                found: cols,
            });
        }
        if !hu.len().is_multiple_of(cols) {
            return Err(MeasureError::Length {
                expected: hu.len() / cols * cols,
                found: hu.len(),
            });
        }
        self.cols = cols;
        for row in hu.chunks_exact(cols) {
            for (col, &hu) in row.iter().enumerate() {
                let tissue = u64::from(hu > TISSUE_ABOVE_HU);
                self.tissue += tissue;
                self.columns += tissue * col as u64;
            }
        }
        self.pixels += hu.len() as u64;
        Ok(())
    }

    /// The estimate as a position along the columns, where column `c` has its centre at `c`; the middle of the image,
    /// `(cols - 1) / 2`, if there is too little tissue, and 0 before any slice.
    pub fn column(&self) -> f64 {
        if self.is_estimated() {
            self.columns as f64 / self.tissue as f64
        } else {
            self.cols.saturating_sub(1) as f64 / 2.0
        }
    }

    /// Whether [`column`](Self::column) comes from the patient rather than from the image's middle.
    pub fn is_estimated(&self) -> bool {
        self.tissue > 0 && self.tissue as f64 >= ENOUGH * self.pixels as f64
    }
}
