//! The integer executor: a quantised program on 8-bit convolutions, on any CPU, always with the same result to the byte.
//!
//! Everything is planned when a network is made: which operations are one step, where each value lies in one piece of memory, in which
//! order weights are read. A slice then allocates nothing and asks nothing of the operating system.

mod build;
mod graph;

use std::sync::Arc;

use crate::cpu::kernels::int8::{self, GROUP, Machine, Step, peak as measured_peak};
use crate::cpu::kernels::memory::Memory;
use crate::cpu::kernels::{KernelError, KernelSet, KernelSets};
use crate::cpu::team::Team;
use crate::model::{EngineError, LogitsModel, SliceModel, length};
use crate::program::{ArgmaxError, FitError, Op, Program, ProgramError, Tensors};

/// The instruction sets this executor has kernels for.
pub const KERNELS: KernelSets = int8::KERNELS;

/// A quantised program, packed and planned for one size of slice.
pub struct Network {
    machine: Arc<Machine>,
    set: KernelSet,
    memory: Memory,
    scratch: Vec<Memory>,
    logits: Option<Memory>,
    team: Team,
    rows: usize,
    cols: usize,
    classes: usize,
    labels: usize,
}

/// How a network is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Rows and columns of slices, in pixels.
    pub size: [usize; 2],
    /// What pixels in 0 ..= 1 are multiplied by before they enter the program.
    pub input_scale: f32,
    /// Threads that work on one slice together; at least 1.
    pub threads: usize,
    /// The instructions it may use: it runs on the fastest of [`KERNELS`] within them.
    pub kernels: KernelSet,
}

/// Why a network could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The program is not sound.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The slice size does not fit, or would take too much memory or work.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The system has no memory for the values.
    #[error(
        "the network needs more memory for images of {rows} x {cols} pixels than there is; close other programs, or use a larger machine"
    )]
    Memory {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// Something in the program is not written for integers.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// Sums of a convolution might not fit into 32 bits.
    #[error(
        "a convolution has so many or so large weights that its sums might overflow; quantise the model again"
    )]
    TooLarge,
    /// Some image could make a number that is infinite or none.
    #[error(
        "the grids or factors around an operation are so far apart that its results might be no numbers; quantise the model again"
    )]
    Factors,
    /// The wanted kernels are not there.
    #[error(transparent)]
    Kernels(#[from] KernelError),
    /// The system refused threads.
    #[error("{0} threads cannot be started ({1}); ask for fewer")]
    Threads(usize, String),
}

/// An operation that cannot be computed in integers where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "operation {op} ({name}) is not quantised in a way that the integer executor knows; quantise the model, or run it in floating point"
)]
pub struct Unsupported {
    /// Its position; one behind the last for the logits.
    pub op: usize,
    /// What it does.
    pub name: &'static str,
}

/// Whether a program says where it is computed in integers.
pub fn is_quantised(program: &Program) -> bool {
    program
        .ops
        .iter()
        .any(|op| matches!(op, Op::Quantise { .. }))
}

/// Additions and multiplications of bytes that this processor's registers can do in a second on some threads together, as measured now,
/// which takes some 60 ms: the limit of every kernel of the set. `None` for kernels without an instruction for products of bytes.
pub fn peak(kernels: KernelSet, threads: usize) -> Result<Option<f64>, NetworkError> {
    if !kernels.is_available() {
        return Err(KernelError::Absent(kernels).into());
    }
    let team = Team::new(threads).map_err(|e| NetworkError::Threads(threads, e.to_string()))?;
    Ok(measured_peak(kernels, &team))
}

impl Network {
    /// Checks, plans and packs a program, in this order: what it refuses has taken no memory. Its tensors are consumed, so that weights are not in memory twice.
    pub fn new(
        program: &Program,
        tensors: Tensors,
        options: Options,
    ) -> Result<Self, NetworkError> {
        let plan = program.check(&tensors)?;
        let [rows, cols] = options.size;
        plan.fits(rows, cols)?;
        let set = KERNELS.within(options.kernels)?;
        let graph = graph::Graph::new(program, &tensors, &plan, f64::from(options.input_scale))?;
        let short = || NetworkError::Memory { rows, cols };
        let built = build::build(&graph, &plan, tensors, options.size, options.threads)?;
        let team = Team::new(options.threads)
            .map_err(|e| NetworkError::Threads(options.threads, e.to_string()))?;
        Ok(Self {
            machine: Arc::new(Machine::new(set, built.steps)),
            set,
            memory: Memory::zeros(built.memory).ok_or_else(short)?,
            scratch: (0..team.threads())
                .map(|_| Memory::zeros(built.scratch))
                .collect::<Option<_>>()
                .ok_or_else(short)?,
            logits: None,
            team,
            rows,
            cols,
            classes: program.classes as usize,
            labels: built.labels,
        })
    }

