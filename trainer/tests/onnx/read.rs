//! From an ONNX graph back to a program, by what the operators mean in opset 17. Panics at anything a program cannot say.

use std::collections::{BTreeSet, HashMap, HashSet};

use nephrobox_engine::program::{Builder, Precision, Program, Tensor, TensorId, Tensors, ValueId};
use nephrotrain::onnx::proto::{self, Attribute, Graph, Node, ValueInfo, kind};

/// What a file holds.
pub(crate) struct Network {
    program: Program,
    /// Tensors that are no constants of the notation.
    pub(crate) tensors: Tensors,
    /// What the image is multiplied by first; 1 if by nothing.
    pub(crate) input_scale: f32,
    /// Names of the outputs.
    pub(crate) outputs: Vec<String>,
}

impl Network {
    /// The program; its multiple is in no graph.
    pub(crate) fn program(&self, multiple: u32) -> Program {
        Program {
            multiple,
            ..self.program.clone()
        }
    }
}

/// Reads a graph that passes [`check`].
pub(crate) fn read(graph: &Graph) -> Network {
    check(graph);
    let constants: HashMap<&str, (Vec<usize>, Vec<f32>)> = graph
        .initializer
        .iter()
        .map(|t| {
            let shape = t.dims.iter().map(|&n| n as usize).collect();
            let numbers = t.raw_data.as_chunks().0;
            (
                t.name.as_str(),
                (
                    shape,
                    numbers.iter().map(|&b| f32::from_le_bytes(b)).collect(),
                ),
            )
        })
        .collect();
    let channels: u32 = axes(&graph.input[0])[1].parse().unwrap();
    // Large enough a multiple for any program here; the caller puts in the right one.
    let mut reader = Reader {
        b: Builder::new(channels, 1024),
        constants,
        tensors: HashMap::new(),
        values: HashMap::new(),
        input_scale: 1.0,
    };
    let mut image = graph.input[0].name.as_str();
    if let [first, ..] = graph.node.as_slice()
        && first.op_type == "Mul"
    {
        assert_eq!(first.input[0], image);
        let (shape, numbers) = &reader.constants[first.input[1].as_str()];
        assert!(shape.is_empty() && numbers.len() == 1);
        (reader.input_scale, image) = (numbers[0], &first.output[0]);
    }
    reader.values.insert(image, ValueId::INPUT);
    // Tensors keep their order; those that only the notation needs come after them or are never asked for.
    let of_program: HashSet<&String> = graph.node.iter().flat_map(Reader::tensor_names).collect();
    let transposed: HashSet<&String> = graph
        .node
        .iter()
        .filter(|node| node.op_type == "ConvTranspose")
        .map(|node| &node.input[1])
        .collect();
    for t in graph
        .initializer
        .iter()
        .filter(|t| of_program.contains(&t.name))
    {
        let (mut shape, mut numbers) = reader.constants[t.name.as_str()].clone();
        if transposed.contains(&t.name) {
            (shape, numbers) = four_kernels(&shape, &numbers);
        }
        let id = reader
            .b
            .tensor(Tensor::f32(&t.name, shape, numbers).unwrap());
        reader.tensors.insert(&t.name, id);
    }
    let mut nodes = graph
        .node
        .iter()
        .skip(usize::from(image != "image"))
        .peekable();
    while let Some(node) = nodes.next() {
        let relu = node.op_type == "BatchNormalization" && node.output[0].ends_with("_affine");
        let output = if relu {
            let next = nodes.next().unwrap();
            assert_eq!((next.op_type.as_str(), &next.input), ("Relu", &node.output));
            assert!(next.attribute.is_empty());
            &next.output[0]
        } else if node.op_type == "Div" {
            let rest = [(); 3].map(|()| nodes.next().unwrap());
            let id = reader.quantise([node, rest[0], rest[1], rest[2]]);
            reader.values.insert(&rest[2].output[0], id);
            continue;
        } else {
            &node.output[0]
        };
        let id = reader.node(node, relu);
        reader.values.insert(output, id);
    }
    let logits = reader.values["logits"];
    let classes: u32 = axes(&graph.output[0])[1].parse().unwrap();
    let input_scale = reader.input_scale;
    let (program, tensors) = reader.b.finish(logits, classes).unwrap();
    Network {
        program,
        tensors,
        input_scale,
        outputs: graph.output.iter().map(|o| o.name.clone()).collect(),
    }
}

