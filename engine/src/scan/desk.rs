//! Where the reader, the workers and the collector of a scan meet: one lock, held for moments only.
//!
//! The reader brings images, the planner sorts them into *ready* and *held*, workers take ready ones in batches, and the
//! collector's answers settle what is held. The first failure is kept and stops everyone; nobody waits for a thread that
//! has gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::ScanError;
use super::plan::{Decision, Planner};

/// Bytes that held slices may take before the reader waits for answers, where it can.
const HELD_BYTES: usize = 128 << 20;

/// A slice as the network takes it.
pub(super) struct Image {
    pub(super) slice: usize,
    pub(super) pixels: Vec<f32>,
}

/// What the reader is to do with the slice it has read.
pub(super) enum Admission {
    /// Fill this buffer, whatever it holds, and bring it back with [`Desk::bring`].
    Wanted(Vec<f32>),
    /// Go on to the next.
    Dropped,
    /// Go home.
    Stopped,
}

pub(super) struct Desk {
    state: Mutex<State>,
    changed: Condvar,
    /// Images that may be ready before the reader waits.
    most_ready: usize,
    /// Images that may be held before the reader waits, unless it is the only one who can go on.
    most_held: usize,
}

struct State {
    planner: Planner,
    ready: VecDeque<Image>,
    held: BTreeMap<usize, Vec<f32>>,
    /// Slices that need no visit and that the collector has not heard of.
    dropped: Vec<usize>,
    /// Buffers to be used again.
    spare: Vec<Vec<f32>>,
    /// Slices that a worker took and that have no answer yet.
    outstanding: usize,
    reading: bool,
    /// Whether the reader waits for answers, so that a batch will not fill up.
    starved: bool,
    stopped: bool,
    error: Option<ScanError>,
}

impl Desk {
    /// A desk for `workers` that take batches of at most `batch` images of `pixels`.
    pub(super) fn new(planner: Planner, workers: usize, batch: usize, pixels: usize) -> Self {
        // One batch for each worker to take next, and one for the reader to fill meanwhile.
        let most_ready = batch * (workers + 1);
        // What depends on open answers while every worker has a batch of coarse slices.
        let ahead = planner.reach() + planner.stride() * (most_ready + 1);
        let most_held = ahead.min(HELD_BYTES / (pixels * size_of::<f32>()).max(1));
        Self {
            state: Mutex::new(State {
                planner,
                ready: VecDeque::new(),
                held: BTreeMap::new(),
                dropped: Vec::new(),
                spare: Vec::new(),
                outstanding: 0,
                reading: true,
                starved: false,
                stopped: false,
                error: None,
            }),
            changed: Condvar::new(),
            most_ready,
            most_held,
        }
    }

