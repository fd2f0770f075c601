//! The patient's sides and the two structures, as small named containers.

use core::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// A side of the patient, never of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The patient's right: low columns of a canonical slice, hence left on a screen in radiological view.
    Right,
    /// The patient's left.
    Left,
}

impl Side {
    /// Both sides, right first.
    pub const ALL: [Self; 2] = [Self::Right, Self::Left];

    /// "right" or "left".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Left => "left",
        }
    }
}

/// One value for each side of the patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides<T> {
    /// On the patient's right.
    pub right: T,
    /// On the patient's left.
    pub left: T,
}

impl<T> Sides<T> {
    /// One value for each side, made right first.
    pub fn from_fn(mut value: impl FnMut(Side) -> T) -> Self {
        Self {
            right: value(Side::Right),
            left: value(Side::Left),
        }
    }

    /// The value of one side.
    pub const fn get(&self, side: Side) -> &T {
        match side {
            Side::Right => &self.right,
            Side::Left => &self.left,
        }
    }

    /// The value of one side, to change.
    pub const fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Right => &mut self.right,
            Side::Left => &mut self.left,
        }
    }
}

/// One value for each segmented structure, such as a count of voxels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tissue<T> {
    /// Of the kidney without its tumour.
    pub kidney: T,
    /// Of the tumour.
    pub tumour: T,
}

impl<T> Tissue<T> {
    /// Each value converted.
    pub fn map<U>(self, mut convert: impl FnMut(T) -> U) -> Tissue<U> {
        Tissue {
            kidney: convert(self.kidney),
            tumour: convert(self.tumour),
        }
    }
}

impl<T: AddAssign + Copy> Tissue<T> {
    /// Kidney and tumour together.
    pub fn sum(self) -> T {
        let mut sum = self.kidney;
        sum += self.tumour;
        sum
    }
}

impl<T: AddAssign> AddAssign for Tissue<T> {
    fn add_assign(&mut self, other: Self) {
        self.kidney += other.kidney;
        self.tumour += other.tumour;
    }
}
