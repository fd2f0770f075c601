//! Gradient accumulation: a step on more images than fit at once.
//!
//! A batch goes through in parts, one on the device at a time. Each part's loss counts with its share
//! of the images, so that the summed gradients are those of the whole batch: exactly so (within
//! rounding) for every layer but a batch norm that trains, which normalises each part by that part's
//! own statistics. The moving statistics move once a step, by the statistics of all parts together,
//! so that they adapt at the pace of the whole batch.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::step::{Batch, Gradients, Learner, Outcome};

/// In how many passes a step goes through its images: a number, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub enum Accumulate {
    /// In this many; sizes as even as can be.
    Passes(NonZero<usize>),
    /// In as few as fit into memory. [`memory::fit`](super::memory::fit) replaces it by their number.
    Auto,
}

impl Accumulate {
    /// All images at once.
    pub const ONE: Self = Self::Passes(NonZero::<usize>::MIN);

    /// The number of passes; one, as long as `auto` is undecided.
    pub fn passes(self) -> usize {
        match self {
            Self::Passes(passes) => passes.get(),
            Self::Auto => 1,
        }
    }
}

impl Default for Accumulate {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Accumulate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passes(passes) => passes.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl FromStr for Accumulate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text
                .parse()
                .map(Self::Passes)
                .map_err(|_| format!("`{text}` is neither a number from 1 on nor `auto`")),
        }
    }
}

/// Form in a settings file: `accumulate = 3` or `accumulate = "auto"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(usize),
    Text(String),
}

impl From<Accumulate> for Written {
    fn from(value: Accumulate) -> Self {
        match value {
            Accumulate::Passes(passes) => Self::Number(passes.get()),
            Accumulate::Auto => Self::Text(value.to_string()),
        }
    }
}

