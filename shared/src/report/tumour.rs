//! A tumour's size and place in its kidney, and the values of a scan, as a report shows them.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::measure::{Component, Measures, Placement, Renal, Segment, Tones, Tumour};

/// One tumour component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TumourFindings {
    /// The side it is counted on, that of the kidney it is part of.
    pub placement: Placement,
    /// Its volume.
    pub volume_ml: f64,
    /// The first slice it appears in.
    pub first_slice: usize,
    /// The last slice it appears in.
    pub last_slice: usize,
    /// Whether it hangs together with kidney.
    pub touches_kidney: bool,
    /// The largest diameter within a slice.
    pub in_plane_diameter: SegmentFindings,
    /// The longest chord at a right angle to it, in the same slice.
    pub in_plane_perpendicular: SegmentFindings,
    /// The largest diameter in space.
    pub largest_diameter: SegmentFindings,
    /// The parts of the R.E.N.A.L. score that masks allow; never a sum.
    pub renal: RenalFindings,
}

/// A measured line. Halves in its places lie between two voxels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentFindings {
    /// Its length.
    pub length_mm: f64,
    /// Where it begins.
    pub from_slice: f64,
    /// Where it begins.
    pub from_row: f64,
    /// Where it begins.
    pub from_column: f64,
    /// Where it ends.
    pub to_slice: f64,
    /// Where it ends.
    pub to_row: f64,
    /// Where it ends.
    pub to_column: f64,
}

/// How far a part of the score can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Follows from the label map by the score's own rule.
    Exact,
    /// By a stand-in for what the score judges by eye.
    Approximate,
    /// The label map does not tell.
    NotAssessable,
}

/// A part of the score in points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenalPoints {
    /// 1 to 3; `None` if it is not assessable.
    pub points: Option<u8>,
    /// Where they come from.
    pub basis: Basis,
}

/// A part of the score that is a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenalLetter {
    /// "a", "p" or "x"; `None` if it is not assessable.
    pub letter: Option<String>,
    /// Where it comes from.
    pub basis: Basis,
}

/// The parts of the R.E.N.A.L. nephrometry score of one tumour, each by the rule in `docs/measures.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RenalFindings {
    /// R, the radius: by the largest diameter in space.
    pub radius: RenalPoints,
    /// E, growth out of the kidney.
    pub exophytic: RenalPoints,
    /// N, nearness to collecting system or sinus, which are not outlined: never assessable.
    pub nearness: RenalPoints,
    /// A, in front of the kidney or behind.
    pub anterior: RenalLetter,
    /// L, place relative to the polar lines.
    pub location: RenalPoints,
    /// What E is judged by: the part of the tumour outside the convex hull of the parenchyma.
    pub outside_kidney_percent: Option<f64>,
    /// What A is judged by: the part in front of the parenchyma's mean.
    pub in_front_percent: Option<f64>,
    /// What L is judged by: the part between the polar lines.
    pub between_polar_lines_percent: Option<f64>,
    /// What L is judged by: whether it crosses the plane halfway between the poles.
    pub crosses_middle: Option<bool>,
}

/// What the values of a scan look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HuFindings {
    /// Voxels up to [`Tones::AIR_UP_TO_HU`].
    pub air_percent: f64,
    /// Voxels from [`Tones::SOFT_FROM_HU`] to [`Tones::SOFT_UP_TO_HU`].
    pub soft_tissue_percent: f64,
    /// Voxels from [`Tones::DENSE_FROM_HU`].
    pub dense_percent: f64,
    /// Mean of the voxels outlined as kidney in the slices that were drawn; `None` without any.
    pub kidney_mean_hu: Option<f64>,
}

impl HuFindings {
    /// From the tones of all slices, and the mean of kidney voxels if there are any.
    pub fn new(tones: &Tones, kidney_mean_hu: Option<f64>) -> Self {
        Self {
            air_percent: 100.0 * tones.air(),
            soft_tissue_percent: 100.0 * tones.soft_tissue(),
            dense_percent: 100.0 * tones.dense(),
            kidney_mean_hu,
        }
    }
}

impl TumourFindings {
    pub(super) fn all(measures: &Measures) -> Vec<Self> {
        let all = measures.tumour.iter().zip(&measures.tumours);
        all.filter(|(component, _)| !component.dropped)
            .map(|(component, tumour)| Self::new(measures, component, tumour))
            .collect()
    }

    fn new(measures: &Measures, component: &Component, tumour: &Tumour) -> Self {
        Self {
            placement: component.placement,
            volume_ml: measures.component_ml(component),
            first_slice: component.first_slice,
            last_slice: component.last_slice,
            touches_kidney: tumour.touches_kidney,
            in_plane_diameter: tumour.in_plane.diameter.into(),
            in_plane_perpendicular: tumour.in_plane.perpendicular.into(),
            largest_diameter: tumour.in_space.into(),
            renal: tumour.renal.into(),
        }
    }
}

impl From<Segment> for SegmentFindings {
    fn from(segment: Segment) -> Self {
        let Segment {
            length_mm,
            from,
            to,
        } = segment;
        Self {
            length_mm,
            from_slice: from.slice,
            from_row: from.row,
            from_column: from.col,
            to_slice: to.slice,
            to_row: to.row,
            to_column: to.col,
        }
    }
}

impl From<Renal> for RenalFindings {
    fn from(renal: Renal) -> Self {
        let points = |points: Option<u8>, basis| RenalPoints {
            points,
            basis: points.map_or(Basis::NotAssessable, |_| basis),
        };
        Self {
            radius: points(Some(renal.radius_points), Basis::Exact),
            exophytic: points(renal.exophytic.map(|e| e.points), Basis::Approximate),
            nearness: points(None, Basis::NotAssessable),
            anterior: RenalLetter {
                letter: renal.facing.map(|facing| facing.letter.into()),
                basis: renal.facing.map_or(Basis::NotAssessable, |_| Basis::Exact),
            },
            location: points(renal.location.map(|l| l.points), Basis::Approximate),
            outside_kidney_percent: renal.exophytic.map(|e| 100.0 * e.outside),
            in_front_percent: renal.facing.map(|facing| 100.0 * facing.in_front),
            between_polar_lines_percent: renal.location.map(|l| 100.0 * l.between),
            crosses_middle: renal.location.map(|l| l.crosses_middle),
        }
    }
}
