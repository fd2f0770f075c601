//! The voxels of each side, by the rule that the measures count by.

use alloc::vec::Vec;

use super::{
    LabelMap, MeasureError, Placement, Run, Side,
    components::{label, split_column},
};

/// A stretch of one class in a row, on one side of the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SidedRun {
    /// Canonical slice, 0 at the head end.
    pub slice: usize,
    /// The side it is counted on.
    pub side: Side,
    /// Its pixels.
    pub run: Run,
}

/// Every run of a complete map with its side, in order of slice, row and column.
///
/// The sides are those of [`measure`](super::measure) with the same `midline`: a component of kidney and tumour together lies whole on the side
/// that holds at least 80 % of it, and is otherwise divided at the midline; a run that the midline cuts comes as two. Pieces that
/// [`measure`](super::measure) drops as too small are among them, so that the runs are the whole map.
///
/// Fails if a slice was never set or the midline is not a finite number.
pub fn sided_runs(map: &LabelMap, midline: f64) -> Result<Vec<SidedRun>, MeasureError> {
    let split = split_column(midline)?;
    let labelled = label(map, split, 0)?;
    let mut sided = Vec::with_capacity(labelled.runs.len());
    for placed in &labelled.runs {
        let mut push = |side, start, end| {
            if start < end {
                sided.push(SidedRun {
                    slice: placed.slice,
                    side,
                    run: Run {
                        start,
                        end,
                        ..placed.run
                    },
                });
            }
        };
        let (start, end) = (placed.run.start, placed.run.end);
        match labelled.kidney_and_tumour[placed.whole].placement {
            Placement::Right => push(Side::Right, start, end),
            Placement::Left => push(Side::Left, start, end),
            Placement::Divided => {
                push(Side::Right, start, end.min(split));
                push(Side::Left, start.max(split), end);
            }
        }
    }
    Ok(sided)
}
