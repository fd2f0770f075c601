//! Random small programs for property tests: a walk through operations that ends at three logits.

use nephrobox_engine::program::{Builder, Precision, Program, Tensor, TensorId, Tensors, ValueId};
use proptest::prelude::*;

/// Input multiple of every random program.
pub(crate) const MULTIPLE: usize = 8;

/// One decision of the walk: what to do, with which earlier value, with how many channels, and random numbers.
type Step = (u8, u8, u8, u64);

/// Random sound programs with their tensors, up to a dozen operations.
pub(crate) fn programs() -> impl Strategy<Value = (Program, Tensors)> {
    (1_u32..=3, prop::collection::vec(any::<Step>(), 0..10))
        .prop_map(|(channels, steps)| build(channels, &steps))
}

/// Deterministic numbers in -1 .. 1 (`SplitMix64`).
pub(crate) fn noise(mut seed: u64, count: usize) -> Vec<f32> {
    let mut next = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A value and what the generator knows of it: channels and pixels for one tile.
#[derive(Clone, Copy)]
struct Known {
    id: ValueId,
    channels: usize,
    pixels: usize,
}

struct Walk {
    b: Builder,
    known: Vec<Known>,
}

impl Walk {
    fn tensor(&mut self, shape: Vec<usize>, seed: u64) -> TensorId {
        let fan_in: usize = shape[1..].iter().product();
        let count = shape.iter().product();
        let values = noise(seed, count)
            .into_iter()
            .map(|x| x * 1.5 / (fan_in as f32).sqrt())
            .collect();
        self.b
            .tensor(Tensor::f32(format!("random {seed}"), shape, values).unwrap())
    }

    fn conv(
        &mut self,
        x: Known,
        out: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        seed: u64,
    ) -> Known {
        let weight = self.tensor(vec![out, x.channels, kernel, kernel], seed);
        let bias = seed
            .is_multiple_of(2)
            .then(|| self.tensor(vec![out], !seed));
        let id = self
            .b
            .conv2d(x.id, weight, bias, stride as u32, padding as u32);
        Known {
            id,
            channels: out,
            pixels: (x.pixels + 2 * padding - kernel) / stride + 1,
        }
    }
}

fn build(input_channels: u32, steps: &[Step]) -> (Program, Tensors) {
    let b = Builder::new(input_channels, MULTIPLE as u32);
    let mut x = Known {
        id: b.input(),
        channels: input_channels as usize,
        pixels: MULTIPLE,
    };
    let mut walk = Walk { b, known: vec![x] };
    for &(kind, pick, width, seed) in steps {
        let out = usize::from(width % 5) + 1;
        let partner = |fits: &dyn Fn(&Known) -> bool, known: &[Known]| -> Option<Known> {
            let fitting: Vec<_> = known.iter().copied().filter(|k| fits(k)).collect();
            (!fitting.is_empty()).then(|| fitting[usize::from(pick) % fitting.len()])
        };
        let even = x.pixels.is_multiple_of(2);
        x = match kind % 14 {
            0 => walk.conv(x, out, 3, 1, 1, seed),
            1 => walk.conv(x, out, 1, 1, 0, seed),
            2 if even => walk.conv(x, out, 3, 2, 1, seed),
            3 if even => walk.conv(x, out, 7, 2, 3, seed),
            // The 2 x 2 kernels take a pixel and give it back: sizes that are not whole tiles.
            4 if x.pixels > 1 => {
                let larger = walk.conv(x, out, 2, 1, 1, seed);
                walk.known.push(larger);
                walk.conv(larger, out, 2, 1, 0, seed ^ 7)
            }
            5 => {
                let (scale, shift) = (
                    walk.tensor(vec![x.channels], seed),
                    walk.tensor(vec![x.channels], seed ^ 1),
                );
                Known {
                    id: walk.b.affine(x.id, scale, shift, width.is_multiple_of(2)),
                    ..x
                }
            }
            6 => Known {
                id: walk.b.relu(x.id),
                ..x
            },
            7 if even => Known {
                id: walk.b.max_pool2d(x.id, 3, 2, 1),
                pixels: x.pixels / 2,
                ..x
            },
            8 if even => Known {
                id: walk.b.max_pool2d(x.id, 2, 2, 0),
                pixels: x.pixels / 2,
                ..x
            },
            9 if x.pixels <= MULTIPLE => Known {
                id: walk.b.upsample2x(x.id),
                pixels: x.pixels * 2,
                ..x
            },
            10 => match partner(
                &|k| k.pixels == x.pixels && k.channels == x.channels,
                &walk.known,
            ) {
                Some(k) => Known {
                    id: walk.b.add(x.id, k.id),
                    ..x
                },
                None => x,
            },
            11 => match partner(
                &|k| k.pixels == x.pixels && k.channels + x.channels < 12,
                &walk.known,
            ) {
                Some(k) => Known {
                    id: walk.b.concat(x.id, k.id),
                    channels: x.channels + k.channels,
                    ..x
                },
                None => x,
            },
            12 if x.pixels <= MULTIPLE => {
                let weight = walk.tensor(vec![4 * out, x.channels, 2, 2], seed);
                let bias = seed
                    .is_multiple_of(2)
                    .then(|| walk.tensor(vec![out], !seed));
                Known {
                    id: walk.b.up_conv2d(x.id, weight, bias),
                    channels: out,
                    pixels: x.pixels * 2,
                }
            }
            // Coarse enough to matter, and off the numbers that sums of the other steps fall on.
            13 => {
                let scale = walk
                    .b
                    .tensor(Tensor::f32("grid", vec![1], vec![0.013]).unwrap());
                let precision = if width.is_multiple_of(2) {
                    Precision::U8
                } else {
                    Precision::I16
                };
                Known {
                    id: walk.b.quantise(x.id, scale, precision),
                    ..x
                }
            }
            _ => x,
        };
        walk.known.push(x);
    }
    while x.pixels < MULTIPLE {
        x = Known {
            id: walk.b.upsample2x(x.id),
            pixels: x.pixels * 2,
            ..x
        };
    }
    while x.pixels > MULTIPLE {
        x = Known {
            id: walk.b.max_pool2d(x.id, 2, 2, 0),
            pixels: x.pixels / 2,
            ..x
        };
    }
    let logits = walk.conv(x, 3, 3, 1, 1, steps.len() as u64);
    if steps.len().is_multiple_of(2) {
        walk.b.softmax(logits.id);
    }
    walk.b
        .finish(logits.id, 3)
        .expect("the walk only makes sound programs")
}
