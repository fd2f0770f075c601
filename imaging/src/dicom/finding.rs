//! What was odd about a series and was dealt with, for the report.

use std::fmt;

/// Something about a series that was handled, and how.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// Files in the folder that are no DICOM were left out.
    OtherFiles {
        /// How many.
        files: usize,
    },
    /// DICOM objects that are no CT slices were left out.
    OtherObjects {
        /// How many.
        objects: usize,
        /// What they are, such as "SR".
        modalities: Vec<String>,
    },
    /// Localisers (scouts, topograms) were left out.
    Localisers {
        /// How many.
        images: usize,
    },
    /// Further copies of the same slices were left out.
    Copies {
        /// How many.
        files: usize,
    },
    /// Distances between slices differ a little; the mean was used.
    UnevenSpacing {
        /// The smallest distance.
        least_mm: f64,
        /// The largest distance.
        most_mm: f64,
        /// The mean that was used.
        mean_mm: f64,
    },
    /// The stack is sheared, as by a tilted gantry; slices were used as they are.
    GantryTilt {
        /// Angle between the stack and the normal of its slices.
        degrees: f64,
    },
    /// One slice alone, which has no neighbour to tell the spacing: its thickness was used.
    SingleSlice {
        /// The thickness that it states.
        thickness_mm: f64,
    },
    /// Pixels were compressed with loss, or by a way that may have lost something.
    MayHaveLost {
        /// Slices concerned.
        slices: usize,
    },
    /// Slices are scaled to HU by different numbers; each was read by its own.
    ScalesDiffer,
    /// The padding value, which counts as air, lies where tissue lies.
    PaddingInTissue {
        /// The HU that it would be otherwise.
        hu: i16,
    },
}

impl Finding {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherFiles { .. } => "dicom_other_files",
            Self::OtherObjects { .. } => "dicom_other_objects",
            Self::Localisers { .. } => "dicom_localisers",
            Self::Copies { .. } => "dicom_copies",
            Self::UnevenSpacing { .. } => "dicom_uneven_spacing",
            Self::GantryTilt { .. } => "dicom_gantry_tilt",
            Self::SingleSlice { .. } => "dicom_single_slice",
            Self::MayHaveLost { .. } => "dicom_lossy",
            Self::ScalesDiffer => "dicom_scales_differ",
            Self::PaddingInTissue { .. } => "dicom_padding_in_tissue",
        }
    }

    /// Whether someone who reads measures must know of it. The others are usual and change nothing.
    pub fn is_warning(&self) -> bool {
        !matches!(
            self,
            Self::OtherFiles { .. }
                | Self::OtherObjects { .. }
                | Self::Localisers { .. }
                | Self::ScalesDiffer
        )
    }
}

/// The sentence for people.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherFiles { files } => {
                write!(f, "{files} files that are no DICOM were left out.")
            }
            Self::OtherObjects {
                objects,
                modalities,
            } => write!(
                f,
                "{objects} DICOM objects that are no CT slices ({}) were left out.",
                modalities.join(", ")
            ),
            Self::Localisers { images } => write!(f, "{images} localisers were left out."),
            Self::Copies { files } => write!(
                f,
                "{files} slices came more than once; the further copies were left out."
            ),
            Self::UnevenSpacing {
                least_mm,
                most_mm,
                mean_mm,
            } => write!(
                f,
                "Slices are {least_mm:.2} to {most_mm:.2} mm apart; volumes were computed with the mean of {mean_mm:.2} mm."
            ),
            Self::GantryTilt { degrees } => write!(
                f,
                "The stack of slices is sheared by {degrees:.1} degrees, as by a tilted gantry; slices were used as they are."
            ),
            Self::SingleSlice { thickness_mm } => write!(
                f,
                "The series has a single slice; its thickness of {thickness_mm:.2} mm was used as the distance between slices."
            ),
            Self::MayHaveLost { slices } => write!(
                f,
                "{slices} slices were compressed in a way that can change voxels."
            ),
            Self::ScalesDiffer => f.write_str(
                "Slices are scaled to HU by different numbers; each was read by its own.",
            ),
            Self::PaddingInTissue { hu } => write!(
                f,
                "The padding value stands for {hu} HU, which tissue has, too; every pixel of that value was taken for air."
            ),
        }
    }
}
