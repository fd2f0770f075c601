//! Rewriting a program into an equal one that is cheaper to run.
//!
//! All rewrites are exact in real arithmetic; in floating point sums are added in another order.
//!
//! * A per-channel scale and shift that alone reads a convolution moves into its weights and bias.
//! * A convolution of a concatenation becomes the sum of one convolution for each part, so nothing is concatenated.
//! * Doubling and then a 3 x 3 convolution becomes [`Op::UpConv2d`], with 4 weights where there were 9.
//! * All channels of the image are the same slice, so the first convolution needs the sum of its weights over them. A shift
//!   before it reaches all pixels but not the zeros around the image: it becomes the weights of a second channel that
//!   is 1 inside the image.
//!
//! What remains is the form that the CPU executors fuse: sums of convolutions, rectifiers, and scales and shifts on residual sums.

mod kernel;

use kernel::Kernel;

use super::{
    Builder, Op, Plan, Program, ProgramError, Supply, Tensor, TensorError, TensorId, Tensors,
    ValueId,
};

/// Which rewrites are wanted beside those that always help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrites {
    /// Whether doubling and convolution become [`Op::UpConv2d`].
    pub phases: bool,
    /// Whether all channels of the image are the same slice.
    pub repeated: bool,
}

/// Why a program could not be rewritten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// The program is not sound.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Weights that become infinite when a scale moves into them.
    #[error("a scale cannot move into the weights before it: {0}")]
    Tensor(#[from] TensorError),
}

/// Rewrites a program. The result passes [`Program::check`] and reads `input_channels` copies of a slice, as before, but maybe fewer.
///
/// Tensors are consumed: each is dropped as soon as what becomes of it is written.
pub fn rewrite(
    program: &Program,
    tensors: Tensors,
    rewrites: Rewrites,
) -> Result<(Program, Tensors), RewriteError> {
    let plan = program.check(&tensors)?;
    let graph = Graph::new(program, &tensors, rewrites);
    let entry = graph.entry();
    let mut writer = Writer {
        graph: &graph,
        plan: &plan,
        builder: Builder::new(entry.channels(program.input_channels), program.multiple),
        copies: vec![None; tensors.len()],
        values: vec![None; program.ops.len() + 1],
        // Every operation that has tensors is written once, at its own place or at that of the scale and shift which moves into it.
        supply: Supply::new(tensors, program.ops.iter().flat_map(Op::tensors)),
    };
    writer.enter(&entry)?;
    for index in 0..program.ops.len() {
        writer.op(index, &entry)?;
    }
    let logits = writer.value(program.output);
    Ok(writer.builder.finish(logits, program.classes)?)
}

/// Who makes and who reads each value.
struct Graph<'a> {
    program: &'a Program,
    /// Rows of the kernel, for each tensor that is one.
    kernels: Vec<Option<usize>>,
    rewrites: Rewrites,
    maker: Vec<Option<usize>>,
    readers: Vec<Vec<usize>>,
}

/// What becomes of the image.
enum Entry {
    /// It stays, with all its channels.
    Whole,
    /// Only convolutions read it: one channel is enough.
    Slice,
    /// Convolutions read a scale and shift of it: one channel, and one that is 1 inside the image.
    SliceAndOnes {
        /// Position of the scale and shift.
        affine: usize,
    },
}

impl Entry {
    const fn channels(&self, before: u32) -> u32 {
        match self {
            Self::Whole => before,
            Self::Slice => 1,
            Self::SliceAndOnes { .. } => 2,
        }
    }
}

/// A part of what a convolution reads.
struct Part {
    /// Value of the old program.
    value: ValueId,
    /// Whether the convolution sees it doubled.
    doubled: bool,
    /// Its first channel among those that the convolution reads.
    first: usize,
    /// Its channels.
    channels: usize,
}

impl<'a> Graph<'a> {
    fn new(program: &'a Program, tensors: &Tensors, rewrites: Rewrites) -> Self {
        let kernels = tensors.iter().map(|tensor| match tensor.shape() {
            &[_, _, rows, _] => Some(rows),
            _ => None,
        });
        let mut maker = vec![None; program.ops.len() + 1];
        let mut readers = vec![Vec::new(); program.ops.len() + 1];
        for (index, op) in program.ops.iter().enumerate() {
            maker[op.output().index()] = Some(index);
            for input in op.inputs() {
                readers[input.index()].push(index);
            }
        }
        Self {
            program,
            kernels: kernels.collect(),
            rewrites,
            maker,
            readers,
        }
    }

