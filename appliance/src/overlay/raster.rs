//! A slice and its labels resampled to square screen pixels.
//!
//! A picture must show a millimetre across as long as a millimetre down, so a slice with anisotropic pixels is
//! stretched by its spacing. This is for looking at only: every number comes from the label map itself.

use nephrobox_shared::class::Class;
use nephrobox_shared::preprocess::Window;

use super::{OverlayError, OverlaySlice};

/// The least long side of the anatomy in a picture, in pixels.
const LONG_SIDE: f64 = 768.0;

/// The greatest long side in pixels, which bounds the memory of one picture however odd its spacing is.
const LONGEST_SIDE: f64 = 2048.0;

/// Grey values and labels on one grid of square pixels.
pub(super) struct Raster {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) px_per_mm: f64,
    /// Windowed grey values, `height * width`, row by row.
    pub(super) grey: Vec<u8>,
    /// The class of each pixel, `height * width`, row by row.
    pub(super) classes: Vec<Class>,
}

impl Raster {
    /// Resamples a slice: grey values bilinearly after the window, labels to the class that holds most of the
    /// bilinear weight, which gives smooth outlines where nearest neighbour gives stairs.
    pub(super) fn of(slice: &OverlaySlice<'_>) -> Result<Self, OverlayError> {
        slice.check()?;
        let [high_mm, wide_mm] = slice.extent_mm();
        let long_mm = high_mm.max(wide_mm);
        // Never fewer screen pixels than image pixels, unless the longest side forbids it.
        let px_per_mm = (LONG_SIDE / long_mm)
            .max(1.0 / slice.row_mm.min(slice.col_mm))
            .min(LONGEST_SIDE / long_mm);
        Ok(Self::at(slice, px_per_mm))
    }

    /// The same as large as it fits into `width` by `height` pixels.
    pub(super) fn within(
        slice: &OverlaySlice<'_>,
        (width, height): (u32, u32),
    ) -> Result<Self, OverlayError> {
        slice.check()?;
        let [high_mm, wide_mm] = slice.extent_mm();
        let px_per_mm = (f64::from(width) / wide_mm).min(f64::from(height) / high_mm);
        Ok(Self::at(slice, px_per_mm))
    }

    /// Resamples a slice that has been checked.
    fn at(slice: &OverlaySlice<'_>, px_per_mm: f64) -> Self {
        let [high_mm, wide_mm] = slice.extent_mm();
        let width = (wide_mm * px_per_mm).round().max(1.0) as u32;
        let height = (high_mm * px_per_mm).round().max(1.0) as u32;

        let across = taps(slice.cols, width);
        let down = taps(slice.rows, height);
        let pixels = width as usize * height as usize;
        let mut grey = Vec::with_capacity(pixels);
        let mut classes = Vec::with_capacity(pixels);
        for &vertical in &down {
            for &horizontal in &across {
                let mut value = 0.0_f32;
                let mut share = [0.0_f32; Class::COUNT];
                for (row, row_weight) in vertical {
                    for (col, col_weight) in horizontal {
                        let (pixel, weight) = (row * slice.cols + col, row_weight * col_weight);
                        value += weight * Window::ABDOMEN.normalise(slice.hu[pixel]);
                        // `check` has refused other labels.
                        share[usize::from(slice.labels[pixel])] += weight;
                    }
                }
                grey.push((value * 255.0).round() as u8);
                classes.push(largest(&share));
            }
        }
        Self {
            width,
            height,
            px_per_mm,
            grey,
            classes,
        }
    }

    /// The class at a pixel; everything outside the picture is background, so outlines close at its edge.
    pub(super) fn class(&self, x: i64, y: i64) -> Class {
        if x < 0 || y < 0 || x >= i64::from(self.width) || y >= i64::from(self.height) {
            return Class::Background;
        }
        self.classes[y as usize * self.width as usize + x as usize]
    }
}

/// The two source samples that each target pixel lies between, with their weights; pixel centres at half numbers.
fn taps(source: usize, target: u32) -> Vec<[(usize, f32); 2]> {
    let step = source as f64 / f64::from(target);
    (0..target)
        .map(|index| {
            let at = ((f64::from(index) + 0.5) * step - 0.5).clamp(0.0, (source - 1) as f64);
            let low = at.floor();
            let weight = (at - low) as f32;
            [
                (low as usize, 1.0 - weight),
                ((low as usize + 1).min(source - 1), weight),
            ]
        })
        .collect()
}

fn largest(share: &[f32; Class::COUNT]) -> Class {
    let mut best = Class::Background;
    for class in Class::ALL {
        if share[usize::from(class.label())] > share[usize::from(best.label())] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_keep_equal_sizes_as_they_are() {
        for (index, tap) in taps(5, 5).iter().enumerate() {
            assert_eq!(tap[0].0, index);
            assert_eq!(tap[0].1, 1.0);
        }
    }

    #[test]
    fn anisotropic_pixels_are_drawn_to_scale() {
        // 100 rows of 2 mm beside 100 columns of 1 mm: twice as high as wide.
        let (hu, labels) = (vec![0_i16; 10_000], vec![0_u8; 10_000]);
        let slice = OverlaySlice {
            hu: &hu,
            labels: &labels,
            rows: 100,
            cols: 100,
            row_mm: 2.0,
            col_mm: 1.0,
        };
        let raster = Raster::of(&slice).expect("a sound slice");
        assert_eq!((raster.height, raster.width), (768, 384));
        assert!((raster.px_per_mm - 3.84).abs() < 1e-9);
    }

    #[test]
    fn an_outline_covers_the_area_of_its_mask() {
        let (hu, mut labels) = (vec![0_i16; 64 * 64], vec![0_u8; 64 * 64]);
        for row in 20..40 {
            labels[row * 64 + 10..row * 64 + 30].fill(1);
        }
        let slice = OverlaySlice {
            hu: &hu,
            labels: &labels,
            rows: 64,
            cols: 64,
            row_mm: 0.8,
            col_mm: 0.8,
        };
        let raster = Raster::of(&slice).expect("a sound slice");
        let drawn = raster
            .classes
            .iter()
            .filter(|&&class| class == Class::Kidney)
            .count();
        // 20 x 20 pixels, each 12 x 12 screen pixels; bilinear weights only round the corners.
        assert!(
            (drawn as f64 / (400.0 * 144.0) - 1.0).abs() < 0.01,
            "{drawn}"
        );
    }
}
