//! Bias, pooling, doubling and joining.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::Flex;
use burn::tensor::Tensor;

use super::{as_tensor, from_maps, from_vec, maps_of, tracked, values};
use crate::network::cpu::{self, Maps};

#[derive(Debug)]
struct BiasBackward;

impl Backward<Flex, 2> for BiasBackward {
    type State = usize;

    fn backward(self, ops: Ops<usize, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, bias_node] = ops.parents;
        let g = grads.consume::<Flex>(&ops.node).to_contiguous();
        if let Some(node) = bias_node {
            let sums = cpu::channel_sums(values(&g), ops.state);
            grads.register::<Flex>(node.id, from_vec(sums, &[ops.state]));
        }
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, g);
        }
    }
}

/// `x` plus one value per channel.
pub(in crate::network::ops) fn add_bias(x: &Tensor<4>, bias: &Tensor<1>) -> Tensor<4> {
    let (x, bias) = (tracked(x), tracked(bias));
    let nodes = [x.node(), bias.node()];
    let (x, bias) = (
        x.into_primitive().to_contiguous(),
        bias.into_primitive().to_contiguous(),
    );
    let (maps, channels) = maps_of(&x);
    let mut y = values(&x).to_vec();
    for pixel in y.chunks_exact_mut(channels) {
        for (y, b) in pixel.iter_mut().zip(values(&bias)) {
            *y += b;
        }
    }
    let y = from_maps(y, maps, channels);
    as_tensor(
        match BiasBackward
            .prepare::<NoCheckpointing>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(channels, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        },
    )
}

#[derive(Debug)]
struct PoolBackward;

impl Backward<Flex, 1> for PoolBackward {
    type State = (Vec<u8>, Maps, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let g = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (from, maps, channels) = ops.state;
        if let Some(node) = node {
            let gradient = cpu::max_pool_gradient(values(&g), &from, maps, channels);
            grads.register::<Flex>(node.id, from_maps(gradient, maps, channels));
        }
    }
}

/// 3x3 maximum, stride 2, padding 1.
pub(in crate::network::ops) fn max_pool(x: &Tensor<4>) -> Tensor<4> {
    let x = tracked(x);
    let nodes = [x.node()];
    let x = x.into_primitive().to_contiguous();
    let (maps, channels) = maps_of(&x);
    let (y, from) = cpu::max_pool(values(&x), maps, channels);
    let y = from_maps(y, cpu::pooled(maps), channels);
    as_tensor(
        match PoolBackward
            .prepare::<NoCheckpointing>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((from, maps, channels), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        },
    )
}

#[derive(Debug)]
struct UpsampleBackward;

impl Backward<Flex, 1> for UpsampleBackward {
    type State = (Maps, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let g = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (maps, channels) = ops.state;
        if let Some(node) = node {
            let gradient = cpu::double_gradient(values(&g), maps, channels);
            grads.register::<Flex>(node.id, from_maps(gradient, maps, channels));
        }
    }
}

/// Nearest-neighbour doubling.
pub(in crate::network::ops) fn upsample(x: &Tensor<4>) -> Tensor<4> {
    let x = tracked(x);
    let nodes = [x.node()];
    let x = x.into_primitive().to_contiguous();
    let (maps, channels) = maps_of(&x);
    let y = cpu::double(values(&x), maps, channels);
    let y = from_maps(y, cpu::doubled(maps), channels);
    as_tensor(
        match UpsampleBackward
            .prepare::<NoCheckpointing>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((maps, channels), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        },
    )
}

#[derive(Debug)]
struct ConcatBackward;

impl Backward<Flex, 2> for ConcatBackward {
    type State = (Maps, [usize; 2]);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (maps, channels) = ops.state;
        let parts = cpu::part(values(&g), channels);
        for ((node, part), channels) in ops.parents.into_iter().zip(parts).zip(channels) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, from_maps(part, maps, channels));
            }
        }
    }
}

/// Channels of `a`, then of `b`.
pub(in crate::network::ops) fn concat(a: &Tensor<4>, b: &Tensor<4>) -> Tensor<4> {
    let (a, b) = (tracked(a), tracked(b));
    let nodes = [a.node(), b.node()];
    let (a, b) = (
        a.into_primitive().to_contiguous(),
        b.into_primitive().to_contiguous(),
    );
    let ((maps, first), (_, second)) = (maps_of(&a), maps_of(&b));
    let y = cpu::join(values(&a), values(&b), [first, second]);
    let y = from_maps(y, maps, first + second);
    as_tensor(
        match ConcatBackward
            .prepare::<NoCheckpointing>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((maps, [first, second]), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        },
    )
}
