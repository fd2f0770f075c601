//! The CPU executors against the naive interpreter, on networks of every shape that segmentation networks have.

use nephrobox_engine::cpu::KernelSet;
use nephrobox_engine::cpu::f32;
use nephrobox_engine::cpu::int8::{KERNELS, Network, NetworkError, Options};
use nephrobox_engine::model::LogitsModel as _;
use nephrobox_engine::program::{
    Builder, Op, Precision, Program, Rewrites, Tensor, TensorId, Tensors, ValueId, quantised,
    rewrite, sites,
};
use proptest::prelude::*;

use crate::naive::{self, Value};
use crate::random::noise;

/// Channels, kernels and depths of a small U-Net.
#[derive(Clone, Debug)]
struct Shape {
    channels: [usize; 4],
    kernel: usize,
    units: usize,
    norm_first: bool,
    seed: u64,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let channels = prop::array::uniform4(prop::sample::select(vec![1, 3, 7, 16, 20, 33, 64, 80]));
    (
        channels,
        prop::sample::select(vec![1, 3, 5, 7]),
        1_usize..3,
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(channels, kernel, units, norm_first, seed)| Shape {
            channels,
            kernel,
            units,
            norm_first,
            seed,
        })
}

struct Net {
    b: Builder,
    seed: u64,
}

impl Net {
    fn tensor(&mut self, shape: &[usize]) -> TensorId {
        self.seed = self.seed.wrapping_add(1);
        let fan_in: usize = shape[1..].iter().product();
        let values = noise(self.seed, shape.iter().product())
            .into_iter()
            .map(|x| x * 2.0 / (fan_in as f32).sqrt());
        let tensor = Tensor::f32(format!("t{}", self.seed), shape.to_vec(), values.collect());
        self.b.tensor(tensor.unwrap())
    }

    fn conv(&mut self, x: ValueId, [out, from, kernel]: [usize; 3], stride: u32) -> ValueId {
        let weight = self.tensor(&[out, from, kernel, kernel]);
        self.b.conv2d(x, weight, None, stride, kernel as u32 / 2)
    }

    fn norm(&mut self, x: ValueId, channels: usize, relu: bool) -> ValueId {
        let (scale, shift) = (self.tensor(&[channels]), self.tensor(&[channels]));
        self.b.affine(x, scale, shift, relu)
    }
}

/// Stem, pooling, pre-activation units with and without a shortcut, and a decoder with and without a skip.
fn unet(shape: &Shape) -> (Program, Tensors) {
    let [stem, middle, wide, last] = shape.channels;
    let mut net = Net {
        b: Builder::new(3, 8),
        seed: shape.seed,
    };
    let mut x = net.b.input();
    if shape.norm_first {
        x = net.norm(x, 3, false);
    }
    let skip = net.conv(x, [stem, 3, 7], 2);
    let skip = net.norm(skip, stem, true);
    x = net.b.max_pool2d(skip, 3, 2, 1);
    let mut from = stem;
    for unit in 0..=shape.units {
        let active = net.norm(x, from, true);
        let inner = net.conv(active, [middle, from, 1], 1);
        let inner = net.norm(inner, middle, true);
        let inner = net.conv(
            inner,
            [middle, middle, shape.kernel],
            if unit == 0 { 2 } else { 1 },
        );
        let inner = net.norm(inner, middle, true);
        let inner = net.conv(inner, [wide, middle, 1], 1);
        x = if unit == 0 {
            let shortcut = net.conv(active, [wide, from, 1], 2);
            net.b.add(inner, shortcut)
        } else {
            net.b.add(inner, x)
        };
        from = wide;
    }
    x = net.norm(x, from, true);
    x = net.b.upsample2x(x);
    x = net.conv(x, [middle, from, 3], 1);
    x = net.norm(x, middle, true);
    x = net.b.upsample2x(x);
    x = net.b.concat(x, skip);
    x = net.conv(x, [last, middle + stem, 3], 1);
    x = net.norm(x, last, true);
    x = net.b.upsample2x(x);
    x = net.conv(x, [last, last, 3], 1);
    x = net.norm(x, last, true);
    let logits = net.conv(x, [3, last, 3], 1);
    net.b.softmax(logits);
    net.b.finish(logits, 3).unwrap()
}

