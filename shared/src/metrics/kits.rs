//! The KiTS19 challenge's own Dice, which is another quantity than the Dice of the class "kidney".

use super::ConfusionMatrix;
use crate::class::Class;

/// Dice as the KiTS19 challenge scores one case: kidney **and** tumour merged, tumour alone, and the mean of the two.
///
/// The challenge computes it per case over all slices and averages over cases. Its script's answer for an empty
/// structure depends on a division by zero; here it is undefined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KitsDice {
    kidney_and_tumour: Option<f64>,
    tumour: Option<f64>,
}

impl KitsDice {
    /// The scores of the pixels counted in `matrix`.
    pub fn of(matrix: &ConfusionMatrix) -> Self {
        Self {
            kidney_and_tumour: matrix
                .overlap_of(|label| label != Class::Background.index())
                .dice(),
            tumour: matrix.dice(Class::Tumour),
        }
    }

    /// Dice of kidney and tumour as one structure; the challenge calls it "kidney".
    pub const fn kidney_and_tumour(&self) -> Option<f64> {
        self.kidney_and_tumour
    }

    /// Dice of the tumour.
    pub const fn tumour(&self) -> Option<f64> {
        self.tumour
    }

    /// Mean of the two, the challenge's ranking; undefined unless both are defined.
    pub fn composite(&self) -> Option<f64> {
        Some(f64::midpoint(self.kidney_and_tumour?, self.tumour?))
    }
}