impl TryFrom<Written> for Accumulate {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => number.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl Learner {
    /// [`Learner::pass`] on `images` images that come in `parts`. A single part is treated exactly as
    /// [`Learner::pass`] does.
    ///
    /// # Panics
    /// If there is no part: a mistake of the caller.
    pub fn pass_in_parts(
        &mut self,
        images: usize,
        parts: impl IntoIterator<Item = Batch>,
    ) -> Outcome {
        let mut parts = parts.into_iter().map(|part| {
            let share = part.images.dims()[0] as f64 / images as f64;
            (part, share)
        });
        let (part, share) = parts.next().expect("a batch has images");
        let (mut total, mut statistics) = self.measure(part, share);
        let mut logits = vec![total.logits];
        for (part, share) in parts {
            let (outcome, more) = self.measure(part, share);
            total.loss = total.loss + outcome.loss;
            add(&mut total.gradients, outcome.gradients);
            let pairs = statistics.into_iter().zip(more);
            statistics = pairs.map(|(a, b)| a.merge(b)).collect();
            logits.push(outcome.logits);
        }
        self.move_statistics(statistics);
        total.logits = Tensor::cat(logits, 0);
        total
    }
}

fn add(total: &mut Gradients, more: Gradients) {
    for (sum, gradient) in total.iter_mut().zip(more) {
        *sum = match (sum.take(), gradient) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::adam::AdamConfig;
    use crate::closed_form;
    use crate::loss::{Loss, Reduction, one_hot};
    use crate::network::architecture::{Family, Unit};
    use crate::network::graph::GraphBuilder;
    use crate::network::parallel::even;
    use crate::network::parameters::to_vec;
    use crate::network::{Freeze, Graph, Parameters, UnetSpec};

    const SIDE: usize = 32;

    /// The paper's network in small: two stages, every kind of layer.
    fn unet() -> Graph {
        let spec = UnetSpec {
            family: Family::Reference,
            adapter: false,
            unit: Unit::Basic,
            repetitions: vec![1, 1],
            decoder_filters: vec![16, 8, 8],
            channels: 1,
            classes: 3,
        };
        spec.graph()
    }

    /// No batch norm, so that the parts of a batch know nothing of each other.
    fn plain() -> Graph {
        let mut b = GraphBuilder::new(1);
        let x = b.conv("conv0", b.input(), 8, 3, 2, 1);
        let x = b.relu("relu0", x);
        let x = b.upsample("up", x);
        let logits = b.conv_with_bias("final_conv", x, 3, 3, 1, 1);
        b.finish(logits)
    }

    const DICE: Loss = Loss::FocalDice {
        gamma: 0.5,
        smooth: 1e-5,
        reduction: Reduction::Image,
    };

    fn learner(graph: &Graph, loss: Loss, devices: usize) -> Learner {
        let device = Device::flex();
        let parameters = Parameters::initialise(graph, 7, &device);
        let freeze = Freeze::none(graph);
        let adam = AdamConfig::default();
        Learner::new(graph.clone(), parameters, freeze, loss, adam, &device)
            .with_devices(&vec![device; devices - 1])
    }

    /// Five images, each with its own weight.
    fn batch() -> Batch {
        let device = Device::flex().autodiff();
        let n = 5;
        let images: Vec<f32> = closed_form::signed("images", n * SIDE * SIDE)
            .map(|v| v as f32)
            .collect();
        let labels: Vec<u8> = images.iter().map(|v| ((v + 1.0) * 1.49) as u8).collect();
        let weights = vec![0.2_f32, 1.0, 0.5, 2.0, 0.1];
        Batch {
            images: Tensor::from_data(TensorData::new(images, [n, 1, SIDE, SIDE]), &device),
            truth: one_hot(&labels, [n, SIDE, SIDE], &device),
            weights: Tensor::from_data(TensorData::new(weights, [n]), &device),
        }
    }

    fn cut(batch: &Batch, parts: usize) -> Vec<Batch> {
        let mut start = 0;
        even(batch.images.dims()[0], parts)
            .into_iter()
            .map(|size| {
                start += size;
                let from = start - size;
                Batch {
                    images: batch.images.clone().narrow(0, from, size),
                    truth: batch.truth.clone().narrow(0, from, size),
                    weights: batch.weights.clone().narrow(0, from, size),
                }
            })
            .collect()
    }

    /// Largest difference of two outcomes' gradients, relative to the largest gradient of all.
    fn difference(a: &Outcome, b: &Outcome) -> f32 {
        let (mut worst, mut scale) = (0.0_f32, 0.0_f32);
        for (a, b) in a.gradients.iter().zip(&b.gradients) {
            assert_eq!(a.is_some(), b.is_some());
            if let (Some(a), Some(b)) = (a, b) {
                for (a, b) in to_vec(a.clone()).into_iter().zip(to_vec(b.clone())) {
                    worst = worst.max((a - b).abs());
                    scale = scale.max(a.abs());
                }
            }
        }
        assert!(scale > 0.0, "there are gradients");
        worst / scale
    }

    fn loss(outcome: &Outcome) -> f32 {
        outcome.loss.clone().into_scalar::<f32>()
    }

    #[test]
    fn a_batch_in_parts_has_the_gradients_of_the_whole() {
        let graph = plain();
        for value in [DICE, Loss::CROSS_ENTROPY] {
            let whole = learner(&graph, value, 1).pass(batch());
            for parts in [1, 2, 3, 5] {
                let outcome = learner(&graph, value, 1).pass_in_parts(5, cut(&batch(), parts));
                assert!(
                    (loss(&outcome) - loss(&whole)).abs() < 1e-6,
                    "{parts} parts"
                );
                assert!(difference(&whole, &outcome) < 1e-5, "{parts} parts");
                assert_eq!(outcome.logits.dims(), whole.logits.dims());
            }
        }
    }

    /// The first batch norm sees the images themselves, which do not depend on how they are cut.
    #[test]
    fn moving_statistics_move_once_by_the_whole_batch() {
        let graph = unet();
        let mut whole = learner(&graph, DICE, 1);
        whole.pass(batch());
        let mut parts = learner(&graph, DICE, 1);
        parts.pass_in_parts(5, cut(&batch(), 3));
        for role in ["moving_mean", "moving_variance"] {
            let name = format!("bn_data/{role}");
            let value = |l: &Learner| to_vec(l.parameters.get(&name).unwrap().clone())[0];
            // A batch of 5 x 32 x 32 and of parts (2, 2, 1) differ only in how they are summed.
            assert!((value(&whole) - value(&parts)).abs() < 1e-6, "{name}");
        }
    }

    #[test]
    fn two_devices_give_the_step_of_one() {
        let graph = unet();
        let batch_dice = Loss::FocalDice {
            gamma: 0.5,
            smooth: 1e-5,
            reduction: Reduction::Batch,
        };
        for value in [DICE, Loss::CROSS_ENTROPY, batch_dice] {
            let (mut one, mut two) = (learner(&graph, value, 1), learner(&graph, value, 2));
            let (a, b) = (one.pass(batch()), two.pass(batch()));
            assert!((loss(&a) - loss(&b)).abs() < 1e-5 * loss(&a).abs());
            assert!(
                difference(&a, &b) < 1e-4,
                "{value:?} {}",
                difference(&a, &b)
            );
            for (a, b) in one
                .parameters
                .entries()
                .iter()
                .zip(two.parameters.entries())
            {
                let name = a.variable.name();
                let values = to_vec(a.value.clone());
                for (a, b) in values.into_iter().zip(to_vec(b.value.clone())) {
                    assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{name}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn normalising_per_device_would_show() {
        // The same batch in two parts is what devices with their own statistics would compute.
        let graph = unet();
        let whole = learner(&graph, DICE, 1).pass(batch());
        let apart = learner(&graph, DICE, 1).pass_in_parts(5, cut(&batch(), 2));
        assert!(difference(&whole, &apart) > 1e-2);
    }

    #[test]
    fn more_devices_than_images_are_no_error() {
        let mut learner = learner(&plain(), DICE, 7);
        let outcome = learner.pass(batch());
        assert!(loss(&outcome).is_finite());
    }
}
