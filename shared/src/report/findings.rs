//! Measures with their units, as a report shows them.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{HuFindings, TumourFindings};
use crate::measure::{Component, Measures, Midline, Placement, Side, Sides, Structure, Tissue};

/// What was measured on a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Column of the patient's midline.
    pub midline_column: f64,
    /// Whether it was found in the patient; otherwise it is the middle of the image.
    pub midline_estimated: bool,
    /// Each side of the patient.
    pub sides: Sides<SideFindings>,
    /// The slice with the largest area of tumour.
    pub peak_tumour_slice: Option<usize>,
    /// How many components there are, those that are not counted among them.
    pub component_counts: ComponentCounts,
    /// Every component: those of kidney and tumour together first, then kidney, then tumour, each largest first.
    pub components: Vec<ComponentFindings>,
    /// Every slice that shows kidney or tumour that is counted, from the head.
    pub slices: Vec<SliceFindings>,
    /// Every tumour component that is counted with its diameters, largest volume first.
    #[serde(default)]
    pub tumours: Vec<TumourFindings>,
    /// What the scan's values look like; `None` if nobody looked at them.
    #[serde(default)]
    pub hu: Option<HuFindings>,
}

/// One side of the patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideFindings {
    /// Volume of the kidney without its tumour.
    pub kidney_volume_ml: f64,
    /// Volume of the tumour.
    pub tumour_volume_ml: f64,
    /// Volume of both together.
    pub kidney_and_tumour_volume_ml: f64,
    /// Largest area of kidney in any slice.
    pub kidney_largest_area_mm2: f64,
    /// Largest area of tumour in any slice.
    pub tumour_largest_area_mm2: f64,
    /// The median slice of the kidney's area.
    pub mid_kidney_slice: Option<usize>,
    /// The slice with the largest area of kidney.
    #[serde(default)]
    pub peak_kidney_slice: Option<usize>,
    /// The slice with the largest area of tumour.
    #[serde(default)]
    pub peak_tumour_slice: Option<usize>,
    /// The part of both sides' kidney volume that lies on this one.
    #[serde(default)]
    pub kidney_volume_percent: Option<f64>,
    /// How many tumour components are counted here; divided ones on neither side.
    #[serde(default)]
    pub tumour_components: usize,
    /// The largest diameter in any slice of any of them.
    #[serde(default)]
    pub tumour_in_plane_diameter_mm: Option<f64>,
    /// The largest diameter in space of any of them.
    #[serde(default)]
    pub tumour_largest_diameter_mm: Option<f64>,
}

/// How many components each structure has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentCounts {
    /// Kidney and tumour taken as one.
    pub kidney_and_tumour: usize,
    /// Kidney alone.
    pub kidney: usize,
    /// Tumour alone.
    pub tumour: usize,
}

/// One component.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentFindings {
    /// What it is made of.
    pub structure: Structure,
    /// The side it is counted on.
    pub placement: Placement,
    /// Its volume.
    pub volume_ml: f64,
    /// Its voxels of kidney.
    pub kidney_voxels: u64,
    /// Its voxels of tumour.
    pub tumour_voxels: u64,
    /// The first slice it appears in.
    pub first_slice: usize,
    /// The last slice it appears in.
    pub last_slice: usize,
    /// Mean position along the slices.
    pub centroid_slice: f64,
    /// Mean position along the rows.
    pub centroid_row: f64,
    /// Mean position along the columns.
    pub centroid_column: f64,
    /// Whether it reaches the first or the last slice.
    #[serde(default)]
    pub at_scan_end: bool,
    /// Whether it reaches the border of the scan, so that part of it may be missing.
    pub at_border: bool,
    /// Whether it is too small to be counted in any volume, area or diameter.
    #[serde(default)]
    pub dropped: bool,
}

/// Areas in one slice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceFindings {
    /// Index of the slice.
    pub slice: usize,
    /// Its areas.
    #[serde(flatten)]
    pub areas: SliceAreas,
}

/// Areas by side.
pub type SliceAreas = Sides<StructureAreas>;

/// Areas by structure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StructureAreas {
    /// Of the kidney without its tumour.
    pub kidney_area_mm2: f64,
    /// Of the tumour.
    pub tumour_area_mm2: f64,
}

