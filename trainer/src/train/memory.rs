//! How much memory a training step takes, and which batch fits.
//!
//! The estimate walks the layer graph as a step does. Forward, it adds up what the backward pass will
//! need again: the inputs of convolutions, batch norms that train, poolings and upsamplings, each
//! tensor once, and nothing before the first layer that trains. Backward, it follows the gradients
//! that live beside what is still kept, and takes the highest point. Variables, Adam's two moments
//! and the growing weight gradients come on top. Measured peaks are in `docs/scale.md`.

use std::fmt;
use std::num::NonZero;

use burn::tensor::Device;
use nephrobox_engine::device;

use super::accumulate::Accumulate;
use super::{TrainConfig, TrainError, host};
use crate::network::graph::LayerOp;
use crate::network::{Freeze, Graph};

/// Bytes of an f32.
const F32: u64 = 4;
/// Tensors of the logits' size that the loss keeps: softmax, its products and their gradients.
const LOSS_TENSORS: u64 = 8;
/// What a process holds besides tensors: code, batches made ahead, buffers of the threads.
const PROCESS: u64 = 128 << 20;
/// The CPU's working memory and the allocator's gaps on top of what comes and goes: a pass's tensors, a
/// checkpoint's arrays. Measured, see `docs/scale.md`.
const CPU_FACTOR: f64 = 1.2;
/// Share of the free memory that a step may take; the rest is for whatever else goes on.
const USABLE: f64 = 0.9;
/// A GPU's memory pool and its kernels' scratch buffers on top of the tensors. Not measured: no GPU
/// was at hand.
const GPU_FACTOR: f64 = 1.3;
/// What a GPU holds besides tensors. Not measured either.
const GPU_CONTEXT: u64 = 256 << 20;

/// Whose passes a step takes, since they do not keep the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Our own for a single CPU device: a pooling keeps a byte per output, a doubling nothing.
    Own,
    /// Burn's: both keep their input, a pooling also an index of eight bytes per output.
    Burn,
}

/// Memory of a training run, in bytes, by what it grows with. At first that of its tensors alone; a device
/// adds its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// What every step takes whatever its batch: variables, moments, gradients.
    pub fixed: u64,
    /// What each image of a pass adds at the highest point.
    pub per_image: u64,
    /// What writing a checkpoint takes, between two steps.
    pub checkpoint: u64,
}

impl Estimate {
    /// Of a run with `graph` and `freeze` on images of `size`, rows and columns.
    pub fn of(graph: &Graph, freeze: &Freeze, size: [usize; 2], kernels: Kernels) -> Self {
        let values = variables(graph);
        let trained = freeze.trainable_count(graph) as u64 * F32;
        let kept = values + 2 * trained;
        Self {
            fixed: kept + trained,
            per_image: highest(graph, freeze, size, kernels),
            // Beside what is kept, the same as host arrays and as the file's bytes.
            checkpoint: 3 * kept,
        }
    }

    /// Of the run that `config` describes, on a prepared set with images of `side` pixels.
    ///
    /// # Errors
    /// If the network has no layer to re-train from.
    pub fn of_run(config: &TrainConfig, side: usize, kernels: Kernels) -> Result<Self, String> {
        let graph = config.network().graph();
        let freeze = Freeze::before(&graph, &config.retrain_from, config.frozen_batch_norm)
            .map_err(|e| e.to_string())?;
        let side = config.crop.unwrap_or(side);
        let estimate = Self::of(&graph, &freeze, [side; 2], kernels);
        Ok(if config.ema > 0.0 {
            estimate.with_average(&graph)
        } else {
            estimate
        })
    }

    /// The same with a moving average of the weights beside them, in memory and in the checkpoint.
    fn with_average(self, graph: &Graph) -> Self {
        let average = variables(graph);
        Self {
            fixed: self.fixed + average,
            checkpoint: self.checkpoint + 3 * average,
            ..self
        }
    }

