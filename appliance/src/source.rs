//! Who a scan is of, and what its results refer to: from the reader's words to those of the report and of the DICOM objects.
//!
//! Used by the job and by whoever makes objects. The reader knows no report and the objects know no reader; they meet here. What is
//! given out identifies a person: it goes into results, and nowhere else.

use nephrobox_imaging::ScanReader;
use nephrobox_imaging::dicom::{Identity, SeriesInfo};
use nephrobox_objects::{Patient, Source, SourceSlice, Study};
use nephrobox_shared::report::{Subject, Warning};

use crate::failure::{Failure, sentence};
use crate::objects::no_objects;
use crate::scan::unusable;

/// Who a scan is of, and what its results refer to.
#[derive(Debug, Default)]
pub struct Origin {
    /// The patient and the study, for the report; `None` for a NIfTI file, which names nobody.
    pub subject: Option<Subject>,
    /// The series, for DICOM objects. `None` for a NIfTI file, and for a series that they cannot refer to.
    pub series: Option<Source>,
    /// Why objects cannot refer to a series.
    pub warning: Option<Warning>,
}

/// Reads where a scan comes from.
///
/// # Errors
/// A file of the series that has changed or gone since it was opened.
pub fn of(reader: &ScanReader) -> Result<Origin, Failure> {
    let identity = reader
        .identity()
        .map_err(|error| unusable(reader.path(), &error))?;
    let Some((series, identity)) = reader.series().zip(identity) else {
        return Ok(Origin::default());
    };
    let subject = Some(subject(&series, &identity));
    // In a stack that is not transverse no image is a slice of the label map, so that a segmentation would have nothing to lie on.
    let usable = if series.slices.is_empty() {
        Err("the series' images are not transverse".to_owned())
    } else {
        let source = source(series, identity);
        let checked = source.check().map_err(|error| sentence(&error));
        checked.map(|()| source)
    };
    let (series, warning) = match usable {
        Ok(source) => (Some(source), None),
        Err(why) => (None, Some(no_objects(&why))),
    };
    Ok(Origin {
        subject,
        series,
        warning,
    })
}

fn subject(series: &SeriesInfo, identity: &Identity) -> Subject {
    let (patient, study) = (&identity.patient, &identity.study);
    Subject {
        patient_name: patient.name.clone(),
        patient_id: patient.id.clone(),
        patient_id_issuer: patient.id_issuer.clone(),
        birth_date: patient.birth_date.clone(),
        sex: patient.sex.clone(),
        study_date: study.date.clone(),
        study_time: study.time.clone(),
        study_description: study.description.clone(),
        accession_number: study.accession_number.clone(),
        study_uid: series.study_uid.clone(),
        series_uid: series.series_uid.clone(),
    }
}

fn source(series: SeriesInfo, identity: Identity) -> Source {
    let slices = series.slices.into_iter().map(|slice| SourceSlice {
        sop_instance_uid: slice.instance_uid,
        position_mm: slice.position_mm,
    });
    Source {
        patient: Patient {
            name: identity.patient.name,
            id: identity.patient.id,
            id_issuer: identity.patient.id_issuer,
            birth_date: identity.patient.birth_date,
            sex: identity.patient.sex,
            age: identity.patient.age,
        },
        study: Study {
            uid: series.study_uid,
            date: identity.study.date,
            time: identity.study.time,
            id: identity.study.id,
            accession_number: identity.study.accession_number,
            referring_physician: identity.study.referring_physician,
            description: identity.study.description,
            utc_offset_minutes: identity.study.utc_offset_minutes,
        },
        series_uid: series.series_uid,
        frame_of_reference_uid: series.frame_of_reference_uid,
        position_reference: identity.position_reference,
        sop_class_uid: series.sop_class_uid.to_owned(),
        rows: series.rows,
        cols: series.cols,
        orientation: series.orientation,
        pixel_spacing_mm: series.pixel_spacing_mm,
        slice_thickness_mm: series.slice_thickness_mm,
        slices: slices.collect(),
    }
}
