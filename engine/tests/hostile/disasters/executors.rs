//! Sound programs that an executor cannot compute, or not in the memory it may take.

use nephrobox_engine::executor::Arithmetic;
use nephrobox_engine::program::{Data, Op, Tensor, ValueId};

use super::Disaster;
use super::raw::{Raw, large};

/// Programs that are sound, and that an executor refuses before it takes memory.
pub(super) fn refused() -> Vec<Disaster> {
    let quantised = |raw: &mut Raw| {
        let image = raw.quantise(ValueId::INPUT, 0.004);
        let weight = raw.tensor(&[3, 1, 1, 1], 0.01);
        raw.conv(image, weight, 0)
    };
    let unrounded = "is not quantised in a way that the integer executor knows; quantise the model, or run it in floating point";
    let overflow = "a convolution has so many or so large weights that its sums might overflow; quantise the model again";
    let far = "the grids or factors around an operation are so far apart that its results might be no numbers; quantise the model again";
    vec![
        Disaster {
            name: "a sum that doubles with each addition",
            package: {
                let mut raw = Raw::new();
                let x = quantised(&mut raw);
                let x = (0..40).fold(x, |x, _| raw.sum(x, x));
                raw.logits(x)
            },
            with: Some(Arithmetic::Int8),
            sentence: unrounded,
        },
        Disaster {
            name: "a sum of eighty frames",
            package: {
                let mut raw = Raw::new();
                let [widen, five] = [[16, 1, 1, 1], [3, 16, 5, 5]].map(|s| raw.tensor(&s, 0.0));
                let wide = raw.conv(ValueId::INPUT, widen, 0);
                let sum = raw.conv(wide, five, 2);
                let sum = (1..80).fold(sum, |sum, _| {
                    let next = raw.conv(wide, five, 2);
                    raw.sum(sum, next)
                });
                large(raw.logits(sum), 1024)
            },
            with: Some(Arithmetic::F32),
            sentence: "bytes of memory; at most 4294967296 are allowed",
        },
        Disaster {
            name: "values of one channel, which integers fill up to sixteen",
            package: {
                let mut raw = Raw::new();
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let [one, three] = [[1, 1, 1, 1], [3, 1, 1, 1]].map(|s| raw.tensor(&s, 0.01));
                let values: Vec<_> = (0..20)
                    .map(|_| {
                        let x = raw.conv(image, one, 0);
                        raw.quantise(x, 0.004)
                    })
                    .collect();
                let sums: Vec<_> = values.iter().map(|&x| raw.conv(x, three, 0)).collect();
                let x = sums[1..].iter().fold(sums[0], |x, &next| raw.sum(x, next));
                large(raw.logits(x), 4096)
            },
            with: Some(Arithmetic::Int8),
            sentence: "bytes of memory; at most 4294967296 are allowed",
        },
        Disaster {
            name: "one convolution that is computed again for each of 2,900 grids",
            package: {
                let mut raw = Raw::new();
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let [widen, all, three] =
                    [[16, 1, 1, 1], [16, 16, 31, 31], [3, 16, 1, 1]].map(|s| raw.tensor(&s, 0.001));
                let x = raw.conv(image, widen, 0);
                let x = raw.quantise(x, 0.004);
                let sum = raw.conv(x, all, 15);
                let x = (1..=2900).fold(sum, |_, n| raw.quantise(sum, 1.0 / n as f32));
                let x = raw.conv(x, three, 0);
                large(raw.logits(x), 1024)
            },
            with: Some(Arithmetic::Int8),
            sentence: "multiplications; at most 1099511627776 are allowed",
        },
        Disaster {
            name: "a factor between grids that is infinite",
            package: {
                let mut raw = Raw::new();
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let three = raw.tensor(&[3, 1, 1, 1], 0.01);
                let x = raw.conv(image, three, 0);
                let x = raw.quantise(x, 1e36);
                let x = raw.quantise(x, 1e-37);
                raw.head(x, 3)
            },
            with: Some(Arithmetic::Int8),
            sentence: far,
        },
        Disaster {
            name: "logits that are infinite",
            package: {
                let mut raw = Raw::new();
                let image = raw.quantise(ValueId::INPUT, 1e36);
                let weight = raw.tensor(&[3, 1, 1, 1], 1e30);
                let x = raw.conv(image, weight, 0);
                raw.logits(x)
            },
            with: Some(Arithmetic::Int8),
            sentence: far,
        },
        Disaster {
            name: "a sum of zeros, infinitely coarser than what is added",
            package: {
                let mut raw = Raw::new();
                let [dead, fine] = [(0, 1e35), (1, 1e-37)]
                    .map(|(value, scale)| raw.bytes(&[3, 1, 1, 1], value, scale));
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let [a, b] = [dead, fine].map(|weight| raw.conv(image, weight, 0));
                let x = raw.sum(a, b);
                raw.logits(x)
            },
            with: Some(Arithmetic::Int8),
            sentence: far,
        },
        // What was added before takes half of the room there is and these weights more than half: they cannot become coarser, as they would
        // in a sum with room, and in one of four phases they need not.
        Disaster {
            name: "weights that have no room to become coarser",
            package: {
                let mut raw = Raw::new();
                raw.program.multiple = 2;
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let [widen, half] = [[2048, 1, 1, 1], [2048, 1, 2, 2]].map(|s| raw.tensor(&s, 1.0));
                let x = raw.conv(image, widen, 0);
                let x = raw.quantise(x, 0.004);
                let low = raw.push(|output| Op::Conv2d {
                    input: image,
                    output,
                    weight: half,
                    bias: None,
                    stride: 2,
                    padding: 0,
                });
                let low = raw.quantise(low, 0.004);
                // Of four phases only the last has weights.
                let mut values = vec![0; 12 * 2048 * 4];
                values[9 * 2048 * 4..].fill(127);
                let up = Data::I8 {
                    values,
                    scales: vec![0.02; 12],
                };
                let up = raw.add(Tensor::new("t", vec![12, 2048, 2, 2], up).unwrap());
                let plain = raw.bytes(&[3, 2048, 3, 3], -127, 0.01);
                let a = raw.push(|output| Op::UpConv2d {
                    input: low,
                    output,
                    weight: up,
                    bias: None,
                });
                let b = raw.conv(x, plain, 1);
                let sum = raw.sum(a, b);
                raw.logits(sum)
            },
            with: Some(Arithmetic::Int8),
            sentence: overflow,
        },
        Disaster {
            name: "a convolution of so many weights that its sums overflow",
            package: {
                let mut raw = Raw::new();
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let [widen, all] = [[4096, 1, 1, 1], [3, 4096, 3, 3]].map(|s| raw.tensor(&s, 1.0));
                let x = raw.conv(image, widen, 0);
                let x = raw.quantise(x, 0.004);
                let x = raw.conv(x, all, 1);
                raw.logits(x)
            },
            with: Some(Arithmetic::Int8),
            sentence: overflow,
        },
    ]
}
