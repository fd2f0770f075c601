//! Batches of a training epoch, made ahead of the steps that use them.
//!
//! Order and changes of images depend on (seed, epoch), the slice and its place in the order alone, so a resumed epoch
//! continues with exactly the batches it would have seen.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use super::config::{ImageWeights, TrainConfig};
use super::sampling::order;
use crate::augment::{self, Sample, Spare};
use crate::closed_form::Stream;
use crate::data::{Prepared, Split};
use crate::network::parallel::even;

/// Host side of a batch.
#[derive(Clone, Debug)]
pub struct HostBatch {
    /// Numbers of its slices in the prepared set.
    pub slices: Vec<u32>,
    /// Rows and columns of its images.
    pub side: usize,
    /// Images of a slice: 1, or 3 with its neighbours.
    pub planes: usize,
    /// `[batch, planes, side, side]`, in [0, 1].
    pub images: Vec<f32>,
    /// `[batch, side, side]`.
    pub labels: Vec<u8>,
    /// Image weights, `[batch]`.
    pub weights: Vec<f32>,
}

impl HostBatch {
    /// The batch in at most `parts` parts, as even as can be.
    pub fn parts(&self, parts: usize) -> impl Iterator<Item = Self> + '_ {
        let mut start = 0;
        even(self.slices.len(), parts).into_iter().map(move |size| {
            let images = start..start + size;
            let area = self.side * self.side;
            let pixels = start * area..images.end * area;
            let planes = start * area * self.planes..images.end * area * self.planes;
            start += size;
            Self {
                slices: self.slices[images.clone()].to_vec(),
                side: self.side,
                planes: self.planes,
                images: self.images[planes].to_vec(),
                labels: self.labels[pixels].to_vec(),
                weights: self.weights[images].to_vec(),
            }
        })
    }
}

/// Starts a thread that makes the batches of `epoch` from batch `first` on; two wait, and the next one is made meanwhile.
pub fn batches<'scope>(
    scope: &'scope Scope<'scope, '_>,
    data: &'scope Prepared,
    config: &'scope TrainConfig,
    epoch: usize,
    first: usize,
) -> Receiver<HostBatch> {
    let (sender, receiver) = sync_channel(2);
    scope.spawn(move || {
        let order = order(data, config, epoch);
        let factor = weight_factor(data, config);
        let mut spare = Spare::default();
        for (number, slices) in order.chunks(config.batch).enumerate().skip(first) {
            let places = number * config.batch;
            if sender
                .send(make(
                    data, config, epoch, places, slices, factor, &mut spare,
                ))
                .is_err()
            {
                return; // the run stopped
            }
        }
    });
    receiver
}

/// Factor on patient weights; `None` where all images count alike.
fn weight_factor(data: &Prepared, config: &TrainConfig) -> Option<f64> {
    match config.image_weights {
        ImageWeights::Patient => Some(1.0),
        ImageWeights::Equal => None,
        ImageWeights::PatientMeanOne => {
            let slices = data.split(Split::Train);
            let sum: f64 = slices.iter().map(|&i| data.meta(i).weight).sum();
            Some(slices.len() as f64 / sum)
        }
    }
}

fn make(
    data: &Prepared,
    config: &TrainConfig,
    epoch: usize,
    place: usize,
    slices: &[u32],
    factor: Option<f64>,
    spare: &mut Spare,
) -> HostBatch {
    let mut batch = HostBatch {
        slices: slices.to_vec(),
        side: 0,
        planes: if config.neighbours { 3 } else { 1 },
        images: Vec::new(),
        labels: Vec::new(),
        weights: Vec::new(),
    };
    for (place, &index) in (place..).zip(slices) {
        // A slice that comes several times in an epoch changes differently each time.
        let draw = Stream::new(&format!("{}/{epoch}/{index}/{place}", config.seed));
        let images = if config.neighbours {
            data.with_neighbours(index).to_vec()
        } else {
            vec![data.image(index)]
        };
        // Each image of a slice sees the same draws, so that all change alike.
        let mut changed = Vec::new();
        for image in images {
            let mut draw = draw.clone();
            let labels = data.labels(index).to_vec();
            let mut sample = Sample::new(data.side(), data.side(), image.to_vec(), labels);
            config.augmentation.apply(&mut sample, spare, &mut draw);
            if let Some(side) = config.crop {
                sample = augment::crop(&sample, side, &mut draw);
            }
            batch.side = sample.rows;
            batch.images.extend(sample.image);
            changed = sample.labels;
        }
        batch.labels.extend(changed);
        batch
            .weights
            .push(factor.map_or(1.0, |f| f * data.meta(index).weight) as f32);
    }
    batch
}
