//! How sure the network was.

use serde::{Deserialize, Serialize};

/// What the network's own output says of how far its outlines can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// Slices that were looked at again, the peak slices.
    pub slices: usize,
    /// Mean probability of the chosen class over what is outlined as kidney there, 0 to 1; `None` without any.
    pub kidney_probability: Option<f64>,
    /// The same of the tumour.
    pub tumour_probability: Option<f64>,
    /// Dice between the outlines of the slices and those of their mirror images, kidney and tumour as one; `None` if both are empty.
    pub flipped_kidney_dice: Option<f64>,
    /// The same of the tumour alone.
    pub flipped_tumour_dice: Option<f64>,
}
