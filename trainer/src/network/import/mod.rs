//! Weights of others: Keras `.h5`, safetensors and PyTorch `.pth` files into the variables of a network.
//!
//! A file is read into a [`Source`] (what it holds, in this program's layout), matched with a network's layers into
//! a [`Plan`] (which refuses another kind, another encoder and other shapes with a sentence), and then applied. The
//! kind of a file is found by its content, never by its name.
//!
//! ```no_run
//! # use nephrotrain::network::{Encoder, Parameters, UnetSpec, import::{Plan, Source}};
//! # fn f() -> Result<(), nephrotrain::network::import::ImportError> {
//! let graph = UnetSpec::paper(Encoder::ResNet34, 3).graph();
//! let source = Source::read("resnet34_imagenet_1000_no_top.h5".as_ref())?;
//! let plan = Plan::new(&source, &graph)?;
//! let mut parameters = Parameters::initialise(&graph, 1, &burn::tensor::Device::flex());
//! plan.apply(&source, &mut parameters);
//! # Ok(()) }
//! ```

mod error;
mod keras;
mod matching;
mod published;
mod source;
mod tensors;
#[cfg(test)]
mod tests;

use burn::tensor::Device;

pub use error::{ImportError, ImportFault};
pub use matching::{Matched, Plan};
pub use published::Published;
pub use source::{Expects, Format, Source, SourceLayer, SourceValue};
pub use tensors::AVERAGE;

use super::{Graph, Parameters};

/// Longest file that is read: the checkpoint of the largest network here, with its optimiser's moments, has a fifth of it.
const MOST_BYTES: u64 = 4 << 30;

/// Values that a file of so many bytes can hold: deflate makes at most 1,032 bytes of one, and a value has at least two.
///
/// A few bytes can claim any shape; memory is taken only after a look at this.
fn most_values(bytes: u64) -> usize {
    usize::try_from(bytes.min(MOST_BYTES) * 516).unwrap_or(usize::MAX)
}

/// Takes an array of this shape off what a file may still hold.
fn afford(left: &mut usize, shape: &[usize]) -> Result<(), String> {
    let values = shape
        .iter()
        .try_fold(1_usize, |n, &side| n.checked_mul(side));
    match values.and_then(|values| left.checked_sub(values)) {
        Some(rest) => {
            *left = rest;
            Ok(())
        }
        None => Err(format!(
            "the shape {shape:?} is more than a file of this size can hold"
        )),
    }
}

/// Reads `file` and puts its weights into a network initialised from `seed`; layers that the file does not hold
/// (the decoder, for an encoder's file) stay as initialised.
pub fn load(
    file: &std::path::Path,
    graph: &Graph,
    seed: u64,
    device: &Device,
) -> Result<Parameters, ImportError> {
    let source = Source::read(file)?;
    let plan = Plan::new(&source, graph)?;
    let mut parameters = Parameters::initialise(graph, seed, device);
    plan.apply(&source, &mut parameters);
    Ok(parameters)
}
