//! Checking a program: the only gate between bytes and an executor.
//!
//! Sizes are tracked as `per_tile * n + offset` pixels for an input of `n` tiles, so one pass proves the program for
//! every input size. That needs each stride to divide the per-tile size, which is what `multiple` is for.

use super::plan::{self, Extent, Plan, ValueShape};
use super::{
    MAX_ALL_CHANNELS, MAX_CHANNELS, MAX_CLASSES, MAX_KERNEL, MAX_MULTIPLE, MAX_OPS, MAX_STRIDE,
    MAX_WEIGHTS, Op, Program, Tensor, TensorId, Tensors, ValueId,
};

/// Bound on `per_tile` and `offset`; keeps all size arithmetic far from overflow.
const MAX_EXTENT: i64 = 1 << 20;

/// What kernels fill channels up to a multiple of.
const FILLED: usize = 16;

/// Why a program is refused. `op` is the position of the operation, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// The bytes are not a program.
    #[error("the program cannot be decoded ({0})")]
    Decode(postcard::Error),
    /// The program does not fit the encoder.
    #[error("the program cannot be encoded ({0})")]
    Encode(postcard::Error),
    /// Bytes are left over after the program.
    #[error("{0} bytes follow the end of the program")]
    TrailingBytes(usize),
    /// A number in the program's head is out of range.
    #[error("the program's {what} is {found}; it must be in 1 to {limit}")]
    Head {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: u32,
        /// The largest permitted.
        limit: u32,
    },
    /// Too many operations, or none.
    #[error("the program has {0} operations; 1 to {MAX_OPS} are possible")]
    Length(usize),
    /// A value is read that no earlier operation defines.
    #[error("operation {op} ({name}) reads {value}, which nothing before it defines")]
    Undefined {
        /// Position.
        op: usize,
        /// Kind of operation.
        name: &'static str,
        /// The value.
        value: ValueId,
    },
    /// A value is defined twice, or its number is beyond the number of operations.
    #[error(
        "operation {op} ({name}) defines {value}, which is defined already or numbered too high"
    )]
    Redefined {
        /// Position.
        op: usize,
        /// Kind of operation.
        name: &'static str,
        /// The value.
        value: ValueId,
    },
    /// A tensor that is not there.
    #[error("operation {op} ({name}) reads tensor {tensor}, which does not exist")]
    NoTensor {
        /// Position.
        op: usize,
        /// Kind of operation.
        name: &'static str,
        /// The tensor.
        tensor: TensorId,
    },
    /// A tensor no operation reads.
    #[error("tensor {0} is read by no operation")]
    UnusedTensor(TensorId),
    /// A tensor whose shape the operation cannot use.
    #[error("operation {op} ({name}) cannot use tensor {tensor} of shape {found:?}; {expected}")]
    TensorShape {
        /// Position.
        op: usize,
        /// Kind of operation.
        name: &'static str,
        /// The tensor.
        tensor: TensorId,
        /// Its shape.
        found: Vec<usize>,
        /// What would fit.
        expected: String,
    },
    /// Kernel, stride or padding out of range.
    #[error(
        "operation {op} ({name}) has kernel {kernel}, stride {stride}, padding {padding}; a kernel up to {MAX_KERNEL}, a stride of 1 to {MAX_STRIDE} and a padding of at most half the kernel are possible"
    )]
    Window {
        /// Position.
        op: usize,
        /// Kind of operation.
        name: &'static str,
        /// Kernel in pixels.
        kernel: usize,
        /// Stride in pixels.
        stride: u32,
        /// Padding in pixels.
        padding: u32,
    },
    /// The result would not have a whole and positive number of pixels for every permitted input.
    #[error(
        "operation {op} ({name}) on {extent} pixels has no result for every input size that is a multiple of {multiple}"
    )]
    Extent {
        /// Position.
        op: usize,
        /// Kind of operation.
        name: &'static str,
        /// Pixels it reads.
        extent: String,
        /// The program's multiple.
        multiple: u32,
    },
    /// Two values that must agree do not.
    #[error("operation {op} ({name}) joins values of {a} and {b}")]
    Mismatch {
        /// Position.
        op: usize,
        /// Kind of operation.
        name: &'static str,
        /// First value.
        a: String,
        /// Second value.
        b: String,
    },
    /// A value with too many channels.
    #[error(
        "operation {op} ({name}) makes {channels} channels; at most {MAX_CHANNELS} are possible"
    )]
    Channels {
        /// Position.
        op: usize,
        /// Kind of operation.
        name: &'static str,
        /// Channels of the result.
        channels: usize,
    },
    /// Too many channels of all values together.
    #[error(
        "the program's values have {0} channels together; at most {MAX_ALL_CHANNELS} are possible"
    )]
    AllChannels(usize),
    /// Too many numbers of tensors, counted as often as they are read.
    #[error(
        "the program's operations read {0} numbers of tensors; at most {MAX_WEIGHTS} are possible"
    )]
    Weights(u64),
    /// A grid whose numbers are not all finite, or none.
    #[error(
        "operation {op} ({name}) rounds to a grid of steps of {scale}; a normal number above 0 is needed whose grid is finite"
    )]
    Grid {
        /// Position.
        op: usize,
        /// Kind of operation.
        name: &'static str,
        /// The distance of two numbers of the grid, as it is written.
        scale: String,
    },
    /// Softmax anywhere but at the end.
    #[error("operation {op} is a softmax, which may only come last and on the logits")]
    Softmax {
        /// Position.
        op: usize,
    },
    /// The logits are not what they must be.
    #[error("the logits {value} are {found} where {expected} belong")]
    Logits {
        /// The value named as logits.
        value: ValueId,
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
    },
}

