//! A network as data: a list of operations over numbered values, with its tensors beside it.
//!
//! The trainer *lowers* a trained network to a [`Program`]; every executor, on whatever device, runs
//! that and nothing else. No executor knows which architecture it runs.
//!
//! ```text
//! v0 = input            [input_channels, rows, cols]     rows and cols are multiples of `multiple`
//! v1 = op(v0)                                            each operation defines exactly one value
//! v2 = op(v1, v0) ...                                    and reads values defined before it
//! logits = vK           [classes, rows, cols]
//! ```
//!
//! A program decoded from bytes proves nothing until [`Program::check`] has passed: it finds every
//! reference to something undefined, every tensor that does not fit, every mismatch of channels or
//! extents, for **all** permitted input sizes at once, and returns the [`Plan`] which executors follow.
//! [`Plan::fits`] then says for one size whether it stays below the limits of memory and work. Executors call both before they
//! allocate, and compare the memory of their own plans with [`MAX_MEMORY_BYTES`].
//!
//! Limits: two-dimensional, square kernels, symmetric padding, one input and one output, straight-line code.
//! That is what segmentation networks of the residual and U-shaped kind need. The byte format is specified in
//! `docs/formats/program.md`.

mod builder;
mod check;
mod grids;
mod limits;
mod plan;
mod rewrite;
mod supply;
mod tensor;

use serde::{Deserialize, Serialize};

pub use builder::Builder;
pub use check::ProgramError;
pub use grids::{Site, quantised, rest, sites};
pub use limits::{
    FitError, MAX_ALL_CHANNELS, MAX_CHANNELS, MAX_CLASSES, MAX_KERNEL, MAX_MEMORY_BYTES,
    MAX_MULTIPLE, MAX_OPS, MAX_SIDE, MAX_STRIDE, MAX_TERMS, MAX_VALUE_BYTES, MAX_WEIGHTS, MAX_WORK,
};
pub(crate) use limits::{affordable, bearable};
pub use plan::{Extent, Plan, ValueShape};
pub use rewrite::{RewriteError, Rewrites, rewrite};
pub(crate) use supply::Supply;
pub use tensor::{Data, MAX_AXES, Storage, Tensor, TensorError, Tensors};

/// Names a value: an activation `[channels, rows, cols]` of each image of a batch.
///
/// Values are numbered densely: a program of `n` operations uses the numbers `0..=n`, and
/// [`ValueId::INPUT`] is the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueId(pub u32);

impl ValueId {
    /// The value every program starts with.
    pub const INPUT: Self = Self(0);

    /// The number as an index into tables of values.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for ValueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// Names a tensor by its position in [`Tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TensorId(pub u32);

impl TensorId {
    /// The number as an index into the tensor table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for TensorId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "t{}", self.0)
    }
}

