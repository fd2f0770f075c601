//! A rewritten program computes the same, and the patterns of segmentation networks become what the executors fuse.

use nephrobox_engine::program::{
    Builder, Op, Program, Rewrites, Tensor, TensorId, Tensors, ValueId, rewrite,
};
use proptest::prelude::*;

use crate::naive::{self, Value};
use crate::random::{self, MULTIPLE, noise};

fn run(program: &Program, tensors: &Tensors, slice: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let channels = program.input_channels as usize;
    let data = slice.repeat(channels);
    let image = Value {
        channels,
        rows,
        cols,
        data,
    };
    naive::run(program, tensors, image).data
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_rewritten_program_computes_the_same(
        (program, tensors) in random::programs(), tiles in (1_usize..3, 1_usize..3), phases: bool, repeated: bool, seed: u64,
    ) {
        let (rows, cols) = (tiles.0 * MULTIPLE, tiles.1 * MULTIPLE);
        let (smaller, fewer) = rewrite(&program, tensors.clone(), Rewrites { phases, repeated }).unwrap();
        let slice = noise(seed, rows * cols);
        let wanted = run(&program, &tensors, &slice, rows, cols);
        let found = run(&smaller, &fewer, &slice, rows, cols);
        let largest = wanted.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
        // A sum that lands next to the middle of two steps of a grid may round to the other one.
        let step = if program.ops.iter().any(|op| matches!(op, Op::Quantise { .. })) { 0.3 } else { 2e-5 };
        for (found, wanted) in found.iter().zip(&wanted) {
            prop_assert!((found - wanted).abs() <= step * largest, "{found} where {wanted} belongs");
        }
    }
}

struct Net {
    b: Builder,
    seed: u64,
}

impl Net {
    fn tensor(&mut self, shape: &[usize]) -> TensorId {
        self.seed += 1;
        let values = noise(self.seed, shape.iter().product());
        let tensor = Tensor::f32(format!("t{}", self.seed), shape.to_vec(), values);
        self.b.tensor(tensor.unwrap())
    }

    fn conv(&mut self, x: ValueId, shape: [usize; 4], stride: u32) -> ValueId {
        let weight = self.tensor(&shape);
        self.b.conv2d(x, weight, None, stride, shape[2] as u32 / 2)
    }

    fn norm(&mut self, x: ValueId, channels: usize, relu: bool) -> ValueId {
        let (scale, shift) = (self.tensor(&[channels]), self.tensor(&[channels]));
        self.b.affine(x, scale, shift, relu)
    }
}

/// A stem with a norm before it, one pre-activation unit with a shortcut, and a decoder block with a skip.
fn tiny_unet() -> (Program, Tensors) {
    let mut net = Net {
        b: Builder::new(3, 4),
        seed: 0,
    };
    let image = net.b.input();
    let normed = net.norm(image, 3, false);
    let stem = net.conv(normed, [4, 3, 7, 7], 2);
    let stem = net.norm(stem, 4, true);
    let pooled = net.b.max_pool2d(stem, 3, 2, 1);
    let active = net.norm(pooled, 4, true);
    let shortcut = net.conv(active, [6, 4, 1, 1], 1);
    let inner = net.conv(active, [4, 4, 3, 3], 1);
    let inner = net.norm(inner, 4, true);
    let inner = net.conv(inner, [6, 4, 1, 1], 1);
    let sum = net.b.add(inner, shortcut);
    let bottom = net.norm(sum, 6, true);
    let doubled = net.b.upsample2x(bottom);
    let joined = net.b.concat(doubled, stem);
    let first = net.conv(joined, [5, 10, 3, 3], 1);
    let first = net.norm(first, 5, true);
    let doubled = net.b.upsample2x(first);
    let last = net.conv(doubled, [3, 5, 3, 3], 1);
    net.b.softmax(last);
    net.b.finish(last, 3).unwrap()
}

#[test]
fn a_unet_loses_its_concatenations_doublings_and_most_norms() {
    let (program, tensors) = tiny_unet();
    let all = Rewrites {
        phases: true,
        repeated: true,
    };
    let (small, fewer) = rewrite(&program, tensors.clone(), all).unwrap();
    let names: Vec<&str> = small.ops.iter().map(Op::name).collect();
    let wanted = [
        "affine",
        "conv2d",
        "relu",
        "max_pool2d",
        "affine",
        "conv2d",
        "conv2d",
        "relu",
        "conv2d",
        "add",
        "affine",
        "up_conv2d",
        "conv2d",
        "add",
        "relu",
        "up_conv2d",
        "softmax",
    ];
    assert_eq!(names, wanted);
    assert_eq!(small.input_channels, 2, "the slice, and ones");
    let slice = noise(99, 64);
    let (wanted, found) = (
        run(&program, &tensors, &slice, 8, 8),
        run(&small, &fewer, &slice, 8, 8),
    );
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!(
            (found - wanted).abs() < 1e-5,
            "{found} where {wanted} belongs"
        );
    }
}

#[test]
fn rewriting_a_unet_twice_changes_nothing() {
    let (program, tensors) = tiny_unet();
    let once = |repeated| Rewrites {
        phases: true,
        repeated,
    };
    let (small, fewer) = rewrite(&program, tensors.clone(), once(true)).unwrap();
    // The second time the two channels of the image are its own.
    let again = rewrite(&small, fewer.clone(), once(false)).unwrap();
    assert_eq!(again, (small, fewer));
}
