//! A program as an ONNX graph, operation by operation.
//!
//! | operation | operators |
//! | --- | --- |
//! | conv2d | `Conv` |
//! | affine | `BatchNormalization` with mean 0, variance 1 and epsilon 0, then `Relu` where the program says so |
//! | relu, add | `Relu`, `Add` |
//! | `max_pool2d` | `MaxPool`, whose padding never wins either |
//! | upsample2x | `Resize`, nearest, asymmetric, rounded down: row i reads row floor(i / 2), exactly |
//! | concat, softmax | `Concat` and `Softmax` over axis 1 |
//! | `up_conv2d` | `ConvTranspose` with one kernel of 4 x 4, stride 2 and padding 1 |
//! | quantise | `Div` by the scale, `Round` (halves to even), `Clip` to the range, `Mul` by the scale |
//!
//! With mean 0, variance 1 and epsilon 0 a batch norm is `x * scale + shift` without rounding in between. Runtimes know
//! how to fold one into the convolution before it and how to keep it in their own memory layout; a `Mul` and an `Add` they
//! often do not.
//!
//! Rounding is written as plain arithmetic and not as `QuantizeLinear` and `DequantizeLinear`, for three reasons. Runtimes take such a
//! pair for leave to compute the layer beside it in integers of their own choice: ONNX Runtime, for one, then rounds
//! the layer's float weights too, coarser than the package does. The pair for 16 bits came with operator set 21, which
//! fewer runtimes read. And the arithmetic states the program's own definition, down to the order of its roundings.

use std::collections::BTreeMap;

use nephrobox_engine::program::{Op, Precision, Program, Tensor, TensorId, Tensors, ValueId};

use super::parts::{Names, float, initializer, int, text, value, window};
use super::proto;
use super::{IMAGE, InputShape, LOGITS, OnnxError, Outputs, PROBABILITIES};

/// The image after the input scale, where there is one.
const SCALED: &str = "image_scaled";
/// What is behind a value's name for what is computed on the way to it: an affine before its rectifier,
const BEFORE_RELU: &str = "affine";
/// a number divided by its grid's scale,
const STEPS: &str = "steps";
/// rounded,
const ROUNDED: &str = "rounded";
/// and limited.
const LIMITED: &str = "limited";
/// Factors of every doubling: batch, channels, rows, columns.
const TWICE: (&str, [f32; 4]) = ("twice", [1.0, 1.0, 2.0, 2.0]);

/// Checks a program and writes it as a graph that takes pixels in 0 to 1 and multiplies them by `input_scale`.
///
/// A softmax is added, or left out, as `outputs` says. Tensors keep their names, and get a number behind them where a
/// name is taken.
pub fn graph(
    program: &Program,
    tensors: &Tensors,
    input_scale: f32,
    shape: InputShape,
    outputs: Outputs,
) -> Result<proto::Graph, OnnxError> {
    let plan = program.check(tensors)?;
    if shape.batch == Some(0) {
        return Err(OnnxError::EmptyBatch);
    }
    if let Some([rows, cols]) = shape.size
        && !plan.accepts(rows, cols)
    {
        return Err(OnnxError::Size {
            rows,
            cols,
            multiple: program.multiple,
        });
    }

    let mut writer = Writer::new(program, tensors, input_scale != 1.0);
    if input_scale != 1.0 {
        let scale = writer.constant("input_scale", &[], &[input_scale]);
        writer.node("input_scale", "Mul", &[IMAGE, &scale], SCALED, vec![]);
    }
    for (index, op) in program.ops.iter().enumerate() {
        writer.op(index, op, plan.shape(op.output()).channels);
    }
    if outputs != Outputs::Logits {
        writer.node(
            PROBABILITIES,
            "Softmax",
            &[LOGITS],
            PROBABILITIES,
            vec![int("axis", 1)],
        );
    }

    let sides = format!(
        "rows and columns are multiples of {} pixels",
        program.multiple
    );
    let described = |name: &str, doc: String, channels: u32| value(name, doc, channels, shape);
    let output = |&name: &&str| {
        let doc = match name {
            LOGITS => "label of a pixel: the class with the largest logit, the lowest among equals",
            _ => "softmax of the logits over the classes",
        };
        described(name, doc.into(), program.classes)
    };
    Ok(proto::Graph {
        name: "program".into(),
        input: vec![described(
            IMAGE,
            format!("preprocessed slices, pixels in 0 to 1; {sides}"),
            program.input_channels,
        )],
        output: outputs.names().iter().map(output).collect(),
        node: writer.nodes,
        initializer: writer.initializers,
    })
}

struct Writer<'a> {
    program: &'a Program,
    tensors: &'a Tensors,
    /// Names of values and tensors, which share one space.
    names: Names,
    node_names: Names,
    /// By [`TensorId`].
    tensor_names: Vec<String>,
    /// By [`TensorId`]: names of kernels as a `ConvTranspose` reads them. Other tensors have none.
    transposed_names: Vec<Option<String>>,
    constants: BTreeMap<String, String>,
    scaled: bool,
    nodes: Vec<proto::Node>,
    initializers: Vec<proto::Tensor>,
}

