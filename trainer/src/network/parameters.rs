//! The values of a network's variables, by Keras name, on one device.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};

use super::architecture::ADAPTER;
use super::graph::{Graph, Role, Variable};
use crate::closed_form;

/// Why values could not be taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParameterError {
    /// The network has no such variable.
    #[error("the network has no variable called `{0}`")]
    Unknown(String),
    /// The number of values is wrong.
    #[error("`{name}` has {expected} values, not {found}")]
    Length {
        /// Variable.
        name: String,
        /// Values it has.
        expected: usize,
        /// Values offered.
        found: usize,
    },
}

/// One variable with its values, flattened in C order of its shape.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Layer, role and shape.
    pub variable: Variable,
    /// The values, flat; reshaping to the variable's shape copies nothing.
    pub value: Tensor<1>,
}

/// All variables of one network.
#[derive(Clone, Debug)]
pub struct Parameters {
    entries: Vec<Parameter>,
    index: HashMap<String, usize>,
}

impl Parameters {
    /// Every variable from `values`, which is asked in layer order and must return as many numbers as
    /// the variable's shape holds.
    ///
    /// # Panics
    /// If `values` returns another number of values: a mistake of the caller, not of any input.
    pub fn from_fn(
        graph: &Graph,
        device: &Device,
        mut values: impl FnMut(&Variable) -> Vec<f32>,
    ) -> Self {
        let entries: Vec<Parameter> = graph
            .variables()
            .into_iter()
            .map(|variable| {
                let v = values(&variable);
                assert_eq!(
                    v.len(),
                    variable.shape.iter().product::<usize>(),
                    "{}",
                    variable.name()
                );
                Parameter {
                    value: flat(v, device),
                    variable,
                }
            })
            .collect();
        let index = entries
            .iter()
            .enumerate()
            .map(|(i, p)| (p.variable.name(), i))
            .collect();
        Self { entries, index }
    }

    /// Keras' initial values, as a function of `seed` and the variable's name only.
    ///
    /// Kernels are He uniform (limit sqrt(6 / fan-in)), `final_conv` and `input_adapter` Glorot uniform
    /// (limit sqrt(6 / (fan-in + fan-out))), biases and betas 0, gammas 1, means 0, variances 1.
    pub fn initialise(graph: &Graph, seed: u64, device: &Device) -> Self {
        Self::from_fn(graph, device, |v| {
            let n = v.shape.iter().product();
            match v.role {
                Role::Kernel => {
                    let area = v.shape[2] * v.shape[3];
                    let (fan_in, fan_out) = (area * v.shape[1], area * v.shape[0]);
                    let fans = if v.layer == "final_conv" || v.layer == ADAPTER {
                        fan_in + fan_out
                    } else {
                        fan_in
                    };
                    let limit = (6.0 / fans as f64).sqrt();
                    let key = format!("{seed}/{}", v.name());
                    closed_form::signed(&key, n)
                        .map(|u| (u * limit) as f32)
                        .collect()
                }
                Role::Gamma | Role::MovingVariance => vec![1.0; n],
                Role::Bias | Role::Beta | Role::MovingMean => vec![0.0; n],
            }
        })
    }

    /// Random values of the size that trained networks have, statistics included, as a function of `seed` and the
    /// variable's name only.
    ///
    /// For tests and measurements: with the initial values, batch norms do nothing and much is exactly 0.
    pub fn random(graph: &Graph, seed: u64, device: &Device) -> Self {
        Self::from_fn(graph, device, |v| {
            let n = v.shape.iter().product();
            let scale = match v.role {
                Role::Kernel => (3.0 / v.shape[1..].iter().product::<usize>() as f64).sqrt(),
                Role::Gamma | Role::MovingVariance => 0.5,
                Role::Bias | Role::Beta | Role::MovingMean => 0.3,
            };
            let centre = match v.role {
                Role::Gamma | Role::MovingVariance => 1.0,
                _ => 0.0,
            };
            closed_form::signed(&format!("{seed}/{}", v.name()), n)
                .map(|u| (centre + scale * u) as f32)
                .collect()
        })
    }

    /// Variables in layer order.
    pub fn entries(&self) -> &[Parameter] {
        &self.entries
    }

    /// Position of the variable called `name` (`LAYER/ROLE`) in [`Self::entries`].
    pub fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The flat values of `LAYER/ROLE`.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.position(name).map(|i| &self.entries[i].value)
    }

    /// Replaces the values of `LAYER/ROLE`; the length must agree.
    pub fn set(&mut self, name: &str, values: Vec<f32>) -> Result<(), ParameterError> {
        let i = self
            .position(name)
            .ok_or_else(|| ParameterError::Unknown(name.into()))?;
        let entry = &mut self.entries[i];
        let expected = entry.value.dims()[0];
        if values.len() != expected {
            return Err(ParameterError::Length {
                name: name.into(),
                expected,
                found: values.len(),
            });
        }
        entry.value = flat(values, &entry.value.device());
        Ok(())
    }

    /// Replaces the tensor at `position`.
    pub(crate) fn replace(&mut self, position: usize, value: Tensor<1>) {
        self.entries[position].value = value;
    }

    /// The values of entry `position`, read back from the device.
    pub fn read(&self, position: usize) -> Vec<f32> {
        to_vec(self.entries[position].value.clone())
    }
}

/// A flat tensor from host values.
pub(crate) fn flat(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

/// Host values of any tensor. Every tensor of the trainer is f32, so the conversion cannot fail.
pub(crate) fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_into_vec::<f32>()
        .expect("trainer tensors are f32")
}