    /// Another network with the same weights, which are shared, and memory of its own, for one thread: several slices can then be labelled
    /// at once.
    pub fn twin(&self) -> Result<Self, NetworkError> {
        let zeros = |like: &Memory| {
            Memory::zeros(like.len()).ok_or(NetworkError::Memory {
                rows: self.rows,
                cols: self.cols,
            })
        };
        Ok(Self {
            machine: Arc::clone(&self.machine),
            memory: zeros(&self.memory)?,
            scratch: vec![zeros(&self.scratch[0])?],
            logits: None,
            team: Team::new(1).map_err(|e| NetworkError::Threads(1, e.to_string()))?,
            ..*self
        })
    }

    /// The kernels it uses.
    pub const fn kernels(&self) -> KernelSet {
        self.set
    }

    const fn logits_bytes(&self) -> usize {
        4 * self.rows * self.cols * GROUP
    }

    /// Multiplications for one slice, and bytes of packed weights, values and scratch.
    pub fn footprint(&self) -> Footprint {
        let convs = || {
            self.machine.steps().filter_map(|step| match step {
                Step::Conv(conv) => Some(conv),
                _ => None,
            })
        };
        Footprint {
            macs: convs().map(|conv| conv.macs()).sum(),
            weights: convs().map(|conv| conv.weight_bytes()).sum(),
            values: self.memory.len() + self.scratch.iter().map(Memory::len).sum::<usize>(),
            logits: self.logits_bytes(),
        }
    }

    fn run(&mut self, image: &[f32], logits: Option<&Memory>) -> Result<(), EngineError> {
        // Integers cannot carry it to the logits, where others would find it.
        if image.iter().any(|x| x.is_nan()) {
            return Err(ArgmaxError::NotANumber.into());
        }
        self.machine.run(
            image,
            &mut self.memory,
            &mut self.scratch,
            logits,
            &self.team,
        );
        Ok(())
    }
}

/// What a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Multiplications for one slice.
    pub macs: u64,
    /// Bytes of packed weights.
    pub weights: usize,
    /// Bytes of values and scratch.
    pub values: usize,
    /// Bytes of logits, for whoever asks for them and not for labels.
    pub logits: usize,
}

impl SliceModel for Network {
    fn rows(&self) -> usize {
        self.rows
    }

    fn cols(&self) -> usize {
        self.cols
    }

    fn batch(&self) -> usize {
        1
    }

    fn segment(
        &mut self,
        images: &[f32],
        batch: usize,
        labels: &mut [u8],
    ) -> Result<(), EngineError> {
        self.shape().fits(images, batch, labels)?;
        let pixels = self.rows * self.cols;
        for (image, labels) in images
            .chunks_exact(pixels)
            .zip(labels.chunks_exact_mut(pixels))
        {
            self.run(image, None)?;
            labels.copy_from_slice(self.memory.bytes(self.labels, pixels));
        }
        Ok(())
    }
}

impl LogitsModel for Network {
    fn classes(&self) -> usize {
        self.classes
    }

    fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
        let pixels = self.rows * self.cols;
        let all = batch.max(1).saturating_mul(pixels);
        length("the batch of images", all, images.len())?;
        let memory = self.logits_bytes();
        let mut logits = match self.logits.take() {
            Some(logits) => logits,
            None => Memory::zeros(memory).ok_or_else(|| EngineError::Device {
                device: "cpu",
                reason: format!("{memory} bytes of memory for logits are not to be had"),
            })?,
        };
        let mut found = Vec::with_capacity(all * self.classes);
        let mut done = Ok(());
        for image in images.chunks_exact(pixels) {
            done = self.run(image, Some(&logits));
            if done.is_err() {
                break;
            }
            let all = logits.bytes(0, memory).as_chunks::<4>().0;
            for class in 0..self.classes {
                let plane = all.iter().skip(class).step_by(GROUP);
                found.extend(plane.map(|&b| f32::from_ne_bytes(b)));
            }
        }
        self.logits = Some(logits);
        done.map(|()| found)
    }
}
