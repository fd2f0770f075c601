//! A whole scan: canonical slices in, one label map at the scan's own resolution out.
//!
//! The box, the evaluation and the field validation all come through here:
//!
//! ```text
//! reader thread     slice ─► midline ─► preprocess ─┐ at most two batches wait
//! caller's thread                                   └─► network ─► labels back ─► label map
//! ```
//!
//! Reading and preprocessing overlap the network. Memory does not grow with the number of slices but for the run-length
//! coded label map (a few kilobytes for each slice with a kidney), and what the reader holds.

use std::ops::ControlFlow;
use std::sync::mpsc::{SyncSender, sync_channel};

use nephrobox_imaging::{ImagingError, ScanReader};
use nephrobox_shared::measure::{LabelMap, MeasureError, Midline};
use nephrobox_shared::preprocess::{Preprocess, PreprocessError};

use crate::model::{EngineError, SliceModel};

/// Batches that may wait for the network.
const WAITING: usize = 2;

/// What a scan yields.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentedScan {
    /// Labels of every slice, at the scan's own resolution and by canonical index.
    pub labels: LabelMap,
    /// Estimate of the column where the patient's left and right halves meet.
    pub midline: Midline,
}

/// What has happened so far. The first report comes before the first slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Slices labelled.
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
        /// Slices labelled until then.
        done: usize,
        /// Slices of the scan.
        slices: usize,
    },
}

/// Preprocessed slices on their way to the network.
struct Batch {
    /// Canonical indices.
    slices: Vec<usize>,
    /// `[batch, rows, cols]` of the network.
    images: Vec<f32>,
}

/// Labels every slice of a scan, from its first whatever was read before.
///
/// `preprocess` must be the one the model was trained with; it comes in the same package. `on_progress` is called on the
/// caller's thread before the first batch and after each; [`ControlFlow::Break`] ends with [`ScanError::Cancelled`].
pub fn segment(
    reader: &mut ScanReader,
    model: &mut dyn SliceModel,
    preprocess: &Preprocess,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SegmentedScan, ScanError> {
    let found = [preprocess.rows, preprocess.cols];
    let expected = [model.rows(), model.cols()];
    if found != expected {
        return Err(ScanError::Size { found, expected });
    }
    preprocess
        .check()
        .map_err(|source| ScanError::Preprocess { slice: 0, source })?;
    let [slices, rows, cols] = reader.geometry().shape();
    let mut labels =
        LabelMap::new(rows, cols).map_err(|source| ScanError::Labels { slice: 0, source })?;
    let per_batch = model.batch().max(1);
    let mut network_labels = vec![0; per_batch * preprocess.rows * preprocess.cols];
    let mut slice_labels = vec![0; rows * cols];
    let mut done = 0;
    let mut report = |done| match on_progress(Progress { done, slices }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(ScanError::Cancelled { done, slices }),
    };
    report(0)?;

    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING);
        let reading = scope.spawn(move || read(reader, preprocess, per_batch, &sender));
        // Leaving this block by `?` drops the receiver, which ends the reading thread at its next batch.
        for batch in receiver {
            let pixels = preprocess.rows * preprocess.cols;
            let found = &mut network_labels[..batch.slices.len() * pixels];
            model
                .segment(&batch.images, batch.slices.len(), found)
                .map_err(|source| ScanError::Engine {
                    slice: batch.slices[0],
                    source,
                })?;
            for (&slice, found) in batch.slices.iter().zip(found.chunks_exact(pixels)) {
                preprocess
                    .labels_back(found, rows, cols, &mut slice_labels)
                    .map_err(|source| ScanError::Preprocess { slice, source })?;
                labels
                    .set(slice, &slice_labels)
                    .map_err(|source| ScanError::Labels { slice, source })?;
            }
            done += batch.slices.len();
            report(done)?;
        }
        match reading.join() {
            Ok(midline) => Ok(SegmentedScan {
                labels,
                midline: midline?,
            }),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Reads the whole scan and sends it in batches; ends early, without an error, when nobody listens any more.
fn read(
    reader: &mut ScanReader,
    preprocess: &Preprocess,
    per_batch: usize,
    sender: &SyncSender<Batch>,
) -> Result<Midline, ScanError> {
    let [_, rows, cols] = reader.geometry().shape();
    let pixels = preprocess.rows * preprocess.cols;
    let mut midline = Midline::new();
    let mut hu = vec![0; rows * cols];
    let mut batch = Batch {
        slices: Vec::new(),
        images: Vec::new(),
    };
    reader.rewind();
    while let Some(slice) = reader.next_slice(&mut hu)? {
        midline
            .add(&hu, cols)
            .map_err(|source| ScanError::Labels { slice, source })?;
        let start = batch.images.len();
        batch.images.resize(start + pixels, 0.0);
        preprocess
            .image(&hu, rows, cols, &mut batch.images[start..])
            .map_err(|source| ScanError::Preprocess { slice, source })?;
        batch.slices.push(slice);
        if batch.slices.len() == per_batch {
            let full = std::mem::replace(
                &mut batch,
                Batch {
                    slices: Vec::new(),
                    images: Vec::new(),
                },
            );
            if sender.send(full).is_err() {
                return Ok(midline);
            }
        }
    }
    if !batch.slices.is_empty() {
        // An error means that nobody listens, and then nobody asks for the midline either.
        let _ = sender.send(batch);
    }
    Ok(midline)
}
