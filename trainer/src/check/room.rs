//! Room for a run: its folder, disk space, memory.

use std::fs;
use std::path::Path;

use super::Finding;
use crate::machine::{Memory, existing, free_disk, gigabytes};
use crate::network::{Freeze, Graph};
use crate::train::TrainConfig;

/// Checkpoints that exist at once: the last, the best, and the one that is being written.
const CHECKPOINTS: u64 = 3;
/// Everything else in a run folder: settings, metrics, curves, pictures of an evaluation.
const SMALL_FILES: u64 = 50_000_000;

/// Whether a new run could be made in `out`. Nothing is said of a folder that is fine, for the disk's line names it.
pub(super) fn folder(out: &Path) -> Option<Finding> {
    let fail = |what: String, remedy: &str| Some(Finding::fail("run folder", what, remedy));
    let place = out.display();
    if out.is_dir() {
        let entries = match fs::read_dir(out) {
            Ok(entries) => entries,
            Err(e) => {
                let remedy = "give this user the right to it, or choose another folder with --out";
                return fail(format!("{place} cannot be read: {e}"), remedy);
            }
        };
        if entries.count() > 0 {
            return fail(
                format!("{place} is not empty, and no run to go on with"),
                "choose another folder with --out",
            );
        }
    } else if out.exists() {
        let remedy = "choose another folder with --out";
        return fail(format!("{place} is a file"), remedy);
    }
    let parent = existing(out).unwrap_or_else(|| ".".into());
    // Rights, quotas and read-only disks: the only sure way to know is to write.
    let written = tempfile::NamedTempFile::new_in(&parent);
    written.err().map(|e| {
        Finding::fail(
            "run folder",
            format!("nothing can be written to {}: {e}", parent.display()),
            "give this user the right to it, or choose another folder with --out",
        )
    })
}

/// Bytes of a checkpoint: variables, and two moments of each that trains.
pub(super) fn checkpoint_bytes(graph: &Graph, freeze: &Freeze) -> u64 {
    let values: usize = graph
        .variables()
        .iter()
        .map(|v| v.shape.iter().product::<usize>())
        .sum();
    4 * (values + 2 * freeze.trainable_count(graph)) as u64
}

/// Whether the checkpoints fit.
pub(super) fn disk(out: &Path, graph: &Graph, freeze: &Freeze) -> Finding {
    let one = checkpoint_bytes(graph, freeze);
    judge_disk(out, one, free_disk(out))
}

pub(super) fn judge_disk(out: &Path, one: u64, free: Option<u64>) -> Finding {
    let need = CHECKPOINTS * one + SMALL_FILES;
    let [one, need_text] = [one, need].map(gigabytes);
    let says = format!("a run takes up to {need_text} (a checkpoint {one})");
    let place = out.display();
    let Some(free) = free else {
        let what = format!("{says}; how much is free at {place} is not known");
        return Finding::warn("disk", what, "see that there is enough");
    };
    let what = format!("{says}; {} free at {place}", gigabytes(free));
    if free < need {
        Finding::fail(
            "disk",
            what,
            "free some space, or choose another disk with --out",
        )
    } else if free < 2 * need {
        Finding::warn(
            "disk",
            what,
            "free some space before other programs fill the disk",
        )
    } else {
        Finding::ok("disk", what)
    }
}

/// Bytes that a step takes, where it can be told.
fn step_bytes(_config: &TrainConfig, _side: usize) -> Option<u64> {
    None
}

/// Whether a step fits into the memory.
pub(super) fn memory(config: &TrainConfig, side: usize, device: &str) -> Option<Finding> {
    let on_gpu = nephrobox_engine::device::select(device)
        .is_ok_and(|d| nephrobox_engine::device::name(&d) != "cpu");
    if on_gpu {
        return None; // the host's memory says nothing
    }
    judge_memory(step_bytes(config, side), Memory::now())
}

pub(super) fn judge_memory(need: Option<u64>, memory: Memory) -> Option<Finding> {
    let need = need?;
    let [needs, available, total] = [need, memory.available, memory.total].map(gigabytes);
    let what = format!("a step takes about {needs}; {available} of {total} are free");
    Some(if need > memory.total {
        Finding::fail(
            "memory",
            what,
            "choose a smaller --batch, a smaller encoder or --crop",
        )
    } else if need > memory.available {
        Finding::warn(
            "memory",
            what,
            "close other programs, or choose a smaller --batch",
        )
    } else {
        Finding::ok("memory", what)
    })
}