/// What every reader of ONNX relies on: names are given once and before they are read, and numbers fill their shapes.
fn check(graph: &Graph) {
    assert_eq!(graph.input.len(), 1);
    let mut defined: BTreeSet<&str> = BTreeSet::from(["image"]);
    assert_eq!(graph.input[0].name, "image");
    let mut read: BTreeSet<&str> = BTreeSet::new();
    for tensor in &graph.initializer {
        assert!(!tensor.name.is_empty());
        assert!(defined.insert(&tensor.name), "{} twice", tensor.name);
        assert_eq!(tensor.data_type, proto::FLOAT);
        let count: i64 = tensor.dims.iter().product();
        assert_eq!(tensor.raw_data.len() as i64, count * 4, "{}", tensor.name);
    }
    let mut nodes = BTreeSet::new();
    for node in &graph.node {
        assert!(nodes.insert(&node.name), "node {} twice", node.name);
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            assert!(defined.contains(name.as_str()), "{name} is not defined");
            read.insert(name);
        }
        let [output] = node.output.as_slice() else {
            panic!("{} has {} outputs", node.name, node.output.len());
        };
        assert!(!output.is_empty() && defined.insert(output), "{output}");
    }
    for tensor in &graph.initializer {
        assert!(
            read.contains(tensor.name.as_str()),
            "{} unread",
            tensor.name
        );
    }
    for value in &graph.output {
        assert!(defined.contains(value.name.as_str()), "{}", value.name);
        assert_eq!(axes(value)[2..], axes(&graph.input[0])[2..]);
    }
}

/// Lengths or names of a value's axes.
pub(crate) fn axes(value: &ValueInfo) -> Vec<String> {
    let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    assert_eq!(tensor.elem_type, proto::FLOAT);
    let shape = tensor.shape.as_ref().unwrap();
    shape
        .dim
        .iter()
        .map(|d| match (&d.dim_value, &d.dim_param) {
            (Some(length), None) => length.to_string(),
            (None, Some(name)) => name.clone(),
            both => panic!("{}: an axis of {both:?}", value.name),
        })
        .collect()
}

struct Reader<'a> {
    b: Builder,
    constants: HashMap<&'a str, (Vec<usize>, Vec<f32>)>,
    tensors: HashMap<&'a str, TensorId>,
    values: HashMap<&'a str, ValueId>,
    input_scale: f32,
}

