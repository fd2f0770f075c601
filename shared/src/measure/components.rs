//! Connected components in three dimensions, by union-find on runs.

use alloc::{vec, vec::Vec};
use core::{cmp::Reverse, ops::Range};

use serde::{Deserialize, Serialize};

use super::{LabelMap, MeasureError, Run, Side, Sides, Tissue};
use crate::class::Class;

/// What a component is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structure {
    /// Kidney and tumour taken as one, so a kidney with its tumour is one component.
    KidneyAndTumour,
    /// Kidney alone.
    Kidney,
    /// Tumour alone.
    Tumour,
}

impl Structure {
    fn holds(self, class: Class) -> bool {
        match self {
            Self::KidneyAndTumour => class != Class::Background,
            Self::Kidney => class == Class::Kidney,
            Self::Tumour => class == Class::Tumour,
        }
    }
}

/// The side a component's voxels are counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// All on the patient's right.
    Right,
    /// All on the patient's left.
    Left,
    /// Voxel by voxel at the midline, because neither side holds 80 % (a horseshoe kidney, or a wrong outline).
    Divided,
}

impl Placement {
    /// The rule: whole to the side that holds at least 80 % of the voxels.
    fn of(voxels: Sides<u64>) -> Self {
        let total = voxels.right + voxels.left;
        if voxels.right * 5 >= total * 4 {
            Self::Right
        } else if voxels.left * 5 >= total * 4 {
            Self::Left
        } else {
            Self::Divided
        }
    }
}

impl From<Side> for Placement {
    fn from(side: Side) -> Self {
        match side {
            Side::Right => Self::Right,
            Side::Left => Self::Left,
        }
    }
}

/// Mean voxel position of a component, in voxel indices of the canonical axes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Centroid {
    /// Along the slices.
    pub slice: f64,
    /// Along the rows.
    pub row: f64,
    /// Along the columns.
    pub col: f64,
}

/// Voxels that hang together: each is among the 26 neighbours of another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// What it is made of.
    pub structure: Structure,
    /// Where it is counted. A kidney or tumour component has the placement of the kidney with tumour it is part of.
    pub placement: Placement,
    /// Its voxels of either class.
    pub voxels: Tissue<u64>,
    /// The first slice it appears in.
    pub first_slice: usize,
    /// The last slice it appears in.
    pub last_slice: usize,
    /// Its centre of mass.
    pub centroid: Centroid,
    /// Whether it reaches the border of the scan on any axis, so that part of it may lie outside.
    pub at_border: bool,
    /// Whether it reaches the first or the last slice.
    pub at_scan_end: bool,
    /// Whether it is too small to be counted: part of no volume, area or diameter, see
    /// [`DROPPED_BELOW_ML`](super::DROPPED_BELOW_ML). A kidney or tumour component goes with the kidney with tumour it
    /// is part of.
    pub dropped: bool,
}

/// A run and the slice it lies in.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) slice: usize,
    pub(super) run: Run,
    /// Component among those of kidney and tumour together, largest first.
    pub(super) whole: usize,
}

/// Every run of a map in order of slice, row and column, and the components of all three structures.
pub(super) struct Labelled {
    pub(super) runs: Vec<Placed>,
    pub(super) kidney_and_tumour: Vec<Component>,
    pub(super) kidney: Vec<Component>,
    pub(super) tumour: Vec<Component>,
    /// The runs of each tumour component, in the order of `runs`.
    pub(super) tumour_runs: Vec<Vec<Placed>>,
}

/// Every run of a map in order of slice, row and column; of which component, nobody knows yet.
pub(super) fn all_runs(map: &LabelMap) -> Result<Vec<Placed>, MeasureError> {
    let mut runs = Vec::new();
    for slice in 0..map.slices() {
        runs.extend(map.runs(slice)?.iter().map(|&run| Placed {
            slice,
            run,
            whole: 0,
        }));
    }
    Ok(runs)
}

