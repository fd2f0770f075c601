//! The shelf of recent studies: what the queue holds, read from the disk when somebody asks, and never changed.
//!
//! Patients' names are read here and nowhere else on the way out: they go into pages for this machine's own browser, not into the
//! [`Snapshot`](crate::snapshot::Snapshot) from which panel, metrics and lines are fed. Nothing from outside becomes part of a path: scans are named
//! by a [`ScanId`], files by [`FILES`].

use std::sync::Arc;

use nephrobox_shared::report::Report;
use tokio::sync::Semaphore;

use crate::output::{
    FHIR, LABELS, OVERLAY_KEY, OVERLAY_LEFT, OVERLAY_RIGHT, OVERLAY_TUMOUR, REPORT_JSON,
    REPORT_PDF, REPORT_PNG, REPORT_TEXT,
};
use crate::spool::{Listed, Outcome, ScanId, Spool, SpoolError, State};
use crate::storage::{Folder, Storage};

/// Studies on one page of the list.
pub(super) const PAGE: usize = 12;
/// The largest file that is read, in bytes: a page is for looking, and the box has other work.
const LARGEST: u64 = 32 << 20;
/// Files and pages that are read at once; further readers wait.
const READERS: usize = 3;

/// A file that can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Served {
    /// Its name among the results.
    pub(super) name: &'static str,
    /// Its content type.
    pub(super) kind: &'static str,
    /// What a link to it says; empty for one that is shown on the page.
    pub(super) title: &'static str,
    /// Whether a browser is to save it and not to show it: a page without scripts cannot show it.
    pub(super) save: bool,
    /// Whether it says whose the study is.
    pub(super) identifies: bool,
}

/// Every file that can be looked at.
#[rustfmt::skip]
pub(super) const FILES: &[Served] = &[
    file(REPORT_PNG, "image/png", "").identifies(),
    file(REPORT_PDF, "application/pdf", "Report as PDF").identifies().saved(),
    file(REPORT_TEXT, "text/plain; charset=utf-8", "Report as text").identifies(),
    file(REPORT_JSON, "application/json", "All numbers (JSON)").identifies(),
    file(FHIR, "application/fhir+json", "Report for programs that speak FHIR").identifies().saved(),
    file(LABELS, "application/gzip", "Outlines (NIfTI)").saved(),
    file(OVERLAY_TUMOUR, "image/png", ""),
    file(OVERLAY_RIGHT, "image/png", ""),
    file(OVERLAY_LEFT, "image/png", ""),
    file(OVERLAY_KEY, "image/png", ""),
];

const fn file(name: &'static str, kind: &'static str, title: &'static str) -> Served {
    Served {
        name,
        kind,
        title,
        save: false,
        identifies: false,
    }
}

impl Served {
    const fn saved(self) -> Self {
        Self { save: true, ..self }
    }

    const fn identifies(self) -> Self {
        Self {
            identifies: true,
            ..self
        }
    }
}

/// The file of a name, if it may be looked at.
pub(super) fn served_as(name: &str) -> Option<Served> {
    FILES.iter().copied().find(|file| file.name == name)
}

/// What there is to look at.
#[derive(Debug, Clone)]
pub struct Shelf {
    spool: Arc<Spool<Folder>>,
    show_identity: bool,
    readers: Arc<Semaphore>,
}

/// One study with what could be read of it.
#[derive(Debug)]
pub(super) struct Study {
    /// What the queue says.
    pub(super) listed: Listed,
    /// Its report, if it has ended with one.
    pub(super) report: Option<Result<Box<Report>, Unreadable>>,
    /// When the report was written, in seconds since 1970 UTC by the clock of then.
    pub(super) ended_unix_s: Option<u64>,
    /// The files of [`FILES`] that it has.
    pub(super) files: Vec<Served>,
}

/// A page of the list.
#[derive(Debug)]
pub(super) struct List {
    /// Its studies, the newest first.
    pub(super) studies: Vec<Study>,
    /// Which page, 1 for the newest.
    pub(super) page: usize,
    /// Pages in all, at least 1.
    pub(super) pages: usize,
    /// Studies in all.
    pub(super) all: usize,
}