impl<'a> Reader<'a> {
    /// Four nodes that round to a grid.
    fn quantise(&mut self, nodes: [&'a Node; 4]) -> ValueId {
        let [divide, round, clip, multiply] = nodes;
        let operators = nodes.map(|node| node.op_type.as_str());
        assert_eq!(operators, ["Div", "Round", "Clip", "Mul"]);
        assert!(nodes.iter().all(|node| node.attribute.is_empty()));
        for (node, next) in nodes.iter().zip(&nodes[1..]) {
            assert_eq!(node.output[0], next.input[0]);
        }
        assert_eq!(round.input.len(), 1);
        assert_eq!(divide.input[1], multiply.input[1], "one scale");
        let [low, high] = [1, 2].map(|index| {
            let (shape, numbers) = &self.constants[clip.input[index].as_str()];
            assert!(shape.is_empty(), "{} has axes", clip.input[index]);
            numbers[0]
        });
        let precision = [Precision::U8, Precision::I16]
            .into_iter()
            .find(|precision| precision.range() == [low, high])
            .unwrap();
        let value = self.values[divide.input[0].as_str()];
        let scale = self.tensors[divide.input[1].as_str()];
        self.b.quantise(value, scale, precision)
    }

    /// Constants of a node that are the program's own.
    fn tensor_names(node: &'a Node) -> &'a [String] {
        match node.op_type.as_str() {
            "Conv" | "ConvTranspose" | "Div" => &node.input[1..],
            "BatchNormalization" => &node.input[1..3],
            _ => &[],
        }
    }

    fn node(&mut self, node: &'a Node, relu: bool) -> ValueId {
        let inputs: Vec<ValueId> = node
            .input
            .iter()
            .filter_map(|name| self.values.get(name.as_str()).copied())
            .collect();
        let tensors: Vec<TensorId> = Self::tensor_names(node)
            .iter()
            .map(|name| self.tensors[name.as_str()])
            .collect();
        let attributes = Attributes::of(node);
        let id = match (node.op_type.as_str(), inputs.as_slice()) {
            ("Conv", &[x]) => {
                let weight = &self.constants[node.input[1].as_str()].0;
                let [kernel, stride, padding] = attributes.window();
                assert_eq!([weight[2], weight[3]], [kernel as usize; 2]);
                self.b
                    .conv2d(x, tensors[0], tensors.get(1).copied(), stride, padding)
            }
            ("ConvTranspose", &[x]) => {
                assert_eq!(attributes.window(), [4, 2, 1]);
                self.b.up_conv2d(x, tensors[0], tensors.get(1).copied())
            }
            ("BatchNormalization", &[x]) => {
                let all = |name: &String, number: f32| {
                    let (shape, numbers) = &self.constants[name.as_str()];
                    let channels = &self.constants[node.input[1].as_str()].0;
                    shape == channels && numbers.iter().all(|&n| n == number)
                };
                assert_eq!(attributes.float("epsilon"), 0.0);
                assert!(all(&node.input[3], 0.0) && all(&node.input[4], 1.0));
                self.b.affine(x, tensors[0], tensors[1], relu)
            }
            ("Relu", &[x]) => self.b.relu(x),
            ("Add", &[a, b]) => self.b.add(a, b),
            ("MaxPool", &[x]) => {
                let [kernel, stride, padding] = attributes.window();
                self.b.max_pool2d(x, kernel, stride, padding)
            }
            ("Resize", &[x]) => {
                assert_eq!(node.input[1], "");
                let (_, factors) = &self.constants[node.input[2].as_str()];
                assert_eq!(factors, &[1.0, 1.0, 2.0, 2.0]);
                for (name, word) in [
                    ("mode", "nearest"),
                    ("coordinate_transformation_mode", "asymmetric"),
                    ("nearest_mode", "floor"),
                ] {
                    assert_eq!(attributes.word(name), word);
                }
                self.b.upsample2x(x)
            }
            ("Concat", &[a, b]) => {
                assert_eq!(attributes.int("axis"), 1);
                self.b.concat(a, b)
            }
            ("Softmax", &[x]) => {
                assert_eq!(attributes.int("axis"), 1);
                assert_eq!(node.output[0], "probabilities");
                self.b.softmax(x)
            }
            (other, inputs) => panic!("{other} of {} values", inputs.len()),
        };
        attributes.all_used(node);
        id
    }
}

/// The four kernels of 2 x 2 that a `ConvTranspose` with a kernel of 4 x 4, stride 2 and padding 1 is.
///
/// By the operator's definition the pixel `i` adds to row `r = 2 i - 1 + k` of the output through row `k` of the kernel. So the row
/// `2 n + p` gets what pixel `i` has through `k = 2 (n - i) + p + 1`, and sees the pixels `n + p - 1` and `n + p`, of which the program says
/// `a = 0` and `a = 1`.
fn four_kernels(shape: &[usize], one: &[f32]) -> (Vec<usize>, Vec<f32>) {
    let &[channels, out, 4, 4] = shape else {
        panic!("a kernel of {shape:?}");
    };
    let row = |phase: usize, tap: usize| {
        let pixel = phase as i32 - 1 + tap as i32;
        (2 * -pixel + phase as i32 + 1) as usize
    };
    let mut four = Vec::with_capacity(one.len());
    for [p, q] in [[0, 0], [0, 1], [1, 0], [1, 1]] {
        for o in 0..out {
            for c in 0..channels {
                for [a, b] in [[0, 0], [0, 1], [1, 0], [1, 1]] {
                    four.push(one[((c * out + o) * 4 + row(p, a)) * 4 + row(q, b)]);
                }
            }
        }
    }
    (vec![4 * out, channels, 2, 2], four)
}

/// A node's settings, each to be asked for once.
struct Attributes<'a>(std::cell::RefCell<HashMap<&'a str, &'a Attribute>>);

impl<'a> Attributes<'a> {
    fn of(node: &'a Node) -> Self {
        let all: HashMap<_, _> = node
            .attribute
            .iter()
            .map(|a| (a.name.as_str(), a))
            .collect();
        assert_eq!(all.len(), node.attribute.len(), "{}", node.name);
        Self(all.into())
    }

    fn take(&self, name: &str, kind: i32) -> &'a Attribute {
        let attribute = self.0.borrow_mut().remove(name).unwrap();
        assert_eq!(attribute.r#type, kind, "{name}");
        attribute
    }

    fn int(&self, name: &str) -> i64 {
        self.take(name, kind::INT).i.unwrap()
    }

    fn float(&self, name: &str) -> f32 {
        self.take(name, kind::FLOAT).f.unwrap()
    }

    fn word(&self, name: &str) -> &'a str {
        let word = self.take(name, kind::STRING).s.as_deref().unwrap();
        std::str::from_utf8(word).unwrap()
    }

    /// The one number that is there `times` times.
    fn same(&self, name: &str, times: usize) -> u32 {
        let ints = &self.take(name, kind::INTS).ints;
        assert_eq!(ints, &vec![ints[0]; times], "{name}");
        u32::try_from(ints[0]).unwrap()
    }

    /// Kernel, stride, padding.
    fn window(&self) -> [u32; 3] {
        [
            self.same("kernel_shape", 2),
            self.same("strides", 2),
            self.same("pads", 4),
        ]
    }

    fn all_used(&self, node: &Node) {
        let left: Vec<_> = self.0.borrow().keys().map(ToString::to_string).collect();
        assert!(left.is_empty(), "{} has {left:?}", node.op_type);
    }
}
