//! The prepared set and the weights that a run would start from.

use burn::tensor::Device;
use rayon::prelude::*;

use super::Finding;
use crate::data::{Prepared, Split};
use crate::network::import;
use crate::train::TrainConfig;

/// Looks at the split, at which classes there are, and at every pixel.
pub(super) fn inspect(data: &Prepared) -> Vec<Finding> {
    let place = data.folder().display();
    let parts = Split::ALL.map(|split| {
        let patients = data.cases().iter().filter(|c| c.split == split).count();
        format!(
            "{split} {patients} patients, {} slices",
            data.split(split).len()
        )
    });
    let mut found = vec![Finding::ok(
        "data",
        format!("{place}: {}", parts.join("; ")),
    )];
    let edit = |what: &str| format!("edit {place}/split.toml so that {what}");
    let empty = |split| data.split(split).is_empty();
    if empty(Split::Train) {
        found.push(Finding::fail(
            "split",
            "no slice is trained on",
            edit("`train` names patients"),
        ));
    } else {
        for (label, class) in [(1, "kidney"), (2, "tumour")] {
            let shown = |&&i: &&u32| data.meta(i).counts[label] > 0;
            if data.split(Split::Train).iter().find(shown).is_none() {
                found.push(Finding::warn(
                    "data",
                    format!("no training slice shows {class}, so the network cannot learn it"),
                    edit(&format!("`train` has patients with {class}")),
                ));
            }
        }
    }
    if empty(Split::Validation) {
        found.push(Finding::warn(
            "split",
            "no slice is validated on, so there is no best state and no Dice while it trains",
            edit("`validation` names patients"),
        ));
    }
    if empty(Split::Test) {
        found.push(Finding::warn(
            "split",
            "no slice is left for the test, so an export carries no scores",
            edit("`test` names patients"),
        ));
    }
    found.push(pixels(data));
    found
}

/// Whether images are in [0, 1] and labels are 0, 1, 2, and as many as the index says.
fn pixels(data: &Prepared) -> Finding {
    let fault = |index: u32| -> Option<String> {
        let image = data.image(index);
        if let Some(value) = image.iter().find(|v| !(0.0..=1.0).contains(*v)) {
            return Some(format!("has a value of {value}, outside 0 to 1"));
        }
        let mut counts = [0_u32; 3];
        for &label in data.labels(index) {
            match counts.get_mut(label as usize) {
                Some(count) => *count += 1,
                None => return Some(format!("has label {label}")),
            }
        }
        (counts != data.meta(index).counts).then(|| "has other labels than its index says".into())
    };
    let first = (0..data.len() as u32)
        .into_par_iter()
        .filter_map(|index| Some((index, fault(index)?)))
        .min_by_key(|(index, _)| *index);
    match first {
        None => Finding::ok("pixels", format!("all {} slices are sound", data.len())),
        Some((index, fault)) => Finding::fail(
            "pixels",
            format!("{} {fault}", data.name(index)),
            "run `nephrotrain prepare` again with the same options; it makes what is damaged anew",
        ),
    }
}

/// Whether the weights to start from are there and are of this network.
pub(super) fn weights(config: &TrainConfig) -> Option<Finding> {
    let file = config.weights.as_ref()?;
    let graph = config.network().graph();
    Some(
        match import::load(file, &graph, config.seed, &Device::flex()) {
            Ok(_) => Finding::ok("weights", format!("{} suits this network", file.display())),
            Err(e) => Finding::fail(
                "weights",
                e.to_string(),
                "choose the encoder and the channels that these weights are for, or other weights",
            ),
        },
    )
}
