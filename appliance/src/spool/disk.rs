//! The folders of the queue, and the steps between them that a power cut leaves either done or not begun.

pub use nephrobox_shared::report::names::{FAILURE_JSON, FAILURE_TEXT};
use serde::Serialize;

use super::record::{self, Outcome, Record};
use super::{ScanId, SpoolError};
use crate::output::REPORT_JSON;
use crate::record::{Kind, Unusable};
use crate::storage::Storage;

/// Where a scan lies; its state is the folder it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Incoming,
    Queue,
    Done,
    Aside,
}

impl Place {
    /// From the last station to the first: of a scan that is seen twice, the later place holds.
    pub(super) const LAST_FIRST: [Self; 4] = [Self::Done, Self::Aside, Self::Queue, Self::Incoming];

    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Queue => "queue",
            Self::Done => "done",
            Self::Aside => "aside",
        }
    }

    /// The scan's own folder.
    pub(super) fn of(self, id: ScanId) -> String {
        format!("{}/{id}", self.folder())
    }

    /// The scan itself. Its file is called as the scan is, since reports quote the name.
    pub(super) fn scan(self, id: ScanId) -> String {
        format!("{}/{id}/{id}", self.folder())
    }

    pub(super) fn record(self, id: ScanId) -> String {
        format!("{}/{id}/record", self.folder())
    }

    pub(super) fn results(self, id: ScanId) -> String {
        format!("{}/{id}/results", self.folder())
    }
}

/// Folder of results that are being made.
pub(super) const WORK: &str = "work";
/// Folder of what is being removed.
pub(super) const TRASH: &str = "trash";
/// The highest number whose scan is gone.
pub(super) const SEQUENCE: &str = "sequence";

/// What a destination gets where there is no report.
#[derive(Serialize)]
struct ErrorReport<'a> {
    schema_version: u32,
    notice: &'static str,
    scan: String,
    blake3: &'a str,
    set_aside: bool,
    reason: &'a str,
}

/// The storage with the queue's own steps.
pub(super) struct Disk<'a, S>(pub(super) &'a S);

impl<S> Clone for Disk<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Disk<'_, S> {}