/// One operation. It applies to every image of a batch alike.
///
/// The order of the variants is part of the byte format: append, never reorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Cross-correlation, as every deep-learning library calls convolution: zero padding of `padding` pixels on all
    /// four sides, `out = (in + 2 * padding - kernel) / stride + 1`, rounded down.
    Conv2d {
        /// Value read.
        input: ValueId,
        /// Value defined.
        output: ValueId,
        /// Tensor `[output channels, input channels, kernel, kernel]`.
        weight: TensorId,
        /// Tensor `[output channels]`, added to each output pixel.
        bias: Option<TensorId>,
        /// Stride in pixels, both axes.
        stride: u32,
        /// Zero padding in pixels, all sides.
        padding: u32,
    },
    /// `x * scale + shift` for each channel, and negative results become 0 if `relu`: a batch norm in inference, folded.
    Affine {
        /// Value read.
        input: ValueId,
        /// Value defined.
        output: ValueId,
        /// Tensor `[channels]`.
        scale: TensorId,
        /// Tensor `[channels]`.
        shift: TensorId,
        /// Whether negative results become 0.
        relu: bool,
    },
    /// `max(x, 0)`.
    Relu {
        /// Value read.
        input: ValueId,
        /// Value defined.
        output: ValueId,
    },
    /// `a + b`, element by element; both have the same shape.
    Add {
        /// First term.
        a: ValueId,
        /// Second term.
        b: ValueId,
        /// Value defined.
        output: ValueId,
    },
    /// Largest value under the kernel. Padding counts as minus infinity, so it never wins; every window
    /// holds at least one real pixel because `padding <= kernel / 2`.
    MaxPool2d {
        /// Value read.
        input: ValueId,
        /// Value defined.
        output: ValueId,
        /// Kernel in pixels, both axes.
        kernel: u32,
        /// Stride in pixels, both axes.
        stride: u32,
        /// Padding in pixels, all sides.
        padding: u32,
    },
    /// Doubles rows and columns by repeating each pixel (nearest neighbour).
    Upsample2x {
        /// Value read.
        input: ValueId,
        /// Value defined.
        output: ValueId,
    },
    /// The channels of `a`, then those of `b`; rows and columns agree.
    Concat {
        /// Supplies the first channels.
        a: ValueId,
        /// Supplies the channels after those of `a`.
        b: ValueId,
        /// Value defined.
        output: ValueId,
    },
    /// Class probabilities: softmax over the channels of the logits. Only as the last operation, on [`Program::output`].
    /// Labels do not need it, so executors skip it; converters for other runtimes carry it over.
    Softmax {
        /// Value read: the logits.
        input: ValueId,
        /// Value defined.
        output: ValueId,
    },
    /// [`Op::Upsample2x`] and then a 3 x 3 convolution of stride 1 and padding 1, without the large image between them.
    ///
    /// Each output pixel sees only 2 x 2 pixels of the small image, and which weights of the 3 x 3 kernel fall on the same pixel
    /// depends on whether its row and column are even or odd. So there are four kernels of 2 x 2, and
    /// `out[2 i + p, 2 j + q] = sum over a, b in 0 ..= 1 of weight[p, q][a, b] * in[i + p - 1 + a, j + q - 1 + b]`, zeros outside.
    UpConv2d {
        /// Value read.
        input: ValueId,
        /// Value defined, with twice the rows and columns.
        output: ValueId,
        /// Tensor `[4 * output channels, input channels, 2, 2]`; the kernel of output channel `o` for the phase `p, q` is
        /// number `(2 p + q) * output channels + o`.
        weight: TensorId,
        /// Tensor `[output channels]`, added to each output pixel.
        bias: Option<TensorId>,
    },
    /// Rounds to a grid: `clamp(round(x / scale), lowest, highest) * scale`, halves to even.
    ///
    /// It states where a program may be computed in integers. What executes in floating point rounds the same way, so that all
    /// executors agree up to the order of their sums.
    Quantise {
        /// Value read.
        input: ValueId,
        /// Value defined.
        output: ValueId,
        /// Tensor `[1]`, above 0: the distance of two neighbouring numbers of the grid.
        scale: TensorId,
        /// How many numbers the grid has.
        precision: Precision,
    },
}

/// The grid of [`Op::Quantise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Precision {
    /// 0 to 255: what convolutions read. Negative numbers become 0, as in a rectifier.
    U8,
    /// -32,768 to 32,767: what is carried along a residual stream.
    I16,
}

impl Precision {
    /// The lowest and the highest multiple of the scale.
    pub const fn range(self) -> [f32; 2] {
        match self {
            Self::U8 => [0.0, 255.0],
            Self::I16 => [-32_768.0, 32_767.0],
        }
    }
}

impl Op {
    /// The value this operation defines.
    pub const fn output(&self) -> ValueId {
        match self {
            Self::Conv2d { output, .. }
            | Self::Affine { output, .. }
            | Self::Relu { output, .. }
            | Self::Add { output, .. }
            | Self::MaxPool2d { output, .. }
            | Self::Upsample2x { output, .. }
            | Self::Concat { output, .. }
            | Self::Softmax { output, .. }
            | Self::UpConv2d { output, .. }
            | Self::Quantise { output, .. } => *output,
        }
    }

    /// The values this operation reads: one, or two.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> + use<> {
        let (first, second) = match self {
            Self::Conv2d { input, .. }
            | Self::Affine { input, .. }
            | Self::Relu { input, .. }
            | Self::MaxPool2d { input, .. }
            | Self::Upsample2x { input, .. }
            | Self::Softmax { input, .. }
            | Self::UpConv2d { input, .. }
            | Self::Quantise { input, .. } => (*input, None),
            Self::Add { a, b, .. } | Self::Concat { a, b, .. } => (*a, Some(*b)),
        };
        std::iter::once(first).chain(second)
    }

    /// The tensors this operation reads, in the order weight, bias or scale, shift.
    pub fn tensors(&self) -> impl Iterator<Item = TensorId> + use<> {
        let (first, second) = match self {
            Self::Conv2d { weight, bias, .. } | Self::UpConv2d { weight, bias, .. } => {
                (Some(*weight), *bias)
            }
            Self::Affine { scale, shift, .. } => (Some(*scale), Some(*shift)),
            Self::Quantise { scale, .. } => (Some(*scale), None),
            _ => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Gives the tensors it reads other numbers.
    pub fn rename_tensors(&mut self, new: impl Fn(TensorId) -> TensorId) {
        match self {
            Self::Conv2d { weight, bias, .. } | Self::UpConv2d { weight, bias, .. } => {
                *weight = new(*weight);
                *bias = bias.map(new);
            }
            Self::Affine { scale, shift, .. } => {
                (*scale, *shift) = (new(*scale), new(*shift));
            }
            Self::Quantise { scale, .. } => *scale = new(*scale),
            Self::Relu { .. }
            | Self::Add { .. }
            | Self::MaxPool2d { .. }
            | Self::Upsample2x { .. }
            | Self::Concat { .. }
            | Self::Softmax { .. } => {}
        }
    }

    /// The operation's name in error messages and listings.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Conv2d { .. } => "conv2d",
            Self::Affine { .. } => "affine",
            Self::Relu { .. } => "relu",
            Self::Add { .. } => "add",
            Self::MaxPool2d { .. } => "max_pool2d",
            Self::Upsample2x { .. } => "upsample2x",
            Self::Concat { .. } => "concat",
            Self::Softmax { .. } => "softmax",
            Self::UpConv2d { .. } => "up_conv2d",
            Self::Quantise { .. } => "quantise",
        }
    }
}

