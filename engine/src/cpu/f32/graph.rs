//! From operations to layers: what is computed together because the results between need never be written.
//!
//! * A sum of convolutions, and of one value more, is one layer. Split concatenations and residual units become such sums.
//! * A rectifier after it, and a scale and shift of it, come from the same registers.
//! * Doubling disappears if only 3 x 3 convolutions of stride 1 read it: they find the small image's pixels themselves.

use crate::program::{Op, Precision, Program, Tensor, TensorId, Tensors, ValueId};

/// One of the convolutions whose sum is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) input: ValueId,
    /// Whether the convolution sees the input with twice the rows and columns.
    pub(super) doubled: bool,
    pub(super) weight: TensorId,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

/// A scale and shift stored beside a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) output: ValueId,
    pub(super) scale: TensorId,
    pub(super) shift: TensorId,
    pub(super) relu: bool,
}

/// A sum of convolutions and what becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) terms: Vec<Term>,
    /// Whether the one term is an [`Op::UpConv2d`].
    pub(super) phases: bool,
    pub(super) biases: Vec<TensorId>,
    pub(super) add: Option<ValueId>,
    pub(super) relu: bool,
    /// Where the sum is stored, if it is.
    pub(super) output: Option<ValueId>,
    pub(super) beside: Option<Beside>,
}

/// What is computed in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Sum(Sum),
    Affine {
        input: ValueId,
        beside: Beside,
    },
    Relu {
        input: ValueId,
        output: ValueId,
    },
    Add {
        a: ValueId,
        b: ValueId,
        output: ValueId,
    },
    Quantise {
        input: ValueId,
        output: ValueId,
        scale: TensorId,
        precision: Precision,
    },
    Pool {
        input: ValueId,
        output: ValueId,
        kernel: usize,
        stride: usize,
        padding: usize,
    },
    Double {
        input: ValueId,
        output: ValueId,
    },
    Concat {
        a: ValueId,
        b: ValueId,
        output: ValueId,
    },
}

impl Layer {
    /// Values it reads.
    pub(super) fn inputs(&self) -> Vec<ValueId> {
        match self {
            Self::Sum(sum) => {
                let terms = sum.terms.iter().map(|term| term.input);
                terms.chain(sum.add).collect()
            }
            Self::Affine { input, .. }
            | Self::Relu { input, .. }
            | Self::Quantise { input, .. }
            | Self::Pool { input, .. }
            | Self::Double { input, .. } => vec![*input],
            Self::Add { a, b, .. } | Self::Concat { a, b, .. } => vec![*a, *b],
        }
    }

    /// Tensors it reads, each as often as it reads it.
    pub(super) fn tensors(&self) -> Vec<TensorId> {
        let of = |beside: &Beside| [beside.scale, beside.shift];
        match self {
            Self::Sum(sum) => {
                let weights = sum.terms.iter().map(|term| term.weight);
                let beside = sum.beside.iter().flat_map(of);
                weights
                    .chain(sum.biases.iter().copied())
                    .chain(beside)
                    .collect()
            }
            Self::Affine { beside, .. } => of(beside).into(),
            Self::Quantise { scale, .. } => vec![*scale],
            _ => Vec::new(),
        }
    }

    /// Values it defines.
    pub(super) fn outputs(&self) -> Vec<ValueId> {
        match self {
            Self::Sum(sum) => {
                let beside = sum.beside.map(|beside| beside.output);
                sum.output.into_iter().chain(beside).collect()
            }
            Self::Affine { beside, .. } => vec![beside.output],
            Self::Relu { output, .. }
            | Self::Add { output, .. }
            | Self::Quantise { output, .. }
            | Self::Pool { output, .. }
            | Self::Double { output, .. }
            | Self::Concat { output, .. } => vec![*output],
        }
    }
}

