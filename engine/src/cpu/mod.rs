//! Executors of our own for any CPU.

mod arena;
pub mod f32;
pub mod int8;
mod kernels;
mod team;

pub use kernels::{KernelError, KernelSet, KernelSets, VARIABLE};
