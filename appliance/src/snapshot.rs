//! What the outside sees of the box, as one value.
//!
//! The box's parts change a [`Snapshot`] through [`Shared`]; panel, status page, metrics and the link read it. It holds no
//! patient's name and no name of a scan's file; the only paths are those of the configuration, in the words of faults.

use std::sync::Arc;

use nephrobox_shared::measure::Sides;
use nephrobox_shared::report::{Report, SliceAreas};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::fault::{Fault, FaultCode};
use crate::pulse::Pulse;

/// Results that are kept for showing.
pub(crate) const RESULTS: usize = 10;

/// The box at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The box's name.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// When the program started, in seconds since 1970 UTC.
    pub started_unix_s: u64,
    /// Whether everything that a scan needs has started.
    pub started: bool,
    /// Whether results are kept and never sent.
    #[serde(default)]
    pub silent: bool,
    /// What it is doing.
    pub activity: Activity,
    /// The last results, newest first.
    pub results: Vec<ResultSummary>,
    /// The model in use, as name and version.
    pub active_model: Option<String>,
    /// The two places for models.
    pub slots: [Slot; 2],
    /// Series that come in over the network, not whole yet.
    #[serde(default)]
    pub arriving_series: u64,
    /// Slices of them that are here.
    #[serde(default)]
    pub arriving_slices: u64,
    /// Scans that wait.
    pub queued: u64,
    /// Scans that could not be processed and are kept aside.
    pub aside: u64,
    /// Room taken by scans and results, in bytes.
    pub used_bytes: u64,
    /// Room that they may take, in bytes.
    pub limit_bytes: u64,
    /// What is wrong at the moment.
    pub faults: Vec<Fault>,
    /// Counts since the start.
    pub counters: Counters,
}

/// What the box is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Activity {
    /// Nothing.
    #[default]
    Idle,
    /// A transfer is coming in.
    Receiving {
        /// The scan's id on the box.
        scan: String,
        /// Bytes that are here.
        done_bytes: u64,
        /// Bytes in all.
        total_bytes: u64,
    },
    /// The network looks at a scan.
    Working {
        /// The scan's id on the box.
        scan: String,
        /// Slices done.
        slice: u32,
        /// Slices in all.
        slices: u32,
    },
    /// A model is installed.
    Flashing {
        /// The step, in words.
        step: String,
    },
}

/// One result in short.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultSummary {
    /// The scan's id on the box.
    pub scan: String,
    /// When it was finished, in seconds since 1970 UTC.
    pub finished_unix_s: u64,
    /// The model that outlined it, as name and version.
    pub model: String,
    /// Kidney volume of both sides, in ml.
    pub kidney_ml: f64,
    /// Tumour volume of both sides, in ml.
    pub tumour_ml: f64,
    /// Each side of the patient.
    pub sides: Sides<SideSummary>,
    /// The slice that `overlay_png` shows and the areas belong to, from 0 at the head; `None` if nothing was found.
    pub key_slice: Option<usize>,
    /// Slices of the scan.
    pub slices: usize,
    /// Processing time, in seconds.
    pub seconds: f64,
    /// Number of warnings in its report.
    pub warnings: u32,
    /// The first of them, in words.
    pub first_warning: Option<String>,
    /// The key slice with its outlines as PNG; not part of what is sent on.
    #[serde(skip)]
    pub overlay_png: Option<Arc<[u8]>>,
}

/// One side of the patient in short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SideSummary {
    /// Volume of the kidney without its tumour, in ml.
    pub kidney_ml: f64,
    /// Volume of the tumour, in ml.
    pub tumour_ml: f64,
    /// Area of the kidney without its tumour in the key slice, in mm².
    pub kidney_mm2: f64,
    /// Area of the tumour in the key slice, in mm².
    pub tumour_mm2: f64,
}

impl ResultSummary {
    /// The short of a report. `overlay` is the file [`OVERLAY_KEY`](crate::output::OVERLAY_KEY) beside it, `scan` the scan's id
    /// on the box. The report's file names do not get in.
    #[must_use]
    pub fn of(
        report: &Report,
        overlay: Option<Arc<[u8]>>,
        scan: impl Into<String>,
        finished_unix_s: u64,
    ) -> Self {
        let findings = &report.findings;
        let key_slice = findings.key_slice();
        let areas = key_slice.map_or_else(SliceAreas::default, |slice| findings.areas(slice));
        let sides = Sides::from_fn(|side| {
            let (found, areas) = (findings.sides.get(side), areas.get(side));
            SideSummary {
                kidney_ml: found.kidney_volume_ml,
                tumour_ml: found.tumour_volume_ml,
                kidney_mm2: areas.kidney_area_mm2,
                tumour_mm2: areas.tumour_area_mm2,
            }
        });
        Self {
            scan: scan.into(),
            finished_unix_s,
            model: format!("{} {}", report.model.name, report.model.version),
            kidney_ml: sides.right.kidney_ml + sides.left.kidney_ml,
            tumour_ml: sides.right.tumour_ml + sides.left.tumour_ml,
            sides,
            key_slice,
            slices: report.input.slices,
            seconds: report.timing.total_s,
            warnings: u32::try_from(report.warnings.len()).unwrap_or(u32::MAX),
            first_warning: report.warnings.first().map(|first| first.message.clone()),
            overlay_png: overlay,
        }
    }
}