/// The same with one doubling before the joint, which becomes a sum of a doubled and a plain convolution.
fn joined(shape: &Shape) -> (Program, Tensors) {
    let [stem, middle, _, last] = shape.channels;
    let mut net = Net {
        b: Builder::new(1, 4),
        seed: shape.seed,
    };
    let image = net.b.input();
    let skip = net.conv(image, [stem, 1, shape.kernel], 1);
    let skip = net.norm(skip, stem, true);
    let low = net.conv(skip, [middle, stem, 3], 2);
    let low = net.norm(low, middle, true);
    let x = net.b.upsample2x(low);
    let x = net.b.concat(x, skip);
    let x = net.conv(x, [last, middle + stem, 3], 1);
    let x = net.norm(x, last, true);
    let logits = net.conv(x, [3, last, 1], 1);
    net.b.finish(logits, 3).unwrap()
}

/// Writes rounding into a program, with grids that fit what an image gives.
fn integers(
    program: &Program,
    tensors: &Tensors,
    slice: &[f32],
    [rows, cols]: [usize; 2],
) -> (Program, Tensors) {
    let (program, tensors) = rewrite(
        program,
        tensors.clone(),
        Rewrites {
            phases: true,
            repeated: true,
        },
    )
    .unwrap();
    let image = repeated(&program, slice, [rows, cols]);
    let values = naive::values(&program, &tensors, image);
    let grids: Vec<_> = sites(&program)
        .into_iter()
        .map(|site| {
            let value = values[site.value.index()].as_ref().unwrap();
            let largest = value.data.iter().fold(1e-3_f32, |m, x| m.max(x.abs()));
            let steps = if site.precision == Precision::U8 {
                255.0
            } else {
                16_000.0
            };
            (site, largest / steps)
        })
        .collect();
    // Weights of 16 bits for the first convolution, as the quantiser gives it.
    let first = program
        .ops
        .iter()
        .find(|op| matches!(op, Op::Conv2d { .. }));
    let wide: Vec<ValueId> = first.map(Op::output).into_iter().collect();
    quantised(&program, &tensors, &grids, &wide).unwrap()
}

fn repeated(program: &Program, slice: &[f32], [rows, cols]: [usize; 2]) -> Value {
    let channels = program.input_channels as usize;
    Value {
        channels,
        rows,
        cols,
        data: slice.repeat(channels),
    }
}

