//! Scoring a network on a part of a prepared set, through the same program and executor as the box.

pub mod extremes;
pub mod results;

use std::path::Path;

use burn::tensor::Device;
use nephrobox_engine::burn::Executor;
use nephrobox_engine::model::SliceModel;
use nephrobox_shared::metrics::Evaluation;

use crate::data::Prepared;
use crate::network::{Graph, Parameters, lower};
use crate::train::{TrainConfig, TrainError};

/// Images per pass.
const BATCH: usize = 8;

/// An executor of the network for images of the prepared set's size.
pub fn executor(
    graph: &Graph,
    parameters: &Parameters,
    data: &Prepared,
    config: &TrainConfig,
    device: &Device,
) -> Result<Executor, TrainError> {
    let (program, tensors) =
        lower(graph, parameters).map_err(|e| TrainError::Network(e.to_string()))?;
    let executor = Executor::from_program(
        &program,
        &tensors,
        [data.side(), data.side()],
        f32::from(config.input_scale),
        device,
    );
    executor
        .map(|e| e.reading_neighbours(config.neighbours))
        .map_err(|e| TrainError::Network(e.to_string()))
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
