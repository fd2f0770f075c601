//! Objects of this crate without whose they are, for those who may know the outlines and not the patient.
//!
//! What stays is what [`KEPT`] names (PS3.15 annex E, Basic Application Level Confidentiality Profile, as an allow-list): an attribute that it
//! does not name is gone, at every depth, private ones too. UIDs become others by a secret key, so that objects of one patient still
//! refer to each other and nobody without the key finds the originals. Segmentations and structured reports only: pictures and
//! documents show what they show.

use dicom_core::{
    DataElement, PrimitiveValue, Tag, VR,
    header::Header as _,
    value::{DataSetSequence, Value},
};
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, OpenFileOptions, file::ReadPreamble, mem::InMemElement};
use nephrobox_shared::report::RESEARCH_USE_NOTICE;

use crate::{
    codes::{self, Code},
    error::ObjectsError,
    item::Item,
    measurements::{ABSENT, OWN_TEST},
    object::{Kind, encode, meta},
    results::MANUFACTURER,
    uid,
};

/// The key by which UIDs become others. Whoever has it can tell whether an original belongs to a new one.
pub type Key = [u8; 32];

/// What becomes of an attribute that may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// It stays: it comes from the box, the model or the geometry.
    Whole,
    /// It becomes another UID.
    Uid,
    /// It must be there and says nothing.
    Empty,
    /// It must have a value, which says nothing.
    Fixed(&'static str),
    /// The export's name stands in its place.
    Name,
    /// Its items stay, each with what may stay of it.
    Items,
    /// The same, of the content of a structured report.
    Content,
}

