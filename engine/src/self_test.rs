//! The slices that a package carries with the label maps that must come out of them.
//!
//! Integers give the same bytes on every processor, so a difference is a fault: of the machine, of a kernel, or of a file that was changed with
//! its hash. The slices are of an invented patient.

use nephrobox_shared::package::Manifest;
use nephrobox_shared::preprocess::PreprocessError;

use crate::executor::Arithmetic;
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
    /// The network labels far more pixels otherwise than another order of sums explains.
    #[error(
        "{pixels} pixels of the self-test slices have another label than where the package was made, beside {outlined} of kidney and tumour; do not use this machine with it"
    )]
    Far {
        /// How many pixels, over all slices.
        pixels: usize,
        /// Pixels that must show kidney or tumour, over all slices.
        outlined: usize,
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

/// What came out of one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Pixels with another label than where the package was made.
    pub differ: usize,
    /// Pixels that must show kidney or tumour.
    pub outlined: usize,
}

/// Labels that may differ in floating point, as a share of the pixels that show kidney or tumour. Other kernels sum in another
/// order, and a grid's rounding makes a step of a last bit; a wrong kernel is wrong everywhere.
const ALLOWED: f64 = 0.02;

/// Pixels that may always differ in floating point: the package's own slices may show little of either.
const ALWAYS_ALLOWED: f64 = 20.0;

/// What came out of all slices together.
pub fn total(found: &[Compared]) -> Compared {
    Compared {
        differ: found.iter().map(|slice| slice.differ).sum(),
        outlined: found.iter().map(|slice| slice.outlined).sum(),
    }
}

impl Compared {
    /// Whether the label maps are near enough for a network in floating point.
    pub fn is_close(self) -> bool {
        self.differ as f64 <= (ALLOWED * self.outlined as f64).max(ALWAYS_ALLOWED)
    }
}

/// Runs a package's self-test on what runs its network, to the bit in integers and nearly so in floating point, and returns how many
/// slices it has.
pub fn run_in(
    arithmetic: Arithmetic,
    manifest: &Manifest,
    model: &mut dyn SliceModel,
) -> Result<usize, SelfTestError> {
    if arithmetic == Arithmetic::Int8 {
        return run(manifest, model);
    }
    let found = compare(manifest, model)?;
    let all = total(&found);
    if all.is_close() {
        return Ok(found.len());
    }
    let Compared { differ, outlined } = all;
    Err(SelfTestError::Far {
        pixels: differ,
        outlined,
    })
}

/// Runs a package's self-test on its network and returns how many slices it has.
pub fn run(manifest: &Manifest, model: &mut dyn SliceModel) -> Result<usize, SelfTestError> {
    let found = compare(manifest, model)?;
    match (1..).zip(&found).find(|(_, found)| found.differ > 0) {
        Some((slice, found)) => Err(SelfTestError::Differs {
            slice,
            pixels: found.differ,
        }),
        None => Ok(found.len()),
    }
}

/// Runs every slice and counts what differs: for networks in floating point, which need not give the same bytes.
pub fn compare(
    manifest: &Manifest,
    model: &mut dyn SliceModel,
) -> Result<Vec<Compared>, SelfTestError> {
    let preprocess = &manifest.input.preprocess;
    let pixels = preprocess.rows * preprocess.cols;
    let (mut image, mut small) = (vec![0.0; pixels], vec![0; pixels]);
    let mut found = Vec::with_capacity(manifest.self_test.len());
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
        let pairs = labels.iter().zip(&test.labels);
        found.push(Compared {
            differ: pairs.filter(|(found, wanted)| found != wanted).count(),
            outlined: test.labels.iter().filter(|&&label| label != 0).count(),
        });
    }
    Ok(found)
}
