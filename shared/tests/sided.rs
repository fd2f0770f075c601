//! The voxels of each side are those that the measures count.

use nephrobox_shared::{
    class::Class,
    measure::{LabelMap, MeasureError, Side, Sides, Spacing, Tissue, measure, sided_runs},
};
use proptest::prelude::*;

#[test]
fn a_kidney_across_the_midline_is_divided_there() {
    let mut map = LabelMap::new(3, 10).unwrap();
    let mut slice = [0; 30];
    slice[10..20].fill(1);
    map.push(&slice).unwrap();
    let runs = sided_runs(&map, 4.5).unwrap();
    let found: Vec<(Side, u16, u16, Class)> = runs
        .iter()
        .map(|sided| (sided.side, sided.run.start, sided.run.end, sided.run.class))
        .collect();
    assert_eq!(
        found,
        [
            (Side::Right, 0, 5, Class::Kidney),
            (Side::Left, 5, 10, Class::Kidney)
        ]
    );
}

#[test]
fn a_missing_slice_or_midline_is_an_error() {
    let mut map = LabelMap::new(1, 1).unwrap();
    map.set(1, &[1]).unwrap();
    assert_eq!(
        sided_runs(&map, 0.0),
        Err(MeasureError::MissingSlice { slice: 0 })
    );
    assert!(matches!(
        sided_runs(&map, f64::NAN),
        Err(MeasureError::Midline { .. })
    ));
}

proptest! {
    /// Shows RQ-18.
    #[test]
    fn pixels_of_each_slice_side_and_class_are_as_measured(
        labels in proptest::collection::vec(prop_oneof![3 => Just(0_u8), 2 => Just(1), 1 => Just(2)], 3 * 4 * 7),
        midline in -1.0..8.0_f64,
    ) {
        let mut map = LabelMap::new(4, 7).unwrap();
        for slice in labels.chunks_exact(28) {
            map.push(slice).unwrap();
        }
        let mut counted = vec![Sides::<Tissue<u64>>::default(); 3];
        for sided in sided_runs(&map, midline).unwrap() {
            let tissue = counted[sided.slice].get_mut(sided.side);
            match sided.run.class {
                Class::Tumour => tissue.tumour += sided.run.pixels(),
                _ => tissue.kidney += sided.run.pixels(),
            }
        }
        // A voxel of 1 mL: no piece is so small that it is not counted.
        let measures = measure(&map, Spacing::new(10.0, 10.0, 10.0).unwrap(), midline).unwrap();
        prop_assert_eq!(counted, measures.slices);
    }
}
