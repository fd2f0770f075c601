//! The workstation trainer of Nephrobox: data, network, losses, training, evaluation and export.

pub mod adam;
pub mod closed_form;
pub mod loss;
pub mod network;
pub mod train;
