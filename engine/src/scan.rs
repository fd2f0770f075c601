//! A whole scan: canonical slices in, one label map at the scan's own resolution out.
//!
//! The box, the evaluation and the field validation all come through here:
//!
//! ```text
//! reader thread      slice ─► midline ─► preprocess ─┐
//! planner                      visit, hold or drop ◄─┴─► ready batches      ◄─────────────┐ hit or not
//! worker threads                      one for each model └─► network ─┐                   │
//! caller's thread                                                     └─► labels back ─► label map
//! ```
//!
//! Reading, preprocessing, the network and the run-length coding that measures are taken from all overlap, and no worker
//! waits for another: whoever is free takes the next batch, and label maps are stored in whatever order they come. The
//! result does not depend on the number of models, as long as a model labels a slice alike in any batch.
//!
//! Memory does not grow with the number of slices but for the run-length coded label map (a few kilobytes for each slice
//! with a kidney), what the reader holds, and a few bytes a slice for the plan. [`Visit::Fast`] also holds the images of
//! some coarse intervals. Why it is built so, and what each step costs: `docs/decisions/0006-whole-scans.md`.

mod desk;
mod plan;

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use nephrobox_imaging::{ImagingError, ScanReader};
use nephrobox_shared::measure::{LabelMap, MeasureError, Midline, Tones};
use nephrobox_shared::preprocess::{Preprocess, PreprocessError};
use nephrobox_shared::report::VisitedSlices;

use crate::model::{EngineError, SliceModel};
use desk::{Admission, Desk, Image, StopOnPanic};
pub use plan::{COARSE_MM, Decision, Planner, Settled, Visit};

/// What a scan yields.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentedScan {
    /// Labels of every slice, at the scan's own resolution and by canonical index.
    pub labels: LabelMap,
    /// Estimate of the column where the patient's left and right halves meet.
    pub midline: Midline,
    /// What the values of all its slices look like.
    pub tones: Tones,
    /// The slices that the network was shown; the others are background.
    pub visited: VisitedSlices,
}

/// What has happened so far. The first report comes before the first slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Slices labelled, or found to need no visit.
    pub done: usize,
    /// Slices of the scan.
    pub slices: usize,
}

/// Why a scan has no label map.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The scan could not be read.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
    /// A slice could not become network input.
    #[error("slice {slice} cannot be preprocessed: {source}")]
    Preprocess {
        /// Canonical index.
        slice: usize,
        /// What is wrong.
        source: PreprocessError,
    },
    /// Preprocessing and network belong to different models.
    #[error(
        "the preprocessing makes slices of {} x {} pixels and the network takes {} x {}; both must come from one model package",
        found[0], found[1], expected[0], expected[1]
    )]
    Size {
        /// Rows and columns that the preprocessing makes.
        found: [usize; 2],
        /// Rows and columns that the network takes.
        expected: [usize; 2],
    },
    /// Nobody to do the work.
    #[error("a scan needs at least one model")]
    NoModel,
    /// The network reads several slices at once.
    #[error(
        "the network reads {planes} neighbouring slices at once, and whole scans are shown to it slice by slice"
    )]
    Planes {
        /// How many it reads.
        planes: usize,
    },
    /// The network failed.
    #[error("slice {slice} cannot be labelled: {source}")]
    Engine {
        /// Canonical index of the first slice in the batch.
        slice: usize,
        /// What is wrong.
        source: EngineError,
    },
    /// A slice does not fit the label map.
    #[error("slice {slice} does not fit the label map: {source}")]
    Labels {
        /// Canonical index.
        slice: usize,
        /// What is wrong.
        source: MeasureError,
    },
    /// The caller asked to stop.
    #[error("stopped on request after {done} of {slices} slices")]
    Cancelled {
        /// Slices labelled, or found to need no visit, until then.
        done: usize,
        /// Slices of the scan.
        slices: usize,
    },
}

/// A batch on its way from a worker to the label map.
struct Labelled {
    /// Canonical indices.
    slices: Vec<usize>,
    /// `[batch, rows, cols]` of the network.
    labels: Vec<u8>,
}

