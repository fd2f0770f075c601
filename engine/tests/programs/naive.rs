//! A program run by plain loops, written from the definitions in the documentation and nothing else.

use nephrobox_engine::program::{Op, Program, TensorId, Tensors};

/// One image's activation, `[channels, rows, cols]`.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) channels: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) data: Vec<f32>,
}

impl Value {
    fn new(
        channels: usize,
        rows: usize,
        cols: usize,
        at: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let mut data = Vec::with_capacity(channels * rows * cols);
        for c in 0..channels {
            for i in 0..rows {
                for j in 0..cols {
                    data.push(at(c, i, j));
                }
            }
        }
        Self {
            channels,
            rows,
            cols,
            data,
        }
    }

    fn at(&self, c: usize, i: usize, j: usize) -> f32 {
        self.data[(c * self.rows + i) * self.cols + j]
    }

    /// The pixel of a padded image, `None` outside.
    fn padded(&self, c: usize, i: usize, j: usize, padding: usize) -> Option<f32> {
        let (i, j) = (i.checked_sub(padding)?, j.checked_sub(padding)?);
        (i < self.rows && j < self.cols).then(|| self.at(c, i, j))
    }

    fn map(&self, f: impl Fn(usize, f32) -> f32) -> Self {
        Self::new(self.channels, self.rows, self.cols, |c, i, j| {
            f(c, self.at(c, i, j))
        })
    }
}

/// Logits of one image.
pub(crate) fn run(program: &Program, tensors: &Tensors, image: Value) -> Value {
    let mut values = values(program, tensors, image);
    values[program.output.index()].take().unwrap()
}

/// All values of one image, by number.
pub(crate) fn values(program: &Program, tensors: &Tensors, image: Value) -> Vec<Option<Value>> {
    let tensor = |id: TensorId| tensors.get(id).unwrap();
    let numbers = |id: TensorId| tensor(id).to_f32();
    let mut values = vec![None; program.ops.len() + 1];
    values[0] = Some(image);
    for op in &program.ops {
        let get = |id: nephrobox_engine::program::ValueId| values[id.index()].as_ref().unwrap();
        let result: Value = match *op {
            Op::Conv2d {
                input,
                weight,
                bias,
                stride,
                padding,
                ..
            } => {
                let x = get(input);
                let (w, shape) = (numbers(weight), tensor(weight).shape().to_vec());
                let (out, kernel) = (shape[0], shape[2]);
                let bias = bias.map_or_else(|| vec![0.0; out], numbers);
                let (stride, padding) = (stride as usize, padding as usize);
                let size = |n: usize| (n + 2 * padding - kernel) / stride + 1;
                Value::new(out, size(x.rows), size(x.cols), |o, i, j| {
                    let mut sum = f64::from(bias[o]);
                    for c in 0..x.channels {
                        for ki in 0..kernel {
                            for kj in 0..kernel {
                                let pixel = x
                                    .padded(c, i * stride + ki, j * stride + kj, padding)
                                    .unwrap_or(0.0);
                                let at = ((o * x.channels + c) * kernel + ki) * kernel + kj;
                                sum += f64::from(w[at]) * f64::from(pixel);
                            }
                        }
                    }
                    sum as f32
                })
            }
            Op::Affine {
                input,
                scale,
                shift,
                relu,
                ..
            } => {
                let (scale, shift) = (numbers(scale), numbers(shift));
                get(input).map(|c, v| {
                    let v = v * scale[c] + shift[c];
                    if relu { v.max(0.0) } else { v }
                })
            }
            Op::Relu { input, .. } => get(input).map(|_, v| v.max(0.0)),
            Op::Add { a, b, .. } => {
                let (a, b) = (get(a), get(b));
                Value::new(a.channels, a.rows, a.cols, |c, i, j| {
                    a.at(c, i, j) + b.at(c, i, j)
                })
            }
            Op::MaxPool2d {
                input,
                kernel,
                stride,
                padding,
                ..
            } => {
                let x = get(input);
                let (kernel, stride, padding) =
                    (kernel as usize, stride as usize, padding as usize);
                let size = |n: usize| (n + 2 * padding - kernel) / stride + 1;
                Value::new(x.channels, size(x.rows), size(x.cols), |c, i, j| {
                    let window = (0..kernel * kernel).filter_map(|k| {
                        x.padded(c, i * stride + k / kernel, j * stride + k % kernel, padding)
                    });
                    window.reduce(f32::max).unwrap()
                })
            }
            Op::Upsample2x { input, .. } => {
                let x = get(input);
                Value::new(x.channels, x.rows * 2, x.cols * 2, |c, i, j| {
                    x.at(c, i / 2, j / 2)
                })
            }
            Op::Concat { a, b, .. } => {
                let (a, b) = (get(a), get(b));
                let data = [a.data.as_slice(), &b.data].concat();
                Value {
                    channels: a.channels + b.channels,
                    rows: a.rows,
                    cols: a.cols,
                    data,
                }
            }
            Op::UpConv2d {
                input,
                weight,
                bias,
                ..
            } => {
                let x = get(input);
                let w = numbers(weight);
                let out = tensor(weight).shape()[0] / 4;
                let bias = bias.map_or_else(|| vec![0.0; out], numbers);
                Value::new(out, x.rows * 2, x.cols * 2, |o, i, j| {
                    let kernel = (2 * (i % 2) + j % 2) * out + o;
                    let mut sum = f64::from(bias[o]);
                    for c in 0..x.channels {
                        for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                            let pixel = x.padded(c, i / 2 + i % 2 + a, j / 2 + j % 2 + b, 1);
                            let at = (kernel * x.channels + c) * 4 + 2 * a + b;
                            sum += f64::from(w[at]) * f64::from(pixel.unwrap_or(0.0));
                        }
                    }
                    sum as f32
                })
            }
            Op::Quantise {
                input,
                scale,
                precision,
                ..
            } => {
                let scale = numbers(scale)[0];
                let [low, high] = precision.range();
                get(input).map(|_, v| (v / scale).round_ties_even().clamp(low, high) * scale)
            }
            Op::Softmax { .. } => break,
        };
        values[op.output().index()] = Some(result);
    }
    values
}
