//! The workstation trainer of Nephrobox: data, network, losses, training, evaluation and export.

pub mod commands;
pub mod data;
