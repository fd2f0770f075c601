//! What a reader must know before relying on a report, as far as only the box can tell.
//!
//! The findings bring warnings of their own ([`Findings::warnings`]): nothing found, midline, components. Here the
//! scan's geometry and values, the anatomy as a whole and the model are looked at. Limits are generous: a warning that stands on
//! every report is read on none.

use nephrobox_imaging::Geometry;
use nephrobox_imaging::dicom::Finding;
use nephrobox_shared::measure::{Side, Structure};
use nephrobox_shared::report::{
    Findings, HuFindings, KIDNEY_ML, ModelInfo, Severity, Warning, WarningCode,
};

/// Pixels whose sides differ by more than this share are worth a word.
const SQUARE: f64 = 0.02;

/// Plausible distance between pixels of a body CT in mm: from a field of view of 200 mm on 1024 pixels to one of 500 mm on 256.
const PIXEL_MM: std::ops::RangeInclusive<f64> = 0.2..=2.0;

/// Plausible distance between slices in mm; KiTS19 has 0.5 to 5.
const SLICE_MM: std::ops::RangeInclusive<f64> = 0.3..=10.0;

/// Slices further apart than this miss small tumours.
const THICK_MM: f64 = 5.0;

/// A tilt beyond this makes areas per slice larger than in a transverse slice by more than half a percent.
const TILT_DEGREES: f64 = 6.0;

/// Below this percentage of soft tissue a scan shows hardly any patient, or its values are not HU.
const SOFT_TISSUE_PERCENT: f64 = 2.0;

/// Above this percentage of soft tissue there is neither air nor fat: they have been cut off. The whole volumes at hand have 23
/// and 37 %, slices that were clipped at 0 HU have 97 % and more.
const CLIPPED_PERCENT: f64 = 95.0;

/// Above this percentage of dense voxels the values are not HU: the whole volumes at hand have less than 1 %, and stored as raw
/// values that begin at 0, with soft tissue near 1000, they would have 34 and 63 %.
const DENSE_PERCENT: f64 = 10.0;

/// Kidney below this mean has no contrast agent in it: it lies between unenhanced parenchyma, 33 ± 3 HU, and the lowest of 16
/// patients of KiTS19, 75 HU.
const ENHANCED_HU: f64 = 60.0;

/// Every warning about a scan: those of the findings first, then anatomy, values, geometry and model.
#[must_use]
pub fn all(
    findings: &Findings,
    geometry: &Geometry,
    model: &ModelInfo,
    scored: bool,
) -> Vec<Warning> {
    let mut warnings = findings.warnings();
    anatomy(findings, &mut warnings);
    if let Some(hu) = &findings.hu {
        values(hu, &mut warnings);
    }
    grid(geometry, &mut warnings);
    if !scored {
        add(
            &mut warnings,
            WarningCode::ModelNotScored,
            format!(
                "Model {} version {} states no scores on a test split.",
                model.name, model.version
            ),
        );
    }
    warnings
}

/// What a DICOM series was read in spite of.
#[must_use]
pub fn series(findings: &[Finding]) -> Vec<Warning> {
    let worth = findings.iter().filter(|finding| finding.is_warning());
    worth
        .map(|finding| Warning {
            code: finding.code().to_owned(),
            severity: Severity::Caution,
            message: finding.to_string(),
        })
        .collect()
}

fn add(warnings: &mut Vec<Warning>, code: WarningCode, message: String) {
    warnings.push(Warning::new(code, message));
}

fn values(hu: &HuFindings, warnings: &mut Vec<Warning>) {
    if hu.soft_tissue_percent < SOFT_TISSUE_PERCENT || hu.dense_percent > DENSE_PERCENT {
        add(
            warnings,
            WarningCode::ImplausibleHu,
            format!(
                "Only {:.1} % of the voxels have the HU of soft tissue and {:.1} % those of dense bone; the scan may be \
                 no CT, or its values no HU, and then the outlines are worth nothing.",
                hu.soft_tissue_percent, hu.dense_percent
            ),
        );
        return;
    }
    if hu.soft_tissue_percent > CLIPPED_PERCENT {
        add(
            warnings,
            WarningCode::ClippedHu,
            format!(
                "{:.1} % of the voxels have the HU of soft tissue: air and fat have been cut off, and a model that learned from \
                 whole CT values may be misled.",
                hu.soft_tissue_percent
            ),
        );
    }
    if let Some(mean) = hu.kidney_mean_hu
        && mean < ENHANCED_HU
    {
        add(
            warnings,
            WarningCode::PhaseUnlikeTraining,
            format!(
                "The kidneys average {mean:.0} HU, as without contrast agent; a model trained on KiTS19 knows the late \
                 arterial phase only."
            ),
        );
    }
}

