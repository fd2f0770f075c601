//! What a reader must know before relying on a report.

use alloc::{format, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::Findings;
use crate::measure::{Placement, Structure};

/// A warning: a stable code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// One of [`WarningCode`]'s names, or one that another program added.
    pub code: String,
    /// What it means for this scan.
    pub message: String,
}

/// The codes this project gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningCode {
    /// Nothing was outlined.
    NothingFound,
    /// The sides may be wrong: the midline is the middle of the image.
    MidlineNotEstimated,
    /// A component was divided at the midline.
    ComponentDivided,
    /// A component reaches the border of the scan.
    ComponentAtBorder,
    /// A side has more than one component of kidney and tumour.
    SeveralComponents,
}

impl WarningCode {
    /// The code as it stands in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NothingFound => "nothing_found",
            Self::MidlineNotEstimated => "midline_not_estimated",
            Self::ComponentDivided => "component_divided",
            Self::ComponentAtBorder => "component_at_border",
            Self::SeveralComponents => "several_components",
        }
    }
}

impl Warning {
    /// A warning with one of this project's codes.
    pub fn new(code: WarningCode, message: impl Into<String>) -> Self {
        Self {
            code: code.name().into(),
            message: message.into(),
        }
    }
}

impl Findings {
    /// The warnings that follow from the findings themselves.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let wholes = || {
            self.components
                .iter()
                .filter(|component| component.structure == Structure::KidneyAndTumour)
        };
        if wholes().next().is_none() {
            warnings.push(Warning::new(
                WarningCode::NothingFound,
                "No kidney and no tumour was outlined in this scan.",
            ));
        }
        if !self.midline_estimated {
            warnings.push(Warning::new(
                WarningCode::MidlineNotEstimated,
                "The patient's midline could not be found; right and left are divided at the middle of the image.",
            ));
        }
        for component in wholes().filter(|component| component.placement == Placement::Divided) {
            warnings.push(Warning::new(
                WarningCode::ComponentDivided,
                format!(
                    "A component of {:.1} mL in slices {} to {} lies across the midline and is divided there.",
                    component.volume_ml, component.first_slice, component.last_slice
                ),
            ));
        }
        for component in wholes().filter(|component| component.at_border) {
            warnings.push(Warning::new(
                WarningCode::ComponentAtBorder,
                format!(
                    "A component of {:.1} mL in slices {} to {} reaches the border of the scan; part of it may be \
                     missing from its area and volume.",
                    component.volume_ml, component.first_slice, component.last_slice
                ),
            ));
        }
        for (placement, side) in [(Placement::Right, "right"), (Placement::Left, "left")] {
            let count = wholes()
                .filter(|component| component.placement == placement)
                .count();
            if count > 1 {
                warnings.push(Warning::new(
                    WarningCode::SeveralComponents,
                    format!(
                        "The {side} side has {count} separate components; small ones may be false."
                    ),
                ));
            }
        }
        warnings
    }
}