    /// The reader has a slice: waits until there is room for it.
    pub(super) fn admit(&self, slice: usize) -> Admission {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return Admission::Stopped;
            }
            let busy = state.ready.len() + state.outstanding > 0;
            let starved = state.held.len() >= self.most_held && busy;
            if state.ready.len() < self.most_ready && !starved {
                break;
            }
            if starved && !state.starved {
                state.starved = true;
                self.changed.notify_all();
            }
            state = self.wait(state);
        }
        state.starved = false;
        if state.planner.decide(slice) == Decision::Drop {
            state.planner.arrive(slice);
            state.dropped.push(slice);
            return Admission::Dropped;
        }
        Admission::Wanted(state.spare.pop().unwrap_or_default())
    }

    /// The reader brings a slice that was wanted.
    pub(super) fn bring(&self, image: Image) {
        let mut state = self.lock();
        // Answers may have come while the image was made, so it is only now that the slice is decided on.
        match state.planner.arrive(image.slice) {
            Decision::Visit => {
                state.ready.push_back(image);
                self.changed.notify_all();
            }
            Decision::Hold => {
                state.held.insert(image.slice, image.pixels);
            }
            Decision::Drop => {
                state.dropped.push(image.slice);
                state.spare.push(image.pixels);
            }
        }
    }

    /// The reader has brought everything.
    pub(super) fn finish(&self) {
        self.lock().reading = false;
        self.changed.notify_all();
    }

    /// A worker takes its next batch: `batch` images, fewer only if no more can come for now. Empty when all is done.
    pub(super) fn take(&self, batch: usize) -> Vec<Image> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return Vec::new();
            }
            let ready = state.ready.len();
            if ready >= batch || ready > 0 && (state.starved || !state.reading) {
                let taken: Vec<Image> = state.ready.drain(..ready.min(batch)).collect();
                state.outstanding += taken.len();
                self.changed.notify_all();
                return taken;
            }
            if !state.reading && ready == 0 && (state.held.is_empty() || state.outstanding == 0) {
                return Vec::new();
            }
            state = self.wait(state);
        }
    }

    /// A worker gives back the images' memory.
    pub(super) fn give_back(&self, images: Vec<Image>) {
        let mut state = self.lock();
        if state.spare.len() < self.most_ready {
            state
                .spare
                .extend(images.into_iter().map(|image| image.pixels));
        }
    }

    /// The collector has stored these slices, each with whether it shows kidney or tumour. Returns slices that turned out
    /// to need no visit.
    pub(super) fn answer(&self, answers: &[(usize, bool)]) -> Vec<usize> {
        let mut state = self.lock();
        let state = &mut *state;
        state.outstanding = state.outstanding.saturating_sub(answers.len());
        for &(slice, hit) in answers {
            let settled = state.planner.answer(slice, hit);
            for slice in settled.visit {
                if let Some(pixels) = state.held.remove(&slice) {
                    state.ready.push_back(Image { slice, pixels });
                }
            }
            for slice in settled.drop {
                state.spare.extend(state.held.remove(&slice));
                state.dropped.push(slice);
            }
        }
        self.changed.notify_all();
        std::mem::take(&mut state.dropped)
    }

    /// Everyone stops; the first error is the one that counts.
    pub(super) fn fail(&self, error: ScanError) {
        self.lock().error.get_or_insert(error);
        self.stop();
    }

    /// Everyone stops.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// What went wrong, or who was visited.
    pub(super) fn close(self) -> Result<Planner, ScanError> {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        state.error.map_or(Ok(state.planner), Err)
    }

    // A thread that panicked has stopped the desk, and nothing is read from it after that.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops everyone when its thread leaves, however it leaves: without it the others would wait for a thread that panicked.
pub(super) struct StopOnPanic<'a>(pub(super) &'a Desk);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A reader that brings a very long scan to a desk that nobody need ever empty.
    fn read(desk: &Desk, slices: usize) {
        for slice in 0..slices {
            match desk.admit(slice) {
                Admission::Wanted(mut pixels) => {
                    pixels.resize(4, 0.0);
                    desk.bring(Image { slice, pixels });
                }
                Admission::Dropped => {}
                Admission::Stopped => return,
            }
        }
        desk.finish();
    }

    #[test]
    fn a_reader_that_is_ahead_waits_for_workers_and_for_answers() {
        for (stride, reach) in [(1, 1), (4, 7), (30, 59)] {
            let slices = 100_000;
            let desk = Desk::new(Planner::new(slices, stride, reach), 2, 3, 4);
            std::thread::scope(|scope| {
                scope.spawn(|| read(&desk, slices));
                let mut before = 0;
                // Until it has brought nothing for a while.
                loop {
                    std::thread::sleep(Duration::from_millis(50));
                    let state = desk.lock();
                    let now = state.ready.len() + state.held.len();
                    if now == before {
                        break;
                    }
                    before = now;
                }
                assert!(before <= 9 + reach + 10 * stride, "{before} images");
                desk.stop();
            });
        }
    }

    #[test]
    fn a_reader_goes_on_when_only_it_can() {
        // One image would be too much, and still none is left behind.
        let planner = Planner::new(20, 6, 11);
        let desk = Desk {
            most_held: 0,
            ..Desk::new(planner, 1, 8, 4)
        };
        let mut taken = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| read(&desk, 20));
            let mut dropped = 0;
            loop {
                let images = desk.take(8);
                if images.is_empty() {
                    break;
                }
                let answers: Vec<_> = images.iter().map(|image| (image.slice, false)).collect();
                taken.extend(images.iter().map(|image| image.slice));
                desk.give_back(images);
                dropped += desk.answer(&answers).len();
            }
            assert_eq!(dropped, 15);
        });
        assert_eq!(taken, [0, 6, 12, 18, 19]);
        assert!(desk.close().is_ok());
    }
}