impl<'a> Writer<'a> {
    fn new(program: &'a Program, tensors: &'a Tensors, scaled: bool) -> Self {
        let mut writer = Self {
            program,
            tensors,
            names: Names::default(),
            node_names: Names::default(),
            tensor_names: Vec::with_capacity(tensors.len()),
            transposed_names: Vec::with_capacity(tensors.len()),
            constants: BTreeMap::new(),
            scaled,
            nodes: Vec::with_capacity(program.ops.len() * 2),
            initializers: Vec::with_capacity(tensors.len() + 8),
        };
        // Values first: their names are what users see, and no tensor may take one.
        for name in [IMAGE, SCALED, LOGITS, PROBABILITIES] {
            writer.names.take(name);
        }
        for id in 0..=program.ops.len() {
            let id = ValueId(id as u32);
            writer.names.take(&id.to_string());
            for step in [BEFORE_RELU, STEPS, ROUNDED, LIMITED] {
                writer.names.take(&format!("{id}_{step}"));
            }
        }
        for (number, tensor) in tensors.iter().enumerate() {
            writer.define(TensorId(number as u32), tensor);
        }
        writer
    }

    /// Writes a tensor as it is, as what a `ConvTranspose` reads, or both ways if the program has readers of both kinds.
    fn define(&mut self, id: TensorId, tensor: &Tensor) {
        let reads = |op: &&Op| op.tensors().any(|read| read == id);
        let (mut direct, mut transposed) = (false, false);
        for op in self.program.ops.iter().filter(reads) {
            // Its bias is as it is, and a tensor with one axis cannot be its weight.
            match op {
                Op::UpConv2d { weight, .. } if *weight == id => transposed = true,
                _ => direct = true,
            }
        }
        let name = self.names.take(tensor.name());
        let numbers = tensor.to_f32();
        self.transposed_names.push(transposed.then(|| {
            let name = if direct {
                self.names.take(&format!("{name}/transposed"))
            } else {
                name.clone()
            };
            let [out, channels] = [tensor.shape()[0] / 4, tensor.shape()[1]];
            let kernel = one_kernel(&numbers, out, channels);
            let dims = vec![channels as i64, out as i64, 4, 4];
            self.initializers
                .push(initializer(name.clone(), dims, &kernel));
            name
        }));
        if direct {
            let dims = tensor.shape().iter().map(|&axis| axis as i64).collect();
            self.initializers
                .push(initializer(name.clone(), dims, &numbers));
        }
        self.tensor_names.push(name);
    }

    fn value(&self, id: ValueId) -> String {
        if id == ValueId::INPUT {
            if self.scaled { SCALED } else { IMAGE }.into()
        } else if id == self.program.output {
            LOGITS.into()
        } else {
            id.to_string()
        }
    }

    fn tensor(&self, id: TensorId) -> &str {
        &self.tensor_names[id.index()]
    }

    /// What a layer is called: its tensor's name up to the last stroke, or the operation and its position.
    fn layer(&self, index: usize, op: &Op) -> String {
        // A grid is named after a value of the program it was made for, which is no layer of this one.
        let named = |_: &TensorId| !matches!(op, Op::Quantise { .. });
        op.tensors()
            .find(named)
            .and_then(|id| self.tensors.get(id).map(Tensor::name))
            .and_then(|name| name.rsplit_once('/'))
            .map_or_else(
                || format!("{}_{index}", op.name()),
                |(layer, _)| layer.to_owned(),
            )
    }

    /// A tensor that the program does not have, made once.
    fn constant(&mut self, name: &str, dims: &[i64], values: &[f32]) -> String {
        if let Some(taken) = self.constants.get(name) {
            return taken.clone();
        }
        let taken = self.names.take(name);
        self.constants.insert(name.into(), taken.clone());
        self.initializers
            .push(initializer(taken.clone(), dims.to_vec(), values));
        taken
    }

    /// One number for each channel, all the same.
    fn filled(&mut self, name: &str, number: f32, channels: usize) -> String {
        let values = vec![number; channels];
        self.constant(&format!("{name}_{channels}"), &[channels as i64], &values)
    }

    fn node(
        &mut self,
        name: &str,
        op_type: &str,
        input: &[&str],
        output: &str,
        attribute: Vec<proto::Attribute>,
    ) {
        let name = self.node_names.take(name);
        self.nodes.push(proto::Node {
            name,
            op_type: op_type.into(),
            input: input.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            attribute,
        });
    }