impl Findings {
    /// Gives the measures of a scan their units. `midline` is the estimate they were measured with.
    pub fn new(measures: &Measures, midline: &Midline) -> Self {
        let components = [
            &measures.kidney_and_tumour,
            &measures.kidney,
            &measures.tumour,
        ];
        Self {
            midline_column: measures.midline_column,
            midline_estimated: midline.is_estimated(),
            sides: Sides::from_fn(|side| SideFindings::new(measures, side)),
            peak_tumour_slice: measures.peak_tumour_slice(),
            component_counts: ComponentCounts {
                kidney_and_tumour: measures.kidney_and_tumour.len(),
                kidney: measures.kidney.len(),
                tumour: measures.tumour.len(),
            },
            components: components
                .into_iter()
                .flatten()
                .map(|component| ComponentFindings::new(measures, component))
                .collect(),
            slices: slices(measures),
            tumours: TumourFindings::all(measures),
            hu: None,
        }
    }

    /// The slice that tells most: the one with the largest area of tumour, else the median slice of the larger kidney.
    /// `None` if nothing was found.
    pub fn key_slice(&self) -> Option<usize> {
        let (right, left) = (&self.sides.right, &self.sides.left);
        let larger = if left.kidney_volume_ml > right.kidney_volume_ml {
            left
        } else {
            right
        };
        self.peak_tumour_slice.or(larger.mid_kidney_slice)
    }

    /// Areas in one slice; zero where it shows neither kidney nor tumour.
    pub fn areas(&self, slice: usize) -> SliceAreas {
        let found = self.slices.iter().find(|found| found.slice == slice);
        found.map(|found| found.areas).unwrap_or_default()
    }
}

impl SideFindings {
    fn new(measures: &Measures, side: Side) -> Self {
        let volume = measures.volume_ml(side);
        let peaks = measures.peak_slices(side);
        let tumours = || {
            let here = Placement::from(side);
            let all = measures.tumour.iter().zip(&measures.tumours);
            all.filter(move |(component, _)| component.placement == here && !component.dropped)
                .map(|(_, tumour)| tumour)
        };
        let largest = |pixels: fn(&Tissue<u64>) -> u64| {
            let most = measures
                .slices
                .iter()
                .map(|slice| pixels(slice.get(side)))
                .max();
            most.unwrap_or(0) as f64 * measures.spacing.pixel_mm2()
        };
        Self {
            kidney_volume_ml: volume.kidney,
            tumour_volume_ml: volume.tumour,
            kidney_and_tumour_volume_ml: measures.voxels.get(side).sum() as f64
                * measures.spacing.voxel_ml(),
            kidney_largest_area_mm2: largest(|tissue| tissue.kidney),
            tumour_largest_area_mm2: largest(|tissue| tissue.tumour),
            mid_kidney_slice: measures.mid_kidney_slice(side),
            peak_kidney_slice: peaks.kidney,
            peak_tumour_slice: peaks.tumour,
            kidney_volume_percent: measures.parenchyma_share(side).map(|share| 100.0 * share),
            tumour_components: tumours().count(),
            tumour_in_plane_diameter_mm: tumours()
                .map(|tumour| tumour.in_plane.diameter.length_mm)
                .reduce(f64::max),
            tumour_largest_diameter_mm: tumours()
                .map(|tumour| tumour.in_space.length_mm)
                .reduce(f64::max),
        }
    }
}

impl ComponentFindings {
    fn new(measures: &Measures, component: &Component) -> Self {
        Self {
            structure: component.structure,
            placement: component.placement,
            volume_ml: measures.component_ml(component),
            kidney_voxels: component.voxels.kidney,
            tumour_voxels: component.voxels.tumour,
            first_slice: component.first_slice,
            last_slice: component.last_slice,
            centroid_slice: component.centroid.slice,
            centroid_row: component.centroid.row,
            centroid_column: component.centroid.col,
            at_border: component.at_border,
            at_scan_end: component.at_scan_end,
            dropped: component.dropped,
        }
    }
}

fn slices(measures: &Measures) -> Vec<SliceFindings> {
    let pixel_mm2 = measures.spacing.pixel_mm2();
    let areas = |tissue: &Tissue<u64>| StructureAreas {
        kidney_area_mm2: tissue.kidney as f64 * pixel_mm2,
        tumour_area_mm2: tissue.tumour as f64 * pixel_mm2,
    };
    measures
        .slices
        .iter()
        .enumerate()
        .filter(|(_, sides)| sides.right.sum() + sides.left.sum() > 0)
        .map(|(slice, sides)| SliceFindings {
            slice,
            areas: Sides::from_fn(|side| areas(sides.get(side))),
        })
        .collect()
}
