//! How sure the network was.

use alloc::{format, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{Warning, WarningCode};

/// Mean probability of the chosen class below which the network is unsure of the kidneys.
const SURE_OF_KIDNEY: f64 = 0.85;
/// The same of the tumour.
const SURE_OF_TUMOUR: f64 = 0.75;
/// Dice with the outlines of mirror images below which the network disagrees with itself about kidney and tumour as one.
const ALIKE_WHOLE: f64 = 0.8;
/// The same of the tumour.
const ALIKE_TUMOUR: f64 = 0.6;

/// What the network's own output says of how far its outlines can be trusted. A network can be sure and wrong; one that is
/// unsure, or disagrees with itself, is seldom right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// Slices that were looked at again: those that are drawn, and others spread over what is outlined.
    pub slices: usize,
    /// Mean probability of the chosen class over what is outlined as kidney there, 0 to 1; `None` without any.
    pub kidney_probability: Option<f64>,
    /// The same of the tumour.
    pub tumour_probability: Option<f64>,
    /// The part of what is outlined as kidney whose class has a probability below 0.75; `None` without any.
    #[serde(default)]
    pub kidney_unsure_percent: Option<f64>,
    /// The same of the tumour.
    #[serde(default)]
    pub tumour_unsure_percent: Option<f64>,
    /// Dice between the outlines of the slices and those of their mirror images, right and left exchanged, kidney and tumour as one; `None` if both are empty.
    pub flipped_kidney_dice: Option<f64>,
    /// The same of the tumour alone.
    pub flipped_tumour_dice: Option<f64>,
}

impl Confidence {
    /// What it says against the outlines. The limits and what they were taken from: `docs/measures.md`.
    pub fn warnings(&self) -> Vec<Warning> {
        let slices = self.slices;
        let unsure = [
            ("kidney", self.kidney_probability, SURE_OF_KIDNEY),
            ("tumour", self.tumour_probability, SURE_OF_TUMOUR),
        ]
        .into_iter()
        .filter_map(|(what, found, least)| {
            let probability = found.filter(|&probability| probability < least)?;
            Some(Warning::new(
                WarningCode::LowConfidence,
                format!(
                    "The network is unsure of the {what}: where it outlined it in {slices} slices, the mean probability is \
                     {probability:.2}."
                ),
            ))
        });
        let disagree = [
            ("kidney with tumour", self.flipped_kidney_dice, ALIKE_WHOLE),
            ("tumour", self.flipped_tumour_dice, ALIKE_TUMOUR),
        ]
        .into_iter()
        .filter_map(|(what, found, least)| {
            let dice = found.filter(|&dice| dice < least)?;
            Some(Warning::new(
                WarningCode::FlipsDisagree,
                format!(
                    "The network outlines the {what} otherwise in mirror images of {slices} slices: Dice {dice:.2} with the \
                     outlines here."
                ),
            ))
        });
        unsure.chain(disagree).collect()
    }
}
