//! The audit log in use: every deed on a scan is written once, at the latest when the queue is next looked at.
//!
//! What has to be on the log follows from what the queue has on the disk. So a kill between a step of the queue and its line
//! costs nothing: the start, and every second after it, compares the two.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use blake3::Hash;

use super::results;
use crate::audit::{self, Audit, AuditError, Deed, What, Who};
use crate::failure::sentence;
use crate::output::REPORT_JSON;
use crate::snapshot::{Fault, Shared};
use crate::spool::{FAILURE_JSON, Listed, Outcome, ScanId, Spool, State};
use crate::storage::{Folder, Storage};

/// Code of the fault that is raised while the log cannot be written.
const FAULT: &str = "audit";

/// A line that a scan needs; the text is the destination's name, where one confirmed.
type Key = (ScanId, What, String);

/// The audit log.
#[derive(Debug)]
pub(crate) struct Ledger {
    shared: Shared,
    folder: Folder,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    audit: Audit<Folder>,
    /// Lines that are there, of the scans that are in the queue.
    there: BTreeSet<Key>,
}

impl Ledger {
    /// Opens the log in a folder, and reads it for what it says of the scans that are in the queue.
    ///
    /// # Errors
    /// When the disk refuses, or the log's end is no log. A log that was changed before its end is a fault that is shown.
    pub(super) fn open(
        folder: Folder,
        shared: Shared,
        listing: &[Listed],
    ) -> Result<Self, AuditError> {
        let (audit, torn) = Audit::open(folder.clone())?;
        if torn > 0 {
            tracing::warn!(bytes = torn, "a torn line of the audit log was kept apart");
        }
        let mut there = BTreeSet::new();
        let walked = audit::walk(&folder, &mut |line| {
            let id = line.scan.as_deref().and_then(|scan| scan.parse().ok());
            let known = |id: &ScanId| listing.iter().any(|listed| listed.id == *id);
            if let Some(id) = id.filter(known) {
                let to = match (line.what, line.who) {
                    (What::Confirmed, Who::Destination(name)) => name,
                    _ => String::new(),
                };
                there.insert((id, line.what, to));
            }
        });
        if let Err(error) = walked {
            tracing::error!(%error, "the audit log is not whole");
            shared.change(|state| {
                state.raise(Fault {
                    code: "audit_chain".into(),
                    message: format!("the audit log is not what was written: {error}"),
                    blocks: false,
                });
            });
        }
        Ok(Self {
            shared,
            folder,
            inner: Mutex::new(Inner { audit, there }),
        })
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When the disk refuses; that is shown as a fault too.
    pub(crate) fn note(&self, deed: &Deed) -> Result<(), AuditError> {
        self.add(&mut self.lock(), deed)
    }

    /// Writes what the log does not have yet of a scan: that it came, what became of it, who has its results. Counts scans that came.
    ///
    /// # Errors
    /// When the disk refuses; asked again, it goes on.
    pub(crate) fn settle<S: Storage>(
        &self,
        spool: &Spool<S>,
        listed: &Listed,
    ) -> Result<(), AuditError> {
        let (id, record) = (listed.id, &listed.record);
        if matches!(listed.state, State::Receiving { .. }) {
            return Ok(());
        }
        let mut inner = self.lock();
        let mut once = |who: Who, what: What, to: &str, hash: &dyn Fn() -> Option<Hash>| {
            let key = (id, what, to.to_owned());
            if inner.there.contains(&key) {
                return Ok(false);
            }
            let deed = Deed {
                who,
                what,
                scan: Some(id),
                hash: hash(),
            };
            self.add(&mut inner, &deed)?;
            inner.there.insert(key);
            Ok::<_, AuditError>(true)
        };
        let source = Who::Source(record.source.clone());
        let scan = || Hash::from_hex(&record.blake3).ok();
        if once(source, What::Received, "", &scan)? {
            self.shared.change(|state| {
                state.counters.accepted += 1;
                state.counters.received_bytes += record.bytes;
            });
        }
        let State::Ended(outcome) = &listed.state else {
            return Ok(());
        };
        let (what, file) = match outcome {
            Outcome::Finished => (What::Reported, REPORT_JSON),
            Outcome::Refused { .. } | Outcome::SetAside { .. } => (What::Refused, FAILURE_JSON),
        };
        let report = || {
            let report = results::file(spool, id, file).ok().flatten()?;
            Some(blake3::hash(&report))
        };
        once(Who::Device, what, "", &report)?;
        for name in &record.confirmed {
            let who = Who::Destination(name.clone());
            once(who, What::Confirmed, &audit::short(name), &|| None)?;
        }
        Ok(())
    }

    /// Forgets about scans that are in the queue no more.
    pub(super) fn forget(&self, listing: &[Listed]) {
        let Some(last) = listing.last().map(|listed| listed.id) else {
            return;
        };
        let listed: BTreeSet<_> = listing.iter().map(|listed| listed.id).collect();
        // Those above came while the list was made.
        let keep = |(id, ..): &Key| *id > last || listed.contains(id);
        self.lock().there.retain(keep);
    }

    /// The whole log.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn bytes(&self) -> io::Result<Vec<u8>> {
        // Held while reading, so that the last line is whole.
        let _held = self.lock();
        let bytes = self.folder.read(audit::LOG, u64::MAX)?;
        Ok(bytes.unwrap_or_default())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, inner: &mut Inner, deed: &Deed) -> Result<(), AuditError> {
        let added = inner.audit.add(deed);
        let before = self.shared.has_fault(FAULT);
        match &added {
            Ok(_) if before => self.shared.change(|state| state.clear(FAULT)),
            Err(error) if !before => {
                let words = sentence(error);
                tracing::error!(error = words, "the audit log cannot be written");
                self.shared.change(|state| {
                    state.raise(Fault {
                        code: FAULT.into(),
                        message: format!("the audit log cannot be written: {words}"),
                        blocks: true,
                    });
                });
            }
            _ => {}
        }
        added.map(|_| ())
    }
}