/// The layers of a checked program, in the order they run. With `fuse` off, each operation is one and defines its own value.
pub(super) fn layers(program: &Program, tensors: &Tensors, fuse: bool) -> Vec<Layer> {
    let mut graph = Graph::new(program, tensors);
    if fuse {
        for op in 0..program.ops.len() {
            graph.join(op);
        }
    }
    let free = (0..program.ops.len()).filter(|&op| !graph.taken[op]);
    free.filter_map(|op| graph.layer(op, fuse)).collect()
}

struct Graph<'a> {
    program: &'a Program,
    tensors: &'a Tensors,
    maker: Vec<Option<usize>>,
    readers: Vec<Vec<usize>>,
    /// Operations that are part of another one's layer.
    taken: Vec<bool>,
    /// For convolutions and sums of them, by operation: whether a value is added that is not one of the convolutions.
    sums: Vec<Option<bool>>,
}

impl<'a> Graph<'a> {
    fn new(program: &'a Program, tensors: &'a Tensors) -> Self {
        let ops = program.ops.len();
        let (mut maker, mut readers) = (vec![None; ops + 1], vec![Vec::new(); ops + 1]);
        for (index, op) in program.ops.iter().enumerate() {
            maker[op.output().index()] = Some(index);
            if !matches!(op, Op::Softmax { .. }) {
                for input in op.inputs() {
                    readers[input.index()].push(index);
                }
            }
        }
        Self {
            program,
            tensors,
            maker,
            readers,
            taken: vec![false; ops],
            sums: vec![None; ops],
        }
    }

    /// The only reader of a value that nobody else wants.
    fn only_reader(&self, value: ValueId) -> Option<usize> {
        match self.readers[value.index()][..] {
            [reader] if value != self.program.output => Some(reader),
            _ => None,
        }
    }

    /// The sum of convolutions that makes a value for one reader only, and whether it adds another value.
    fn sum_for_one(&self, value: ValueId) -> Option<(usize, bool)> {
        let maker = self.maker[value.index()]?;
        self.only_reader(value)?;
        Some((maker, self.sums[maker]?))
    }

    /// Takes into the layer of `op` what can be part of it.
    fn join(&mut self, op: usize) {
        match self.program.ops[op] {
            Op::Conv2d { .. } => self.sums[op] = Some(false),
            Op::Add { a, b, .. } => {
                // One value may be added that is stored already.
                match (self.sum_for_one(a), self.sum_for_one(b)) {
                    (Some((a, first)), Some((b, second))) if !(first && second) => {
                        (self.taken[a], self.taken[b]) = (true, true);
                        self.sums[op] = Some(first || second);
                    }
                    (Some((sum, false)), _) | (_, Some((sum, false))) => {
                        self.taken[sum] = true;
                        self.sums[op] = Some(true);
                    }
                    _ => {}
                }
            }
            Op::Upsample2x { output, .. } => self.taken[op] = self.is_read_doubled(output),
            _ => {}
        }
        let (relu, beside) = self.followers(op);
        for follower in relu.into_iter().chain(beside) {
            self.taken[follower] = true;
        }
    }

    /// The rectifier that alone reads a sum, and a scale and shift of the result.
    fn followers(&self, op: usize) -> (Option<usize>, Option<usize>) {
        let made = &self.program.ops[op];
        if self.sums[op].is_none() && !matches!(made, Op::UpConv2d { .. }) {
            return (None, None);
        }
        let is_relu = |&op: &usize| matches!(self.program.ops[op], Op::Relu { .. });
        let is_affine = |&op: &usize| matches!(self.program.ops[op], Op::Affine { .. });
        let relu = self.only_reader(made.output()).filter(is_relu);
        let value = relu.map_or(made, |op| &self.program.ops[op]).output();
        let mut readers = self.readers[value.index()].iter().copied();
        (relu, readers.find(is_affine))
    }

    /// Whether only convolutions read a doubled image that can find the small image's pixels themselves.
    fn is_read_doubled(&self, value: ValueId) -> bool {
        let is_able = |&op: &usize| match self.program.ops[op] {
            Op::Conv2d {
                weight,
                stride: 1,
                padding: 1,
                ..
            } => self.kernel(weight) == 3,
            _ => false,
        };
        let readers = &self.readers[value.index()];
        value != self.program.output && !readers.is_empty() && readers.iter().all(is_able)
    }

