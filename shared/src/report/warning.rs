//! What a reader must know before relying on a report.

use alloc::{format, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{ComponentFindings, Findings};
use crate::measure::{DROPPED_BELOW_ML, Placement, Side, Structure};

/// Pieces of at least this volume count as kidneys when kidneys are counted; adult kidneys have 177 ± 34 mL in men and
/// 146 ± 28 mL in women (Kwon et al., Korean J Nephrol 2008;27:659), the smallest outlined in KiTS19 has 43 mL.
pub const KIDNEY_ML: f64 = 15.0;

/// How much a warning matters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; the numbers stand.
    Note,
    /// Some numbers may be off: look at the pictures.
    #[default]
    Caution,
    /// Main numbers are probably wrong, or about part of the organ only.
    Serious,
}

impl Severity {
    /// "note", "caution" or "serious".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Caution => "caution",
            Self::Serious => "serious",
        }
    }
}

/// A warning: a stable code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// One of [`WarningCode`]'s names, or one that another program added.
    pub code: String,
    /// How much it matters; [`Severity::Caution`] in a report of a program that did not say.
    #[serde(default)]
    pub severity: Severity,
    /// What it means for this scan.
    pub message: String,
}

/// Declares the codes once, with name and severity.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident $name:literal $severity:ident,)*) => {
        /// The codes this project gives.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum WarningCode {
            $($(#[$doc])* $code,)*
        }

        impl WarningCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The code as it stands in a report.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// How much a warning with this code matters.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$code => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// The newest model failed and an older one was used.
    ModelFellBack "model_fell_back" Serious,
    /// Nothing was outlined.
    NothingFound "nothing_found" Serious,
    /// Tumour was outlined and no kidney.
    NoKidney "no_kidney" Serious,
    /// A large piece reaches the first or last slice or an edge of the image.
    PartialCoverage "partial_coverage" Serious,
    /// The values are hardly HU of a CT.
    ImplausibleHu "implausible_hu" Serious,
    /// Pixels or slices are further apart or closer than in CT.
    ImplausibleSpacing "implausible_spacing" Serious,
    /// The file names the sides in two ways that disagree.
    SidesDisagree "sides_disagree" Serious,
    /// The sides may be wrong: the midline is the middle of the image.
    MidlineNotEstimated "midline_not_estimated" Caution,
    /// A component was divided at the midline.
    ComponentDivided "component_divided" Caution,
    /// A small component reaches the border of the scan.
    ComponentAtBorder "component_at_border" Caution,
    /// A side has more than one component of kidney and tumour.
    SeveralComponents "several_components" Caution,
    /// Kidney, or as much of it as a kidney has, on one side only.
    OneKidney "one_kidney" Caution,
    /// Kidney on both sides, and on neither as much as a kidney.
    SmallKidneys "small_kidneys" Caution,
    /// More than two pieces are as large as a kidney.
    MoreThanTwoKidneys "more_than_two_kidneys" Caution,
    /// Tumour on a side without kidney.
    TumourWithoutKidney "tumour_without_kidney" Caution,
    /// Small pieces with tumour are not counted.
    TumourDropped "tumour_dropped" Caution,
    /// The network is not sure of what it outlined.
    LowConfidence "low_confidence" Caution,
    /// Mirror images of the scan are outlined otherwise.
    FlipsDisagree "flips_disagree" Caution,
    /// Tumour that hangs together with no kidney.
    TumourAwayFromKidney "tumour_away_from_kidney" Caution,
    /// Values below soft tissue have been cut off.
    ClippedHu "clipped_hu" Caution,
    /// The kidneys look as if no contrast agent had been given.
    PhaseUnlikeTraining "phase_unlike_training" Caution,
    /// Slices are so far apart that small tumours can lie between them.
    ThickSlices "thick_slices" Caution,
    /// Slices are not transverse.
    Tilted "tilted" Caution,
    /// The model states no scores.
    ModelNotScored "model_not_scored" Caution,
    /// Small pieces of kidney are not counted.
    ComponentsDropped "components_dropped" Note,
    /// Pixels are not square.
    AnisotropicPixels "anisotropic_pixels" Note,
}

impl Warning {
    /// A warning with one of this project's codes.
    pub fn new(code: WarningCode, message: impl Into<String>) -> Self {
        Self {
            code: code.name().into(),
            severity: code.severity(),
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
                .filter(|component| !component.dropped)
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
            let code = if component.volume_ml >= KIDNEY_ML {
                WarningCode::PartialCoverage
            } else {
                WarningCode::ComponentAtBorder
            };
            let border = if component.at_scan_end {
                "first or last slice"
            } else {
                "edge of the image"
            };
            warnings.push(Warning::new(
                code,
                format!(
                    "A component of {:.1} mL in slices {} to {} reaches the {border}; part of it may be missing from \
                     its area, volume and diameters.",
                    component.volume_ml, component.first_slice, component.last_slice
                ),
            ));
        }
        for side in Side::ALL {
            let (placement, findings) = (Placement::from(side), self.sides.get(side));
            let side = side.name();
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
            // A side without any kidney is another warning.
            if findings.kidney_volume_ml > 0.0 {
                let away = self
                    .tumours
                    .iter()
                    .filter(|tumour| tumour.placement == placement && !tumour.touches_kidney);
                warnings.extend(away.map(|tumour| {
                    Warning::new(
                        WarningCode::TumourAwayFromKidney,
                        format!(
                            "A tumour of {:.1} mL in slices {} to {} on the patient's {side} touches no kidney and may \
                             be false.",
                            tumour.volume_ml, tumour.first_slice, tumour.last_slice
                        ),
                    )
                }));
            }
        }
        self.add_dropped(&mut warnings);
        warnings
    }

    /// Pieces that are not counted: those with tumour one by one, the others together.
    fn add_dropped(&self, warnings: &mut Vec<Warning>) {
        let dropped = || {
            let all = self.components.iter();
            all.filter(|piece| piece.dropped && piece.structure == Structure::KidneyAndTumour)
        };
        for piece in dropped().filter(|piece| piece.tumour_voxels > 0) {
            let ComponentFindings {
                volume_ml,
                first_slice,
                last_slice,
                ..
            } = piece;
            warnings.push(Warning::new(
                WarningCode::TumourDropped,
                format!(
                    "A separate piece of {volume_ml:.3} mL in slices {first_slice} to {last_slice} is outlined as tumour and is \
                     not counted, being below {DROPPED_BELOW_ML} mL."
                ),
            ));
        }
        let kidney = || dropped().filter(|piece| piece.tumour_voxels == 0);
        let (pieces, volume_ml) = (
            kidney().count(),
            kidney().map(|piece| piece.volume_ml).sum::<f64>(),
        );
        if pieces > 0 {
            warnings.push(Warning::new(
                WarningCode::ComponentsDropped,
                format!(
                    "{} below {DROPPED_BELOW_ML} mL, of {volume_ml:.3} mL together, {} outlined as kidney and not counted.",
                    if pieces == 1 { "A separate piece".into() } else { format!("{pieces} separate pieces") },
                    if pieces == 1 { "is" } else { "are" },
                ),
            ));
        }
    }
}
