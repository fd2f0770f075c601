//! What a label map says about the patient, in mm² and mL.

use alloc::vec::Vec;

use super::{
    Component, LabelMap, MeasureError, Placement, Side, Sides, Spacing, Tissue, Tumour,
    components::{divide, label, split_column},
    tumour,
};
use crate::class::Class;

/// Pieces of kidney with its tumour below this volume, mL, are not counted where their side has a larger one.
///
/// 0.1 mL, a ball of 6 mm. Post-processing in the KiTS challenges goes further, `docs/decisions/0011-dropped-pieces.md`.
pub const DROPPED_BELOW_ML: f64 = 0.1;

/// Areas, volumes and components of one scan. Counts are kept as integers; the methods give them their units.
#[derive(Clone, Debug, PartialEq)]
pub struct Measures {
    /// The spacing everything was measured with.
    pub spacing: Spacing,
    /// Column of the patient's midline; columns below it are on the patient's right.
    pub midline_column: f64,
    /// Pixels in each slice of the scan that are counted, by slice index.
    pub slices: Vec<Sides<Tissue<u64>>>,
    /// Voxels in the scan that are counted.
    pub voxels: Sides<Tissue<u64>>,
    /// Components of kidney and tumour together, largest first, those that were dropped among them.
    pub kidney_and_tumour: Vec<Component>,
    /// Components of the kidney class, largest first.
    pub kidney: Vec<Component>,
    /// Components of the tumour class, largest first.
    pub tumour: Vec<Component>,
    /// Diameters and scores of each tumour component, in the order of `tumour`.
    pub tumours: Vec<Tumour>,
}

/// Measures a complete label map.
///
/// `midline` is the column of the mid-sagittal plane, as [`Midline`](super::Midline) gives it. A component of kidney
/// and tumour together is counted whole on the side that holds at least 80 % of its voxels, and otherwise divided
/// voxel by voxel at the midline ([`Placement::Divided`]).
///
/// One below [`DROPPED_BELOW_ML`] whose side has a larger one is listed and not counted ([`Component::dropped`]); one
/// that is divided belongs to both sides.
///
/// Fails if a slice was never set or the midline is not a finite number.
pub fn measure(map: &LabelMap, spacing: Spacing, midline: f64) -> Result<Measures, MeasureError> {
    let split = split_column(midline)?;
    // The cast saturates, and a piece has fewer voxels than that exactly if its volume is smaller.
    let smallest = libm::ceil(DROPPED_BELOW_ML / spacing.voxel_ml()) as u64;
    let labelled = label(map, split, smallest)?;
    let mut slices = alloc::vec![Sides::<Tissue<u64>>::default(); map.slices()];
    for placed in &labelled.runs {
        let whole = &labelled.kidney_and_tumour[placed.whole];
        if whole.dropped {
            continue;
        }
        let pixels = placed.run.pixels();
        let sides = match whole.placement {
            Placement::Right => Sides {
                right: pixels,
                left: 0,
            },
            Placement::Left => Sides {
                right: 0,
                left: pixels,
            },
            Placement::Divided => divide(placed.run, split),
        };
        for side in Side::ALL {
            let tissue = slices[placed.slice].get_mut(side);
            match placed.run.class {
                Class::Tumour => tissue.tumour += sides.get(side),
                _ => tissue.kidney += sides.get(side),
            }
        }
    }
    let mut voxels = Sides::<Tissue<u64>>::default();
    for slice in &slices {
        voxels.right += slice.right;
        voxels.left += slice.left;
    }
    let tumours = tumour::tumours(&labelled, spacing);
    Ok(Measures {
        spacing,
        midline_column: midline,
        slices,
        voxels,
        kidney_and_tumour: labelled.kidney_and_tumour,
        kidney: labelled.kidney,
        tumour: labelled.tumour,
        tumours,
    })
}

impl Measures {
    /// Area of each structure in one slice on one side, mm²; `None` for a slice the scan does not have.
    pub fn area_mm2(&self, slice: usize, side: Side) -> Option<Tissue<f64>> {
        let pixels = self.slices.get(slice)?.get(side);
        Some(pixels.map(|pixels| pixels as f64 * self.spacing.pixel_mm2()))
    }

    /// Volume of each structure on one side, mL.
    pub fn volume_ml(&self, side: Side) -> Tissue<f64> {
        self.voxels.get(side).map(|voxels| self.voxels_ml(voxels))
    }

    /// Volume of a component, mL.
    pub fn component_ml(&self, component: &Component) -> f64 {
        self.voxels_ml(component.voxels.sum())
    }

    /// Whether any component that is counted had to be divided at the midline.
    pub fn is_divided(&self) -> bool {
        self.kidney_and_tumour
            .iter()
            .any(|component| component.placement == Placement::Divided && !component.dropped)
    }

    /// The slice with the largest area of tumour on both sides together, the one nearest the head if several are
    /// equal; `None` without tumour.
    pub fn peak_tumour_slice(&self) -> Option<usize> {
        self.peak(|sides| sides.right.tumour + sides.left.tumour)
    }

    /// The slice with the largest area of each structure on one side, the one nearest the head if several are equal;
    /// `None` where the side has none of it.
    pub fn peak_slices(&self, side: Side) -> Tissue<Option<usize>> {
        Tissue {
            kidney: self.peak(|sides| sides.get(side).kidney),
            tumour: self.peak(|sides| sides.get(side).tumour),
        }
    }

    /// The part of all parenchyma (kidney without tumour) that lies on a side, 0 to 1; `None` without any.
    pub fn parenchyma_share(&self, side: Side) -> Option<f64> {
        let total = self.voxels.right.kidney + self.voxels.left.kidney;
        (total > 0).then(|| self.voxels.get(side).kidney as f64 / total as f64)
    }

    fn peak(&self, pixels: impl Fn(&Sides<Tissue<u64>>) -> u64) -> Option<usize> {
        let mut peak = None;
        let mut most = 0;
        for (slice, sides) in self.slices.iter().enumerate() {
            let pixels = pixels(sides);
            if pixels > most {
                (peak, most) = (Some(slice), pixels);
            }
        }
        peak
    }

    /// The median slice of a side's kidney area: the first at which half of the kidney's voxels lie in it or nearer
    /// the head; `None` without kidney on that side.
    pub fn mid_kidney_slice(&self, side: Side) -> Option<usize> {
        let total = self.voxels.get(side).kidney;
        let mut so_far = 0;
        self.slices.iter().position(|sides| {
            so_far += sides.get(side).kidney;
            total > 0 && 2 * so_far >= total
        })
    }

    fn voxels_ml(&self, voxels: u64) -> f64 {
        voxels as f64 * self.spacing.voxel_ml()
    }
}
