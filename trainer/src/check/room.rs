//! Room for a run: its folder, disk space, memory.

use std::fs;
use std::path::Path;

use burn::tensor::Device;

use super::Finding;
use crate::machine::{existing, free_disk, gigabytes};
use crate::network::{Freeze, Graph};
use crate::train::TrainConfig;
use crate::train::memory::{self, Estimate, Room};

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

/// Bytes of a checkpoint: variables, two moments of each that trains, and the averaged variables if there are any.
pub(super) fn checkpoint_bytes(graph: &Graph, freeze: &Freeze, averages: bool) -> u64 {
    let values: usize = graph
        .variables()
        .iter()
        .map(|v| v.shape.iter().product::<usize>())
        .sum();
    let copies = 1 + usize::from(averages);
    4 * (copies * values + 2 * freeze.trainable_count(graph)) as u64
}

/// Whether the checkpoints fit.
pub(super) fn disk(out: &Path, graph: &Graph, freeze: &Freeze, averages: bool) -> Finding {
    let one = checkpoint_bytes(graph, freeze, averages);
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

/// Whether a step fits into the memory, as `train` itself will ask.
pub(super) fn memory(config: &TrainConfig, side: usize, devices: &[Device]) -> Option<Finding> {
    let mut fitted = config.clone();
    if let Err(e) = memory::fit(&mut fitted, side, devices) {
        let remedy =
            "choose more --accumulate, a smaller --batch, --encoder or --crop, or another device";
        return Some(Finding::fail("memory", e.to_string(), remedy));
    }
    let room = Room::on(devices);
    let estimate = Estimate::of_run(config, side, room.kernels()).ok()?;
    let passes = fitted.accumulate.passes();
    let images = config.batch.div_ceil(passes);
    let free = room.free.map_or("not known".into(), gigabytes);
    let what = format!(
        "a step takes about {} on {}, free there: {free}; {passes} pass(es) a step",
        gigabytes(room.bytes(estimate, images)),
        room.place
    );
    Some(Finding::ok("memory", what))
}