    fn made_by(&self, value: ValueId) -> Option<&'a Op> {
        self.maker[value.index()].map(|index| &self.program.ops[index])
    }

    fn readers(&self, value: ValueId) -> impl Iterator<Item = &'a Op> {
        self.readers[value.index()]
            .iter()
            .map(|&index| &self.program.ops[index])
    }

    fn is_read_by_convolutions(&self, value: ValueId) -> bool {
        let convolution = |op: &Op| matches!(op, Op::Conv2d { .. });
        value != self.program.output
            && !self.readers[value.index()].is_empty()
            && self.readers(value).all(convolution)
    }

    /// The scale and shift that moves into the convolution which makes `value`.
    fn folded(&self, value: ValueId) -> Option<usize> {
        let &[reader] = self.readers[value.index()].as_slice() else {
            return None;
        };
        let convolution = matches!(
            self.made_by(value),
            Some(Op::Conv2d { .. } | Op::UpConv2d { .. })
        );
        let affine = matches!(self.program.ops[reader], Op::Affine { .. });
        (convolution && affine && value != self.program.output).then_some(reader)
    }

    /// Whether a concatenation disappears because only convolutions read it.
    fn splits(&self, value: ValueId) -> bool {
        matches!(self.made_by(value), Some(Op::Concat { .. }))
            && self.is_read_by_convolutions(value)
    }

    /// Whether a doubling disappears because only convolutions that can do it themselves read it.
    fn doubles_later(&self, value: ValueId) -> bool {
        let able = |value: ValueId| {
            self.is_read_by_convolutions(value)
                && self.readers(value).all(|op| self.is_three_by_three(op))
        };
        let reader_is_able = |op: &Op| match op {
            Op::Concat { output, .. } => self.splits(*output) && able(*output),
            other => self.is_three_by_three(other),
        };
        self.rewrites.phases
            && value != self.program.output
            && matches!(self.made_by(value), Some(Op::Upsample2x { .. }))
            && !self.readers[value.index()].is_empty()
            && self.readers(value).all(reader_is_able)
    }

    fn is_three_by_three(&self, op: &Op) -> bool {
        let &Op::Conv2d {
            weight,
            stride,
            padding,
            ..
        } = op
        else {
            return false;
        };
        self.kernels[weight.index()] == Some(3) && stride == 1 && padding == 1
    }

    fn entry(&self) -> Entry {
        if !self.rewrites.repeated {
            return Entry::Whole;
        }
        if self.is_read_by_convolutions(ValueId::INPUT) {
            return Entry::Slice;
        }
        match self.readers[ValueId::INPUT.index()].as_slice() {
            &[affine] => match self.program.ops[affine] {
                Op::Affine {
                    output,
                    relu: false,
                    ..
                } if self.is_read_by_convolutions(output) => Entry::SliceAndOnes { affine },
                _ => Entry::Whole,
            },
            _ => Entry::Whole,
        }
    }
}

struct Writer<'a> {
    graph: &'a Graph<'a>,
    plan: &'a Plan,
    builder: Builder,
    /// Tensors carried over as they are, by their old number.
    copies: Vec<Option<TensorId>>,
    /// New values by their old number.
    values: Vec<Option<ValueId>>,
    supply: Supply,
}