/// What became of the search for a file.
#[derive(Debug)]
pub(super) enum Found {
    /// It.
    File(Vec<u8>),
    /// There is none.
    Nothing,
    /// It is there and cannot be shown.
    Unreadable(Unreadable),
}

/// Why something that is there cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// The disk refuses, or has lost it.
    #[error("the disk does not give it back; check the box's disk")]
    Disk,
    /// Larger than what is shown.
    #[error("it is larger than what this page shows; fetch it with nephroctl fetch")]
    Large,
    /// It is no report.
    #[error("it is damaged or of another release; send the scan again")]
    Report,
}

impl Shelf {
    /// The shelf of a queue. `show_identity` is whether pages say whose a study is.
    #[must_use]
    pub fn new(spool: Arc<Spool<Folder>>, show_identity: bool) -> Self {
        Self {
            spool,
            show_identity,
            readers: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Whether pages say whose a study is.
    pub(super) fn shows_identity(&self) -> bool {
        self.show_identity
    }

    /// Does the reading on a thread that may wait for the disk. `None` if that thread broke down.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        // The semaphore is never closed.
        let reader = Arc::clone(&self.readers).acquire_owned().await.ok()?;
        let shelf = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _reader = reader;
            work(&shelf)
        });
        done.await.ok()
    }

    /// A page of the list; the last one if there are fewer.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(super) fn list(&self, page: usize) -> Result<List, SpoolError> {
        let listing = self.spool.listing()?;
        let all = listing.len();
        let pages = all.div_ceil(PAGE).max(1);
        let page = page.clamp(1, pages);
        let newest_first = listing.into_iter().rev();
        let studies = newest_first
            .skip((page - 1) * PAGE)
            .take(PAGE)
            .map(|listed| self.look_at(listed))
            .collect();
        Ok(List {
            studies,
            page,
            pages,
            all,
        })
    }

    /// One study; `None` if the box does not have it (any more).
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(super) fn study(&self, id: ScanId) -> Result<Option<Study>, SpoolError> {
        let listed = self.spool.listed(id)?;
        Ok(listed.map(|listed| self.look_at(listed)))
    }

    /// One of the files of a study that has ended.
    pub(super) fn file(&self, id: ScanId, name: Served) -> Found {
        let Ok(folder) = self.spool.results_folder(id) else {
            return Found::Nothing;
        };
        let path = format!("{folder}/{}", name.name);
        match self.spool.storage().read(&path, LARGEST) {
            Ok(Some(bytes)) => Found::File(bytes),
            Ok(None) => Found::Nothing,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Found::Unreadable(Unreadable::Large)
            }
            Err(_) => Found::Unreadable(Unreadable::Disk),
        }
    }

    fn look_at(&self, listed: Listed) -> Study {
        let mut study = Study {
            listed,
            report: None,
            ended_unix_s: None,
            files: Vec::new(),
        };
        let id = study.listed.id;
        if study.listed.state != State::Ended(Outcome::Finished) {
            return study;
        }
        let Some(json) = served_as(REPORT_JSON) else {
            return study;
        };
        study.report = Some(match self.file(id, json) {
            Found::File(bytes) => serde_json::from_slice(&bytes)
                .map(Box::new)
                .map_err(|_| Unreadable::Report),
            Found::Nothing => Err(Unreadable::Disk),
            Found::Unreadable(why) => Err(why),
        });
        if let Ok(folder) = self.spool.results_folder(id) {
            let storage = self.spool.storage();
            let there = |file: &&Served| {
                if file.identifies && !self.show_identity {
                    return false;
                }
                let len = storage.len(&format!("{folder}/{}", file.name));
                matches!(len, Ok(Some(_)))
            };
            study.files = FILES.iter().filter(there).copied().collect();
            study.ended_unix_s = crate::run::written_unix_s(storage, &folder);
        }
        study
    }
}

impl Study {
    /// Whether it has a file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.name == name)
    }
}
