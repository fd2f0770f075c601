//! Largest diameters of a structure, in its slice and in space.
//!
//! The surface is taken halfway between a voxel of the structure and a neighbour that is none: the middles of the faces
//! between them. These are the vertices of the surface that marching cubes puts through a mask, on which the Image
//! Biomarker Standardisation Initiative defines the maximum 3-D diameter, and those of the outline on which
//! scikit-image takes Feret's diameter; a digitised ball has its true diameter along the axes. A pair of voxel corners
//! would be up to a pixel's diagonal too far apart, a pair of centres up to as much too close. See `docs/measures.md`.

use alloc::vec::Vec;

use super::{
    Run, Spacing,
    components::Placed,
    outline::{Hull, Place},
};

/// A place in voxel indices of the canonical axes; halves lie between two voxels.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Position {
    /// Along the slices.
    pub slice: f64,
    /// Along the rows.
    pub row: f64,
    /// Along the columns.
    pub col: f64,
}

/// A straight line between two places.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Segment {
    /// Its length, mm.
    pub length_mm: f64,
    /// One end.
    pub from: Position,
    /// The other end.
    pub to: Position,
}

/// The largest diameter within one slice and the longest chord at right angles to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InPlane {
    /// The slice.
    pub slice: usize,
    /// Between the two points of the outline that are furthest apart.
    pub diameter: Segment,
    /// The longest chord of the outline's convex hull at a right angle to the diameter.
    pub perpendicular: Segment,
}

/// The outline of one piece within one slice.
pub(super) fn outline(runs: impl IntoIterator<Item = Run>) -> Hull {
    Hull::of(runs.into_iter().flat_map(edges).collect())
}

/// Middles of a run's outer edges that can be corners of a hull.
fn edges(run: Run) -> [Place; 6] {
    let y = 2 * i64::from(run.row);
    let (first, last) = (2 * i64::from(run.start), 2 * i64::from(run.end) - 2);
    let place = |y, x| Place { y, x };
    [
        place(y, first - 1),
        place(y, last + 1),
        place(y - 1, first),
        place(y + 1, first),
        place(y - 1, last),
        place(y + 1, last),
    ]
}

/// A line is longer than another only beyond this factor. Two that are equal in the patient differ in their last digit where a file gives
/// its spacing by a quaternion, and would lie elsewhere then.
const LONGER: f64 = 1.0 + 1e-11;

/// The largest diameter of an outline; of several the one with the longest perpendicular. `None` without a corner.
pub(super) fn in_plane(hull: &Hull, slice: usize, spacing: Spacing) -> Option<InPlane> {
    let pairs = hull.antipodes();
    let squared = |&(a, b): &(Place, Place)| {
        let (y, x) = mm(b, spacing, a);
        y * y + x * x
    };
    let longest = pairs.iter().map(squared).fold(0.0, f64::max);
    let mut best: Option<InPlane> = None;
    for &(a, b) in pairs.iter().filter(|pair| squared(pair) == longest) {
        let found = InPlane {
            slice,
            diameter: Segment {
                length_mm: libm::sqrt(longest),
                from: position(slice, a.y as f64, a.x as f64),
                to: position(slice, b.y as f64, b.x as f64),
            },
            perpendicular: across(hull, a, b, slice, spacing),
        };
        let longer =
            |best: InPlane| found.perpendicular.length_mm > best.perpendicular.length_mm * LONGER;
        if best.is_none_or(longer) {
            best = Some(found);
        }
    }
    best
}

/// The longest chord of a convex outline at a right angle to the line from `a` to `b`.
///
/// A chord's length is a concave function of where it crosses that line, straight between the corners, so the longest
/// one goes through a corner.
fn across(hull: &Hull, a: Place, b: Place, slice: usize, spacing: Spacing) -> Segment {
    let (ay, ax) = mm(b, spacing, a);
    // Distances along the line and at a right angle to it, both times its length.
    let along = |place: Place| {
        let (y, x) = mm(place, spacing, a);
        y * ay + x * ax
    };
    let aside = |y: f64, x: f64| x * ay - y * ax;
    let mut best = Segment::default();
    for &corner in hull.corners() {
        let t = along(corner);
        let mut ends: Option<[(f64, f64, f64); 2]> = None;
        let mut meet = |y: f64, x: f64| {
            let (my, mx) = (y * spacing.row_mm / 2.0, x * spacing.col_mm / 2.0);
            let end = (aside(my, mx), y, x);
            let [low, high] = ends.get_or_insert([end, end]);
            if end.0 < low.0 {
                *low = end;
            }
            if end.0 > high.0 {
                *high = end;
            }
        };
        for (p, q) in hull.edges() {
            let (tp, tq) = (along(p), along(q));
            if tp == t {
                meet(p.y as f64, p.x as f64);
            } else if (tp < t && t < tq) || (tq < t && t < tp) {
                let part = (t - tp) / (tq - tp);
                let between = |from: i64, to: i64| from as f64 + (to - from) as f64 * part;
                meet(between(p.y, q.y), between(p.x, q.x));
            }
        }
        let Some([(_, y0, x0), (_, y1, x1)]) = ends else {
            continue;
        };
        let (y, x) = (
            (y1 - y0) * spacing.row_mm / 2.0,
            (x1 - x0) * spacing.col_mm / 2.0,
        );
        let length_mm = libm::sqrt(y * y + x * x);
        if length_mm > best.length_mm * LONGER || best.length_mm == 0.0 {
            best = Segment {
                length_mm,
                from: position(slice, y0, x0),
                to: position(slice, y1, x1),
            };
        }
    }
    best
}

