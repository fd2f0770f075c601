//! What the worker does, told to everybody: panel and page, log, audit, outbox.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use nephrobox_shared::report::Report;

use super::core::Core;
use super::doing::Work;
use super::erase;
use super::results::{self, unix_s};
use super::vital::Guard;
use crate::fault::FaultCode;
use crate::logs::scan_span;
use crate::spool::ScanId;
use crate::worker::{Event, Observer};
use nephrobox_shared::report::WarningCode;

/// Hears the worker.
pub(super) struct News {
    core: Arc<Core>,
    began: Instant,
    slices: u64,
    /// Dropped with the worker's thread.
    _guard: Guard,
}

impl News {
    /// An observer that has heard nothing.
    pub(super) fn new(core: Arc<Core>, guard: Guard) -> Self {
        Self {
            core,
            began: Instant::now(),
            slices: 0,
            _guard: guard,
        }
    }

    fn began(&mut self, id: ScanId, attempt: u32) {
        (self.began, self.slices) = (Instant::now(), 0);
        tracing::info!(attempt, "work begins");
        self.core.doing.working(Some(Work {
            id,
            slice: 0,
            slices: 0,
        }));
        self.core.bells.upkeep();
    }

    fn slices(&mut self, id: ScanId, done: usize, slices: usize) {
        let new = (done as u64).saturating_sub(self.slices);
        self.slices = done as u64;
        self.core
            .shared
            .change(|state| state.counters.slices += new);
        self.core.doing.working(Some(Work {
            id,
            slice: done as u32,
            slices: slices as u32,
        }));
    }

    fn finished(&mut self, id: ScanId, report: &Report) {
        let core = &self.core;
        let warnings = report.warnings.len();
        let seconds = self.began.elapsed().as_secs_f64();
        tracing::info!(slices = report.input.slices, seconds, warnings, "reported");
        let summary = results::summary(&core.spool, id, report, unix_s(SystemTime::now()));
        core.shared.change(|state| {
            state.counters.finished += 1;
            state.push_result(summary);
        });
        // Whoever erased it in this moment did not find it there.
        if let Ok(None) = core.spool.listed(id) {
            erase::forget(&core.shared, id);
        }
        self.noticed(report);
        self.ended(id);
    }

    /// Takes the notice of a model that failed off the slots, once a report has said what it says now.
    fn noticed(&self, report: &Report) {
        let slots = &self.core.slots;
        let Ok(Some(notice)) = slots.notice() else {
            return;
        };
        let said = |warning: &nephrobox_shared::report::Warning| {
            warning.code == WarningCode::ModelFellBack.name() && warning.message == notice
        };
        if report.warnings.iter().any(said)
            && let Err(error) = slots.noticed()
        {
            tracing::warn!(%error, "the next report says it again");
        }
    }

    fn failed(&mut self, id: ScanId) {
        self.core.shared.change(|state| state.counters.failed += 1);
        self.ended(id);
    }

    /// A scan has left the queue.
    fn ended(&mut self, id: ScanId) {
        let core = &self.core;
        self.rested();
        core.clear(FaultCode::WorkerTrouble);
        // What cannot be written now is written when the queue is next looked at, and shown as a fault until then.
        if let Ok(Some(listed)) = core.spool.listed(id) {
            let _ = core.ledger.settle(&*core.spool, &listed);
        }
        core.bells.outbox();
        core.bells.upkeep();
    }

    /// The worker is at no scan.
    fn rested(&self) {
        let seconds = self.began.elapsed().as_secs_f64();
        if self.core.doing.work().is_some() {
            self.core
                .shared
                .change(|state| state.counters.working_s += seconds);
        }
        self.core.doing.working(None);
    }
}

impl Observer for News {
    fn hear(&mut self, event: Event<'_>) {
        let span = match event {
            Event::Began { id, .. }
            | Event::Slices { id, .. }
            | Event::Finished { id, .. }
            | Event::Refused { id, .. }
            | Event::Died { id, .. } => Some(scan_span(&id.to_string())),
            Event::Trouble { .. } => None,
        };
        let _entered = span.map(tracing::Span::entered);
        match event {
            Event::Began { id, attempt } => self.began(id, attempt),
            Event::Slices { id, done, slices } => self.slices(id, done, slices),
            Event::Finished { id, report } => self.finished(id, report),
            Event::Refused { id, .. } => {
                // Why may quote the scan's own header, which the log may not.
                tracing::warn!("the scan is unusable; why is in its error report");
                self.failed(id);
            }
            Event::Died {
                id,
                reason,
                set_aside,
            } => {
                tracing::error!(reason, set_aside, "the work broke off");
                if set_aside {
                    self.failed(id);
                } else {
                    self.rested();
                }
            }
            Event::Trouble { what } => {
                tracing::error!(what, "the worker cannot go on and tries again");
                self.rested();
                self.core.raise(
                    FaultCode::WorkerTrouble,
                    format!("work has stopped: {what}"),
                );
            }
        }
    }
}
