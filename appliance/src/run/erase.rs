//! Scans erased: when somebody asks for it, when their time is over, and what a kill left of either.

use std::io;

use super::age::Clocks;
use super::core::Core;
use super::ledger::Ledger;
use crate::audit::AuditError;
use crate::fault::FaultCode;
use crate::logs::scan_span;
use crate::snapshot::Shared;
use crate::spool::{ErasedBy, ScanId, Spool, SpoolError, State};
use crate::storage::Storage;

/// Why a scan is not erased.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EraseError {
    /// The queue does not let it go.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Its line in the audit log cannot be written. It is gone for everybody, and removed once the log can be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// Erases a scan. When this returns its line is on the audit log and nothing else of it is left in the queue. `slices` removes those
/// that it was gathered from.
///
/// # Errors
/// When there is no such scan, somebody is at it, or a disk refuses; asked again, it goes on.
pub(super) fn erase<S: Storage>(
    spool: &Spool<S>,
    ledger: &Ledger,
    shared: &Shared,
    id: ScanId,
    by: &ErasedBy,
    slices: impl FnOnce(ScanId) -> io::Result<()>,
) -> Result<(), EraseError> {
    let _entered = scan_span(&id.to_string()).entered();
    let record = spool.condemn(id, by)?;
    forget(shared, id);
    slices(id).map_err(|source| SpoolError::Storage {
        place: "dicom".into(),
        source,
    })?;
    ledger.erased(id, &record)?;
    spool.erase(id)?;
    tracing::info!(aged = *by == ErasedBy::Age, "erased");
    Ok(())
}

/// Takes a scan's result off panel and page.
pub(super) fn forget(shared: &Shared, id: ScanId) {
    let name = id.to_string();
    let shown = shared.get().results.iter().any(|one| one.scan == name);
    if shown {
        shared.change(|state| state.results.retain(|one| one.scan != name));
    }
}

/// Goes on with what was begun to be erased, and erases what is due. Called with every look at the queue.
///
/// # Errors
/// When a disk refuses: the first that failed. It holds up none of the others.
pub(super) fn turn(core: &Core) -> Result<(), EraseError> {
    let mut trouble = Ok(());
    for (id, record) in core.spool.condemned()? {
        if let Some(by) = &record.erased_by {
            match core.erase(id, by) {
                // Whoever asked for it has just come to its end.
                Ok(()) | Err(EraseError::Spool(SpoolError::Unknown(_))) => {}
                Err(error) => trouble = trouble.and(Err(error)),
            }
        }
    }
    let Some(age) = &core.age else {
        return trouble;
    };
    let now_s = age
        .now_s(Clocks::now())
        .map_err(|source| SpoolError::Storage {
            place: "age".into(),
            source,
        })?;
    let mut waiting = 0;
    for listed in core.spool.listing()? {
        // What waits for work is not old, however long it waits.
        if matches!(listed.state, State::Waiting { .. } | State::Working { .. }) {
            continue;
        }
        let Some(from_s) = listed.record.age_from_s else {
            match core.spool.note_age(listed.id, now_s) {
                // It gave way to another in the meantime.
                Ok(()) | Err(SpoolError::Unknown(_)) => {}
                Err(error) => trouble = trouble.and(Err(error.into())),
            }
            continue;
        };
        if !age.is_due(from_s) {
            continue;
        }
        if !listed.missing.is_empty() {
            waiting += 1;
            continue;
        }
        match core.erase(listed.id, &ErasedBy::Age) {
            // Somebody goes on sending it.
            Ok(()) | Err(EraseError::Spool(SpoolError::Held { .. } | SpoolError::Unknown(_))) => {}
            Err(error) => trouble = trouble.and(Err(error)),
        }
    }
    if waiting == 0 {
        core.clear(FaultCode::RetentionWaits);
    } else {
        let days = core.config.privacy.retention_days.unwrap_or_default();
        let message = format!(
            "{waiting} results are older than the {days} days of privacy.retention_days and are kept since a destination has not \
             confirmed them; fetch them, mend the destination, or erase them with nephroctl erase"
        );
        core.raise(FaultCode::RetentionWaits, message);
    }
    trouble
}

impl Core {
    /// Erases a scan that this box has.
    ///
    /// # Errors
    /// When there is no such scan, somebody is at it, or a disk refuses; asked again, it goes on.
    pub(crate) fn erase(&self, id: ScanId, by: &ErasedBy) -> Result<(), EraseError> {
        let slices = |id| {
            let gatherer = self.gatherer.as_ref();
            gatherer.map_or(Ok(()), |gatherer| gatherer.forget(id))
        };
        erase(&*self.spool, &self.ledger, &self.shared, id, by, slices)?;
        self.clear(FaultCode::NoRoom);
        Ok(())
    }

    /// Erases for a line, which may ask again after it was lost: what was erased before is fine.
    ///
    /// # Errors
    /// As [`erase`](Self::erase).
    pub(crate) fn erase_for(&self, line: &str, id: ScanId) -> Result<(), EraseError> {
        match self.erase(id, &ErasedBy::Line(line.into())) {
            Err(EraseError::Spool(SpoolError::Unknown(_))) if self.ledger.was_erased(id) => Ok(()),
            other => other,
        }
    }
}
