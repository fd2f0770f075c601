//! Which slices of a scan the network is shown.
//!
//! A [`Planner`] only counts: it is told which slices have been read and what the network said about them, and answers
//! which to show, to hold or to drop. It knows nothing of files, pixels and threads, so its promises can be proved apart.

use std::collections::BTreeSet;

use nephrobox_shared::report::VisitedSlices;

/// Greatest distance of two coarse slices, in millimetres.
///
/// A structure at least this long cannot lie between two of them. Measured on the 210 label volumes of KiTS19, whose
/// slices are 0.5 to 5 mm apart: in every case the slices with kidney or tumour are one unbroken run, and the shortest
/// such run is 95 mm long (cases 116 and 120; in slices, case 64 with 20 of 5 mm). Every run meets seven coarse slices
/// or more, which leaves room for a small kidney alone in its run and for coarse slices on which a network sees nothing.
/// Of all 45,424 slices a fast scan visits 25,187 or 55.4 %, where 36.0 % show kidney or tumour; without the second
/// interval beyond a hit it would be 48.2 %. `docs/decisions/0006-whole-scans.md` has other distances.
pub const COARSE_MM: f64 = 15.0;

/// Which slices of a scan are to be visited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visit {
    /// All of them.
    #[default]
    Every,
    /// Those of a coarse pass, [`COARSE_MM`] apart or less, and those within two coarse intervals of a hit.
    Fast,
}

/// What to do with a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Show it to the network.
    Visit,
    /// Keep it: it depends on answers that are not there yet.
    Hold,
    /// Leave it; it counts as background.
    Drop,
}

/// What became of slices that were held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// To be visited, from the head.
    pub visit: Vec<usize>,
    /// To be dropped, from the head.
    pub drop: Vec<usize>,
}

/// What the network said about a coarse slice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    None,
    Background,
    Hit,
}

/// Chooses slices in one pass over a scan.
///
/// Coarse slices are visited whatever happens: every `stride`-th from the head, and the last. Any other is visited if a
/// coarse slice at most `reach` away is a hit, that is, shows kidney or tumour; it is dropped once all of those are known
/// not to. So the choice depends on the coarse answers alone, neither on the order in which slices are read nor on when
/// answers arrive. A run of `stride` slices or more holds a coarse one, and with `reach >= stride - 1` none of its slices
/// is missed.
///
/// ```
/// use nephrobox_engine::scan::{Decision, Planner};
/// let mut planner = Planner::new(9, 4, 3); // coarse: 0, 4, 8
/// assert_eq!(planner.arrive(0), Decision::Visit);
/// assert_eq!(planner.arrive(1), Decision::Hold);
/// assert!(planner.answer(0, false).visit.is_empty()); // slice 4 may still ask for slice 1
/// assert_eq!(planner.answer(4, true).visit, [1]);
/// assert_eq!(planner.arrive(7), Decision::Visit);
/// ```
#[derive(Clone)]
pub struct Planner {
    stride: usize,
    reach: usize,
    /// By slice; only those of coarse slices count.
    answers: Vec<Answer>,
    held: BTreeSet<usize>,
    visited: Vec<bool>,
}

impl Planner {
    /// A plan for a scan of `slices`. A `stride` of 1 visits every slice; 0 counts as 1, and more than `slices` as `slices`.
    pub fn new(slices: usize, stride: usize, reach: usize) -> Self {
        Self {
            stride: stride.clamp(1, slices.max(1)),
            reach,
            answers: vec![Answer::None; slices],
            held: BTreeSet::new(),
            visited: vec![false; slices],
        }
    }

    /// The plan of a scan with slices `slice_mm` apart.
    pub fn for_scan(visit: Visit, slices: usize, slice_mm: f64) -> Self {
        let stride = match visit {
            Visit::Every => 1,
            // Slices further apart give 0 and so does a distance that is no number; then every slice is coarse.
            Visit::Fast => ((COARSE_MM / slice_mm) as usize).clamp(1, slices.max(1)),
        };
        // Up to, but not including, the next coarse slice but one.
        Self::new(slices, stride, 2 * stride - 1)
    }

    /// Slices from one coarse slice to the next.
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// How far from a hit slices are visited.
    pub const fn reach(&self) -> usize {
        self.reach
    }

    /// What would become of a slice now. One that the scan does not have is dropped.
    pub fn decide(&self, slice: usize) -> Decision {
        if self.is_coarse(slice) {
            return Decision::Visit;
        }
        if slice >= self.answers.len() {
            return Decision::Drop;
        }
        let mut decision = Decision::Drop;
        for coarse in self.coarse_near(slice) {
            match self.answers[coarse] {
                Answer::Hit => return Decision::Visit,
                Answer::None => decision = Decision::Hold,
                Answer::Background => {}
            }
        }
        decision
    }

    /// A slice has been read. One that is to be held comes back from [`answer`](Self::answer) sooner or later.
    pub fn arrive(&mut self, slice: usize) -> Decision {
        let decision = self.decide(slice);
        match decision {
            Decision::Visit => self.visited[slice] = true,
            Decision::Hold => {
                self.held.insert(slice);
            }
            Decision::Drop => {}
        }
        decision
    }

    /// The network has labelled a slice; `hit` if it shows kidney or tumour. Returns the held slices this settles.
    pub fn answer(&mut self, slice: usize, hit: bool) -> Settled {
        let mut settled = Settled::default();
        if !self.is_coarse(slice) {
            return settled;
        }
        self.answers[slice] = if hit { Answer::Hit } else { Answer::Background };
        let near = slice.saturating_sub(self.reach)..=slice.saturating_add(self.reach);
        let held: Vec<usize> = self.held.range(near).copied().collect();
        for slice in held {
            match self.decide(slice) {
                Decision::Visit => {
                    self.visited[slice] = true;
                    settled.visit.push(slice);
                }
                Decision::Drop => settled.drop.push(slice),
                Decision::Hold => continue,
            }
            self.held.remove(&slice);
        }
        settled
    }

    /// The slices that were to be visited so far.
    pub fn visited(&self) -> VisitedSlices {
        VisitedSlices::new(self.visited.iter().copied())
    }

    fn is_coarse(&self, slice: usize) -> bool {
        let slices = self.answers.len();
        slice < slices && (slice.is_multiple_of(self.stride) || slice + 1 == slices)
    }

    /// Coarse slices at most `reach` away from a slice of the scan; the last may come twice.
    fn coarse_near(&self, slice: usize) -> impl Iterator<Item = usize> {
        let slices = self.answers.len();
        let from = slice.saturating_sub(self.reach);
        let to = slice.saturating_add(self.reach).min(slices - 1);
        let last = (to + 1 == slices).then_some(to);
        (from.next_multiple_of(self.stride)..=to)
            .step_by(self.stride)
            .chain(last)
    }
}
