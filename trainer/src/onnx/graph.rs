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
//!
//! With mean 0, variance 1 and epsilon 0 a batch norm is `x * scale + shift` without rounding in between. Runtimes know
//! how to fold one into the convolution before it and how to keep it in their own memory layout; a `Mul` and an `Add` they
//! often do not.

use std::collections::{BTreeMap, HashMap};

use nephrobox_engine::program::{Op, Program, Tensor, TensorId, Tensors, ValueId};

use super::proto::{self, kind};
use super::{IMAGE, InputShape, LOGITS, OnnxError, Outputs, PROBABILITIES};

/// The image after the input scale, where there is one.
const SCALED: &str = "image_scaled";
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
    let integers = |op: &&Op| matches!(op, Op::UpConv2d { .. } | Op::Quantise { .. });
    if let Some(op) = program.ops.iter().find(integers) {
        return Err(OnnxError::Quantised(op.name()));
    }
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
            writer.names.take(&before_relu(id));
        }
        for tensor in tensors {
            let name = writer.names.take(tensor.name());
            let dims = tensor.shape().iter().map(|&axis| axis as i64).collect();
            writer
                .initializers
                .push(initializer(name.clone(), dims, &tensor.to_f32()));
            writer.tensor_names.push(name);
        }
        writer
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
        op.tensors()
            .next()
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
            // `graph` has refused programs with these.
            Op::UpConv2d { .. } | Op::Quantise { .. } => return,
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
            before_relu(id)
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
}

/// The name of an affine's result before its rectifier.
fn before_relu(id: ValueId) -> String {
    format!("{id}_affine")
}

/// Names that are given once: each with the number that the next to want it is tried with.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    /// The wanted name, with a number behind it if it is taken; "unnamed" for an empty one, which means "left out".
    fn take(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "unnamed" } else { wanted };
        let Some(mut number) = self.0.get(wanted).copied() else {
            self.0.insert(wanted.into(), 2);
            return wanted.into();
        };
        loop {
            let name = format!("{wanted}#{number}");
            number += 1;
            if !self.0.contains_key(&name) {
                self.0.insert(wanted.into(), number);
                self.0.insert(name.clone(), 2);
                return name;
            }
        }
    }
}

fn initializer(name: String, dims: Vec<i64>, values: &[f32]) -> proto::Tensor {
    proto::Tensor {
        name,
        dims,
        data_type: proto::FLOAT,
        raw_data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

fn value(name: &str, doc_string: String, channels: u32, shape: InputShape) -> proto::ValueInfo {
    let length = |length: usize| proto::Dimension {
        dim_value: Some(length as i64),
        dim_param: None,
    };
    let axis = |name: &str, fixed: Option<usize>| match fixed {
        Some(fixed) => length(fixed),
        None => proto::Dimension {
            dim_value: None,
            dim_param: Some(name.into()),
        },
    };
    let dim = vec![
        axis("batch", shape.batch),
        length(channels as usize),
        axis("rows", shape.size.map(|[rows, _]| rows)),
        axis("cols", shape.size.map(|[_, cols]| cols)),
    ];
    proto::ValueInfo {
        name: name.into(),
        doc_string,
        r#type: Some(proto::Type {
            tensor_type: Some(proto::TensorType {
                elem_type: proto::FLOAT,
                shape: Some(proto::Shape { dim }),
            }),
        }),
    }
}

/// Kernel, strides and padding of a square window.
fn window(kernel: u32, stride: u32, padding: u32) -> Vec<proto::Attribute> {
    vec![
        ints("kernel_shape", kernel, 2),
        ints("pads", padding, 4),
        ints("strides", stride, 2),
    ]
}

fn ints(name: &str, number: u32, times: usize) -> proto::Attribute {
    proto::Attribute {
        name: name.into(),
        ints: vec![i64::from(number); times],
        r#type: kind::INTS,
        ..proto::Attribute::default()
    }
}

fn int(name: &str, number: i64) -> proto::Attribute {
    proto::Attribute {
        name: name.into(),
        i: Some(number),
        r#type: kind::INT,
        ..proto::Attribute::default()
    }
}

fn float(name: &str, number: f32) -> proto::Attribute {
    proto::Attribute {
        name: name.into(),
        f: Some(number),
        r#type: kind::FLOAT,
        ..proto::Attribute::default()
    }
}

fn text(name: &str, word: &str) -> proto::Attribute {
    proto::Attribute {
        name: name.into(),
        s: Some(word.into()),
        r#type: kind::STRING,
        ..proto::Attribute::default()
    }
}
