//! Label maps that must not be written.

use nephrobox_imaging::{Geometry, GeometryError, ImagingError, Spacing, write_labels};

use crate::Case;
use crate::support::content;

fn kits() -> Geometry {
    Geometry::kits([6, 5, 4], Spacing::new(3.0, 0.8, 0.8).unwrap()).unwrap()
}

#[test]
fn impossible_grids() {
    let spacing = Spacing::new(3.0, 0.8, 0.8).unwrap();
    for shape in [[0, 5, 4], [6, 40_000, 4], [30_000, 30_000, 30_000]] {
        assert_eq!(
            Geometry::kits(shape, spacing),
            Err(GeometryError::Shape { shape })
        );
    }
    let spacing = Spacing::new(3.0, 0.8, 300.0).unwrap();
    assert!(matches!(
        Geometry::kits([6, 5, 4], spacing),
        Err(GeometryError::Implausible { .. })
    ));
}

#[test]
fn a_failed_write_leaves_nothing_and_spoils_nothing() {
    let case = Case::new();
    let path = case.path("labels.nii.gz");
    let bad = |slice: usize, out: &mut [u8]| out[0] = if slice == 5 { 3 } else { 0 };
    refused!(
        write_labels(&path, &kits(), &mut { bad }),
        ImagingError::NotALabel {
            slice: 5,
            value: 3.0,
            ..
        }
    );
    assert_eq!(std::fs::read_dir(case.folder.path()).unwrap().count(), 0);
    write_labels(&path, &kits(), &mut |_, out| out.fill(1)).unwrap();
    let before = content(&path);
    refused!(
        write_labels(&path, &kits(), &mut { bad }),
        ImagingError::NotALabel { .. }
    );
    assert_eq!(content(&path), before);
    assert_eq!(std::fs::read_dir(case.folder.path()).unwrap().count(), 1);
}

#[test]
fn names_and_folders_that_cannot_be_written() {
    let case = Case::new();
    refused!(
        write_labels(&case.path("labels.png"), &kits(), &mut |_, _| ()),
        ImagingError::OutputName { .. }
    );
    refused!(
        write_labels(&case.path("none/labels.nii.gz"), &kits(), &mut |_, _| ()),
        ImagingError::Io {
            action: "write",
            ..
        }
    );
}

#[test]
fn equal_labels_give_equal_files() {
    let case = Case::new();
    let (one, two) = (case.path("one.nii.gz"), case.path("two.nii.gz"));
    for path in [&one, &two] {
        write_labels(path, &kits(), &mut |slice, out| out.fill(slice as u8 % 3)).unwrap();
    }
    assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
}
