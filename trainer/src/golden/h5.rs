//! Golden kind `h5`: real Keras weight files, imported and run.
//!
//! A case has a third file, `NAME.h5`. Its JSON names units, skips and decoder filters; the import is compared with the
//! closed form value by value, and the network it makes with the stored probabilities.

use burn::tensor::Device;

use super::case::compare;
use super::model::closed_form;
use super::{Case, CaseError, Check, Outcome};
use crate::network::architecture::{Family, Unit};
use crate::network::import::{Matched, Plan, Source};
use crate::network::parameters::to_vec;
use crate::network::{Parameters, UnetSpec, infer};

/// The reference is an f32 run of probabilities; `golden/model` has its like off by up to 2e-6 from f64.
const PROBABILITY_TOLERANCE: f64 = 2e-5;

pub(super) fn run(case: &Case, device: &Device) -> Result<Outcome, CaseError> {
    let content = |e: &dyn std::fmt::Display| CaseError::Content(e.to_string());
    let (probabilities, [_, classes, ..]) = case.shaped::<4>("probabilities")?;
    let spec = spec(case, classes)?;
    let skips: Vec<String> = texts(case, "skips")?;
    let graph = spec.graph_with_skips(&skips).map_err(|e| content(&e))?;
    let source = Source::read(&case.path.with_extension("h5")).map_err(|e| content(&e))?;
    let plan = Plan::new(&source, &graph).map_err(|e| content(&e))?;
    let mut parameters =
        Parameters::from_fn(&graph, device, |v| vec![f32::NAN; v.shape.iter().product()]);
    plan.apply(&source, &mut parameters);

    let mut checks = vec![Check {
        what: "layers and shapes that differ from the case's list".into(),
        deviation: listed(case, &source)?,
        tolerance: 0.0,
    }];
    if plan.matched == Matched::Names {
        for (position, parameter) in parameters.entries().iter().enumerate() {
            let expected = closed_form(&parameter.variable);
            let found = parameters.read(position);
            checks.push(compare(&parameter.variable.name(), &found, &expected, 0.0));
        }
    }
    let (_, [_, channels, height, width]) = case.shaped::<4>("input")?;
    let multiple = graph.multiple();
    if channels != spec.channels || height % multiple != 0 || width % multiple != 0 {
        return Err(content(&format!(
            "{channels} x {height} x {width} is no input of this network: {} channels, sides a multiple of {multiple}",
            spec.channels
        )));
    }
    let input = case.tensor("input", device)?;
    let logits = infer(&graph, &parameters, &input, |_, _| {});
    checks.push(compare(
        "probabilities",
        &to_vec(burn::tensor::activation::softmax(logits, 1)),
        &probabilities.values,
        PROBABILITY_TOLERANCE,
    ));
    Ok(Outcome::judge(checks))
}

fn spec(case: &Case, classes: usize) -> Result<UnetSpec, CaseError> {
    let whole = |pointer: &str| -> Result<Vec<usize>, CaseError> {
        Ok(case.numbers(pointer)?.iter().map(|&n| n as usize).collect())
    };
    Ok(UnetSpec {
        family: Family::Reference,
        unit: match case.text("/block")? {
            "basic" => Unit::Basic,
            "bottleneck" => Unit::Bottleneck,
            other => return Err(CaseError::Content(format!("no unit is called `{other}`"))),
        },
        repetitions: whole("/repetitions")?,
        decoder_filters: whole("/decoder_filters")?,
        channels: case.number("/channels")? as usize,
        adapter: false,
        classes,
    })
}

fn texts(case: &Case, key: &str) -> Result<Vec<String>, CaseError> {
    serde_json::from_value(case.meta[key].clone())
        .map_err(|e| CaseError::Content(format!("`{key}` is no list of names: {e}")))
}

/// A layer and its variables with their shapes.
type Listed = (String, Vec<(String, Vec<usize>)>);

/// How many of the case's `[layer, [[variable, shape], ...]]` the file does not hold so, in this order.
fn listed(case: &Case, source: &Source) -> Result<f64, CaseError> {
    let listed: Vec<Listed> = serde_json::from_value(case.meta["layers"].clone())
        .map_err(|e| CaseError::Content(format!("`layers` is no list of layers: {e}")))?;
    let keras = |shape: &[usize]| match *shape {
        [out, from, height, width] => vec![height, width, from, out],
        _ => shape.to_vec(),
    };
    let found: Vec<Listed> = (source.layers.iter())
        .map(|layer| {
            let values = layer.values.iter();
            let values = values.map(|v| (v.label.clone(), keras(&v.shape)));
            (layer.name.clone(), values.collect())
        })
        .collect();
    let differing = listed.iter().zip(&found).filter(|(a, b)| a != b).count();
    Ok((differing + listed.len().abs_diff(found.len())) as f64)
}
