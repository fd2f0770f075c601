//! How the box is doing: watchdog, liveness and readiness, metrics, status page; and the shelf of studies.
//!
//! *Live* means that the worker gives signs of life; if not, a restart helps. *Ready* means that a scan sent now would be
//! accepted; if not, the reasons say what to do, and a restart does not help. All of it reads [`crate::snapshot::Shared`]; only the shelf reads
//! the queue itself.

mod html;
pub mod metrics;
mod page;
mod serve;
mod shelf;
mod studies;
pub mod watchdog;

use serde::Serialize;

pub use serve::{ServeError, serve};
pub use shelf::Shelf;

use crate::snapshot::Snapshot;

/// Whether a scan would be accepted, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether it would.
    pub ready: bool,
    /// Why not; empty if ready.
    pub reasons: Vec<String>,
}

/// Judges readiness.
#[must_use]
pub fn readiness(state: &Snapshot) -> Readiness {
    let full = state.limit_bytes > 0 && state.used_bytes >= state.limit_bytes;
    let rules = [
        (!state.started, "the box is still starting"),
        (
            state.active_model.is_none(),
            "no model is active: install one with nephroctl flash",
        ),
        (
            full,
            "no room for another scan: fetch results or raise spool.max_bytes",
        ),
    ];
    let rules = rules
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, reason)| reason.to_owned());
    let faults = state
        .faults
        .iter()
        .filter(|fault| fault.blocks())
        .map(|fault| fault.message.clone());
    let reasons: Vec<_> = rules.chain(faults).collect();
    Readiness {
        ready: reasons.is_empty(),
        reasons,
    }
}
