//! Faster training passes on the CPU backend.
//!
//! Burn expresses a convolution's weight gradient as a convolution whose kernel is the whole output
//! map, and a batch norm as a dozen element-wise passes; on Flex both dominate a step. Here they are
//! custom autodiff operations: the weight gradient is a matrix product over tiles of unfolded input,
//! the gradient of a stride-1 convolution's input is a convolution with the turned kernel, and a
//! batch norm with its rectifier is two passes forward and two backward.
//!
//! Sums are taken in an order that depends on shapes alone, so results do not depend on the number
//! of threads.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{Flex, FlexTensor};
use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, Tensor, TensorData};
use rayon::prelude::*;

use super::BatchNormed;

type Tracked = FloatTensor<Autodiff<Flex>>;

/// The tensor as a tracked Flex tensor, or `None` where it lives elsewhere.
fn tracked<const D: usize>(t: &Tensor<D>) -> Option<Tracked> {
    t.clone().try_into_primitive::<Autodiff<Flex>>().ok()
}

fn untracked<const D: usize>(t: Tracked) -> Tensor<D> {
    Tensor::from_primitive::<Autodiff<Flex>>(t)
}

fn from_vec(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, Shape::from(shape.to_vec())))
}

/// Host values of a tensor, contiguous.
fn contiguous(t: &FlexTensor) -> FlexTensor {
    t.to_contiguous()
}

fn values(t: &FlexTensor) -> &[f32] {
    let start = t.layout().start_offset();
    &t.storage::<f32>()[start..start + t.layout().num_elements()]
}

fn dims4(t: &FlexTensor) -> [usize; 4] {
    let s = t.layout().shape();
    [s[0], s[1], s[2], s[3]]
}

// --- convolution -------------------------------------------------------------------------------

/// Geometry of one convolution.
#[derive(Clone, Copy, Debug)]
struct Window {
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Window {
    fn options(self) -> ConvOptions<2> {
        ConvOptions::new([self.stride; 2], [self.padding; 2], [1; 2], 1)
    }
}

#[derive(Debug)]
struct ConvBackward;

impl Backward<Flex, 2> for ConvBackward {
    type State = (FlexTensor, FlexTensor, Window);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, w_node] = ops.parents;
        let grad = contiguous(&grads.consume::<Flex>(&ops.node));
        let (x, weight, window) = ops.state;
        if let Some(node) = w_node {
            let g = weight_gradient(&contiguous(&x), &grad, &weight, window);
            grads.register::<Flex>(node.id, g);
        }
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, input_gradient(x, weight, grad, window));
        }
    }
}

/// Convolution without bias, or `None` where the tensors are not on the tracked CPU backend.
pub(super) fn conv2d(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    stride: usize,
    padding: usize,
) -> Option<Tensor<4>> {
    let (x, w) = (tracked(x)?, tracked(weight)?);
    let window = Window {
        kernel: weight.dims()[2],
        stride,
        padding,
    };
    let nodes = [x.node(), w.node()];
    let (x, w) = (x.into_primitive(), w.into_primitive());
    let out = |x, w| Flex::conv2d(x, w, None, window.options());
    let y = match ConvBackward
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((x.clone(), w.clone(), window), out(x, w)),
        OpsKind::UnTracked(prep) => prep.finish(out(x, w)),
    };
    Some(untracked(y))
}

/// Gradient for the input: with stride 1 a convolution of the gradient with the kernel turned by 180
/// degrees and its channel axes swapped; otherwise Flex's own transposed convolution.
fn input_gradient(
    x: FlexTensor,
    weight: FlexTensor,
    grad: FlexTensor,
    window: Window,
) -> FlexTensor {
    let Window {
        kernel,
        stride,
        padding,
    } = window;
    if stride != 1 || padding >= kernel {
        return Flex::conv2d_x_backward(x, weight, grad, window.options());
    }
    let [out, from, ..] = dims4(&weight);
    let weight = contiguous(&weight);
    let w = values(&weight);
    let area = kernel * kernel;
    let mut turned = vec![0.0_f32; w.len()];
    for o in 0..out {
        for i in 0..from {
            let source = &w[(o * from + i) * area..][..area];
            let target = &mut turned[(i * out + o) * area..][..area];
            for (t, s) in target.iter_mut().zip(source.iter().rev()) {
                *t = *s;
            }
        }
    }
    let turned = from_vec(turned, &[from, out, kernel, kernel]);
    let options = ConvOptions::new([1; 2], [kernel - 1 - padding; 2], [1; 2], 1);
    Flex::conv2d(grad, turned, None, options)
}

