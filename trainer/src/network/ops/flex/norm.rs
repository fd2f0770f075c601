//! Batch norm on batch statistics with an optional rectifier.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{Flex, FlexTensor};
use burn::tensor::Tensor;

use super::super::BatchNormed;
use super::{Tracked, as_tensor, from_maps, from_vec, maps_of, tracked, values};
use crate::network::cpu::{self, Normalisation};

#[derive(Debug)]
struct BatchNormBackward;

impl Backward<Flex, 3> for BatchNormBackward {
    type State = (FlexTensor, Normalisation);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, gamma_node, beta_node] = ops.parents;
        let g = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, norm) = ops.state;
        let (maps, channels) = maps_of(&x);
        let sums = cpu::gradient_sums(values(&x), values(&g), &norm);
        let vector =
            |which: usize| from_vec(sums.iter().map(|s| s[which] as f32).collect(), &[channels]);
        if let Some(node) = beta_node {
            grads.register::<Flex>(node.id, vector(0));
        }
        if let Some(node) = gamma_node {
            grads.register::<Flex>(node.id, vector(1));
        }
        if let Some(node) = x_node {
            let gradient = cpu::norm_gradient(values(&x), values(&g), &norm, &sums);
            grads.register::<Flex>(node.id, from_maps(gradient, maps, channels));
        }
    }
}

/// Batch norm on the batch's own statistics, with an optional rectifier.
pub(in crate::network::ops) fn batch_norm(
    x: &Tensor<4>,
    gamma: Option<&Tensor<1>>,
    beta: &Tensor<1>,
    epsilon: f64,
    relu: bool,
) -> BatchNormed {
    let (x, tbeta) = (tracked(x), tracked(beta));
    let tgamma = match gamma {
        Some(gamma) => tracked(gamma),
        None => tracked(&Tensor::<1>::ones(beta.dims(), &beta.device())),
    };
    let nodes = [x.node(), tgamma.node(), tbeta.node()];
    let host = |t: Tracked| values(&t.into_primitive().to_contiguous()).to_vec();
    let (gamma, shift) = (host(tgamma), host(tbeta));
    let x = x.into_primitive().to_contiguous();
    let (maps, channels) = maps_of(&x);
    let moments = cpu::moments(values(&x), channels);
    let inverse: Vec<f32> = moments
        .iter()
        .map(|m| (1.0 / (m.1 + epsilon).sqrt()) as f32)
        .collect();
    let norm = Normalisation {
        mean: moments.iter().map(|m| m.0 as f32).collect(),
        scale: inverse.iter().zip(&gamma).map(|(i, g)| i * g).collect(),
        inverse,
        shift,
        relu,
    };
    let y = from_maps(cpu::normalise(values(&x), &norm), maps, channels);
    let vector = |v: Vec<f32>| Tensor::from_primitive::<Flex>(from_vec(v, &[channels]));
    let mean = vector(norm.mean.clone());
    let variance = vector(moments.iter().map(|m| m.1 as f32).collect());
    let output = match BatchNormBackward
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((x, norm), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    };
    BatchNormed {
        output: as_tensor(output),
        mean,
        variance,
    }
}
