//! How much memory a training step takes, and which batch fits.
//!
//! The estimate walks the layer graph as a step does. Forward, it adds up what the backward pass will
//! need again: the inputs of convolutions, batch norms that train, poolings and upsamplings, each
//! tensor once, and nothing before the first layer that trains. Backward, it follows the gradients
//! that live beside what is still kept, and takes the highest point. Variables, Adam's two moments
//! and the growing weight gradients come on top. Measured peaks are in `docs/scale.md`.

use std::fmt;

use burn::tensor::Device;
use nephrobox_engine::device;
use sysinfo::{MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, System};

use super::TrainConfig;
use crate::network::graph::LayerOp;
use crate::network::{Freeze, Graph, UnetSpec};

/// Bytes of an f32.
const F32: u64 = 4;
/// Bytes of an index that a max pool keeps per output on the CPU.
const POOL_INDEX: u64 = 8;
/// Tensors of the logits' size that the loss keeps: softmax, its products and their gradients.
const LOSS_TENSORS: u64 = 8;
/// What a process holds besides tensors: code, batches made ahead, buffers of the threads.
const PROCESS: u64 = 96 << 20;
/// Share of the free memory that a step may take; the rest is for whatever else goes on.
const USABLE: f64 = 0.9;
/// A GPU's memory pool and its kernels' scratch buffers on top of the tensors. Not measured: no GPU
/// was at hand.
const GPU_FACTOR: f64 = 1.3;

/// Memory of a training run, in bytes, by what it grows with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// What every step takes whatever its batch: variables, moments, gradients, the process.
    pub fixed: u64,
    /// What each image of a pass adds at the highest point.
    pub per_image: u64,
    /// What writing a checkpoint takes, between two steps.
    pub checkpoint: u64,
}

impl Estimate {
    /// Of a run with `graph` and `freeze` on images of `rows` x `columns`.
    pub fn of(graph: &Graph, freeze: &Freeze, size: [usize; 2]) -> Self {
        let bytes = |shape: &[usize]| shape.iter().product::<usize>() as u64 * F32;
        let values: u64 = graph.variables().iter().map(|v| bytes(&v.shape)).sum();
        let trained = freeze.trainable_count(graph) as u64 * F32;
        let kept = values + 2 * trained;
        Self {
            fixed: PROCESS + kept + trained,
            per_image: highest(graph, freeze, size),
            // Beside what is kept, the same as host arrays and as the file's bytes.
            checkpoint: PROCESS + 3 * kept,
        }
    }

