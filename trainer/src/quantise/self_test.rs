//! Slices that a package carries with the label maps that must come out of them, to the byte, wherever it runs.
//!
//! They are of an invented patient: a package must not carry pictures of a real one.

use nephrobox_engine::cpu::KernelSet;
use nephrobox_engine::cpu::int8::{Network, Options};
use nephrobox_engine::model::SliceModel as _;
use nephrobox_engine::package::Model;
use nephrobox_shared::package::SelfTest;

use super::network;
use crate::phantom::whole::Whole;
use crate::train::TrainError;

/// Slices of the invented patient, and their distance in millimetres.
const SLICES: usize = 40;
const SLICE_MM: f32 = 4.0;
/// Width of the field of view in millimetres.
const FIELD_MM: f32 = 400.0;
/// Which patient.
const SEED: u64 = 5;

/// Makes `count` self-test slices at the size that the network reads: those with the most tumour first.
pub(super) fn slices(model: &Model, count: usize) -> Result<Vec<SelfTest>, TrainError> {
    let input = model.manifest().input;
    let (rows, cols) = (input.preprocess.rows, input.preprocess.cols);
    let size = rows.max(cols).max(64);
    let whole = Whole::draw(SEED, SLICES, size, SLICE_MM, FIELD_MM / size as f32);
    let mut painted: Vec<_> = (0..SLICES).map(|index| whole.paint(index)).collect();
    let pixels = |labels: &[u8], class: u8| -> u32 {
        labels.iter().map(|&label| u32::from(label == class)).sum()
    };
    painted.sort_by_cached_key(|slice| {
        std::cmp::Reverse((pixels(&slice.labels, 2), pixels(&slice.labels, 1)))
    });
    let options = Options {
        size: [rows, cols],
        input_scale: f32::from(input.scale),
        threads: 1,
        // The reference; the others give the same bytes, which tests prove.
        kernels: KernelSet::Portable,
    };
    let mut integers =
        Network::new(model.program(), model.tensors().clone(), options).map_err(network)?;
    let mut image = vec![0.0; rows * cols];
    let mut small = vec![0; rows * cols];
    painted
        .into_iter()
        .take(count)
        .map(|slice| {
            input
                .preprocess
                .image(&slice.hu, size, size, &mut image)
                .map_err(network)?;
            integers.segment(&image, 1, &mut small).map_err(network)?;
            let mut labels = vec![0; size * size];
            input
                .preprocess
                .labels_back(&small, size, size, &mut labels)
                .map_err(network)?;
            Ok(SelfTest {
                rows: size as u32,
                cols: size as u32,
                hu: slice.hu,
                labels,
            })
        })
        .collect()
}
