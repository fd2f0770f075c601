//! Times the integer executor on the ResNet101 U-Net with random weights, step by step if asked.
//!
//! ```text
//! cargo run --release -p nephrobox-engine --example int8 -- [threads 1] [runs 20] [side 256]
//! ```

use std::error::Error;
use std::time::Instant;

use nephrobox_engine::cpu::KernelSet;
use nephrobox_engine::cpu::int8::{Network, Options};
use nephrobox_engine::model::SliceModel as _;
use nephrobox_engine::program::{
    Builder, Op, Precision, Program, Rewrites, Tensor, TensorId, Tensors, ValueId, quantised,
    rewrite, sites,
};

struct Net {
    b: Builder,
    seed: u64,
}

impl Net {
    fn noise(&mut self) -> f32 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.seed >> 40) as f32 / 8_388_608.0 - 1.0
    }

    fn tensor(&mut self, shape: Vec<usize>) -> TensorId {
        let fan_in: usize = shape[1..].iter().product();
        let size = (2.0 / fan_in as f32).sqrt();
        let values = (0..shape.iter().product())
            .map(|_| self.noise() * size)
            .collect();
        self.b
            .tensor(Tensor::f32("random", shape, values).expect("noise is finite"))
    }

    fn conv(&mut self, x: ValueId, [from, out, kernel]: [usize; 3], stride: u32) -> ValueId {
        let weight = self.tensor(vec![out, from, kernel, kernel]);
        self.b.conv2d(x, weight, None, stride, kernel as u32 / 2)
    }

    fn norm(&mut self, x: ValueId, channels: usize) -> ValueId {
        let scale = vec![1.0; channels];
        let scale = self
            .b
            .tensor(Tensor::f32("scale", vec![channels], scale).expect("ones"));
        let shift = self.tensor(vec![channels]);
        self.b.affine(x, scale, shift, true)
    }
}

fn resnet101() -> Result<(Program, Tensors), Box<dyn Error>> {
    let mut net = Net {
        b: Builder::new(3, 32),
        seed: 1,
    };
    let image = net.b.input();
    let stem = net.conv(image, [3, 64, 7], 2);
    let stem = net.norm(stem, 64);
    let mut skips = vec![(stem, 64)];
    let mut x = net.b.max_pool2d(stem, 3, 2, 1);
    let mut from = 64;
    for (stage, units) in [3, 4, 23, 3].into_iter().enumerate() {
        let (inner, out) = (64 << stage, 256 << stage);
        for unit in 0..units {
            let stride = if unit == 0 && stage > 0 { 2 } else { 1 };
            let active = net.norm(x, from);
            if unit == 0 && stage > 0 {
                skips.push((active, from));
            }
            let y = net.conv(active, [from, inner, 1], 1);
            let y = net.norm(y, inner);
            let y = net.conv(y, [inner, inner, 3], stride);
            let y = net.norm(y, inner);
            let y = net.conv(y, [inner, out, 1], 1);
            let beside = if unit == 0 {
                net.conv(active, [from, out, 1], stride)
            } else {
                x
            };
            x = net.b.add(y, beside);
            from = out;
        }
    }
    x = net.norm(x, from);
    for out in [256, 128, 64, 32, 16] {
        x = net.b.upsample2x(x);
        if let Some((skip, channels)) = skips.pop() {
            x = net.b.concat(x, skip);
            from += channels;
        }
        for _ in 0..2 {
            x = net.conv(x, [from, out, 3], 1);
            x = net.norm(x, out);
            from = out;
        }
    }
    let logits = net.conv(x, [16, 3, 3], 1);
    let (program, tensors) = net.b.finish(logits, 3)?;
    let wanted = Rewrites {
        phases: true,
        repeated: true,
    };
    let (program, tensors) = rewrite(&program, &tensors, wanted)?;
    let grid = |site: nephrobox_engine::program::Site| {
        (
            site,
            if site.precision == Precision::U8 {
                0.02
            } else {
                0.001
            },
        )
    };
    let grids: Vec<_> = sites(&program).into_iter().map(grid).collect();
    let stem = program
        .ops
        .iter()
        .find(|op| matches!(op, Op::Conv2d { .. }));
    let wide: Vec<ValueId> = stem.map(Op::output).into_iter().collect();
    Ok(quantised(&program, &tensors, &grids, &wide)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let threads = arguments.next().unwrap_or(Ok(1))?;
    let runs = arguments.next().unwrap_or(Ok(20))?;
    let side = arguments.next().unwrap_or(Ok(256))?;
    let (program, tensors) = resnet101()?;
    let start = Instant::now();
    let options = Options {
        size: [side, side],
        input_scale: 1.0,
        threads,
        kernels: KernelSet::choose()?,
    };
    let mut network = Network::new(&program, tensors, options)?;
    let footprint = network.footprint();
    println!(
        "{}: packed in {:.0} ms, {:.1} MB of weights, {:.1} MB of values, {:.2} GMAC",
        network.kernels(),
        start.elapsed().as_secs_f64() * 1e3,
        footprint.weights as f64 / 1e6,
        footprint.values as f64 / 1e6,
        footprint.macs as f64 / 1e9
    );
    let image: Vec<f32> = (0..side * side)
        .map(|i| (i * 7919 % 1000) as f32 / 1000.0)
        .collect();
    let mut labels = vec![0; side * side];
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        network.segment(&image, 1, &mut labels)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let mut counts = [0; 3];
    for &label in &labels {
        counts[usize::from(label)] += 1;
    }
    println!(
        "{threads} threads: least {:.2} ms, median {:.2} ms, {:.0} Gop/s; labels {counts:?}",
        times[0],
        times[runs / 2],
        2.0 * footprint.macs as f64 / times[0] / 1e6
    );
    Ok(())
}
