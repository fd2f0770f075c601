//! What comes out of a box that many scans go into: each once, and each as it comes out alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::phantom::SHAPE;
use crate::site::{Site, Way, mark, patient};

/// What has arrived at a site's destination.
pub(crate) struct Arrivals {
    share: PathBuf,
    /// Scans that were sent, by the end of their ids or by their patients.
    sent: BTreeMap<String, (u32, Way)>,
    /// The label map that a file gives, and a series.
    file: Vec<u8>,
    series: Vec<u8>,
    /// Numbers of scans whose results came.
    pub(crate) seen: BTreeSet<u32>,
    /// Ids in the order in which they came.
    pub(crate) ids: Vec<String>,
    /// Series that the box took before all of their slices were there. The whole ones come after them.
    pub(crate) partial: u32,
}

impl Arrivals {
    /// Nothing yet of these scans.
    pub(crate) fn of(site: &Site, sent: impl Iterator<Item = (u32, Way)>) -> Self {
        let key = |(number, way)| match way {
            Way::Dicom => (patient(number), (number, way)),
            Way::Cable | Way::Tls | Way::Folder => (mark(number), (number, way)),
        };
        Self {
            share: site.share(),
            sent: sent.map(key).collect(),
            file: site.labels_of(&site.home.scan(0)),
            series: site.labels_of(&site.series(u32::MAX)),
            seen: BTreeSet::new(),
            ids: Vec::new(),
            partial: 0,
        }
    }

    /// How many there will be.
    pub(crate) fn expected(&self) -> usize {
        self.sent.len()
    }

    /// Takes what is there now, after looking at each of it.
    pub(crate) fn take(&mut self) {
        let entries = fs::read_dir(&self.share).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut ids: Vec<_> = names
            .map(|name| name.into_string().expect("an id"))
            .filter(|id| !id.starts_with('.')) // half a delivery
            .collect();
        ids.sort();
        for id in ids {
            self.take_one(id);
        }
    }

    fn take_one(&mut self, id: String) {
        let folder = self.share.join(&id);
        let report = fs::read(folder.join("report.json"))
            .unwrap_or_else(|_| panic!("{id} has no report: {:?}", fs::read_dir(&folder)));
        let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
        let labels = fs::read(folder.join("labels.nii.gz")).expect("a label map");
        fs::remove_dir_all(folder).expect("removed");
        let patient = report["subject"]["patient_id"].as_str();
        let key = patient.unwrap_or_else(|| id.split('-').nth(1).expect("an id"));
        let &(number, way) = self.sent.get(key).expect("a scan that was sent");
        if way == Way::Dicom && report["input"]["slices"] != SHAPE[0] {
            self.partial += 1;
        } else {
            assert!(self.seen.insert(number), "scan {number} came twice");
            let alone = match way {
                Way::Dicom => &self.series,
                Way::Cable | Way::Tls | Way::Folder => &self.file,
            };
            assert!(labels == *alone, "{id} has another label map than alone");
        }
        self.ids.push(id);
    }
}
