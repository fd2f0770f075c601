//! The coded words that the objects use, each once. PS3.16 gives them; `docs/dicom-objects.md` lists them with their places.

use nephrobox_shared::{class::Class, measure::Side};

/// A coded concept: value, designator of its scheme, meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

// Anatomy and findings: SNOMED CT, context groups 7150, 7151, 7159 and 244.
pub(crate) const ANATOMICAL_STRUCTURE: Code = Code("91723000", "SCT", "Anatomical Structure");
pub(crate) const ABNORMAL_STRUCTURE: Code =
    Code("49755003", "SCT", "Morphologically Abnormal Structure");
pub(crate) const KIDNEY: Code = Code("64033007", "SCT", "Kidney");
pub(crate) const NEOPLASM: Code = Code("108369006", "SCT", "Neoplasm");
pub(crate) const RIGHT: Code = Code("24028007", "SCT", "Right");
pub(crate) const LEFT: Code = Code("7771000", "SCT", "Left");

// How images were made.
pub(crate) const SEGMENTATION: Code = Code("113076", "DCM", "Segmentation");
pub(crate) const SOURCE_IMAGE: Code = Code(
    "121322",
    "DCM",
    "Source image for image processing operation",
);
pub(crate) const PROCESSING_EQUIPMENT: Code = Code("109102", "DCM", "Processing Equipment");
pub(crate) const ARTIFICIAL_INTELLIGENCE: Code = Code("123110", "DCM", "Artificial Intelligence");

// The structured report: TID 1500 and what it includes.
pub(crate) const REPORT: Code = Code("126000", "DCM", "Imaging Measurement Report");
pub(crate) const LANGUAGE: Code = Code("121049", "DCM", "Language of Content Item and Descendants");
pub(crate) const ENGLISH: Code = Code("en", "RFC5646", "English");
pub(crate) const OBSERVER_TYPE: Code = Code("121005", "DCM", "Observer Type");
pub(crate) const DEVICE: Code = Code("121007", "DCM", "Device");
pub(crate) const DEVICE_UID: Code = Code("121012", "DCM", "Device Observer UID");
pub(crate) const DEVICE_NAME: Code = Code("121013", "DCM", "Device Observer Name");
pub(crate) const DEVICE_MANUFACTURER: Code = Code("121014", "DCM", "Device Observer Manufacturer");
pub(crate) const DEVICE_MODEL: Code = Code("121015", "DCM", "Device Observer Model Name");
pub(crate) const DEVICE_SERIAL: Code = Code("121016", "DCM", "Device Observer Serial Number");
pub(crate) const PROCEDURE_REPORTED: Code = Code("121058", "DCM", "Procedure reported");
pub(crate) const CT: Code = Code("25045-6", "LN", "CT unspecified body region");
pub(crate) const MEASUREMENTS: Code = Code("126010", "DCM", "Imaging Measurements");
pub(crate) const EVALUATIONS: Code = Code("C0034375", "UMLS", "Qualitative Evaluations");
pub(crate) const COMMENT: Code = Code("121106", "DCM", "Comment");
pub(crate) const GROUP: Code = Code("125007", "DCM", "Measurement Group");
pub(crate) const TRACKING_ID: Code = Code("112039", "DCM", "Tracking Identifier");
pub(crate) const TRACKING_UID: Code = Code("112040", "DCM", "Tracking Unique Identifier");
pub(crate) const FINDING_CATEGORY: Code = Code("276214006", "SCT", "Finding category");
pub(crate) const FINDING: Code = Code("121071", "DCM", "Finding");
pub(crate) const FINDING_SITE: Code = Code("363698007", "SCT", "Finding Site");
pub(crate) const LATERALITY: Code = Code("272741003", "SCT", "Laterality");
pub(crate) const ALGORITHM_NAME: Code = Code("111001", "DCM", "Algorithm Name");
pub(crate) const ALGORITHM_VERSION: Code = Code("111003", "DCM", "Algorithm Version");
pub(crate) const ALGORITHM_PARAMETERS: Code = Code("111002", "DCM", "Algorithm Parameters");
pub(crate) const REFERENCED_SEGMENT: Code = Code("121191", "DCM", "Referenced Segment");
pub(crate) const SOURCE_SERIES: Code = Code("121232", "DCM", "Source series for segmentation");
pub(crate) const DERIVATION: Code = Code("121401", "DCM", "Derivation");
/// "Source of Measurement".
pub(crate) const MEASURED_IN: Code = Code("121112", "DCM", "Source of Measurement");
pub(crate) const MAXIMUM: Code = Code("56851009", "SCT", "Maximum");

// Measures and their units.
pub(crate) const VOLUME: Code = Code("118565006", "SCT", "Volume");
pub(crate) const AREA: Code = Code("42798000", "SCT", "Area");
/// The largest diameter within an image (TID 1411's CID 7469 names it so).
pub(crate) const LONG_AXIS: Code = Code("103339001", "SCT", "Long Axis");
/// The longest chord at a right angle to it.
pub(crate) const SHORT_AXIS: Code = Code("103340004", "SCT", "Short Axis");
pub(crate) const DIAMETER: Code = Code("81827009", "SCT", "Diameter");
pub(crate) const MILLIMETRE: Code = Code("mm", "UCUM", "millimeter");
pub(crate) const MILLILITRE: Code = Code("mL", "UCUM", "milliliter");
pub(crate) const SQUARE_MILLIMETRE: Code = Code("mm2", "UCUM", "square millimeter");

/// A side of the patient.
pub(crate) const fn side(side: Side) -> Code {
    match side {
        Side::Right => RIGHT,
        Side::Left => LEFT,
    }
}

/// Category and type of what a class shows.
pub(crate) const fn property(class: Class) -> (Code, Code) {
    match class {
        Class::Tumour => (ABNORMAL_STRUCTURE, NEOPLASM),
        Class::Background | Class::Kidney => (ANATOMICAL_STRUCTURE, KIDNEY),
    }
}