/// Values of unfolded input held per task: 2 MiB, about what a core's cache holds.
const TILE_VALUES: usize = 1 << 19;

/// Gradient for the kernel: sum over images and tiles of rows of grad x unfolded input^T.
fn weight_gradient(
    x: &FlexTensor,
    grad: &FlexTensor,
    weight: &FlexTensor,
    window: Window,
) -> FlexTensor {
    let [n, from, height, width] = dims4(x);
    let [_, out, rows, columns] = dims4(grad);
    let depth = from * window.kernel * window.kernel;
    let tile = (TILE_VALUES / (depth * columns)).clamp(1, rows);
    let tiles = rows.div_ceil(tile);
    let (xs, gs) = (values(x), values(grad));
    let partial = |task: usize| {
        let (image, first) = (task / tiles, task % tiles * tile);
        let count = tile.min(rows - first);
        let pixels = count * columns;
        let image_x = &xs[image * from * height * width..][..from * height * width];
        let mut unfolded = vec![0.0_f32; depth * pixels];
        unfold(
            image_x,
            [from, height, width],
            window,
            first..first + count,
            columns,
            &mut unfolded,
        );
        let mut g = Vec::with_capacity(out * pixels);
        for o in 0..out {
            g.extend_from_slice(&gs[((image * out + o) * rows + first) * columns..][..pixels]);
        }
        let unfolded = Flex::float_transpose(from_vec(unfolded, &[depth, pixels]));
        Flex::float_matmul(from_vec(g, &[out, pixels]), unfolded)
    };
    // Groups bound the memory of partial results; inside a group they are added in task order.
    let tasks = n * tiles;
    let mut sum: Vec<f32> = vec![0.0; out * depth];
    for group in (0..tasks).step_by(GROUP) {
        let parts: Vec<FlexTensor> = (group..tasks.min(group + GROUP))
            .into_par_iter()
            .map(partial)
            .collect();
        for part in &parts {
            for (s, p) in sum.iter_mut().zip(values(part)) {
                *s += p;
            }
        }
    }
    let shape = dims4(weight);
    from_vec(sum, &shape)
}

/// Partial weight gradients held at once.
const GROUP: usize = 8;

/// Unfolds output rows `range` of one image: `[from * kernel * kernel, rows * columns]`.
fn unfold(
    image: &[f32],
    [from, height, width]: [usize; 3],
    window: Window,
    range: std::ops::Range<usize>,
    columns: usize,
    unfolded: &mut [f32],
) {
    let Window {
        kernel,
        stride,
        padding,
    } = window;
    let pixels = range.len() * columns;
    for (line, target) in unfolded
        .chunks_exact_mut(pixels)
        .enumerate()
        .take(from * kernel * kernel)
    {
        let (channel, ky, kx) = (
            line / (kernel * kernel),
            line / kernel % kernel,
            line % kernel,
        );
        let plane = &image[channel * height * width..][..height * width];
        for (y, target) in range.clone().zip(target.chunks_exact_mut(columns)) {
            let Some(source_y) = (y * stride + ky)
                .checked_sub(padding)
                .filter(|&v| v < height)
            else {
                continue; // a row of padding: stays zero
            };
            let row = &plane[source_y * width..][..width];
            // Columns whose source lies inside the row: first..last.
            let first = padding.saturating_sub(kx).div_ceil(stride);
            let last = (width + padding)
                .saturating_sub(kx)
                .div_ceil(stride)
                .min(columns);
            if first >= last {
                continue;
            }
            let start = first * stride + kx - padding;
            let target = &mut target[first..last];
            if stride == 1 {
                target.copy_from_slice(&row[start..start + target.len()]);
            } else {
                for (t, s) in target.iter_mut().zip(row[start..].iter().step_by(stride)) {
                    *t = *s;
                }
            }
        }
    }
}