    fn op(&mut self, index: usize, op: &Op, channels: usize) {
        let name = self.layer(index, op);
        let inputs: Vec<String> = op.inputs().map(|id| self.value(id)).collect();
        let output = self.value(op.output());
        let mut input: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let plain = match *op {
            Op::Conv2d {
                weight,
                bias,
                stride,
                padding,
                ..
            } => {
                let kernel = self.tensors.get(weight).map_or(0, |t| t.shape()[2]);
                let tensors = [Some(weight), bias].into_iter().flatten();
                let tensors: Vec<String> = tensors.map(|id| self.tensor(id).into()).collect();
                input.extend(tensors.iter().map(String::as_str));
                let window = window(kernel as u32, stride, padding);
                return self.node(&name, "Conv", &input, &output, window);
            }
            Op::Affine {
                scale, shift, relu, ..
            } => return self.affine(&name, input[0], op.output(), [scale, shift], channels, relu),
            Op::Relu { .. } => ("Relu", vec![]),
            Op::Add { .. } => ("Add", vec![]),
            Op::MaxPool2d {
                kernel,
                stride,
                padding,
                ..
            } => ("MaxPool", window(kernel, stride, padding)),
            Op::Upsample2x { .. } => {
                let twice = self.constant(TWICE.0, &[4], &TWICE.1);
                // The second input, a region of interest, belongs to another mode.
                let attributes = vec![
                    text("coordinate_transformation_mode", "asymmetric"),
                    text("mode", "nearest"),
                    text("nearest_mode", "floor"),
                ];
                let input = [input[0], "", &twice];
                return self.node(&name, "Resize", &input, &output, attributes);
            }
            Op::Concat { .. } => ("Concat", vec![int("axis", 1)]),
            Op::UpConv2d { weight, bias, .. } => {
                let weight = self.transposed_names[weight.index()].clone();
                let tensors: Vec<String> = weight
                    .into_iter()
                    .chain(bias.map(|id| self.tensor(id).into()))
                    .collect();
                input.extend(tensors.iter().map(String::as_str));
                let window = window(4, 2, 1);
                return self.node(&name, "ConvTranspose", &input, &output, window);
            }
            Op::Quantise {
                scale, precision, ..
            } => return self.quantise(&name, input[0], op.output(), scale, precision),
            // It may only stand last and on the logits; whether it is wanted is the caller's choice.
            Op::Softmax { .. } => return,
        };
        self.node(&name, plain.0, &input, &output, plain.1);
    }

    fn affine(
        &mut self,
        name: &str,
        input: &str,
        id: ValueId,
        [scale, shift]: [TensorId; 2],
        channels: usize,
        relu: bool,
    ) {
        let (mean, variance) = (
            self.filled("mean", 0.0, channels),
            self.filled("variance", 1.0, channels),
        );
        let [scale, shift] = [scale, shift].map(|id| self.tensor(id).to_owned());
        let output = self.value(id);
        let normalised = if relu {
            format!("{id}_{BEFORE_RELU}")
        } else {
            output.clone()
        };
        self.node(
            name,
            "BatchNormalization",
            &[input, &scale, &shift, &mean, &variance],
            &normalised,
            vec![float("epsilon", 0.0)],
        );
        if relu {
            self.node(
                &format!("{name}/relu"),
                "Relu",
                &[&normalised],
                &output,
                vec![],
            );
        }
    }

    fn quantise(
        &mut self,
        name: &str,
        input: &str,
        id: ValueId,
        scale: TensorId,
        precision: Precision,
    ) {
        let kind = match precision {
            Precision::U8 => "u8",
            Precision::I16 => "i16",
        };
        let [low, high] = precision.range();
        // Limits are single numbers, without axes.
        let low = self.constant(&format!("lowest_{kind}"), &[], &[low]);
        let high = self.constant(&format!("highest_{kind}"), &[], &[high]);
        let scale = self.tensor(scale).to_owned();
        let [steps, rounded, limited] =
            [STEPS, ROUNDED, LIMITED].map(|step| format!("{id}_{step}"));
        let output = self.value(id);
        let mut node = |operator: &str, input: &[&str], output: &str| {
            let name = format!("{name}/{}", operator.to_lowercase());
            self.node(&name, operator, input, output, vec![]);
        };
        node("Div", &[input, &scale], &steps);
        node("Round", &[&steps], &rounded);
        node("Clip", &[&rounded, &low, &high], &limited);
        node("Mul", &[&limited, &scale], &output);
    }
}

/// The four kernels of 2 x 2 of an [`Op::UpConv2d`] as the one of a `ConvTranspose`, `[in, out, 4, 4]`.
///
/// With stride 2 and padding 1, the pixel `i` of the input reaches row `r` of the output through row `r - 2 i + 1` of the kernel.
/// The program's row `2 k + p` reads pixel `k + p - 1 + a` through row `a` of phase `p`, which is row `3 - p - 2 a`
/// of the large kernel: each of its rows belongs to one phase. Columns likewise.
fn one_kernel(four: &[f32], out: usize, channels: usize) -> Vec<f32> {
    let mut kernel = vec![0.0; four.len()];
    for (index, &weight) in four.iter().enumerate() {
        let [a, b] = [index / 2 % 2, index % 2];
        let (rest, channel) = (index / 4 / channels, index / 4 % channels);
        let (phase, o) = (rest / out, rest % out);
        let [row, col] = [3 - phase / 2 - 2 * a, 3 - phase % 2 - 2 * b];
        kernel[((channel * out + o) * 4 + row) * 4 + col] = weight;
    }
    kernel
}
