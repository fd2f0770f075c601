//! A scan's results without whose they are, made on the box so that nothing else leaves it.
//!
//! What is in an export is what is named here and in `report`; everything else stays: the whole results of the box say whose they are, some in
//! pictures. The scan's id is not in it either, since that begins with a running number and holds a part of the scan's hash, by which
//! somebody who has the scan would find it. `docs/privacy.md` lists what is in each file.

pub mod command;
mod key;
mod report;

use std::io::{self, Cursor};
use std::path::Path;

use image::ImageFormat;
use nephrobox_imaging::{ImagingError, LabelReader, write_labels};
use nephrobox_objects::{ObjectsError, deidentify};
use nephrobox_shared::measure::{LabelMap, MeasureError};
use nephrobox_shared::report::Report;

pub(crate) use key::Key;

use crate::audit::{Deed, What, Who};
use crate::output::{
    LABELS, MEASUREMENTS_DCM, OVERLAY_KEY, REPORT_JSON, REPORT_TEXT, SEGMENTATION_DCM,
};
use crate::overlay;
use crate::page;
use crate::run::results;
use crate::spool::{Outcome, ScanId, Spool, SpoolError, State};
use crate::storage::{Folder, Storage};

/// How a file comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The report's fields that may leave.
    Report,
    /// A page made of those.
    Page,
    /// The label map, written anew from its voxels and its grid.
    Labels,
    /// The pixels of a picture that has neither file name nor patient on it.
    Picture,
    /// A DICOM object, attribute by attribute.
    Object,
}

/// Every file of an export; those that a scan's results lack are left out.
const FILES: [(&str, Way); 6] = [
    (REPORT_JSON, Way::Report),
    (REPORT_TEXT, Way::Page),
    (LABELS, Way::Labels),
    (OVERLAY_KEY, Way::Picture),
    (SEGMENTATION_DCM, Way::Object),
    (MEASUREMENTS_DCM, Way::Object),
];

/// One file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is in it.
    pub(crate) bytes: Vec<u8>,
}

