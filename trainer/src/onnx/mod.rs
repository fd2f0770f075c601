//! A model package as an ONNX file, for other runtimes.
//!
//! ```no_run
//! use nephrobox_engine::package::Model;
//! use nephrotrain::onnx::{self, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Model::load("models/demo-resnet18.nbx")?.model;
//! std::fs::write("demo.onnx", onnx::encode(&model, &Options::default())?)?;
//! # Ok(())
//! # }
//! ```
//!
//! The file holds the package's own program, operation by operation, in operators of the standard set: [`graph()`]
//! knows how, [`metadata`] what the file says about itself, [`proto`] the bytes, [`Reference`] an example to check a runtime
//! against. What a user needs to know is in `docs/onnx.md`.
//!
//! Limits: numbers are `f32` inside the file, whatever the package stores, and a file has at most 2 GB.

mod graph;
pub mod metadata;
mod parts;
pub mod proto;
mod reference;

use nephrobox_engine::burn::ExecutorError;
use nephrobox_engine::model::EngineError;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::ProgramError;
use nephrobox_shared::preprocess::PreprocessError;
use nephrobox_shared::report::RESEARCH_USE_NOTICE;
use prost::Message as _;

pub use graph::graph;
pub use reference::Reference;

/// Version of the ONNX file format, the one that came with the operator set.
pub const IR_VERSION: i64 = 8;
/// Version of the standard operator set. All operators in use are the same since version 15.
pub const OPSET: i64 = 17;

/// Name of the image in the file: `[batch, channels, rows, cols]`, in 0 to 1.
pub const IMAGE: &str = "image";
/// Name of the logits in the file: `[batch, classes, rows, cols]`.
pub const LOGITS: &str = "logits";
/// Name of the softmax of the logits over the classes.
pub const PROBABILITIES: &str = "probabilities";

/// What the network returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outputs {
    /// Logits and probabilities.
    #[default]
    Both,
    /// Logits alone.
    Logits,
    /// Probabilities alone.
    Probabilities,
}

impl Outputs {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Both, Self::Logits, Self::Probabilities];

    /// Name as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
        }
    }

    /// The names of the outputs, in the file's order.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Both => &[LOGITS, PROBABILITIES],
            Self::Logits => &[LOGITS],
            Self::Probabilities => &[PROBABILITIES],
        }
    }
}

/// Which sizes of input the file declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputShape {
    /// Images in a batch; any number if `None`.
    pub batch: Option<usize>,
    /// Rows and columns; any multiple of the program's own if `None`.
    pub size: Option<[usize; 2]>,
}

/// How a model is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What the network returns.
    pub outputs: Outputs,
    /// Images in a batch; any number if `None`.
    pub batch: Option<usize>,
    /// Whether rows and columns are those of the model's preprocessing and no others.
    pub fixed_size: bool,
}

impl Options {
    /// The sizes of input that a model's file declares.
    pub fn shape(&self, model: &Model) -> InputShape {
        let preprocess = model.manifest().input.preprocess;
        InputShape {
            batch: self.batch,
            size: self
                .fixed_size
                .then_some([preprocess.rows, preprocess.cols]),
        }
    }
}

/// Why a model could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The program is not sound.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A batch without images.
    #[error("a batch of 0 images cannot be computed; choose 1 or more")]
    EmptyBatch,
    /// Rows and columns that the program does not take.
    #[error(
        "the network takes images whose sides are multiples of {multiple}, not {rows} x {cols}"
    )]
    Size {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// What both must be a positive multiple of.
        multiple: u32,
    },
    /// More than protobuf can hold.
    #[error(
        "the model takes {0} bytes as f32; an ONNX file holds at most 2 GB, and weights in files of their own are not written"
    )]
    TooLarge(usize),
    /// The example could not be computed.
    #[error("the example could not be computed: {0}")]
    Executor(#[from] ExecutorError),
    /// The example could not be computed.
    #[error("the example could not be computed: {0}")]
    Engine(#[from] EngineError),
    /// A slice of the self-test could not be preprocessed.
    #[error("the package's self-test could not be read: {0}")]
    SelfTest(#[from] PreprocessError),
    /// The example could not be written down.
    #[error("the example could not be written as safetensors: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
}

/// The model as an ONNX message.
pub fn model(model: &Model, options: &Options) -> Result<proto::Model, OnnxError> {
    let manifest = model.manifest();
    let mut graph = graph(
        model.program(),
        model.tensors(),
        f32::from(manifest.input.scale),
        options.shape(model),
        options.outputs,
    )?;
    graph.name.clone_from(&manifest.name);
    Ok(proto::Model {
        ir_version: IR_VERSION,
        producer_name: "nephrotrain".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        // A version beyond i64 exists nowhere but could; the metadata have it in full.
        model_version: i64::try_from(manifest.version).unwrap_or(i64::MAX),
        doc_string: format!(
            "{}: outlines kidneys and kidney tumours on CT slices. {RESEARCH_USE_NOTICE} {}",
            manifest.name, manifest.training.licence_notice
        ),
        graph: Some(graph),
        opset_import: vec![proto::OperatorSet {
            domain: String::new(),
            version: OPSET,
        }],
        metadata_props: metadata::entries(model),
    })
}

/// The model as the bytes of an ONNX file. The same model and options always give the same bytes.
pub fn encode(model: &Model, options: &Options) -> Result<Vec<u8>, OnnxError> {
    let message = self::model(model, options)?;
    let bytes = message.encoded_len();
    if i32::try_from(bytes).is_err() {
        return Err(OnnxError::TooLarge(bytes));
    }
    Ok(message.encode_to_vec())
}
