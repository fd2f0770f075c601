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

mod keras;
mod matching;
mod published;
mod source;
mod tensors;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use burn::tensor::Device;

pub use matching::{Matched, Plan};
pub use published::Published;
pub use source::{Expects, Format, Source, SourceLayer, SourceValue};
pub use tensors::AVERAGE;

use super::architecture::Family;
use super::{Graph, Parameters};

/// Why a file's weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("the weights file {path} cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is none of the formats.
    #[error(
        "{path} is no weights file that is known here ({found}); give a Keras .h5, a .safetensors or a PyTorch .pth file"
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        found: String,
    },
    /// The file breaks its format.
    #[error("the weights file {path} is damaged: {reason}; fetch it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A whole file, but with nothing for these networks in it.
    #[error("{path} {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is the matter, and what to do.
        reason: String,
    },
    /// Weights of the other kind of encoder.
    #[error("{path} holds weights of {}, which cannot be turned into those of {}: {advice}", .holds.described(), .network.described())]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// What the file holds.
        holds: Family,
        /// What the network is.
        network: Family,
        /// Which flag to use.
        advice: String,
    },
    /// Weights of another network of the same kind.
    #[error("{path} does not fit this network: {problem}; {advice}")]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// The first thing that differs.
        problem: String,
        /// What to do.
        advice: String,
    },
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
