//! Slices around the kidneys of real patients: the masks are real, everything else is painted.
//!
//! Every slice is another body in another contrast phase, for variety; the slices of a case share only the masks'
//! patient, the pixel size and how the values are stored.

use super::acquisition::Storage;
use super::kidney::Masks;
use super::painter::{Patient, Wishes};
use super::rng::Rng;
use super::scene::{Grid, at};
use super::survey::{Placement, Survey};

/// Share of the cases whose values are clipped to 0..=255.
const CLIPPED_SHARE: f32 = 0.35;

/// One finished slice: HU and labels, `size` x `size`.
#[derive(Debug)]
pub(crate) struct Painted {
    pub(crate) hu: Vec<i16>,
    pub(crate) labels: Vec<u8>,
}

/// A case on its way: which slices to take and how to paint them.
#[derive(Debug)]
pub(super) struct Plan {
    seed: u64,
    key: u64,
    rows: usize,
    cols: usize,
    spacing: [f32; 3],
    size: usize,
    pixel: f32,
    storage: Storage,
    placement: Placement,
    /// The slices of the source to paint, ascending.
    pub(super) slices: Vec<usize>,
}

impl Plan {
    /// Plans a case of at most `wanted` slices of `size` x `size`. `key` stands for the case's name.
    pub(super) fn new(survey: &Survey, size: usize, wanted: usize, seed: u64, key: u64) -> Self {
        let mut rng = Rng::of(&[seed, key]);
        let placement = survey.placement();
        let storage = if rng.chance(CLIPPED_SHARE) {
            Storage::Clipped
        } else {
            Storage::Full
        };
        let ([rows, cols], spacing) = (survey.plane(), survey.spacing());
        let source = (rows as f32 * spacing[1]).max(cols as f32 * spacing[2]);
        let width = source * rng.range(0.86, 1.12);
        let slices = survey.choose(wanted, placement.level, &mut rng);
        Self {
            seed,
            key,
            rows,
            cols,
            spacing,
            size,
            pixel: width / size as f32,
            storage,
            placement,
            slices,
        }
    }

    /// How the values of the case are stored.
    pub(super) fn storage(&self) -> Storage {
        self.storage
    }

    /// Height of a slice below the middle of the kidneys, millimetres.
    pub(super) fn height(&self, index: usize) -> f32 {
        (index as f32 - self.placement.level) * self.spacing[0]
    }

    /// Width of a pixel of the output, millimetres.
    pub(super) fn pixel(&self) -> f32 {
        self.pixel
    }

    /// Paints the slice of the source with this index around its labels (`rows` x `cols`).
    pub(super) fn paint(&self, index: usize, labels: &[u8]) -> Painted {
        let mut rng = Rng::of(&[self.seed, self.key, index as u64 + 1]);
        let [spine_row, spine_col] = self.placement.spine;
        let [_, row_mm, col_mm] = self.spacing;
        // The window is centred on the source image, give or take.
        let half = (self.size as f32 - 1.0) * 0.5 * self.pixel;
        let grid = Grid {
            size: self.size,
            pixel: self.pixel,
            corner: at(
                (self.cols as f32 * 0.5 - spine_col) * col_mm - half + rng.normal(0.0, 5.0),
                (self.rows as f32 * 0.5 - spine_row) * row_mm - half + rng.normal(0.0, 5.0),
            ),
        };
        let masks = self.sample(&grid, labels);
        let z = self.height(index);
        let cysts: Vec<[f32; 3]> = masks
            .labels
            .iter()
            .enumerate()
            .filter(|(_, label)| **label == 1)
            .step_by(29)
            .map(|(pixel, _)| [grid.point(pixel).x, grid.point(pixel).y, z])
            .collect();
        let room = self.placement.room(&mut rng);
        let patient = Patient::draw(
            &mut rng,
            &Wishes {
                room,
                narrow: self.placement.narrow,
                phase: None,
                storage: self.storage,
                cysts: &cysts,
            },
        );
        let hu = patient.slice(grid, z, &masks, &mut rng);
        Painted {
            hu,
            labels: masks.labels,
        }
    }

    /// Samples the labels on the output grid: nearest for the labels, nine points a pixel for the shares.
    fn sample(&self, grid: &Grid, labels: &[u8]) -> Masks {
        let [spine_row, spine_col] = self.placement.spine;
        let [_, row_mm, col_mm] = self.spacing;
        let index = |mm: f32, spine: f32, pitch: f32, count: usize| {
            let index = (mm / pitch + spine + 0.5).floor();
            (index >= 0.0 && index < count as f32).then_some(index as usize)
        };
        let label = |x: f32, y: f32| {
            let row = index(y, spine_row, row_mm, self.rows);
            let col = index(x, spine_col, col_mm, self.cols);
            row.zip(col)
                .map_or(0, |(row, col)| labels[row * self.cols + col])
        };
        Masks::sample(grid, label)
    }
}
