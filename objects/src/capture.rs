//! A picture as Secondary Capture: PS3.3 A.8.1, RGB.

use dicom_dictionary_std::tags;
use nephrobox_shared::report::RESEARCH_USE_NOTICE;

use crate::{
    codes,
    error::ObjectsError,
    item::Item,
    object::{Kind, Object},
    results::{Results, bytes, with_purpose},
    segmentation::LONGEST_VALUE,
};

/// A picture: red, green and blue of each pixel, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Its rows.
    pub rows: u16,
    /// Its columns.
    pub cols: u16,
    /// `rows * cols * 3` bytes.
    pub rgb: &'a [u8],
}

impl Results<'_> {
    /// A picture that shows the results; `of` are the slices that it shows, to refer to.
    ///
    /// The picture itself must carry the notice: many viewers show nothing else. Errors: no pixels, or not 3 bytes for each.
    pub fn capture(&self, picture: Picture<'_>, of: &[usize]) -> Result<Object, ObjectsError> {
        let (rows, cols) = (picture.rows, picture.cols);
        let expected = usize::from(rows) * usize::from(cols) * 3;
        if expected == 0 || picture.rgb.len() != expected {
            return Err(ObjectsError::Picture {
                rows,
                cols,
                expected,
                found: picture.rgb.len(),
            });
        }
        if expected as u64 > LONGEST_VALUE {
            return Err(ObjectsError::TooLarge {
                what: Kind::Capture.name(),
                bytes: expected as u64,
                limit: LONGEST_VALUE,
            });
        }
        let mut item = self.common(Kind::Capture);
        item.text(tags::CONVERSION_TYPE, "WSD")
            .text(tags::IMAGE_TYPE, "DERIVED\\SECONDARY")
            .text(tags::PATIENT_ORIENTATION, "")
            // Kidneys are paired and a picture may show both: asked for, and unknown.
            .text(tags::LATERALITY, "")
            .free(tags::DERIVATION_DESCRIPTION, &self.statement())
            .free(tags::IMAGE_COMMENTS, RESEARCH_USE_NOTICE)
            // The notice and the side letters are part of the picture; the patient's name may be too.
            .text(tags::BURNED_IN_ANNOTATION, "YES")
            .number(tags::SAMPLES_PER_PIXEL, 3)
            .text(tags::PHOTOMETRIC_INTERPRETATION, "RGB")
            .number(tags::PLANAR_CONFIGURATION, 0)
            .number(tags::ROWS, rows)
            .number(tags::COLUMNS, cols)
            .number(tags::BITS_ALLOCATED, 8)
            .number(tags::BITS_STORED, 8)
            .number(tags::HIGH_BIT, 7)
            .number(tags::PIXEL_REPRESENTATION, 0)
            .text(tags::LOSSY_IMAGE_COMPRESSION, "00");
        let sources: Vec<Item> = self
            .references(of.iter().copied())
            .into_iter()
            .map(|image| with_purpose(image, codes::SOURCE_IMAGE))
            .collect();
        if !sources.is_empty() {
            item.sequence(tags::SOURCE_IMAGE_SEQUENCE, sources);
        }
        item.value(tags::PIXEL_DATA, bytes(picture.rgb.to_vec()));
        Object::new(Kind::Capture, item)
    }
}
