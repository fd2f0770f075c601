//! One patient, filed in every way a scanner or a tool may file it: the canonical slices are the same, and labels go back voxel for
//! voxel. Every voxel of the phantom has its own value, so that no flip or swap of any two axes can go unnoticed.

mod support;

use std::path::Path;

use nephrobox_imaging::{Geometry, LabelReader, ScanReader, write_labels, write_scan};
use support::{Declared, I16, Order, RawNifti, U8, content, place};

const SPACING: [f64; 3] = [2.5, 0.75, 0.8125];
const ORIGIN: [f64; 3] = [181.5, 190.25, 35.0];

fn hu([s, r, c]: [usize; 3], shape: [usize; 3]) -> i16 {
    ((s * shape[1] + r) * shape[2] + c) as u16 as i16
}

/// Without any symmetry, and with a margin of background of another width on each side where there is room for one.
fn label([s, r, c]: [usize; 3], shape: [usize; 3]) -> u8 {
    let inside = |index, axis: usize, before, after| {
        shape[axis] < 4 || (index >= before && index + after < shape[axis])
    };
    if inside(s, 0, 1, 2) && inside(r, 1, 2, 0) && inside(c, 2, 0, 1) {
        ((s * 5 + r * 3 + c) % 4 % 3) as u8
    } else {
        0
    }
}

fn file(
    order: Order,
    shape: [usize; 3],
    datatype: i16,
    declared: Declared,
    value: impl Fn([usize; 3]) -> f64,
) -> RawNifti {
    let mut raw = RawNifti::new(
        order.file_shape(shape),
        datatype,
        order.indices(shape).map(value),
    );
    place(&mut raw, &order.affine(shape, SPACING, ORIGIN), declared);
    raw
}

fn check_grid(geometry: &Geometry, order: Order, shape: [usize; 3]) {
    assert_eq!(geometry.codes(), order.codes());
    assert_eq!(geometry.shape(), shape);
    let spacing = geometry.spacing();
    for (found, mm) in [spacing.slice_mm, spacing.row_mm, spacing.col_mm]
        .into_iter()
        .zip(SPACING)
    {
        assert!((found - mm).abs() < 1e-6, "{found} mm, not {mm}");
    }
    for (found, mm) in geometry.position([0.0; 3]).into_iter().zip(ORIGIN) {
        assert!(
            (found - mm).abs() < 1e-3,
            "first voxel at {found} mm, not {mm}"
        );
    }
    assert_eq!(geometry.streams(), order.axes[2] == 0);
    assert!(geometry.tilt_degrees() < 1e-3);
    assert!(!geometry.forms_disagree());
}

/// Reads scan and labels twice in turn and once out of turn, then writes the labels back.
fn check(folder: &Path, name: &str, order: Order, shape: [usize; 3], declared: Declared) {
    let scan = file(order, shape, I16, declared, |index| {
        f64::from(hu(index, shape))
    })
    .save(folder.join(format!("scan{name}")));
    let raw_labels = file(order, shape, U8, declared, |index| {
        f64::from(label(index, shape))
    });
    let labels = raw_labels.save(folder.join(format!("labels{name}")));
    let [slices, rows, cols] = shape;
    let pixels = |s: usize| (0..rows).flat_map(move |r| (0..cols).map(move |c| [s, r, c]));

    let mut scan = ScanReader::open(scan).unwrap();
    let mut labels = LabelReader::open(labels).unwrap();
    check_grid(scan.geometry(), order, shape);
    scan.check_labels(&labels).unwrap();
    let (mut image, mut map) = (vec![0; rows * cols], vec![9; rows * cols]);
    for _ in 0..2 {
        let mut seen = vec![false; slices];
        while let Some(index) = scan.next_slice(&mut image).unwrap() {
            assert!(
                !std::mem::replace(&mut seen[index], true),
                "slice {index} came twice"
            );
            assert!(
                image
                    .iter()
                    .copied()
                    .eq(pixels(index).map(|at| hu(at, shape))),
                "slice {index}"
            );
            assert_eq!(
                labels.next_slice(&mut map).unwrap(),
                Some(index),
                "labels come in the scan's order"
            );
            assert!(
                map.iter()
                    .copied()
                    .eq(pixels(index).map(|at| label(at, shape))),
                "labels of slice {index}"
            );
            if index == slices / 2 {
                let other = slices - 1;
                scan.read_slice(other, &mut image).unwrap();
                assert!(
                    image
                        .iter()
                        .copied()
                        .eq(pixels(other).map(|at| hu(at, shape))),
                    "slice {other} out of turn"
                );
                labels.read_slice(0, &mut map).unwrap();
                assert!(
                    map.iter().copied().eq(pixels(0).map(|at| label(at, shape))),
                    "labels of slice 0 out of turn"
                );
            }
        }
        assert!(seen.into_iter().all(|seen| seen));
        assert_eq!(labels.next_slice(&mut map).unwrap(), None);
        scan.rewind();
        labels.rewind();
    }

    let back = folder.join(format!("back{name}"));
    write_labels(&back, scan.geometry(), &mut |index, out| {
        for (pixel, at) in out.iter_mut().zip(pixels(index)) {
            *pixel = label(at, shape);
        }
    })
    .unwrap();
    let back = content(&back);
    assert!(
        back[352..] == raw_labels.voxels[..],
        "voxels in the file's own order"
    );
    // dim, pixdim, units, and everything from qform_code to srow_z (byte positions of nifti1.h).
    let head = raw_labels.header();
    for field in [40..56, 76..108, 123..124, 252..328] {
        assert_eq!(
            back[field.clone()],
            head[field.clone()],
            "header bytes {field:?}"
        );
    }
}