/// Labels a scan, from its first slice whatever was read before, with as many threads as there are models.
///
/// The models must be copies of one network, and `preprocess` the one it was trained with; it comes in the same package.
/// `on_progress` is called on the caller's thread before the first batch and after each; [`ControlFlow::Break`] ends with
/// [`ScanError::Cancelled`]. The first error ends the scan, and all threads with it.
pub fn segment<M: SliceModel + Send>(
    reader: &mut ScanReader,
    models: &mut [M],
    preprocess: &Preprocess,
    visit: Visit,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SegmentedScan, ScanError> {
    let models = models
        .iter_mut()
        .map(|model| model as &mut (dyn SliceModel + Send))
        .collect();
    run(reader, models, preprocess, visit, on_progress)
}

/// [`segment`] without its type parameter, so that it is compiled once.
fn run(
    reader: &mut ScanReader,
    models: Vec<&mut (dyn SliceModel + Send)>,
    preprocess: &Preprocess,
    visit: Visit,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SegmentedScan, ScanError> {
    let batch = check(&models, preprocess)?;
    let geometry = reader.geometry();
    let [slices, rows, cols] = geometry.shape();
    let planner = Planner::for_scan(visit, slices, geometry.spacing().slice_mm);
    let pixels = preprocess.rows * preprocess.cols;
    let desk = Desk::new(planner, models.len(), batch, pixels);
    let labels =
        LabelMap::new(rows, cols).map_err(|source| ScanError::Labels { slice: 0, source })?;
    let mut collector = Collector {
        labels,
        slices,
        done: 0,
        preprocess,
        slice_labels: vec![0; rows * cols],
        on_progress,
    };
    collector.report()?;

    let (midline, tones) = std::thread::scope(|scope| {
        let desk = &desk;
        let _stop = StopOnPanic(desk);
        // A worker waits here only if the collector is behind by more than a batch for each of them.
        let (sender, receiver) = sync_channel(models.len());
        let reading = scope.spawn(move || {
            let _stop = StopOnPanic(desk);
            let read = read(reader, preprocess, desk);
            match read {
                Ok(seen) => {
                    desk.finish();
                    seen
                }
                Err(error) => {
                    desk.fail(error);
                    (Midline::new(), Tones::new())
                }
            }
        });
        let workers: Vec<_> = models
            .into_iter()
            .map(|model| {
                let sender = sender.clone();
                scope.spawn(move || {
                    let _stop = StopOnPanic(desk);
                    if let Err(error) = work(model, pixels, desk, &sender) {
                        desk.fail(error);
                    }
                })
            })
            .collect();
        drop(sender);
        if let Err(error) = collector.collect(receiver, desk) {
            desk.fail(error);
        }
        let worked = workers
            .into_iter()
            .try_for_each(std::thread::ScopedJoinHandle::join);
        match worked.and_then(|()| reading.join()) {
            Ok(seen) => seen,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    let planner = desk.close()?;
    Ok(SegmentedScan {
        labels: collector.labels,
        midline,
        tones,
        visited: planner.visited(),
    })
}

/// Checks that models and preprocessing belong together; returns the largest batch that any of them likes.
fn check(
    models: &[&mut (dyn SliceModel + Send)],
    preprocess: &Preprocess,
) -> Result<usize, ScanError> {
    let found = [preprocess.rows, preprocess.cols];
    for model in models {
        let expected = [model.rows(), model.cols()];
        if found != expected {
            return Err(ScanError::Size { found, expected });
        }
        let planes = model.planes();
        if planes != 1 {
            return Err(ScanError::Planes { planes });
        }
    }
    preprocess
        .check()
        .map_err(|source| ScanError::Preprocess { slice: 0, source })?;
    let batches = models.iter().map(|model| model.batch().max(1));
    batches.max().ok_or(ScanError::NoModel)
}

/// Reads the whole scan and brings what is wanted of it; ends early, without an error, when everyone stops.
fn read(
    reader: &mut ScanReader,
    preprocess: &Preprocess,
    desk: &Desk,
) -> Result<(Midline, Tones), ScanError> {
    let [_, rows, cols] = reader.geometry().shape();
    let (mut midline, mut tones) = (Midline::new(), Tones::new());
    let mut hu = vec![0; rows * cols];
    reader.rewind();
    while let Some(slice) = reader.next_slice(&mut hu)? {
        // Of every slice, so that sides do not depend on which were visited.
        midline
            .add(&hu, cols)
            .map_err(|source| ScanError::Labels { slice, source })?;
        tones.add(&hu);
        let mut pixels = match desk.admit(slice) {
            Admission::Wanted(pixels) => pixels,
            Admission::Dropped => continue,
            Admission::Stopped => break,
        };
        pixels.resize(preprocess.rows * preprocess.cols, 0.0);
        preprocess
            .image(&hu, rows, cols, &mut pixels)
            .map_err(|source| ScanError::Preprocess { slice, source })?;
        desk.bring(Image { slice, pixels });
    }
    Ok((midline, tones))
}

/// Labels batches until there are no more.
fn work(
    model: &mut (dyn SliceModel + Send),
    pixels: usize,
    desk: &Desk,
    sender: &SyncSender<Labelled>,
) -> Result<(), ScanError> {
    let batch = model.batch().max(1);
    let mut joined = Vec::new();
    loop {
        let images = desk.take(batch);
        let Some(first) = images.first() else {
            return Ok(());
        };
        let input = if images.len() == 1 {
            &first.pixels
        } else {
            joined.clear();
            joined.extend(images.iter().flat_map(|image| &image.pixels));
            &joined
        };
        let mut labels = vec![0; images.len() * pixels];
        model
            .segment(input, images.len(), &mut labels)
            .map_err(|source| ScanError::Engine {
                slice: first.slice,
                source,
            })?;
        let slices = images.iter().map(|image| image.slice).collect();
        desk.give_back(images);
        if sender.send(Labelled { slices, labels }).is_err() {
            // The collector has stopped, and knows why.
            return Ok(());
        }
    }
}

/// Puts label maps into their place, in the order in which they come.
struct Collector<'a> {
    labels: LabelMap,
    slices: usize,
    done: usize,
    preprocess: &'a Preprocess,
    /// Room for one slice of the scan.
    slice_labels: Vec<u8>,
    on_progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl Collector<'_> {
    /// Takes batches until no worker is left. The receiver goes with it, so no worker waits for a collector that failed.
    fn collect(&mut self, receiver: Receiver<Labelled>, desk: &Desk) -> Result<(), ScanError> {
        for batch in receiver {
            let pixels = self.preprocess.rows * self.preprocess.cols;
            let mut answers = Vec::with_capacity(batch.slices.len());
            for (&slice, found) in batch.slices.iter().zip(batch.labels.chunks_exact(pixels)) {
                answers.push((slice, self.store(slice, found)?));
            }
            self.done += answers.len();
            let dropped = desk.answer(&answers);
            self.slice_labels.fill(0);
            for &slice in &dropped {
                self.labels
                    .set(slice, &self.slice_labels)
                    .map_err(|source| ScanError::Labels { slice, source })?;
            }
            self.done += dropped.len();
            self.report()?;
        }
        Ok(())
    }

    /// Stores the network's labels of one slice and returns whether they show kidney or tumour.
    fn store(&mut self, slice: usize, found: &[u8]) -> Result<bool, ScanError> {
        let (rows, cols) = (self.labels.rows(), self.labels.cols());
        self.preprocess
            .labels_back(found, rows, cols, &mut self.slice_labels)
            .map_err(|source| ScanError::Preprocess { slice, source })?;
        let stored = self.labels.set(slice, &self.slice_labels);
        let runs = stored.and_then(|()| self.labels.runs(slice));
        runs.map(|runs| !runs.is_empty())
            .map_err(|source| ScanError::Labels { slice, source })
    }

    fn report(&mut self) -> Result<(), ScanError> {
        let (done, slices) = (self.done, self.slices);
        match (self.on_progress)(Progress { done, slices }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ScanError::Cancelled { done, slices }),
        }
    }
}