impl Writer<'_> {
    fn value(&self, old: ValueId) -> ValueId {
        self.values[old.index()]
            .expect("operations are written in order, and those left out have no other readers")
    }

    fn copy(&mut self, id: TensorId) -> TensorId {
        if let Some(copy) = self.copies[id.index()] {
            self.supply.skip(id);
            return copy;
        }
        let copy = self.builder.tensor(self.supply.take(id));
        self.copies[id.index()] = Some(copy);
        copy
    }

    fn take(&mut self, id: TensorId) -> Vec<f32> {
        self.supply.take(id).into_f32()
    }

    fn vector(&mut self, name: String, values: Vec<f32>) -> Result<TensorId, TensorError> {
        let tensor = Tensor::f32(name, vec![values.len()], values)?;
        Ok(self.builder.tensor(tensor))
    }

    fn enter(&mut self, entry: &Entry) -> Result<(), RewriteError> {
        let mut image = self.builder.input();
        self.values[0] = Some(image);
        if let Entry::SliceAndOnes { affine } = *entry {
            let scale = self.vector("slice_and_ones/scale".into(), vec![1.0, 0.0])?;
            let shift = self.vector("slice_and_ones/shift".into(), vec![0.0, 1.0])?;
            image = self.builder.affine(image, scale, shift, false);
            let output = self.graph.program.ops[affine].output();
            self.values[output.index()] = Some(image);
        }
        Ok(())
    }

    fn op(&mut self, index: usize, entry: &Entry) -> Result<(), RewriteError> {
        let op = &self.graph.program.ops[index];
        let written = match *op {
            Op::Conv2d { .. } | Op::UpConv2d { .. } if self.graph.folded(op.output()).is_some() => {
                return Ok(());
            }
            Op::Conv2d { .. } | Op::UpConv2d { .. } => self.convolution(op, None, entry)?,
            Op::Affine { .. } if matches!(*entry, Entry::SliceAndOnes { affine } if affine == index) =>
            {
                return Ok(());
            }
            Op::Affine {
                input,
                scale,
                shift,
                relu,
                ..
            } => {
                if self.graph.folded(input) == Some(index) {
                    let convolution = self.graph.made_by(input);
                    let convolution = convolution.expect("only what is made can be folded");
                    let factors = (self.take(scale), self.take(shift));
                    let sum = self.convolution(convolution, Some(factors), entry)?;
                    if relu { self.builder.relu(sum) } else { sum }
                } else {
                    let (scale, shift) = (self.copy(scale), self.copy(shift));
                    let input = self.value(input);
                    self.builder.affine(input, scale, shift, relu)
                }
            }
            Op::Concat { output, .. } if self.graph.splits(output) => return Ok(()),
            Op::Upsample2x { output, .. } if self.graph.doubles_later(output) => return Ok(()),
            Op::Relu { input, .. } => self.builder.relu(self.value(input)),
            Op::Add { a, b, .. } => self.builder.add(self.value(a), self.value(b)),
            Op::MaxPool2d {
                input,
                kernel,
                stride,
                padding,
                ..
            } => {
                let input = self.value(input);
                self.builder.max_pool2d(input, kernel, stride, padding)
            }
            Op::Upsample2x { input, .. } => self.builder.upsample2x(self.value(input)),
            Op::Concat { a, b, .. } => self.builder.concat(self.value(a), self.value(b)),
            Op::Softmax { input, .. } => self.builder.softmax(self.value(input)),
            Op::Quantise {
                input,
                scale,
                precision,
                ..
            } => {
                let (input, scale) = (self.value(input), self.copy(scale));
                self.builder.quantise(input, scale, precision)
            }
        };
        self.values[op.output().index()] = Some(written);
        Ok(())
    }

    /// The parts of what a convolution reads, with the channels they have in its kernel.
    fn parts(&self, value: ValueId, first: usize, parts: &mut Vec<Part>) {
        let channels = self.plan.shape(value).channels;
        match self.graph.made_by(value) {
            Some(&Op::Concat { a, b, .. }) if self.graph.splits(value) => {
                self.parts(a, first, parts);
                self.parts(b, first + self.plan.shape(a).channels, parts);
            }
            Some(&Op::Upsample2x { input, .. }) if self.graph.doubles_later(value) => {
                parts.push(Part {
                    value: input,
                    doubled: true,
                    first,
                    channels,
                });
            }
            _ => parts.push(Part {
                value,
                doubled: false,
                first,
                channels,
            }),
        }
    }

    /// Writes a convolution with a scale and shift folded into it.
    fn convolution(
        &mut self,
        op: &Op,
        factors: Option<(Vec<f32>, Vec<f32>)>,
        entry: &Entry,
    ) -> Result<ValueId, RewriteError> {
        let (Op::Conv2d {
            input,
            weight,
            bias,
            ..
        }
        | Op::UpConv2d {
            input,
            weight,
            bias,
            ..
        }) = *op
        else {
            unreachable!("called for convolutions")
        };
        let mut parts = Vec::new();
        self.parts(input, 0, &mut parts);
        let image = match *entry {
            Entry::Whole => false,
            Entry::Slice => input == ValueId::INPUT,
            Entry::SliceAndOnes { affine } => input == self.graph.program.ops[affine].output(),
        };
        if factors.is_none() && !image && matches!(parts[..], [Part { doubled: false, .. }]) {
            // Nothing changes, so nothing is rounded again.
            let (weight, bias) = (self.copy(weight), bias.map(|bias| self.copy(bias)));
            return Ok(self.emit(op, self.value(input), weight, bias));
        }

        let tensor = self.supply.take(weight);
        let (name, shape) = (tensor.name().to_owned(), tensor.shape().to_vec());
        let mut kernels: Vec<f64> = tensor.into_f32().into_iter().map(f64::from).collect();
        let outputs = self.plan.shape(op.output()).channels;
        let mut sums: Option<Vec<f64>> =
            bias.map(|id| self.take(id).into_iter().map(f64::from).collect());
        if let Some((scale, shift)) = factors {
            // Four kernels of an `UpConv2d` belong to one output channel.
            let size: usize = shape[1..].iter().product();
            for (number, kernel) in kernels.chunks_exact_mut(size).enumerate() {
                let factor = f64::from(scale[number % outputs]);
                for w in kernel {
                    *w *= factor;
                }
            }
            let before = sums.unwrap_or_else(|| vec![0.0; outputs]);
            let after = before.iter().zip(scale.iter().zip(&shift));
            sums = Some(
                after
                    .map(|(b, (&s, &t))| b * f64::from(s) + f64::from(t))
                    .collect(),
            );
        }
        let kernel = Kernel {
            shape,
            data: kernels,
        };
        let mut sums = sums.map(|sums| sums.into_iter().map(|x| x as f32).collect());
        let mut total = None;
        for part in &parts {
            let mut share = kernel.channels(part.first, part.channels);
            if image {
                share = self.of_the_slice(&share, entry);
            }
            let value = self.value(part.value);
            let share = if part.doubled { share.phases() } else { share };
            let whole = parts.len() == 1;
            let part_name = if whole {
                name.clone()
            } else {
                format!("{name}/{}", part.first)
            };
            let weight = self.builder.tensor(share.tensor(part_name)?);
            let bias = match sums.take() {
                Some(sums) => Some(self.vector(format!("{name}/bias"), sums)?),
                None => None,
            };
            let written = if part.doubled {
                self.builder.up_conv2d(value, weight, bias)
            } else {
                self.emit(op, value, weight, bias)
            };
            total = Some(match total {
                None => written,
                Some(total) => self.builder.add(total, written),
            });
        }
        Ok(total.expect("a convolution reads something"))
    }

    /// Writes the same operation with other values and tensors.
    fn emit(
        &mut self,
        op: &Op,
        input: ValueId,
        weight: TensorId,
        bias: Option<TensorId>,
    ) -> ValueId {
        match *op {
            Op::Conv2d {
                stride, padding, ..
            } => self.builder.conv2d(input, weight, bias, stride, padding),
            _ => self.builder.up_conv2d(input, weight, bias),
        }
    }

    /// Kernels for one slice, and for ones where a shift comes before, from those for copies of the slice.
    fn of_the_slice(&self, kernel: &Kernel, entry: &Entry) -> Kernel {
        let channels = kernel.shape[1];
        let rows: Vec<Vec<f64>> = match *entry {
            Entry::SliceAndOnes { affine } => {
                let ids: Vec<TensorId> = self.graph.program.ops[affine].tensors().collect();
                let factors = ids.into_iter().map(|id| self.supply.get(id).to_f32());
                factors
                    .map(|row| row.into_iter().map(f64::from).collect())
                    .collect()
            }
            _ => vec![vec![1.0; channels]],
        };
        kernel.mix(&rows)
    }
}
