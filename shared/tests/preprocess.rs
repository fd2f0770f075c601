//! Preprocessing against OpenCV and by its own laws.

use std::{fs, path::PathBuf};

use nephrobox_shared::preprocess::{Buffer, Interpolation, Preprocess, PreprocessError, Window};
use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// What OpenCV's own paths differ by among themselves: one rounding more or less, and positions in f32 on tiny images.
const TOLERANCE: f32 = 3e-7;

fn i16s(tensor: &TensorView<'_>) -> Vec<i16> {
    assert_eq!(tensor.dtype(), Dtype::I16);
    tensor
        .data()
        .chunks_exact(2)
        .map(|b| i16::from_le_bytes([b[0], b[1]]))
        .collect()
}

fn f32s(tensor: &TensorView<'_>) -> Vec<f32> {
    assert_eq!(tensor.dtype(), Dtype::F32);
    tensor
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

fn size(tensor: &TensorView<'_>) -> (usize, usize) {
    (tensor.shape()[0], tensor.shape()[1])
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// Runs one case of tensors `hu`, `mask` and the results that are there; returns how many results were compared.
fn check_case(
    name: &str,
    get: impl Fn(&str) -> Option<Vec<u8>>,
    tensors: &SafeTensors<'_>,
    key: &str,
) -> usize {
    let tensor = |part: &str| tensors.tensor(&format!("{key}{part}")).ok();
    let hu = tensor("hu").expect("every case has its HU");
    let (rows, cols) = size(&hu);
    let hu = i16s(&hu);
    let mut compared = 0;
    for (part, interpolation) in [
        ("linear", Interpolation::Linear),
        ("area", Interpolation::Area),
    ] {
        // Where the golden data leave out `area`, it equals `linear`.
        let Some(expected) = tensor(part).or_else(|| tensor("linear")) else {
            continue;
        };
        let (to_rows, to_cols) = size(&expected);
        let preprocess = Preprocess {
            interpolation,
            rows: to_rows,
            cols: to_cols,
            ..Preprocess::default()
        };
        let mut out = vec![f32::NAN; to_rows * to_cols];
        preprocess.image(&hu, rows, cols, &mut out).unwrap();
        let deviation = worst(&out, &f32s(&expected));
        assert!(deviation <= TOLERANCE, "{name} {part}: {deviation}");
        compared += 1;
    }
    for part in ["mask_nearest", "nearest"] {
        let (Some(mask), Some(expected)) = (tensor("mask"), tensor(part)) else {
            continue;
        };
        let (to_rows, to_cols) = size(&expected);
        let preprocess = Preprocess {
            rows: to_rows,
            cols: to_cols,
            ..Preprocess::default()
        };
        let mut small = vec![9; to_rows * to_cols];
        preprocess
            .labels(mask.data(), rows, cols, &mut small)
            .unwrap();
        assert_eq!(small, expected.data(), "{name} {part}");
        compared += 1;
        if let Some(expected) = get("back") {
            let mut back = vec![9; rows * cols];
            preprocess
                .labels_back(&small, rows, cols, &mut back)
                .unwrap();
            assert_eq!(back, expected, "{name} back");
            compared += 1;
        }
    }
    compared
}

/// `tests/data/make_resize.py`: OpenCV 4.5.5 on shrinking, growing, mixed and degenerate sizes.
/// Shows RQ-45.
#[test]
fn agrees_with_opencv_at_awkward_sizes() {
    let bytes = include_bytes!("data/resize.safetensors");
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let mut cases: Vec<_> = tensors
        .names()
        .iter()
        .filter_map(|n| n.strip_suffix("/hu").map(str::to_owned))
        .collect();
    cases.sort();
    assert_eq!(cases.len(), 11);
    for name in cases {
        let key = format!("{name}/");
        let back = |part: &str| {
            Some(
                tensors
                    .tensor(&format!("{key}{part}"))
                    .ok()?
                    .data()
                    .to_vec(),
            )
        };
        assert_eq!(check_case(&name, back, &tensors, &key), 4, "{name}");
    }
}

/// The reference project's golden values, `golden/preprocess`.
/// Shows RQ-45.
#[test]
fn agrees_with_the_golden_values() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/preprocess");
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("skipped: ../shared is not here");
        return;
    };
    let mut compared = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        compared += check_case(&path.display().to_string(), |_| None, &tensors, "");
        if let Ok(expected) = tensors.tensor("normalized") {
            let hu = i16s(&tensors.tensor("hu").unwrap());
            let normalised: Vec<_> = hu.iter().map(|&hu| Window::ABDOMEN.normalise(hu)).collect();
            assert_eq!(normalised, f32s(&expected), "{}", path.display());
        }
    }
    assert!(
        compared >= 9,
        "only {compared} results in {}",
        folder.display()
    );
}

