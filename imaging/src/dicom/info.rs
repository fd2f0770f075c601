//! What results must say of the series that they were made from.

use super::stack::Stack;

/// A series as results refer to it: identifiers, and where its images lie. Coordinates are DICOM's: millimetres, x towards the
/// patient's left, y towards the back, z towards the head.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// Study Instance UID.
    pub study_uid: String,
    /// Series Instance UID.
    pub series_uid: String,
    /// Frame of Reference UID; empty if the series has none.
    pub frame_of_reference_uid: String,
    /// SOP Class UID of the images.
    pub sop_class_uid: &'static str,
    /// Rows of an image as it is stored.
    pub rows: u16,
    /// Columns of an image as it is stored.
    pub cols: u16,
    /// Unit directions along a row, then down a column.
    pub orientation: [f64; 6],
    /// Distance between rows, then between columns, mm.
    pub pixel_spacing_mm: [f64; 2],
    /// Slice Thickness, mm, if the series gives it.
    pub slice_thickness_mm: Option<f64>,
    /// The images, one for each canonical slice, from the head. None where images are not transverse: there, a canonical slice runs
    /// across all of them.
    pub slices: Vec<SeriesSlice>,
}

/// One image of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSlice {
    /// SOP Instance UID.
    pub instance_uid: String,
    /// Centre of the first pixel, mm.
    pub position_mm: [f64; 3],
}

impl SeriesInfo {
    pub(super) fn new(stack: &Stack) -> Self {
        let first = stack.slices.first();
        let [study_uid, series_uid] = first.map(|slice| slice.series.clone()).unwrap_or_default();
        let [a, b] = first.map(|slice| slice.along).unwrap_or_default();
        let mut slices = Vec::new();
        if stack.geometry.streams() {
            let one = |slice: &super::image::Slice| SeriesSlice {
                instance_uid: slice.instance.clone(),
                position_mm: slice.position,
            };
            slices = stack.slices.iter().map(one).collect();
            if stack.geometry.slice_of(0) > 0 {
                slices.reverse();
            }
        }
        Self {
            study_uid,
            series_uid,
            frame_of_reference_uid: first
                .map(|slice| slice.frame_of_reference.clone())
                .unwrap_or_default(),
            sop_class_uid: dicom_dictionary_std::uids::CT_IMAGE_STORAGE,
            rows: first.map_or(0, |slice| slice.rows),
            cols: first.map_or(0, |slice| slice.cols),
            orientation: [a[0], a[1], a[2], b[0], b[1], b[2]],
            pixel_spacing_mm: first.map(|slice| slice.spacing).unwrap_or_default(),
            slice_thickness_mm: first.and_then(|slice| slice.thickness_mm),
            slices,
        }
    }
}
