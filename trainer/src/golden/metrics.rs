//! Golden kind `metrics`.
use super::{Case, CaseError, Outcome};
use burn::tensor::Device;
pub(super) fn run(_: &Case, _: &Device) -> Result<Outcome, CaseError> {
    Ok(Outcome::NotRun {
        reason: String::new(),
    })
}
