//! The program, its device, and the versions a run was begun with.

use std::path::Path;

use burn::tensor::Device;
use nephrobox_engine::device;

use super::Finding;
use crate::commands::train::label;
use crate::data::all_cores;
use crate::network::architecture::Unit;
use crate::train::TrainConfig;

/// Version of this program and of Burn, as they stand in a run's `versions.json`.
const VERSIONS: [(&str, &str); 2] = [
    ("nephrotrain", env!("CARGO_PKG_VERSION")),
    ("burn", "0.22.1"),
];

/// The program itself, and its devices; none if they are not there.
pub(super) fn inspect(spec: &str) -> (Vec<Finding>, Vec<Device>) {
    let built: Vec<&str> = [
        ("cpu", true),
        ("cuda", cfg!(feature = "cuda")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("webgpu", cfg!(feature = "webgpu")),
    ]
    .into_iter()
    .filter_map(|(name, is_in)| is_in.then_some(name))
    .collect();
    let versions = VERSIONS.map(|(name, version)| format!("{name} {version}"));
    let mut found = vec![Finding::ok(
        "program",
        format!("{}, built for {}", versions.join(", "), built.join(", ")),
    )];
    let cores = all_cores();
    match device::select_all(spec) {
        Err(e) => {
            found.push(Finding::fail(
                "device",
                e.to_string(),
                "choose another one with --device",
            ));
            (found, Vec::new())
        }
        Ok(devices) => {
            let what = format!("{}, {cores} processor core(s)", label(&devices));
            found.push(Finding::ok("device", what));
            (found, devices)
        }
    }
}

/// Whether an interrupted run was begun with the same versions and on the same devices.
pub(super) fn same_as(folder: &Path, devices: &[Device]) -> Vec<Finding> {
    let text = std::fs::read_to_string(folder.join("versions.json")).unwrap_or_default();
    let then: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let mut now: Vec<(&str, String)> = VERSIONS.map(|(n, v)| (n, v.to_owned())).to_vec();
    if !devices.is_empty() {
        now.push(("device", label(devices)));
    }
    now.into_iter()
        .filter(|(name, version)| then[name] != version.as_str())
        .map(|(name, version)| {
            let then = then[name].as_str().unwrap_or("of an unknown version");
            Finding::warn(
                "versions",
                format!("this run was begun with {name} {then}, now it is {version}"),
                "results may differ in the last digits from an uninterrupted run; go back to the former one if that matters",
            )
        })
        .collect()
}

/// A large network without a GPU takes weeks.
pub(super) fn patience(config: &TrainConfig, devices: &[Device]) -> Option<Finding> {
    let on_cpu = devices.first().is_some_and(|d| device::name(d) == "cpu");
    let (unit, _) = config.encoder.units();
    (on_cpu && unit == Unit::Bottleneck).then(|| {
        Finding::warn(
            "device",
            format!("{} on a CPU takes seconds a slice and step", config.encoder),
            "use a GPU (build with --features cuda or vulkan), or try things out with --encoder resnet18",
        )
    })
}
