//! Scoring a network on a part of a prepared set, through the same program and the same executors as the box.

pub mod extremes;
pub mod results;

use std::path::Path;

use burn::tensor::Device;
use nephrobox_engine::burn::Executor;
use nephrobox_engine::cpu::f32::{Network, Settings};
use nephrobox_engine::model::{LogitsModel, SliceModel};
use nephrobox_engine::program::{Program, Tensors};
use nephrobox_shared::metrics::Evaluation;

use crate::data::Prepared;
use crate::network::{Graph, Parameters, lower};
use crate::train::{TrainConfig, TrainError};

/// Images per pass.
const BATCH: usize = 8;

/// How slices enter a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Rows and columns.
    pub size: [usize; 2],
    /// What pixels in 0 ..= 1 are multiplied by.
    pub scale: f32,
    /// Whether a slice comes with its two neighbours, one for each of three channels.
    pub neighbours: bool,
}

/// An executor of the network for images of the prepared set's size. Parameters are consumed, so that they are not in memory twice.
pub fn executor(
    graph: &Graph,
    parameters: Parameters,
    data: &Prepared,
    config: &TrainConfig,
    device: &Device,
) -> Result<Box<dyn LogitsModel>, TrainError> {
    let (program, tensors) =
        lower(graph, &parameters).map_err(|e| TrainError::Network(e.to_string()))?;
    drop(parameters);
    let entry = Entry {
        size: [data.side(), data.side()],
        scale: f32::from(config.input_scale),
        neighbours: config.neighbours,
    };
    program_on(device, &program, tensors, entry)
}

/// An executor of a program in f32: Burn's on a GPU, the engine's own on the CPU, where it takes a quarter of the time.
pub fn program_on(
    device: &Device,
    program: &Program,
    tensors: Tensors,
    entry: Entry,
) -> Result<Box<dyn LogitsModel>, TrainError> {
    let refused = |e: &dyn std::fmt::Display| TrainError::Network(e.to_string());
    if *device == Device::flex() {
        let settings = Settings {
            input_scale: entry.scale,
            threads: rayon::current_num_threads(),
            neighbours: entry.neighbours,
            kernels: None,
        };
        let network = Network::new(program, tensors, entry.size, settings);
        return Ok(Box::new(network.map_err(|e| refused(&e))?));
    }
    let executor = Executor::from_program(program, &tensors, entry.size, entry.scale, device);
    let executor = executor.map_err(|e| refused(&e))?;
    Ok(Box::new(executor.reading_neighbours(entry.neighbours)))
}

/// Labels every slice of `slices` and counts it; `each` sees (slice, labels) in order.
pub fn evaluate(
    data: &Prepared,
    slices: &[u32],
    model: &mut dyn SliceModel,
    mut each: impl FnMut(u32, &[u8]),
) -> Result<Evaluation, TrainError> {
    let mut evaluation = Evaluation::new();
    let planes = model.planes();
    let mut labels = vec![0_u8; BATCH * data.pixels()];
    for chunk in slices.chunks(BATCH) {
        let images: Vec<f32> = chunk
            .iter()
            .flat_map(|&i| match planes {
                1 => data.image(i).to_vec(),
                _ => data.with_neighbours(i).concat(),
            })
            .collect();
        let labels = &mut labels[..chunk.len() * data.pixels()];
        model
            .segment(&images, chunk.len(), labels)
            .map_err(|e| TrainError::Network(e.to_string()))?;
        for (&index, prediction) in chunk.iter().zip(labels.chunks_exact(data.pixels())) {
            let meta = data.meta(index);
            evaluation
                .add(
                    meta.case as usize,
                    data.labels(index),
                    prediction,
                    meta.weight,
                )
                .map_err(|e| {
                    TrainError::Network(format!("{} cannot be scored: {e}", data.name(index)))
                })?;
            each(index, prediction);
        }
    }
    Ok(evaluation)
}

/// Writes a value as pretty JSON beside its target and renames.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), TrainError> {
    let fail = |e: &dyn std::fmt::Display| TrainError::Write {
        path: path.into(),
        reason: e.to_string(),
    };
    let mut text = serde_json::to_string_pretty(value).map_err(|e| fail(&e))?;
    text.push('\n');
    nephrobox_imaging::files::write(path, text.as_bytes()).map_err(|e| fail(&e))
}