/// `((clamp(hu) as f64 + 125) / 350) as f32`, the definition the golden values use, for every i16.
#[test]
fn normalising_in_f32_loses_nothing_against_f64() {
    for hu in i16::MIN..=i16::MAX {
        let expected = ((f64::from(hu.clamp(-125, 225)) + 125.0) / 350.0) as f32;
        assert_eq!(
            Window::ABDOMEN.normalise(hu).to_bits(),
            expected.to_bits(),
            "{hu} HU"
        );
    }
    let widest = Window {
        low_hu: i16::MIN,
        high_hu: i16::MAX,
    };
    for hu in i16::MIN..=i16::MAX {
        let expected = ((f64::from(hu) + 32768.0) / 65535.0) as f32;
        assert_eq!(
            widest.normalise(hu).to_bits(),
            expected.to_bits(),
            "{hu} HU"
        );
    }
}

#[test]
fn half_size_is_the_mean_of_two_by_two_whichever_interpolation() {
    let hu: Vec<i16> = (0..64 * 48).map(|i| (i * 37 % 701 - 250) as i16).collect();
    let mut results = [vec![0.0; 32 * 24], vec![0.0; 32 * 24]];
    for (interpolation, out) in [Interpolation::Linear, Interpolation::Area]
        .into_iter()
        .zip(&mut results)
    {
        let preprocess = Preprocess {
            interpolation,
            rows: 32,
            cols: 24,
            ..Preprocess::default()
        };
        preprocess.image(&hu, 64, 48, out).unwrap();
    }
    assert_eq!(results[0], results[1]);
    let at = |row: usize, col: usize| Window::ABDOMEN.normalise(hu[row * 48 + col]);
    for row in 0..32 {
        for col in 0..24 {
            let (r, c) = (2 * row, 2 * col);
            let mean = ((at(r, c) + at(r, c + 1)) + (at(r + 1, c) + at(r + 1, c + 1))) / 4.0;
            assert_eq!(results[0][row * 24 + col], mean);
        }
    }
}

/// `case_00160` is 512 x 796: padding keeps its aspect, and the way back cuts the padding off.
#[test]
fn a_wide_slice_is_padded_around_its_centre() {
    let preprocess = Preprocess {
        rows: 8,
        cols: 8,
        pad_to_square: true,
        ..Preprocess::default()
    };
    let (rows, cols) = (4, 8);
    let mut image = [f32::NAN; 64];
    preprocess
        .image(&[225; 32], rows, cols, &mut image)
        .unwrap();
    let mut labels = [9; 64];
    preprocess
        .labels(&[2; 32], rows, cols, &mut labels)
        .unwrap();
    for row in 0..8 {
        let inside = (2..6).contains(&row);
        assert_eq!(image[row * 8..][..8], [if inside { 1.0 } else { 0.0 }; 8]);
        assert_eq!(labels[row * 8..][..8], [if inside { 2 } else { 0 }; 8]);
    }
    let mut back = [9; 32];
    preprocess
        .labels_back(&labels, rows, cols, &mut back)
        .unwrap();
    assert_eq!(back, [2; 32]);
}

#[test]
fn what_cannot_be_preprocessed_is_refused_and_nothing_is_written() {
    let preprocess = Preprocess {
        rows: 2,
        cols: 2,
        ..Preprocess::default()
    };
    let mut out = [7.0; 4];
    let short = preprocess.image(&[0; 15], 4, 4, &mut out);
    assert_eq!(
        short,
        Err(PreprocessError::Length {
            buffer: Buffer::Source,
            rows: 4,
            cols: 4,
            found: 15
        })
    );
    let small = preprocess.image(&[0; 16], 4, 4, &mut out[..3]);
    assert!(matches!(
        small,
        Err(PreprocessError::Length {
            buffer: Buffer::Network,
            found: 3,
            ..
        })
    ));
    let empty = preprocess.image(&[], 0, 4, &mut out);
    assert_eq!(empty, Err(PreprocessError::Size { rows: 0, cols: 4 }));
    let endless = preprocess.labels(&[0; 16], usize::MAX, 2, &mut [0; 4]);
    assert!(matches!(endless, Err(PreprocessError::Size { .. })));
    let inverted = Preprocess {
        window: Window {
            low_hu: 3,
            high_hu: 3,
        },
        ..preprocess
    };
    assert!(matches!(
        inverted.image(&[0; 16], 4, 4, &mut out),
        Err(PreprocessError::EmptyWindow { .. })
    ));
    let nothing = Preprocess {
        rows: 0,
        ..preprocess
    };
    assert!(nothing.labels_back(&[], 4, 4, &mut [0; 16]).is_err());
    assert_eq!(out, [7.0; 4]);
    assert_eq!(
        short.unwrap_err().to_string(),
        "the slice holds 15 pixels where 4 x 4 are needed"
    );
}

