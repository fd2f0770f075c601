//! Executors of our own for any CPU.

mod arena;
mod team;