// --- batch norm --------------------------------------------------------------------------------

#[derive(Clone, Debug)]
struct BatchNormState {
    x: FlexTensor,
    mean: Vec<f32>,
    inverse: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    relu: bool,
}

#[derive(Debug)]
struct BatchNormBackward;

impl Backward<Flex, 3> for BatchNormBackward {
    type State = BatchNormState;

    fn backward(self, ops: Ops<BatchNormState, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, gamma_node, beta_node] = ops.parents;
        let grad = contiguous(&grads.consume::<Flex>(&ops.node));
        let s = ops.state;
        let [n, c, h, w] = dims4(&s.x);
        let plane = h * w;
        let (xs, gs) = (values(&s.x), values(&grad));
        // The rectifier's mask is recomputed from x, exactly as the forward pass computed it.
        let passes = |x: f32, channel: &Channel| !s.relu || channel.normalise(x) > 0.0;
        let channels: Vec<Channel> = (0..c).map(|i| s.channel(i)).collect();
        let sums: Vec<(f64, f64)> = (0..c)
            .into_par_iter()
            .map(|i| {
                let channel = &channels[i];
                let image_sums = (0..n).map(|image| {
                    let at = (image * c + i) * plane;
                    sum_pairs(&xs[at..at + plane], &gs[at..at + plane], |x, g| {
                        let g = if passes(x, channel) { g } else { 0.0 };
                        (g, g * (x - channel.mean) * channel.inverse)
                    })
                });
                image_sums.fold((0.0, 0.0), add)
            })
            .collect();
        if let Some(node) = beta_node {
            grads.register::<Flex>(
                node.id,
                from_vec(sums.iter().map(|s| s.0 as f32).collect(), &[c]),
            );
        }
        if let Some(node) = gamma_node {
            grads.register::<Flex>(
                node.id,
                from_vec(sums.iter().map(|s| s.1 as f32).collect(), &[c]),
            );
        }
        if let Some(node) = x_node {
            let count = (n * plane) as f64;
            let mut out = vec![0.0_f32; xs.len()];
            out.par_chunks_mut(plane)
                .enumerate()
                .for_each(|(index, out)| {
                    let channel = &channels[index % c];
                    let (sum, product) = sums[index % c];
                    let (mean_g, mean_gx) = ((sum / count) as f32, (product / count) as f32);
                    let factor = channel.gamma * channel.inverse;
                    let at = index * plane;
                    for ((o, &x), &g) in out
                        .iter_mut()
                        .zip(&xs[at..at + plane])
                        .zip(&gs[at..at + plane])
                    {
                        let g = if passes(x, channel) { g } else { 0.0 };
                        *o = factor * (g - mean_g - (x - channel.mean) * channel.inverse * mean_gx);
                    }
                });
            grads.register::<Flex>(node.id, from_vec(out, &[n, c, h, w]));
        }
    }
}

/// One channel's constants.
struct Channel {
    mean: f32,
    inverse: f32,
    gamma: f32,
    beta: f32,
}

impl Channel {
    fn normalise(&self, x: f32) -> f32 {
        (x - self.mean) * self.inverse * self.gamma + self.beta
    }
}

impl BatchNormState {
    fn channel(&self, i: usize) -> Channel {
        Channel {
            mean: self.mean[i],
            inverse: self.inverse[i],
            gamma: self.gamma[i],
            beta: self.beta[i],
        }
    }
}

/// Values summed in f32 before they join an f64 total.
const RUN: usize = 1024;
/// Independent partial sums, so that the compiler can use vector registers.
const LANES: usize = 16;