fn anatomy(findings: &Findings, warnings: &mut Vec<Warning>) {
    let side = |side| findings.sides.get(side);
    let has_any = |at| side(at).kidney_volume_ml > 0.0;
    let has_whole = |at| has_any(at) && side(at).kidney_and_tumour_volume_ml >= KIDNEY_ML;
    let one = [(Side::Right, Side::Left), (Side::Left, Side::Right)]
        .into_iter()
        .find(|&(one, other)| {
            has_whole(one) && !has_whole(other) || has_any(one) && !has_any(other)
        });
    if let Some((one, other)) = one {
        let little_ml = side(other).kidney_volume_ml;
        let rest = if little_ml > 0.0 {
            format!(
                "; the {little_ml:.1} mL on the {} are too little for one",
                other.name()
            )
        } else {
            String::new()
        };
        add(
            warnings,
            WarningCode::OneKidney,
            format!(
                "A kidney was found on the patient's {} only{rest}.",
                one.name()
            ),
        );
    } else if !has_any(Side::Right) && !findings.components.is_empty() {
        add(
            warnings,
            WarningCode::NoKidney,
            "No kidney was found, only tumour.".into(),
        );
    } else if has_any(Side::Right) && !has_whole(Side::Right) {
        add(
            warnings,
            WarningCode::SmallKidneys,
            format!(
                "No side has as much as a kidney: {:.1} mL on the patient's right, {:.1} mL on the left.",
                side(Side::Right).kidney_and_tumour_volume_ml,
                side(Side::Left).kidney_and_tumour_volume_ml
            ),
        );
    }
    for side in Side::ALL {
        let found = findings.sides.get(side);
        if found.tumour_volume_ml > 0.0 && found.kidney_volume_ml == 0.0 {
            add(
                warnings,
                WarningCode::TumourWithoutKidney,
                format!(
                    "Tumour of {:.1} mL was found on the patient's {} without any kidney there.",
                    found.tumour_volume_ml,
                    side.name()
                ),
            );
        }
    }
    let wholes = || {
        findings
            .components
            .iter()
            .filter(|part| part.structure == Structure::KidneyAndTumour)
    };
    let kidneys = wholes().filter(|part| part.volume_ml >= KIDNEY_ML).count();
    if kidneys > 2 {
        add(
            warnings,
            WarningCode::MoreThanTwoKidneys,
            format!(
                "{kidneys} separate structures of at least {KIDNEY_ML:.0} mL were found; a patient has two kidneys."
            ),
        );
    }
}

fn grid(geometry: &Geometry, warnings: &mut Vec<Warning>) {
    let spacing = geometry.spacing();
    let (row, col, slice) = (spacing.row_mm, spacing.col_mm, spacing.slice_mm);
    if (row / col - 1.0).abs() > SQUARE {
        add(
            warnings,
            WarningCode::AnisotropicPixels,
            format!(
                "Pixels are not square: {row:.3} mm between rows, {col:.3} mm between columns."
            ),
        );
    }
    if !PIXEL_MM.contains(&row) || !PIXEL_MM.contains(&col) || !SLICE_MM.contains(&slice) {
        add(
            warnings,
            WarningCode::ImplausibleSpacing,
            format!(
                "A spacing of {slice:.3} x {row:.3} x {col:.3} mm (slices, rows, columns) is unusual for CT of the \
                 abdomen; if it is wrong, every area and volume is."
            ),
        );
    } else if slice > THICK_MM {
        add(
            warnings,
            WarningCode::ThickSlices,
            format!(
                "Slices are {slice:.1} mm apart; small tumours can lie between them and volumes are coarse."
            ),
        );
    }
    if geometry.tilt_degrees() > TILT_DEGREES {
        add(
            warnings,
            WarningCode::Tilted,
            format!(
                "Slices are tilted by {:.0} degrees and not transverse.",
                geometry.tilt_degrees()
            ),
        );
    }
    if geometry.forms_disagree() {
        add(
            warnings,
            WarningCode::SidesDisagree,
            "The file names the patient's sides in two ways that disagree (sform and qform); the sform was used.".into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(soft: f64, dense: f64, kidney: Option<f64>) -> Vec<String> {
        let mut found = Vec::new();
        let hu = HuFindings {
            air_percent: 0.0,
            soft_tissue_percent: soft,
            dense_percent: dense,
            kidney_mean_hu: kidney,
        };
        values(&hu, &mut found);
        found.into_iter().map(|warning| warning.code).collect()
    }

    /// Percentages of soft tissue and dense voxels as real volumes have them.
    /// Shows RQ-21.
    #[test]
    fn real_volumes_pass_and_raw_or_clipped_ones_are_told() {
        assert_eq!(codes(22.9, 0.25, None), [""; 0], "chest");
        assert_eq!(codes(36.6, 0.02, None), [""; 0], "abdomen");
        assert_eq!(
            codes(97.3, 0.0, Some(118.3)),
            ["clipped_hu"],
            "KiTS19, cut at 0"
        );
        assert_eq!(
            codes(63.4, 34.5, None),
            ["implausible_hu"],
            "the chest in raw values"
        );
        assert_eq!(codes(0.0, 0.0, None), ["implausible_hu"], "air alone");
    }

    /// Means of what was outlined by people, of the lowest of 16 patients in the late arterial phase, and in a scan with hardly any
    /// contrast agent.
    /// Shows RQ-22.
    #[test]
    fn kidneys_without_contrast_agent_are_told_from_those_with() {
        assert_eq!(codes(40.0, 0.3, Some(74.8)), [""; 0]);
        assert_eq!(codes(36.6, 0.02, Some(12.8)), ["phase_unlike_training"]);
    }
}
