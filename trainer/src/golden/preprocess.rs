//! Golden kind `preprocess`: Hounsfield units to network input, labels to network labels.

use burn::tensor::Device;
use nephrobox_shared::preprocess::{Interpolation, Preprocess};

use super::case::compare;
use super::{Case, CaseError, Outcome};

/// One rounding of f32 near 1, twice.
const TOLERANCE: f64 = 2.5e-7;

pub(super) fn run(case: &Case, _: &Device) -> Result<Outcome, CaseError> {
    let (hu, [rows, cols]) = case.shaped::<2>("hu")?;
    let hu: Vec<i16> = hu.values.iter().map(|&v| v as i16).collect();
    let content = |e: &dyn std::fmt::Display| CaseError::Content(e.to_string());
    let settings = |interpolation, rows, cols| Preprocess {
        interpolation,
        rows,
        cols,
        ..Preprocess::default()
    };
    let image = |p: &Preprocess| -> Result<Vec<f32>, CaseError> {
        let mut out = vec![0.0; p.rows * p.cols];
        p.image(&hu, rows, cols, &mut out)
            .map_err(|e| content(&e))?;
        Ok(out)
    };
    let mut checks = Vec::new();
    if let Some(expected) = case.find("normalized") {
        let same_size = image(&settings(Interpolation::Linear, rows, cols))?;
        checks.push(compare(
            "normalized",
            &same_size,
            &expected.values,
            TOLERANCE,
        ));
    }
    let linear = case.array("linear")?;
    // Where `area` is missing it equals `linear`.
    let area = case.find("area").unwrap_or(linear);
    for (what, expected, interpolation) in [
        ("linear", linear, Interpolation::Linear),
        ("area", area, Interpolation::Area),
    ] {
        let [out_rows, out_cols] = expected.shape[..] else {
            return Err(CaseError::Content(format!(
                "`{what}` has shape {:?}",
                expected.shape
            )));
        };
        let found = image(&settings(interpolation, out_rows, out_cols))?;
        checks.push(compare(what, &found, &expected.values, TOLERANCE));
    }
    let (expected, [out_rows, out_cols]) = case.shaped::<2>("mask_nearest")?;
    let mut found = vec![0_u8; out_rows * out_cols];
    settings(Interpolation::Linear, out_rows, out_cols)
        .labels(&case.bytes("mask")?, rows, cols, &mut found)
        .map_err(|e| content(&e))?;
    let found: Vec<f32> = found.into_iter().map(f32::from).collect();
    checks.push(compare("mask_nearest", &found, &expected.values, 0.0));
    Ok(Outcome::judge(checks))
}
