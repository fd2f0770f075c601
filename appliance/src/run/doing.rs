//! What the box is doing, from all its parts, as the one thing that is shown.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::snapshot::{Activity, Shared};
use crate::spool::ScanId;

/// What every part is doing. Of several things the panel shows the rarest: a model being installed, then a transfer, then work.
#[derive(Debug)]
pub(crate) struct Doing {
    shared: Shared,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// A trial, in words.
    trial: Option<String>,
    /// A package coming in, in words.
    package: Option<String>,
    /// Scans coming in, by the number of the desk.
    receiving: BTreeMap<u64, Transfer>,
    working: Option<Work>,
    shown: Activity,
}

/// A scan that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The scan.
    pub(crate) id: ScanId,
    /// Bytes that are here.
    pub(crate) done: u64,
    /// Bytes of the scan.
    pub(crate) total: u64,
}

/// A scan in work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    /// The scan.
    pub(crate) id: ScanId,
    /// Slices done.
    pub(crate) slice: u32,
    /// Slices of the scan; 0 if that is not known yet.
    pub(crate) slices: u32,
}

impl State {
    fn activity(&self) -> Activity {
        if let Some(step) = self.trial.as_ref().or(self.package.as_ref()) {
            return Activity::Flashing { step: step.clone() };
        }
        if let Some(transfer) = self.receiving.values().next_back() {
            return Activity::Receiving {
                scan: transfer.id.to_string(),
                done_bytes: transfer.done,
                total_bytes: transfer.total,
            };
        }
        self.working
            .map_or(Activity::Idle, |work| Activity::Working {
                scan: work.id.to_string(),
                slice: work.slice,
                slices: work.slices,
            })
    }
}

impl Doing {
    /// Nothing, shown in a snapshot.
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared,
            state: Mutex::default(),
        }
    }

    /// A model is tried, in words; or none any more.
    pub(super) fn trial(&self, step: Option<String>) {
        self.change(|state| state.trial = step);
    }

    /// A package comes in, in words; or none any more.
    pub(crate) fn package(&self, step: Option<String>) {
        self.change(|state| state.package = step);
    }

    /// A desk receives a scan; or none any more.
    pub(crate) fn receiving(&self, desk: u64, transfer: Option<Transfer>) {
        self.change(|state| match transfer {
            Some(transfer) => {
                state.receiving.insert(desk, transfer);
            }
            None => {
                state.receiving.remove(&desk);
            }
        });
    }

    /// The worker is at a scan; or at none.
    pub(super) fn working(&self, work: Option<Work>) {
        self.change(|state| state.working = work);
    }

    /// What the worker is at.
    pub(crate) fn work(&self) -> Option<Work> {
        self.lock().working
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let activity = state.activity();
        if state.shown != activity {
            state.shown = activity.clone();
            self.shared.change(|snapshot| snapshot.activity = activity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    #[test]
    fn the_rarest_of_several_things_is_shown_and_none_is_forgotten() {
        let shared = Shared::new(Snapshot::default());
        let doing = Doing::new(shared.clone());
        let id: ScanId = "00000001-00000000".parse().expect("an id");
        let shown = || shared.get().activity;
        let work = Work {
            id,
            slice: 1,
            slices: 9,
        };
        doing.working(Some(work));
        assert!(matches!(shown(), Activity::Working { slice: 1, .. }));
        let (done, total) = (5, 10);
        doing.receiving(7, Some(Transfer { id, done, total }));
        assert!(matches!(shown(), Activity::Receiving { done_bytes: 5, .. }));
        doing.package(Some("receiving".into()));
        doing.trial(Some("self-test".into()));
        assert!(matches!(shown(), Activity::Flashing { step } if step == "self-test"));
        doing.trial(None);
        assert!(matches!(shown(), Activity::Flashing { step } if step == "receiving"));
        doing.package(None);
        doing.receiving(7, None);
        assert_eq!(doing.work(), Some(work));
        doing.working(None);
        assert_eq!(shown(), Activity::Idle);
    }
}
