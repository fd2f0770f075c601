//! A training pass over several devices that equals the pass of one device on the whole batch.
//!
//! The batch is cut into shards, one per device. All devices walk the graph in step: a layer is
//! started on every device before the next one begins, and since a GPU works while the host goes on,
//! the devices work at the same time. Two things cross between devices. Weights are copied out to
//! every device, tracked, so that the tape itself sums their gradients on the first device; and a
//! batch norm that trains takes its mean and variance over the whole batch ("synchronised"), forward
//! and backward. Logits are gathered on the first device, where the loss sees all images at once, so
//! even a Dice over the batch is exact.

use burn::tensor::{Device, Tensor};

use super::forward::{BatchStatistics, Pass, Run, uses};
use super::freeze::Freeze;
use super::graph::{Graph, LayerOp, Role};
use super::ops::Layout;
use super::parameters::Parameters;

/// Burn's own layout, which every backend knows.
const LAYOUT: Layout = Layout::ChannelsFirst;

/// Sizes of `parts` parts of `count` things, as even as can be, none empty; the larger ones first.
///
/// ```
/// use nephrotrain::network::parallel::even;
/// assert_eq!(even(10, 4), [3, 3, 2, 2]);
/// assert_eq!(even(2, 4), [1, 1]);
/// ```
pub fn even(count: usize, parts: usize) -> Vec<usize> {
    let parts = parts.clamp(1, count.max(1));
    (0..parts)
        .map(|part| count / parts + usize::from(part < count % parts))
        .collect()
}

/// Shards of `images` for `devices` (autodiff devices): even in size, in order; fewer than there are
/// devices if the batch has fewer images.
pub fn shards(images: &Tensor<4>, devices: &[Device]) -> Vec<Tensor<4>> {
    let mut start = 0;
    let sizes = even(images.dims()[0], devices.len());
    let cut = sizes.into_iter().zip(devices).map(|(size, device)| {
        start += size;
        images
            .clone()
            .narrow(0, start - size, size)
            .to_device(device)
    });
    cut.collect()
}

/// One forward pass for training over `shards`, which lie on the autodiff devices they are to run
/// on. Result and moving statistics come on the first shard's device, logits in the shards' order.
///
/// # Panics
/// If there is no shard, or `parameters` were not made for `graph`: mistakes of the caller.
pub fn train_pass(
    graph: &Graph,
    parameters: &Parameters,
    freeze: &Freeze,
    shards: &[Tensor<4>],
) -> Pass {
    let nodes = graph.nodes();
    let devices: Vec<Device> = shards.iter().map(Tensor::device).collect();
    let first = &devices[0];
    let leaves = super::forward::leaves(graph, parameters, freeze, first);
    let value = |device: &Device, name: &str| {
        let position = parameters.position(name)?;
        let leaf = leaves[position].clone();
        let constant = || Tensor::from_inner(parameters.entries()[position].value.clone());
        Some(leaf.unwrap_or_else(constant).to_device(device))
    };
    let values: Vec<_> = devices
        .iter()
        .map(|device| move |name: &str| value(device, name))
        .collect();
    let mut runs: Vec<Run<'_>> = values
        .iter()
        .map(|value| Run {
            graph,
            layout: LAYOUT,
            value,
            outputs: vec![None; nodes.len()],
            uses: uses(graph),
        })
        .collect();
    let mut statistics = Vec::new();
    for (id, node) in nodes.iter().enumerate() {
        match node.op {
            LayerOp::BatchNorm { epsilon, .. } if freeze.trains(id) => {
                let inputs = runs.iter_mut().map(|run| run.take(node.inputs[0]));
                let inputs: Vec<Tensor<4>> = inputs.collect();
                let gamma = runs[0].get(id, Role::Gamma);
                let beta = runs[0].need(id, Role::Beta);
                let normed = batch_norm(inputs, gamma, &beta, epsilon);
                for (run, output) in runs.iter_mut().zip(normed.outputs) {
                    run.outputs[id] = Some(output);
                }
                statistics.push(BatchStatistics {
                    layer: id,
                    mean: normed.mean,
                    variance: normed.variance,
                    count: normed.count,
                });
            }
            _ => {
                for (run, images) in runs.iter_mut().zip(shards) {
                    let output = match node.op {
                        LayerOp::Input => images.clone(),
                        LayerOp::BatchNorm { epsilon, .. } => run.stored_batch_norm(id, epsilon),
                        _ => run.plain(id),
                    };
                    run.outputs[id] = Some(output);
                }
            }
        }
    }
    let logits = runs.iter_mut().map(|run| run.take(graph.output()));
    let logits: Vec<Tensor<4>> = logits.map(|logits| logits.to_device(first)).collect();
    drop(runs);
    drop(values);
    Pass {
        logits: Tensor::cat(logits, 0),
        leaves,
        statistics,
    }
}

struct Normed {
    outputs: Vec<Tensor<4>>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    count: usize,
}

/// Batch norm over all images of all shards; `gamma` and `beta` lie on the first shard's device.
fn batch_norm(
    inputs: Vec<Tensor<4>>,
    gamma: Option<Tensor<1>>,
    beta: &Tensor<1>,
    epsilon: f64,
) -> Normed {
    let first = inputs[0].device();
    let counts: Vec<usize> = inputs.iter().map(values_per_channel).collect();
    let count: usize = counts.iter().sum();
    // Mean over everything: the shards' means, each with its share of the values.
    let overall = |shards: Vec<Tensor<1>>| {
        let parts = shards.into_iter().zip(&counts);
        parts
            .map(|(mean, &n)| mean.to_device(&first) * (n as f64 / count as f64))
            .reduce(|sum, part| sum + part)
            .expect("there is a shard")
    };
    let mean = overall(inputs.iter().cloned().map(mean_per_channel).collect());
    let centred: Vec<Tensor<4>> = inputs
        .into_iter()
        .map(|x| {
            let mean = mean.clone().to_device(&x.device());
            x - LAYOUT.per_channel(mean)
        })
        .collect();
    let squares = centred
        .iter()
        .map(|x| mean_per_channel(x.clone() * x.clone()));
    let variance = overall(squares.collect());
    let inverse = (variance.clone() + epsilon).sqrt().recip();
    let scale = match gamma {
        Some(gamma) => gamma * inverse,
        None => inverse,
    };
    let outputs = centred
        .into_iter()
        .map(|x| {
            let device = x.device();
            let at = |v: &Tensor<1>| LAYOUT.per_channel(v.clone().to_device(&device));
            x * at(&scale) + at(beta)
        })
        .collect();
    Normed {
        outputs,
        mean: mean.inner(),
        variance: variance.inner(),
        count,
    }
}

fn values_per_channel(x: &Tensor<4>) -> usize {
    let [n, _, h, w] = x.dims();
    n * h * w
}

fn mean_per_channel(x: Tensor<4>) -> Tensor<1> {
    let count = values_per_channel(&x);
    let [_, c, ..] = x.dims();
    x.swap_dims(0, 1)
        .reshape([c, count])
        .mean_dim(1)
        .reshape([c])
}
