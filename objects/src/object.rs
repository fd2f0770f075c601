//! A finished object.

use std::{fmt, io::Write};

use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};

use crate::{error::ObjectsError, item::Item, uid};

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// DICOM SEG: the outlines.
    Segmentation,
    /// Enhanced SR, TID 1500: the measures.
    Measurements,
    /// Secondary Capture: a picture.
    Capture,
    /// Encapsulated PDF.
    Document,
}

impl Kind {
    /// The SOP class.
    pub const fn sop_class_uid(self) -> &'static str {
        match self {
            Self::Segmentation => uids::SEGMENTATION_STORAGE,
            Self::Measurements => uids::ENHANCED_SR_STORAGE,
            Self::Capture => uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
            Self::Document => uids::ENCAPSULATED_PDF_STORAGE,
        }
    }

    /// Modality: "SEG", "SR", "OT" or "DOC".
    pub const fn modality(self) -> &'static str {
        match self {
            Self::Segmentation => "SEG",
            Self::Measurements => "SR",
            Self::Capture => "OT",
            Self::Document => "DOC",
        }
    }

    /// Series Number; high, so that a study lists what was made of the scan after the scan.
    pub(crate) const fn series_number(self) -> &'static str {
        match self {
            Self::Segmentation => "9101",
            Self::Measurements => "9102",
            Self::Capture => "9103",
            Self::Document => "9104",
        }
    }

    /// At most 64 characters.
    pub(crate) const fn series_description(self) -> &'static str {
        match self {
            Self::Segmentation => "For research use only: kidney and tumour outlines",
            Self::Measurements => "For research use only: kidney and tumour measures",
            Self::Capture => "For research use only: kidney and tumour overlay",
            Self::Document => "For research use only: kidney and tumour report",
        }
    }

    /// What errors call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Segmentation => "segmentation",
            Self::Measurements => "structured report",
            Self::Capture => "picture",
            Self::Document => "document",
        }
    }
}

/// A finished object, in Explicit VR Little Endian.
#[derive(Clone)]
pub struct Object {
    kind: Kind,
    sop_instance_uid: String,
    file: FileDicomObject<InMemDicomObject>,
}

impl Object {
    /// Names the data set by its content: whatever differs has another SOP Instance UID, and what is the same has the same.
    pub(crate) fn new(kind: Kind, dataset: Item) -> Result<Self, ObjectsError> {
        let mut hasher = blake3::Hasher::new_derive_key("nephrobox 2026 DICOM object");
        finish(kind, dataset.clone(), "2.25.0")?
            .write_all(&mut hasher)
            .map_err(|source| encode(kind, source))?;
        let sop_instance_uid = uid::from_hash(&hasher.finalize());
        let file = finish(kind, dataset, &sop_instance_uid)?;
        Ok(Self {
            kind,
            sop_instance_uid,
            file,
        })
    }

    /// What it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its SOP Instance UID.
    pub fn sop_instance_uid(&self) -> &str {
        &self.sop_instance_uid
    }

    /// Its data set, for a sender.
    pub fn dataset(&self) -> &InMemDicomObject {
        &self.file
    }

    /// Writes it as a DICOM file, preamble and meta group included.
    pub fn write(&self, to: impl Write) -> Result<(), ObjectsError> {
        self.file
            .write_all(to)
            .map_err(|source| encode(self.kind, source))
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A data set holds the patient's name, which belongs in no log.
        f.debug_struct("Object")
            .field("kind", &self.kind)
            .field("sop_instance_uid", &self.sop_instance_uid)
            .finish_non_exhaustive()
    }
}

fn finish(
    kind: Kind,
    mut dataset: Item,
    sop_instance_uid: &str,
) -> Result<FileDicomObject<InMemDicomObject>, ObjectsError> {
    dataset.text(tags::SOP_INSTANCE_UID, sop_instance_uid);
    dataset
        .0
        .with_meta(meta())
        .map_err(|source| encode(kind, source))
}

/// The meta group of every file, but for what follows from the data set.
///
/// The library's own name for itself would change the bytes, and so the UIDs, with its version.
pub(crate) fn meta() -> FileMetaTableBuilder {
    FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(uid::derived(&["implementation"]))
        .implementation_version_name("NEPHROBOX")
}

/// The encoder's refusal of an object.
pub(crate) fn encode(
    kind: Kind,
    source: impl std::error::Error + Send + Sync + 'static,
) -> ObjectsError {
    ObjectsError::Encode {
        what: kind.name(),
        source: Box::new(source),
    }
}
