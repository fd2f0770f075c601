//! Voxels that are no HU or no label, images and labels that do not belong together, and readers used wrongly.

use nephrobox_imaging::{ImagingError, LabelReader, ScanReader};

use crate::support::{Declared, F32, F64, I16, Order, RawNifti, U8, U16, place};
use crate::{Case, healthy, sentence};

/// Slice 4 of the canonical volume, in files that stream and in files that do not.
/// Shows RQ-26.
#[test]
fn nan_and_infinite_voxels() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for datatype in [F32, F64] {
            for order in Order::all() {
                let shape = [6, 5, 4];
                let values = order
                    .indices(shape)
                    .map(|index| if index == [4, 2, 1] { value } else { 0.0 });
                let mut raw = RawNifti::new(order.file_shape(shape), datatype, values);
                place(
                    &mut raw,
                    &order.affine(shape, [1.0; 3], [0.0; 3]),
                    Declared::Sform,
                );
                refused!(
                    Case::new().scan(&raw),
                    ImagingError::NotFinite { slice: 4, .. }
                );
            }
        }
    }
    let mut raw = healthy(F32);
    raw.set((0..120).map(|i| if i == 8 { f64::NAN } else { 0.0 }));
    assert_eq!(
        sentence(&Case::new().scan(&raw).unwrap_err()),
        "slice 2 holds a voxel of value NaN; replace such voxels, for example by -1024 HU (air), before sending the scan"
    );
}

#[test]
fn labels_of_another_dataset() {
    let case = Case::new();
    for (datatype, value) in [
        (U8, 3.0),
        (U16, 256.0),
        (U16, 257.0),
        (I16, -1.0),
        (F32, 0.5),
        (F64, 1.0001),
    ] {
        let mut raw = healthy(datatype);
        raw.set((0..120).map(|i| if i == 11 { value } else { f64::from(i % 3) }));
        let mut reader = LabelReader::open(raw.save(case.path("labels.nii"))).unwrap();
        let expected = if datatype == F32 {
            f64::from(value as f32)
        } else {
            value
        };
        let error = refused!(
            reader.next_slice(&mut [0; 20]),
            ImagingError::NotALabel { slice: 5, .. }
        );
        assert!(
            sentence(&error).starts_with(&format!(
                "slice 5 holds label {expected}; labels are 0 (background)"
            )),
            "{error}"
        );
    }
}

#[test]
fn an_image_and_labels_on_different_grids() {
    let case = Case::new();
    let scan = ScanReader::open(healthy(I16).save(case.path("scan.nii"))).unwrap();
    let change = |change: fn(&mut RawNifti)| {
        let mut raw = healthy(U8);
        change(&mut raw);
        let labels = LabelReader::open(raw.save(case.path("labels.nii"))).unwrap();
        scan.check_labels(&labels)
    };
    change(|_| ()).unwrap();
    change(|raw| raw.srow[1][3] = 0.05).unwrap();
    let shifted = refused!(
        change(|raw| raw.srow[1][3] = 0.5),
        ImagingError::GridsDiffer { .. }
    );
    assert!(
        shifted.to_string().ends_with(
            "labels.nii: the grids disagree: one is 6 x 5 x 4 (slices x rows x columns) at 1.0000 x 1.0000 x 1.0000 mm, stored IPL, \
             first voxel at (0.00, 0.00, 0.00) mm, the other 6 x 5 x 4 (slices x rows x columns) at 1.0000 x 1.0000 x 1.0000 mm, \
             stored IPL, first voxel at (0.00, 0.50, 0.00) mm; use labels that were drawn on this very image"
        ),
        "{shifted}"
    );
    let mirrored: fn(&mut RawNifti) = |raw| raw.srow[0][2] = 1.0;
    let thicker: fn(&mut RawNifti) = |raw| (raw.srow[2][0], raw.pixdim[1]) = (-1.1, 1.1);
    let longer: fn(&mut RawNifti) = |raw| {
        raw.dim[1] = 7;
        raw.set((0..140).map(|_| 0.0));
    };
    for other in [mirrored, thicker, longer] {
        refused!(change(other), ImagingError::GridsDiffer { .. });
    }
}

#[test]
fn a_buffer_of_the_wrong_size() {
    let case = Case::new();
    let mut reader = ScanReader::open(healthy(I16).save(case.path("scan.nii"))).unwrap();
    refused!(
        reader.next_slice(&mut [0; 19]),
        ImagingError::BufferSize {
            expected: 20,
            found: 19,
            ..
        }
    );
    refused!(
        reader.read_slice(0, &mut [0; 21]),
        ImagingError::BufferSize {
            expected: 20,
            found: 21,
            ..
        }
    );
    refused!(
        reader.read_slice(6, &mut [0; 20]),
        ImagingError::NoSuchSlice {
            index: 6,
            slices: 6,
            ..
        }
    );
}

#[test]
fn an_error_stays_until_the_file_changes() {
    let case = Case::new();
    for order in [
        Order::KITS,
        Order {
            axes: [2, 1, 0],
            reversed: [false; 3],
        },
    ] {
        let shape = [6, 5, 4];
        let mut raw = RawNifti::new(
            order.file_shape(shape),
            F32,
            order
                .indices(shape)
                .map(|i| if i == [3, 0, 0] { f64::NAN } else { 1.0 }),
        );
        place(
            &mut raw,
            &order.affine(shape, [1.0; 3], [0.0; 3]),
            Declared::Sform,
        );
        let mut reader = ScanReader::open(raw.save(case.path("scan.nii.gz"))).unwrap();
        let mut slice = [0; 20];
        while reader.next_slice(&mut slice).is_ok() {}
        for _ in 0..3 {
            refused!(
                reader.next_slice(&mut slice),
                ImagingError::NotFinite { slice: 3, .. }
            );
        }
    }
}