    /// Bytes of a run whose passes hold `images` images, at its highest point.
    pub fn bytes(self, images: usize) -> u64 {
        let step = self.fixed + self.per_image * images as u64;
        step.max(self.checkpoint)
    }

    /// The most images a pass may hold in `free` bytes; 0 if not even one fits.
    pub fn images_in(self, free: u64) -> usize {
        let usable = (free as f64 * USABLE) as u64;
        if usable < self.checkpoint {
            return 0;
        }
        (usable.saturating_sub(self.fixed) / self.per_image.max(1)) as usize
    }

    /// The same step on the CPU.
    #[must_use]
    fn on_cpu(self) -> Self {
        let more = |bytes: u64| (bytes as f64 * CPU_FACTOR) as u64;
        Self {
            fixed: self.fixed + PROCESS,
            per_image: more(self.per_image),
            checkpoint: more(self.checkpoint) + PROCESS,
        }
    }

    /// The same step on a GPU.
    #[must_use]
    fn on_gpu(self) -> Self {
        let more = |bytes: u64| (bytes as f64 * GPU_FACTOR) as u64;
        Self {
            fixed: more(self.fixed + GPU_CONTEXT),
            per_image: more(self.per_image),
            // Host arrays are no matter of the GPU.
            checkpoint: 0,
        }
    }
}

/// Bytes of a network's variables.
fn variables(graph: &Graph) -> u64 {
    let count = |shape: &[usize]| shape.iter().product::<usize>() as u64;
    (graph.variables().iter())
        .map(|v| count(&v.shape) * F32)
        .sum()
}

/// Bytes of one image at the highest point of a step, weight gradients apart.
fn highest(graph: &Graph, freeze: &Freeze, [rows, columns]: [usize; 2], kernels: Kernels) -> u64 {
    let index: u64 = match kernels {
        Kernels::Own => 1,
        Kernels::Burn => 8,
    };
    let nodes = graph.nodes();
    let mut pixels = vec![rows * columns; nodes.len()];
    let mut tracked = vec![false; nodes.len()];
    // The tensor that holds a node's output: a batch norm and the rectifier behind it share one.
    let mut tensor: Vec<usize> = (0..nodes.len()).collect();
    let mut last_kept_by = vec![None; nodes.len()];
    let mut extra = vec![0; nodes.len()];
    for (id, node) in nodes.iter().enumerate().skip(1) {
        let from = node.inputs[0];
        pixels[id] = match node.op {
            LayerOp::Conv { stride, .. } => pixels[from] / (stride * stride),
            LayerOp::MaxPool => pixels[from] / 4,
            LayerOp::Upsample => pixels[from] * 4,
            _ => pixels[from],
        };
        let own = freeze.trains(id) && graph.variables_of(id).iter().any(|v| v.role.is_trainable());
        tracked[id] = own || node.inputs.iter().any(|&input| tracked[input]);
        if !tracked[id] {
            continue;
        }
        match node.op {
            LayerOp::Relu if matches!(nodes[from].op, LayerOp::BatchNorm { .. }) => {
                tensor[id] = tensor[from];
                // With stored statistics the rectifier itself keeps its output.
                if !freeze.trains(from) {
                    last_kept_by[tensor[id]].get_or_insert(id);
                }
            }
            LayerOp::Relu => _ = last_kept_by[id].get_or_insert(id),
            LayerOp::MaxPool | LayerOp::Upsample if kernels == Kernels::Own => {}
            LayerOp::Conv { .. } | LayerOp::MaxPool | LayerOp::Upsample => {
                last_kept_by[tensor[from]].get_or_insert(id);
            }
            LayerOp::BatchNorm { .. } if freeze.trains(id) => {
                last_kept_by[tensor[from]].get_or_insert(id);
            }
            _ => {}
        }
        if node.op == LayerOp::MaxPool {
            extra[id] = (node.channels * pixels[id]) as u64 * index;
        }
    }
    let bytes = |id: usize| (nodes[id].channels * pixels[id]) as u64 * F32;
    // `last_kept_by` names a tensor's first keeper, which is the last to let go in the backward pass.
    let mut live: u64 = (0..nodes.len())
        .map(|id| extra[id] + last_kept_by[id].map_or(0, |_| bytes(id)))
        .sum();
    live += LOSS_TENSORS * bytes(graph.output());
    let mut peak = live;
    let mut has_gradient = vec![false; nodes.len()];
    has_gradient[graph.output()] = true;
    live += bytes(graph.output());
    for (id, node) in nodes.iter().enumerate().rev() {
        if !tracked[id] || !has_gradient[id] {
            continue;
        }
        if id == graph.output() {
            live -= LOSS_TENSORS * bytes(id);
        }
        if tensor[id] != id {
            // The gradient of a rectifier is handed on inside the batch norm's own pass.
            has_gradient[node.inputs[0]] = true;
            continue;
        }
        // Gradients for the inputs come to life, a second one of the same tensor only to be added.
        let mut passing = 0;
        for &input in &node.inputs {
            if tracked[input] {
                if has_gradient[input] {
                    passing += bytes(input);
                } else {
                    has_gradient[input] = true;
                    live += bytes(input);
                }
            }
        }
        peak = peak.max(live + passing);
        live -= bytes(id) + extra[id];
        for (kept, keeper) in last_kept_by.iter().enumerate() {
            if *keeper == Some(id) {
                live = live.saturating_sub(bytes(kept));
            }
        }
    }
    // The batch itself and its one-hot truth are there throughout.
    peak + bytes(0) + bytes(graph.output())
}

