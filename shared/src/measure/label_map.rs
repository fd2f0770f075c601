//! A whole scan's labels in a few kilobytes a slice.

use alloc::{boxed::Box, vec::Vec};

use super::MeasureError;
use crate::class::Class;

/// Pixels of one class that lie side by side in one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// Row of the slice.
    pub row: u16,
    /// First column.
    pub start: u16,
    /// Column after the last; above `start`.
    pub end: u16,
    /// Kidney or tumour; background is what no run covers.
    pub class: Class,
}

impl Run {
    /// Number of pixels, at least 1.
    pub const fn pixels(&self) -> u64 {
        (self.end - self.start) as u64
    }
}

/// The labels of a scan, run-length coded: 8 bytes for each stretch of kidney or tumour in a row.
///
/// Slices are canonical and numbered from the head end. They may be set in any order, because some files can only be
/// read from the feet; a slice that was never set is an error for readers, not background.
///
/// ```
/// use nephrobox_shared::{class::Class, measure::LabelMap};
/// let mut map = LabelMap::new(2, 3)?;
/// map.push(&[0, 1, 1, 0, 2, 0])?;
/// assert_eq!((map.slices(), map.count(Class::Kidney)), (1, 2));
/// let mut slice = [9; 6];
/// map.read(0, &mut slice)?;
/// assert_eq!(slice, [0, 1, 1, 0, 2, 0]);
/// # Ok::<(), nephrobox_shared::measure::MeasureError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    rows: usize,
    cols: usize,
    slices: Vec<Option<Box<[Run]>>>,
}

impl LabelMap {
    /// Slices a map can hold, more than any file format here can describe.
    const MAX_SLICES: usize = 1 << 16;

    /// An empty map for slices of `rows x cols` pixels, each 1 to 65,535.
    pub fn new(rows: usize, cols: usize) -> Result<Self, MeasureError> {
        let fits = |size: usize| (1..=usize::from(u16::MAX)).contains(&size);
        if !fits(rows) || !fits(cols) || rows.checked_mul(cols).is_none() {
            return Err(MeasureError::Size { rows, cols });
        }
        Ok(Self {
            rows,
            cols,
            slices: Vec::new(),
        })
    }

    /// Rows of every slice.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of every slice.
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Number of slices, up to the highest that was set.
    pub fn slices(&self) -> usize {
        self.slices.len()
    }

    /// The first slice that was never set, if there is one.
    pub fn missing(&self) -> Option<usize> {
        self.slices.iter().position(Option::is_none)
    }

    /// Sets the slice after the last.
    pub fn push(&mut self, labels: &[u8]) -> Result<(), MeasureError> {
        self.set(self.slices.len(), labels)
    }

    /// Sets or replaces one slice, `rows x cols` labels in row-major order. On an error the map is unchanged.
    pub fn set(&mut self, slice: usize, labels: &[u8]) -> Result<(), MeasureError> {
        if slice >= Self::MAX_SLICES {
            return Err(MeasureError::TooManySlices { slice });
        }
        self.check_length(labels.len())?;
        let runs = self.encode(labels)?;
        if slice >= self.slices.len() {
            self.slices.resize(slice + 1, None);
        }
        self.slices[slice] = Some(runs);
        Ok(())
    }

    /// Writes one slice's labels, `rows x cols`, into `out`. On an error `out` is untouched.
    pub fn read(&self, slice: usize, out: &mut [u8]) -> Result<(), MeasureError> {
        self.check_length(out.len())?;
        let runs = self.runs(slice)?;
        out.fill(Class::Background.label());
        for run in runs {
            let row = usize::from(run.row) * self.cols;
            out[row + usize::from(run.start)..row + usize::from(run.end)].fill(run.class.label());
        }
        Ok(())
    }

    /// The runs of one slice, sorted by row and column; runs of one class never touch within a row.
    pub fn runs(&self, slice: usize) -> Result<&[Run], MeasureError> {
        match self.slices.get(slice) {
            Some(Some(runs)) => Ok(runs),
            _ => Err(MeasureError::MissingSlice { slice }),
        }
    }

    /// Voxels of a class in all slices set so far.
    pub fn count(&self, class: Class) -> u64 {
        self.counts()[class.index()]
    }

    /// Voxels of every class in all slices set so far, in label order.
    pub fn counts(&self) -> [u64; Class::COUNT] {
        let mut counts = [0; Class::COUNT];
        for runs in self.slices.iter().flatten() {
            let background = &mut counts[Class::Background.index()];
            *background += (self.rows * self.cols) as u64;
            for run in runs {
                counts[run.class.index()] += run.pixels();
                counts[Class::Background.index()] -= run.pixels();
            }
        }
        counts
    }

    fn check_length(&self, found: usize) -> Result<(), MeasureError> {
        let expected = self.rows * self.cols;
        if found == expected {
            Ok(())
        } else {
            Err(MeasureError::Length { expected, found })
        }
    }

    fn encode(&self, labels: &[u8]) -> Result<Box<[Run]>, MeasureError> {
        let mut runs = Vec::new();
        for (row, line) in labels.chunks_exact(self.cols).enumerate() {
            let mut start = 0;
            for stretch in line.chunk_by(|a, b| a == b) {
                let end = start + stretch.len();
                let label = stretch[0];
                match Class::from_label(label) {
                    Some(Class::Background) => {}
                    Some(class) => runs.push(Run {
                        row: row as u16,
                        start: start as u16,
                        end: end as u16,
                        class,
                    }),
                    None => {
                        return Err(MeasureError::Label {
                            row,
                            col: start,
                            label,
                        });
                    }
                }
                start = end;
            }
        }
        Ok(runs.into_boxed_slice())
    }
}