    fn kernel(&self, weight: TensorId) -> usize {
        let shape = self.tensors.get(weight).map(Tensor::shape);
        shape.and_then(<[usize]>::last).copied().unwrap_or(0)
    }

    /// The small image, if a doubled one is read through it.
    fn small(&self, value: ValueId) -> Option<ValueId> {
        let maker = self.maker[value.index()]?;
        match self.program.ops[maker] {
            Op::Upsample2x { input, .. } if self.taken[maker] => Some(input),
            _ => None,
        }
    }

    fn layer(&self, op: usize, fuse: bool) -> Option<Layer> {
        let layer = match self.program.ops[op] {
            Op::Conv2d { .. } | Op::UpConv2d { .. } => Layer::Sum(self.sum(op, fuse)),
            Op::Add { .. } if self.sums[op].is_some() => Layer::Sum(self.sum(op, fuse)),
            Op::Affine {
                input,
                output,
                scale,
                shift,
                relu,
            } => {
                let beside = Beside {
                    output,
                    scale,
                    shift,
                    relu,
                };
                Layer::Affine { input, beside }
            }
            Op::Relu { input, output } => Layer::Relu { input, output },
            Op::Add { a, b, output } => Layer::Add { a, b, output },
            Op::MaxPool2d {
                input,
                output,
                kernel,
                stride,
                padding,
            } => Layer::Pool {
                input,
                output,
                kernel: kernel as usize,
                stride: stride as usize,
                padding: padding as usize,
            },
            Op::Upsample2x { input, output } => Layer::Double { input, output },
            Op::Concat { a, b, output } => Layer::Concat { a, b, output },
            Op::Quantise {
                input,
                output,
                scale,
                precision,
            } => Layer::Quantise {
                input,
                output,
                scale,
                precision,
            },
            // Labels and logits are not touched by it, and it comes last.
            Op::Softmax { .. } => return None,
        };
        Some(layer)
    }

    fn sum(&self, root: usize, fuse: bool) -> Sum {
        let mut sum = Sum {
            output: Some(self.program.ops[root].output()),
            ..Sum::default()
        };
        let mut open = vec![root];
        while let Some(op) = open.pop() {
            match self.program.ops[op] {
                Op::Conv2d {
                    input,
                    weight,
                    bias,
                    stride,
                    padding,
                    ..
                } => {
                    let small = self.small(input);
                    sum.biases.extend(bias);
                    sum.terms.push(Term {
                        input: small.unwrap_or(input),
                        doubled: small.is_some(),
                        weight,
                        stride: stride as usize,
                        padding: padding as usize,
                    });
                }
                Op::UpConv2d {
                    input,
                    weight,
                    bias,
                    ..
                } => {
                    sum.phases = true;
                    sum.biases.extend(bias);
                    sum.terms.push(Term {
                        input,
                        doubled: false,
                        weight,
                        stride: 1,
                        padding: 1,
                    });
                }
                Op::Add { a, b, .. } => {
                    for value in [b, a] {
                        match self.maker[value.index()] {
                            Some(maker) if self.taken[maker] && self.sums[maker].is_some() => {
                                open.push(maker);
                            }
                            _ => sum.add = Some(value),
                        }
                    }
                }
                _ => {}
            }
        }
        if fuse {
            self.finish(root, &mut sum);
        }
        sum
    }

    /// Adds what follows a sum to its layer.
    fn finish(&self, root: usize, sum: &mut Sum) {
        let (relu, beside) = self.followers(root);
        if let Some(relu) = relu {
            sum.relu = true;
            sum.output = Some(self.program.ops[relu].output());
        }
        let Some(beside) = beside else { return };
        if let Op::Affine {
            input,
            output,
            scale,
            shift,
            relu,
        } = self.program.ops[beside]
        {
            sum.beside = Some(Beside {
                output,
                scale,
                shift,
                relu,
            });
            if self.only_reader(input).is_some() {
                sum.output = None;
            }
        }
    }
}
