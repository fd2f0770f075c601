//! Signal-to-noise ratios: where accuracy goes.

use nephrobox_engine::package::Model;
use nephrobox_engine::program::{Op, Precision, Site, ValueId};

use super::{Grids, Job, calibrate, network};
use crate::train::TrainError;

/// Signal and noise so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noise {
    signal: f64,
    noise: f64,
}

impl Noise {
    /// Adds numbers that should be `wanted` and are `found`.
    pub(super) fn add(&mut self, wanted: &[f32], found: &[f32]) {
        for (&wanted, &found) in wanted.iter().zip(found) {
            self.signal += f64::from(wanted).powi(2);
            self.noise += f64::from(wanted - found).powi(2);
        }
    }

    /// Ten times the decimal logarithm of the ratio; infinite without noise, NaN if there was no signal either.
    pub(super) fn decibels(&self) -> f64 {
        10.0 * (self.signal / self.noise).log10()
    }
}

/// One rounding.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The kernel whose convolution made the value, or what else did.
    pub name: String,
    /// How it is rounded.
    pub precision: Precision,
    /// Distance of two neighbouring numbers.
    pub step: f32,
    /// Share of numbers beyond the grid's end.
    pub clipped: f64,
    /// Signal-to-noise ratio of this rounding alone, in dB.
    pub alone: f64,
    /// Signal-to-noise ratio of the value with all roundings before it, in dB.
    pub sum: f64,
}

/// Measures every rounding on some slices. `quantised` is what was made of the job's program, `grids` the sites of the latter.
pub(super) fn layers(
    job: &Job<'_>,
    quantised: &Model,
    grids: &Grids,
    slices: &[u32],
) -> Result<Vec<Layer>, TrainError> {
    // Rounding operations stand in the order of the sites.
    let rounded: Vec<ValueId> = quantised
        .program()
        .ops
        .iter()
        .filter(|op| matches!(op, Op::Quantise { .. }))
        .map(Op::output)
        .collect();
    let mut float = calibrate::float(job, &job.program, &job.tensors)?;
    let mut integers = calibrate::float(job, quantised.program(), quantised.tensors())?;
    let values: Vec<ValueId> = grids.iter().map(|(site, _)| site.value).collect();
    let mut alone = vec![Noise::default(); grids.len()];
    let mut sum = vec![Noise::default(); grids.len()];
    let mut clipped = vec![[0_u64; 2]; grids.len()];
    for &index in slices {
        let image = job.data.image(index);
        let mut exact: Vec<Vec<f32>> = vec![Vec::new(); grids.len()];
        let mut look = |value: ValueId, numbers: &[f32]| {
            for (place, (site, step)) in grids
                .iter()
                .enumerate()
                .filter(|(_, (site, _))| site.value == value)
            {
                let [low, high] = site.precision.range();
                let grid: Vec<f32> = numbers
                    .iter()
                    .map(|x| (x / step).round_ties_even().clamp(low, high) * step)
                    .collect();
                // What a rectifier takes away is no noise.
                let numbers: Vec<f32> = match site.precision {
                    Precision::U8 => numbers.iter().map(|x| x.max(0.0)).collect(),
                    Precision::I16 => numbers.to_vec(),
                };
                alone[place].add(&numbers, &grid);
                let beyond = numbers
                    .iter()
                    .filter(|x| x.abs() > (high + 0.5) * step)
                    .count();
                clipped[place][0] += beyond as u64;
                clipped[place][1] += numbers.len() as u64;
                exact[place] = numbers;
            }
        };
        float
            .observe(image, 1, &|value| values.contains(&value), &mut look)
            .map_err(network)?;
        let mut look = |value: ValueId, numbers: &[f32]| {
            for (place, _) in rounded.iter().enumerate().filter(|(_, id)| **id == value) {
                sum[place].add(&exact[place], numbers);
            }
        };
        integers
            .observe(image, 1, &|value| rounded.contains(&value), &mut look)
            .map_err(network)?;
    }
    let row = |(place, (site, step)): (usize, &(Site, f32))| Layer {
        name: name(job, site.value),
        precision: site.precision,
        step: *step,
        clipped: clipped[place][0] as f64 / clipped[place][1].max(1) as f64,
        alone: alone[place].decibels(),
        sum: sum[place].decibels(),
    };
    Ok(grids.iter().enumerate().map(row).collect())
}

/// The kernel, or the scale, that the value comes from.
fn name(job: &Job<'_>, mut value: ValueId) -> String {
    loop {
        let Some(op) = job.program.ops.iter().find(|op| op.output() == value) else {
            return "image".into();
        };
        if let Some(tensor) = op.tensors().next().and_then(|id| job.tensors.get(id)) {
            return tensor.name().to_owned();
        }
        value = op.inputs().next().unwrap_or(ValueId::INPUT);
    }
}
