//! The Burn executor against the naive interpreter.

use burn::tensor::Device;
use nephrobox_engine::burn::{Executor, ExecutorError};
use nephrobox_engine::model::{EngineError, SliceModel as _};
use nephrobox_engine::program::{
    ArgmaxError, Builder, FitError, Op, Precision, Program, Tensor, Tensors, argmax,
};
use proptest::prelude::*;

use crate::naive::{self, Value};
use crate::random::{self, MULTIPLE, noise};
use crate::unet;

fn executor(program: &Program, tensors: &Tensors, size: [usize; 2]) -> Executor {
    Executor::from_program(program, tensors, size, 1.0, &Device::flex()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Every operation, in any combination, on images that are not square.
    #[test]
    fn burn_computes_what_the_program_says(
        (program, tensors) in random::programs(), tiles in (1_usize..4, 1_usize..4), batch in 1_usize..3, seed: u64,
    ) {
        let (rows, cols) = (tiles.0 * MULTIPLE, tiles.1 * MULTIPLE);
        let channels = program.input_channels as usize;
        let images = noise(seed, batch * channels * rows * cols);
        let mut executor = executor(&program, &tensors, [rows, cols]);
        let found = executor.raw_logits(&images, batch, rows, cols).unwrap();

        let wanted: Vec<f32> = images.chunks_exact(channels * rows * cols).flat_map(|image| {
            naive::run(&program, &tensors, Value { channels, rows, cols, data: image.to_vec() }).data
        }).collect();
        prop_assert_eq!(found.len(), wanted.len());
        let largest = wanted.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
        // A sum that lands next to the middle of two steps of a grid may round to the other one.
        let rounds = program.ops.iter().any(|op| matches!(op, Op::Quantise { .. }));
        let allowed = if rounds { 0.3 } else { 1e-5 };
        for (found, wanted) in found.iter().zip(&wanted) {
            prop_assert!((found - wanted).abs() <= allowed * largest, "{found} where {wanted} belongs");
        }
    }

    /// A slice is repeated over the channels and scaled: the same as doing so by hand.
    #[test]
    fn slices_are_repeated_and_scaled((program, tensors) in random::programs(), seed: u64) {
        let side = MULTIPLE;
        let slice = noise(seed, side * side);
        let mut scaled = Executor::from_program(&program, &tensors, [side, side], 255.0, &Device::flex()).unwrap();
        let by_hand: Vec<f32> = slice.iter().map(|x| x * 255.0).collect();
        let by_hand = by_hand.repeat(program.input_channels as usize);
        let found = scaled.logits(&slice, 1, side, side).unwrap();
        prop_assert_eq!(found, scaled.raw_logits(&by_hand, 1, side, side).unwrap());
    }
}

/// Rounding alone, where nothing is added up and so nothing may differ: halves go to the even neighbour, ends are kept.
#[test]
fn rounding_to_a_grid_is_exact() {
    let image: Vec<f32> = (-32..32)
        .map(|i| i as f32 / 2.0)
        .chain([300.5, 255.5, -0.5, 40_000.0])
        .collect();
    let image: Vec<f32> = image.into_iter().cycle().take(256).collect();
    for precision in [Precision::U8, Precision::I16] {
        let mut b = Builder::new(1, 4);
        let scale = b.tensor(Tensor::f32("grid", vec![1], vec![0.5]).unwrap());
        let rounded = b.quantise(b.input(), scale, precision);
        let weight = b.tensor(Tensor::f32("copy", vec![1, 1, 1, 1], vec![1.0]).unwrap());
        let logits = b.conv2d(rounded, weight, None, 1, 0);
        let (program, tensors) = b.finish(logits, 1).unwrap();
        let halves: Vec<f32> = image.iter().map(|x| x / 2.0).collect();
        let found = executor(&program, &tensors, [16, 16])
            .raw_logits(&halves, 1, 16, 16)
            .unwrap();
        let [low, high] = precision.range();
        let wanted: Vec<f32> = image
            .iter()
            .map(|x| x.round_ties_even().clamp(low, high) / 2.0)
            .collect();
        assert_eq!(found, wanted, "{precision:?}");
    }
}

/// In 16 bits a value has 11 binary digits: the grid itself must not be rounded to them before a value is put on it.
#[test]
fn a_fine_grid_in_half_precision_loses_only_the_last_digits_of_the_result() {
    let mut b = Builder::new(1, 4);
    let scale = b.tensor(Tensor::f32("grid", vec![1], vec![0.001]).unwrap());
    let rounded = b.quantise(b.input(), scale, Precision::I16);
    let weight = b.tensor(Tensor::f32("copy", vec![1, 1, 1, 1], vec![1.0]).unwrap());
    let logits = b.conv2d(rounded, weight, None, 1, 0);
    let (program, tensors) = b.finish(logits, 1).unwrap();
    let image: Vec<f32> = noise(3, 256).into_iter().map(|x| x * 40.0).collect();
    let mut halves = executor(&program, &tensors, [16, 16]).in_half_precision();
    let found = halves.raw_logits(&image, 1, 16, 16).unwrap();
    for (x, found) in image.iter().zip(found) {
        let wanted = x.clamp(-32.768, 32.767);
        assert!(
            (found - wanted).abs() <= 0.001 + wanted.abs() / 1024.0,
            "{found} where {wanted} belongs"
        );
    }
}

#[test]
fn a_unet_in_half_precision_is_near_the_same_in_full() {
    let (program, tensors) = unet::bottlenecks();
    let [rows, cols] = [96, 64];
    let images = noise(5, rows * cols);
    let mut full =
        Executor::from_program(&program, &tensors, [rows, cols], 255.0, &Device::flex()).unwrap();
    let mut halves = full.clone().in_half_precision();
    assert_eq!(
        [full.arithmetic().name(), halves.arithmetic().name()],
        ["f32", "f16"]
    );
    let wanted = full.logits(&images, 1, rows, cols).unwrap();
    let found = halves.logits(&images, 1, rows, cols).unwrap();
    let largest = wanted.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let differ = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
    let differ = differ.fold(0.0, f32::max) / largest;
    assert!(
        differ > 0.0,
        "not computed in 16 bits: equal to the last bit"
    );
    assert!(differ < 0.01, "{differ} of the largest logit");
}

/// Full batches, one that is filled up, and a single slice: each slice gets the labels that it gets alone.
#[test]
fn batches_of_one_size_label_as_single_slices_do() {
    let (program, tensors) = unet::bottlenecks();
    let [rows, cols] = [32, 32];
    let images = noise(11, 7 * rows * cols);
    let mut one_by_one = executor(&program, &tensors, [rows, cols]).in_batches_of(1);
    let mut wanted = vec![9; images.len()];
    one_by_one.segment(&images, 7, &mut wanted).unwrap();
    assert!(wanted.iter().any(|&label| label != wanted[0]));
    let mut batched = executor(&program, &tensors, [rows, cols]).in_batches_of(3);
    assert_eq!(batched.batch(), 3);
    for slices in [7, 6, 5, 1] {
        let pixels = slices * rows * cols;
        let mut found = vec![9; pixels];
        batched
            .segment(&images[..pixels], slices, &mut found)
            .unwrap();
        let differ = found.iter().zip(&wanted).filter(|(a, b)| a != b).count();
        assert!(
            differ <= 2,
            "{differ} labels differ in a batch of {slices}: more than sums in another order explain"
        );
    }
}

/// Logits are the pixel `p`, `1/2` and `1 - p`.
fn three_ways() -> (Program, Tensors) {
    let mut b = Builder::new(1, 4);
    let weight = b.tensor(Tensor::f32("weight", vec![3, 1, 1, 1], vec![1.0, 0.0, -1.0]).unwrap());
    let bias = b.tensor(Tensor::f32("bias", vec![3], vec![0.0, 0.5, 1.0]).unwrap());
    let logits = b.conv2d(b.input(), weight, Some(bias), 1, 0);
    b.softmax(logits);
    b.finish(logits, 3).unwrap()
}

#[test]
fn labels_are_the_largest_logit_and_ties_go_to_the_lowest_class() {
    let (program, tensors) = three_ways();
    let mut executor = executor(&program, &tensors, [4, 4]);
    let mut images = vec![0.75; 16];
    images[5] = 0.25;
    images[6] = 0.5; // all three logits are 1/2
    let mut labels = vec![9; 16];
    executor.segment(&images, 1, &mut labels).unwrap();
    let mut wanted = vec![0; 16];
    wanted[5] = 2;
    assert_eq!(labels, wanted);
}

#[test]
fn a_broken_pixel_does_not_become_background() {
    let (program, tensors) = three_ways();
    let mut executor = executor(&program, &tensors, [4, 4]);
    let mut images = vec![0.75; 16];
    images[15] = f32::NAN;
    let refused = executor.segment(&images, 1, &mut [0; 16]);
    assert_eq!(refused, Err(EngineError::Logits(ArgmaxError::NotANumber)));
}

#[test]
fn sizes_and_lengths_that_do_not_fit_are_refused_before_work_starts() {
    let (program, tensors) = three_ways();
    let odd = Executor::from_program(&program, &tensors, [4, 6], 1.0, &Device::flex());
    let size = EngineError::Size {
        rows: 4,
        cols: 6,
        multiple: 4,
    };
    let unfit = FitError::Size {
        rows: 4,
        cols: 6,
        multiple: 4,
    };
    assert!(matches!(odd, Err(ExecutorError::Fit(e)) if e == unfit));

    let mut executor = executor(&program, &tensors, [4, 4]);
    assert_eq!(executor.logits(&[0.0; 24], 1, 4, 6), Err(size));
    assert!(matches!(
        executor.logits(&[0.0; 15], 1, 4, 4),
        Err(EngineError::Length {
            expected: 16,
            found: 15,
            ..
        })
    ));
    assert!(matches!(
        executor.logits(&[], 0, 4, 4),
        Err(EngineError::Length { .. })
    ));
    assert!(matches!(
        executor.segment(&[0.0; 16], 1, &mut [0; 15]),
        Err(EngineError::Length { .. })
    ));
    assert!(matches!(
        executor.segment(&[], 0, &mut []),
        Err(EngineError::Length { .. })
    ));
    let overflow = executor.logits(&[0.0; 16], usize::MAX / 4, 8, 8);
    assert!(matches!(overflow, Err(EngineError::Length { .. })));
}

#[test]
fn argmax_refuses_lengths_that_do_not_go_together() {
    assert!(matches!(
        argmax(&[0.0; 5], &mut [0; 2]),
        Err(ArgmaxError::Lengths {
            logits: 5,
            pixels: 2
        })
    ));
    assert!(argmax(&[], &mut []).is_err());
    let mut label = [7];
    assert_eq!(argmax(&[-3.0, f32::NEG_INFINITY, -3.0], &mut label), Ok(()));
    assert_eq!(label, [0]);
}
