//! Running a graph on Burn tensors.
//!
//! Inference uses stored statistics throughout. A training pass normalises with batch statistics
//! wherever the layer trains and returns them, so that the caller can move the stored ones as Keras
//! does; frozen layers use and keep the stored ones.

use burn::tensor::{Device, Tensor};

use super::freeze::Freeze;
use super::graph::{Graph, LayerOp, NodeId, Role};
use super::ops::Layout;
use super::parameters::Parameters;

/// Mean and variance of one batch norm's input in one training pass.
#[derive(Debug)]
pub struct BatchStatistics {
    /// The batch-norm layer.
    pub layer: NodeId,
    /// Mean per channel.
    pub mean: Tensor<1>,
    /// Biased variance per channel.
    pub variance: Tensor<1>,
    /// Values per channel in the batch: batch x height x width.
    pub count: usize,
}

impl BatchStatistics {
    /// Statistics of the values of both, exact in exact arithmetic (Chan, Golub and `LeVeque` 1979).
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let count = self.count + other.count;
        let share = other.count as f64 / count as f64;
        let delta = other.mean - self.mean.clone();
        let spread = delta.clone() * delta.clone() * (share * (1.0 - share));
        Self {
            layer: self.layer,
            mean: self.mean + delta * share,
            variance: self.variance * (1.0 - share) + other.variance * share + spread,
            count,
        }
    }
}

/// Result of a training pass.
#[derive(Debug)]
pub struct Pass {
    /// Logits, `[batch, classes, height, width]`, tracked.
    pub logits: Tensor<4>,
    /// Tracked leaves: entry `i` is the trainable variable at position `i` of the parameters.
    pub leaves: Vec<Option<Tensor<1>>>,
    /// Batch statistics of every batch norm that trains.
    pub statistics: Vec<BatchStatistics>,
}

/// Logits of `images`, `[batch, channels, height, width]`, with stored statistics.
///
/// `watch` sees every layer's output by name, which is how intermediate activations are compared.
pub fn infer(
    graph: &Graph,
    parameters: &Parameters,
    images: &Tensor<4>,
    mut watch: impl FnMut(&str, &Tensor<4>),
) -> Tensor<4> {
    let value = |name: &str| parameters.get(name).cloned();
    let mut run = Run {
        graph,
        layout: Layout::ChannelsFirst,
        value: &value,
        outputs: vec![None; graph.nodes().len()],
        uses: uses(graph),
    };
    for id in 0..graph.nodes().len() {
        let out = match graph.nodes()[id].op {
            LayerOp::Input => images.clone(),
            LayerOp::BatchNorm { epsilon, .. } => run.stored_batch_norm(id, epsilon),
            _ => run.plain(id),
        };
        watch(&graph.nodes()[id].name, &out);
        run.outputs[id] = Some(out);
    }
    run.take(graph.output())
}

/// One forward pass of `images` for training on `device`, which must be an autodiff device.
///
/// # Panics
/// If `parameters` were not made for `graph`: a mistake of the caller, not of any input.
pub fn train_pass(
    graph: &Graph,
    parameters: &Parameters,
    freeze: &Freeze,
    images: &Tensor<4>,
    device: &Device,
) -> Pass {
    let nodes = graph.nodes();
    let leaves = leaves(graph, parameters, freeze, device);
    let value = |name: &str| {
        let position = parameters.position(name)?;
        leaves[position].clone().or_else(|| {
            Some(Tensor::from_inner(
                parameters.entries()[position].value.clone(),
            ))
        })
    };
    let layout = Layout::for_training(images);
    let mut run = Run {
        graph,
        layout,
        value: &value,
        outputs: vec![None; nodes.len()],
        uses: uses(graph),
    };
    let mut statistics = Vec::new();
    let mut fused_relu = None;
    for (id, node) in nodes.iter().enumerate() {
        let out = match node.op {
            LayerOp::Input => layout.enter(images.clone()),
            LayerOp::BatchNorm { epsilon, .. } if freeze.trains(id) => {
                let x = run.take(node.inputs[0]);
                let count = layout.pixels(&x);
                // A batch norm's only reader is the rectifier behind it (but for `bn_data`): one pass does both.
                let relu = nodes
                    .get(id + 1)
                    .is_some_and(|next| next.op == LayerOp::Relu && next.inputs == [id]);
                let bn = layout.batch_norm(
                    x,
                    run.get(id, Role::Gamma),
                    run.need(id, Role::Beta),
                    epsilon,
                    relu,
                );
                statistics.push(BatchStatistics {
                    layer: id,
                    mean: bn.mean,
                    variance: bn.variance,
                    count,
                });
                fused_relu = relu.then_some(id + 1);
                bn.output
            }
            LayerOp::BatchNorm { epsilon, .. } => run.stored_batch_norm(id, epsilon),
            LayerOp::Relu if fused_relu == Some(id) => run.take(node.inputs[0]),
            _ => run.plain(id),
        };
        run.outputs[id] = Some(out);
    }
    let logits = layout.leave(run.take(graph.output()));
    Pass {
        logits,
        leaves,
        statistics,
    }
}

