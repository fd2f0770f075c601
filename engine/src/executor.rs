//! A model ready to label slices, on whatever runs it best.

use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use nephrobox_shared::metrics::Scores;
use nephrobox_shared::package::TestScores;

use crate::cpu::{self, KernelSet, f32, int8};
use crate::device::{DeviceError, NAMES};
use crate::model::LogitsModel;
use crate::package::Model;
use crate::program::MAX_MEMORY_BYTES;

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
    /// What a GPU calls itself.
    pub part: Option<String>,
}

/// Arithmetic of convolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Products of 8-bit integers.
    Int8,
    /// Floating point of 32 bits.
    F32,
    /// Floating point of 16 bits, on GPUs.
    F16,
}

impl Arithmetic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Int8, Self::F32, Self::F16];

    /// The name used in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// The arithmetic of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The scores that a package has of its model in this arithmetic.
    pub const fn scores(self, scores: &TestScores) -> Option<&Scores> {
        match self {
            Self::Int8 => scores.int8.as_ref(),
            Self::F32 | Self::F16 => scores.float.as_ref(),
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
        if let Some(part) = &self.part {
            write!(f, " ({part})")?;
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

impl StartError {
    /// Whether the device is to blame, so that another one may do.
    pub const fn is_of_the_device(&self) -> bool {
        match self {
            Self::Device(_) => true,
            #[cfg(feature = "burn")]
            Self::Burn(error) => error.is_of_the_device(),
            _ => false,
        }
    }
}

/// How a model's work is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Each thread labels slices of its own: most slices in a second.
    Slices,
    /// All threads work on one slice: the first slice as soon as possible.
    OneSlice,
}

/// What a model is to run on, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A device of [`NAMES`], with or without a number: `cuda:1`.
    pub device: String,
    /// CPU threads; all there are if `None`.
    pub threads: Option<usize>,
    /// How integers are divided over CPU threads; in f32 all threads work on one slice whatever it says.
    pub sharing: Sharing,
    /// `None` takes integers on the CPU for a quantised model, and on a GPU the faster of the floating points it computes in, if the
    /// package's own slices come out right in it.
    pub arithmetic: Option<Arithmetic>,
    /// Where a GPU's kernels and the choices between them are kept from run to run. Only made where a GPU is used.
    pub caches: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            device: "auto".into(),
            threads: None,
            sharing: Sharing::Slices,
            arithmetic: None,
            caches: None,
        }
    }
}

/// What happens while a model is made ready on a GPU, which can take minutes the first time. Displayed, it is a line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Kernels are compiled, chosen and run.
    WarmingUp {
        /// Name of the device.
        device: &'static str,
        /// In which arithmetic.
        arithmetic: Arithmetic,
        /// Slices that will go through at once.
        batch: usize,
    },
    /// That is done, and the package's own slices came out right.
    Ready {
        /// Name of the device.
        device: &'static str,
        /// In which arithmetic.
        arithmetic: Arithmetic,
        /// How long it took.
        warm_up: Duration,
        /// What a slice takes from now on.
        slice: Duration,
    },
    /// An arithmetic was tried and is not used, since something was wrong with it.
    Declined {
        /// Which.
        arithmetic: Arithmetic,
        /// What was wrong.
        reason: String,
    },
    /// Kernels are not kept: the next start is as slow as this one.
    Forgetful {
        /// Why.
        reason: String,
    },
    /// A GPU is there and cannot be used; the CPU is taken.
    Fallback {
        /// Why.
        reason: String,
    },
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WarmingUp {
                device,
                arithmetic,
                batch,
            } => write!(
                f,
                "getting the {device} device ready in {}, for batches of {batch}; the first time takes longest",
                arithmetic.name()
            ),
            Self::Ready {
                device,
                arithmetic,
                warm_up,
                slice,
            } => write!(
                f,
                "{device} is ready in {} after {:.1} s; a slice takes {:.1} ms",
                arithmetic.name(),
                warm_up.as_secs_f64(),
                slice.as_secs_f64() * 1e3
            ),
            Self::Declined { arithmetic, reason } => {
                write!(f, "{} is not used: {reason}", arithmetic.name())
            }
            Self::Forgetful { reason } => {
                write!(f, "kernels are compiled anew at each start: {reason}")
            }
            Self::Fallback { reason } => write!(f, "the CPU is used: {reason}"),
        }
    }
}

