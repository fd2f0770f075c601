//! Diameters and parts of the R.E.N.A.L. score: shapes whose answers are known, figures of scikit-image, brute force.

use nephrobox_shared::measure::{
    LabelMap, Measures, Placement, Segment,
    Side::{Left, Right},
    Spacing, measure,
};
use proptest::prelude::*;

const ROWS: usize = 44;
const COLS: usize = 56;

/// A map of `slices` in which `label` names each voxel by slice, row and column.
fn map(slices: usize, label: impl Fn(i64, i64, i64) -> u8) -> LabelMap {
    let mut map = LabelMap::new(ROWS, COLS).unwrap();
    for slice in 0..slices {
        let labels: Vec<u8> = (0..ROWS * COLS)
            .map(|at| label(slice as i64, (at / COLS) as i64, (at % COLS) as i64))
            .collect();
        map.push(&labels).unwrap();
    }
    map
}

fn measured(map: &LabelMap, spacing: [f64; 3]) -> Measures {
    let [slice, row, col] = spacing;
    measure(map, Spacing::new(slice, row, col).unwrap(), 27.5).unwrap()
}

fn assert_near(found: f64, expected: f64, within: f64) {
    assert!(
        (found - expected).abs() <= within,
        "{found} is not within {within} of {expected}"
    );
}

#[test]
fn a_ball_has_its_diameter_in_every_direction() {
    // Radius 8.25 mm about a voxel's centre.
    let ball = map(20, |s, r, c| {
        let [z, y, x] = [
            (s - 9) as f64,
            (r - 20) as f64 * 0.5,
            (c - 28) as f64 * 0.75,
        ];
        u8::from(z * z + y * y + x * x <= 8.25 * 8.25) * 2
    });
    let tumour = measured(&ball, [1.0, 0.5, 0.75]).tumours[0];
    assert_near(tumour.in_plane.diameter.length_mm, 16.5, 0.75);
    assert_near(tumour.in_plane.perpendicular.length_mm, 16.5, 0.75);
    assert_near(tumour.in_space.length_mm, 16.5, 1.0);
    assert_eq!(tumour.in_plane.slice, 9);
}

#[test]
fn one_voxel_is_as_long_as_its_longest_edge() {
    let voxel = map(3, |s, r, c| u8::from((s, r, c) == (1, 20, 10)) * 2);
    let tumour = measured(&voxel, [3.0, 0.5, 0.75]).tumours[0];
    assert_eq!(tumour.in_plane.diameter.length_mm, 0.75);
    assert_eq!(tumour.in_plane.perpendicular.length_mm, 0.5);
    assert_eq!(tumour.in_space.length_mm, 3.0);
    let ends = [tumour.in_space.from, tumour.in_space.to];
    assert_eq!(
        ends.map(|end| (end.slice, end.row, end.col)),
        [(0.5, 20.0, 10.0), (1.5, 20.0, 10.0)]
    );
}

/// Two legs that grow apart from slice to slice are one tumour, but no slice shows them as one piece.
#[test]
fn a_diameter_within_a_slice_does_not_span_two_pieces() {
    let legs = map(12, |s, r, c| {
        let inside = (0..10).contains(&s) && (10..14).contains(&r) && (c - 14).abs() == s;
        u8::from(inside) * 2
    });
    let measures = measured(&legs, [1.0, 1.0, 1.0]);
    let [tumour] = measures.tumours[..] else {
        panic!("one tumour")
    };
    assert_near(tumour.in_plane.diameter.length_mm, 4.0, 1e-12);
    assert!(tumour.in_space.length_mm > 18.0);
}

/// A tilted ellipsoid. Expected: scikit-image 0.26, the furthest two vertices of `find_contours(mask, 0.5)` in each slice
/// and of `marching_cubes(mask, 0.5)`, by SciPy's `pdist`.
/// Shows RQ-19.
#[test]
fn diameters_equal_those_of_contours_and_surfaces() {
    let ellipsoid = map(18, |s, r, c| {
        let (s, r, c) = (s - 8, r - 20, c - 25);
        u8::from(25 * s * s + 9 * r * r + 4 * c * c + 3 * r * c <= 1600) * 2
    });
    let tumour = measured(&ellipsoid, [2.5, 0.75, 1.25]).tumours[0];
    assert_near(
        tumour.in_plane.diameter.length_mm,
        52.034_243_532_504_63,
        1e-9,
    );
    assert_near(tumour.in_space.length_mm, 52.273_917_970_628_524, 1e-9);
    assert_eq!(tumour.in_plane.slice, 7);
}

