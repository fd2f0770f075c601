//! CT slices as part 10 files in every transfer syntax.

use std::io::Write;

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::entries;
use nephrobox_dimse::syntax::CT_IMAGE_STORAGE;

/// A slice of `side` x `side` pixels.
///
/// What the packed syntaxes hold is no image; neither end of an association looks into pixels.
pub(crate) fn slice(transfer_syntax: &str, instance: &str, side: u16) -> Vec<u8> {
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let mut object = InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, CT_IMAGE_STORAGE),
        text(tags::SOP_INSTANCE_UID, VR::UI, instance),
        text(tags::STUDY_DATE, VR::DA, "20260101"),
        text(tags::MODALITY, VR::CS, "CT"),
        text(tags::PATIENT_NAME, VR::PN, "Phantom^Kidney"),
        text(tags::PATIENT_ID, VR::LO, "PHANTOM"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "2.25.1"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.2"),
        number(tags::SAMPLES_PER_PIXEL, 1),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        number(tags::ROWS, side),
        number(tags::COLUMNS, side),
        number(tags::BITS_ALLOCATED, 16),
        number(tags::BITS_STORED, 16),
        number(tags::HIGH_BIT, 15),
        number(tags::PIXEL_REPRESENTATION, 1),
    ]);
    let pixels: Vec<u16> = (0..u32::from(side) * u32::from(side))
        .map(|pixel| (pixel.wrapping_mul(2_654_435_761) >> 16) as u16)
        .collect();
    let plain = [
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ];
    if plain.contains(&transfer_syntax) {
        let value = PrimitiveValue::U16(pixels.into());
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, value));
    } else {
        let bytes: Vec<u8> = pixels
            .iter()
            .flat_map(|pixel| pixel.to_le_bytes())
            .collect();
        let value = PixelFragmentSequence::new_fragments(vec![bytes]);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, value));
    }
    let written_as = if transfer_syntax == uids::IMPLICIT_VR_LITTLE_ENDIAN {
        entries::IMPLICIT_VR_LITTLE_ENDIAN.erased()
    } else {
        entries::EXPLICIT_VR_LITTLE_ENDIAN.erased()
    };
    let mut data = Vec::new();
    object
        .write_dataset_with_ts(&mut data, &written_as)
        .unwrap();
    if transfer_syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        let mut deflate =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflate.write_all(&data).unwrap();
        data = deflate.finish().unwrap();
        if data.len() % 2 == 1 {
            data.push(0);
        }
    }
    let mut file = head(CT_IMAGE_STORAGE, transfer_syntax, instance);
    file.append(&mut data);
    file
}

/// Preamble and meta group.
pub(crate) fn head(class: &str, transfer_syntax: &str, instance: &str) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(instance)
        .transfer_syntax(transfer_syntax)
        .implementation_class_uid("2.25.3")
        .build()
        .unwrap();
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    meta.write(&mut file).unwrap();
    file
}

/// The data set of a part 10 file.
pub(crate) fn data_set(file: &[u8]) -> &[u8] {
    let length = u32::from_le_bytes(file[140..144].try_into().unwrap());
    &file[144 + length as usize..]
}
