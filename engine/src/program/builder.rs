//! Building a program operation by operation.

use super::{Op, Precision, Program, ProgramError, Tensor, TensorId, Tensors, ValueId};

/// Writes a program one operation at a time and numbers its values and tensors.
///
/// Each method appends one operation and returns the value it defines; [`finish`](Self::finish) checks the whole.
///
/// ```
/// use nephrobox_engine::program::{Builder, Tensor};
///
/// let mut b = Builder::new(1, 32);
/// let weight = b.tensor(Tensor::f32("head", vec![3, 1, 1, 1], vec![0.0, 1.0, -1.0]).unwrap());
/// let logits = b.conv2d(b.input(), weight, None, 1, 0);
/// let (program, tensors) = b.finish(logits, 3).unwrap();
/// assert!(program.check(&tensors).is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    input_channels: u32,
    multiple: u32,
    ops: Vec<Op>,
    tensors: Tensors,
}

impl Builder {
    /// Starts a program whose image has `input_channels` channels and sizes in multiples of `multiple` pixels.
    pub fn new(input_channels: u32, multiple: u32) -> Self {
        Self {
            input_channels,
            multiple,
            ops: Vec::new(),
            tensors: Tensors::default(),
        }
    }

    /// The image.
    pub const fn input(&self) -> ValueId {
        ValueId::INPUT
    }

    /// Adds a tensor.
    pub fn tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor)
    }

    fn push(&mut self, op: impl FnOnce(ValueId) -> Op) -> ValueId {
        let output = ValueId(self.ops.len() as u32 + 1);
        self.ops.push(op(output));
        output
    }

    /// Appends [`Op::Conv2d`].
    pub fn conv2d(
        &mut self,
        input: ValueId,
        weight: TensorId,
        bias: Option<TensorId>,
        stride: u32,
        padding: u32,
    ) -> ValueId {
        self.push(|output| Op::Conv2d {
            input,
            output,
            weight,
            bias,
            stride,
            padding,
        })
    }

    /// Appends [`Op::Affine`].
    pub fn affine(
        &mut self,
        input: ValueId,
        scale: TensorId,
        shift: TensorId,
        relu: bool,
    ) -> ValueId {
        self.push(|output| Op::Affine {
            input,
            output,
            scale,
            shift,
            relu,
        })
    }

    /// Appends [`Op::Relu`].
    pub fn relu(&mut self, input: ValueId) -> ValueId {
        self.push(|output| Op::Relu { input, output })
    }

    /// Appends [`Op::Add`].
    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.push(|output| Op::Add { a, b, output })
    }

    /// Appends [`Op::MaxPool2d`].
    pub fn max_pool2d(
        &mut self,
        input: ValueId,
        kernel: u32,
        stride: u32,
        padding: u32,
    ) -> ValueId {
        self.push(|output| Op::MaxPool2d {
            input,
            output,
            kernel,
            stride,
            padding,
        })
    }

    /// Appends [`Op::Upsample2x`].
    pub fn upsample2x(&mut self, input: ValueId) -> ValueId {
        self.push(|output| Op::Upsample2x { input, output })
    }

    /// Appends [`Op::Concat`].
    pub fn concat(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.push(|output| Op::Concat { a, b, output })
    }

    /// Appends [`Op::UpConv2d`].
    pub fn up_conv2d(
        &mut self,
        input: ValueId,
        weight: TensorId,
        bias: Option<TensorId>,
    ) -> ValueId {
        self.push(|output| Op::UpConv2d {
            input,
            output,
            weight,
            bias,
        })
    }

    /// Appends [`Op::Quantise`] with the tensor `scale`, which has one number.
    pub fn quantise(&mut self, input: ValueId, scale: TensorId, precision: Precision) -> ValueId {
        self.push(|output| Op::Quantise {
            input,
            output,
            scale,
            precision,
        })
    }

    /// Appends [`Op::Softmax`]. Last, and on the logits.
    pub fn softmax(&mut self, input: ValueId) -> ValueId {
        self.push(|output| Op::Softmax { input, output })
    }

    /// Names the logits and checks the program.
    pub fn finish(self, logits: ValueId, classes: u32) -> Result<(Program, Tensors), ProgramError> {
        let Self {
            input_channels,
            multiple,
            ops,
            tensors,
        } = self;
        let program = Program {
            input_channels,
            classes,
            multiple,
            output: logits,
            ops,
        };
        program.check(&tensors)?;
        Ok((program, tensors))
    }
}
