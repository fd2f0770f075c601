//! The outline of voxels as a convex polygon on a half-voxel grid, in integers.
//!
//! Places are counted in half voxels, so a pixel's centre is at even numbers and the middles of its four edges are one
//! step away from it. Convexity, parallel edges and what lies inside do not change when an axis is stretched, so all of
//! it is decided here exactly, before spacing turns steps into mm.

use alloc::vec::Vec;

/// A place in a plane, in half voxels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) y: i64,
    pub(super) x: i64,
}

/// Twice the area of the triangle, above 0 if it turns left.
fn turn(a: Place, b: Place, c: Place) -> i64 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/// The corners of a convex polygon in the order of their angle; no three on a line. One corner or two for what has no
/// area.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hull {
    corners: Vec<Place>,
}

impl Hull {
    /// The convex hull, by Andrew's monotone chain.
    pub(super) fn of(mut places: Vec<Place>) -> Self {
        places.sort_unstable();
        places.dedup();
        if places.len() < 3 {
            return Self { corners: places };
        }
        let mut corners: Vec<Place> = Vec::new();
        let mut chain = |place: Place, floor: usize| {
            while let [.., a, b] = corners[floor..] {
                if turn(a, b, place) > 0 {
                    break;
                }
                corners.pop();
            }
            corners.push(place);
            corners.len()
        };
        let mut floor = 0;
        for &place in &places {
            floor = chain(place, 0);
        }
        // The upper chain starts at the last corner of the lower one and ends at the first.
        for &place in places.iter().rev().skip(1) {
            chain(place, floor - 1);
        }
        corners.pop();
        Self { corners }
    }

    pub(super) fn corners(&self) -> &[Place] {
        &self.corners
    }

    /// Every edge once, as its two ends.
    pub(super) fn edges(&self) -> impl Iterator<Item = (Place, Place)> {
        let next = self.corners.iter().cycle().skip(1);
        self.corners.iter().copied().zip(next.copied())
    }

    /// Pairs of corners among which the two that are furthest apart are, however the axes are stretched: the rotating
    /// calipers of Shamos. A few for each corner.
    pub(super) fn antipodes(&self) -> Vec<(Place, Place)> {
        let corners = &self.corners;
        let n = corners.len();
        if n < 3 {
            return corners
                .first()
                .zip(corners.last())
                .map(|(&a, &b)| (a, b))
                .into_iter()
                .collect();
        }
        let mut pairs = Vec::with_capacity(3 * n);
        let mut far = 1;
        for (index, (a, b)) in self.edges().enumerate() {
            let height = |corner: usize| turn(a, b, corners[corner % n]);
            far = far.max(index + 1);
            while height(far + 1) > height(far) {
                far += 1;
            }
            pairs.push((a, corners[far % n]));
            pairs.push((b, corners[far % n]));
            // The opposite edge is parallel.
            if height(far + 1) == height(far) {
                pairs.push((a, corners[(far + 1) % n]));
                pairs.push((b, corners[(far + 1) % n]));
            }
        }
        pairs
    }

    /// The first and last whole `x` with `(y, x)` inside or on the outline.
    pub(super) fn span(&self, y: i64) -> Option<(i64, i64)> {
        let xs = || self.corners.iter().map(|corner| corner.x);
        let (mut low, mut high) = (xs().min()?, xs().max()?);
        let ys = || self.corners.iter().map(|corner| corner.y);
        if ys().all(|corner| corner < y) || ys().all(|corner| corner > y) {
            return None;
        }
        for (a, b) in self.edges() {
            // Inside is where turn(a, b, (y, x)) >= 0, which is slope * x + offset >= 0.
            let slope = a.y - b.y;
            let offset = (b.x - a.x) * (y - a.y) + (b.y - a.y) * a.x;
            match slope {
                1.. => low = low.max(-(offset.div_euclid(slope))),
                ..0 => high = high.min(offset.div_euclid(-slope)),
                0 if offset < 0 => return None,
                0 => {}
            }
        }
        (low <= high).then_some((low, high))
    }
}
