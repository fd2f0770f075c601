//! Measures on shapes whose answers are known, and against brute force on random volumes.

use std::collections::BTreeSet;

use nephrobox_shared::{
    class::Class,
    measure::{
        Component, DROPPED_BELOW_ML, LabelMap, MeasureError, Measures, Midline, Placement, Side,
        Spacing, Tissue, measure,
    },
};
use proptest::prelude::*;

/// A small dense volume, `[slices, rows, cols]`.
#[derive(Clone, Debug, PartialEq)]
struct Volume {
    shape: [usize; 3],
    labels: Vec<u8>,
}

impl Volume {
    fn empty(shape: [usize; 3]) -> Self {
        Self {
            shape,
            labels: vec![0; shape.iter().product()],
        }
    }

    fn at(&mut self, slice: usize, row: usize, col: usize) -> &mut u8 {
        &mut self.labels[(slice * self.shape[1] + row) * self.shape[2] + col]
    }

    fn fill(
        &mut self,
        slices: std::ops::Range<usize>,
        rows: std::ops::Range<usize>,
        cols: std::ops::Range<usize>,
        label: u8,
    ) {
        for slice in slices {
            for row in rows.clone() {
                for col in cols.clone() {
                    *self.at(slice, row, col) = label;
                }
            }
        }
    }

    fn slices(&self) -> impl DoubleEndedIterator<Item = (usize, &[u8])> + ExactSizeIterator {
        self.labels
            .chunks_exact(self.shape[1] * self.shape[2])
            .enumerate()
    }

    fn map(&self) -> LabelMap {
        let mut map = LabelMap::new(self.shape[1], self.shape[2]).unwrap();
        for (_, slice) in self.slices() {
            map.push(slice).unwrap();
        }
        map
    }

    /// 26-connected components by flood fill, each as its set of voxels.
    fn flood_fill(&self, wanted: impl Fn(u8) -> bool) -> BTreeSet<BTreeSet<[usize; 3]>> {
        let [slices, rows, cols] = self.shape;
        let inside = |p: [usize; 3]| {
            p[0] < slices
                && p[1] < rows
                && p[2] < cols
                && wanted(self.labels[(p[0] * rows + p[1]) * cols + p[2]])
        };
        let mut seen = BTreeSet::new();
        let mut found = BTreeSet::new();
        for index in 0..self.labels.len() {
            let seed = [index / (rows * cols), index / cols % rows, index % cols];
            if !inside(seed) || !seen.insert(seed) {
                continue;
            }
            let mut component = BTreeSet::new();
            let mut open = vec![seed];
            while let Some(p) = open.pop() {
                component.insert(p);
                for step in 0..27_usize {
                    let next = [p[0] + step / 9, p[1] + step / 3 % 3, p[2] + step % 3]
                        .map(|v| v.wrapping_sub(1));
                    if inside(next) && seen.insert(next) {
                        open.push(next);
                    }
                }
            }
            found.insert(component);
        }
        found
    }
}

fn spacing() -> Spacing {
    Spacing::new(3.0, 0.5, 0.75).unwrap()
}

/// Right kidney with a tumour, a smaller left kidney lower down: no mirror image of itself on any axis.
fn asymmetric() -> Volume {
    let mut volume = Volume::empty([10, 20, 30]);
    volume.fill(2..7, 8..14, 4..10, 1);
    volume.fill(4..6, 9..12, 5..8, 2);
    volume.fill(5..9, 9..12, 20..25, 1);
    volume
}

