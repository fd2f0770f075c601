//! A U-Net as the trainer lowers it, small enough for tests: a stem with a norm before it, pre-activation bottlenecks with
//! skips, decoder blocks.

use nephrobox_engine::program::{Builder, Program, Tensor, TensorId, Tensors, ValueId};

use crate::random::noise;

struct Net {
    b: Builder,
    seed: u64,
}

impl Net {
    /// A tensor of numbers around `middle`.
    fn tensor(&mut self, shape: &[usize], middle: f32, limit: f32) -> TensorId {
        self.seed += 1;
        let values = noise(self.seed, shape.iter().product());
        let values = values.into_iter().map(|x| middle + limit * x).collect();
        let tensor = Tensor::f32(format!("t{}", self.seed), shape.to_vec(), values);
        self.b.tensor(tensor.unwrap())
    }

    /// Weights that keep the spread of numbers as large as it is.
    fn conv(&mut self, x: ValueId, [from, to]: [usize; 2], kernel: usize, stride: u32) -> ValueId {
        let limit = (6.0 / (from * kernel * kernel) as f32).sqrt();
        let weight = self.tensor(&[to, from, kernel, kernel], 0.0, limit);
        self.b.conv2d(x, weight, None, stride, kernel as u32 / 2)
    }

    fn norm(&mut self, x: ValueId, channels: usize, relu: bool) -> ValueId {
        let scale = self.tensor(&[channels], 1.0, 0.3);
        let shift = self.tensor(&[channels], 0.1, 0.3);
        self.b.affine(x, scale, shift, relu)
    }

    /// A bottleneck without its addition, and what is added.
    fn unit(&mut self, x: ValueId, [from, width]: [usize; 2], stride: u32, first: bool) -> ValueId {
        let active = self.norm(x, from, true);
        let shortcut = if first {
            self.conv(active, [from, 4 * width], 1, stride)
        } else {
            x
        };
        let inner = self.conv(active, [from, width], 1, 1);
        let inner = self.norm(inner, width, true);
        let inner = self.conv(inner, [width, width], 3, stride);
        let inner = self.norm(inner, width, true);
        let inner = self.conv(inner, [width, 4 * width], 1, 1);
        self.b.add(inner, shortcut)
    }
}

/// Three classes, three input channels, sizes in multiples of 8 pixels.
pub(crate) fn bottlenecks() -> (Program, Tensors) {
    let mut net = Net {
        b: Builder::new(3, 8),
        seed: 0,
    };
    let image = net.b.input();
    let x = net.norm(image, 3, false);
    let x = net.conv(x, [3, 16], 7, 2);
    let half = net.norm(x, 16, true);
    let x = net.b.max_pool2d(half, 3, 2, 1);
    let x = net.unit(x, [16, 8], 1, true);
    let quarter = net.unit(x, [32, 8], 1, false);
    let x = net.unit(quarter, [32, 20], 2, true);
    let x = net.unit(x, [80, 20], 1, false);
    let x = net.norm(x, 80, true);
    let mut x = net.b.upsample2x(x);
    let skip = net.norm(quarter, 32, true);
    x = net.b.concat(x, skip);
    for [from, to] in [[112, 24], [24, 24]] {
        x = net.conv(x, [from, to], 3, 1);
        x = net.norm(x, to, true);
    }
    x = net.b.upsample2x(x);
    x = net.b.concat(x, half);
    x = net.conv(x, [40, 16], 3, 1);
    x = net.norm(x, 16, true);
    x = net.b.upsample2x(x);
    x = net.conv(x, [16, 16], 3, 1);
    x = net.norm(x, 16, true);
    let logits = net.conv(x, [16, 3], 3, 1);
    net.b.softmax(logits);
    net.b.finish(logits, 3).unwrap()
}
