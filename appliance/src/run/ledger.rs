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
use crate::fault::{Fault, FaultCode};
use crate::output::REPORT_JSON;
use crate::snapshot::Shared;
use crate::spool::{
    ErasedBy, FAILURE_JSON, Listed, Outcome, Record, ScanId, Spool, SpoolError, State,
};
use crate::storage::{Folder, Storage};

/// A line that a scan needs; the text is the destination's name, where one confirmed.
type Key = (ScanId, What, String);

/// Every scan that the queue has on its disk, those that are being erased too.
///
/// # Errors
/// When the queue's disk refuses.
pub(super) fn held<S: Storage>(spool: &Spool<S>) -> Result<BTreeSet<ScanId>, SpoolError> {
    let listed = spool.listing()?.into_iter().map(|listed| listed.id);
    let condemned = spool.condemned()?.into_iter().map(|(id, _)| id);
    Ok(listed.chain(condemned).collect())
}

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
    /// Opens the log in a folder, and reads it for what it says of the scans that the queue has, see [`held`].
    ///
    /// # Errors
    /// When the disk refuses, or the log's end is no log. A log that was changed before its end is a fault that is shown.
    pub(super) fn open(
        folder: Folder,
        shared: Shared,
        held: &BTreeSet<ScanId>,
    ) -> Result<Self, AuditError> {
        let (audit, torn) = Audit::open(folder.clone())?;
        if torn > 0 {
            tracing::warn!(bytes = torn, "a torn line of the audit log was kept apart");
        }
        let mut there = BTreeSet::new();
        let walked = audit::walk(&folder, &mut |line| {
            let id = line.scan.as_deref().and_then(|scan| scan.parse().ok());
            if let Some(id) = id.filter(|id| held.contains(id)) {
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
                state.raise(Fault::new(
                    FaultCode::AuditChain,
                    format!("the audit log is not what was written: {error}"),
                ));
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

    /// Writes, once, that a scan is erased. What the log says of it stays: it names nobody.
    ///
    /// # Errors
    /// When the disk refuses; asked again, it goes on.
    pub(super) fn erased(&self, id: ScanId, record: &Record) -> Result<(), AuditError> {
        let who = match &record.erased_by {
            Some(ErasedBy::Line(name)) => Who::Source(name.clone()),
            Some(ErasedBy::Age) | None => Who::Device,
        };
        let key = (id, What::Erased, String::new());
        let mut inner = self.lock();
        if inner.there.contains(&key) {
            return Ok(());
        }
        let deed = Deed {
            who,
            what: What::Erased,
            scan: Some(id),
            hash: Hash::from_hex(&record.blake3).ok(),
        };
        self.add(&mut inner, &deed)?;
        inner.there.insert(key);
        Ok(())
    }

    /// Whether the log says that a scan was erased. Reads all of it.
    pub(super) fn was_erased(&self, id: ScanId) -> bool {
        let name = id.to_string();
        let mut erased = false;
        let _held = self.lock();
        // A log that is damaged further on is shown as a fault; what it says before holds.
        let _ = audit::walk(&self.folder, &mut |line| {
            erased |= line.what == What::Erased && line.scan.as_deref() == Some(&name);
        });
        erased
    }

    /// Forgets about scans that the queue had before and does not have any more, see [`held`].
    pub(super) fn forget(&self, held: &BTreeSet<ScanId>) {
        let Some(last) = held.last() else {
            return;
        };
        // Those above came while the list was made.
        let keep = |(id, ..): &Key| id > last || held.contains(id);
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
        let before = self.shared.has_fault(FaultCode::Audit);
        match &added {
            Ok(_) if before => self.shared.change(|state| state.clear(FaultCode::Audit)),
            Err(error) if !before => {
                let words = sentence(error);
                tracing::error!(error = words, "the audit log cannot be written");
                self.shared.change(|state| {
                    state.raise(Fault::new(
                        FaultCode::Audit,
                        format!("the audit log cannot be written: {words}"),
                    ));
                });
            }
            _ => {}
        }
        added.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::snapshot::Snapshot;
    use crate::spool::{Begin, Incoming, Settings};
    use crate::storage::faulty::Faulty;

    /// Two archives of one server, whose addresses differ only behind its long name.
    #[test]
    fn everyone_who_has_the_results_has_a_line() {
        let to = ["RESEARCH", "WARD-3"].map(|title| {
            format!(
                "dicomweb https://images.hospital.example/a/server/with/a/long/path/aets/{title}/rs"
            )
        });
        let settings = Settings {
            floor_bytes: 0,
            destinations: to.clone().into(),
            ..Settings::default()
        };
        let (spool, _) = Spool::open(Faulty::new(), settings).expect("a queue");
        let scan = b"a scan that is none";
        let incoming = Incoming {
            bytes: scan.len() as u64,
            blake3: blake3::hash(scan),
            file_name: "a.nii".into(),
            source: "folder".into(),
            fast: false,
        };
        let Ok(Begin::Receive { id, offset: 0 }) = spool.begin(&incoming) else {
            panic!("not taken");
        };
        spool.write(id, 0, scan).expect("written");
        spool.finish(id).expect("accepted");
        spool.next().expect("a disk").expect("work");
        spool.failed(id, "It is no scan.").expect("ended");
        for name in &to {
            spool.confirm(id, name).expect("confirmed");
        }

        let home = TempDir::new().expect("a folder");
        let folder = Folder::open(home.path()).expect("a folder");
        let open = || {
            let shared = Shared::new(Snapshot::default());
            Ledger::open(folder.clone(), shared, &held(&spool).expect("a list")).expect("a log")
        };
        let listed = spool.listed(id).expect("a disk").expect("a scan");
        let ledger = open();
        for _ in 0..2 {
            ledger.settle(&spool, &listed).expect("written");
        }
        // A start reads what is there.
        open().settle(&spool, &listed).expect("written");
        let mut have = Vec::new();
        audit::walk(&folder, &mut |line| {
            if let (What::Confirmed, Who::Destination(name)) = (line.what, line.who) {
                have.push(name);
            }
        })
        .expect("a whole log");
        assert_eq!(have, to);
    }
}
