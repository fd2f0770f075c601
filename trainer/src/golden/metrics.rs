//! Golden kind `metrics`.
use burn::tensor::Device;
use super::{Case, CaseError, Outcome};
pub(super) fn run(_: &Case, _: &Device) -> Result<Outcome, CaseError> { Ok(Outcome::NotRun { reason: String::new() }) }
