//! How sure the network was.

use serde::{Deserialize, Serialize};

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
    /// Dice between the outlines of the slices and those of their mirror images (up and down, left and right), kidney and tumour as one; `None` if both are empty.
    pub flipped_kidney_dice: Option<f64>,
    /// The same of the tumour alone.
    pub flipped_tumour_dice: Option<f64>,
}