/// Finds the components of a map; columns below `split` are on the patient's right. Those of fewer than `smallest`
/// voxels are dropped where [`drop_small`] may.
pub(super) fn label(map: &LabelMap, split: u16, smallest: u64) -> Result<Labelled, MeasureError> {
    let mut runs = all_runs(map)?;
    let (ids, mut kidney_and_tumour) = components(
        map,
        &runs,
        Structure::KidneyAndTumour,
        |tally| (Placement::of(tally.sides), false),
        split,
    );
    drop_small(&mut kidney_and_tumour, smallest);
    for (placed, id) in runs.iter_mut().zip(ids) {
        placed.whole = id;
    }
    let of_class = |structure: Structure| -> Vec<Placed> {
        let of_class = runs
            .iter()
            .filter(|placed| structure.holds(placed.run.class));
        of_class.copied().collect()
    };
    let alone = |of_class: &[Placed], structure: Structure| {
        components(
            map,
            of_class,
            structure,
            |tally| {
                let whole = &kidney_and_tumour[tally.whole];
                (whole.placement, whole.dropped)
            },
            split,
        )
    };
    let (_, kidney) = alone(&of_class(Structure::Kidney), Structure::Kidney);
    let of_tumour = of_class(Structure::Tumour);
    let (ids, tumour) = alone(&of_tumour, Structure::Tumour);
    let mut tumour_runs = vec![Vec::new(); tumour.len()];
    for (placed, id) in of_tumour.into_iter().zip(ids) {
        tumour_runs[id].push(placed);
    }
    Ok(Labelled {
        runs,
        kidney_and_tumour,
        kidney,
        tumour,
        tumour_runs,
    })
}

/// Drops pieces of kidney with tumour of fewer than `smallest` voxels that are smaller than the largest of their side; a
/// piece across the midline is one of both. `wholes` are sorted, largest first.
fn drop_small(wholes: &mut [Component], smallest: u64) {
    let mut largest = Sides::<u64>::default();
    for whole in wholes {
        let voxels = whole.voxels.sum();
        let sides: &[Side] = match whole.placement {
            Placement::Right => &[Side::Right],
            Placement::Left => &[Side::Left],
            Placement::Divided => &Side::ALL,
        };
        whole.dropped = voxels < smallest && sides.iter().all(|&side| *largest.get(side) > voxels);
        for &side in sides {
            let largest = largest.get_mut(side);
            *largest = voxels.max(*largest);
        }
    }
}

/// The first column on the patient's left: a column is right of the plane if it is below the midline. Refuses what is no number.
pub(super) fn split_column(midline: f64) -> Result<u16, MeasureError> {
    if !midline.is_finite() {
        return Err(MeasureError::Midline { column: midline });
    }
    // The cast saturates a plane outside the image.
    Ok(libm::ceil(midline) as u16)
}

/// Splits a run's pixels at the midline.
pub(super) fn divide(run: Run, split: u16) -> Sides<u64> {
    let right = run.end.min(split).saturating_sub(run.start);
    Sides {
        right: u64::from(right),
        left: run.pixels() - u64::from(right),
    }
}

/// Integer sums over a component's runs.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    first: usize,
    whole: usize,
    voxels: Tissue<u64>,
    sides: Sides<u64>,
    slices: (usize, usize),
    slice_sum: u64,
    row_sum: u64,
    /// Twice the sum of the columns, which is an integer for each run.
    col_sum_twice: u64,
    at_scan_end: bool,
    at_image_edge: bool,
}

impl Tally {
    fn add(&mut self, placed: Placed, map: &LabelMap, split: u16) {
        let Placed { slice, run, .. } = placed;
        let pixels = run.pixels();
        match run.class {
            Class::Tumour => self.voxels.tumour += pixels,
            _ => self.voxels.kidney += pixels,
        }
        let sides = divide(run, split);
        self.sides.right += sides.right;
        self.sides.left += sides.left;
        self.slices.1 = slice;
        self.slice_sum += pixels * slice as u64;
        self.row_sum += pixels * u64::from(run.row);
        self.col_sum_twice += pixels * (u64::from(run.start) + u64::from(run.end) - 1);
        self.at_scan_end |= slice == 0 || slice + 1 == map.slices();
        self.at_image_edge |= run.row == 0
            || usize::from(run.row) + 1 == map.rows()
            || run.start == 0
            || usize::from(run.end) == map.cols();
    }

