//! The three classes, their KiTS numbering, names and overlay colours.
//!
//! Used by everything that reads or writes a label. The numbering is that of KiTS19: 0, 1, 2; other numberings are
//! refused where labels enter the house, never renumbered in silence.

use core::fmt;

use serde::{Deserialize, Serialize};

/// What a voxel belongs to. The discriminant is the KiTS19 label and the network's output channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Class {
    /// Everything that is neither kidney nor tumour.
    Background = 0,
    /// Kidney without its tumour (KiTS19 counts cysts as kidney).
    Kidney = 1,
    /// Kidney tumour.
    Tumour = 2,
}

impl Class {
    /// Number of classes, hence of network output channels.
    pub const COUNT: usize = 3;

    /// Every class in label order, so `Class::ALL[label]` is the class of a valid label.
    pub const ALL: [Self; Self::COUNT] = [Self::Background, Self::Kidney, Self::Tumour];

    /// The class of a KiTS label; `None` for anything but 0, 1 and 2.
    ///
    /// ```
    /// use nephrobox_shared::class::Class;
    /// assert_eq!(Class::from_label(2), Some(Class::Tumour));
    /// assert_eq!(Class::from_label(3), None);
    /// ```
    pub const fn from_label(label: u8) -> Option<Self> {
        match label {
            0 => Some(Self::Background),
            1 => Some(Self::Kidney),
            2 => Some(Self::Tumour),
            _ => None,
        }
    }

    /// The KiTS label: 0, 1 or 2.
    pub const fn label(self) -> u8 {
        self as u8
    }

    /// The label as an index into per-class arrays.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The English name in lower case, as it appears in reports and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Kidney => "kidney",
            Self::Tumour => "tumour",
        }
    }

    /// Overlay colour as sRGB.
    ///
    /// Kidney and tumour are "sky blue" and "vermilion" of the Okabe-Ito palette, which readers with any of the three
    /// dichromacies tell apart, and which differ in lightness too, for a grey print. Background is black.
    pub const fn colour(self) -> [u8; 3] {
        match self {
            Self::Background => [0, 0, 0],
            Self::Kidney => [86, 180, 233],
            Self::Tumour => [213, 94, 0],
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