/// Every attribute that may be in an object, at whatever depth.
#[rustfmt::skip]
const KEPT: &[(Tag, Keep)] = {
    use Keep::{Content, Empty, Fixed, Items, Name, Uid, Whole};
    &[
        // Patient and study: only what must be there, and nothing in it.
        (tags::PATIENT_NAME, Name),
        (tags::PATIENT_ID, Name),
        (tags::PATIENT_BIRTH_DATE, Empty),
        (tags::PATIENT_SEX, Empty),
        (tags::STUDY_INSTANCE_UID, Uid),
        (tags::STUDY_DATE, Empty),
        (tags::STUDY_TIME, Empty),
        (tags::STUDY_ID, Empty),
        (tags::ACCESSION_NUMBER, Empty),
        (tags::REFERRING_PHYSICIAN_NAME, Empty),
        // The object itself. Dates that must be there are nobody's.
        (tags::SPECIFIC_CHARACTER_SET, Whole),
        (tags::SOP_CLASS_UID, Whole),
        (tags::SOP_INSTANCE_UID, Uid),
        (tags::CONTENT_DATE, Fixed("19000101")),
        (tags::CONTENT_TIME, Fixed("000000")),
        (tags::INSTANCE_NUMBER, Whole),
        (tags::MODALITY, Whole),
        (tags::SERIES_INSTANCE_UID, Uid),
        (tags::SERIES_NUMBER, Whole),
        (tags::SERIES_DESCRIPTION, Whole),
        // What made it, but for which box in which house.
        (tags::MANUFACTURER, Whole),
        (tags::MANUFACTURER_MODEL_NAME, Whole),
        (tags::DEVICE_SERIAL_NUMBER, Fixed("REMOVED")),
        (tags::SOFTWARE_VERSIONS, Whole),
        (tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, Items),
        (tags::CONTRIBUTION_DESCRIPTION, Whole),
        (tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, Items),
        // Codes.
        (tags::CODE_VALUE, Whole),
        (tags::CODING_SCHEME_DESIGNATOR, Whole),
        (tags::CODE_MEANING, Whole),
        // References.
        (tags::REFERENCED_SERIES_SEQUENCE, Items),
        (tags::REFERENCED_INSTANCE_SEQUENCE, Items),
        (tags::REFERENCED_SOP_SEQUENCE, Items),
        (tags::REFERENCED_SOP_CLASS_UID, Whole),
        (tags::REFERENCED_SOP_INSTANCE_UID, Uid),
        (tags::REFERENCED_SEGMENT_NUMBER, Whole),
        (tags::SOURCE_IMAGE_SEQUENCE, Items),
        (tags::SPATIAL_LOCATIONS_PRESERVED, Whole),
        (tags::DERIVATION_IMAGE_SEQUENCE, Items),
        (tags::DERIVATION_CODE_SEQUENCE, Items),
        // Geometry and frames.
        (tags::FRAME_OF_REFERENCE_UID, Uid),
        (tags::POSITION_REFERENCE_INDICATOR, Empty),
        (tags::DIMENSION_ORGANIZATION_SEQUENCE, Items),
        (tags::DIMENSION_ORGANIZATION_UID, Uid),
        (tags::DIMENSION_INDEX_SEQUENCE, Items),
        (tags::DIMENSION_INDEX_POINTER, Whole),
        (tags::FUNCTIONAL_GROUP_POINTER, Whole),
        (tags::DIMENSION_DESCRIPTION_LABEL, Whole),
        (tags::DIMENSION_INDEX_VALUES, Whole),
        (tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, Items),
        (tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, Items),
        (tags::PIXEL_MEASURES_SEQUENCE, Items),
        (tags::PIXEL_SPACING, Whole),
        (tags::SLICE_THICKNESS, Whole),
        (tags::SPACING_BETWEEN_SLICES, Whole),
        (tags::PLANE_ORIENTATION_SEQUENCE, Items),
        (tags::IMAGE_ORIENTATION_PATIENT, Whole),
        (tags::PLANE_POSITION_SEQUENCE, Items),
        (tags::IMAGE_POSITION_PATIENT, Whole),
        (tags::FRAME_CONTENT_SEQUENCE, Items),
        (tags::SEGMENT_IDENTIFICATION_SEQUENCE, Items),
        // Pixels: outlines, which show no letters.
        (tags::IMAGE_TYPE, Whole),
        (tags::NUMBER_OF_FRAMES, Whole),
        (tags::SAMPLES_PER_PIXEL, Whole),
        (tags::PHOTOMETRIC_INTERPRETATION, Whole),
        (tags::ROWS, Whole),
        (tags::COLUMNS, Whole),
        (tags::BITS_ALLOCATED, Whole),
        (tags::BITS_STORED, Whole),
        (tags::HIGH_BIT, Whole),
        (tags::PIXEL_REPRESENTATION, Whole),
        (tags::LOSSY_IMAGE_COMPRESSION, Whole),
        (tags::PIXEL_DATA, Whole),
        // Segments.
        (tags::CONTENT_LABEL, Whole),
        (tags::CONTENT_DESCRIPTION, Whole),
        (tags::CONTENT_CREATOR_NAME, Empty),
        (tags::SEGMENTATION_TYPE, Whole),
        (tags::SEGMENTS_OVERLAP, Whole),
        (tags::SEGMENT_SEQUENCE, Items),
        (tags::SEGMENT_NUMBER, Whole),
        (tags::SEGMENT_LABEL, Whole),
        (tags::SEGMENT_DESCRIPTION, Whole),
        (tags::SEGMENT_ALGORITHM_TYPE, Whole),
        (tags::SEGMENT_ALGORITHM_NAME, Whole),
        (tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, Items),
        (tags::ALGORITHM_FAMILY_CODE_SEQUENCE, Items),
        (tags::ALGORITHM_NAME, Whole),
        (tags::ALGORITHM_VERSION, Whole),
        (tags::ALGORITHM_PARAMETERS, Whole),
        (tags::ALGORITHM_SOURCE, Whole),
        (tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, Items),
        (tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, Items),
        (tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, Items),
        (tags::ANATOMIC_REGION_SEQUENCE, Items),
        (tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, Items),
        (tags::TRACKING_ID, Whole),
        (tags::TRACKING_UID, Uid),
        (tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, Whole),
        // The structured report.
        (tags::COMPLETION_FLAG, Whole),
        (tags::COMPLETION_FLAG_DESCRIPTION, Whole),
        (tags::VERIFICATION_FLAG, Whole),
        (tags::PRELIMINARY_FLAG, Whole),
        (tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Empty),
        (tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Empty),
        (tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, Items),
        (tags::CONTENT_SEQUENCE, Content),
        (tags::CONTENT_TEMPLATE_SEQUENCE, Items),
        (tags::MAPPING_RESOURCE, Whole),
        (tags::TEMPLATE_IDENTIFIER, Whole),
        (tags::CONTINUITY_OF_CONTENT, Whole),
        (tags::RELATIONSHIP_TYPE, Whole),
        (tags::VALUE_TYPE, Whole),
        (tags::CONCEPT_NAME_CODE_SEQUENCE, Items),
        (tags::CONCEPT_CODE_SEQUENCE, Items),
        (tags::TEXT_VALUE, Whole),
        (tags::UID, Uid),
        (tags::MEASURED_VALUE_SEQUENCE, Items),
        (tags::NUMERIC_VALUE, Whole),
        (tags::FLOATING_POINT_VALUE, Whole),
        (tags::MEASUREMENT_UNITS_CODE_SEQUENCE, Items),
    ]
};

/// Content items whose text comes from the box or the model alone, by the code of their name.
const TEXTS: [Code; 7] = [
    codes::DEVICE_NAME,
    codes::DEVICE_MANUFACTURER,
    codes::DEVICE_MODEL,
    codes::TRACKING_ID,
    codes::ALGORITHM_NAME,
    codes::ALGORITHM_VERSION,
    codes::ALGORITHM_PARAMETERS,
];

/// Kinds of content items that may stay whatever their name is: none of them is a name, a date or a text.
const VALUE_TYPES: [&str; 5] = ["CONTAINER", "CODE", "UIDREF", "NUM", "IMAGE"];

/// What was done, as PS3.16 context group 7050 codes it: attributes are removed or emptied, what describes comes from the box alone.
const METHODS: [Code; 3] = [
    Code("113100", "DCM", "Basic Application Confidentiality Profile"),
    Code("113104", "DCM", "Clean Structured Content Option"),
    Code("113105", "DCM", "Clean Descriptors Option"),
];