/// Why a step cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The images do not fit at once; in more passes they would.
    #[error(
        "a step on {batch} images takes about {needed} on {place}, where {free} is free; {fits} images fit: \
         use `--accumulate {passes}`, which goes through the {batch} in {passes} passes and sums their gradients, \
         or `--accumulate auto`, or a smaller --batch"
    )]
    Images {
        /// Images of a step.
        batch: usize,
        /// What the step takes as asked for.
        needed: Bytes,
        /// The device.
        place: &'static str,
        /// What is free there.
        free: Bytes,
        /// Images that fit at once.
        fits: usize,
        /// Passes that make a step of them.
        passes: usize,
    },
    /// Not even one image fits.
    #[error(
        "training this network takes at least {needed} on {place}, where {free} is free; \
         use a smaller --encoder, a --crop, or a machine with more memory"
    )]
    Network {
        /// What a pass over one image takes.
        needed: Bytes,
        /// The device.
        place: &'static str,
        /// What is free there.
        free: Bytes,
    },
}

/// A number of bytes, shown in GB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} GB", self.0 as f64 / 1e9)
    }
}

/// What the devices of a run have to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Name of the kind of device.
    pub place: &'static str,
    /// Devices that share a pass.
    pub devices: usize,
    /// Free bytes of the fullest device; `None` where nobody tells.
    pub free: Option<u64>,
}

impl Room {
    /// Asks the machine.
    pub fn on(devices: &[Device]) -> Self {
        let place = devices.first().map_or("cpu", device::name);
        let free = match place {
            "cpu" => host::free_memory(),
            _ => devices.iter().filter_map(device::free_memory).min(),
        };
        let devices = devices.len().max(1);
        Self {
            place,
            devices,
            free,
        }
    }

    /// Memories that a pass is spread over: shares on the CPU all lie in one.
    fn memories(self) -> usize {
        if self.place == "cpu" { 1 } else { self.devices }
    }

    /// Whose passes a step takes here.
    pub fn kernels(self) -> Kernels {
        match (self.place, self.devices) {
            ("cpu", 1) => Kernels::Own,
            _ => Kernels::Burn,
        }
    }

    /// What a run takes here that `estimate` describes.
    fn here(self, estimate: Estimate) -> Estimate {
        match self.place {
            "cpu" => estimate.on_cpu(),
            _ => estimate.on_gpu(),
        }
    }

