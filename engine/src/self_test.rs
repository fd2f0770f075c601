//! The slices that a package carries with the label maps that must come out of them.
//!
//! Integers give the same bytes on every processor, so a difference is a fault: of the machine, of a kernel, or of a file that was changed with
//! its hash. The slices are of an invented patient.

use nephrobox_shared::package::Manifest;
use nephrobox_shared::preprocess::PreprocessError;

use crate::model::{EngineError, SliceModel};

/// Why a self-test failed. Slices are counted from 1.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SelfTestError {
    /// The network labels pixels otherwise than where the package was made.
    #[error(
        "{pixels} pixels of self-test slice {slice} have another label than where the package was made; do not use this machine with it"
    )]
    Differs {
        /// Which slice.
        slice: usize,
        /// How many pixels.
        pixels: usize,
    },
    /// The slice could not become network input.
    #[error("self-test slice {slice} cannot be preprocessed: {source}")]
    Preprocess {
        /// Which slice.
        slice: usize,
        /// What is wrong.
        source: PreprocessError,
    },
    /// The network failed.
    #[error("self-test slice {slice} cannot be labelled: {source}")]
    Engine {
        /// Which slice.
        slice: usize,
        /// What is wrong.
        source: EngineError,
    },
}

/// Runs a package's self-test on its network and returns how many slices it has.
pub fn run(manifest: &Manifest, model: &mut dyn SliceModel) -> Result<usize, SelfTestError> {
    let preprocess = &manifest.input.preprocess;
    let pixels = preprocess.rows * preprocess.cols;
    let (mut image, mut small) = (vec![0.0; pixels], vec![0; pixels]);
    for (slice, test) in (1..).zip(&manifest.self_test) {
        let refused = |source| SelfTestError::Preprocess { slice, source };
        let (rows, cols) = (test.rows as usize, test.cols as usize);
        preprocess
            .image(&test.hu, rows, cols, &mut image)
            .map_err(refused)?;
        model
            .segment(&image, 1, &mut small)
            .map_err(|source| SelfTestError::Engine { slice, source })?;
        let mut labels = vec![0; rows * cols];
        preprocess
            .labels_back(&small, rows, cols, &mut labels)
            .map_err(refused)?;
        let pixels = labels
            .iter()
            .zip(&test.labels)
            .filter(|(found, wanted)| found != wanted)
            .count();
        if pixels > 0 {
            return Err(SelfTestError::Differs { slice, pixels });
        }
    }
    Ok(manifest.self_test.len())
}
