//! Programs as a list of operations, whatever is wrong with them.

use nephrobox_engine::program::{Data, Op, Precision, Program, Tensor, TensorId, ValueId};

use crate::forge::Parts;
use crate::road::{self, manifest};

/// A program that nobody has checked.
pub(super) struct Raw {
    pub(super) program: Program,
    tensors: Vec<Tensor>,
}

impl Raw {
    pub(super) fn new() -> Self {
        Self {
            program: Program {
                input_channels: 1,
                classes: 3,
                multiple: 1,
                output: ValueId(0),
                ops: Vec::new(),
            },
            tensors: Vec::new(),
        }
    }

    pub(super) fn tensor(&mut self, shape: &[usize], value: f32) -> TensorId {
        let values = vec![value; shape.iter().product()];
        self.add(Tensor::f32("t", shape.to_vec(), values).unwrap())
    }

    pub(super) fn add(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() as u32 - 1)
    }

    pub(super) fn push(&mut self, op: impl FnOnce(ValueId) -> Op) -> ValueId {
        let output = ValueId(self.program.ops.len() as u32 + 1);
        self.program.ops.push(op(output));
        output
    }

    pub(super) fn bytes(&mut self, shape: &[usize], value: i8, scale: f32) -> TensorId {
        let data = Data::I8 {
            values: vec![value; shape.iter().product()],
            scales: vec![scale; shape[0]],
        };
        self.add(Tensor::new("t", shape.to_vec(), data).unwrap())
    }

    pub(super) fn conv(&mut self, input: ValueId, weight: TensorId, padding: u32) -> ValueId {
        self.push(|output| Op::Conv2d {
            input,
            output,
            weight,
            bias: None,
            stride: 1,
            padding,
        })
    }

    pub(super) fn relu(&mut self, input: ValueId) -> ValueId {
        self.push(|output| Op::Relu { input, output })
    }

    pub(super) fn sum(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.push(|output| Op::Add { a, b, output })
    }

    pub(super) fn quantise(&mut self, input: ValueId, scale: f32) -> ValueId {
        let scale = self.tensor(&[1], scale);
        self.push(|output| Op::Quantise {
            input,
            output,
            scale,
            precision: Precision::U8,
        })
    }

    /// Three logits by a 1 x 1 convolution of a value with so many channels, and the package.
    pub(super) fn head(mut self, input: ValueId, channels: usize) -> Parts {
        let weight = self.tensor(&[3, channels, 1, 1], 0.01);
        let logits = self.conv(input, weight, 0);
        self.logits(logits)
    }

    pub(super) fn logits(mut self, logits: ValueId) -> Parts {
        self.program.output = logits;
        Parts::new(&manifest(), &self.program, &self.tensors)
    }
}

/// The small program with one thing changed.
pub(super) fn programmed(change: impl FnOnce(&mut Program)) -> Parts {
    let model = road::small();
    let mut program = model.program().clone();
    change(&mut program);
    Parts {
        program: program.to_bytes().unwrap(),
        ..Parts::of(&model)
    }
}

/// The small program with one field of its first convolution changed.
pub(super) fn first_conv(change: impl FnOnce(&mut TensorId, &mut u32, &mut u32)) -> Parts {
    programmed(|program| {
        let convolution = program.ops.iter_mut().find_map(|op| match op {
            Op::Conv2d {
                weight,
                stride,
                padding,
                ..
            } => Some((weight, stride, padding)),
            _ => None,
        });
        let (weight, stride, padding) = convolution.unwrap();
        change(weight, stride, padding);
    })
}

/// A package for images of other sizes.
pub(super) fn large(mut parts: Parts, side: usize) -> Parts {
    let mut manifest = manifest();
    (
        manifest.input.preprocess.rows,
        manifest.input.preprocess.cols,
    ) = (side, side);
    parts.manifest = postcard::to_stdvec(&manifest).unwrap();
    parts
}