/// Shows RQ-18.
#[test]
fn areas_and_volumes_of_two_kidneys_and_a_tumour() {
    let measures = measure(&asymmetric().map(), spacing(), 14.5).unwrap();
    let right = Tissue {
        kidney: 5 * 36 - 18,
        tumour: 18,
    };
    assert_eq!(measures.voxels.right, right);
    assert_eq!(
        measures.voxels.left,
        Tissue {
            kidney: 60,
            tumour: 0
        }
    );
    // A pixel is 0.375 mm², a voxel 1.125 mm³.
    assert_eq!(
        measures.area_mm2(4, Side::Right),
        Some(Tissue {
            kidney: 27.0 * 0.375,
            tumour: 9.0 * 0.375
        })
    );
    assert_eq!(
        measures.area_mm2(8, Side::Left),
        Some(Tissue {
            kidney: 15.0 * 0.375,
            tumour: 0.0
        })
    );
    assert_eq!(measures.area_mm2(10, Side::Left), None);
    assert!((measures.volume_ml(Side::Left).kidney - 60.0 * 1.125e-3).abs() < 1e-15);
    assert_eq!(measures.peak_tumour_slice(), Some(4));
    assert_eq!(measures.mid_kidney_slice(Side::Right), Some(4));
    assert_eq!(measures.mid_kidney_slice(Side::Left), Some(6));

    let [right, left] = &measures.kidney_and_tumour[..] else {
        panic!("two components")
    };
    assert_eq!(
        (right.placement, left.placement),
        (Placement::Right, Placement::Left)
    );
    assert_eq!(
        (
            right.first_slice,
            right.last_slice,
            left.first_slice,
            left.last_slice
        ),
        (2, 6, 5, 8)
    );
    assert_eq!(
        (left.centroid.slice, left.centroid.row, left.centroid.col),
        (6.5, 10.0, 22.0)
    );
    assert!(!right.at_border && !left.at_border);
    assert_eq!(measures.component_ml(right), 180.0 * spacing().voxel_ml());
    assert_eq!((measures.kidney.len(), measures.tumour.len()), (2, 1));
    assert_eq!(measures.tumour[0].placement, Placement::Right);
}

/// Mirroring the patient swaps the sides and nothing else; numbers that ignored the columns would not notice.
/// Shows RQ-05.
#[test]
fn a_mirrored_patient_has_mirrored_sides() {
    let straight = asymmetric();
    let mut mirrored = straight.clone();
    for row in mirrored.labels.chunks_exact_mut(30) {
        row.reverse();
    }
    let a = measure(&straight.map(), spacing(), 14.5).unwrap();
    let b = measure(&mirrored.map(), spacing(), 14.5).unwrap();
    assert_ne!(a.voxels.right, a.voxels.left);
    assert_eq!(
        (a.voxels.right, a.voxels.left),
        (b.voxels.left, b.voxels.right)
    );
}

/// A kidney that reaches a little over the midline stays whole; a horseshoe kidney is divided and says so.
/// Shows RQ-06.
#[test]
fn a_component_is_divided_only_when_neither_side_holds_four_fifths() {
    let mut volume = Volume::empty([1, 1, 20]);
    volume.fill(0..1, 0..1, 2..12, 1);
    let four_fifths = measure(&volume.map(), spacing(), 10.0).unwrap();
    assert_eq!(four_fifths.voxels.right.kidney, 10);
    assert!(!four_fifths.is_divided());

    // The midline at 9.0 goes through the centre of column 9, which counts as left: 7 of 10 are right.
    let horseshoe = measure(&volume.map(), spacing(), 9.0).unwrap();
    assert_eq!(
        (horseshoe.voxels.right.kidney, horseshoe.voxels.left.kidney),
        (7, 3)
    );
    assert!(horseshoe.is_divided());
    assert_eq!(horseshoe.kidney[0].placement, Placement::Divided);
    assert!(horseshoe.kidney[0].at_border);

    let beyond =
        [-1e300, 1e300].map(|midline| measure(&volume.map(), spacing(), midline).unwrap().voxels);
    assert_eq!((beyond[0].left.kidney, beyond[1].right.kidney), (10, 10));
}

