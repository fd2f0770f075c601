//! The f32 executor for any CPU: for evaluation on machines without a GPU, and for calibration.
//!
//! A program is rewritten and lowered once, for images of one size: values get their places in one piece of memory, weights the
//! order in which kernels read them, and every step its algorithm. After that a slice costs no allocation.
//!
//! ```
//! use nephrobox_engine::cpu::f32::{Network, Settings};
//! use nephrobox_engine::model::SliceModel as _;
//! use nephrobox_engine::program::{Builder, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut b = Builder::new(1, 32);
//! let weight = b.tensor(Tensor::f32("head", vec![3, 1, 1, 1], vec![0.0, 1.0, -1.0])?);
//! let logits = b.conv2d(b.input(), weight, None, 1, 0);
//! let (program, tensors) = b.finish(logits, 3)?;
//! let mut network = Network::new(&program, tensors, [64, 64], Settings::default())?;
//! let mut labels = vec![9; 64 * 64];
//! network.segment(&[0.5; 64 * 64], 1, &mut labels)?;
//! assert!(labels.iter().all(|&label| label == 1));
//! # Ok(())
//! # }
//! ```
//!
//! [`Network`] runs fast; [`Observer`] runs the program as it is written and shows every value.

mod graph;
mod labels;
mod lower;
mod method;
mod observer;

use crate::cpu::team::Team;
use crate::model::{EngineError, LogitsModel, SliceModel, length};
use crate::package::Model;
use crate::program::{
    FitError, Program, ProgramError, RewriteError, Rewrites, Tensors, ValueId, rewrite,
};

use super::kernels::f32::{self, Region, Schedule};
use super::kernels::{KernelError, KernelSet, KernelSets};
use lower::{Lowered, Options, Shortage, lower};

pub use observer::Observer;

/// The instruction sets this executor has kernels for.
pub const KERNELS: KernelSets = f32::KERNELS;

/// How a network is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What pixels in 0 ..= 1 are multiplied by before they enter the program.
    pub input_scale: f32,
    /// Threads that work on a slice together. 1 is the caller's own.
    pub threads: usize,
    /// Whether each input channel has an image of its own, as when a slice is read with its two neighbours; else all channels are
    /// the same slice, and the first convolution reads it once.
    pub neighbours: bool,
    /// The instructions it may use: it runs on the fastest of [`KERNELS`] within them. `None` for those that
    /// [`VARIABLE`](super::VARIABLE) names, or else all there are.
    pub kernels: Option<KernelSet>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            input_scale: 1.0,
            threads: 1,
            neighbours: false,
            kernels: None,
        }
    }
}

/// Why a network could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The program is not sound.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The program could not be rewritten.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// The slice size does not fit, or would take too much memory or work.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The system has no memory for the values or weights.
    #[error(
        "the network needs more memory for images of {rows} x {cols} pixels than there is; close other programs, or use a larger machine"
    )]
    Memory {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// The wanted kernels are not there.
    #[error(transparent)]
    Kernels(#[from] KernelError),
    /// The system refused threads.
    #[error("{threads} threads cannot be started ({reason}); ask for fewer")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What it says.
        reason: String,
    },
}

/// A network for slices of one size, ready to run.
pub struct Network {
    core: Core,
}

impl Network {
    /// Prepares a program for slices of `[rows, cols]` pixels. Its tensors are consumed, one after another, so that weights are not in
    /// memory twice.
    pub fn new(
        program: &Program,
        tensors: Tensors,
        size: [usize; 2],
        settings: Settings,
    ) -> Result<Self, NetworkError> {
        let planes = if settings.neighbours {
            program.input_channels as usize
        } else {
            1
        };
        let rewrites = Rewrites {
            phases: false,
            repeated: planes == 1,
        };
        program.check(&tensors)?.fits(size[0], size[1])?;
        let (program, tensors) = rewrite(program, tensors, rewrites)?;
        let core = Core::new(&program, tensors, size, planes, settings, true)?;
        Ok(Self { core })
    }

    /// Prepares a model for the slices its preprocessing makes. The model knows its input scale better than the settings.
    pub fn from_model(model: Model, settings: Settings) -> Result<Self, NetworkError> {
        let (manifest, program, tensors) = model.into_parts();
        let input = manifest.input;
        let settings = Settings {
            input_scale: f32::from(input.scale),
            ..settings
        };
        let size = [input.preprocess.rows, input.preprocess.cols];
        Self::new(&program, tensors, size, settings)
    }

    /// The kernels it runs on.
    pub const fn kernels(&self) -> KernelSet {
        self.core.kernels
    }

    /// Bytes of memory that its values take, the kernels' working space included.
    pub const fn value_bytes(&self) -> usize {
        self.core.schedule.bytes()
    }

    /// Logits of values as the program itself reads them: `[batch, planes, rows, cols]`, not scaled.
    ///
    /// For comparing the program with the network it was lowered from; with [`Settings::neighbours`] every input channel is a plane.
    pub fn raw_logits(&mut self, values: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
        self.core.logits(values, batch, 1.0)
    }
}

