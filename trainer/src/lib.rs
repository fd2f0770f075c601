//! The workstation trainer of Nephrobox: data, network, losses, training, evaluation and export.
//!
//! A library with a thin program around it, so that tests call what users run: [`cli`] and [`commands`], one file a subcommand.
//!
//! * [`fetch`], [`data`], [`phantom`]: data from elsewhere, a training set of it, and synthetic CT.
//! * [`augment`]: changed images, reproducible from a key.
//! * [`network`], [`loss`], [`adam`]: the U-Net with Keras semantics and weights of others, the paper's objective, its optimiser.
//! * [`check`], [`train`], [`evaluate`], [`report`](mod@report): what a run needs, the loop, the scores, the page of a run; [`plots`] draws, [`small_parts`] removes specks.
//! * [`experiments`]: the paper's runs as resumable jobs.
//! * [`quantise`], [`export`], [`onnx`]: integers, packages, files for other runtimes.
//! * [`golden`]: the proof against the Python reference, from numbers in closed form ([`closed_form`]).
//! * [`machine`]: memory and disk of the machine.

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
mod toml_file;
pub mod train;