fn network(
    program: &Program,
    tensors: &Tensors,
    size: [usize; 2],
    kernels: KernelSet,
    threads: usize,
) -> Result<Network, NetworkError> {
    let options = Options {
        size,
        input_scale: 1.0,
        threads,
        kernels,
    };
    Network::new(program, tensors.clone(), options)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The float executor on the same networks, rewritten and fused.
    #[test]
    fn floats_compute_what_the_program_says(shape in shapes(), tiles in (1_usize..6, 1_usize..6), without_doubling: bool) {
        let size = [8 * tiles.0, 8 * tiles.1];
        let slice = noise(shape.seed, size[0] * size[1]);
        let (program, tensors) = if without_doubling { joined(&shape) } else { unet(&shape) };
        let mut network = f32::Network::new(&program, tensors.clone(), size, f32::Settings::default()).unwrap();
        let found = network.logits(&slice, 1).unwrap();
        let said = naive::run(&program, &tensors, repeated(&program, &slice, size)).data;
        let largest = said.iter().fold(0.1_f32, |m, x| m.max(x.abs()));
        for (found, said) in found.iter().zip(&said) {
            prop_assert!((found - said).abs() < 1e-4 * largest, "{found} where {said} belongs");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// All kernel sets give the same bytes, on one thread and on three, and what they give is what the program says.
    #[test]
    fn all_kernels_compute_what_the_program_says(
        shape in shapes(), tiles in (1_usize..6, 1_usize..6), without_doubling: bool,
    ) {
        let size = [8 * tiles.0, 8 * tiles.1];
        let slice: Vec<f32> = noise(shape.seed, size[0] * size[1]).iter().map(|x| x.abs()).collect();
        let (program, tensors) = if without_doubling { joined(&shape) } else { unet(&shape) };
        let (program, tensors) = integers(&program, &tensors, &slice, size);
        let portable = network(&program, &tensors, size, KernelSet::Portable, 1);
        let mut portable = portable.unwrap();
        let wanted = portable.logits(&slice, 1).unwrap();
        for set in KERNELS.available() {
            for threads in [1, 3] {
                let mut network = network(&program, &tensors, size, set, threads).unwrap();
                // Twice, because the second slice finds the memory as the first left it.
                for _ in 0..2 {
                    let found = network.logits(&slice, 1).unwrap();
                    prop_assert!(found == wanted, "{set} on {threads} threads is not what portable gives");
                }
            }
        }
        let said = naive::run(&program, &tensors, repeated(&program, &slice, size)).data;
        let largest = said.iter().fold(0.1_f32, |m, x| m.max(x.abs()));
        let off = said.iter().zip(&wanted).map(|(a, b)| f64::from((a - b) / largest).powi(2)).sum::<f64>();
        let off = (off / said.len() as f64).sqrt();
        // Sums in the middle of two steps fall on either side, which later layers pass on.
        prop_assert!(off < 0.02, "{off} of the largest logit, root mean square");
    }
}

/// A channel whose weights in the second convolution of a sum are all but 0: their steps are so fine that the first convolution's sum would
/// not fit into 32 bits of them.
#[test]
fn a_nearly_dead_channel_does_not_overflow_a_sum() {
    let mut b = Builder::new(1, 4);
    let tensor = |b: &mut Builder, shape: &[usize], values: Vec<f32>| {
        b.tensor(Tensor::f32("t", shape.to_vec(), values).unwrap())
    };
    let (up, plain) = (noise(1, 4 * 3 * 16 * 4), noise(2, 3 * 16));
    let mut plain = plain;
    plain[..16].iter_mut().for_each(|w| *w *= 1e-9);
    let first = tensor(&mut b, &[16, 1, 3, 3], noise(3, 16 * 9));
    let skip = b.conv2d(b.input(), first, None, 1, 1);
    let skip = b.relu(skip);
    let low = b.max_pool2d(skip, 2, 2, 0);
    let (up, plain) = (
        tensor(&mut b, &[12, 16, 2, 2], up),
        tensor(&mut b, &[3, 16, 1, 1], plain),
    );
    let large = b.up_conv2d(low, up, None);
    let small = b.conv2d(skip, plain, None, 1, 0);
    let logits = b.add(large, small);
    let (program, tensors) = b.finish(logits, 3).unwrap();
    let slice: Vec<f32> = noise(4, 64).iter().map(|x| x.abs()).collect();
    let (program, tensors) = integers(&program, &tensors, &slice, [8, 8]);
    let said = naive::run(&program, &tensors, repeated(&program, &slice, [8, 8])).data;
    for set in KERNELS.available() {
        let mut network = network(&program, &tensors, [8, 8], set, 1).unwrap();
        for (found, said) in network.logits(&slice, 1).unwrap().iter().zip(&said) {
            assert!((found - said).abs() < 1e-3, "{found} where {said} belongs");
        }
    }
}

/// FNV-1a of the bits of some numbers.
fn fingerprint(numbers: &[f32]) -> u64 {
    numbers
        .iter()
        .flat_map(|x| x.to_bits().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// The numbers are those of the portable kernels on x86-64. Every other processor must reproduce them with every set it has, among them the
/// one that the environment asks for.
/// Shows RQ-39.
#[test]
fn all_processors_give_the_same_bytes() {
    let shape = |channels, kernel| Shape {
        channels,
        kernel,
        units: 2,
        norm_first: true,
        seed: 2024,
    };
    let nets = [
        (unet(&shape([33, 20, 80, 16], 3)), GOLDEN[0]),
        (unet(&shape([16, 64, 7, 20], 5)), GOLDEN[1]),
        (joined(&shape([20, 33, 1, 64], 7)), GOLDEN[2]),
    ];
    let size = [24, 40];
    let chosen = KERNELS.choose().unwrap();
    for ((program, tensors), wanted) in nets {
        let slice: Vec<f32> = noise(7, size[0] * size[1])
            .iter()
            .map(|x| x.abs())
            .collect();
        let (program, tensors) = integers(&program, &tensors, &slice, size);
        for set in KERNELS.available().chain([chosen]) {
            let mut network = network(&program, &tensors, size, set, 2).unwrap();
            let found = fingerprint(&network.logits(&slice, 1).unwrap());
            assert_eq!(found, wanted, "{set}: {found:#018x}");
        }
    }
}

/// Logits of [`all_processors_give_the_same_bytes`].
const GOLDEN: [u64; 3] = [
    0x6ffd_5273_0ed4_609f,
    0x15a4_0908_9c25_e8c6,
    0x6733_6b67_fd8f_54a2,
];