/// A place for a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The model, as name and version; `None` if empty.
    pub model: Option<String>,
    /// Its state.
    pub state: SlotState,
}

/// The state of a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// Nothing is in it.
    #[default]
    Empty,
    /// Written whole, not tried yet.
    Written,
    /// On trial.
    Trial,
    /// Confirmed.
    Confirmed,
    /// It failed and is not used.
    Bad,
}

impl SlotState {
    /// The word shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Written => "written",
            Self::Trial => "on trial",
            Self::Confirmed => "confirmed",
            Self::Bad => "bad",
        }
    }
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Scans accepted.
    pub accepted: u64,
    /// Scans refused at the door.
    pub refused: u64,
    /// Scans with a result.
    pub finished: u64,
    /// Scans that came and got no report: unusable ones, and those set aside.
    pub failed: u64,
    /// Results delivered, each destination counted.
    pub delivered: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Slices processed.
    pub slices: u64,
    /// Time the worker was at work, in seconds.
    pub working_s: f64,
}

impl Snapshot {
    /// Adds a result; the oldest falls off.
    pub fn push_result(&mut self, result: ResultSummary) {
        self.results.insert(0, result);
        self.results.truncate(RESULTS);
    }

    /// Raises a fault; one of the same code is replaced.
    pub fn raise(&mut self, fault: Fault) {
        self.clear(fault.code);
        self.faults.push(fault);
    }

    /// Whether a fault of this code is raised.
    #[must_use]
    pub fn has_fault(&self, code: FaultCode) -> bool {
        self.faults.iter().any(|fault| fault.code == code)
    }

    /// Takes a fault back.
    pub fn clear(&mut self, code: FaultCode) {
        self.faults.retain(|fault| fault.code != code);
    }
}

/// A handle on the snapshot, for threads and tasks alike; cloning it gives another handle on the same one.
#[derive(Debug, Clone)]
pub struct Shared {
    state: watch::Sender<Snapshot>,
    pulse: Pulse,
}

impl Shared {
    /// A handle on a new snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            state: watch::Sender::new(snapshot),
            pulse: Pulse::default(),
        }
    }

    /// A copy of the state now.
    #[must_use]
    pub fn get(&self) -> Snapshot {
        self.state.borrow().clone()
    }

    /// Changes the state and wakes who watches.
    pub fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        self.state.send_modify(change);
    }

    /// Whether a fault of this code is raised.
    #[must_use]
    pub fn has_fault(&self, code: FaultCode) -> bool {
        self.state.borrow().has_fault(code)
    }

    /// Raises a fault; wakes nobody if it is raised already in the same words.
    pub fn set_fault(&self, fault: Fault) {
        let known = self.state.borrow().faults.contains(&fault);
        if !known {
            self.change(|state| state.raise(fault));
        }
    }

    /// A receiver that wakes at every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.state.subscribe()
    }

    /// The worker's signs of life, to be given to the worker.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_changes_and_a_task_sees_it() {
        let shared = Shared::new(Snapshot::default());
        let mut watch = shared.watch();
        let worker = shared.clone();
        std::thread::spawn(move || {
            worker.pulse().beat();
            worker.change(|state| state.queued = 3);
        });
        let queued = watch
            .wait_for(|state| state.queued == 3)
            .await
            .expect("a sender")
            .queued;
        assert_eq!((queued, shared.pulse().beats()), (3, 1));
    }

    #[test]
    fn a_fault_is_raised_once_and_results_do_not_grow() {
        let mut state = Snapshot::default();
        for message in ["old", "new"] {
            state.raise(Fault::new(FaultCode::DiskFull, message));
        }
        assert_eq!(state.faults.len(), 1);
        assert_eq!(state.faults[0].message, "new");
        state.clear(FaultCode::DiskFull);
        assert!(state.faults.is_empty());
        for index in 0..20 {
            state.push_result(ResultSummary {
                scan: index.to_string(),
                ..ResultSummary::default()
            });
        }
        assert_eq!(
            (state.results.len(), state.results[0].scan.as_str()),
            (RESULTS, "19")
        );
    }
}