/// Gets a model ready on a device of [`NAMES`], for whole scans, with `threads` CPU threads or all there are.
///
/// `auto` takes a GPU that is compiled in and present, and else the CPU; there it never fails for want of a device. On the CPU a
/// quantised model runs in integers, any other in f32.
pub fn start(model: Model, device: &str, threads: Option<usize>) -> Result<Running, StartError> {
    let settings = Settings {
        device: device.to_owned(),
        threads,
        ..Settings::default()
    };
    start_with(model, &settings, &mut |_| ())
}

/// The same with every choice, and with someone to hear how far a GPU is. When it returns, the first slice costs what every other does.
pub fn start_with(
    model: Model,
    settings: &Settings,
    hear: &mut dyn FnMut(Event),
) -> Result<Running, StartError> {
    let device = settings.device.as_str();
    if !NAMES.contains(&device.split(':').next().unwrap_or_default()) {
        return Err(DeviceError::Unknown(device.to_owned()).into());
    }
    #[cfg(feature = "burn")]
    if let Some(running) = on_gpu(&model, settings, hear)? {
        return Ok(running);
    }
    #[cfg(not(feature = "burn"))]
    refuse_gpu(device)?;
    #[cfg(not(feature = "burn"))]
    let _ = hear;
    if settings.arithmetic == Some(Arithmetic::F16) {
        return Err(DeviceError::Arithmetic {
            name: "cpu",
            arithmetic: Arithmetic::F16.name(),
            others: "f32 or auto",
        }
        .into());
    }
    let threads = settings
        .threads
        .unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    let threads = threads.max(1);
    let in_integers = match settings.arithmetic {
        None => int8::is_quantised(model.program()),
        Some(arithmetic) => arithmetic == Arithmetic::Int8,
    };
    if in_integers {
        integers(model, threads, settings.sharing)
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
                part: None,
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
    let (footprint, kernels) = (first.footprint(), first.kernels());
    let copies = affordable_copies(&footprint, 1 + threads - together);
    let mut models: Vec<Box<dyn LogitsModel + Send>> = Vec::with_capacity(copies);
    for _ in 1..copies {
        models.push(Box::new(first.twin()?));
    }
    models.push(Box::new(first));
    let threads = copies - 1 + together;
    Ok(Running {
        models,
        macs: Some(footprint.macs),
        engine: Engine {
            device: "cpu",
            arithmetic: Arithmetic::Int8,
            kernels: Some(kernels),
            threads,
            part: None,
        },
    })
}

/// As many copies as are wanted, or as [`MAX_MEMORY_BYTES`] hold with the weights they share; one at least, which is there already.
fn affordable_copies(one: &int8::Footprint, wanted: usize) -> usize {
    let room = usize::try_from(MAX_MEMORY_BYTES).unwrap_or(usize::MAX);
    let copies = room.saturating_sub(one.weights) / (one.values + one.logits).max(1);
    copies.clamp(1, wanted.max(1))
}

/// The model on the GPU that is wanted, or `None` where it is the CPU's.
#[cfg(feature = "burn")]
fn on_gpu(
    model: &Model,
    settings: &Settings,
    hear: &mut dyn FnMut(Event),
) -> Result<Option<Running>, StartError> {
    use crate::{burn, device};

    let gpu = device::select(&settings.device)?;
    let name = device::name(&gpu);
    if name == "cpu" {
        return Ok(None);
    }
    #[cfg(feature = "gpu")]
    if let Some(folder) = &settings.caches
        && let Err(error) = device::keep_caches_in(folder)
    {
        let reason = error.to_string();
        hear(Event::Forgetful { reason });
    }
    let executor = match burn::ready(model, &gpu, settings.arithmetic, hear) {
        Ok(executor) => executor,
        Err(error) if settings.device == "auto" => {
            let reason = error.to_string();
            hear(Event::Fallback { reason });
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Running {
        engine: Engine {
            device: name,
            arithmetic: executor.arithmetic(),
            kernels: None,
            threads: 1,
            part: device::part(&gpu),
        },
        models: vec![Box::new(executor)],
        macs: None,
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
