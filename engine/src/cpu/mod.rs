//! Executors of our own for any CPU.

mod arena;
pub mod f32;
mod kernels;
mod team;
