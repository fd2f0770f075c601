//! Measures on the true label maps of KiTS19, where they are at hand.

use std::path::Path;
use std::time::Instant;

use nephrobox_imaging::LabelReader;
use nephrobox_shared::class::Class;
use nephrobox_shared::measure::{LabelMap, Measures, Side, measure};

/// The label map of a case, measured, and the seconds that measuring took.
fn measured(path: &Path) -> (LabelMap, Measures, f64) {
    let mut reader = LabelReader::open(path).expect("a label volume");
    let geometry = reader.geometry().clone();
    let [slices, rows, cols] = geometry.shape();
    let mut map = LabelMap::new(rows, cols).expect("a size");
    let mut labels = vec![0; rows * cols];
    for slice in 0..slices {
        reader.read_slice(slice, &mut labels).expect("a slice");
        map.push(&labels).expect("labels");
    }
    let began = Instant::now();
    let measures = measure(&map, geometry.spacing(), cols as f64 / 2.0).expect("measures");
    (map, measures, began.elapsed().as_secs_f64())
}

#[test]
fn measures_of_true_label_maps_agree_with_one_another() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/kits19-labels");
    if !folder.is_dir() {
        eprintln!("skipped: ../shared is not here");
        return;
    }
    for case in (0..210).step_by(30) {
        let path = folder.join(format!("case_{case:05}/segmentation.nii.gz"));
        let (map, measures, seconds) = measured(&path);
        let voxel_ml = measures.spacing.voxel_ml();
        let volumes = Side::ALL.map(|side| measures.volume_ml(side));
        let sums = [
            (Class::Kidney, volumes[0].kidney + volumes[1].kidney),
            (Class::Tumour, volumes[0].tumour + volumes[1].tumour),
        ];
        for (class, sum) in sums {
            let counted = map.count(class) as f64 * voxel_ml;
            assert!((sum - counted).abs() < 1e-6, "{case}: {sum} {counted}");
        }
        let shares = Side::ALL.map(|side| measures.parenchyma_share(side));
        assert!((shares[0].unwrap_or(0.0) + shares[1].unwrap_or(0.0) - 1.0).abs() < 1e-12);
        assert_eq!(measures.tumours.len(), measures.tumour.len(), "{case}");
        for (component, tumour) in measures.tumour.iter().zip(&measures.tumours) {
            let (flat, space) = (
                tumour.in_plane.diameter.length_mm,
                tumour.in_space.length_mm,
            );
            assert!(
                tumour.in_plane.perpendicular.length_mm <= flat + 1e-9,
                "{case}"
            );
            assert!(
                flat <= space + 1e-9,
                "{case}: {flat} in a slice, {space} in space"
            );
            let slices = component.first_slice..=component.last_slice;
            assert!(slices.contains(&tumour.in_plane.slice), "{case}");
            // No body of this diameter holds more than a ball (the isodiametric inequality); a voxel's diagonal for steps.
            let spacing = measures.spacing;
            let diagonal =
                (spacing.slice_mm.powi(2) + spacing.row_mm.powi(2) + spacing.col_mm.powi(2)).sqrt();
            let ball = std::f64::consts::PI / 6.0 * (space + diagonal).powi(3) / 1000.0;
            assert!(measures.component_ml(component) <= ball, "{case}");
        }
        let largest = &measures.tumours[0];
        eprintln!(
            "case {case:3}: {:4} slices, {:2} tumours, {:5.1} x {:5.1} mm in slice {}, {:5.1} mm in space, R {}, \
             {:?}, {:?}, {:?}; measured in {seconds:.3} s",
            map.slices(),
            measures.tumours.len(),
            largest.in_plane.diameter.length_mm,
            largest.in_plane.perpendicular.length_mm,
            largest.in_plane.slice,
            largest.in_space.length_mm,
            largest.renal.radius_points,
            largest.renal.exophytic,
            largest.renal.facing,
            largest.renal.location,
        );
    }
}
