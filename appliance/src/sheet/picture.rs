//! A slice on the page: the patient's body, and what is drawn over it.

use std::sync::Arc;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use nephrobox_shared::report::{SegmentFindings, TumourFindings};

use super::SheetError;
use crate::overlay::{self, OverlaySlice, outline::Outlines};

/// Pixels across and down that a picture has at most: some 220 for each inch of its place on the page.
const MOST: (u32, u32) = (620, 520);

/// A slice for the page.
#[derive(Clone, Debug)]
pub struct Picture {
    pub(super) title: String,
    /// What stands beneath.
    pub(super) caption: String,
    pub(super) width: f32,
    pub(super) height: f32,
    pub(super) px_per_mm: f64,
    /// The grey values, as the drawing takes them.
    pub(super) png: Arc<Vec<u8>>,
    pub(super) whole: Outlines,
    pub(super) tumour: Outlines,
    /// Diameters that were measured in this slice, from end to end.
    pub(super) diameters: Vec<[[f32; 2]; 2]>,
}

impl Picture {
    /// Draws a slice. `title` says what it shows, `caption` its number and areas; diameters are drawn of those `tumours` that were
    /// measured in it.
    ///
    /// # Errors
    /// When the slice contradicts itself: sizes, labels or spacing.
    pub fn new(
        slice: &OverlaySlice<'_>,
        number: usize,
        title: String,
        caption: String,
        tumours: &[TumourFindings],
    ) -> Result<Self, SheetError> {
        let figure = overlay::figure(slice, MOST)?;
        let mut png = Vec::new();
        let encoder =
            PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive);
        figure.grey.write_with_encoder(encoder)?;
        let [first_row, first_col] = figure.from;
        // Whole numbers are the middles of voxels.
        let place = |row: f64, col: f64| {
            let down = (row + 0.5 - first_row as f64) * slice.row_mm * figure.px_per_mm;
            let across = (col + 0.5 - first_col as f64) * slice.col_mm * figure.px_per_mm;
            [across as f32, down as f32]
        };
        let here = |line: &SegmentFindings| line.from_slice == number as f64;
        let diameters = tumours
            .iter()
            .flat_map(|tumour| [tumour.in_plane_diameter, tumour.in_plane_perpendicular])
            .filter(here)
            .map(|line| {
                [
                    place(line.from_row, line.from_column),
                    place(line.to_row, line.to_column),
                ]
            })
            .collect();
        Ok(Self {
            title,
            caption,
            width: figure.grey.width() as f32,
            height: figure.grey.height() as f32,
            px_per_mm: figure.px_per_mm,
            png: Arc::new(png),
            whole: figure.whole,
            tumour: figure.tumour,
            diameters,
        })
    }
}
