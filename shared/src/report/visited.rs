//! Which slices the network was shown.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// The slices that were shown to the network. The others count as background.
///
/// ```
/// use nephrobox_shared::report::{SliceRun, VisitedSlices};
/// let visited = VisitedSlices::new([true, false, true, true]);
/// assert_eq!(visited.slices, 3);
/// let run = |first_slice, last_slice| SliceRun { first_slice, last_slice };
/// assert_eq!(visited.runs, [run(0, 0), run(2, 3)]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitedSlices {
    /// How many.
    pub slices: usize,
    /// Which, from the head; neighbours are in one run.
    pub runs: Vec<SliceRun>,
}

/// Slices one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceRun {
    /// The first of them.
    pub first_slice: usize,
    /// The last of them, itself included.
    pub last_slice: usize,
}

impl VisitedSlices {
    /// From one answer for each slice, from the head.
    pub fn new(visited: impl IntoIterator<Item = bool>) -> Self {
        let mut slices = 0;
        let mut runs: Vec<SliceRun> = Vec::new();
        for (slice, _) in visited.into_iter().enumerate().filter(|&(_, yes)| yes) {
            slices += 1;
            match runs.last_mut() {
                Some(run) if run.last_slice + 1 == slice => run.last_slice = slice,
                _ => runs.push(SliceRun {
                    first_slice: slice,
                    last_slice: slice,
                }),
            }
        }
        Self { slices, runs }
    }

    /// Whether a slice was shown to the network.
    pub fn contains(&self, slice: usize) -> bool {
        self.runs
            .iter()
            .any(|run| (run.first_slice..=run.last_slice).contains(&slice))
    }
}