/// Voxels of 10 mm³: nine are below 0.1 mL, ten are not.
/// Shows RQ-29.
#[test]
fn a_speck_beside_a_larger_piece_is_listed_and_not_counted() {
    let spacing = Spacing::new(10.0, 1.0, 1.0).unwrap();
    let mut volume = Volume::empty([9, 12, 30]);
    volume.fill(1..6, 2..8, 2..8, 1);
    volume.fill(8..9, 0..1, 0..9, 2);
    volume.fill(8..9, 3..4, 0..10, 2);
    volume.fill(8..9, 11..12, 25..26, 1);
    let measures = measure(&volume.map(), spacing, 14.5).unwrap();
    let found: Vec<_> = measures
        .kidney_and_tumour
        .iter()
        .map(|piece| (piece.placement, piece.voxels.sum(), piece.dropped))
        .collect();
    let (right, left) = (Placement::Right, Placement::Left);
    assert_eq!(
        found,
        [
            (right, 180, false),
            (right, 10, false),
            (right, 9, true),
            (left, 1, false), // all there is on this side
        ]
    );
    assert_eq!(
        (measures.voxels.right.kidney, measures.voxels.right.tumour),
        (180, 10)
    );
    assert_eq!(measures.slices[8].right.tumour, 10);
    assert_eq!(measures.voxels.left.kidney, 1);
    let tumours = measures.tumour.iter().map(|tumour| tumour.dropped);
    assert_eq!(tumours.collect::<Vec<_>>(), [false, true]);
}

/// Shows RQ-35.
#[test]
fn nothing_found_is_nothing_not_zero_divided() {
    let measures = measure(&Volume::empty([3, 4, 5]).map(), spacing(), 2.0).unwrap();
    assert_eq!(measures.peak_tumour_slice(), None);
    assert_eq!(
        Side::ALL.map(|side| measures.mid_kidney_slice(side)),
        [None, None]
    );
    assert!(measures.kidney_and_tumour.is_empty() && !measures.is_divided());
    let empty = measure(&LabelMap::new(4, 5).unwrap(), spacing(), 2.0).unwrap();
    assert!(empty.slices.is_empty());
}

#[test]
fn a_map_is_filled_from_either_end_and_knows_what_is_missing() {
    let volume = asymmetric();
    let mut backwards = LabelMap::new(20, 30).unwrap();
    for (index, slice) in volume.slices().rev() {
        backwards.set(index, slice).unwrap();
        assert_eq!(backwards.missing(), (index > 0).then_some(0));
        assert_eq!(measure(&backwards, spacing(), 14.5).is_ok(), index == 0);
    }
    assert_eq!(backwards, volume.map());
    let mut slice = vec![9; 600];
    backwards.read(5, &mut slice).unwrap();
    assert_eq!(slice, volume.slices().nth(5).unwrap().1);
    assert_eq!(backwards.counts(), [6000 - 240, 222, 18]);
    assert_eq!(backwards.count(Class::Tumour), 18);
}

#[test]
fn what_cannot_be_held_or_measured_is_refused() {
    assert!(matches!(
        LabelMap::new(0, 5),
        Err(MeasureError::Size { .. })
    ));
    assert!(matches!(
        LabelMap::new(5, 65_536),
        Err(MeasureError::Size { .. })
    ));
    let mut map = LabelMap::new(2, 3).unwrap();
    assert_eq!(
        map.push(&[0; 5]),
        Err(MeasureError::Length {
            expected: 6,
            found: 5
        })
    );
    assert_eq!(
        map.push(&[0, 0, 0, 1, 3, 3]),
        Err(MeasureError::Label {
            row: 1,
            col: 1,
            label: 3
        })
    );
    assert_eq!(
        map.set(1 << 16, &[0; 6]),
        Err(MeasureError::TooManySlices { slice: 1 << 16 })
    );
    assert_eq!(map.slices(), 0);
    assert_eq!(
        map.read(0, &mut [0; 6]),
        Err(MeasureError::MissingSlice { slice: 0 })
    );
    map.push(&[0; 6]).unwrap();
    assert!(matches!(
        measure(&map, spacing(), f64::NAN),
        Err(MeasureError::Midline { .. })
    ));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(
            Spacing::new(1.0, bad, 1.0)
                .unwrap_err()
                .to_string()
                .starts_with("the row spacing is")
        );
    }
    assert!(
        serde_json::from_str::<Spacing>(r#"{"slice_mm":1.0,"row_mm":0.0,"col_mm":1.0}"#).is_err()
    );
}

/// A row of labels costs 8 bytes a run: a slice with two ragged kidneys stays at a few kilobytes.
#[test]
fn a_slice_with_two_kidneys_takes_a_few_kilobytes() {
    let mut labels = vec![0; 512 * 512];
    for (row, line) in labels.chunks_exact_mut(512).enumerate().skip(200).take(110) {
        line[120 - row % 7..210].fill(1);
        line[150..170 + row % 5].fill(2);
        line[330..400 + row % 3].fill(1);
    }
    let mut map = LabelMap::new(512, 512).unwrap();
    map.push(&labels).unwrap();
    assert!(size_of_val(map.runs(0).unwrap()) < 4096);
}

