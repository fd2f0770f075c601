//! Golden kind `losses`: values and gradients with respect to the logits.

use burn::tensor::{Device, Tensor};
use nephrobox_shared::class::Class;

use super::case::{compare_number, compare_relative};
use super::{Case, CaseError, Outcome};
use crate::loss::{Loss, Reduction, one_hot};
use crate::network::parameters::to_vec;

/// f32 against the reference's f64.
const VALUE_TOLERANCE: f64 = 1e-5;
/// Of the largest entry of the gradient.
const GRADIENT_TOLERANCE: f64 = 1e-4;

/// What a case's name for a value stands for.
struct Named {
    loss: Loss,
    /// Whether image weights act.
    weighted: bool,
    /// `segmentation_models` divides by the number of classes where the paper sums over them.
    scale: f64,
}

fn parse(name: &str, class_weights: [f64; Class::COUNT]) -> Option<Named> {
    let plain = |loss| {
        Some(Named {
            loss,
            weighted: false,
            scale: 1.0,
        })
    };
    let mean_of_classes = |loss| {
        Some(Named {
            loss,
            weighted: false,
            scale: 1.0 / Class::COUNT as f64,
        })
    };
    let library_dice = |reduction| Loss::FocalDice {
        gamma: 1.0,
        smooth: 1e-5,
        reduction,
    };
    if let Some(rest) = name.strip_suffix("_sample_weighted") {
        return parse(rest, class_weights).map(|named| Named {
            weighted: true,
            ..named
        });
    }
    match name {
        // Keras renormalises and clips probabilities, which changes nothing unless they saturate.
        "ce" | "keras_categorical_crossentropy" => plain(Loss::CROSS_ENTROPY),
        "wce" => plain(Loss::CrossEntropy { class_weights }),
        "library_categorical_crossentropy" => mean_of_classes(Loss::CROSS_ENTROPY),
        "library_weighted_crossentropy" => mean_of_classes(Loss::CrossEntropy { class_weights }),
        "library_dice_batch" => mean_of_classes(library_dice(Reduction::Batch)),
        "library_dice_per_image" => mean_of_classes(library_dice(Reduction::Image)),
        _ => plain(focal_dice(name)?),
    }
}

/// `focal_dice_gamma{A[_B]}_{per_image|batch}_smooth{S}`.
fn focal_dice(name: &str) -> Option<Loss> {
    let (rest, smooth) = name
        .strip_prefix("focal_dice_gamma")?
        .rsplit_once("_smooth")?;
    let (gamma, reduction) = match rest.strip_suffix("_per_image") {
        Some(gamma) => (gamma, Reduction::Image),
        None => (rest.strip_suffix("_batch")?, Reduction::Batch),
    };
    let gamma = match gamma.split_once('_') {
        Some((a, b)) => a.parse::<f64>().ok()? / b.parse::<f64>().ok()?,
        None => gamma.parse().ok()?,
    };
    Some(Loss::FocalDice {
        gamma,
        smooth: smooth.parse().ok()?,
        reduction,
    })
}

pub(super) fn run(case: &Case, device: &Device) -> Result<Outcome, CaseError> {
    let device = device.clone().autodiff();
    let (labels, shape) = case.labels::<3>("labels")?;
    let truth = one_hot(&labels, shape, &device);
    let weights: Tensor<1> = case.tensor("sample_weight", &device)?;
    let class_weights: [f64; Class::COUNT] = case
        .numbers("/class_weights")?
        .try_into()
        .map_err(|_| CaseError::Content("`class_weights` needs one number per class".into()))?;
    let values = case.meta["values"].as_object().cloned().unwrap_or_default();
    let mut checks = Vec::new();
    for (name, expected) in values {
        let expected = expected
            .as_f64()
            .ok_or_else(|| CaseError::Content(format!("`{name}` is no number")))?;
        let named = parse(&name, class_weights)
            .ok_or_else(|| CaseError::Content(format!("no loss is known as `{name}`")))?;
        let logits = case.tensor::<4>("logits", &device)?.require_grad();
        let weights = if named.weighted {
            weights.clone()
        } else {
            Tensor::ones([shape[0]], &device)
        };
        let value = named.loss.value(logits.clone(), truth.clone(), weights) * named.scale;
        let tape = value.backward();
        let gradient = logits
            .grad(&tape)
            .ok_or_else(|| CaseError::Content(format!("`{name}` has no gradient")))?;
        checks.push(compare_number(
            &name,
            f64::from(value.into_scalar::<f32>()),
            expected,
            VALUE_TOLERANCE,
        ));
        if let Some(reference) = case.find(&format!("grad_{name}")) {
            let what = format!("gradient of {name}");
            checks.push(compare_relative(
                &what,
                &to_vec(gradient),
                &reference.values,
                GRADIENT_TOLERANCE,
            ));
        }
    }
    Ok(Outcome::judge(checks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_their_parameters() {
        let weights = [0.02, 1.0, 1.5];
        let named = parse(
            "focal_dice_gamma1_3_per_image_smooth1e-5_sample_weighted",
            weights,
        )
        .unwrap();
        let Loss::FocalDice {
            gamma,
            smooth,
            reduction,
        } = named.loss
        else {
            panic!("{:?}", named.loss)
        };
        assert!(named.weighted && reduction == Reduction::Image);
        assert!((gamma - 1.0 / 3.0).abs() < 1e-15 && smooth == 1e-5);
        assert!(parse("hinge", weights).is_none());
    }
}