/// A kidney of 30 slices in an ellipse, and a tumour of 5 x 5 x 5 voxels about a place.
fn kidney_with(tumour: [i64; 3]) -> Measures {
    let kidney = map(36, |s, r, c| {
        let near = [s, r, c]
            .iter()
            .zip(tumour)
            .all(|(at, middle)| (at - middle).abs() <= 2);
        let (y, x) = (r - 22, c - 14);
        let inside = (3..33).contains(&s) && 2 * y * y + 3 * x * x <= 240;
        if near { 2 } else { u8::from(inside) }
    });
    measured(&kidney, [3.0, 1.0, 1.0])
}

#[test]
fn the_score_tells_poles_from_middle_front_from_back_and_in_from_out() {
    let judge = |tumour| {
        let measures = kidney_with(tumour);
        let renal = measures.tumours[0].renal;
        let [e, l] = [
            renal.exophytic.unwrap().points,
            renal.location.unwrap().points,
        ];
        assert_eq!(renal.radius_points, 1);
        (e, renal.facing.unwrap().letter, l)
    };
    // Slices 3 to 32: the polar lines lie above slices 13 and 23, the middle above slice 18.
    assert_eq!(judge([7, 22, 14]), (3, 'x', 1), "inside, at the upper pole");
    assert_eq!(
        judge([29, 31, 14]),
        (2, 'p', 1),
        "at the lower pole, behind, less than half outside"
    );
    assert_eq!(
        judge([18, 10, 14]),
        (1, 'a', 3),
        "in front, across the middle"
    );
    assert_eq!(
        judge([12, 22, 14]),
        (3, 'x', 2),
        "across the upper polar line, most of it above"
    );
    assert_eq!(
        judge([14, 22, 14]),
        (3, 'x', 3),
        "across the upper polar line, most of it below"
    );
}

#[test]
fn the_radius_is_judged_by_the_paper_s_limits() {
    for (row_mm, points) in [(4.0, 1), (4.001, 2), (6.999, 2), (7.0, 3)] {
        let bar = map(1, |_, r, c| u8::from((10..20).contains(&r) && c == 3) * 2);
        let tumour = measured(&bar, [1.0, row_mm, 1.0]).tumours[0];
        assert_near(tumour.in_space.length_mm, 10.0 * row_mm, 1e-9);
        assert_eq!(tumour.renal.radius_points, points, "{row_mm}");
    }
}

#[test]
fn a_tumour_is_judged_by_the_kidney_of_its_side_or_not_at_all() {
    let away = |kidney_col: i64| {
        let labels = map(9, move |s, r, c| {
            let cube = |row: i64, col: i64| {
                (s - 4).abs() <= 2 && (r - row).abs() <= 3 && (c - col).abs() <= 3
            };
            if cube(30, 5) {
                2
            } else {
                u8::from(cube(10, kidney_col))
            }
        });
        measured(&labels, [1.0; 3]).tumours[0]
    };
    let same_side = away(8);
    assert!(!same_side.touches_kidney);
    assert_eq!(same_side.renal.facing.unwrap().letter, 'p');
    assert_eq!(same_side.renal.exophytic.unwrap().points, 1);
    let other_side = away(48).renal;
    assert_eq!(
        (other_side.facing, other_side.exophytic, other_side.location),
        (None, None, None)
    );
}

#[test]
fn sides_have_their_share_and_their_peaks() {
    let two = map(8, |s, r, c| match (s, r, c) {
        (1..5, 5..9, 5..8) | (3..7, 5..9, 40..41) => 1,
        (2..4, 9..12, 5..8) => 2,
        _ => 0,
    });
    let measures = measured(&two, [1.0; 3]);
    assert_eq!(
        [Right, Left].map(|side| measures.parenchyma_share(side)),
        [Some(0.75), Some(0.25)]
    );
    let right = measures.peak_slices(Right);
    assert_eq!((right.kidney, right.tumour), (Some(1), Some(2)));
    assert_eq!(measures.peak_slices(Left).tumour, None);
    assert_eq!(measures.tumour[0].placement, Placement::Right);
}

/// Every pair of face middles of every voxel of one component: what the hulls and calipers must find.
fn brute_force(voxels: &[[i64; 3]], spacing: [f64; 3], axes: std::ops::Range<usize>) -> f64 {
    let mut places = Vec::new();
    for voxel in voxels {
        for axis in axes.clone() {
            for step in [-1, 1] {
                let mut place = voxel.map(|at| 2 * at);
                place[axis] += step;
                places.push(place);
            }
        }
    }
    let mut longest = 0.0_f64;
    for a in &places {
        for b in &places {
            let squared: f64 = (0..3)
                .map(|axis| (((a[axis] - b[axis]) as f64) * spacing[axis] / 2.0).powi(2))
                .sum();
            longest = longest.max(squared);
        }
    }
    longest.sqrt()
}

