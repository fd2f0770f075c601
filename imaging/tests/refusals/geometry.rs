//! Grids that do not say where the patient is, or say two things.

use nephrobox_imaging::{GeometryError, ScanReader};

use crate::support::{Declared, I16, Order, RawNifti, place};
use crate::{Case, geometry_error, healthy, sentence};

/// Shows RQ-02.
#[test]
fn neither_transform_declared() {
    let mut raw = healthy(I16);
    raw.sform_code = 0;
    let error = Case::new().scan(&raw).unwrap_err();
    assert_eq!(
        sentence(&error),
        "no usable affine: sform_code is 0 and qform_code is 0, so the patient's sides are unknown; \
         convert the volume again from its DICOM series"
    );
}

/// Shows RQ-02.
#[test]
fn an_affine_of_zeros_or_nan_or_flat() {
    let all = |value| [[value; 4]; 3];
    let zero_column = [[0.0, 0.0, -1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0; 4]];
    let same_column_twice = [
        [0.0, 0.0, 0.0, 0.0],
        [0.0, -1.0, -1.0, 0.0],
        [-1.0, 0.0, 0.0, 0.0],
    ];
    for srow in [
        all(0.0),
        all(f32::NAN),
        all(f32::INFINITY),
        zero_column,
        same_column_twice,
    ] {
        let mut raw = healthy(I16);
        raw.srow = srow;
        assert!(
            matches!(
                geometry_error(&raw),
                GeometryError::Singular { form: "sform", .. }
            ),
            "{srow:?}"
        );
    }
    let mut raw = healthy(I16);
    (raw.sform_code, raw.qform_code) = (0, 1);
    raw.quatern = [0.9, 0.9, 0.9];
    assert!(matches!(
        geometry_error(&raw),
        GeometryError::Singular { form: "qform", .. }
    ));
}

#[test]
fn zeros_under_a_declared_sform_leave_the_qform() {
    let case = Case::new();
    let mut raw = healthy(I16);
    place(
        &mut raw,
        &Order::KITS.affine([6, 5, 4], [1.0; 3], [0.0; 3]),
        Declared::Both,
    );
    raw.srow = [[0.0; 4]; 3];
    let reader = ScanReader::open(raw.save(case.path("scan.nii"))).unwrap();
    assert_eq!(reader.geometry().codes(), "IPL");
}

/// The KiTS19 affine turned about the patient's long axis, front to side.
fn turned(degrees: f32) -> RawNifti {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let mut raw = healthy(I16);
    raw.srow = [
        [0.0, sin, -cos, 0.0],
        [0.0, -cos, -sin, 0.0],
        [-1.0, 0.0, 0.0, 0.0],
    ];
    raw
}

/// Shows RQ-08.
#[test]
fn a_mild_tilt_is_reported_a_strong_one_refused() {
    let case = Case::new();
    for degrees in [0.0, 1.0, 12.5, 29.9] {
        let reader = ScanReader::open(turned(degrees).save(case.path("scan.nii"))).unwrap();
        assert!((reader.geometry().tilt_degrees() - f64::from(degrees)).abs() < 1e-3);
        assert_eq!(reader.geometry().codes(), "IPL");
    }
    for degrees in [30.1, 45.0] {
        assert!(matches!(
            geometry_error(&turned(degrees)),
            GeometryError::Oblique { .. }
        ));
    }
}

/// A tilted gantry shears the stack: the next slice lies 20 degrees off the perpendicular. Volumes need the distance of the planes.
/// Shows RQ-08.
#[test]
fn a_sheared_stack_keeps_its_slice_distance() {
    let case = Case::new();
    let mut raw = healthy(I16);
    let shear = 20f32.to_radians().tan() * 3.0;
    raw.srow = [
        [0.0, 0.0, -1.0, 0.0],
        [shear, -1.0, 0.0, 0.0],
        [-3.0, 0.0, 0.0, 0.0],
    ];
    for slice_pixdim in [3.0, 3.0 / 20f32.to_radians().cos()] {
        raw.pixdim[1] = slice_pixdim;
        let reader = ScanReader::open(raw.save(case.path("scan.nii"))).unwrap();
        assert!((reader.geometry().spacing().slice_mm - 3.0).abs() < 1e-6);
        assert!((reader.geometry().tilt_degrees() - 20.0).abs() < 1e-3);
    }
}

/// Shows RQ-03.
#[test]
fn transforms_that_name_different_sides_are_flagged() {
    let case = Case::new();
    let mut raw = healthy(I16);
    place(
        &mut raw,
        &Order::KITS.affine([6, 5, 4], [1.0; 3], [0.0; 3]),
        Declared::Both,
    );
    raw.srow[0][2] = 1.0;
    let reader = ScanReader::open(raw.save(case.path("scan.nii"))).unwrap();
    assert_eq!(reader.geometry().codes(), "IPR", "the sform decides");
    assert!(reader.geometry().forms_disagree());
}

/// Shows RQ-14.
#[test]
fn voxel_sizes_that_contradict_each_other() {
    let mut raw = healthy(I16);
    raw.pixdim[2] = 0.8;
    assert!(matches!(
        geometry_error(&raw),
        GeometryError::SizesDisagree {
            pixdim_mm: [1.0, _, 1.0],
            ..
        }
    ));
    // Not filled in is no contradiction.
    raw.pixdim = [0.0; 8];
    Case::new().scan(&raw).unwrap();
}

/// Shows RQ-15.
#[test]
fn a_spacing_no_scanner_has() {
    let mut raw = healthy(I16);
    raw.xyzt_units = 1; // metres
    assert_eq!(
        geometry_error(&raw),
        GeometryError::Implausible {
            spacing_mm: [1000.0; 3]
        }
    );
}

/// Shows RQ-14.
#[test]
fn micrometres_are_converted() {
    let case = Case::new();
    let mut raw = healthy(I16);
    raw.xyzt_units = 3;
    raw.srow = raw.srow.map(|row| row.map(|value| value * 800.0));
    raw.pixdim = [800.0; 8];
    let reader = ScanReader::open(raw.save(case.path("scan.nii"))).unwrap();
    assert!((reader.geometry().spacing().row_mm - 0.8).abs() < 1e-9);
}