impl std::fmt::Display for ValueShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {}, {}]", self.channels, self.extent, self.extent)
    }
}

impl Program {
    /// Checks everything an executor relies on and plans the lifetimes of values.
    ///
    /// After `Ok`, for **any** input whose rows and columns are positive multiples of [`Program::multiple`]: every value is defined once
    /// and before it is read, every tensor exists and fits, every size is positive and agrees where it must, and the
    /// logits are `[classes, rows, cols]`. Never panics, whatever the program.
    pub fn check(&self, tensors: &Tensors) -> Result<Plan, ProgramError> {
        head(
            "number of input channels",
            self.input_channels,
            MAX_CHANNELS as u32,
        )?;
        head("number of classes", self.classes, MAX_CLASSES)?;
        head("input multiple", self.multiple, MAX_MULTIPLE)?;
        if self.ops.is_empty() || self.ops.len() > MAX_OPS {
            return Err(ProgramError::Length(self.ops.len()));
        }
        let mut shapes: Vec<Option<ValueShape>> = vec![None; self.ops.len() + 1];
        let image = Extent {
            per_tile: i64::from(self.multiple),
            offset: 0,
        };
        shapes[0] = Some(ValueShape {
            channels: self.input_channels as usize,
            extent: image,
        });

        let mut used = vec![false; tensors.len()];
        let mut work = Vec::with_capacity(self.ops.len());
        let (mut weights, mut channels) = (0_u64, self.input_channels as usize);
        for (index, op) in self.ops.iter().enumerate() {
            let at = At {
                program: self,
                tensors,
                index,
                op,
            };
            let shape = at.result(&shapes)?;
            for id in op.tensors() {
                used[id.index()] = true;
                let numbers = tensors.get(id).map_or(0, Tensor::elements);
                weights = weights.saturating_add(numbers as u64);
            }
            // At most as many summands of at most `MAX_CHANNELS` as there may be operations: no overflow.
            channels += shape.channels;
            work.push(at.work(&shapes, shape));
            match shapes.get_mut(op.output().index()) {
                Some(slot @ None) => *slot = Some(shape),
                _ => {
                    return Err(ProgramError::Redefined {
                        op: index,
                        name: op.name(),
                        value: op.output(),
                    });
                }
            }
        }
        if let Some(unused) = used.iter().position(|used| !used) {
            return Err(ProgramError::UnusedTensor(TensorId(unused as u32)));
        }
        if channels > MAX_ALL_CHANNELS {
            return Err(ProgramError::AllChannels(channels));
        }
        if weights > MAX_WEIGHTS {
            return Err(ProgramError::Weights(weights));
        }
        let expected = ValueShape {
            channels: self.classes as usize,
            extent: image,
        };
        let found = shapes.get(self.output.index()).copied().flatten();
        let softmaxed = self
            .ops
            .iter()
            .any(|op| matches!(op, Op::Softmax { output, .. } if *output == self.output));
        if found != Some(expected) || self.output == ValueId::INPUT || softmaxed {
            return Err(ProgramError::Logits {
                value: self.output,
                found: match found {
                    _ if softmaxed => "probabilities".to_owned(),
                    _ if self.output == ValueId::INPUT => "the image itself".to_owned(),
                    Some(shape) => shape.to_string(),
                    None => "not defined".to_owned(),
                },
                expected: expected.to_string(),
            });
        }
        Ok(Plan {
            multiple: self.multiple as usize,
            // As many definitions as operations, each of another value in range: none is missing.
            shapes: shapes.into_iter().flatten().collect(),
            frees: plan::frees(self),
            outputs: self.ops.iter().map(Op::output).collect(),
            work,
            weight_bytes: tensors
                .iter()
                .fold(0, |sum, t| sum.saturating_add(t.elements() as u64 * 4)),
        })
    }
}

