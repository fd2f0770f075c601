//! What an object that comes in over the network says of where it belongs.
//!
//! Used by whoever gathers a series before it is whole: nothing but names of series and counts is read.

use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::elements::Elements;
use super::error::DicomError;
use super::part10::{Opened, Part10, printable};
use crate::place::Place;

/// All that is taken out of a data set.
const WANTED: [Tag; 7] = [
    tags::SOP_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::MODALITY,
    tags::ACQUISITION_NUMBER,
    tags::IMAGES_IN_ACQUISITION,
    tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
];

/// Where an object belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Study Instance UID. Whatever the file says: no path may be made of it.
    pub study: String,
    /// Series Instance UID. Whatever the file says.
    pub series: String,
    /// SOP Instance UID. Whatever the file says.
    pub instance: String,
    /// Modality; empty if the file gives none.
    pub modality: String,
    /// Acquisition Number and Images in Acquisition, if the file gives the second.
    pub acquisition: Option<(i64, u32)>,
    /// Number of Series Related Instances, if the file gives it.
    pub of_series: Option<u32>,
}

/// Looks at a file; `None` if it is no DICOM file.
///
/// # Errors
/// A file that cannot be read, is damaged, is of a transfer syntax that is not read, or names no study, series or instance.
pub fn glance(path: &Path) -> Result<Option<Glance>, DicomError> {
    let file = match Part10::open(&Place::file(path.to_owned()))? {
        Opened::File(file) => file,
        Opened::NotDicom => return Ok(None),
        Opened::Unread => {
            return Err(DicomError::Damaged {
                path: path.to_owned(),
                what: "it is written in a way that is not read".to_owned(),
            });
        }
    };
    let end = file.body.end();
    let (elements, _) =
        Elements::read(file.body, end, file.syntax.types, &WANTED).map_err(|what| {
            DicomError::Damaged {
                path: path.to_owned(),
                what,
            }
        })?;
    let uid = |tag, name| {
        let uid = elements.text(tag).map(printable);
        uid.filter(|uid| !uid.is_empty())
            .ok_or_else(|| DicomError::Missing {
                path: path.to_owned(),
                name,
            })
    };
    let count = |tag| {
        let [count] = elements.numbers::<1>(tag)?;
        (count >= 1.0 && count <= f64::from(u32::MAX)).then_some(count as u32)
    };
    let acquisition = elements.numbers::<1>(tags::ACQUISITION_NUMBER);
    Ok(Some(Glance {
        study: uid(tags::STUDY_INSTANCE_UID, "Study Instance UID")?,
        series: uid(tags::SERIES_INSTANCE_UID, "Series Instance UID")?,
        instance: uid(tags::SOP_INSTANCE_UID, "SOP Instance UID")?,
        modality: elements
            .text(tags::MODALITY)
            .map(printable)
            .unwrap_or_default(),
        acquisition: count(tags::IMAGES_IN_ACQUISITION)
            .map(|images| (acquisition.map_or(0, |[number]| number as i64), images)),
        of_series: count(tags::NUMBER_OF_SERIES_RELATED_INSTANCES),
    }))
}
