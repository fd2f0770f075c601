//! How long one forward pass takes and how much memory, for a program the size of a U-Net on a ResNet18.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo run --release -p nephrobox-engine --example forward -- [batch 1] [runs 10] [device cpu]
//! ```
//!
//! Weights are random: neither time nor memory depends on them.

use std::error::Error;
use std::time::Instant;

use nephrobox_engine::burn::Executor;
use nephrobox_engine::device;
use nephrobox_engine::program::{Builder, Program, ProgramError, Tensor, Tensors, ValueId};

const SIDE: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let batch: usize = arguments.next().map_or(Ok(1), |a| a.parse())?;
    let runs: usize = arguments.next().map_or(Ok(10), |a| a.parse())?;
    let device = device::select(arguments.next().as_deref().unwrap_or("cpu"))?;

    let (program, tensors) = unet()?;
    let mut executor = Executor::from_program(&program, &tensors, [SIDE, SIDE], 1.0, &device)?;
    drop(tensors);
    let plan = executor.plan();
    println!(
        "{} operations, {:.1} MiB of weights, {:.1} MiB of values for an image of {SIDE} x {SIDE}",
        program.ops.len(),
        mib(plan.weight_bytes()),
        mib(plan.peak_value_bytes(SIDE, SIDE)),
    );

    let images: Vec<f32> = (0..batch * SIDE * SIDE)
        .map(|i| (i % 251) as f32 / 250.0)
        .collect();
    let mut labels = vec![0; images.len()];
    let mut times = Vec::new();
    for _ in 0..=runs {
        let start = Instant::now();
        executor.labels(&images, batch, SIDE, SIDE, &mut labels)?;
        times.push(start.elapsed().as_secs_f64() * 1e3 / batch as f64);
    }
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    if let (Some(best), Some(median)) = (times.first(), times.get(times.len() / 2)) {
        println!(
            "{} device, batch {batch}: {best:.1} ms a slice at best, median {median:.1} ms of {runs} runs, first {first:.1} ms",
            device::name(&device),
        );
    }
    if let Some(peak) = peak_memory() {
        println!("peak memory of the process: {:.1} MiB", mib(peak));
    }
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The largest resident set so far, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024)
}

/// The layers of the reference network: pre-activation units, a skip before each stride, five decoder blocks.
fn unet() -> Result<(Program, Tensors), ProgramError> {
    let mut net = Net {
        b: Builder::new(3, 32),
        seed: 1,
    };
    let image = net.b.input();
    let x = net.norm(image, 3, false);
    let x = net.conv(x, 3, 64, 7, 2);
    let half = net.norm(x, 64, true);
    let mut x = net.b.max_pool2d(half, 3, 2, 1);
    let mut skips = vec![(half, 64)];
    let mut channels = 64;
    for (stage, filters) in [64, 128, 256, 512].into_iter().enumerate() {
        for unit in 0..2 {
            let stride = if stage > 0 && unit == 0 { 2 } else { 1 };
            let active = net.norm(x, channels, true);
            let shortcut = if unit == 0 {
                if stage > 0 {
                    skips.push((active, channels));
                }
                net.conv(active, channels, filters, 1, stride)
            } else {
                x
            };
            let inner = net.conv(active, channels, filters, 3, stride);
            let inner = net.norm(inner, filters, true);
            let inner = net.conv(inner, filters, filters, 3, 1);
            x = net.b.add(inner, shortcut);
            channels = filters;
        }
    }
    x = net.norm(x, channels, true);
    for filters in [256, 128, 64, 32, 16] {
        x = net.b.upsample2x(x);
        if let Some((skip, more)) = skips.pop() {
            x = net.b.concat(x, skip);
            channels += more;
        }
        for _ in 0..2 {
            x = net.conv(x, channels, filters, 3, 1);
            x = net.norm(x, filters, true);
            channels = filters;
        }
    }
    let logits = net.conv(x, channels, 3, 3, 1);
    net.b.finish(logits, 3)
}

struct Net {
    b: Builder,
    seed: u32,
}

impl Net {
    /// Numbers spread over -limit .. limit.
    fn numbers(&mut self, count: usize, limit: f32) -> Vec<f32> {
        let mut next = || {
            self.seed = self
                .seed
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            ((self.seed >> 8) as f32 / 8_388_608.0 - 1.0) * limit
        };
        (0..count).map(|_| next()).collect()
    }

    fn conv(&mut self, x: ValueId, from: usize, to: usize, kernel: usize, stride: u32) -> ValueId {
        let fan_in = from * kernel * kernel;
        let values = self.numbers(to * fan_in, (6.0 / fan_in as f32).sqrt());
        let weight = Tensor::f32("weight", vec![to, from, kernel, kernel], values);
        let weight = self
            .b
            .tensor(weight.expect("as many numbers as the shape says, all finite"));
        self.b.conv2d(x, weight, None, stride, kernel as u32 / 2)
    }

    fn norm(&mut self, x: ValueId, channels: usize, relu: bool) -> ValueId {
        let [scale, shift] = [("scale", 1.0), ("shift", 0.1)].map(|(name, middle)| {
            let values = self
                .numbers(channels, 0.1)
                .into_iter()
                .map(|v| v + middle)
                .collect();
            let tensor = Tensor::f32(name, vec![channels], values);
            self.b
                .tensor(tensor.expect("as many numbers as channels, all finite"))
        });
        self.b.affine(x, scale, shift, relu)
    }
}
