//! Kernels of the CPU executors, by element type. All `unsafe` of the executors is here.

pub(crate) mod f32;
