//! Golden kind `metrics`: confusion matrices, Dice, recall, precision, class weights.

use burn::tensor::Device;
use nephrobox_shared::class::Class;
use nephrobox_shared::metrics::{ClassFrequencies, ConfusionMatrix};

use super::{Case, CaseError, Check, Outcome};

/// Sums of exactly representable weights and one division.
const TOLERANCE: f64 = 1e-12;

pub(super) fn run(case: &Case, _: &Device) -> Result<Outcome, CaseError> {
    let (truth, [images, height, width]) = case.labels::<3>("truth")?;
    let (prediction, shape) = case.labels::<3>("prediction")?;
    if shape != [images, height, width] {
        return Err(CaseError::Content(format!(
            "`prediction` has shape {shape:?}, `truth` another"
        )));
    }
    let weights = case.numbers("/image_weight")?;
    if weights.len() != images {
        return Err(CaseError::Content(format!(
            "{} image weights for {images} images",
            weights.len()
        )));
    }
    let plane = height * width;
    let (mut weighted, mut unweighted) = (ConfusionMatrix::new(), ConfusionMatrix::new());
    let mut frequencies = ClassFrequencies::default();
    let pairs = truth
        .chunks_exact(plane)
        .zip(prediction.chunks_exact(plane));
    for ((truth, prediction), &weight) in pairs.zip(&weights) {
        let content = |e: &dyn std::fmt::Display| CaseError::Content(e.to_string());
        weighted
            .add(truth, prediction, weight)
            .map_err(|e| content(&e))?;
        unweighted
            .add(truth, prediction, 1.0)
            .map_err(|e| content(&e))?;
        let mut counts = [0_u64; Class::COUNT];
        for &label in truth {
            counts[usize::from(label)] += 1;
        }
        frequencies.add(counts);
    }
    let mut checks = Vec::new();
    for (tag, matrix) in [
        ("unweighted", &numbers_of(&unweighted)),
        ("weighted", &numbers_of(&weighted)),
    ] {
        for (what, found) in matrix {
            checks.push(check(
                &format!("{tag} {what}"),
                found,
                &case.numbers(&format!("/{tag}/{what}"))?,
            ));
        }
    }
    if case.meta.get("median_frequency_balancing").is_some() {
        let weights = frequencies
            .weights()
            .map(|weight| weight.unwrap_or(f64::NAN));
        let found = Class::ALL.map(|class| frequencies.frequency(class).unwrap_or(f64::NAN));
        let at = |what: &str| case.numbers(&format!("/median_frequency_balancing/{what}"));
        checks.push(check("class frequencies", &found, &at("frequency")?));
        checks.push(check("median-frequency weights", &weights, &at("weights")?));
    }
    Ok(Outcome::judge(checks))
}

/// Every number of a matrix under the case's names, undefined ones as 0 like scikit-learn.
fn numbers_of(matrix: &ConfusionMatrix) -> Vec<(&'static str, Vec<f64>)> {
    let m = matrix.or_zero();
    vec![
        (
            "confusion",
            matrix.weights().iter().flatten().copied().collect(),
        ),
        (
            "confusion_normalized_rows",
            m.row_normalised().iter().flatten().copied().collect(),
        ),
        ("dice", Class::ALL.map(|c| m.dice(c)).to_vec()),
        ("recall", Class::ALL.map(|c| m.recall(c)).to_vec()),
        ("precision", Class::ALL.map(|c| m.precision(c)).to_vec()),
    ]
}

fn check(what: &str, found: &[f64], expected: &[f64]) -> Check {
    let deviation = if found.len() == expected.len() {
        let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, |worst: f64, d| {
            if d.is_nan() || worst.is_nan() {
                f64::NAN
            } else {
                worst.max(d)
            }
        })
    } else {
        f64::INFINITY
    };
    Check {
        what: what.into(),
        deviation,
        tolerance: TOLERANCE,
    }
}
