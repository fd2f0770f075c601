//! The parts of the R.E.N.A.L. nephrometry score that masks allow (Kutikov and Uzzo, J Urol 2009;182:844).
//!
//! Radius and face follow from the masks by the rules below. How far a tumour grows out of the kidney, and where the polar
//! lines lie, is judged by eye in the score; here both are approximate. Nearness to the collecting system cannot be told
//! from a mask without it, so there is never a sum. `docs/measures.md` has the rules in words.

use alloc::collections::BTreeMap;

use super::{Run, components::Placed, diameter::outline, outline::Hull};
use crate::class::Class;

/// The parts of one tumour's score; `None` where there is no kidney to judge it by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Renal {
    /// R: 1 for a largest diameter in space of at most 40 mm, 2 below 70 mm, else 3.
    pub radius_points: u8,
    /// E, approximate.
    pub exophytic: Option<Exophytic>,
    /// The letter a, p or x.
    pub facing: Option<Facing>,
    /// L, approximate.
    pub location: Option<PolarLocation>,
}

/// How far a tumour grows out of its kidney.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exophytic {
    /// 1 if at least half lies outside, 2 for less, 3 if at most a twentieth does, which pixels can feign.
    pub points: u8,
    /// The part of its voxels outside the convex hull of the parenchyma in the same slice, 0 to 1.
    pub outside: f64,
}

/// Whether a tumour lies in front of its kidney or behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facing {
    /// 'a' if at least 60 % lie in front, 'p' if at least 60 % lie behind, else 'x'. The 60 % are ours.
    pub letter: char,
    /// The part of its voxels in front of the coronal plane through the mean of the parenchyma, 0 to 1.
    pub in_front: f64,
}

/// Where a tumour lies between head and feet. The polar lines are put at a third and two thirds of the parenchyma's
/// slices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolarLocation {
    /// 1 if it lies beyond one line; 3 if more than half, or all, lies between them or it crosses the middle; else 2.
    pub points: u8,
    /// The part of its voxels between the lines, 0 to 1.
    pub between: f64,
    /// Whether it has voxels on both sides of the plane halfway between the parenchyma's ends.
    pub crosses_middle: bool,
}

/// What must be known of a kidney to judge its tumours.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Host {
    first_slice: usize,
    last_slice: usize,
    voxels: u64,
    row_sum: u64,
    outlines: BTreeMap<usize, Hull>,
}

impl Host {
    /// The parenchyma of one component of kidney with tumour.
    pub(super) fn new(runs: &[Placed], whole: usize) -> Self {
        let mut by_slice: BTreeMap<usize, alloc::vec::Vec<Run>> = BTreeMap::new();
        let (mut voxels, mut row_sum) = (0, 0);
        let of_kidney =
            |placed: &&Placed| placed.whole == whole && placed.run.class == Class::Kidney;
        for &Placed { slice, run, .. } in runs.iter().filter(of_kidney) {
            by_slice.entry(slice).or_default().push(run);
            voxels += run.pixels();
            row_sum += run.pixels() * u64::from(run.row);
        }
        let end = |found: Option<&usize>| found.copied().unwrap_or(0);
        Self {
            first_slice: end(by_slice.keys().next()),
            last_slice: end(by_slice.keys().next_back()),
            voxels,
            row_sum,
            outlines: by_slice
                .into_iter()
                .map(|(slice, runs)| (slice, outline(runs)))
                .collect(),
        }
    }
}

/// Judges one tumour.
pub(super) fn renal(runs: &[Placed], largest_mm: f64, host: Option<&Host>) -> Renal {
    Renal {
        radius_points: match largest_mm {
            ..=40.0 => 1,
            ..70.0 => 2,
            _ => 3,
        },
        exophytic: host.map(|host| exophytic(runs, host)),
        facing: host.map(|host| facing(runs, host)),
        location: host.map(|host| location(runs, host)),
    }
}

fn voxels(runs: &[Placed]) -> u64 {
    runs.iter().map(|placed| placed.run.pixels()).sum()
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn exophytic(runs: &[Placed], host: &Host) -> Exophytic {
    let inside = |placed: &Placed| {
        let run = placed.run;
        let span = host
            .outlines
            .get(&placed.slice)
            .and_then(|hull| hull.span(2 * i64::from(run.row)));
        let Some((low, high)) = span else { return 0 };
        // Columns whose centres, at even steps, lie within.
        let first = i64::from(run.start).max((low + 1).div_euclid(2));
        let last = (i64::from(run.end) - 1).min(high.div_euclid(2));
        (last - first + 1).max(0) as u64
    };
    let total = voxels(runs);
    let outside = total - runs.iter().map(inside).sum::<u64>();
    let points = if 2 * outside >= total {
        1
    } else if 20 * outside > total {
        2
    } else {
        3
    };
    Exophytic {
        points,
        outside: share(outside, total),
    }
}

fn facing(runs: &[Placed], host: &Host) -> Facing {
    let (mut front, mut behind) = (0, 0);
    for &Placed { run, .. } in runs {
        // Row 0 is at the front; a row in the plane itself counts for neither.
        match (u64::from(run.row) * host.voxels).cmp(&host.row_sum) {
            core::cmp::Ordering::Less => front += run.pixels(),
            core::cmp::Ordering::Greater => behind += run.pixels(),
            core::cmp::Ordering::Equal => {}
        }
    }
    let total = voxels(runs);
    let letter = if 5 * front >= 3 * total {
        'a'
    } else if 5 * behind >= 3 * total {
        'p'
    } else {
        'x'
    };
    Facing {
        letter,
        in_front: share(front, total),
    }
}

fn location(runs: &[Placed], host: &Host) -> PolarLocation {
    let first = host.first_slice as i64;
    let length = host.last_slice as i64 - first + 1;
    let (mut above, mut between, mut below) = (0, 0, 0);
    let (mut upper_half, mut lower_half) = (false, false);
    for placed in runs {
        // The slice's centre in half slices from where the parenchyma begins.
        let at = 2 * (placed.slice as i64 - first) + 1;
        let pixels = placed.run.pixels();
        if 3 * at < 2 * length {
            above += pixels;
        } else if 3 * at > 4 * length {
            below += pixels;
        } else {
            between += pixels;
        }
        upper_half |= at < length;
        lower_half |= at > length;
    }
    let total = voxels(runs);
    let crosses_middle = upper_half && lower_half;
    let points = if above == total || below == total {
        1
    } else if crosses_middle || 2 * between > total {
        3
    } else {
        2
    };
    PolarLocation {
        points,
        between: share(between, total),
        crosses_middle,
    }
}