/// Shows RQ-01.
#[test]
fn every_order_of_axes_gives_the_same_slices_and_takes_labels_back() {
    let folder = tempfile::tempdir().unwrap();
    for order in Order::all() {
        for declared in [Declared::Sform, Declared::Qform, Declared::Both] {
            for name in [".nii", ".nii.gz"] {
                println!("{order:?} {declared:?} {name}");
                check(folder.path(), name, order, [6, 5, 4], declared);
            }
        }
    }
}

/// More than one tile and block along every axis, and no axis a multiple of either.
#[test]
fn every_order_of_axes_works_beyond_one_tile() {
    let folder = tempfile::tempdir().unwrap();
    for order in Order::all() {
        println!("{order:?}");
        check(folder.path(), ".nii", order, [70, 66, 67], Declared::Sform);
    }
}

#[test]
fn single_slices_rows_and_columns_are_volumes_too() {
    let folder = tempfile::tempdir().unwrap();
    for order in Order::all() {
        for shape in [[1, 5, 4], [6, 1, 4], [6, 5, 1], [1, 1, 1]] {
            println!("{order:?} {shape:?}");
            check(folder.path(), ".nii", order, shape, Declared::Both);
        }
    }
}

#[test]
fn a_scan_written_in_any_order_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let shape = [6, 5, 4];
    for order in Order::all() {
        let like =
            file(order, shape, U8, Declared::Both, |_| 0.0).save(folder.path().join("like.nii"));
        let geometry = ScanReader::open(like).unwrap().geometry().clone();
        let path = folder.path().join("scan.nii.gz");
        write_scan(&path, &geometry, &mut |s, out| {
            for (i, pixel) in out.iter_mut().enumerate() {
                *pixel = hu([s, i / 4, i % 4], shape) - 50;
            }
        })
        .unwrap();
        let mut scan = ScanReader::open(&path).unwrap();
        assert_eq!(scan.geometry(), &geometry);
        let mut image = [0; 20];
        while let Some(s) = scan.next_slice(&mut image).unwrap() {
            assert!(
                image
                    .iter()
                    .enumerate()
                    .all(|(i, &pixel)| pixel == hu([s, i / 4, i % 4], shape) - 50),
                "{order:?}"
            );
        }
    }
}

/// The same patient twice: once as KiTS19 files it, once as most scanners do. Labels drawn on one may be read with the other.
#[test]
fn grids_agree_across_orders_of_axes() {
    let folder = tempfile::tempdir().unwrap();
    let shape = [6, 5, 4];
    let scan = file(Order::KITS, shape, I16, Declared::Sform, |_| 0.0)
        .save(folder.path().join("scan.nii"));
    for order in Order::all() {
        let labels =
            file(order, shape, U8, Declared::Qform, |_| 0.0).save(folder.path().join("labels.nii"));
        ScanReader::open(&scan)
            .unwrap()
            .check_labels(&LabelReader::open(labels).unwrap())
            .unwrap();
    }
}

#[test]
fn the_kits_grid_is_that_of_kits() {
    let folder = tempfile::tempdir().unwrap();
    let spacing = nephrobox_imaging::Spacing::new(0.5, 0.919_921_9, 0.919_921_9).unwrap();
    let geometry = Geometry::kits([6, 5, 4], spacing).unwrap();
    assert_eq!(
        (geometry.codes(), geometry.shape(), geometry.streams()),
        ("IPL", [6, 5, 4], false)
    );
    let path = folder.path().join("labels.nii.gz");
    write_labels(&path, &geometry, &mut |_, _| ()).unwrap();
    let bytes = content(&path);
    let floats: Vec<f32> = bytes[280..328]
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    // The affine that ../shared/data/README.md gives for all of KiTS19.
    let (s, c) = (0.5, 0.919_921_9);
    assert_eq!(
        floats,
        [0.0, 0.0, -c, 0.0, 0.0, -c, 0.0, 0.0, -s, 0.0, 0.0, 0.0]
    );
}
