//! From a trained network to an engine program.
//!
//! Batch norms become per-channel scale and shift of their stored statistics, with the rectifier
//! behind them; convolutions keep their kernels. Executors that fold further do so on the program.

use nephrobox_engine::program::{
    Builder, Program, ProgramError, Tensor, TensorError, Tensors, ValueId,
};

use super::graph::{Graph, LayerOp, NodeId, Role};
use super::parameters::Parameters;

/// Why a network could not be lowered.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// A variable holds something an executor cannot use, such as a NaN.
    #[error("the network's values cannot be exported: {0}")]
    Tensor(#[from] TensorError),
    /// The program does not pass the engine's check.
    #[error("the network cannot be written as a program: {0}")]
    Program(#[from] ProgramError),
}

/// The program that computes the same logits as [`super::infer`].
pub fn lower(graph: &Graph, parameters: &Parameters) -> Result<(Program, Tensors), LowerError> {
    let mut lowering = Lowering {
        graph,
        parameters,
        builder: Builder::new(graph.channels() as u32, graph.multiple() as u32),
        values: Vec::with_capacity(graph.nodes().len()),
    };
    let mut fused = None;
    for (id, node) in graph.nodes().iter().enumerate() {
        let value = match node.op {
            LayerOp::Input => lowering.builder.input(),
            LayerOp::BatchNorm { epsilon, .. } => {
                let next = graph.nodes().get(id + 1);
                let relu = next.is_some_and(|next| next.op == LayerOp::Relu && next.inputs == [id]);
                fused = relu.then_some(id + 1);
                lowering.affine(id, epsilon, relu)?
            }
            LayerOp::Relu if fused == Some(id) => lowering.values[node.inputs[0]],
            _ => lowering.plain(id)?,
        };
        lowering.values.push(value);
    }
    let logits = lowering.values[graph.output()];
    let classes = graph.nodes()[graph.output()].channels as u32;
    Ok(lowering.builder.finish(logits, classes)?)
}

struct Lowering<'a> {
    graph: &'a Graph,
    parameters: &'a Parameters,
    builder: Builder,
    values: Vec<ValueId>,
}

impl Lowering<'_> {
    fn read(&self, id: NodeId, role: Role) -> Option<Vec<f32>> {
        let name = format!("{}/{}", self.graph.nodes()[id].name, role.name());
        self.parameters
            .position(&name)
            .map(|position| self.parameters.read(position))
    }

    fn need(&self, id: NodeId, role: Role) -> Vec<f32> {
        self.read(id, role)
            .expect("parameters belong to this graph")
    }

    fn affine(&mut self, id: NodeId, epsilon: f64, relu: bool) -> Result<ValueId, LowerError> {
        let (mean, variance) = (
            self.need(id, Role::MovingMean),
            self.need(id, Role::MovingVariance),
        );
        let gamma = self
            .read(id, Role::Gamma)
            .unwrap_or_else(|| vec![1.0; mean.len()]);
        let scale: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(&g, &v)| f64::from(g) / (f64::from(v) + epsilon).sqrt())
            .collect();
        let beta = self.need(id, Role::Beta);
        let shift = beta
            .iter()
            .zip(&mean)
            .zip(&scale)
            .map(|((&b, &m), s)| (f64::from(b) - f64::from(m) * s) as f32);
        let scale = scale.iter().map(|&s| s as f32).collect();
        self.scale_and_shift(id, scale, shift.collect(), relu)
    }

    fn scale_and_shift(
        &mut self,
        id: NodeId,
        scale: Vec<f32>,
        shift: Vec<f32>,
        relu: bool,
    ) -> Result<ValueId, LowerError> {
        let node = &self.graph.nodes()[id];
        let shape = vec![scale.len()];
        let shift = Tensor::f32(format!("{}/shift", node.name), shape.clone(), shift)?;
        let scale = Tensor::f32(format!("{}/scale", node.name), shape, scale)?;
        let (scale, shift) = (self.builder.tensor(scale), self.builder.tensor(shift));
        let input = self.values[node.inputs[0]];
        Ok(self.builder.affine(input, scale, shift, relu))
    }

    fn plain(&mut self, id: NodeId) -> Result<ValueId, LowerError> {
        let node = &self.graph.nodes()[id];
        let input = self.values[node.inputs[0]];
        Ok(match node.op {
            LayerOp::Conv {
                kernel,
                stride,
                padding,
                bias,
            } => {
                let from = self.graph.nodes()[node.inputs[0]].channels;
                let shape = vec![node.channels, from, kernel, kernel];
                let weight = Tensor::f32(
                    format!("{}/kernel", node.name),
                    shape,
                    self.need(id, Role::Kernel),
                )?;
                let weight = self.builder.tensor(weight);
                let bias = if bias {
                    let values = self.need(id, Role::Bias);
                    let tensor =
                        Tensor::f32(format!("{}/bias", node.name), vec![node.channels], values)?;
                    Some(self.builder.tensor(tensor))
                } else {
                    None
                };
                self.builder
                    .conv2d(input, weight, bias, stride as u32, padding as u32)
            }
            LayerOp::Normalise { mean, deviation } => {
                let scale = deviation.map(|d| (1.0 / d) as f32).to_vec();
                let shift = (mean.iter().zip(deviation)).map(|(m, d)| (-m / d) as f32);
                self.scale_and_shift(id, scale, shift.collect(), false)?
            }
            LayerOp::Relu => self.builder.relu(input),
            LayerOp::MaxPool => self.builder.max_pool2d(input, 3, 2, 1),
            LayerOp::Upsample => self.builder.upsample2x(input),
            LayerOp::Concat => self.builder.concat(input, self.values[node.inputs[1]]),
            LayerOp::Add => self.builder.add(input, self.values[node.inputs[1]]),
            LayerOp::Input | LayerOp::BatchNorm { .. } => unreachable!("handled by the caller"),
        })
    }
}
