//! What the examples that measure share: the reference networks with random weights, and the process's memory.

use nephrobox_engine::program::{Builder, Program, ProgramError, Tensor, Tensors, ValueId};

/// The U-Net of the reference networks: pre-activation units, a skip before each stride, five decoder blocks.
///
/// `units` are those of the four stages: `[3, 4, 23, 3]` with bottlenecks for ResNet101, `[2, 2, 2, 2]` without for ResNet18. Weights are
/// random and keep numbers about as large as they are; neither time nor memory depends on them.
pub(crate) fn unet(
    units: [usize; 4],
    bottlenecks: bool,
) -> Result<(Program, Tensors), ProgramError> {
    let mut net = Net {
        b: Builder::new(3, 32),
        seed: 1,
    };
    let image = net.b.input();
    let x = net.norm(image, 3, false);
    let x = net.conv(x, [3, 64], 7, 2);
    let half = net.norm(x, 64, true);
    let mut x = net.b.max_pool2d(half, 3, 2, 1);
    let mut skips = vec![(half, 64)];
    let mut channels = 64;
    for (stage, (units, width)) in units.into_iter().zip([64, 128, 256, 512]).enumerate() {
        let out = if bottlenecks { 4 * width } else { width };
        for unit in 0..units {
            let stride = if stage > 0 && unit == 0 { 2 } else { 1 };
            let active = net.norm(x, channels, true);
            let shortcut = if unit == 0 {
                if stage > 0 {
                    skips.push((active, channels));
                }
                net.conv(active, [channels, out], 1, stride)
            } else {
                x
            };
            let inner = if bottlenecks {
                let inner = net.conv(active, [channels, width], 1, 1);
                let inner = net.norm(inner, width, true);
                net.conv(inner, [width, width], 3, stride)
            } else {
                net.conv(active, [channels, width], 3, stride)
            };
            let inner = net.norm(inner, width, true);
            let last = if bottlenecks { 1 } else { 3 };
            let inner = net.conv(inner, [width, out], last, 1);
            x = net.b.add(inner, shortcut);
            channels = out;
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
            x = net.conv(x, [channels, filters], 3, 1);
            x = net.norm(x, filters, true);
            channels = filters;
        }
    }
    let logits = net.conv(x, [channels, 3], 3, 1);
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

    fn conv(&mut self, x: ValueId, [from, to]: [usize; 2], kernel: usize, stride: u32) -> ValueId {
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

/// Bytes in MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A line about the largest resident set so far; empty where the system does not tell.
pub(crate) fn peak_memory() -> String {
    let kib = || -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    kib().map_or_else(String::new, |kib| {
        format!("peak memory of the process: {:.1} MiB", mib(kib * 1024))
    })
}