#[test]
fn the_midline_is_the_middle_of_the_patient_not_of_the_image() {
    // A patient in columns 30..=50 of 100, on a table of -300 HU that spans the image.
    let mut row = [-1000_i16; 100];
    row[30..=50].fill(60);
    let table = [-300_i16; 100];
    let mut midline = Midline::new();
    midline.add(&row.repeat(5), 100).unwrap();
    midline.add(&table, 100).unwrap();
    assert!(midline.is_estimated());
    assert_eq!(midline.column(), 40.0);

    // The same scan clipped to 0..255 HU, as the public slices are.
    let clipped = row.map(|hu| hu.clamp(0, 255));
    let mut from_clipped = Midline::new();
    from_clipped.add(&clipped, 100).unwrap();
    assert_eq!(from_clipped.column(), 40.0);

    let mut air = Midline::new();
    air.add(&[-1000; 300], 100).unwrap();
    assert!(!air.is_estimated());
    assert_eq!(air.column(), 49.5);
    assert!(
        air.add(&[0; 3], 0).is_err()
            && air.add(&[0; 30], 10).is_err()
            && air.add(&[0; 150], 100).is_err()
    );
    assert_eq!(Midline::new().column(), 0.0);
}

/// Dense noise at several densities, so that components meet at faces, edges and corners.
fn volumes() -> impl Strategy<Value = Volume> {
    ([1..6_usize, 1..7, 1..9], 1..10_u8).prop_flat_map(|(shape, background)| {
        let label = prop_oneof![background as u32 => Just(0_u8), 2 => Just(1), 1 => Just(2)];
        proptest::collection::vec(label, shape.iter().product::<usize>())
            .prop_map(move |labels| Volume { shape, labels })
    })
}

/// What must be equal whatever the numbering: extent, voxels and centre, with slices counted from either end.
fn fingerprints(
    components: &[Component],
    turn: impl Fn(usize) -> usize,
) -> BTreeSet<(u64, u64, usize, usize, [i64; 3])> {
    components
        .iter()
        .map(|c| {
            let ends = [turn(c.first_slice), turn(c.last_slice)];
            // The mean slice turns with its bounds: compare its distance from their middle, at a millionth.
            let off = (c.centroid.slice - (c.first_slice + c.last_slice) as f64 / 2.0).abs();
            let centre = [off, c.centroid.row, c.centroid.col].map(|v| (v * 1e6).round() as i64);
            (
                c.voxels.kidney,
                c.voxels.tumour,
                ends[0].min(ends[1]),
                ends[0].max(ends[1]),
                centre,
            )
        })
        .collect()
}

fn all_structures(measures: &Measures) -> [&[Component]; 3] {
    [
        &measures.kidney_and_tumour,
        &measures.kidney,
        &measures.tumour,
    ]
}

