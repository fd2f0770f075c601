//! Convolution and its gradients.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{Flex, FlexTensor};
use burn::tensor::Tensor;

use super::{as_tensor, from_maps, from_vec, maps_of, tracked, values};
use crate::network::cpu::Convolution;

#[derive(Debug)]
struct ConvBackward;

impl Backward<Flex, 2> for ConvBackward {
    type State = (FlexTensor, FlexTensor, Convolution);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, w_node] = ops.parents;
        let g = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, w, convolution) = ops.state;
        let (maps, channels) = maps_of(&x);
        if let Some(node) = w_node {
            let gradient = convolution.kernel_gradient(values(&x), values(&g), maps);
            let shape: Vec<usize> = w.layout().shape().iter().copied().collect();
            grads.register::<Flex>(node.id, from_vec(gradient, &shape));
        }
        if let Some(node) = x_node {
            let gradient = convolution.input_gradient(values(&g), values(&w), maps);
            grads.register::<Flex>(node.id, from_maps(gradient, maps, channels));
        }
    }
}

/// Convolution without bias; `weight` is `[out, in, k, k]`.
pub(in crate::network::ops) fn conv2d(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    stride: usize,
    padding: usize,
) -> Tensor<4> {
    let [out, from, kernel, _] = weight.dims();
    let convolution = Convolution {
        kernel,
        stride,
        padding,
        from,
        out,
    };
    let (x, w) = (tracked(x), tracked(weight));
    let nodes = [x.node(), w.node()];
    let x = x.into_primitive().to_contiguous();
    let w = w.into_primitive().to_contiguous();
    let (maps, _) = maps_of(&x);
    let y = convolution.forward(values(&x), values(&w), maps);
    let y = from_maps(y, convolution.output(maps), out);
    as_tensor(
        match ConvBackward
            .prepare::<NoCheckpointing>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((x, w, convolution), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        },
    )
}
