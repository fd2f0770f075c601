//! Training passes on the CPU backend: custom autodiff operations over [`cpu`]'s arithmetic.
//!
//! Tensors here are channels-last, `[n, h, w, c]`, in memory and by their shape; see [`super::Layout`].
//! Burn's own passes express a convolution's weight gradient as a convolution whose kernel is the whole
//! output map and a batch norm as a dozen element-wise passes, and made a step three times as long.

mod conv;
mod maps;
mod norm;

use burn::backend::autodiff::Autodiff;
use burn::backend::flex::{Flex, FlexTensor};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Shape, Tensor, TensorData};

pub(super) use conv::conv2d;
pub(super) use maps::{add_bias, concat, max_pool, upsample};
pub(super) use norm::batch_norm;

use crate::network::cpu::Maps;

type Tracked = FloatTensor<Autodiff<Flex>>;

/// Whether the tensor is a tracked one of the CPU backend, which these operations need.
pub(super) fn serves(x: &Tensor<4>) -> bool {
    x.clone().try_into_primitive::<Autodiff<Flex>>().is_ok()
}

/// The tensor as a tracked Flex tensor.
fn tracked<const D: usize>(t: &Tensor<D>) -> Tracked {
    t.clone()
        .try_into_primitive::<Autodiff<Flex>>()
        .expect("the channels-last layout is chosen for the CPU backend only")
}

/// The same the other way round; it stays tracked.
fn as_tensor<const D: usize>(t: Tracked) -> Tensor<D> {
    Tensor::from_primitive::<Autodiff<Flex>>(t)
}

fn from_vec(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, Shape::from(shape.to_vec())))
}

/// Host values of a contiguous tensor.
fn values(t: &FlexTensor) -> &[f32] {
    let start = t.layout().start_offset();
    &t.storage::<f32>()[start..start + t.layout().num_elements()]
}

/// Maps and channels of a channels-last tensor.
fn maps_of(t: &FlexTensor) -> (Maps, usize) {
    let s = t.layout().shape();
    let maps = Maps {
        images: s[0],
        height: s[1],
        width: s[2],
    };
    (maps, s[3])
}

/// A channels-last tensor of values.
fn from_maps(values: Vec<f32>, maps: Maps, channels: usize) -> FlexTensor {
    from_vec(values, &[maps.images, maps.height, maps.width, channels])
}