impl SliceModel for Network {
    fn rows(&self) -> usize {
        self.core.size[0]
    }

    fn cols(&self) -> usize {
        self.core.size[1]
    }

    fn planes(&self) -> usize {
        self.core.planes
    }

    fn batch(&self) -> usize {
        // One slice keeps all threads busy, and its values stay in the caches.
        1
    }

    fn segment(
        &mut self,
        images: &[f32],
        batch: usize,
        labels: &mut [u8],
    ) -> Result<(), EngineError> {
        self.shape().fits(images, batch, labels)?;
        let core = &mut self.core;
        let pixels = core.size[0] * core.size[1];
        let images = core.slices(images, batch)?;
        for (image, labels) in images.zip(labels.chunks_exact_mut(pixels)) {
            core.run(image, core.scale);
            labels::argmax(core.found(), core.classes, labels)?;
        }
        Ok(())
    }
}

impl LogitsModel for Network {
    fn classes(&self) -> usize {
        self.core.classes
    }

    fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
        self.core.logits(images, batch, self.core.scale)
    }
}

/// What networks and observers share: a lowered program and how images enter it.
struct Core {
    schedule: Schedule,
    team: Team,
    kernels: KernelSet,
    size: [usize; 2],
    classes: usize,
    /// Images for each slice, repeated over the channels that the program reads.
    planes: usize,
    channels: usize,
    scale: f32,
    input: Region,
    output: Region,
    /// For each layer the values it defines, and its steps.
    layers: Vec<(Vec<ValueId>, std::ops::Range<usize>)>,
    /// Where each value lies while it is alive.
    values: Vec<Option<Region>>,
}

impl Core {
    fn new(
        program: &Program,
        tensors: Tensors,
        [rows, cols]: [usize; 2],
        planes: usize,
        settings: Settings,
        fuse: bool,
    ) -> Result<Self, NetworkError> {
        let plan = program.check(&tensors)?;
        let kernels = match settings.kernels {
            Some(set) => KERNELS.within(set)?,
            None => KERNELS.choose()?,
        };
        let threads = settings.threads.max(1);
        let options = Options {
            kernels,
            threads,
            fuse,
        };
        let memory = NetworkError::Memory { rows, cols };
        let Lowered {
            schedule,
            layers,
            values,
        } = lower(program, tensors, &plan, [rows, cols], options).map_err(|short| match short {
            Shortage::Limit(error) => error.into(),
            Shortage::System => memory.clone(),
        })?;
        let team = Team::new(threads).map_err(|e| NetworkError::Threads {
            threads,
            reason: e.to_string(),
        })?;
        let region = |value: ValueId| values[value.index()].ok_or(memory.clone());
        Ok(Self {
            input: region(ValueId::INPUT)?,
            output: region(program.output)?,
            schedule,
            team,
            kernels,
            size: [rows, cols],
            classes: program.classes as usize,
            planes,
            channels: program.input_channels as usize,
            scale: settings.input_scale,
            layers,
            values,
        })
    }

    /// The batch's images one by one, if there are as many numbers as belong.
    fn slices<'a>(
        &self,
        images: &'a [f32],
        batch: usize,
    ) -> Result<std::slice::ChunksExact<'a, f32>, EngineError> {
        let each = self.planes * self.size[0] * self.size[1];
        let expected = batch.max(1).saturating_mul(each);
        length("the batch of images", expected, images.len())?;
        Ok(images.chunks_exact(each))
    }

    /// Puts an image, `[planes, rows, cols]`, where the program reads it, `[rows, cols, channels]`.
    fn enter(&mut self, image: &[f32], scale: f32) {
        let (pixels, channels) = (self.size[0] * self.size[1], self.channels);
        let planes = image.chunks_exact(pixels).cycle().take(channels);
        let values = self.schedule.write(self.input);
        for (channel, plane) in planes.enumerate() {
            let values = values.iter_mut().skip(channel).step_by(channels);
            values.zip(plane).for_each(|(value, x)| *value = x * scale);
        }
    }

    /// Computes the logits of one image.
    fn run(&mut self, image: &[f32], scale: f32) {
        self.enter(image, scale);
        self.schedule.run(&self.team, 0..self.schedule.len());
    }

    /// The logits of the last image, `[rows, cols, classes]`.
    fn found(&self) -> &[f32] {
        self.schedule.read(self.output)
    }

    fn logits(
        &mut self,
        images: &[f32],
        batch: usize,
        scale: f32,
    ) -> Result<Vec<f32>, EngineError> {
        let images = self.slices(images, batch)?;
        let mut logits = Vec::with_capacity(images.len() * self.output.len);
        for image in images {
            self.run(image, scale);
            planes(self.found(), self.classes, &mut logits);
        }
        Ok(logits)
    }
}

/// Appends an image `[pixels, channels]` as `[channels, pixels]`.
fn planes(image: &[f32], channels: usize, out: &mut Vec<f32>) {
    for channel in 0..channels {
        out.extend(image.iter().skip(channel).step_by(channels));
    }
}
