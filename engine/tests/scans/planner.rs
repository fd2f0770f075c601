//! The planner's promises, whatever the order in which slices are read and answers come.

use std::collections::BTreeSet;

use nephrobox_engine::scan::{COARSE_MM, Decision, Planner, Settled, Visit};
use proptest::prelude::*;

/// A scan on its way through a planner.
struct Walk<'a> {
    planner: Planner,
    hits: &'a [bool],
    /// To be visited, without an answer yet.
    open: Vec<usize>,
    held: BTreeSet<usize>,
    dropped: BTreeSet<usize>,
    visited: BTreeSet<usize>,
}

impl Walk<'_> {
    fn arrive(&mut self, slice: usize) {
        match self.planner.arrive(slice) {
            Decision::Visit => self.open.push(slice),
            Decision::Hold => assert!(self.held.insert(slice)),
            Decision::Drop => assert!(self.dropped.insert(slice)),
        }
    }

    /// Answers one of the open slices.
    fn answer(&mut self, pick: usize) {
        let slice = self.open.swap_remove(pick % self.open.len());
        assert!(self.visited.insert(slice), "slice {slice} is visited twice");
        let settled = self.planner.answer(slice, self.hits[slice]);
        for slice in settled.visit {
            assert!(self.held.remove(&slice));
            self.open.push(slice);
        }
        for slice in settled.drop {
            assert!(self.held.remove(&slice));
            assert!(self.dropped.insert(slice));
        }
    }
}

/// Takes a scan through a planner and returns the visited slices, and the most that were held at a time.
///
/// `lag` answers, each number in turn, stay open while the next slice is read; which of the open ones is answered first
/// depends on it too.
fn visits(
    planner: Planner,
    order: impl Iterator<Item = usize>,
    hits: &[bool],
    lag: &[usize],
) -> (BTreeSet<usize>, usize) {
    let mut walk = Walk {
        planner,
        hits,
        open: Vec::new(),
        held: BTreeSet::new(),
        dropped: BTreeSet::new(),
        visited: BTreeSet::new(),
    };
    let mut most_held = 0;
    for (slice, &lag) in order.zip(lag.iter().cycle()) {
        walk.arrive(slice);
        most_held = most_held.max(walk.held.len());
        while walk.open.len() > lag {
            walk.answer(lag);
        }
    }
    while !walk.open.is_empty() {
        walk.answer(0);
    }
    assert!(walk.held.is_empty(), "{:?} never settled", walk.held);
    assert_eq!(walk.visited.len() + walk.dropped.len(), hits.len());
    let told = walk.planner.visited();
    assert_eq!(told.slices, walk.visited.len());
    assert!((0..hits.len()).all(|slice| told.contains(slice) == walk.visited.contains(&slice)));
    (walk.visited, most_held)
}

/// The same set without any order: coarse slices, and all within reach of a coarse hit.
fn defined(slices: usize, stride: usize, reach: usize, hits: &[bool]) -> BTreeSet<usize> {
    let coarse = |slice: usize| slice.is_multiple_of(stride) || slice + 1 == slices;
    (0..slices)
        .filter(|&slice| {
            coarse(slice)
                || (0..slices)
                    .any(|other| coarse(other) && hits[other] && other.abs_diff(slice) <= reach)
        })
        .collect()
}