/// Sums of both results of `f` over paired values: f32 over short runs, f64 across them.
fn sum_pairs(xs: &[f32], gs: &[f32], f: impl Fn(f32, f32) -> (f32, f32)) -> (f64, f64) {
    let mut total = (0.0_f64, 0.0_f64);
    for (xs, gs) in xs.chunks(RUN).zip(gs.chunks(RUN)) {
        let (mut a, mut b) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let (x_lanes, g_lanes) = (xs.chunks_exact(LANES), gs.chunks_exact(LANES));
        for (x, g) in x_lanes.remainder().iter().zip(g_lanes.remainder()) {
            let (p, q) = f(*x, *g);
            a[0] += p;
            b[0] += q;
        }
        for (x, g) in x_lanes.zip(g_lanes) {
            for lane in 0..LANES {
                let (p, q) = f(x[lane], g[lane]);
                a[lane] += p;
                b[lane] += q;
            }
        }
        total.0 += f64::from(a.iter().sum::<f32>());
        total.1 += f64::from(b.iter().sum::<f32>());
    }
    total
}

/// Adds two pairs.
fn add(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 + b.0, a.1 + b.1)
}

/// Batch norm on batch statistics with an optional rectifier, or `None` off the tracked CPU backend.
pub(super) fn batch_norm(
    x: &Tensor<4>,
    gamma: Option<&Tensor<1>>,
    beta: &Tensor<1>,
    epsilon: f64,
    relu: bool,
) -> Option<BatchNormed> {
    let (tx, tbeta) = (tracked(x)?, tracked(beta)?);
    let [n, c, h, w] = x.dims();
    let plane = h * w;
    let tgamma = match gamma {
        Some(gamma) => tracked(gamma)?,
        None => tracked(&Tensor::<1>::ones([c], &beta.device()))?,
    };
    let nodes = [tx.node(), tgamma.node(), tbeta.node()];
    let host = |t: Tracked| values(&contiguous(&t.into_primitive())).to_vec();
    let (gamma, beta) = (host(tgamma), host(tbeta));
    let x = contiguous(&tx.into_primitive());
    let xs = values(&x);
    let count = (n * plane) as f64;
    let moments: Vec<(f64, f64)> = (0..c)
        .into_par_iter()
        .map(|i| {
            let rows = || (0..n).map(|image| &xs[(image * c + i) * plane..][..plane]);
            let mean = rows()
                .map(|row| sum_pairs(row, row, |x, _| (x, 0.0)).0)
                .sum::<f64>()
                / count;
            let centre = mean as f32;
            let deviations =
                |row| sum_pairs(row, row, |x, _| ((x - centre) * (x - centre), x - centre));
            let (squares, rest) = rows().map(deviations).fold((0.0, 0.0), add);
            // `rest` corrects for the mean's rounding to f32.
            (mean, squares / count - (rest / count) * (rest / count))
        })
        .collect();
    let state = BatchNormState {
        mean: moments.iter().map(|m| m.0 as f32).collect(),
        inverse: moments
            .iter()
            .map(|m| (1.0 / (m.1 + epsilon).sqrt()) as f32)
            .collect(),
        gamma,
        beta,
        relu,
        x: x.clone(),
    };
    let mut out = vec![0.0_f32; xs.len()];
    out.par_chunks_mut(plane)
        .enumerate()
        .for_each(|(index, out)| {
            let channel = state.channel(index % c);
            for (o, &x) in out.iter_mut().zip(&xs[index * plane..]) {
                let y = channel.normalise(x);
                *o = if relu && y <= 0.0 { 0.0 } else { y };
            }
        });
    let out = from_vec(out, &[n, c, h, w]);
    let vector = |v: Vec<f32>| Tensor::from_primitive::<Flex>(from_vec(v, &[c]));
    let mean = vector(state.mean.clone());
    let variance = vector(moments.iter().map(|m| m.1 as f32).collect());
    let output = match BatchNormBackward
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish(state, out),
        OpsKind::UnTracked(prep) => prep.finish(out),
    };
    Some(BatchNormed {
        output: untracked(output),
        mean,
        variance,
    })
}