    /// Of the run that `config` describes, on a prepared set with images of `side` pixels.
    ///
    /// # Errors
    /// If the network has no layer to re-train from.
    pub fn of_run(config: &TrainConfig, side: usize) -> Result<Self, String> {
        let graph = UnetSpec::paper(config.encoder, config.channels).graph();
        let freeze = Freeze::before(&graph, &config.retrain_from, config.frozen_batch_norm)
            .map_err(|e| e.to_string())?;
        let side = config.crop.unwrap_or(side);
        Ok(Self::of(&graph, &freeze, [side; 2]))
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

    /// The same step on a GPU.
    #[must_use]
    pub fn on_gpu(self) -> Self {
        let more = |bytes: u64| (bytes as f64 * GPU_FACTOR) as u64;
        Self {
            fixed: more(self.fixed),
            per_image: more(self.per_image),
            // Host arrays are no matter of the GPU.
            checkpoint: 0,
        }
    }
}

/// Bytes of one image at the highest point of a step, weight gradients apart.
fn highest(graph: &Graph, freeze: &Freeze, [rows, columns]: [usize; 2]) -> u64 {
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
            LayerOp::Conv { .. } | LayerOp::MaxPool | LayerOp::Upsample => {
                last_kept_by[tensor[from]].get_or_insert(id);
            }
            LayerOp::BatchNorm { .. } if freeze.trains(id) => {
                last_kept_by[tensor[from]].get_or_insert(id);
            }
            _ => {}
        }
        if node.op == LayerOp::MaxPool {
            extra[id] = (node.channels * pixels[id]) as u64 * POOL_INDEX;
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

/// Why a batch cannot be trained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The batch is too large, and smaller passes would do.
    #[error(
        "a pass over {batch} images takes about {needed} on {place}, where {free} is free; \
         use `--batch {fits} --accumulate {accumulate}`, which keeps {effective} images a step, or `--batch auto`"
    )]
    Batch {
        /// Images of a pass as asked for.
        batch: usize,
        /// What a pass over them takes.
        needed: Bytes,
        /// The device.
        place: &'static str,
        /// What is free there.
        free: Bytes,
        /// Images that fit.
        fits: usize,
        /// Passes that make a step of them.
        accumulate: usize,
        /// Images of a step.
        effective: usize,
    },
    /// Not even one image fits.
    #[error(
        "training this network takes at least {needed} on {place}, where {free} is free; \
         use a smaller --encoder, a --crop, or a machine with more memory"
    )]
    Network {
        /// What a pass over one image per device takes.
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

/// Images of a step, as asked for with `--batch` and `--accumulate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Exactly `batch` images a pass and `accumulate` passes a step.
    Exactly {
        /// Images of a pass.
        batch: usize,
        /// Passes of a step.
        accumulate: usize,
    },
    /// This many images a step, in as few passes as fit.
    Step(usize),
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
    /// Asks the machine. Replicas on the CPU share one memory.
    pub fn on(devices: &[Device]) -> Self {
        let place = devices.first().map_or("cpu", device::name);
        let free = match place {
            "cpu" => Some(free_host_memory()),
            _ => devices.iter().filter_map(device::free_memory).min(),
        };
        let devices = if place == "cpu" { 1 } else { devices.len().max(1) };
        Self {
            place,
            devices,
            free,
        }
    }

    /// Images a pass and passes a step that fit, for `wish`.
    ///
    /// Passes are made as even as can be: 24 images of which 10 fit go through as 3 x 8.
    pub fn fit(self, estimate: Estimate, wish: Wish) -> Result<(usize, usize), MemoryError> {
        let (asked, step) = match wish {
            Wish::Exactly { batch, accumulate } => (Some((batch, accumulate)), batch * accumulate),
            Wish::Step(images) => (None, images),
        };
        let Some(free) = self.free else {
            return Ok(asked.unwrap_or((step, 1)));
        };
        let estimate = match self.place {
            "cpu" => estimate,
            _ => estimate.on_gpu(),
        };
        let most = estimate.images_in(free) * self.devices;
        let needed = |images: usize| Bytes(estimate.bytes(images.div_ceil(self.devices)));
        if let Some((batch, accumulate)) = asked.filter(|&(batch, _)| batch <= most) {
            return Ok((batch, accumulate));
        }
        // The smallest number of passes that divides the step keeps it whole.
        let passes = (1..=step).find(|n| step.is_multiple_of(*n) && step / n <= most);
        match (passes, asked) {
            (None, _) => Err(MemoryError::Network {
                needed: needed(1),
                place: self.place,
                free: Bytes(free),
            }),
            (Some(passes), None) => Ok((step / passes, passes)),
            (Some(passes), Some((batch, _))) => Err(MemoryError::Batch {
                batch,
                needed: needed(batch),
                place: self.place,
                free: Bytes(free),
                fits: step / passes,
                accumulate: passes,
                effective: step,
            }),
        }
    }
}