proptest! {
    /// Shows RQ-18.
    #[test]
    fn components_equal_those_of_a_flood_fill(volume in volumes()) {
        let measures = measure(&volume.map(), spacing(), 3.0).unwrap();
        let filled = [volume.flood_fill(|l| l > 0), volume.flood_fill(|l| l == 1), volume.flood_fill(|l| l == 2)];
        for (components, filled) in all_structures(&measures).into_iter().zip(filled) {
            let mut expected: Vec<_> = filled.into_iter().collect();
            // Sets compare by their first voxels, so this sort leaves equals in the order of those.
            expected.sort_by_key(|c| std::cmp::Reverse(c.len()));
            prop_assert_eq!(components.len(), expected.len());
            for (found, voxels) in components.iter().zip(expected) {
                let n = voxels.len() as f64;
                prop_assert_eq!(found.voxels.sum(), voxels.len() as u64);
                prop_assert_eq!(found.first_slice, voxels.first().unwrap()[0]);
                prop_assert_eq!(found.last_slice, voxels.last().unwrap()[0]);
                let mean = |axis: usize| voxels.iter().map(|v| v[axis]).sum::<usize>() as f64 / n;
                prop_assert!((found.centroid.slice - mean(0)).abs() < 1e-9);
                prop_assert!((found.centroid.row - mean(1)).abs() < 1e-9);
                prop_assert!((found.centroid.col - mean(2)).abs() < 1e-9);
                let edge = |v: &[usize; 3]| (0..3).any(|a| v[a] == 0 || v[a] + 1 == volume.shape[a]);
                prop_assert_eq!(found.at_border, voxels.iter().any(edge));
            }
        }
    }

    #[test]
    fn reversing_the_slices_changes_no_component(volume in volumes()) {
        let mut turned = LabelMap::new(volume.shape[1], volume.shape[2]).unwrap();
        for (_, slice) in volume.slices().rev() {
            turned.push(slice).unwrap();
        }
        let last = volume.shape[0] - 1;
        let straight = measure(&volume.map(), spacing(), 3.0).unwrap();
        let turned = measure(&turned, spacing(), 3.0).unwrap();
        prop_assert_eq!(straight.voxels, turned.voxels);
        for (a, b) in all_structures(&straight).into_iter().zip(all_structures(&turned)) {
            prop_assert_eq!(fingerprints(a, |s| s), fingerprints(b, |s| last - s));
        }
    }

    #[test]
    fn sides_add_up_to_the_whole(volume in volumes(), midline in -2.0..12.0_f64) {
        let map = volume.map();
        let measures = measure(&map, spacing(), midline).unwrap();
        let mut whole = measures.voxels.right;
        whole += measures.voxels.left;
        for dropped in measures.kidney_and_tumour.iter().filter(|component| component.dropped) {
            whole += dropped.voxels;
        }
        prop_assert_eq!([whole.kidney, whole.tumour], [map.count(Class::Kidney), map.count(Class::Tumour)]);
        // At 1 mL a voxel nothing is small enough to be dropped.
        let measures = measure(&map, Spacing::new(10.0, 10.0, 10.0).unwrap(), midline).unwrap();
        for (index, slice) in volume.slices() {
            let mut sum = measures.slices[index].right;
            sum += measures.slices[index].left;
            let count = |label| slice.iter().map(|&l| u64::from(l == label)).sum::<u64>();
            prop_assert_eq!([sum.kidney, sum.tumour], [count(1), count(2)]);
        }
    }

    #[test]
    fn what_is_dropped_is_small_and_never_the_largest_of_a_side(volume in volumes(), voxel_ml in 0.005..0.2_f64) {
        let spacing = Spacing::new(1000.0 * voxel_ml, 1.0, 1.0).unwrap();
        let measures = measure(&volume.map(), spacing, 3.0).unwrap();
        let wholes = &measures.kidney_and_tumour;
        for piece in wholes {
            let shares_a_side = |other: &&Component| {
                let divided = [piece, *other].map(|piece| piece.placement == Placement::Divided);
                divided.contains(&true) || piece.placement == other.placement
            };
            let larger: Vec<_> = wholes
                .iter()
                .filter(shares_a_side)
                .filter(|other| other.voxels.sum() > piece.voxels.sum())
                .collect();
            let of = |side| larger.iter().any(|other| [side, Placement::Divided].contains(&other.placement));
            let has_larger = match piece.placement {
                Placement::Divided => of(Placement::Right) && of(Placement::Left),
                side => of(side),
            };
            prop_assert_eq!(piece.dropped, has_larger && measures.component_ml(piece) < DROPPED_BELOW_ML);
        }
        // Kidney and tumour go with the piece they are part of.
        let dropped = |components: &[Component]| {
            components.iter().filter(|c| c.dropped).map(|c| c.voxels.sum()).sum::<u64>()
        };
        prop_assert_eq!(dropped(wholes), dropped(&measures.kidney) + dropped(&measures.tumour));
    }

    #[test]
    fn a_map_gives_back_what_it_was_given(volume in volumes()) {
        let map = volume.map();
        let mut out = vec![9; volume.shape[1] * volume.shape[2]];
        for (index, slice) in volume.slices() {
            map.read(index, &mut out).unwrap();
            prop_assert_eq!(&out[..], slice);
        }
    }
}