proptest! {
    #[test]
    fn the_choice_depends_on_the_coarse_answers_alone(
        hits in prop::collection::vec(prop::bool::weighted(0.2), 1..120),
        stride in 1_usize..12,
        reach in 0_usize..30,
        lag in prop::collection::vec(0_usize..40, 1..5),
    ) {
        let slices = hits.len();
        let stride = stride.min(slices);
        let expected = defined(slices, stride, reach, &hits);
        let planner = Planner::new(slices, stride, reach);
        prop_assert_eq!(&visits(planner.clone(), 0..slices, &hits, &lag).0, &expected);
        prop_assert_eq!(&visits(planner, (0..slices).rev(), &hits, &lag).0, &expected);
    }

    /// Shows RQ-30.
    #[test]
    fn no_slice_of_an_unbroken_run_is_missed_if_it_is_as_long_as_the_distance(
        slices in 1_usize..300,
        slice_mm in 0.3_f64..20.0,
        first in 0_usize..300,
        longer in 0_usize..200,
        lag in prop::collection::vec(0_usize..40, 1..5),
    ) {
        let planner = Planner::for_scan(Visit::Fast, slices, slice_mm);
        let shortest = (COARSE_MM / slice_mm).ceil() as usize;
        let first = first % slices;
        let run = first..first + shortest + longer;
        let hits: Vec<bool> = (0..slices).map(|slice| run.contains(&slice)).collect();
        // A run that the scan cuts off is found too: the last slice is coarse.
        let (visited, _) = visits(planner, 0..slices, &hits, &lag);
        let missed: Vec<usize> = (0..slices).filter(|&slice| hits[slice] && !visited.contains(&slice)).collect();
        prop_assert!(missed.is_empty(), "{missed:?} of {run:?}");
    }

    #[test]
    fn one_missed_coarse_slice_at_either_end_of_a_run_costs_nothing(
        stride in 2_usize..30,
        first in 0_usize..100,
        intervals in 3_usize..8,
    ) {
        let run = first..first + intervals * stride;
        let slices = run.end + 3 * stride;
        let mut hits: Vec<bool> = (0..slices).map(|slice| run.contains(&slice)).collect();
        // What a network does that sees nothing in the poles of a kidney.
        let coarse: Vec<usize> = run.clone().filter(|slice| slice % stride == 0).collect();
        (hits[coarse[0]], hits[coarse[coarse.len() - 1]]) = (false, false);
        let slice_mm = COARSE_MM / (stride as f64 + 0.5);
        let planner = Planner::for_scan(Visit::Fast, slices, slice_mm);
        prop_assert_eq!(planner.stride(), stride);
        let (visited, _) = visits(planner, 0..slices, &hits, &[0]);
        prop_assert!(run.clone().all(|slice| visited.contains(&slice)), "{run:?} but {visited:?}");
    }

    #[test]
    fn what_is_held_does_not_grow_with_the_scan(
        hits in prop::collection::vec(prop::bool::weighted(0.1), 200..400),
        stride in 1_usize..12,
        reach in 0_usize..30,
    ) {
        let planner = Planner::new(hits.len(), stride, reach);
        let (_, held) = visits(planner, 0..hits.len(), &hits, &[0]);
        prop_assert!(held <= reach + stride);
    }
}

#[test]
fn every_slice_is_visited_unless_asked_otherwise() {
    let planner = Planner::for_scan(Visit::default(), 9, 0.5);
    let (visited, held) = visits(planner, 0..9, &[false; 9], &[3]);
    assert_eq!((visited.len(), held), (9, 0));
}

#[test]
fn the_distance_is_kept_at_any_spacing() {
    let strides = [
        (0.5, 30),
        (1.0, 15),
        (2.0, 7),
        (3.0, 5),
        (5.0, 3),
        (7.5, 2),
        (8.0, 1),
        (40.0, 1),
    ];
    for (slice_mm, stride) in strides {
        let planner = Planner::for_scan(Visit::Fast, 200, slice_mm);
        assert_eq!(
            (planner.stride(), planner.reach()),
            (stride, 2 * stride - 1)
        );
    }
    // No reader gives such spacings, but no number may be a panic.
    for slice_mm in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
        let mut planner = Planner::for_scan(Visit::Fast, 5, slice_mm);
        assert_eq!(planner.arrive(0), Decision::Visit);
        assert_eq!(planner.arrive(usize::MAX), Decision::Drop);
        assert_eq!(planner.answer(usize::MAX, true), Settled::default());
    }
    let mut nothing = Planner::new(0, 0, usize::MAX);
    assert_eq!(nothing.arrive(0), Decision::Drop);
    let wide = Planner::new(3, usize::MAX, usize::MAX);
    let decisions = [0, 1, 2].map(|slice| wide.decide(slice));
    let [first, middle, last] = [Decision::Visit, Decision::Hold, Decision::Visit];
    assert_eq!(decisions, [first, middle, last]);
}
