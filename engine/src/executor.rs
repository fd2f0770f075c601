//! A model ready to label slices, on whatever runs it best.

use std::thread::available_parallelism;

use crate::cpu::{self, KernelSet, f32, int8};
use crate::device::{DeviceError, NAMES};
use crate::model::LogitsModel;
use crate::package::Model;

/// A model that runs.
pub struct Running {
    /// Copies of it, each to be called from a thread of its own. They share their weights where they can.
    pub models: Vec<Box<dyn LogitsModel + Send>>,
    /// What runs it.
    pub engine: Engine,
    /// Multiplications of bytes for one slice; only known of integers.
    pub macs: Option<u64>,
}

/// What runs a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Name of the device.
    pub device: &'static str,
    /// Arithmetic of convolutions.
    pub arithmetic: Arithmetic,
    /// The CPU's kernels that run; `None` on other devices.
    pub kernels: Option<KernelSet>,
    /// CPU threads it uses; 1 on other devices.
    pub threads: usize,
}

/// Arithmetic of convolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Products of 8-bit integers.
    Int8,
    /// Floating point of 32 bits.
    F32,
}

impl Arithmetic {
    /// The name used in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::F32 => "f32",
        }
    }
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.arithmetic.name(), self.device)?;
        if let Some(kernels) = self.kernels {
            let threads = if self.threads == 1 {
                "thread"
            } else {
                "threads"
            };
            write!(f, " ({kernels}, {} {threads})", self.threads)?;
        }
        Ok(())
    }
}

/// Why a model does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The device cannot be had.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The integer executor refuses it.
    #[error(transparent)]
    Integers(#[from] int8::NetworkError),
    /// The float executor refuses it.
    #[error(transparent)]
    Floats(#[from] f32::NetworkError),
    /// The kernels that the environment names are not there.
    #[error(transparent)]
    Kernels(#[from] cpu::KernelError),
    /// Burn refuses it.
    #[cfg(feature = "burn")]
    #[error(transparent)]
    Burn(#[from] crate::burn::ExecutorError),
}

/// How a model's work is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Each thread labels slices of its own: most slices in a second.
    Slices,
    /// All threads work on one slice: the first slice as soon as possible.
    OneSlice,
}

/// Gets a model ready on a device of [`NAMES`], for whole scans, with `threads` CPU threads or all there are.
///
/// `auto` takes a GPU that is compiled in and present, and else the CPU; there it never fails for want of a device. On the CPU a
/// quantised model runs in integers, any other in f32.
pub fn start(model: Model, device: &str, threads: Option<usize>) -> Result<Running, StartError> {
    start_with(model, device, threads, Sharing::Slices)
}

/// The same with a choice of how the work is divided.
pub fn start_with(
    model: Model,
    device: &str,
    threads: Option<usize>,
    sharing: Sharing,
) -> Result<Running, StartError> {
    if !NAMES.contains(&device.split(':').next().unwrap_or_default()) {
        return Err(DeviceError::Unknown(device.to_owned()).into());
    }
    #[cfg(feature = "burn")]
    if let Some(running) = on_gpu(&model, device)? {
        return Ok(running);
    }
    #[cfg(not(feature = "burn"))]
    refuse_gpu(device)?;
    let threads = threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    let threads = threads.max(1);
    if int8::is_quantised(model.program()) {
        integers(model, threads, sharing)
    } else {
        let settings = f32::Settings {
            threads,
            ..f32::Settings::default()
        };
        let network = f32::Network::from_model(model, settings)?;
        Ok(Running {
            engine: Engine {
                device: "cpu",
                arithmetic: Arithmetic::F32,
                kernels: Some(network.kernels()),
                threads,
            },
            // Its weights are four times as large and not shared: all threads work on one slice.
            models: vec![Box::new(network)],
            macs: None,
        })
    }
}

fn integers(model: Model, threads: usize, sharing: Sharing) -> Result<Running, StartError> {
    let (manifest, program, tensors) = model.into_parts();
    let preprocess = manifest.input.preprocess;
    let together = match sharing {
        Sharing::Slices => 1,
        Sharing::OneSlice => threads,
    };
    let options = int8::Options {
        size: [preprocess.rows, preprocess.cols],
        input_scale: f32::from(manifest.input.scale),
        threads: together,
        kernels: int8::KERNELS.choose()?,
    };
    let first = int8::Network::new(&program, tensors, options)?;
    let (macs, kernels) = (first.footprint().macs, first.kernels());
    let mut models: Vec<Box<dyn LogitsModel + Send>> = Vec::with_capacity(threads);
    for _ in together..threads {
        models.push(Box::new(first.twin()?));
    }
    models.push(Box::new(first));
    Ok(Running {
        models,
        macs: Some(macs),
        engine: Engine {
            device: "cpu",
            arithmetic: Arithmetic::Int8,
            kernels: Some(kernels),
            threads,
        },
    })
}

/// The model on the GPU that is wanted, or `None` where it is the CPU's.
#[cfg(feature = "burn")]
fn on_gpu(model: &Model, device: &str) -> Result<Option<Running>, StartError> {
    let device = crate::device::select(device)?;
    let name = crate::device::name(&device);
    if name == "cpu" {
        return Ok(None);
    }
    let executor = crate::burn::Executor::new(model, &device)?;
    Ok(Some(Running {
        models: vec![Box::new(executor)],
        macs: None,
        engine: Engine {
            device: name,
            arithmetic: Arithmetic::F32,
            kernels: None,
            threads: 1,
        },
    }))
}

#[cfg(not(feature = "burn"))]
fn refuse_gpu(device: &str) -> Result<(), DeviceError> {
    let wanted = device.split(':').next().unwrap_or_default();
    let gpus = NAMES
        .iter()
        .find(|&&name| name == wanted && name != "auto" && name != "cpu");
    gpus.map_or(Ok(()), |&name| Err(DeviceError::NotCompiled { name }))
}
