//! Bias correction: rounding shifts the mean of what a convolution computes, and its bias can take that back.
//!
//! For each output channel the expected shift is the sum over weights of `rounded weight * mean of rounded input - weight * mean of
//! input`, with means over all pixels of the calibration slices (Nagel et al., Data-free quantization through weight equalization and bias
//! correction, ICCV 2019, section 4.2, with measured means).

use std::collections::BTreeMap;

use nephrobox_engine::program::{
    Op, Precision, Program, Storage, Tensor, TensorId, Tensors, ValueId, rest,
};

use super::{Grids, Job, calibrate, network};
use crate::train::TrainError;

/// Mean of each channel before and after rounding.
#[derive(Clone, Debug, Default)]
struct Means {
    exact: Vec<f64>,
    rounded: Vec<f64>,
}

/// The float program with corrected biases: quantised like the old one, its convolutions have the old means.
pub(super) fn biases(
    job: &Job<'_>,
    slices: &[u32],
    grids: &Grids,
) -> Result<(Program, Tensors), TrainError> {
    let means = means(job, slices, grids)?;
    let mut program = job.program.clone();
    let mut tensors: Vec<Tensor> = job.tensors.iter().cloned().collect();
    let wide = job.wide();
    for op in &mut program.ops {
        let wide = wide.contains(&op.output());
        // The four phases of a doubled convolution share a bias: their mean shift.
        let phases = if matches!(op, Op::UpConv2d { .. }) {
            4
        } else {
            1
        };
        let (Op::Conv2d {
            input,
            weight,
            bias,
            ..
        }
        | Op::UpConv2d {
            input,
            weight,
            bias,
            ..
        }) = op
        else {
            continue;
        };
        let Some(means) = means.get(input) else {
            continue;
        };
        let kernel = &tensors[weight.index()];
        let shifts = shifts(kernel, &rounded(kernel, wide)?, means);
        let channels = shifts.len() / phases;
        let before = bias.map_or_else(|| vec![0.0; channels], |id| tensors[id.index()].to_f32());
        let after = before.iter().enumerate().map(|(o, &before)| {
            let shift: f64 = shifts.iter().skip(o).step_by(channels).sum();
            (f64::from(before) - shift / phases as f64) as f32
        });
        let name = format!("{}/corrected", kernel.name());
        let corrected = Tensor::f32(name, vec![channels], after.collect()).map_err(network)?;
        // Another convolution may share the old bias, so it is not written over.
        tensors.push(corrected);
        *bias = Some(TensorId(tensors.len() as u32 - 1));
    }
    Ok(without_unused(program, tensors))
}

/// A kernel's weights as integers give them: of 8 bits, or of 16 where it is split into a coarse and a fine part.
fn rounded(kernel: &Tensor, wide: bool) -> Result<Vec<f32>, TrainError> {
    let coarse = kernel.stored_as(Storage::I8).map_err(network)?.to_f32();
    if !wide {
        return Ok(coarse);
    }
    let fine = rest(kernel).map_err(network)?.to_f32();
    Ok(coarse.iter().zip(fine).map(|(c, f)| c + f).collect())
}

/// By how much rounding raises the mean result of each of these kernels.
fn shifts(kernel: &Tensor, rounded: &[f32], means: &Means) -> Vec<f64> {
    let taps: usize = kernel.shape()[2..].iter().product();
    let exact = kernel.to_f32();
    let mean = |weights: &[f32], means: &[f64]| -> f64 {
        let channels = weights.chunks_exact(taps).zip(means);
        channels
            .map(|(w, mean)| w.iter().map(|&w| f64::from(w)).sum::<f64>() * mean)
            .sum()
    };
    let size = taps * kernel.shape()[1];
    let kernels = exact.chunks_exact(size).zip(rounded.chunks_exact(size));
    kernels
        .map(|(exact, rounded)| mean(rounded, &means.rounded) - mean(exact, &means.exact))
        .collect()
}

/// Means of what convolutions read, by value.
fn means(
    job: &Job<'_>,
    slices: &[u32],
    grids: &Grids,
) -> Result<BTreeMap<ValueId, Means>, TrainError> {
    let mut means: BTreeMap<ValueId, (f32, Means)> = grids
        .iter()
        .filter(|(site, _)| site.precision == Precision::U8)
        .map(|(site, step)| (site.value, (*step, Means::default())))
        .collect();
    let values: Vec<ValueId> = means.keys().copied().collect();
    let plan = job.program.check(&job.tensors).map_err(network)?;
    let mut float = calibrate::float(job, &job.program, &job.tensors)?;
    let [low, high] = Precision::U8.range();
    for &index in slices {
        let mut look = |value: ValueId, numbers: &[f32]| {
            let Some((step, means)) = means.get_mut(&value) else {
                return;
            };
            let channels = plan.shape(value).channels;
            means.exact.resize(channels, 0.0);
            means.rounded.resize(channels, 0.0);
            let pixels = numbers.len() / channels;
            for (c, plane) in numbers.chunks_exact(pixels).enumerate() {
                let mean = |of: &dyn Fn(f32) -> f32| {
                    plane.iter().map(|&x| f64::from(of(x))).sum::<f64>()
                        / (pixels * slices.len()) as f64
                };
                means.exact[c] += mean(&|x| x);
                means.rounded[c] +=
                    mean(&|x| (x / *step).round_ties_even().clamp(low, high) * *step);
            }
        };
        float
            .observe(
                job.data.image(index),
                1,
                &|value| values.contains(&value),
                &mut look,
            )
            .map_err(network)?;
    }
    Ok(means
        .into_iter()
        .map(|(value, (_, means))| (value, means))
        .collect())
}

/// Leaves out tensors that nothing reads any more.
fn without_unused(mut program: Program, tensors: Vec<Tensor>) -> (Program, Tensors) {
    let mut kept: BTreeMap<TensorId, TensorId> = program
        .ops
        .iter()
        .flat_map(Op::tensors)
        .map(|id| (id, id))
        .collect();
    for (new, old) in kept.values_mut().enumerate() {
        *old = TensorId(new as u32);
    }
    for op in &mut program.ops {
        op.rename_tensors(|id| kept[&id]);
    }
    let used = tensors.into_iter().enumerate();
    let used = used.filter(|(id, _)| kept.contains_key(&TensorId(*id as u32)));
    (program, used.map(|(_, tensor)| tensor).collect())
}