/// From `from` to `place` along rows and columns, mm.
fn mm(place: Place, spacing: Spacing, from: Place) -> (f64, f64) {
    (
        (place.y - from.y) as f64 * spacing.row_mm / 2.0,
        (place.x - from.x) as f64 * spacing.col_mm / 2.0,
    )
}

fn position(slice: usize, y: f64, x: f64) -> Position {
    Position {
        slice: slice as f64,
        row: y / 2.0,
        col: x / 2.0,
    }
}

/// A place in space in half voxels: slice, row, column.
type Place3 = [i64; 3];

/// The two points of a structure's surface that are furthest apart; of several pairs the first in order of slice, row
/// and column. `None` without a run.
pub(super) fn in_space(runs: &[Placed], spacing: Spacing) -> Option<Segment> {
    let mut places: Vec<Place3> = Vec::with_capacity(8 * runs.len());
    for placed in runs {
        let z = 2 * placed.slice as i64;
        places.extend(edges(placed.run).map(|Place { y, x }| [z, y, x]));
        let y = 2 * i64::from(placed.run.row);
        for x in [
            2 * i64::from(placed.run.start),
            2 * i64::from(placed.run.end) - 2,
        ] {
            places.extend([[z - 1, y, x], [z + 1, y, x]]);
        }
    }
    // A corner of the hull in space is a corner of the hull in every plane through it, so whatever is none goes.
    for axis in 0..3 {
        thin(&mut places, axis);
    }
    places.sort_unstable();
    furthest(&places, [spacing.slice_mm, spacing.row_mm, spacing.col_mm])
}

/// Keeps the corners of the convex hulls in the planes across one axis.
fn thin(places: &mut Vec<Place3>, axis: usize) {
    let (y, x) = ((axis + 1) % 3, (axis + 2) % 3);
    places.sort_unstable_by_key(|place| place[axis]);
    let mut kept = Vec::new();
    for plane in places.chunk_by(|a, b| a[axis] == b[axis]) {
        let flat = plane.iter().map(|place| Place {
            y: place[y],
            x: place[x],
        });
        kept.extend(Hull::of(flat.collect()).corners().iter().map(|corner| {
            let mut place = [plane[0][axis]; 3];
            (place[y], place[x]) = (corner.y, corner.x);
            place
        }));
    }
    *places = kept;
}

/// All pairs, but for those that are too near the middle to be the answer.
fn furthest(places: &[Place3], voxel_mm: [f64; 3]) -> Option<Segment> {
    let step = voxel_mm.map(|mm| mm / 2.0);
    let squared = |a: [f64; 3], b: [f64; 3]| {
        let [z, y, x] = [0, 1, 2].map(|axis| (b[axis] - a[axis]) * step[axis]);
        z * z + y * y + x * x
    };
    let places: Vec<[f64; 3]> = places
        .iter()
        .map(|place| place.map(|at| at as f64))
        .collect();
    let first = *places.first()?;
    let (mut low, mut high) = (first, first);
    for place in &places {
        for axis in 0..3 {
            low[axis] = low[axis].min(place[axis]);
            high[axis] = high[axis].max(place[axis]);
        }
    }
    let middle = [0, 1, 2].map(|axis| f64::midpoint(low[axis], high[axis]));
    let mut far: Vec<(f64, usize)> = places
        .iter()
        .enumerate()
        // A trifle more than the distance, so that rounding rules no pair out.
        .map(|(index, &place)| (libm::sqrt(squared(middle, place)) * (1.0 + 1e-9), index))
        .collect();
    far.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let (mut longest, mut best) = (0.0, (0, 0));
    for (rank, &(from_middle, a)) in far.iter().enumerate() {
        let most = from_middle + far[0].0;
        if most * most < longest {
            break;
        }
        for &(other, b) in &far[..rank] {
            let reach = from_middle + other;
            if reach * reach < longest {
                break;
            }
            let found = squared(places[a], places[b]);
            let pair = (a.min(b), a.max(b));
            if found > longest || found == longest && pair < best {
                (longest, best) = (found, pair);
            }
        }
    }
    let position = |index: usize| {
        let [slice, row, col] = places[index].map(|half| half / 2.0);
        Position { slice, row, col }
    };
    Some(Segment {
        length_mm: libm::sqrt(longest),
        from: position(best.0),
        to: position(best.1),
    })
}
