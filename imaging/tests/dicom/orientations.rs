//! One patient, imaged lying in four ways: the same canonical volume, the same right and left, and labels back in its place.

use nephrobox_imaging::dicom::Place;
use nephrobox_imaging::{Geometry, LabelReader, ScanReader, write_labels};

use crate::series::{ORIGIN, SHAPE, SPACING, SUPINE, hu, in_order, of, order, save, series};
use crate::support::{Declared, I16, Order, RawNifti, place};

/// Names that sort as the stack runs, and names that do not.
const NAMINGS: [fn(usize) -> String; 2] = [in_order, |k| format!("{}", 97 - 31 * k % 97)];

/// The same patient as NIfTI, filed as KiTS19 does.
fn nifti(folder: &std::path::Path) -> ScanReader {
    let values = Order::KITS.indices(SHAPE).map(|at| f64::from(hu(at)));
    let mut raw = RawNifti::new(Order::KITS.file_shape(SHAPE), I16, values);
    let affine = Order::KITS.affine(SHAPE, SPACING, ORIGIN);
    place(&mut raw, &affine, Declared::Sform);
    ScanReader::open(raw.save(folder.join("scan.nii"))).unwrap()
}

/// All canonical slices, one after the other.
pub(crate) fn volume(scan: &mut ScanReader) -> Vec<i16> {
    let len = scan.geometry().slice_len();
    let mut volume = vec![0; scan.geometry().voxels() as usize];
    let mut seen = 0;
    let mut slice = vec![0; len];
    while let Some(index) = scan.next_slice(&mut slice).unwrap() {
        volume[index * len..][..len].copy_from_slice(&slice);
        seen += 1;
    }
    assert_eq!(seen, scan.geometry().slices());
    volume
}

fn check_spacing(geometry: &Geometry) {
    let spacing = geometry.spacing();
    for (found, mm) in [spacing.slice_mm, spacing.row_mm, spacing.col_mm]
        .into_iter()
        .zip(SPACING)
    {
        assert!((found - mm).abs() < 1e-5, "{found} mm, not {mm}");
    }
}

/// Shows RQ-01.
#[test]
fn a_patient_in_four_orientations_has_the_slices_of_the_nifti_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = nifti(folder.path());
    let truth = volume(&mut expected);
    assert_eq!(truth[0], hu([0; 3]), "right, front, head");
    let orientations = [
        ("head first, supine", [false, false, false], "LPI"),
        ("slices towards the head", [false, false, true], "LPS"),
        ("feet first, mirrored", [true, false, true], "RPS"),
        ("prone", [true, true, false], "RAI"),
    ];
    // The stack runs along the right-handed normal of its planes, whatever the order of the files.
    let along_normal = ["LPS", "LPS", "RPI", "RAS"];
    for ((name, reversed, codes), stacked) in orientations.into_iter().zip(along_normal) {
        let order = order(reversed);
        assert_eq!(order.codes(), codes);
        let slices = series(order);
        for naming in NAMINGS {
            let home = tempfile::tempdir().unwrap();
            save(home.path(), &slices, naming);
            let mut scan = ScanReader::open_series(&[home.path().to_owned()]).unwrap();
            assert_eq!(scan.geometry().shape(), SHAPE, "{name}");
            assert_eq!(scan.geometry().codes(), stacked, "{name}");
            assert!(scan.geometry().streams());
            check_spacing(scan.geometry());
            assert_eq!(volume(&mut scan), truth, "{name}");
            scan.geometry().same_grid(expected.geometry()).unwrap();
            assert_eq!(scan.findings(), []);
            // Out of turn, and once more from the start.
            let mut slice = vec![0; 20];
            for index in [4, 0, 5, 5, 1] {
                scan.read_slice(index, &mut slice).unwrap();
                assert_eq!(slice, truth[index * 20..][..20], "{name}");
            }
            scan.rewind();
            assert_eq!(volume(&mut scan), truth, "{name}");
        }
    }
}

#[test]
fn a_list_of_files_in_any_order_is_the_series() {
    let home = tempfile::tempdir().unwrap();
    let mut files = save(home.path(), &series(SUPINE), in_order);
    let truth = volume(&mut ScanReader::open_series(&files).unwrap());
    let stacked: Vec<_> = files.iter().rev().cloned().collect();
    files.swap(0, 4);
    files.swap(1, 3);
    let mut scan = ScanReader::open_series(&files).unwrap();
    let places = scan.places();
    assert!(
        places.iter().map(Place::label).eq(&stacked),
        "from the feet up, as they lie"
    );
    assert_eq!(scan.path(), files[0]);
    assert_eq!(volume(&mut scan), truth);
}

/// Shows RQ-07.
#[test]
fn labels_go_back_into_the_place_of_the_series() {
    let home = tempfile::tempdir().unwrap();
    for reversed in 0..8 {
        let order = order([0, 1, 2].map(|axis| reversed >> axis & 1 == 1));
        let files = save(home.path(), &series(order), in_order);
        let scan = ScanReader::open_series(&files).unwrap();
        let path = home.path().join("labels.nii.gz");
        write_labels(&path, scan.geometry(), &mut |s, out| {
            for (i, label) in out.iter_mut().enumerate() {
                *label = ((s * 20 + i) % 3) as u8;
            }
        })
        .unwrap();
        let mut labels = LabelReader::open(&path).unwrap();
        scan.check_labels(&labels).unwrap();
        let mut slice = vec![0; 20];
        while let Some(s) = labels.next_slice(&mut slice).unwrap() {
            assert!((0..20).all(|i| usize::from(slice[i]) == (s * 20 + i) % 3));
        }
    }
}

#[test]
fn coronal_images_are_turned_to_transverse_slices() {
    let home = tempfile::tempdir().unwrap();
    let order = Order {
        axes: [2, 0, 1],
        reversed: [false; 3],
    };
    let files = save(
        home.path(),
        &of(order, SHAPE, SPACING, ORIGIN, &hu),
        in_order,
    );
    let mut scan = ScanReader::open_series(&files).unwrap();
    assert_eq!(scan.geometry().shape(), SHAPE);
    let found = volume(&mut scan);
    let truth: Vec<i16> = SUPINE.indices(SHAPE).map(hu).collect();
    assert_eq!(found, truth);
}