/// Why a scan cannot be exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// The queue does not have it.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// It has no report.
    #[error(
        "{0}: the scan has no report, so there is nothing to export; wait for it, or see why with nephroctl scans"
    )]
    NoReport(ScanId),
    /// The export has no file of this name.
    #[error("{0}: its export has no file of this name; ask for the list of its files")]
    Name(ScanId),
    /// The key cannot be read or made.
    #[error("export.key: {0}; check the disk")]
    Key(#[source] std::io::Error),
    /// A result cannot be read.
    #[error("{name}: {source}; check the disk")]
    Read {
        /// The file.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The report is not one of this program.
    #[error(
        "{REPORT_JSON}: it is damaged or of another release, so it cannot be told what in it may leave; send the scan again"
    )]
    Report,
    /// The label map cannot be read or written.
    #[error(transparent)]
    Labels(#[from] ImagingError),
    /// The picture cannot be read or written.
    #[error("{OVERLAY_KEY}: {0}; send the scan again")]
    Picture(#[from] image::ImageError),
    /// A DICOM object cannot be made.
    #[error(transparent)]
    Object(#[from] ObjectsError),
}

/// Makes the export of a scan.
#[derive(Debug)]
pub(crate) struct Exporter<'a> {
    spool: &'a Spool<Folder>,
    id: ScanId,
    key: Key,
    /// What stands in the place of names and ids.
    name: String,
}

impl<'a> Exporter<'a> {
    /// An exporter for a scan that has a report. `state` is the box's own folder, where the key lies.
    ///
    /// # Errors
    /// When the scan has no report, or the key cannot be read or made.
    pub(crate) fn new(
        spool: &'a Spool<Folder>,
        id: ScanId,
        state: &Path,
    ) -> Result<Self, ExportError> {
        match spool.state(id)? {
            Some(State::Ended(Outcome::Finished)) => {}
            Some(_) => return Err(ExportError::NoReport(id)),
            None => return Err(SpoolError::Unknown(id).into()),
        }
        let key = Key::of(state).map_err(ExportError::Key)?;
        let name = key.name(&id.to_string());
        Ok(Self {
            spool,
            id,
            key,
            name,
        })
    }

    /// Names of the files that there are.
    ///
    /// # Errors
    /// When the scan is gone, or the disk refuses.
    fn names(&self) -> Result<Vec<&'static str>, ExportError> {
        let results = self.spool.results(self.id)?;
        let there = |name: &str| {
            let mut names = results.iter().filter_map(|path| path.rsplit('/').next());
            names.any(|found| found == name)
        };
        let names = FILES.iter().map(|&(name, _)| name);
        Ok(names.filter(|name| there(name)).collect())
    }

    /// Every file, `report.json` first.
    ///
    /// # Errors
    /// When a result cannot be read, or is not what this program writes: what is not known does not leave.
    pub(crate) fn all(&self) -> Result<Vec<Exported>, ExportError> {
        let names = self.names()?.into_iter();
        names.map(|name| self.file(name)).collect()
    }

    /// One file.
    ///
    /// # Errors
    /// As [`all`](Self::all), and for a name that is none of its.
    pub(crate) fn file(&self, name: &str) -> Result<Exported, ExportError> {
        let known = FILES.iter().find(|(known, _)| *known == name);
        let &(name, way) = known.ok_or(ExportError::Name(self.id))?;
        let bytes = match way {
            Way::Report => {
                let mut json =
                    serde_json::to_vec_pretty(&self.report()?).map_err(|_| ExportError::Report)?;
                json.push(b'\n');
                json
            }
            Way::Page => page::write(&self.report()?).into_bytes(),
            Way::Labels => self.labels()?,
            Way::Picture => {
                let picture = Cursor::new(self.read(name)?);
                let picture = image::ImageReader::with_format(picture, ImageFormat::Png);
                overlay::png(&picture.decode()?.into_rgb8())?
            }
            Way::Object => deidentify(&self.read(name)?, self.key.bytes(), &self.name)?,
        };
        Ok(Exported { name, bytes })
    }

    fn report(&self) -> Result<Report, ExportError> {
        let original = self.read(REPORT_JSON)?;
        let files = self.names()?;
        report::deidentified(&original, &self.name, &files).ok_or(ExportError::Report)
    }

    fn labels(&self) -> Result<Vec<u8>, ExportError> {
        let refused = |source| ExportError::Read {
            name: LABELS,
            source,
        };
        let folder = self.spool.results_folder(self.id)?;
        let path = self
            .spool
            .storage()
            .real_path(&format!("{folder}/{LABELS}"));
        let path = path.ok_or(ExportError::Name(self.id))?;
        let damaged = |error| refused(io::Error::other::<MeasureError>(error));
        let mut reader = LabelReader::open(path)?;
        let geometry = reader.geometry().clone();
        let [slices, rows, cols] = geometry.shape();
        let mut labels = LabelMap::new(rows, cols).map_err(damaged)?;
        let mut slice = vec![0; geometry.slice_len()];
        for index in 0..slices {
            reader.read_slice(index, &mut slice)?;
            labels.push(&slice).map_err(damaged)?;
        }
        drop(reader);
        let home = tempfile::tempdir().map_err(refused)?;
        let path = home.path().join(LABELS);
        let mut missing = Ok(());
        write_labels(&path, &geometry, &mut |index, out| {
            if let Err(error) = labels.read(index, out) {
                missing = Err(error);
            }
        })?;
        missing.map_err(damaged)?;
        std::fs::read(path).map_err(refused)
    }

    fn read(&self, name: &'static str) -> Result<Vec<u8>, ExportError> {
        let bytes = results::file(self.spool, self.id, name)?;
        bytes.ok_or(ExportError::Name(self.id))
    }
}

/// That results without whose they are were handed out: by whom, and the hash of the report that left.
pub(crate) fn deed(by: &str, id: ScanId, report: &[u8]) -> Deed {
    Deed {
        who: Who::Source(by.into()),
        what: What::Exported,
        scan: Some(id),
        hash: Some(blake3::hash(report)),
    }
}
