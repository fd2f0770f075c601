//! The workstation trainer of Nephrobox: data, network, losses, training, evaluation and export.
//!
//! A library with a thin program around it, so that tests call what users run. [`network`] is the
//! U-Net with Keras semantics, [`loss`] and [`adam`] the paper's objective and optimiser, [`train`]
//! the loop, [`golden`] the proof against the Python reference, [`commands`] one file a subcommand.

pub mod adam;
pub mod augment;
pub mod check;
pub mod cli;
pub mod closed_form;
pub mod commands;
pub mod data;
pub mod evaluate;
pub mod experiments;
pub mod export;
pub mod fetch;
pub mod golden;
pub mod loss;
pub mod machine;
pub mod network;
pub mod onnx;
pub mod phantom;
pub mod plots;
pub mod quantise;
pub mod report;
pub mod small_parts;
pub mod train;