/// Bytes this process may still take: what the machine has available, or less where a control group
/// (a container, a batch system's job) limits it.
pub fn free_host_memory() -> u64 {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let mut free = system.available_memory();
    let own = sysinfo::get_current_pid().ok();
    let limits = own.and_then(|pid| {
        let wanted = ProcessesToUpdate::Some(&[pid]);
        system.refresh_processes_specifics(wanted, false, ProcessRefreshKind::nothing());
        system.process(pid)?.cgroup_limits()
    });
    for limits in limits.into_iter().chain(system.cgroup_limits()) {
        // Not the group's "free": that counts cached files as taken, which give way.
        free = free.min(limits.total_memory.saturating_sub(limits.rss));
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Encoder, FrozenBatchNorm};

    fn estimate(encoder: Encoder, from: &str) -> Estimate {
        let graph = UnetSpec::paper(encoder, 1).graph();
        let from = from.parse().unwrap();
        let freeze = Freeze::before(&graph, &from, FrozenBatchNorm::Stored).unwrap();
        Estimate::of(&graph, &freeze, [256; 2])
    }

    /// Peaks of resident memory of whole runs on two cores, docs/scale.md.
    #[test]
    fn the_estimate_is_near_measured_peaks() {
        for (encoder, batch, measured) in [(Encoder::ResNet18, 8, 1.13e9)] {
            let found = estimate(encoder, "all").bytes(batch) as f64;
            let ratio = found / measured;
            assert!((0.9..1.3).contains(&ratio), "{encoder} {batch}: {found:.3e}");
        }
    }

    #[test]
    fn frozen_layers_and_small_images_take_less() {
        let all = estimate(Encoder::ResNet18, "all");
        let late = estimate(Encoder::ResNet18, "stage4");
        assert!(late.per_image < all.per_image && late.fixed < all.fixed);
        assert!(estimate(Encoder::ResNet101, "all").per_image > 2 * all.per_image);
        let graph = UnetSpec::paper(Encoder::ResNet18, 1).graph();
        let small = Estimate::of(&graph, &Freeze::none(&graph), [128; 2]);
        assert_eq!(small.per_image * 4, all.per_image);
    }

    const EACH: Estimate = Estimate {
        fixed: 1_000,
        per_image: 100,
        checkpoint: 1_050,
    };

    fn room(free: u64, devices: usize) -> Room {
        Room {
            place: "cpu",
            devices,
            free: Some(free),
        }
    }

    /// 2,000 bytes, of which nine tenths count, hold 8 images of 100 beside the 1,000.
    #[test]
    fn auto_keeps_the_step_and_takes_the_largest_pass() {
        let fit = |room: Room, step| room.fit(EACH, Wish::Step(step)).unwrap();
        assert_eq!(fit(room(2_000, 1), 8), (8, 1));
        assert_eq!(fit(room(2_000, 1), 24), (8, 3));
        assert_eq!(fit(room(2_000, 1), 22), (2, 11));
        assert_eq!(fit(room(2_000, 1), 13), (1, 13));
        assert_eq!(fit(room(2_000, 4), 24), (24, 1));
        let unknown = Room {
            free: None,
            ..room(0, 1)
        };
        assert_eq!(fit(unknown, 24), (24, 1));
    }

    #[test]
    fn a_batch_that_does_not_fit_is_refused_with_the_one_that_does() {
        let wish = |batch, accumulate| Wish::Exactly { batch, accumulate };
        assert_eq!(room(2_000, 1).fit(EACH, wish(8, 5)), Ok((8, 5)));
        let refused = room(2_000, 1).fit(EACH, wish(12, 2)).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("`--batch 8 --accumulate 3`"), "{said}");
        assert!(said.contains("24 images a step"), "{said}");
        let hopeless = room(1_100, 1).fit(EACH, wish(1, 1)).unwrap_err();
        assert!(hopeless.to_string().contains("smaller --encoder"), "{hopeless}");
    }

    #[test]
    fn this_machine_has_free_memory() {
        let room = Room::on(&[Device::flex(), Device::flex()]);
        assert_eq!((room.place, room.devices), ("cpu", 1));
        assert!(room.free.is_some_and(|free| free > 1 << 20));
    }
}