/// Tracked copies on `device` of the variables that train, by their position.
pub(super) fn leaves(
    graph: &Graph,
    parameters: &Parameters,
    freeze: &Freeze,
    device: &Device,
) -> Vec<Option<Tensor<1>>> {
    let mut leaves: Vec<Option<Tensor<1>>> = vec![None; parameters.entries().len()];
    for id in 0..graph.nodes().len() {
        for variable in graph.variables_of(id) {
            let position = parameters
                .position(&variable.name())
                .expect("parameters belong to this graph");
            if freeze.trains(id) && variable.role.is_trainable() {
                let value = parameters.entries()[position].value.clone();
                leaves[position] = Some(Tensor::from_inner(value).to_device(device).require_grad());
            }
        }
    }
    leaves
}

/// How often each node's output is read; the graph's output counts once more.
pub(super) fn uses(graph: &Graph) -> Vec<usize> {
    let mut uses = vec![0; graph.nodes().len()];
    for node in graph.nodes() {
        for &input in &node.inputs {
            uses[input] += 1;
        }
    }
    uses[graph.output()] += 1;
    uses
}

/// A walk through the graph on one device.
pub(super) struct Run<'a> {
    pub(super) graph: &'a Graph,
    pub(super) layout: Layout,
    pub(super) value: &'a dyn Fn(&str) -> Option<Tensor<1>>,
    pub(super) outputs: Vec<Option<Tensor<4>>>,
    pub(super) uses: Vec<usize>,
}

impl Run<'_> {
    /// The output of `id`; its last reader takes it, so that memory is freed and reused in place.
    pub(super) fn take(&mut self, id: NodeId) -> Tensor<4> {
        self.uses[id] -= 1;
        let slot = &mut self.outputs[id];
        let out = if self.uses[id] == 0 {
            slot.take()
        } else {
            slot.clone()
        };
        out.expect("graphs are in topological order")
    }

    pub(super) fn get(&self, id: NodeId, role: Role) -> Option<Tensor<1>> {
        (self.value)(&format!("{}/{}", self.graph.nodes()[id].name, role.name()))
    }

    pub(super) fn need(&self, id: NodeId, role: Role) -> Tensor<1> {
        self.get(id, role).expect("parameters belong to this graph")
    }

    pub(super) fn stored_batch_norm(&mut self, id: NodeId, epsilon: f64) -> Tensor<4> {
        let x = self.take(self.graph.nodes()[id].inputs[0]);
        let deviation = (self.need(id, Role::MovingVariance) + epsilon).sqrt();
        let scale = match self.get(id, Role::Gamma) {
            Some(gamma) => gamma / deviation,
            None => deviation.recip(),
        };
        let shift = self.need(id, Role::Beta) - self.need(id, Role::MovingMean) * scale.clone();
        x * self.layout.per_channel(scale) + self.layout.per_channel(shift)
    }

    pub(super) fn plain(&mut self, id: NodeId) -> Tensor<4> {
        let graph = self.graph;
        let node = &graph.nodes()[id];
        let x = self.take(node.inputs[0]);
        match node.op {
            LayerOp::Conv {
                kernel,
                stride,
                padding,
                bias,
            } => {
                let shape = [
                    node.channels,
                    graph.nodes()[node.inputs[0]].channels,
                    kernel,
                    kernel,
                ];
                let weight = self.need(id, Role::Kernel).reshape(shape);
                let bias = bias.then(|| self.need(id, Role::Bias));
                self.layout.conv2d(x, weight, bias, stride, padding)
            }
            LayerOp::Normalise { mean, deviation } => {
                let device = x.device();
                let constant = |values: [f64; 3]| {
                    self.layout
                        .per_channel(Tensor::from_floats(values.map(|v| v as f32), &device))
                };
                let scale = deviation.map(|d| 1.0 / d);
                let shift = std::array::from_fn(|c| -mean[c] / deviation[c]);
                x * constant(scale) + constant(shift)
            }
            LayerOp::Relu => burn::tensor::activation::relu(x),
            LayerOp::MaxPool => self.layout.max_pool(x),
            LayerOp::Upsample => self.layout.upsample(x),
            LayerOp::Concat => self.layout.concat(x, self.take(node.inputs[1])),
            LayerOp::Add => x + self.take(node.inputs[1]),
            LayerOp::Input | LayerOp::BatchNorm { .. } => unreachable!("handled by the callers"),
        }
    }
}
