//! One optimiser step: the state that a run carries from batch to batch.

use burn::tensor::{Device, Tensor};

use super::average::Average;
use crate::adam::{Adam, AdamConfig};
use crate::loss::Loss;
use crate::network::forward::BatchStatistics;
use crate::network::graph::{LayerOp, Role};
use crate::network::{Freeze, Graph, Parameters, parallel, train_pass};

/// A batch on the training device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[batch, channels, height, width]`.
    pub images: Tensor<4>,
    /// One-hot truth, `[batch, classes, height, width]`.
    pub truth: Tensor<4>,
    /// Image weights, `[batch]`.
    pub weights: Tensor<1>,
}

/// Network, variables, optimiser: all that a step changes.
#[derive(Clone, Debug)]
pub struct Learner {
    graph: Graph,
    freeze: Freeze,
    loss: Loss,
    /// The network's variables; they live on the plain device.
    pub parameters: Parameters,
    /// The optimiser's state.
    pub adam: Adam,
    /// Autodiff devices; the first holds batches, losses and the result.
    devices: Vec<Device>,
    /// The weights' average over the steps, if one is kept.
    pub average: Option<Average>,
}

/// Gradients of one pass by variable position, on the plain device.
pub type Gradients = Vec<Option<Tensor<1>>>;

/// What a pass gave besides changing the moving statistics.
#[derive(Debug)]
pub struct Outcome {
    /// Loss of the batch, `[1]`, not yet read back.
    pub loss: Tensor<1>,
    /// Logits, `[batch, classes, height, width]`.
    pub logits: Tensor<4>,
    /// Gradient of every variable that trains.
    pub gradients: Gradients,
}

impl Learner {
    /// A learner with fresh optimiser state; `device` is the plain device, its autodiff twin is used
    /// for the passes.
    pub fn new(
        graph: Graph,
        parameters: Parameters,
        freeze: Freeze,
        loss: Loss,
        adam: AdamConfig,
        device: &Device,
    ) -> Self {
        let adam = Adam::new(adam, parameters.entries().len());
        Self {
            graph,
            freeze,
            loss,
            parameters,
            adam,
            average: None,
            devices: vec![device.clone().autodiff()],
        }
    }

    /// Spreads every pass over `more` devices besides the learner's own; see [`parallel`].
    #[must_use]
    pub fn with_devices(mut self, more: &[Device]) -> Self {
        let more = more.iter().map(|device| device.clone().autodiff());
        self.devices.extend(more);
        self
    }

    /// Keeps an average of the variables with this decay; 0 keeps none.
    #[must_use]
    pub fn averaging(mut self, decay: f64) -> Self {
        self.average = (decay > 0.0).then(|| Average::new(decay));
        self
    }

    /// The variables that validation and evaluation judge: the average if one is kept, else the current ones.
    pub fn judged(&self) -> Parameters {
        match &self.average {
            Some(average) => average.of(&self.parameters),
            None => self.parameters.clone(),
        }
    }

    /// The autodiff device that batches must live on.
    pub fn device(&self) -> &Device {
        &self.devices[0]
    }

    /// The network's layers.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Forward and backward pass in training mode; moves the moving statistics, not the weights.
    pub fn pass(&mut self, batch: Batch) -> Outcome {
        let (outcome, statistics) = self.measure(batch, 1.0);
        self.move_statistics(statistics);
        outcome
    }

    /// The same without changing anything; the loss counts `share` times.
    pub(super) fn measure(&self, batch: Batch, share: f64) -> (Outcome, Vec<BatchStatistics>) {
        let (graph, parameters, freeze) = (&self.graph, &self.parameters, &self.freeze);
        let pass = match self.devices.as_slice() {
            [device] => train_pass(graph, parameters, freeze, &batch.images, device),
            devices => {
                let shards = parallel::shards(&batch.images, devices);
                parallel::train_pass(graph, parameters, freeze, &shards)
            }
        };
        let logits = pass.logits.clone().inner();
        let loss = self.loss.value(pass.logits, batch.truth, batch.weights);
        // The factor 1 is left out so that a whole batch gives the very bits it always gave.
        let loss = if share == 1.0 { loss } else { loss * share };
        let mut tape = loss.backward();
        let gradients = pass
            .leaves
            .into_iter()
            .map(|leaf| leaf.and_then(|leaf| leaf.grad_remove(&mut tape)))
            .collect();
        let outcome = Outcome {
            loss: loss.inner(),
            logits,
            gradients,
        };
        (outcome, pass.statistics)
    }

    /// Applies Adam to every variable that has a gradient.
    pub fn apply(&mut self, gradients: Gradients, learning_rate: f64) {
        self.adam.begin_step();
        for (position, gradient) in gradients.into_iter().enumerate() {
            if let Some(gradient) = gradient {
                let value = self.parameters.entries()[position].value.clone();
                let value = self.adam.update(position, value, gradient, learning_rate);
                self.parameters.replace(position, value);
            }
        }
        if let Some(average) = &mut self.average {
            average.update(&self.parameters);
        }
    }

    /// One step; returns the loss, not yet read back.
    pub fn step(&mut self, batch: Batch, learning_rate: f64) -> Tensor<1> {
        let outcome = self.pass(batch);
        self.apply(outcome.gradients, learning_rate);
        outcome.loss
    }

    /// Keras' update, with TensorFlow's fused kernel's unbiased variance: it stores n / (n - 1)
    /// times the biased one that normalised the batch.
    pub(super) fn move_statistics(&mut self, statistics: Vec<BatchStatistics>) {
        for statistics in statistics {
            self.move_layer(statistics);
        }
    }

    fn move_layer(&mut self, s: BatchStatistics) {
        let LayerOp::BatchNorm { momentum, .. } = self.graph.nodes()[s.layer].op else {
            unreachable!("only batch norms have statistics")
        };
        let n = s.count as f64;
        let unbiased = s.variance * (n / (n - 1.0).max(1.0));
        for (role, batch) in [(Role::MovingMean, s.mean), (Role::MovingVariance, unbiased)] {
            let name = format!("{}/{}", self.graph.nodes()[s.layer].name, role.name());
            let position = self
                .parameters
                .position(&name)
                .expect("batch norms have statistics");
            let old = self.parameters.entries()[position].value.clone();
            self.parameters
                .replace(position, old * momentum + batch * (1.0 - momentum));
        }
    }
}
