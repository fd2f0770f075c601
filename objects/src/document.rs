//! The report as a PDF inside DICOM: PS3.3 A.45.1 and C.24.

use dicom_core::PrimitiveValue;
use dicom_dictionary_std::tags;

use crate::{
    codes,
    error::ObjectsError,
    object::{Kind, Object},
    results::{Results, bytes},
    segmentation::LONGEST_VALUE,
};

impl Results<'_> {
    /// A PDF, kept byte for byte. The document itself must carry the notice.
    ///
    /// Errors: bytes that do not begin as a PDF, or more than a value holds.
    pub fn document(&self, pdf: &[u8]) -> Result<Object, ObjectsError> {
        if !pdf.starts_with(b"%PDF-") {
            return Err(ObjectsError::NotPdf);
        }
        let length = match u32::try_from(pdf.len()) {
            Ok(length) if u64::from(length) <= LONGEST_VALUE => length,
            _ => {
                return Err(ObjectsError::TooLarge {
                    what: Kind::Document.name(),
                    bytes: pdf.len() as u64,
                    limit: LONGEST_VALUE,
                });
            }
        };
        let mut item = self.common(Kind::Document);
        item.text(tags::CONVERSION_TYPE, "WSD")
            .text(tags::ACQUISITION_DATE_TIME, "")
            .text(tags::BURNED_IN_ANNOTATION, "YES")
            .text(tags::DOCUMENT_TITLE, Kind::Document.series_description())
            .code(tags::CONCEPT_NAME_CODE_SEQUENCE, codes::REPORT)
            .sequence(
                tags::SOURCE_INSTANCE_SEQUENCE,
                self.references(0..self.source.slices.len()),
            )
            .text(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf")
            .value(
                tags::ENCAPSULATED_DOCUMENT_LENGTH,
                PrimitiveValue::from(length),
            )
            .value(tags::ENCAPSULATED_DOCUMENT, bytes(pdf.to_vec()));
        Object::new(Kind::Document, item)
    }
}
