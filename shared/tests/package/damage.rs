//! Damaged and lying files.

use nephrobox_shared::package::{PackageError, PackageView, TensorProblem};

use crate::{example, rehash, table_start};

/// Every byte matters: none can change in an unsigned package without being noticed.
/// Shows RQ-37.
#[test]
fn every_flipped_bit_is_refused() {
    let mut file = example();
    for position in 0..file.len() {
        for bit in 0..8 {
            file[position] ^= 1 << bit;
            let error = PackageView::open(&file).expect_err("a flipped bit");
            match position {
                0..4 => assert_eq!(error, PackageError::NotAPackage),
                // The minor version may be newer, so that flip is found by the hash.
                4..6 => assert!(matches!(
                    error,
                    PackageError::Newer { .. } | PackageError::UnknownVersion { .. }
                )),
                8..16 => assert!(matches!(error, PackageError::Length { .. })),
                _ => assert!(!error.to_string().is_empty()),
            }
            file[position] ^= 1 << bit;
        }
    }
    assert!(PackageView::open(&file).is_ok());
}

#[test]
fn every_truncation_is_refused_and_so_is_a_tail() {
    let mut file = example();
    for len in 0..file.len() {
        let error = PackageView::open(&file[..len]).expect_err("a truncated package");
        match len {
            0..4 => assert_eq!(error, PackageError::NotAPackage),
            _ => assert!(
                matches!(error, PackageError::Length { found, .. } if found == len as u64),
                "{error}"
            ),
        }
    }
    let whole = file.len() as u64;
    file.push(0);
    let error = PackageView::open(&file).unwrap_err();
    assert_eq!(
        error,
        PackageError::Length {
            expected: whole,
            found: whole + 1
        }
    );
    assert!(error.to_string().contains("copy it again"));
}

/// Sizes that overflow, or that sum to something else, even under a true hash.
/// Shows RQ-70.
#[test]
fn lying_sizes_are_refused_before_they_are_used() {
    let file = example();
    for field in [16, 24, 32, 40] {
        for lie in [
            0,
            1 << 20,
            u64::from(u32::MAX),
            u64::MAX / 2,
            u64::MAX - 63,
            u64::MAX,
        ] {
            let mut file = file.clone();
            file[field..field + 8].copy_from_slice(&lie.to_le_bytes());
            rehash(&mut file);
            assert_eq!(
                PackageView::open(&file).unwrap_err(),
                PackageError::Sections,
                "{lie} at {field}"
            );
        }
    }
    for lie in [5, 1 << 16, u32::MAX] {
        let mut file = file.clone();
        file[48..52].copy_from_slice(&lie.to_le_bytes());
        rehash(&mut file);
        assert!(PackageView::open(&file).is_err(), "{lie} tensors");
    }
    // One tensor fewer leaves bytes that belong to none.
    let mut fewer = file;
    fewer[48] = 3;
    rehash(&mut fewer);
    assert!(PackageView::open(&fewer).is_err());
}

/// Each field of a table entry under a true hash: what it must be, and the sentence's subject when it is not.
#[test]
fn lying_tensor_entries_are_refused_by_name() {
    let original = example();
    let table = table_start(&PackageView::open(&original).unwrap());
    let disasters: [(&str, usize, &[u8], TensorProblem); 15] = [
        (
            "an offset that is not aligned",
            0,
            &[1],
            TensorProblem::Range,
        ),
        (
            "an offset outside the section",
            64,
            &[0, 0, 1],
            TensorProblem::Range,
        ),
        (
            "an offset that overflows",
            64,
            &[0xC0, 255, 255, 255, 255, 255, 255, 255],
            TensorProblem::Range,
        ),
        (
            "an offset into the tensor before",
            64,
            &[0; 8],
            TensorProblem::Range,
        ),
        (
            "another length",
            8,
            &[7],
            TensorProblem::Length {
                expected: 6,
                found: 7,
            },
        ),
        (
            "scales outside the section",
            16,
            &[0, 0, 1],
            TensorProblem::Range,
        ),
        ("scales within the numbers", 16, &[0], TensorProblem::Range),
        (
            "fewer scales than channels",
            24,
            &[2],
            TensorProblem::Scales,
        ),
        (
            "no scales but a place for them",
            24,
            &[0],
            TensorProblem::Scales,
        ),
        (
            "scales of an f32 tensor",
            64 + 24,
            &[3],
            TensorProblem::Scales,
        ),
        (
            "a name outside the table",
            28,
            &[255, 255, 255, 255],
            TensorProblem::Name,
        ),
        ("an empty name", 32, &[0, 0], TensorProblem::Name),
        (
            "an unknown number format",
            34,
            &[3],
            TensorProblem::Dtype(3),
        ),
        ("five axes", 35, &[5], TensorProblem::Shape),
        ("an axis of length 0", 36, &[0], TensorProblem::Shape),
    ];
    for (what, position, bytes, expected) in disasters {
        let mut file = original.clone();
        file[table + position..][..bytes.len()].copy_from_slice(bytes);
        rehash(&mut file);
        match PackageView::open(&file) {
            Err(PackageError::Tensor { index, problem }) => {
                assert_eq!((index, problem), (position / 64, expected), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    // A scale of 0 or NaN would silence a channel or poison it.
    let data = (table + 256 + 27_usize).next_multiple_of(64);
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let mut file = original.clone();
        file[data + 64..data + 68].copy_from_slice(&scale.to_le_bytes());
        rehash(&mut file);
        assert_eq!(
            PackageView::open(&file).unwrap_err(),
            PackageError::Tensor {
                index: 0,
                problem: TensorProblem::Scales
            }
        );
    }
}
