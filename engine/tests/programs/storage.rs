//! Tensors in fewer bytes, and what that costs in accuracy.

use nephrobox_engine::program::{Data, Storage, Tensor, TensorError};
use proptest::prelude::*;

use crate::random::noise;

#[test]
fn i8_has_one_scale_for_each_output_channel() {
    // The second channel is a thousand times smaller than the first and keeps its own two digits.
    let tensor = Tensor::f32(
        "weight",
        vec![2, 3],
        vec![1.0, -0.5, 0.25, 1e-3, -1e-3, 0.0],
    )
    .unwrap();
    let stored = tensor.stored_as(Storage::I8).unwrap();
    let scales = vec![1.0 / 127.0, 1e-3 / 127.0];
    // -63.5 and 31.75: ties go to even, so that rounding has no bias.
    let values = vec![127, -64, 32, 127, -127, 0];
    assert_eq!(stored.data(), &Data::I8 { values, scales });
    assert_eq!(stored.bytes(), 6 + 8);
}

#[test]
fn a_channel_of_zeros_stays_zero() {
    let tensor = Tensor::f32("dead", vec![2, 2], vec![0.0, 0.0, 1.0, 2.0]).unwrap();
    let back = tensor.stored_as(Storage::I8).unwrap().to_f32();
    assert_eq!(back[..2], [0.0, 0.0]);
    assert!((back[2] - 1.0).abs() < 1e-2 && back[3] == 2.0);
}

#[test]
fn numbers_no_network_has_are_refused() {
    let refused = Tensor::f32("w", vec![2], vec![0.0, f32::NAN]);
    assert_eq!(refused, Err(TensorError::Value { name: "w".into() }));
    let infinite_in_f16 = Tensor::f32("w", vec![1], vec![1e6])
        .unwrap()
        .stored_as(Storage::F16);
    assert_eq!(
        infinite_in_f16,
        Err(TensorError::Value { name: "w".into() })
    );
    for scale in [0.0, -1.0, f32::INFINITY, f32::MAX] {
        let data = Data::I8 {
            values: vec![127],
            scales: vec![scale],
        };
        assert_eq!(
            Tensor::new("w", vec![1], data),
            Err(TensorError::Value { name: "w".into() })
        );
    }
    let asymmetric = Data::I8 {
        values: vec![-128],
        scales: vec![1.0],
    };
    assert!(Tensor::new("w", vec![1], asymmetric).is_err());
}

#[test]
fn shapes_that_do_not_fit_the_numbers_are_refused() {
    for shape in [vec![], vec![0], vec![1; 5], vec![usize::MAX, 2], vec![3]] {
        assert!(
            Tensor::f32("w", shape.clone(), vec![1.0, 2.0]).is_err(),
            "{shape:?}"
        );
    }
    let scales = Data::I8 {
        values: vec![1, 2],
        scales: vec![1.0],
    };
    let refused = Tensor::new("w", vec![2, 1], scales);
    assert!(matches!(
        refused,
        Err(TensorError::Length {
            expected: 2,
            found: 1,
            ..
        })
    ));
}

proptest! {
    #[test]
    fn each_storage_keeps_its_promise(channels in 1_usize..5, each in 1_usize..20, scale in 1e-3_f32..1e3, seed: u64) {
        let values: Vec<f32> = noise(seed, channels * each).into_iter().map(|v| v * scale).collect();
        let tensor = Tensor::f32("w", vec![channels, each], values.clone()).unwrap();
        prop_assert_eq!(tensor.to_f32(), values.clone());
        let half = tensor.stored_as(Storage::F16).unwrap();
        for (x, y) in values.iter().zip(half.to_f32()) {
            // Relative 2^-11, and below the smallest normal number absolute 2^-25.
            prop_assert!((x - y).abs() <= (x.abs() / 2048.0).max(3e-8));
        }
        let bytes = tensor.stored_as(Storage::I8).unwrap();
        for (x, y) in values.chunks(each).zip(bytes.to_f32().chunks(each)) {
            let largest = x.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            for (x, y) in x.iter().zip(y) {
                prop_assert!((x - y).abs() <= largest / 127.0 * 0.5001);
            }
        }
        // Storing again changes nothing: a package can be rewritten without loss.
        let again = Tensor::f32("w", vec![channels, each], bytes.to_f32()).unwrap().stored_as(Storage::I8).unwrap();
        match (bytes.data(), again.data()) {
            (Data::I8 { values: a, .. }, Data::I8 { values: b, .. }) => prop_assert_eq!(a, b),
            _ => prop_assert!(false, "not stored as i8"),
        }
    }
}
