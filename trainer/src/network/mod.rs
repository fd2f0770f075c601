//! The U-Net: its layer graph, its variables, and how both run on Burn tensors.
//!
//! [`architecture`] names the encoders and builds a [`graph::Graph`]; [`parameters::Parameters`] hold
//! the values under Keras names; [`forward`] runs a graph in inference or in training, [`parallel`] trains
//! it over several devices; [`freeze`] decides what trains; [`import`] brings in weights of others;
//! [`lower()`] turns graph and values into an engine program.

pub mod architecture;
mod cpu;
pub mod forward;
pub mod freeze;
pub mod graph;
pub mod import;
pub mod lower;
mod ops;
pub mod parallel;
pub mod parameters;
mod torchvision;

pub use architecture::{Encoder, Family, UnetSpec};
pub use forward::{Pass, infer, train_pass};
pub use freeze::{Freeze, FrozenBatchNorm, RetrainFrom};
pub use graph::Graph;
pub use lower::lower;
pub use parameters::Parameters;