    fn component(
        &self,
        structure: Structure,
        (placement, dropped): (Placement, bool),
    ) -> Component {
        let voxels = self.voxels.sum() as f64;
        Component {
            structure,
            placement,
            voxels: self.voxels,
            first_slice: self.slices.0,
            last_slice: self.slices.1,
            centroid: Centroid {
                slice: self.slice_sum as f64 / voxels,
                row: self.row_sum as f64 / voxels,
                col: self.col_sum_twice as f64 / (2.0 * voxels),
            },
            at_border: self.at_scan_end || self.at_image_edge,
            at_scan_end: self.at_scan_end,
            dropped,
        }
    }
}

/// The component of each run and the components, largest first; equal ones in the order of their first voxels. `place`
/// says where one is counted and whether it is dropped.
pub(super) fn components(
    map: &LabelMap,
    runs: &[Placed],
    structure: Structure,
    place: impl Fn(&Tally) -> (Placement, bool),
    split: u16,
) -> (Vec<usize>, Vec<Component>) {
    let roots = connect(runs);
    // A root is the first run of its component, so tallies appear in the order of first voxels.
    let mut tallies: Vec<Tally> = Vec::new();
    let mut tally_of = vec![0; runs.len()];
    for (index, (&root, &placed)) in roots.iter().zip(runs).enumerate() {
        if root == index {
            tally_of[index] = tallies.len();
            tallies.push(Tally {
                first: tallies.len(),
                whole: placed.whole,
                slices: (placed.slice, placed.slice),
                ..Tally::default()
            });
        }
        tally_of[index] = tally_of[root];
        tallies[tally_of[index]].add(placed, map, split);
    }
    tallies.sort_by_key(|tally| (Reverse(tally.voxels.sum()), tally.first));
    let mut rank = vec![0; tallies.len()];
    for (position, tally) in tallies.iter().enumerate() {
        rank[tally.first] = position;
    }
    for id in &mut tally_of {
        *id = rank[*id];
    }
    let components = tallies
        .iter()
        .map(|tally| tally.component(structure, place(tally)))
        .collect();
    (tally_of, components)
}

/// The first run of each run's component. Runs are sorted by slice, row and column.
pub(super) fn connect(runs: &[Placed]) -> Vec<usize> {
    let mut forest = Forest::new(runs.len());
    let mut above: Range<usize> = 0..0;
    for same_slice in runs.chunk_by(|a, b| a.slice == b.slice) {
        let here = above.end..above.end + same_slice.len();
        for (index, pair) in (here.start..).zip(same_slice.windows(2)) {
            if pair[0].run.row == pair[1].run.row && pair[0].run.end == pair[1].run.start {
                forest.join(index, index + 1);
            }
        }
        forest.join_rows(runs, here.clone(), here.clone(), 1);
        if above.end > above.start && runs[above.start].slice + 1 == same_slice[0].slice {
            for shift in [-1, 0, 1] {
                forest.join_rows(runs, above.clone(), here.clone(), shift);
            }
        }
        above = here;
    }
    forest.roots()
}

/// Disjoint sets whose root is always their lowest member.
struct Forest {
    parents: Vec<usize>,
}

impl Forest {
    fn new(len: usize) -> Self {
        Self {
            parents: (0..len).collect(),
        }
    }

    fn root(&mut self, mut member: usize) -> usize {
        while self.parents[member] != member {
            self.parents[member] = self.parents[self.parents[member]];
            member = self.parents[member];
        }
        member
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }

    /// Joins each run of `upper` in row r with the runs of `lower` in row r + `shift` that it touches, corners
    /// included, by walking both lists once.
    ///
    /// Of two runs that end together the lower is left behind; a run that follows directly on the upper one is not
    /// compared with it, and need not be: runs that adjoin in a row are joined already.
    fn join_rows(&mut self, runs: &[Placed], upper: Range<usize>, lower: Range<usize>, shift: i32) {
        let (mut u, mut l) = (upper.start, lower.start);
        while u < upper.end && l < lower.end {
            let (a, b) = (runs[u].run, runs[l].run);
            let (row_a, row_b) = (i32::from(a.row) + shift, i32::from(b.row));
            if row_a == row_b && a.start <= b.end && b.start <= a.end {
                self.join(u, l);
            }
            if (row_a, a.end) < (row_b, b.end) {
                u += 1;
            } else {
                l += 1;
            }
        }
    }

    fn roots(mut self) -> Vec<usize> {
        (0..self.parents.len())
            .map(|member| self.root(member))
            .collect()
    }
}
