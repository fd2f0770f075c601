//! How fast the model in use is on this box, measured on the very copies that work on scans.

use std::sync::{PoisonError, TryLockError};
use std::time::{Duration, Instant};

use nephrobox_link::message::{Code, Refused};
use serde::Serialize;

use super::refuse;
use crate::bench::{SCAN, invented};
use crate::run::Core;
use crate::worker::Model;

/// The longest that scans are kept waiting, in seconds; half of what the watchdog allows the worker.
const LONGEST_S: u16 = 60;

/// What was measured; the names are those of `nephrobox bench --json`.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    model: String,
    version: u64,
    engine: String,
    device: &'static str,
    arithmetic: &'static str,
    kernels: Option<&'static str>,
    threads: usize,
    runs: usize,
    seconds: f64,
    /// Of one slice while every thread has one.
    latency_median_ms: f64,
    slices_per_s: f64,
    scan_slices: usize,
    scan_s: f64,
}

/// Measures for some seconds. Scans that come meanwhile wait; a box at work measures nothing.
pub(super) fn run(core: &Core, seconds: u16) -> Result<Measured, Refused> {
    let model = core.models.current().ok_or_else(|| {
        Refused::new(
            Code::NoModel,
            "the box has no model to measure; install one with nephroctl flash",
        )
    })?;
    let _idle = core.models.keep_idle();
    let mut model = match model.try_lock() {
        Ok(model) => model,
        Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
        Err(TryLockError::WouldBlock) => {
            return Err(Refused::new(
                Code::Busy,
                "the box is at work on a scan, or measures already; measure again when it is idle",
            ));
        }
    };
    let seconds = seconds.clamp(1, LONGEST_S);
    measure(&mut model, Duration::from_secs(seconds.into()))
}

fn measure(model: &mut Model, longest: Duration) -> Result<Measured, Refused> {
    let preprocess = model.manifest.input.preprocess;
    let slice = invented(preprocess.rows, preprocess.cols);
    let began = Instant::now();
    // Milliseconds of a slice, by every thread.
    let times = std::thread::scope(|scope| {
        let threads = model.running.models.iter_mut().map(|model| {
            let slice = &slice;
            scope.spawn(move || {
                let batch = model.batch().max(1);
                let images = slice.repeat(batch);
                let mut labels = vec![0; images.len()];
                let mut times = Vec::new();
                while times.is_empty() || began.elapsed() < longest {
                    let start = Instant::now();
                    model.segment(&images, batch, &mut labels)?;
                    let each = start.elapsed().as_secs_f64() * 1e3 / batch as f64;
                    times.extend(std::iter::repeat_n(each, batch));
                }
                Ok(times)
            })
        });
        let threads: Vec<_> = threads.collect();
        let times = threads.into_iter().map(|thread| match thread.join() {
            Ok(times) => times,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        times.collect::<Result<Vec<_>, nephrobox_engine::model::EngineError>>()
    });
    let times = times.map_err(|error| refuse::internal(&error))?;
    let seconds = began.elapsed().as_secs_f64();
    let mut times = times.concat();
    times.sort_by(f64::total_cmp);
    let slices_per_s = times.len() as f64 / seconds;
    let engine = &model.running.engine;
    Ok(Measured {
        model: model.manifest.name.clone(),
        version: model.manifest.version,
        engine: engine.to_string(),
        device: engine.device,
        arithmetic: engine.arithmetic.name(),
        kernels: engine.kernels.map(nephrobox_engine::cpu::KernelSet::name),
        threads: engine.threads,
        runs: times.len(),
        seconds,
        latency_median_ms: times[times.len() / 2],
        slices_per_s,
        scan_slices: SCAN,
        scan_s: SCAN as f64 / slices_per_s,
    })
}
