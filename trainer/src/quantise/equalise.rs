//! Channels of one value made equally large, so that one grid fits them all.
//!
//! A rectified channel divided by a number above 0, and the weights that read it multiplied by the same number, change nothing in
//! real arithmetic. But a value has one grid for all its channels: those that never get large use few of its steps, and after the division they
//! use more. What is gained there is lost where weights become more unequal, so that the strength of it is measured (compare Nagel et
//! al., ICCV 2019, section 4.1, and Xiao et al., "`SmoothQuant`", ICML 2023, section 4).

use std::collections::BTreeMap;

use nephrobox_engine::program::{
    Op, Precision, Program, Tensor, TensorId, Tensors, ValueId, sites,
};

use super::{Job, calibrate, network};
use crate::train::TrainError;

/// No channel is enlarged by more than this: a dead one would become the loudest.
const MOST: f32 = 64.0;

/// Largest number of each channel of what convolutions read.
pub(super) type Largest = BTreeMap<ValueId, Vec<f32>>;

/// Measures the channels.
pub(super) fn largest(job: &Job<'_>, slices: &[u32]) -> Result<Largest, TrainError> {
    let sites = sites(&job.program).into_iter();
    let mut largest: Largest = sites
        .filter(|site| site.precision == Precision::U8)
        .map(|site| (site.value, Vec::new()))
        .collect();
    let plan = job.program.check(&job.tensors).map_err(network)?;
    let values: Vec<ValueId> = largest.keys().copied().collect();
    let mut float = calibrate::float(job, &job.program, &job.tensors)?;
    for &index in slices {
        let mut look = |value: ValueId, numbers: &[f32]| {
            let channels = plan.shape(value).channels;
            let Some(largest) = largest.get_mut(&value) else {
                return;
            };
            largest.resize(channels, 0.0);
            for (most, plane) in largest
                .iter_mut()
                .zip(numbers.chunks_exact(numbers.len() / channels))
            {
                *most = plane.iter().fold(*most, |m, &x| m.max(x));
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
    Ok(largest)
}

/// The tensors with channels equalised: with strength 1 all channels become as large as the largest, with 0 none changes.
pub(super) fn equalise(
    program: &Program,
    tensors: &Tensors,
    largest: &Largest,
    strength: f32,
) -> Result<Tensors, TrainError> {
    let mut work = Work {
        program,
        numbers: tensors.iter().map(Tensor::to_f32).collect(),
        tensors,
    };
    for (&value, channels) in largest {
        let most = channels.iter().fold(0.0_f32, |m, &x| m.max(x));
        let factor = |&x: &f32| {
            if x > 0.0 {
                (most / x).powf(strength).min(MOST)
            } else {
                1.0
            }
        };
        let factors: Vec<f32> = channels.iter().map(factor).collect();
        work.scale(value, &factors);
    }
    let tensor = |(tensor, numbers): (&Tensor, Vec<f32>)| {
        Tensor::f32(tensor.name(), tensor.shape().to_vec(), numbers).map_err(network)
    };
    tensors.iter().zip(work.numbers).map(tensor).collect()
}

struct Work<'a> {
    program: &'a Program,
    tensors: &'a Tensors,
    numbers: Vec<Vec<f32>>,
}

/// What must be multiplied for a value to become larger, or smaller again where it is read.
#[derive(Default)]
struct Places {
    /// Tensors with one number for each channel.
    vectors: Vec<TensorId>,
    /// Kernels by output channel.
    makers: Vec<TensorId>,
    /// Kernels by input channel.
    readers: Vec<TensorId>,
    /// Scales that read it.
    scales: Vec<TensorId>,
}

impl Work<'_> {
    /// Multiplies the channels of a value by `factors`, if everything around it can take that.
    fn scale(&mut self, value: ValueId, factors: &[f32]) {
        let mut places = Places::default();
        if self.makers(value, true, &mut places).is_none()
            || self.readers(value, &mut places).is_none()
        {
            return;
        }
        // A tensor in two places would be multiplied twice.
        let mut all: Vec<TensorId> = [
            &places.vectors,
            &places.makers,
            &places.readers,
            &places.scales,
        ]
        .into_iter()
        .flatten()
        .copied()
        .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        if all.len() < count || all.iter().any(|&id| self.uses(id) > 1) {
            return;
        }
        for id in places.vectors {
            for (x, factor) in self.numbers[id.index()].iter_mut().zip(factors) {
                *x *= factor;
            }
        }
        for id in places.scales {
            for (x, factor) in self.numbers[id.index()].iter_mut().zip(factors) {
                *x /= factor;
            }
        }
        for id in places.makers {
            let size = self.kernel(id);
            for (number, kernel) in self.numbers[id.index()].chunks_exact_mut(size).enumerate() {
                // The four phases of a doubled convolution follow each other.
                for w in kernel {
                    *w *= factors[number % factors.len()];
                }
            }
        }
        for id in places.readers {
            let taps = self.kernel(id) / factors.len();
            for (number, taps) in self.numbers[id.index()].chunks_exact_mut(taps).enumerate() {
                for w in taps {
                    *w /= factors[number % factors.len()];
                }
            }
        }
    }

    /// Numbers of one kernel.
    fn kernel(&self, id: TensorId) -> usize {
        let tensor = self.tensors.get(id);
        tensor.map_or(1, |tensor| tensor.shape()[1..].iter().product())
    }

    fn uses(&self, id: TensorId) -> usize {
        self.program
            .ops
            .iter()
            .flat_map(Op::tensors)
            .filter(|&other| other == id)
            .count()
    }

    fn read_by(&self, value: ValueId) -> impl Iterator<Item = &Op> {
        self.program
            .ops
            .iter()
            .filter(move |op| op.inputs().any(|input| input == value))
    }

    /// What makes a value, back to weights and shifts. Everything between must be read by nothing else.
    fn makers(&self, value: ValueId, rectified: bool, places: &mut Places) -> Option<()> {
        let op = self.program.ops.iter().find(|op| op.output() == value)?;
        if !rectified && self.read_by(value).count() != 1 {
            return None;
        }
        match *op {
            Op::Affine {
                scale, shift, relu, ..
            } if relu == rectified => {
                places.vectors.extend([scale, shift]);
                Some(())
            }
            Op::Relu { input, .. } if rectified => self.makers(input, false, places),
            Op::Conv2d { weight, bias, .. } | Op::UpConv2d { weight, bias, .. } if !rectified => {
                places.makers.push(weight);
                places.vectors.extend(bias);
                Some(())
            }
            Op::Add { a, b, .. } if !rectified => {
                self.makers(a, false, places)?;
                self.makers(b, false, places)
            }
            _ => None,
        }
    }

    /// What reads a value.
    fn readers(&self, value: ValueId, places: &mut Places) -> Option<()> {
        for op in self.read_by(value) {
            match *op {
                Op::Conv2d { weight, .. } | Op::UpConv2d { weight, .. } => {
                    places.readers.push(weight);
                }
                Op::MaxPool2d { output, .. } => self.readers(output, places)?,
                Op::Affine { scale, .. } => places.scales.push(scale),
                _ => return None,
            }
        }
        (value != self.program.output).then_some(())
    }
}
