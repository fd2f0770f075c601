//! Removal of small components from predictions, with sizes chosen on the validation split.
//!
//! The slices of a prepared set are not neighbours of each other, so components are those of a single slice, and sizes
//! are pixels of the prepared images.

use nephrobox_engine::model::{EngineError, Labeller, SliceModel};
use nephrobox_shared::class::Class;
use nephrobox_shared::measure::{LabelMap, MeasureError, Tissue};
use nephrobox_shared::metrics::Evaluation;
use serde::{Deserialize, Serialize};

use crate::data::{Prepared, Split};
use crate::evaluate::evaluate;
use crate::train::checkpoint::CheckpointError;
use crate::train::{Run, TrainError};

/// Sizes that are tried, in pixels at a side of 256; at another side they change with the area of the image.
const TRIED: [u64; 11] = [0, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512];

/// The smallest components that stay; what is smaller goes, see [`LabelMap::without_small`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Smallest {
    /// Pixels of a kidney with its tumour, 0 to keep all.
    pub kidney: u64,
    /// Pixels of a tumour, 0 to keep all.
    pub tumour: u64,
}

/// What was chosen, for which state of a run, and what it changed: the content of `small-parts-CHECKPOINT.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Chosen {
    /// Whether predictions were averaged over flips.
    pub flips: bool,
    /// BLAKE3 of the checkpoint's file, hexadecimal.
    pub checkpoint: String,
    /// Validation Dice of kidney and tumour without removal; NaN if undefined.
    pub dice_before: [f64; 2],
    /// The same with it.
    pub dice_after: [f64; 2],
    /// The sizes.
    pub smallest: Smallest,
}

impl Smallest {
    /// Takes small components out of one slice, `side * side` labels.
    pub fn apply(self, labels: &mut [u8], side: usize) -> Result<(), MeasureError> {
        if self == Self::default() {
            return Ok(());
        }
        let mut map = LabelMap::new(side, side)?;
        map.push(labels)?;
        let smallest = Tissue {
            kidney: self.kidney,
            tumour: self.tumour,
        };
        map.without_small(smallest)?.read(0, labels)
    }
}

/// A network whose label maps lose their small components.
pub fn cleaned<M: SliceModel>(mut model: M, smallest: Smallest) -> impl SliceModel {
    let shape = model.shape();
    Labeller::new(shape, move |images, batch, labels| {
        model.segment(images, batch, labels)?;
        for slice in labels.chunks_exact_mut(shape.rows * shape.cols) {
            let removed = smallest.apply(slice, shape.rows);
            removed.map_err(|e| EngineError::Device {
                device: "cpu",
                reason: e.to_string(),
            })?;
        }
        Ok(())
    })
}

/// The sizes of a run's checkpoint: those in its folder if they were chosen for the same state and the same `flips`, or
/// else chosen now on the validation split with `model`, and kept there.
pub fn of_run(
    run: &Run,
    checkpoint: &str,
    flips: bool,
    model: &mut dyn SliceModel,
) -> Result<Smallest, TrainError> {
    let path = run.folder().join(format!("small-parts-{checkpoint}.toml"));
    let state = run.checkpoint(checkpoint);
    let state = std::fs::read(&state).map_err(|e| CheckpointError {
        path: state,
        problem: format!("cannot be read: {e}"),
    })?;
    let state = blake3::hash(&state).to_hex().to_string();
    let known = std::fs::read_to_string(&path).ok();
    if let Some(known) = known.and_then(|text| toml::from_str::<Chosen>(&text).ok())
        && (known.flips, &known.checkpoint) == (flips, &state)
    {
        return Ok(known.smallest);
    }
    let (data, slices) = (run.data(), run.data().split(Split::Validation));
    if slices.is_empty() {
        let text =
            "--remove-small chooses its sizes on the validation split, and that has no slices";
        return Err(TrainError::Config(text.into()));
    }
    let mut predictions = Vec::with_capacity(slices.len());
    evaluate(data, slices, model, |index, labels| {
        predictions.push((index, labels.to_vec()));
    })?;
    let (smallest, [dice_before, dice_after]) = choose(data, &predictions)?;
    let chosen = Chosen {
        flips,
        checkpoint: state,
        dice_before,
        dice_after,
        smallest,
    };
    let text = toml::to_string(&chosen).unwrap_or_default();
    nephrobox_imaging::files::write(&path, text.as_bytes()).map_err(|e| TrainError::Write {
        path,
        reason: e.to_string(),
    })?;
    Ok(smallest)
}

/// The sizes with the best Dice over `predictions`, pairs of (slice, labels): the kidney's first, then, with that, the
/// tumour's. Of equally good ones the smallest. With them the Dice of kidney and tumour before and after.
///
/// `predictions` must be of validation patients only.
pub fn choose(
    data: &Prepared,
    predictions: &[(u32, Vec<u8>)],
) -> Result<(Smallest, [[f64; 2]; 2]), TrainError> {
    let scale = (data.side() as f64 / 256.0).powi(2);
    let mut tried = TRIED
        .map(|pixels| (pixels as f64 * scale).round() as u64)
        .to_vec();
    tried.dedup();
    let dice = |smallest: Smallest| dice(data, predictions, smallest);
    let before = dice(Smallest::default())?;
    let (mut best, mut after) = (Smallest::default(), before);
    for &kidney in &tried {
        let candidate = Smallest { kidney, ..best };
        let found = dice(candidate)?;
        if found[0] > after[0] {
            (best, after) = (candidate, found);
        }
    }
    for &tumour in &tried {
        let candidate = Smallest { tumour, ..best };
        let found = dice(candidate)?;
        if found[1] > after[1] {
            (best, after) = (candidate, found);
        }
    }
    Ok((best, [before, after]))
}

/// Dice of kidney and tumour, patients weighted; NaN if undefined, and no number counts as better than that.
fn dice(
    data: &Prepared,
    predictions: &[(u32, Vec<u8>)],
    smallest: Smallest,
) -> Result<[f64; 2], TrainError> {
    let wrong = |index: u32, e: &dyn std::fmt::Display| {
        TrainError::Network(format!("{} cannot be scored: {e}", data.name(index)))
    };
    let mut evaluation = Evaluation::new();
    for (index, labels) in predictions {
        let (meta, mut labels) = (data.meta(*index), labels.clone());
        smallest
            .apply(&mut labels, data.side())
            .map_err(|e| wrong(*index, &e))?;
        evaluation
            .add(
                meta.case as usize,
                data.labels(*index),
                &labels,
                meta.weight,
            )
            .map_err(|e| wrong(*index, &e))?;
    }
    let scores = evaluation.scores();
    Ok(
        [Class::Kidney, Class::Tumour]
            .map(|class| scores.paper.get(class).dice.unwrap_or(f64::NAN)),
    )
}
