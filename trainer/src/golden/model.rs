//! Golden kind `model`: forward passes of whole U-Nets with closed-form weights.

use burn::tensor::Device;
use nephrobox_shared::class::Class;

use super::case::{Array, compare};
use super::{Case, CaseError, Check, Outcome};
use crate::closed_form;
use crate::network::graph::{Role, Variable};
use crate::network::parameters::to_vec;
use crate::network::{Encoder, Parameters, UnetSpec, infer};

/// The golden cases allow ten times the deviation of Keras' own f32 run from its f64 run.
const ALLOWANCE: f64 = 10.0;

/// Closed-form value of a variable as `golden/README.md` defines it, in this program's layout.
pub(crate) fn closed_form(variable: &Variable) -> Vec<f32> {
    let n = variable.shape.iter().product();
    let numbers = closed_form::signed(&variable.name(), n);
    match variable.role {
        Role::Kernel => {
            let [out, from, height, width] = variable.shape[..] else {
                return Vec::new();
            };
            let in_decoder =
                variable.layer.starts_with("decoder_") || variable.layer == "final_conv";
            let gain = if in_decoder { 1.0 } else { 0.75 };
            let limit = gain * (6.0 / (height * width * from) as f64).sqrt();
            // The index runs over Keras' HWIO; store OIHW.
            let mut kernel = vec![0.0; n];
            for (index, v) in numbers.enumerate() {
                let (o, rest) = (index % out, index / out);
                let (i, place) = (rest % from, rest / from);
                kernel[(o * from + i) * height * width + place] = (v * limit) as f32;
            }
            kernel
        }
        Role::Gamma => numbers.map(|v| (1.0 + 0.25 * v) as f32).collect(),
        Role::MovingVariance => numbers.map(|v| (1.0 + 0.5 * v) as f32).collect(),
        Role::Beta | Role::MovingMean | Role::Bias => numbers.map(|v| (0.1 * v) as f32).collect(),
    }
}

pub(super) fn encoder(case: &Case) -> Result<Encoder, CaseError> {
    case.text("/encoder")?.parse().map_err(CaseError::Content)
}

pub(super) fn run(case: &Case, device: &Device) -> Result<Outcome, CaseError> {
    let (_, [_, channels, height, width]) = case.shaped::<4>("input")?;
    let spec = UnetSpec::paper(encoder(case)?, channels);
    let graph = spec.graph();
    let multiple = graph.multiple();
    if height % multiple != 0 || width % multiple != 0 {
        return Err(CaseError::Content(format!(
            "{height} x {width} is not a multiple of {multiple}"
        )));
    }
    let parameters = Parameters::from_fn(&graph, device, closed_form);
    let tolerance = |name: &str| -> Result<f64, CaseError> {
        let pointer = format!("/reference_max_abs_difference_f32_vs_f64/{name}");
        Ok(ALLOWANCE * case.number(&pointer)?)
    };
    // `stageN_out` of a case is the sum that leaves the stage's last unit.
    let last_units: Vec<(String, String)> = spec
        .repetitions
        .iter()
        .enumerate()
        .map(|(s, units)| {
            (
                format!("stage{}_unit{units}_out", s + 1),
                format!("stage{}_out", s + 1),
            )
        })
        .collect();
    let mut checks = Vec::new();
    let mut seen = vec!["input".to_string(), "argmax".into(), "probabilities".into()];
    let mut failure = None;
    let logits = infer(
        &graph,
        &parameters,
        &case.tensor("input", device)?,
        |layer, value| {
            let name = last_units
                .iter()
                .find(|(unit, _)| unit == layer)
                .map_or(layer, |(_, stage)| stage);
            if let Some(expected) = case.find(name) {
                seen.push(name.to_string());
                match tolerance(name) {
                    Ok(tolerance) => {
                        checks.push(compare(
                            name,
                            &to_vec(value.clone()),
                            &expected.values,
                            tolerance,
                        ));
                    }
                    Err(e) => failure = Some(e),
                }
            }
        },
    );
    if let Some(e) = failure {
        return Err(e);
    }
    if let Some((unknown, _)) = case
        .arrays()
        .find(|(name, _)| !seen.iter().any(|s| s == name))
    {
        return Err(CaseError::Content(format!(
            "the network has no layer `{unknown}` to compare with"
        )));
    }
    let probabilities = to_vec(burn::tensor::activation::softmax(logits.clone(), 1));
    checks.push(compare(
        "probabilities",
        &probabilities,
        &case.array("probabilities")?.values,
        tolerance("probabilities")?,
    ));
    checks.push(labels(
        case.array("argmax")?,
        case.array("final_conv")?,
        &to_vec(logits),
        tolerance("final_conv")?,
    ));
    Ok(Outcome::judge(checks))
}

/// Labels may differ only where the reference's two largest logits are closer than the tolerance.
fn labels(expected: &Array, reference: &Array, logits: &[f32], tolerance: f64) -> Check {
    let plane = reference.shape[2] * reference.shape[3];
    let image = Class::COUNT * plane;
    let mut wrong = 0_usize;
    for (pixel, &label) in expected.values.iter().enumerate() {
        let at = pixel / plane * image + pixel % plane;
        let of = |values: &[f32]| -> [f32; Class::COUNT] {
            std::array::from_fn(|c| values[at + c * plane])
        };
        let best = |v: [f32; Class::COUNT]| {
            (1..Class::COUNT).fold(0, |b, c| if v[c] > v[b] { c } else { b })
        };
        if best(of(logits)) as f32 != label {
            let mut sorted = of(&reference.values);
            sorted.sort_by(|a, b| b.total_cmp(a));
            wrong += usize::from(f64::from(sorted[0] - sorted[1]) > tolerance);
        }
    }
    Check {
        what: "argmax (labels that differ beyond a tie)".into(),
        deviation: wrong as f64,
        tolerance: 0.0,
    }
}
