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
//! let mut network = Network::new(&program, &tensors, [64, 64], Settings::default())?;
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
use crate::model::{EngineError, SliceModel};
use crate::package::{MAX_VALUE_BYTES, Model};
use crate::program::{Program, ProgramError, RewriteError, Rewrites, Tensors, ValueId, rewrite};

use super::VARIABLE;
use super::kernels::f32::{Region, Schedule};
use lower::{Lowered, Options, lower};

pub use super::kernels::f32::Kernels;
pub use observer::Observer;

/// Largest side of an image, in pixels.
const MAX_SIDE: usize = 1 << 16;

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
    /// The kernels; `None` for those that [`VARIABLE`] names, or else the fastest there are.
    pub kernels: Option<Kernels>,
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
    /// The slice size does not fit.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The values or weights do not fit the memory.
    #[error("the network needs more memory for images of {rows} x {cols} pixels than there is")]
    Memory {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// Kernels that nobody knows, or that are for another processor.
    #[error("this machine has no kernels named {name}; {VARIABLE} can be {available}")]
    Kernels {
        /// What was asked for.
        name: String,
        /// What there is.
        available: String,
    },
    /// The system refused threads.
    #[error("the system starts no {threads} threads ({reason})")]
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
    flips: bool,
    /// Sums of probabilities over the flips, `[rows, cols, classes]`; empty without flips.
    sums: Vec<f32>,
}

impl Network {
    /// Prepares a program for slices of `[rows, cols]` pixels. `tensors` may be dropped afterwards.
    pub fn new(
        program: &Program,
        tensors: &Tensors,
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
        accepts(program, tensors, size)?;
        let (program, tensors) = rewrite(program, tensors, rewrites)?;
        Ok(Self {
            core: Core::new(&program, &tensors, size, planes, settings, true)?,
            flips: false,
            sums: Vec::new(),
        })
    }

    /// Prepares a model for the slices its preprocessing makes. The model knows its input scale better than the settings.
    pub fn from_model(model: &Model, settings: Settings) -> Result<Self, NetworkError> {
        let input = model.manifest().input;
        let settings = Settings {
            input_scale: f32::from(input.scale),
            ..settings
        };
        let size = [input.preprocess.rows, input.preprocess.cols];
        Self::new(model.program(), model.tensors(), size, settings)
    }

    /// Whether labels come from the mean probabilities over the image and its three mirror images. Logits do not change.
    #[must_use]
    pub fn averaging_flips(mut self, flips: bool) -> Self {
        self.flips = flips;
        let [rows, cols] = self.core.size;
        let len = if flips {
            rows * cols * self.core.classes
        } else {
            0
        };
        self.sums = vec![0.0; len];
        self
    }

    /// The kernels it runs on.
    pub const fn kernels(&self) -> Kernels {
        self.core.kernels
    }

    /// Bytes of memory that its values take, the kernels' working space included.
    pub const fn value_bytes(&self) -> usize {
        self.core.schedule.bytes()
    }

    /// Logits of `batch` slices: from `[batch, planes, rows, cols]`, normalised to 0 ..= 1, to `[batch, classes, rows, cols]`.
    pub fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
        self.core.logits(images, batch, self.core.scale)
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
        let core = &mut self.core;
        let ([rows, cols], classes) = (core.size, core.classes);
        let pixels = rows * cols;
        length(
            "the label buffer",
            batch.saturating_mul(pixels),
            labels.len(),
        )?;
        let images = core.slices(images, batch)?;
        for (image, labels) in images.zip(labels.chunks_exact_mut(pixels)) {
            if !self.flips {
                core.run(image, core.scale, [false; 2]);
                labels::argmax(core.found(), classes, labels)?;
                continue;
            }
            self.sums.fill(0.0);
            for flip in [[false, false], [false, true], [true, false], [true, true]] {
                core.run(image, core.scale, flip);
                let shape = [rows, cols, classes];
                labels::add_probabilities(core.found(), shape, flip, &mut self.sums);
            }
            labels::argmax(&self.sums, classes, labels)?;
        }
        Ok(())
    }
}

/// What networks and observers share: a lowered program and how images enter it.
struct Core {
    schedule: Schedule,
    team: Team,
    kernels: Kernels,
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
        tensors: &Tensors,
        [rows, cols]: [usize; 2],
        planes: usize,
        settings: Settings,
        fuse: bool,
    ) -> Result<Self, NetworkError> {
        let plan = program.check(tensors)?;
        let kernels = chosen(settings.kernels)?;
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
        } = lower(program, tensors, &plan, [rows, cols], options).ok_or(memory.clone())?;
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
    fn enter(&mut self, image: &[f32], scale: f32, [down, across]: [bool; 2]) {
        let ([rows, cols], channels) = (self.size, self.channels);
        let planes = image.chunks_exact(rows * cols).cycle().take(channels);
        let values = self.schedule.write(self.input);
        for (channel, plane) in planes.enumerate() {
            let lines = plane.chunks_exact(cols).enumerate();
            for (row, line) in lines {
                let row = if down { rows - 1 - row } else { row };
                let values = &mut values[row * cols * channels..][..cols * channels];
                let values = values.iter_mut().skip(channel).step_by(channels);
                if across {
                    values
                        .zip(line.iter().rev())
                        .for_each(|(value, x)| *value = x * scale);
                } else {
                    values.zip(line).for_each(|(value, x)| *value = x * scale);
                }
            }
        }
    }

    /// Computes the logits of one image, mirrored first by rows and columns as told.
    fn run(&mut self, image: &[f32], scale: f32, flip: [bool; 2]) {
        self.enter(image, scale, flip);
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
            self.run(image, scale, [false; 2]);
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

fn length(what: &'static str, expected: usize, found: usize) -> Result<(), EngineError> {
    if expected == found {
        Ok(())
    } else {
        Err(EngineError::Length {
            what,
            expected,
            found,
        })
    }
}

/// Whether the program is sound, takes images of this size, and has values that a machine can hold.
fn accepts(
    program: &Program,
    tensors: &Tensors,
    [rows, cols]: [usize; 2],
) -> Result<(), NetworkError> {
    let plan = program.check(tensors)?;
    if !plan.accepts(rows, cols) {
        let multiple = program.multiple;
        return Err(EngineError::Size {
            rows,
            cols,
            multiple,
        }
        .into());
    }
    let fits = rows.max(cols) <= MAX_SIDE && plan.peak_value_bytes(rows, cols) <= MAX_VALUE_BYTES;
    if fits {
        Ok(())
    } else {
        Err(NetworkError::Memory { rows, cols })
    }
}

/// The kernels asked for, by the caller or by the environment, or else the fastest.
fn chosen(asked: Option<Kernels>) -> Result<Kernels, NetworkError> {
    let name = match asked {
        Some(kernels) if kernels.is_available() => return Ok(kernels),
        Some(kernels) => kernels.name().to_owned(),
        None => match std::env::var_os(VARIABLE) {
            None => return Ok(Kernels::best()),
            Some(name) => name.to_string_lossy().into_owned(),
        },
    };
    match Kernels::named(&name) {
        Some(kernels) if kernels.is_available() => Ok(kernels),
        _ => {
            let names: Vec<&str> = Kernels::available().map(Kernels::name).collect();
            Err(NetworkError::Kernels {
                name,
                available: names.join(", "),
            })
        }
    }
}