fn head(what: &'static str, found: u32, limit: u32) -> Result<(), ProgramError> {
    if (1..=limit).contains(&found) {
        Ok(())
    } else {
        Err(ProgramError::Head { what, found, limit })
    }
}

/// One operation in its place.
struct At<'a> {
    program: &'a Program,
    tensors: &'a Tensors,
    index: usize,
    op: &'a Op,
}

impl At<'_> {
    fn value(
        &self,
        shapes: &[Option<ValueShape>],
        value: ValueId,
    ) -> Result<ValueShape, ProgramError> {
        shapes
            .get(value.index())
            .copied()
            .flatten()
            .ok_or(ProgramError::Undefined {
                op: self.index,
                name: self.op.name(),
                value,
            })
    }

    fn tensor(&self, tensor: TensorId) -> Result<&[usize], ProgramError> {
        match self.tensors.get(tensor) {
            Some(t) => Ok(t.shape()),
            None => Err(ProgramError::NoTensor {
                op: self.index,
                name: self.op.name(),
                tensor,
            }),
        }
    }

    fn misfit(&self, tensor: TensorId, expected: String) -> ProgramError {
        let found = self.tensor(tensor).map(<[_]>::to_vec).unwrap_or_default();
        ProgramError::TensorShape {
            op: self.index,
            name: self.op.name(),
            tensor,
            found,
            expected,
        }
    }

    /// Checks that a tensor is one number for each of `channels`.
    fn vector(&self, tensor: TensorId, channels: usize) -> Result<(), ProgramError> {
        if *self.tensor(tensor)? == [channels] {
            Ok(())
        } else {
            Err(self.misfit(tensor, format!("[{channels}] would fit")))
        }
    }

    fn channels(&self, channels: usize) -> Result<usize, ProgramError> {
        if channels <= MAX_CHANNELS {
            Ok(channels)
        } else {
            Err(ProgramError::Channels {
                op: self.index,
                name: self.op.name(),
                channels,
            })
        }
    }

    fn mismatch(&self, a: ValueShape, b: ValueShape) -> ProgramError {
        ProgramError::Mismatch {
            op: self.index,
            name: self.op.name(),
            a: a.to_string(),
            b: b.to_string(),
        }
    }

    fn no_extent(&self, extent: Extent) -> ProgramError {
        ProgramError::Extent {
            op: self.index,
            name: self.op.name(),
            extent: extent.to_string(),
            multiple: self.program.multiple,
        }
    }

    /// Accepts an extent that stays in bounds and has a pixel even for an input of one tile.
    fn positive(&self, from: Extent, to: Extent) -> Result<Extent, ProgramError> {
        let fine = (1..=MAX_EXTENT).contains(&to.per_tile)
            && (-MAX_EXTENT..=MAX_EXTENT).contains(&to.offset)
            && to.per_tile + to.offset >= 1;
        if fine {
            Ok(to)
        } else {
            Err(self.no_extent(from))
        }
    }

    /// Twice the extent.
    fn doubled(&self, from: Extent) -> Result<Extent, ProgramError> {
        let twice = Extent {
            per_tile: from.per_tile * 2,
            offset: from.offset * 2,
        };
        self.positive(from, twice)
    }

    /// The extent after a sliding window.
    fn window(
        &self,
        from: Extent,
        kernel: usize,
        stride: u32,
        padding: u32,
    ) -> Result<Extent, ProgramError> {
        let bad = ProgramError::Window {
            op: self.index,
            name: self.op.name(),
            kernel,
            stride,
            padding,
        };
        let Some(kernel) = u32::try_from(kernel)
            .ok()
            .filter(|k| (1..=MAX_KERNEL).contains(k))
        else {
            return Err(bad);
        };
        if !(1..=MAX_STRIDE).contains(&stride) || padding > kernel / 2 {
            return Err(bad);
        }
        let (kernel, stride, padding) = (i64::from(kernel), i64::from(stride), i64::from(padding));
        let reach = from.offset + 2 * padding - kernel;
        // The window fits into the smallest input, and no remainder of the division depends on the input's size.
        if from.per_tile + reach < 0 || from.per_tile % stride != 0 {
            return Err(self.no_extent(from));
        }
        self.positive(
            from,
            Extent {
                per_tile: from.per_tile / stride,
                offset: reach.div_euclid(stride) + 1,
            },
        )
    }

    /// Multiplications for each pixel of its result, see [`Plan::work`].
    fn work(&self, shapes: &[Option<ValueShape>], result: ValueShape) -> u64 {
        let filled = |channels: usize| channels.next_multiple_of(FILLED) as u64;
        let passed_on = (result.channels * FILLED) as u64;
        match *self.op {
            Op::Conv2d { input, weight, .. } | Op::UpConv2d { input, weight, .. } => {
                let from = self.value(shapes, input).map_or(0, |from| from.channels);
                let kernel = self.tensor(weight).ok().and_then(<[usize]>::last).copied();
                let taps = kernel.unwrap_or(0).pow(2) as u64;
                filled(from) * filled(result.channels) * taps
            }
            Op::MaxPool2d { kernel, .. } => {
                passed_on.max(filled(result.channels) * u64::from(kernel).pow(2))
            }
            _ => passed_on,
        }
    }

    /// The shape of the value this operation defines.
    fn result(&self, shapes: &[Option<ValueShape>]) -> Result<ValueShape, ProgramError> {
        match *self.op {
            Op::Conv2d {
                input,
                weight,
                bias,
                stride,
                padding,
                ..
            } => {
                let from = self.value(shapes, input)?;
                let &[out, channels, kernel, width] = self.tensor(weight)? else {
                    return Err(self.misfit(weight, "it needs four axes".to_owned()));
                };
                if channels != from.channels || kernel != width {
                    let expected = format!("[any, {}, kernel, kernel] would fit", from.channels);
                    return Err(self.misfit(weight, expected));
                }
                if let Some(bias) = bias {
                    self.vector(bias, out)?;
                }
                Ok(ValueShape {
                    channels: self.channels(out)?,
                    extent: self.window(from.extent, kernel, stride, padding)?,
                })
            }
            Op::Affine {
                input,
                scale,
                shift,
                ..
            } => {
                let from = self.value(shapes, input)?;
                self.vector(scale, from.channels)?;
                self.vector(shift, from.channels)?;
                Ok(from)
            }
            Op::Relu { input, .. } => self.value(shapes, input),
            Op::Add { a, b, .. } => {
                let (a, b) = (self.value(shapes, a)?, self.value(shapes, b)?);
                if a == b {
                    Ok(a)
                } else {
                    Err(self.mismatch(a, b))
                }
            }
            Op::MaxPool2d {
                input,
                kernel,
                stride,
                padding,
                ..
            } => {
                let from = self.value(shapes, input)?;
                Ok(ValueShape {
                    extent: self.window(from.extent, kernel as usize, stride, padding)?,
                    ..from
                })
            }
            Op::Upsample2x { input, .. } => {
                let from = self.value(shapes, input)?;
                Ok(ValueShape {
                    extent: self.doubled(from.extent)?,
                    ..from
                })
            }
            Op::Concat { a, b, .. } => {
                let (a, b) = (self.value(shapes, a)?, self.value(shapes, b)?);
                if a.extent != b.extent {
                    return Err(self.mismatch(a, b));
                }
                Ok(ValueShape {
                    channels: self.channels(a.channels + b.channels)?,
                    ..a
                })
            }
            Op::UpConv2d {
                input,
                weight,
                bias,
                ..
            } => {
                let from = self.value(shapes, input)?;
                let &[kernels, channels, 2, 2] = self.tensor(weight)? else {
                    return Err(self.misfit(weight, "it needs kernels of 2 x 2".to_owned()));
                };
                if channels != from.channels || !kernels.is_multiple_of(4) {
                    let expected = format!("[4 * any, {}, 2, 2] would fit", from.channels);
                    return Err(self.misfit(weight, expected));
                }
                if let Some(bias) = bias {
                    self.vector(bias, kernels / 4)?;
                }
                Ok(ValueShape {
                    channels: self.channels(kernels / 4)?,
                    extent: self.doubled(from.extent)?,
                })
            }
            Op::Quantise {
                input,
                scale,
                precision,
                ..
            } => {
                self.vector(scale, 1)?;
                let scale = self.tensors.get(scale).map(Tensor::to_f32);
                let scale = scale.and_then(|scale| scale.first().copied());
                let scale = scale.unwrap_or(f32::NAN);
                let largest = precision.range().map(|n| (n * scale).is_finite());
                if !scale.is_normal() || scale < 0.0 || largest != [true; 2] {
                    return Err(ProgramError::Grid {
                        op: self.index,
                        name: self.op.name(),
                        scale: format!("{scale:e}"),
                    });
                }
                self.value(shapes, input)
            }
            Op::Softmax { input, .. } => {
                if self.index + 1 != self.program.ops.len() || input != self.program.output {
                    return Err(ProgramError::Softmax { op: self.index });
                }
                self.value(shapes, input)
            }
        }
    }
}