impl<S: Storage> Disk<'_, S> {
    pub(super) fn sync_folder(self, folder: &str) -> Result<(), SpoolError> {
        self.0.sync_folder(folder).map_err(SpoolError::at(folder))
    }

    pub(super) fn list(self, folder: &str) -> Result<Vec<String>, SpoolError> {
        self.0.list(folder).map_err(SpoolError::at(folder))
    }

    pub(super) fn len(self, path: &str) -> Result<Option<u64>, SpoolError> {
        self.0.len(path).map_err(SpoolError::at(path))
    }

    pub(super) fn remove(self, path: &str) -> Result<(), SpoolError> {
        self.0.remove(path).map_err(SpoolError::at(path))
    }

    pub(super) fn make_folder(self, path: &str) -> Result<(), SpoolError> {
        self.0.make_folder(path).map_err(SpoolError::at(path))
    }

    pub(super) fn replace(self, path: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        self.0.replace(path, bytes).map_err(SpoolError::at(path))
    }

    fn rename(self, from: &str, to: &str) -> Result<(), SpoolError> {
        self.0.rename(from, to).map_err(SpoolError::at(from))
    }

    pub(super) fn save<T: Serialize>(
        self,
        path: &str,
        kind: Kind,
        value: &T,
    ) -> Result<(), SpoolError> {
        let sealed = kind
            .seal(value)
            .map_err(|error| SpoolError::at(path)(std::io::Error::other(error)))?;
        self.replace(path, &sealed)
    }

    /// Reads a record; `None` if it is not there or damaged.
    pub(super) fn load<T: serde::de::DeserializeOwned>(
        self,
        path: &str,
        kind: Kind,
    ) -> Result<Option<T>, SpoolError> {
        let too_long = |error: &std::io::Error| error.kind() == std::io::ErrorKind::InvalidData;
        let bytes = match self.0.read(path, record::LONGEST) {
            Err(error) if too_long(&error) => None,
            read => read.map_err(SpoolError::at(path))?,
        };
        match bytes.map(|bytes| kind.unseal(&bytes)) {
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(Unusable::Newer)) => Err(SpoolError::Newer { place: path.into() }),
            Some(Err(Unusable::Damaged)) | None => Ok(None),
        }
    }

    pub(super) fn save_record(
        self,
        place: Place,
        id: ScanId,
        record: &Record,
    ) -> Result<(), SpoolError> {
        self.save(&place.record(id), record::SCAN, record)
    }

    /// Moves a scan with all that belongs to it, in one step that survives.
    pub(super) fn relocate(self, id: ScanId, from: Place, to: Place) -> Result<(), SpoolError> {
        self.rename(&from.of(id), &to.of(id))?;
        self.sync_folder(to.folder())?;
        self.sync_folder(from.folder())
    }

    /// Removes a scan: out of sight in one step, then from the disk.
    pub(super) fn discard(self, id: ScanId, place: Place) -> Result<(), SpoolError> {
        let trash = format!("{TRASH}/{id}");
        self.remove(&trash)?;
        self.rename(&place.of(id), &trash)?;
        self.sync_folder(TRASH)?;
        self.sync_folder(place.folder())?;
        self.remove(&trash)
    }

    /// Bytes of the files in a scan's results.
    pub(super) fn results_bytes(self, folder: &str) -> Result<u64, SpoolError> {
        let mut bytes = 0;
        for name in self.list(folder)? {
            bytes += self.len(&format!("{folder}/{name}"))?.unwrap_or(0);
        }
        Ok(bytes)
    }

    /// Whether a folder holds a whole result.
    pub(super) fn is_whole(self, folder: &str) -> Result<bool, SpoolError> {
        let len = self.len(&format!("{folder}/{REPORT_JSON}"))?;
        Ok(len.is_some_and(|len| len > 0))
    }

    /// Moves finished results from the worker's folder to their scan.
    pub(super) fn adopt_results(self, id: ScanId) -> Result<(), SpoolError> {
        let made = format!("{WORK}/{id}/results");
        for name in self.list(&made)? {
            let file = format!("{made}/{name}");
            self.0.sync(&file).map_err(SpoolError::at(&file))?;
        }
        self.sync_folder(&made)?;
        let results = Place::Queue.results(id);
        self.remove(&results)?;
        self.rename(&made, &results)?;
        self.sync_folder(&Place::Queue.of(id))
    }

    /// Brings a scan whose outcome is on its record to where it belongs. Can be cut and repeated at any step.
    pub(super) fn settle(self, id: ScanId, record: &Record) -> Result<Place, SpoolError> {
        let to = match &record.outcome {
            Some(Outcome::SetAside { .. }) => Place::Aside,
            _ => Place::Done,
        };
        if let Some(reason) = record.outcome.as_ref().and_then(Outcome::reason) {
            self.write_error_report(id, record, reason, to == Place::Aside)?;
        }
        self.relocate(id, Place::Queue, to)?;
        if to == Place::Done {
            self.drop_scan(id)?;
        }
        self.remove(&format!("{WORK}/{id}"))?;
        Ok(to)
    }

    /// A finished scan needs no voxels any more.
    pub(super) fn drop_scan(self, id: ScanId) -> Result<(), SpoolError> {
        self.remove(&Place::Done.scan(id))?;
        self.sync_folder(&Place::Done.of(id))
    }

    fn write_error_report(
        self,
        id: ScanId,
        record: &Record,
        reason: &str,
        set_aside: bool,
    ) -> Result<(), SpoolError> {
        let notice = nephrobox_shared::report::RESEARCH_USE_NOTICE;
        let report = ErrorReport {
            schema_version: 1,
            notice,
            scan: id.to_string(),
            blake3: &record.blake3,
            set_aside,
            reason,
        };
        let folder = Place::Queue.results(id);
        let path = format!("{folder}/{FAILURE_JSON}");
        let mut json = serde_json::to_vec_pretty(&report)
            .map_err(|error| SpoolError::at(&path)(std::io::Error::other(error)))?;
        json.push(b'\n');
        let advice = if set_aside {
            "The scan is kept on the box under aside/. Send it again to try once more; tell the maker of the box if it happens again."
        } else {
            "Export the scan again and send it once more."
        };
        let text = format!("{notice}\n\nScan {id} has no report.\n{reason}\n{advice}\n");
        self.remove(&folder)?;
        self.make_folder(&folder)?;
        self.sync_folder(&Place::Queue.of(id))?;
        self.replace(&format!("{folder}/{FAILURE_TEXT}"), text.as_bytes())?;
        self.replace(&path, &json)
    }
}