/// A blob of random boxes that all hold one voxel, so that it is one component and one piece in its middle slice.
fn blobs() -> impl Strategy<Value = Vec<[i64; 6]>> {
    let reach = || (0..3_i64, 0..3_i64, 0..6_i64, 0..6_i64, 0..6_i64, 0..6_i64);
    proptest::collection::vec(
        reach().prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f]),
        1..5,
    )
}

fn inside(boxes: &[[i64; 6]], s: i64, r: i64, c: i64) -> bool {
    let within = |at: i64, middle: i64, before: i64, after: i64| {
        (middle - before..=middle + after).contains(&at)
    };
    boxes
        .iter()
        .any(|b| within(s, 4, b[0], b[1]) && within(r, 20, b[2], b[3]) && within(c, 12, b[4], b[5]))
}

fn lengths(measures: &Measures) -> Vec<[f64; 3]> {
    let of = |segment: Segment| segment.length_mm;
    let tumours = measures.tumours.iter();
    tumours
        .map(|t| {
            [
                of(t.in_plane.diameter),
                of(t.in_plane.perpendicular),
                of(t.in_space),
            ]
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hulls_and_calipers_find_what_all_pairs_find(
        boxes in blobs(), slice in 0.5..4.0_f64, row in 0.3..2.0_f64, col in 0.3..2.0_f64,
    ) {
        let spacing = [slice, row, col];
        let measures = measured(&map(9, |s, r, c| u8::from(inside(&boxes, s, r, c)) * 2), spacing);
        let tumour = measures.tumours[0];
        let mut voxels = Vec::new();
        for s in 0..9 { for r in 0..40 { for c in 0..30 {
            if inside(&boxes, s, r, c) { voxels.push([s, r, c]); }
        } } }
        let in_space = brute_force(&voxels, spacing, 0..3);
        prop_assert!((tumour.in_space.length_mm - in_space).abs() < 1e-9);
        // Every box holds the middle of each of its slices, so a slice is one piece.
        let in_plane = (0..9).map(|s| {
            let same: Vec<_> = voxels.iter().copied().filter(|voxel| voxel[0] == s).collect();
            brute_force(&same, spacing, 1..3)
        }).fold(0.0, f64::max);
        prop_assert!((tumour.in_plane.diameter.length_mm - in_plane).abs() < 1e-9);
        prop_assert!(tumour.in_plane.perpendicular.length_mm <= tumour.in_plane.diameter.length_mm + 1e-9);
        // The perpendicular is at a right angle, in mm.
        let vector = |s: Segment| [(s.to.row - s.from.row) * row, (s.to.col - s.from.col) * col];
        let (a, b) = (vector(tumour.in_plane.diameter), vector(tumour.in_plane.perpendicular));
        prop_assert!((a[0] * b[0] + a[1] * b[1]).abs() < 1e-6);
    }

    /// Shows RQ-05.
    #[test]
    fn a_mirrored_patient_has_the_same_diameters_on_the_other_side(boxes in blobs()) {
        let spacing = [2.0, 0.7, 0.9];
        let straight = measured(&map(9, |s, r, c| u8::from(inside(&boxes, s, r, c)) * 2), spacing);
        let last = COLS as i64 - 1;
        let mirrored = measured(&map(9, |s, r, c| u8::from(inside(&boxes, s, r, last - c)) * 2), spacing);
        prop_assert_eq!(straight.tumour[0].placement, Placement::Right);
        prop_assert_eq!(mirrored.tumour[0].placement, Placement::Left);
        for (a, b) in lengths(&straight).concat().iter().zip(lengths(&mirrored).concat()) {
            prop_assert!((a - b).abs() < 1e-9, "{} {}", a, b);
        }
    }

    /// Shows RQ-19.
    #[test]
    fn twice_the_spacing_is_twice_the_diameter(boxes in blobs()) {
        let map = map(9, |s, r, c| u8::from(inside(&boxes, s, r, c)) * 2);
        let single = measured(&map, [2.0, 0.7, 0.9]);
        let double = measured(&map, [4.0, 1.4, 1.8]);
        for (a, b) in lengths(&single).concat().iter().zip(lengths(&double).concat()) {
            prop_assert!((2.0 * a - b).abs() < 1e-9);
        }
    }
}
