//! The program, its device, and the versions a run was begun with.

use std::path::Path;

use nephrobox_engine::device;

use super::Finding;
use crate::data::all_cores;
use crate::network::Encoder;
use crate::train::TrainConfig;

/// Version of this program and of Burn, as they stand in a run's `versions.json`.
const VERSIONS: [(&str, &str); 2] = [
    ("nephrotrain", env!("CARGO_PKG_VERSION")),
    ("burn", "0.22.1"),
];

/// The program itself, and whether its device is there.
pub(super) fn inspect(device: &str) -> Vec<Finding> {
    let mut built = vec!["cpu"];
    built.extend(cfg!(feature = "cuda").then_some("cuda"));
    built.extend(cfg!(feature = "vulkan").then_some("vulkan"));
    let versions = VERSIONS.map(|(name, version)| format!("{name} {version}"));
    let mut found = vec![Finding::ok(
        "program",
        format!("{}, built for {}", versions.join(", "), built.join(", ")),
    )];
    found.push(match device::select(device) {
        Err(e) => Finding::fail("device", e.to_string(), "choose another one with --device"),
        Ok(chosen) => {
            let cores = all_cores();
            let s = if cores == 1 { "" } else { "s" };
            match device::name(&chosen) {
                "cpu" => Finding::ok("device", format!("cpu, {cores} core{s}")),
                gpu => Finding::ok(
                    "device",
                    format!("{gpu}; the data are made on {cores} core{s}"),
                ),
            }
        }
    });
    found
}

/// Whether an interrupted run was begun with the same versions and on the same device.
pub(super) fn same_as(folder: &Path, device: &str) -> Vec<Finding> {
    let text = std::fs::read_to_string(folder.join("versions.json")).unwrap_or_default();
    let then: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let mut now: Vec<(&str, String)> = VERSIONS.map(|(n, v)| (n, v.to_owned())).to_vec();
    if let Ok(chosen) = device::select(device) {
        now.push(("device", device::name(&chosen).to_owned()));
    }
    now.into_iter()
        .filter(|(name, version)| then[name] != version.as_str())
        .map(|(name, version)| {
            Finding::warn(
                "versions",
                format!("this run was begun with {name} {}, now it is {version}", then[name]),
                "results may differ in the last digits from an uninterrupted run; go back to the former one if that matters",
            )
        })
        .collect()
}

/// A large network without a GPU takes weeks.
pub(super) fn patience(config: &TrainConfig, device: &str) -> Option<Finding> {
    let chosen = device::select(device).ok()?;
    let small = matches!(config.encoder, Encoder::ResNet18 | Encoder::ResNet34);
    (device::name(&chosen) == "cpu" && !small).then(|| {
        Finding::warn(
            "device",
            format!("{} on a CPU takes seconds a slice and step", config.encoder),
            "use a GPU (build with --features cuda or vulkan), or try things out with --encoder resnet18",
        )
    })
}
