//! The results of a series as DICOM objects, beside the other files.

use std::num::TryFromIntError;
use std::time::{SystemTime, UNIX_EPOCH};

use nephrobox_objects::{
    self as dicom, Device, EmptyFrames, ObjectsError, Picture, Results, Source,
};
use nephrobox_shared::measure::LabelMap;
use nephrobox_shared::report::{OutputFile, Report, Severity, Warning};

use crate::config::Object;
use crate::failure::{Exit, Failure, told};
use crate::output::{DOCUMENT_DCM, MEASUREMENTS_DCM, PICTURE_DCM, SEGMENTATION_DCM, Staging};
use crate::sheet::Sheet;

/// Code of the warning in a report of a series that has no objects.
const NO_OBJECTS: &str = "dicom_no_objects";

/// What objects are made from, beside the report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Making<'a> {
    /// The series.
    pub(crate) source: &'a Source,
    /// The labels of its slices.
    pub(crate) labels: &'a LabelMap,
    /// The box.
    pub(crate) device: &'a Device,
    /// Whether the segmentation keeps empty frames.
    pub(crate) empty: EmptyFrames,
}

/// The page of the report.
#[derive(Debug, Clone)]
pub(crate) struct Page<'a> {
    picture: Picture<'a>,
    slices: Vec<usize>,
    pdf: &'a [u8],
}

impl<'a> Page<'a> {
    /// A drawn page, and the slices that it shows.
    ///
    /// # Errors
    /// A page of more pixels than a DICOM picture may have.
    pub(crate) fn new(
        sheet: &'a Sheet,
        slices: impl IntoIterator<Item = usize>,
    ) -> Result<Self, TryFromIntError> {
        Ok(Self {
            picture: Picture {
                rows: sheet.pixels.height().try_into()?,
                cols: sheet.pixels.width().try_into()?,
                rgb: sheet.pixels.as_raw(),
            },
            slices: slices.into_iter().collect(),
            pdf: &sheet.pdf,
        })
    }
}

/// What the report says of a series that objects cannot refer to; the results are whole without them.
pub(crate) fn no_objects(why: &str) -> Warning {
    Warning {
        code: NO_OBJECTS.into(),
        severity: Severity::Caution,
        message: format!(
            "No DICOM objects were made of these results, and no archive gets them: {why}."
        ),
    }
}

/// The files that [`Making::write`] leaves, for the report that goes into them.
pub(crate) fn outputs() -> impl Iterator<Item = OutputFile> {
    Object::ALL.into_iter().map(|object| OutputFile {
        kind: format!("dicom_{}", object.name()),
        file: object.file().into(),
    })
}

impl Making<'_> {
    /// Makes the objects and writes them.
    ///
    /// # Errors
    /// A disk that refuses, or a contradiction within the program: what can be wrong with a series [`Source::check`] has found.
    pub(crate) fn write(
        &self,
        report: &Report,
        page: &Page<'_>,
        staging: &Staging,
    ) -> Result<(), Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let write = |file: &str, object: &dicom::Object| {
            let mut bytes = Vec::new();
            object.write(&mut bytes).map_err(|error| wrong(&error))?;
            staging.write(file, &bytes)
        };
        let results = Results::new(self.source, report, self.device, now.unwrap_or_default())
            .map_err(|error| wrong(&error))?;
        let outlines = results
            .segmentation(self.labels, self.empty)
            .map_err(|error| wrong(&error))?;
        write(SEGMENTATION_DCM, &outlines.object)?;
        let measurements = results.measurements(&outlines);
        write(
            MEASUREMENTS_DCM,
            &measurements.map_err(|error| wrong(&error))?,
        )?;
        let picture = results.capture(page.picture, &page.slices);
        write(PICTURE_DCM, &picture.map_err(|error| wrong(&error))?)?;
        let document = results.document(page.pdf);
        write(DOCUMENT_DCM, &document.map_err(|error| wrong(&error))?)
    }
}

fn wrong(error: &ObjectsError) -> Failure {
    told(
        Exit::Internal,
        error,
        "the DICOM objects",
        "report this as a fault of nephrobox",
    )
}