    /// Bytes of the fullest memory in a run whose passes hold `images` images.
    pub fn bytes(self, estimate: Estimate, images: usize) -> u64 {
        let images = images.div_ceil(self.memories());
        self.here(estimate).bytes(images)
    }

    /// In how many passes a step over `batch` images goes through them, if `accumulate` is asked for.
    ///
    /// Passes are as even as can be: 24 images of which 10 fit go through as 3 times 8.
    pub fn passes(
        self,
        estimate: Estimate,
        batch: usize,
        accumulate: Accumulate,
    ) -> Result<NonZero<usize>, MemoryError> {
        let Some(free) = self.free else {
            return Ok(passes(accumulate.passes()));
        };
        let needed = |images: usize| Bytes(self.bytes(estimate, images));
        let fits = self.here(estimate).images_in(free) * self.memories();
        if fits == 0 {
            return Err(MemoryError::Network {
                needed: needed(1),
                place: self.place,
                free: Bytes(free),
            });
        }
        let fewest = passes(batch.div_ceil(fits));
        match accumulate {
            Accumulate::Passes(asked) if asked < fewest => Err(MemoryError::Images {
                batch,
                needed: needed(batch.div_ceil(asked.get())),
                place: self.place,
                free: Bytes(free),
                fits,
                passes: fewest.get(),
            }),
            Accumulate::Passes(asked) => Ok(asked),
            Accumulate::Auto => Ok(fewest),
        }
    }
}

fn passes(count: usize) -> NonZero<usize> {
    NonZero::new(count).unwrap_or(NonZero::<usize>::MIN)
}

