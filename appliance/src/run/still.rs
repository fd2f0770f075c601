//! The queue and the audit log of a box that does not run, for commands at the box itself.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::appliance::{DICOM, SPOOL, broken, open_ledger};
use super::core::spool_settings;
use super::erase::{EraseError, erase};
use super::ledger::Ledger;
use super::lock;
use crate::audit::{AuditError, Deed};
use crate::config::Config;
use crate::failure::Failure;
use crate::intake::dicom;
use crate::snapshot::{Shared, Snapshot};
use crate::spool::{ErasedBy, ScanId, Spool, SpoolError};
use crate::storage::Folder;

/// Who acts at the box itself, in the audit log.
pub(crate) const CONSOLE: &str = "console";

/// A box that does not run, and cannot be started as long as this is there.
pub(crate) struct StillBox {
    spool: Spool<Folder>,
    ledger: Ledger,
    shared: Shared,
    /// Where series were gathered.
    gathered: PathBuf,
    _lock: File,
}

impl StillBox {
    /// Takes a box's state folder and opens its queue, which puts right what a power cut left.
    ///
    /// # Errors
    /// The box runs, or its disk refuses.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        let state = &config.identity.state;
        let lock = lock::take(state)?;
        let path = state.join(SPOOL);
        let refused = |error: &dyn std::error::Error| broken(error, &path);
        let folder = Folder::open(&path).map_err(|error| refused(&error))?;
        let opened = Spool::open(folder, spool_settings(config));
        let (spool, _) = opened.map_err(|error| refused(&error))?;
        let shared = Shared::new(Snapshot::default());
        let ledger = open_ledger(state, &shared, &spool)?;
        let still = Self {
            spool,
            ledger,
            shared,
            gathered: state.join(DICOM),
            _lock: lock,
        };
        still.settle(state)?;
        Ok(still)
    }

    /// Its queue.
    pub(crate) fn spool(&self) -> &Spool<Folder> {
        &self.spool
    }

    /// Erases a scan; fine if it was erased before.
    ///
    /// # Errors
    /// When there is no such scan, or a disk refuses.
    pub(crate) fn erase(&self, id: ScanId) -> Result<(), EraseError> {
        let by = ErasedBy::Line(CONSOLE.into());
        let slices = |id| dicom::forget(&self.gathered, id);
        match erase(&self.spool, &self.ledger, &self.shared, id, &by, slices) {
            Err(EraseError::Spool(SpoolError::Unknown(_))) if self.ledger.was_erased(id) => Ok(()),
            other => other,
        }
    }

    /// Writes a line of the audit log.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn note(&self, deed: &Deed) -> Result<(), AuditError> {
        self.ledger.note(deed)
    }

    /// Writes the lines of the audit log that a kill left out: they have to stand before what is done now.
    fn settle(&self, state: &Path) -> Result<(), Failure> {
        let refused = |error: &dyn std::error::Error| broken(error, state);
        let listing = self.spool.listing().map_err(|error| refused(&error))?;
        for listed in listing {
            let settled = self.ledger.settle(&self.spool, &listed);
            settled.map_err(|error| refused(&error))?;
        }
        Ok(())
    }
}