/// Longest name of an export; Patient ID holds no more.
const LONGEST_NAME: usize = 64;

/// A segmentation or structured report of this crate, as a file, without whose it is.
///
/// `name` stands where the patient's name and ID stood; the same `key` and `name` give the same bytes again. The file is believed to be one that
/// this crate wrote.
///
/// # Errors
/// [`ObjectsError::Foreign`] when it is no such object; [`ObjectsError::Encode`] when it cannot be written again.
pub fn deidentify(bytes: &[u8], key: &Key, name: &str) -> Result<Vec<u8>, ObjectsError> {
    let object = OpenFileOptions::new()
        .read_preamble(ReadPreamble::Always)
        .from_reader(bytes)
        .map_err(|_| ObjectsError::Foreign)?;
    let object = object.into_inner();
    let kind = own_kind(&object).ok_or(ObjectsError::Foreign)?;
    // What is no plain name could end its value early.
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let name: String = name.chars().filter(plain).take(LONGEST_NAME).collect();
    let mut kept = Item(keep(&object, key, &name));
    kept.text(tags::PATIENT_IDENTITY_REMOVED, "YES")
        .text(
            tags::DEIDENTIFICATION_METHOD,
            "Allow-list of attributes, other UIDs",
        )
        .sequence(
            tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
            METHODS.map(Item::from).into(),
        )
        .text(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, "REMOVED");
    let mut written = Vec::new();
    kept.0
        .with_meta(meta())
        .map_err(|source| encode(kind, source))?
        .write_all(&mut written)
        .map_err(|source| encode(kind, source))?;
    Ok(written)
}

/// What an object is, if this crate made it and it can be de-identified.
fn own_kind(object: &InMemDicomObject) -> Option<Kind> {
    let class = text(object, tags::SOP_CLASS_UID)?;
    let own = text(object, tags::MANUFACTURER)? == MANUFACTURER;
    [Kind::Segmentation, Kind::Measurements]
        .into_iter()
        .find(|kind| own && kind.sop_class_uid() == class)
}

/// A value as text, without padding.
fn text(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    let text = object.get(tag)?.to_str().ok()?;
    Some(text.trim_end_matches(['\0', ' ']).to_owned())
}

/// What may stay of a data set.
fn keep(object: &InMemDicomObject, key: &Key, name: &str) -> InMemDicomObject {
    let mut kept = InMemDicomObject::new_empty();
    for element in object {
        let rule = KEPT.iter().find(|(tag, _)| *tag == element.tag());
        let kept_element = rule.and_then(|&(_, rule)| apply(rule, element, key, name));
        if let Some(element) = kept_element {
            kept.put(element);
        }
    }
    kept
}

/// An attribute after its rule; `None` if it has another form than the rule is for.
fn apply(rule: Keep, element: &InMemElement, key: &Key, name: &str) -> Option<InMemElement> {
    let (tag, vr) = (element.tag(), element.vr());
    let is_sequence = matches!(element.value(), Value::Sequence(_));
    let texts = |text: &str| DataElement::new(tag, vr, PrimitiveValue::from(text));
    match rule {
        Keep::Empty => Some(DataElement::empty(tag, vr)),
        Keep::Items | Keep::Content => {
            let items = element.items()?.iter();
            let content = rule == Keep::Content;
            let items: Vec<_> = items
                .filter(|item| !content || may_stay(item))
                .map(|item| keep(item, key, name))
                .collect();
            Some(if items.is_empty() {
                DataElement::empty(tag, VR::SQ)
            } else {
                DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
            })
        }
        _ if is_sequence => None,
        Keep::Whole => Some(element.clone()),
        Keep::Fixed(text) => Some(texts(text)),
        Keep::Name => Some(texts(name)),
        Keep::Uid => {
            let old = element.to_str().ok()?;
            Some(texts(&uid::keyed(key, old.trim_end_matches(['\0', ' ']))))
        }
    }
}

/// Whether a content item of a structured report may stay.
fn may_stay(item: &InMemDicomObject) -> bool {
    match text(item, tags::VALUE_TYPE).as_deref() {
        Some("TEXT") => {
            let name = item.get(tags::CONCEPT_NAME_CODE_SEQUENCE);
            let name = name.and_then(|name| name.items()?.first());
            let code = name.and_then(|name| text(name, tags::CODE_VALUE));
            let is = |known: &Code| code.as_deref() == Some(known.0);
            let words = text(item, tags::TEXT_VALUE).unwrap_or_default();
            TEXTS.iter().any(is) || is(&codes::COMMENT) && is_own(&words)
        }
        Some(kind) => VALUE_TYPES.contains(&kind),
        None => false,
    }
}

/// Whether a comment is one that is the same for every patient. Warnings are not: what they say comes from the scan.
fn is_own(words: &str) -> bool {
    words == RESEARCH_USE_NOTICE || words.starts_with(OWN_TEST) || words.ends_with(ABSENT)
}
