//! An example for other runtimes: images, and what this project's own executor makes of them.

use std::collections::HashMap;

use burn::tensor::Device;
use nephrobox_engine::burn::Executor;
use nephrobox_engine::package::Model;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{InputShape, OnnxError, Options};
use crate::closed_form;

/// Images in 0 to 1 with their logits, in f32 on the CPU: noise of one or more sizes and, if the package has them, the slices of its
/// self-test, in which there is something to label.
///
/// The tensors are called `image.N` and `logits.N`, `N` from 0. Channels of an image differ, so that a runtime that
/// mixes them up is found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference(Vec<Case>);

/// One batch.
#[derive(Clone, Debug, PartialEq)]
struct Case {
    /// `[batch, channels, rows, cols]`.
    image: ([usize; 4], Vec<f32>),
    /// `[batch, classes, rows, cols]`.
    logits: ([usize; 4], Vec<f32>),
}

impl Reference {
    /// Runs the model on every size its file is to be tried with: that of its preprocessing and, where the file leaves
    /// rows and columns open, a smaller one and one that is not square.
    pub fn compute(model: &Model, options: &Options) -> Result<Self, OnnxError> {
        let (program, input) = (model.program(), model.manifest().input);
        let device = Device::flex();
        let mut executor = Executor::new(model, &device)?;
        let [channels, classes] =
            [program.input_channels, program.classes].map(|count| count as usize);
        let scale = f32::from(input.scale);
        let noise = sizes(model, options.shape(model))
            .into_iter()
            .enumerate()
            .map(|(index, [batch, rows, cols])| {
                let count = batch * channels * rows * cols;
                let noise = closed_form::unit(&format!("onnx/{index}"), count);
                ([batch, rows, cols], noise.map(|u| u as f32).collect())
            });
        let mut images: Vec<([usize; 3], Vec<f32>)> = noise.collect();
        images.extend(self_test(model, options.batch)?);
        let cases = images
            .into_iter()
            .map(|([batch, rows, cols], image)| {
                let scaled: Vec<f32> = image.iter().map(|x| x * scale).collect();
                let logits = executor.raw_logits(&scaled, batch, rows, cols)?;
                Ok(Case {
                    image: ([batch, channels, rows, cols], image),
                    logits: ([batch, classes, rows, cols], logits),
                })
            })
            .collect::<Result<_, OnnxError>>()?;
        Ok(Self(cases))
    }

    /// The bytes of a safetensors file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, OnnxError> {
        let tensors: Vec<(String, [usize; 4], Vec<u8>)> = self
            .0
            .iter()
            .enumerate()
            .flat_map(|(index, case)| {
                [("image", &case.image), ("logits", &case.logits)].map(|(name, (shape, values))| {
                    let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                    (format!("{name}.{index}"), *shape, bytes)
                })
            })
            .collect();
        let views = tensors
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?))
            })
            .collect::<Result<Vec<_>, OnnxError>>()?;
        Ok(safetensors::serialize(
            views,
            None::<HashMap<String, String>>,
        )?)
    }
}

/// `[channels, rows, cols]`, and as many numbers.
type Image = ([usize; 3], Vec<f32>);

/// The slices of a package's self-test as one batch, each in every channel, and as often as a closed batch needs them.
fn self_test(model: &Model, batch: Option<usize>) -> Result<Option<Image>, OnnxError> {
    let manifest = model.manifest();
    let (slices, preprocess) = (&manifest.self_test, manifest.input.preprocess);
    if slices.is_empty() {
        return Ok(None);
    }
    let batch = batch.unwrap_or(slices.len());
    let mut images = Vec::new();
    let mut image = vec![0.0; preprocess.rows * preprocess.cols];
    for slice in slices.iter().cycle().take(batch) {
        preprocess.image(
            &slice.hu,
            slice.rows as usize,
            slice.cols as usize,
            &mut image,
        )?;
        for _ in 0..model.program().input_channels {
            images.extend_from_slice(&image);
        }
    }
    Ok(Some(([batch, preprocess.rows, preprocess.cols], images)))
}

/// Batch, rows and columns of each case of noise.
fn sizes(model: &Model, shape: InputShape) -> Vec<[usize; 3]> {
    let preprocess = model.manifest().input.preprocess;
    let tile = model.program().multiple as usize;
    let batch = |open: usize| shape.batch.unwrap_or(open);
    let mut sizes = vec![[batch(1), preprocess.rows, preprocess.cols]];
    if shape.size.is_none() {
        sizes.push([batch(2), 2 * tile, 2 * tile]);
        sizes.push([batch(1), 2 * tile, 3 * tile]);
    }
    sizes
}
