//! Who a scan is of, and what its results refer to: from the reader's words to those of the report and of the DICOM objects.
//!
//! Used by the job and by whoever makes objects. The reader knows no report and the objects know no reader; they meet here. What is
//! given out identifies a person: it goes into results, and nowhere else.

use nephrobox_imaging::ScanReader;
use nephrobox_imaging::dicom::{Identity, SeriesInfo};
use nephrobox_objects::{Patient, Source, SourceSlice, Study};
use nephrobox_shared::report::Subject;

use crate::failure::Failure;
use crate::scan::unusable;

/// The series as DICOM objects refer to it. `None` for a NIfTI file, and for a stack that is not transverse: there, no image is a slice
/// of the label map, so that a segmentation would have nothing to lie on.
///
/// # Errors
/// A file of the series that has changed or gone since it was opened.
pub fn of(reader: &ScanReader) -> Result<Option<Source>, Failure> {
    let named = named(reader)?;
    Ok(named
        .filter(|(series, _)| !series.slices.is_empty())
        .map(|(series, identity)| source(series, identity)))
}

/// The patient and the study for the report; `None` for a NIfTI file, which names nobody.
///
/// # Errors
/// A file of the series that has changed or gone since it was opened.
pub fn subject(reader: &ScanReader) -> Result<Option<Subject>, Failure> {
    let named = named(reader)?;
    Ok(named.map(|(series, identity)| Subject {
        patient_name: identity.patient.name,
        patient_id: identity.patient.id,
        patient_id_issuer: identity.patient.id_issuer,
        birth_date: identity.patient.birth_date,
        sex: identity.patient.sex,
        study_date: identity.study.date,
        study_time: identity.study.time,
        study_description: identity.study.description,
        accession_number: identity.study.accession_number,
        study_uid: series.study_uid,
        series_uid: series.series_uid,
    }))
}

fn named(reader: &ScanReader) -> Result<Option<(SeriesInfo, Identity)>, Failure> {
    let identity = reader
        .identity()
        .map_err(|error| unusable(reader.path(), &error))?;
    Ok(reader.series().zip(identity))
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