/// A network as data. Build it with [`Builder`], or decode it and [`check`](Program::check) it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Channels of the image value `v0`. A slice has one; it is repeated to fill this many.
    pub input_channels: u32,
    /// Channels of the logits.
    pub classes: u32,
    /// Rows and columns of the input must each be a positive multiple of this, in pixels (32 for a U-Net on a residual encoder).
    pub multiple: u32,
    /// The value that holds the logits, `[classes, rows, cols]` at the input's own resolution.
    pub output: ValueId,
    /// Operations in the order they run.
    pub ops: Vec<Op>,
}

impl Program {
    /// Decodes a program from its postcard bytes. All of them must be used.
    ///
    /// The result is well-formed, not yet sensible: [`check`](Self::check) it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProgramError> {
        match postcard::take_from_bytes(bytes) {
            Ok((program, [])) => Ok(program),
            Ok((_, rest)) => Err(ProgramError::TrailingBytes(rest.len())),
            Err(e) => Err(ProgramError::Decode(e)),
        }
    }

    /// Encodes the program as postcard bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ProgramError> {
        postcard::to_stdvec(self).map_err(ProgramError::Encode)
    }
}

/// The label of every pixel of one image: the class with the largest logit.
///
/// The rule for the whole house; where a pixel's logits lie side by side, executors use its twin `argmax_pixel` below. Ties go to the
/// **lowest** class.
///
/// `logits` is `[classes, pixels]`, channel by channel; `labels` has `pixels` places. The number of classes is the
/// quotient of the two lengths.
///
/// A logit that is not a number is refused: a broken network must not look like a healthy patient.
pub fn argmax(logits: &[f32], labels: &mut [u8]) -> Result<(), ArgmaxError> {
    let pixels = labels.len();
    if pixels == 0 || logits.is_empty() || !logits.len().is_multiple_of(pixels) {
        return Err(ArgmaxError::Lengths {
            logits: logits.len(),
            pixels,
        });
    }
    if logits.len() / pixels > MAX_CLASSES as usize {
        return Err(ArgmaxError::Lengths {
            logits: logits.len(),
            pixels,
        });
    }
    let (background, others) = logits.split_at(pixels);
    let mut best = background.to_vec();
    labels.fill(0);
    let mut nan = background.iter().any(|v| v.is_nan());
    for (class, plane) in others.chunks_exact(pixels).enumerate() {
        for ((&v, best), label) in plane.iter().zip(&mut best).zip(labels.iter_mut()) {
            nan |= v.is_nan();
            if v > *best {
                *best = v;
                *label = class as u8 + 1;
            }
        }
    }
    if nan {
        Err(ArgmaxError::NotANumber)
    } else {
        Ok(())
    }
}

/// The label of one pixel, as [`argmax`] gives it, from logits that are all numbers.
pub(crate) fn argmax_pixel(logits: &[f32]) -> u8 {
    let mut best = 0;
    for (class, &logit) in logits.iter().enumerate().skip(1) {
        if logit > logits[best] {
            best = class;
        }
    }
    best as u8
}

/// Why logits could not become labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgmaxError {
    /// The lengths do not go together.
    #[error(
        "{logits} logits do not give a whole number of classes, at most {MAX_CLASSES}, for {pixels} pixels"
    )]
    Lengths {
        /// Logits given.
        logits: usize,
        /// Labels asked for.
        pixels: usize,
    },
    /// The network computed something that is not a number.
    #[error(
        "the network computed logits that are not numbers; the image or the model's weights are damaged"
    )]
    NotANumber,
}