fn any_preprocess() -> impl Strategy<Value = Preprocess> {
    (1..40_usize, 1..40_usize, any::<bool>(), any::<bool>()).prop_map(
        |(rows, cols, area, pad_to_square)| Preprocess {
            interpolation: if area {
                Interpolation::Area
            } else {
                Interpolation::Linear
            },
            rows,
            cols,
            pad_to_square,
            ..Preprocess::default()
        },
    )
}

proptest! {
    /// Field validation scores what the network said, and the box only gives what became of it at the scan's size.
    #[test]
    fn a_label_map_of_the_networks_size_comes_back_from_a_scan_at_least_as_large(
        preprocess in any_preprocess(), more_rows in 0..90_usize, more_cols in 0..90_usize, seed: u64,
    ) {
        let preprocess = Preprocess { pad_to_square: false, ..preprocess };
        let (rows, cols) = (preprocess.rows + more_rows, preprocess.cols + more_cols);
        let small = some_labels(preprocess.rows * preprocess.cols, seed);
        let mut slice = vec![9; rows * cols];
        preprocess.labels_back(&small, rows, cols, &mut slice).unwrap();
        let mut again = vec![9; small.len()];
        prop_assert_eq!(preprocess.labels_recovered(&slice, rows, cols, &mut again), Ok(0));
        prop_assert_eq!(again, small);
    }

    /// What the scan has no room for is counted and becomes background; all else comes back.
    #[test]
    fn pixels_that_the_scan_does_not_show_are_counted_as_lost(
        preprocess in any_preprocess(), rows in 1..90_usize, cols in 1..90_usize, seed: u64,
    ) {
        let small = some_labels(preprocess.rows * preprocess.cols, seed);
        let through = |small: &[u8]| {
            let mut slice = vec![9; rows * cols];
            preprocess.labels_back(small, rows, cols, &mut slice).unwrap();
            let mut again = vec![9; small.len()];
            let lost = preprocess.labels_recovered(&slice, rows, cols, &mut again).unwrap();
            (again, lost)
        };
        let (shown, lost) = through(&vec![1; small.len()]);
        let hidden = shown.iter().map(|&there| usize::from(there == 0)).sum::<usize>();
        prop_assert_eq!(hidden, lost);
        let (again, _) = through(&small);
        for ((&again, &shown), &small) in again.iter().zip(&shown).zip(&small) {
            prop_assert_eq!(again, shown * small);
        }
    }
}

fn some_labels(pixels: usize, seed: u64) -> Vec<u8> {
    let mixed = |pixel: u64| (pixel ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61;
    (0..pixels as u64)
        .map(|pixel| (mixed(pixel) % 3) as u8)
        .collect()
}

proptest! {
    /// A resize averages: it never leaves the range of its input, up to the rounding of the weights.
    #[test]
    fn resized_values_stay_in_range(p in any_preprocess(), rows in 1..90_usize, cols in 1..90_usize, seed in any::<u64>()) {
        let hu: Vec<i16> = (0..rows * cols).map(|i| (seed.wrapping_mul(i as u64 | 1) >> 52) as i16 - 2048).collect();
        let mut out = vec![f32::NAN; p.rows * p.cols];
        p.image(&hu, rows, cols, &mut out).unwrap();
        prop_assert!(out.iter().all(|v| (-1e-6..=1.000_001).contains(v)));
    }

    /// A slice of one value keeps it at every size (no padding), so weights sum to 1.
    #[test]
    fn a_flat_slice_stays_flat(p in any_preprocess(), rows in 1..90_usize, cols in 1..90_usize, hu in -125..=225_i16) {
        let p = Preprocess { pad_to_square: false, ..p };
        let mut out = vec![f32::NAN; p.rows * p.cols];
        p.image(&vec![hu; rows * cols], rows, cols, &mut out).unwrap();
        let expected = Window::ABDOMEN.normalise(hu);
        prop_assert!(out.iter().all(|v| (v - expected).abs() <= 1e-5));
    }

    /// Enlarging by a whole factor and coming back loses no label, with and without padding.
    #[test]
    fn labels_survive_enlarging(rows in 1..12_usize, cols in 1..12_usize, factor in 1..4_usize, pad in any::<bool>(), seed in any::<u64>()) {
        let labels: Vec<u8> = (0..rows * cols).map(|i| (seed.wrapping_mul(2 * i as u64 + 1) >> 40) as u8 % 3).collect();
        let side = rows.max(cols);
        let (tall, wide) = if pad { (side, side) } else { (rows, cols) };
        let p = Preprocess { rows: tall * factor, cols: wide * factor, pad_to_square: pad, ..Preprocess::default() };
        let mut big = vec![9; p.rows * p.cols];
        p.labels(&labels, rows, cols, &mut big).unwrap();
        let mut back = vec![9; labels.len()];
        p.labels_back(&big, rows, cols, &mut back).unwrap();
        prop_assert_eq!(back, labels);
    }
}