/// Replaces `auto` by the fewest passes that fit on `devices`, and refuses a step that does not fit;
/// images of the prepared set have `side` pixels.
pub fn fit(config: &mut TrainConfig, side: usize, devices: &[Device]) -> Result<(), TrainError> {
    let room = Room::on(devices);
    let estimate = Estimate::of_run(config, side, room.kernels()).map_err(TrainError::Config)?;
    let passes = room.passes(estimate, config.batch, config.accumulate)?;
    config.accumulate = Accumulate::Passes(passes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Encoder, FrozenBatchNorm, UnetSpec};

    fn estimate(encoder: Encoder, from: &str) -> Estimate {
        let graph = UnetSpec::paper(encoder, 1).graph();
        let from = from.parse().unwrap();
        let freeze = Freeze::before(&graph, &from, FrozenBatchNorm::Stored).unwrap();
        Estimate::of(&graph, &freeze, [256; 2], Kernels::Own)
    }

    /// Peaks of private resident memory, see docs/scale.md. An estimate below them would let a run begin that the
    /// system ends.
    #[test]
    fn the_estimate_is_a_little_above_measured_peaks() {
        for (encoder, from, batch, measured) in [
            (Encoder::ResNet18, "all", 1, 0.683e9),
            (Encoder::ResNet18, "all", 4, 0.694e9),
            (Encoder::ResNet18, "all", 8, 1.078e9),
            (Encoder::ResNet18, "all", 16, 1.815e9),
            (Encoder::ResNet18, "all", 24, 2.445e9),
            (Encoder::ResNet18, "stage4", 16, 1.411e9),
            (Encoder::ResNet50, "all", 2, 1.391e9),
            (Encoder::ResNet50, "all", 8, 2.149e9),
            (Encoder::ResNet101, "all", 1, 2.104e9),
            (Encoder::ResNet101, "all", 2, 2.079e9),
            (Encoder::ResNet101, "all", 6, 2.332e9),
            (Encoder::ResNet101, "stage3", 6, 2.157e9),
        ] {
            let found = estimate(encoder, from).on_cpu().bytes(batch) as f64;
            let ratio = found / measured;
            assert!(
                (1.0..1.15).contains(&ratio),
                "{encoder} {from} {batch}: {found:.3e}"
            );
        }
    }

    #[test]
    fn frozen_layers_and_small_images_take_less() {
        let all = estimate(Encoder::ResNet18, "all");
        let late = estimate(Encoder::ResNet18, "stage4");
        assert!(late.per_image < all.per_image && late.fixed < all.fixed);
        assert!(estimate(Encoder::ResNet101, "all").per_image > 2 * all.per_image);
        let graph = UnetSpec::paper(Encoder::ResNet18, 1).graph();
        let small = Estimate::of(&graph, &Freeze::none(&graph), [128; 2], Kernels::Own);
        assert_eq!(small.per_image * 4, all.per_image);
        let burn = Estimate::of(&graph, &Freeze::none(&graph), [256; 2], Kernels::Burn);
        assert!(burn.per_image > all.per_image);
    }

    #[test]
    fn a_moving_average_is_one_more_copy_of_the_network() {
        let graph = UnetSpec::paper(Encoder::ResNet18, 1).graph();
        let plain = estimate(Encoder::ResNet18, "all");
        let averaging = plain.with_average(&graph);
        let values: usize = graph
            .variables()
            .iter()
            .map(|v| v.shape.iter().product::<usize>())
            .sum();
        assert_eq!(averaging.fixed - plain.fixed, 4 * values as u64);
        assert_eq!(averaging.checkpoint - plain.checkpoint, 12 * values as u64);
        assert_eq!(averaging.per_image, plain.per_image);
    }

    const MIB: u64 = 1 << 20;
    const EACH: Estimate = Estimate {
        fixed: 1_000 * MIB,
        per_image: 100 * MIB,
        checkpoint: 1_050 * MIB,
    };

    fn room(free: u64, devices: usize) -> Room {
        Room {
            place: "cpu",
            devices,
            free: Some(free * MIB),
        }
    }

    /// 2,400 MiB, of which nine tenths count, hold 8 images of 100 and a fifth beside the 1,000 and the process.
    #[test]
    fn auto_takes_the_fewest_passes_that_fit() {
        let passes = |room: Room, batch| room.passes(EACH, batch, Accumulate::Auto).unwrap().get();
        assert_eq!(passes(room(2_400, 1), 8), 1);
        assert_eq!(passes(room(2_400, 1), 24), 3);
        assert_eq!(passes(room(2_400, 1), 13), 2);
        assert_eq!(passes(room(2_400, 4), 24), 3, "one memory");
        let cards = Room {
            place: "cuda",
            ..room(2_400, 4)
        };
        // With 1.3 of everything, 4 on each of the four.
        assert_eq!(passes(cards, 24), 2);
        let unknown = Room {
            free: None,
            ..room(0, 1)
        };
        assert_eq!(passes(unknown, 24), 1);
    }

    #[test]
    fn a_step_that_does_not_fit_is_refused_with_the_passes_that_do() {
        let asked = |n: usize| Accumulate::Passes(NonZero::new(n).unwrap());
        let fit = |free, n| room(free, 1).passes(EACH, 24, asked(n));
        assert_eq!(fit(2_400, 3).map(NonZero::get), Ok(3));
        assert_eq!(
            fit(2_400, 5).map(NonZero::get),
            Ok(5),
            "more than needed are as asked"
        );
        let said = fit(2_400, 2).unwrap_err().to_string();
        for part in [
            "a step on 24 images",
            "8 images fit",
            "`--accumulate 3`",
            "on cpu",
        ] {
            assert!(said.contains(part), "{part} in: {said}");
        }
        let hopeless = fit(1_400, 1).unwrap_err().to_string();
        assert!(hopeless.contains("smaller --encoder"), "{hopeless}");
    }

    #[test]
    fn this_machine_has_free_memory() {
        let room = Room::on(&[Device::flex(), Device::flex()]);
        assert_eq!((room.place, room.devices), ("cpu", 2));
        assert_eq!(room.kernels(), Kernels::Burn);
        assert_eq!(Room::on(&[Device::flex()]).kernels(), Kernels::Own);
        assert!(room.free.is_some_and(|free| free > 1 << 20));
    }
}
