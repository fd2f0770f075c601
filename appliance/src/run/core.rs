//! What all parts of a running box share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::age::Age;
use super::doing::Doing;
use super::ledger::Ledger;
use super::models::Models;
use crate::bell::Bell;
use crate::config::{Config, LINE};
use crate::fault::{Fault, FaultCode};
use crate::intake::dicom::Gatherer;
use crate::logs::Logs;
use crate::slots::Slots;
use crate::snapshot::Shared;
use crate::spool::{self, Spool};
use crate::storage::Folder;

/// The source's name of the watched folder.
pub(super) const FOLDER: &str = "folder";

/// The parts, each behind its own lock.
pub struct Core {
    pub(crate) config: Config,
    pub(crate) shared: Shared,
    pub(crate) logs: Logs,
    pub(crate) spool: Arc<Spool<Folder>>,
    pub(crate) slots: Slots<Folder>,
    pub(crate) ledger: Ledger,
    /// Where series are gathered, if the box takes any.
    pub(crate) gatherer: Option<Gatherer>,
    /// The box's own time; `None` where scans are kept as long as there is room.
    pub(crate) age: Option<Age<Folder>>,
    pub(crate) doing: Doing,
    pub(crate) models: Models,
    pub(crate) bells: Bells,
    /// The desk at which a package comes in.
    flashing: Mutex<Option<u64>>,
    desks: AtomicU64,
}

/// Who can be woken.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    /// Set once the worker runs.
    pub(super) worker: OnceLock<Bell>,
    pub(super) models: Bell,
    pub(super) outbox: Bell,
    pub(super) inbox: Bell,
    pub(super) gather: Bell,
    pub(super) upkeep: Bell,
}

impl Bells {
    /// There may be a scan to work on.
    pub(crate) fn worker(&self) {
        if let Some(bell) = self.worker.get() {
            bell.ring();
        }
    }

    /// There may be a model to try.
    pub(crate) fn models(&self) {
        self.models.ring();
    }

    /// There may be results to deliver.
    pub(super) fn outbox(&self) {
        self.outbox.ring();
    }

    /// The queue or the slots are not what they were.
    pub(crate) fn upkeep(&self) {
        self.upkeep.ring();
    }
}

impl Core {
    /// The parts of a box that has not begun.
    pub(super) fn new(
        config: Config,
        shared: Shared,
        logs: Logs,
        spool: Arc<Spool<Folder>>,
        slots: Slots<Folder>,
        ledger: Ledger,
    ) -> Self {
        Self {
            doing: Doing::new(shared.clone()),
            models: Models::default(),
            bells: Bells::default(),
            flashing: Mutex::default(),
            desks: AtomicU64::new(0),
            config,
            shared,
            logs,
            spool,
            slots,
            ledger,
            gatherer: None,
            age: None,
        }
    }

    /// Shows a fault; one that is shown already in these words wakes nobody.
    pub(crate) fn raise(&self, code: FaultCode, message: impl Into<String>) {
        self.shared.set_fault(Fault::new(code, message));
    }

    /// Takes a fault back, if it is shown.
    pub(crate) fn clear(&self, code: FaultCode) {
        if self.shared.has_fault(code) {
            self.shared.change(|state| state.clear(code));
        }
    }

    /// A number for a desk that no other has.
    pub(crate) fn next_desk(&self) -> u64 {
        self.desks.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes the right to send a package for a desk. `false` if another one has it.
    pub(crate) fn take_flashing(&self, desk: u64) -> bool {
        let mut holder = self.flashing.lock().unwrap_or_else(PoisonError::into_inner);
        *holder.get_or_insert(desk) == desk
    }

    /// Gives that right back, if the desk has it; nothing is shown of its package any more.
    pub(crate) fn leave_flashing(&self, desk: u64) {
        let mut holder = self.flashing.lock().unwrap_or_else(PoisonError::into_inner);
        if *holder == Some(desk) {
            *holder = None;
            self.doing.package(None);
        }
    }
}

/// The queue's settings that follow from a configuration.
pub(super) fn spool_settings(config: &Config) -> spool::Settings {
    let mut destinations: std::collections::BTreeSet<_> =
        config.recipients().map(|to| to.name()).collect();
    // Without a destination results stay until a tool on a line has fetched them, if there is a line.
    if destinations.is_empty() && (config.serial.is_some() || config.tcp.is_some()) {
        destinations.insert(LINE.into());
    }
    let usual = spool::Settings::default();
    spool::Settings {
        quota_bytes: config.spool.max_bytes,
        floor_bytes: config.spool.keep_free_bytes,
        largest_scan_bytes: config.spool.max_scan_bytes,
        // A small queue is not to be all promises.
        results_bytes: usual.results_bytes.min(config.spool.max_bytes / 4),
        destinations,
        silent: config.identity.silent,
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destinations(text: &str) -> Vec<String> {
        let config = Config::parse(text).expect("right");
        spool_settings(&config).destinations.into_iter().collect()
    }

    #[test]
    fn results_wait_for_every_destination_and_without_one_for_a_tool_on_a_line() {
        let serial = "[serial]\ndevice = \"/dev/ttyGS0\"\n";
        let folder = "[[destination]]\nkind = \"folder\"\npath = \"/srv/results\"\n";
        assert_eq!(destinations(""), [""; 0]);
        assert_eq!(destinations(serial), ["line"]);
        assert_eq!(destinations(&format!("{serial}{folder}")), ["/srv/results"]);
        let both = format!("{folder}[[destination]]\nkind = \"line\"\n");
        assert_eq!(destinations(&both), ["/srv/results", "line"]);
    }

    #[test]
    fn results_are_promised_at_most_a_quarter_of_a_small_queue() {
        let text = "[spool]\nmax_bytes = \"40 MB\"\nmax_scan_bytes = \"20 MB\"";
        let settings = spool_settings(&Config::parse(text).expect("right"));
        assert_eq!(settings.results_bytes, 10_000_000);
        let settings = spool_settings(&Config::parse("").expect("defaults"));
        assert_eq!(settings.results_bytes, 64 << 20);
    }
}
