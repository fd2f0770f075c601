//! Named disasters: signed packages, each wrong in one way, and the sentence that refuses it.

use nephrobox_engine::executor::Arithmetic;
use nephrobox_engine::package::Model;
use nephrobox_engine::program::{
    Op, Precision, Program, Tensor, TensorId, ValueId,
};
use nephrobox_shared::package::{Manifest, SelfTest};

use crate::forge::{Parts, RawTensor};
use crate::road::{self, SIDE, assert_little_memory, go, manifest};

/// A package and the sentence that it ends in, for both executors or for one.
struct Disaster {
    name: &'static str,
    package: Parts,
    with: &'static [Arithmetic],
    sentence: &'static str,
}

const BOTH: &[Arithmetic] = &[Arithmetic::Int8, Arithmetic::F32];
const INT8: &[Arithmetic] = &[Arithmetic::Int8];
const F32: &[Arithmetic] = &[Arithmetic::F32];

/// The small package with another manifest.
fn said(change: impl FnOnce(&mut Manifest)) -> Parts {
    let mut manifest = manifest();
    change(&mut manifest);
    Parts {
        manifest: postcard::to_stdvec(&manifest).unwrap(),
        ..Parts::of(&road::small())
    }
}

/// The small package with other tensors.
fn with_tensor(number: usize, change: impl FnOnce(&mut RawTensor)) -> Parts {
    let mut parts = Parts::of(&road::small());
    change(&mut parts.tensors[number]);
    parts
}

/// A program that nobody has checked.
struct Raw {
    program: Program,
    tensors: Vec<Tensor>,
}

impl Raw {
    fn new() -> Self {
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

    fn tensor(&mut self, shape: &[usize], value: f32) -> TensorId {
        let values = vec![value; shape.iter().product()];
        self.add(Tensor::f32("t", shape.to_vec(), values).unwrap())
    }

    fn add(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() as u32 - 1)
    }

    fn push(&mut self, op: impl FnOnce(ValueId) -> Op) -> ValueId {
        let output = ValueId(self.program.ops.len() as u32 + 1);
        self.program.ops.push(op(output));
        output
    }

    fn conv(&mut self, input: ValueId, weight: TensorId, padding: u32) -> ValueId {
        self.push(|output| Op::Conv2d {
            input,
            output,
            weight,
            bias: None,
            stride: 1,
            padding,
        })
    }

    fn relu(&mut self, input: ValueId) -> ValueId {
        self.push(|output| Op::Relu { input, output })
    }

    fn sum(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.push(|output| Op::Add { a, b, output })
    }

    fn quantise(&mut self, input: ValueId, scale: f32) -> ValueId {
        let scale = self.tensor(&[1], scale);
        self.push(|output| Op::Quantise {
            input,
            output,
            scale,
            precision: Precision::U8,
        })
    }

    /// Three logits by a 1 x 1 convolution of a value with so many channels, and the package.
    fn head(mut self, input: ValueId, channels: usize) -> Parts {
        let weight = self.tensor(&[3, channels, 1, 1], 0.01);
        let logits = self.conv(input, weight, 0);
        self.logits(logits)
    }

    fn logits(mut self, logits: ValueId) -> Parts {
        self.program.output = logits;
        Parts::new(&manifest(), &self.program, &self.tensors)
    }
}

/// The small program with one thing changed.
fn programmed(change: impl FnOnce(&mut Program)) -> Parts {
    let model = road::small();
    let mut program = model.program().clone();
    change(&mut program);
    Parts {
        program: program.to_bytes().unwrap(),
        ..Parts::of(&model)
    }
}

/// The small program with one field of its first convolution changed.
fn first_conv(change: impl FnOnce(&mut TensorId, &mut u32, &mut u32)) -> Parts {
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

fn large(mut parts: Parts, side: usize) -> Parts {
    let mut manifest = manifest();
    (manifest.input.preprocess.rows, manifest.input.preprocess.cols) = (side, side);
    parts.manifest = postcard::to_stdvec(&manifest).unwrap();
    parts
}

/// The manifest's interpolation becomes one that there is not.
fn unknown_interpolation() -> Parts {
    let mut parts = said(|_| ());
    let known = manifest();
    let window = known.input.preprocess.window;
    let before = (known.name, known.version, known.encoder, window.low_hu, window.high_hu);
    let at = postcard::to_stdvec(&before).unwrap().len();
    parts.manifest[at] = 9;
    parts
}

fn wrong_manifests() -> Vec<Disaster> {
    let refused = |name, package, sentence| Disaster {
        name,
        package,
        with: BOTH,
        sentence,
    };
    let test = |m: &mut Manifest, change: &dyn Fn(&mut SelfTest)| change(&mut m.self_test[0]);
    vec![
        refused(
            "an image of 2^62 rows",
            said(|m| (m.input.preprocess.rows, m.input.preprocess.cols) = (1 << 62, 1)),
            "the preprocessing in the package's manifest makes images of more than 4096 pixels a side; export the model again",
        ),
        refused(
            "an image of 1,000,000,000 columns",
            said(|m| m.input.preprocess.cols = 1_000_000_000),
            "the preprocessing in the package's manifest makes images of more than 4096 pixels a side; export the model again",
        ),
        refused(
            "an image without rows",
            said(|m| m.input.preprocess.rows = 0),
            "the preprocessing in the package's manifest has an empty window or size; export the model again",
        ),
        refused(
            "a window upside down",
            said(|m| m.input.preprocess.window.low_hu = i16::MAX),
            "the preprocessing in the package's manifest has an empty window or size; export the model again",
        ),
        refused(
            "an interpolation that there is not",
            unknown_interpolation(),
            "the package's manifest cannot be decoded; export the model again",
        ),
        refused(
            "an image that is no whole number of tiles",
            said(|m| m.input.preprocess.rows = SIDE + 1),
            "the model cannot run: images of 33 x 32 pixels do not fit the program; both numbers must be positive multiples of 4 up to 65536; export the model again",
        ),
        refused(
            "a pixel times nothing",
            said(|m| m.input.scale = 0),
            "the input scale in the package's manifest is neither 1 nor 255; export the model again",
        ),
        refused(
            "more channels than there are neighbours",
            said(|m| m.input.channels = 200),
            "the number of input channels in the package's manifest is none of 1, 2 and 3; export the model again",
        ),
        refused(
            "a manifest of another network",
            said(|m| m.input.channels = 3),
            "the model's manifest speaks of 3 input channels and its program has 1; export the model again",
        ),
        refused(
            "a class that no label means",
            said(|m| m.classes[2].label = 9),
            "the class map in the package's manifest is not background, kidney, tumour; export the model again",
        ),
        refused(
            "a self-test slice of another size than its pixels",
            said(|m| test(m, &|t| t.rows += 1)),
            "a self-test slice in the package's manifest does not have the pixels of its size; export the model again",
        ),
        refused(
            "a self-test without its label map",
            said(|m| test(m, &|t| t.labels.clear())),
            "a self-test slice in the package's manifest does not have the pixels of its size; export the model again",
        ),
        refused(
            "a self-test slice of 2^64 pixels that has none",
            said(|m| {
                m.self_test[0] = SelfTest {
                    rows: u32::MAX,
                    cols: u32::MAX,
                    hu: Vec::new(),
                    labels: Vec::new(),
                }
            }),
            "a self-test slice in the package's manifest does not have 1 to 4096 pixels a side; export the model again",
        ),
        refused(
            "a self-test label that is no class",
            said(|m| test(m, &|t| t.labels[0] = 3)),
            "a self-test label map in the package's manifest holds a label other than 0, 1 and 2; export the model again",
        ),
        refused(
            "a self-test that takes all day",
            said(|m| {
                let one = SelfTest {
                    rows: 1,
                    cols: 1,
                    hu: vec![0],
                    labels: vec![0],
                };
                m.self_test = vec![one; 100_000];
            }),
            "the self-test in the package's manifest has more than 64 slices; export the model again",
        ),
        refused(
            "a Dice that is no number",
            said(|m| {
                let mut scores = nephrobox_shared::metrics::Scores::default();
                scores.paper.tumour.dice = Some(f64::NAN);
                m.scores.int8 = Some(scores);
            }),
            "a test score in the package's manifest is not a number from 0 to 1; export the model again",
        ),
        refused(
            "a name that moves the cursor",
            said(|m| m.name = "\u{1b}[2Jall is well".into()),
            "the model's name in the package's manifest is longer than 128 bytes or holds control characters; export the model again",
        ),
        refused(
            "a manifest of 33 MiB",
            {
                let mut parts = said(|_| ());
                parts.manifest.resize(33 << 20, 0);
                parts
            },
            "the package's manifest has 34603008 bytes and at most 33554432 are possible; export the model again",
        ),
        refused(
            "a program of 2 MiB",
            {
                let mut parts = said(|_| ());
                parts.program.resize(2 << 20, 0);
                parts
            },
            "the package's program has 2097152 bytes and at most 1048576 are possible; export the model again",
        ),
    ]
}

fn wrong_tensors() -> Vec<Disaster> {
    let refused = |name, package, sentence| Disaster {
        name,
        package,
        with: BOTH,
        sentence,
    };
    let kernel = Parts::of(&road::small())
        .tensors
        .iter()
        .position(|t| t.dtype == 2)
        .unwrap();
    let grid = Parts::of(&road::small())
        .tensors
        .iter()
        .position(|t| t.rank == 1 && t.axes[0] == 1)
        .unwrap();
    let to = |number: f32| with_tensor(grid, |t| t.data = number.to_le_bytes().to_vec());
    let scaled = |number: f32| with_tensor(kernel, |t| t.scales[0] = number);
    vec![
        refused(
            "a kernel of fewer bytes than its shape",
            with_tensor(kernel, |t| t.data.truncate(7)),
            "tensor 0 of the package is unusable: its shape asks for 45 bytes and it has 7",
        ),
        refused(
            "a kernel of four thousand million channels",
            with_tensor(kernel, |t| t.axes[1] = u32::MAX),
            "tensor 0 of the package is unusable: its shape asks for 193273528275 bytes and it has 45",
        ),
        refused(
            "a number format that there is not",
            with_tensor(kernel, |t| t.dtype = 7),
            "tensor 0 of the package is unusable: its number format 7 is unknown",
        ),
        refused(
            "a kernel with too few scales",
            with_tensor(kernel, |t| t.scales.truncate(1)),
            "tensor 0 of the package is unusable: its scales are not one finite positive number for each output channel",
        ),
        refused(
            "a kernel without scales",
            with_tensor(kernel, |t| t.scales.clear()),
            "tensor t1 of shape [5, 1, 3, 3] has 0 numbers or scales where 5 belong; export the model again",
        ),
        refused(
            "a scale of 0",
            scaled(0.0),
            "tensor 0 of the package is unusable: its scales are not one finite positive number for each output channel",
        ),
        refused(
            "a negative scale",
            scaled(-0.5),
            "tensor 0 of the package is unusable: its scales are not one finite positive number for each output channel",
        ),
        refused(
            "a scale that is no number",
            scaled(f32::NAN),
            "tensor 0 of the package is unusable: its scales are not one finite positive number for each output channel",
        ),
        refused(
            "a scale below the smallest normal number",
            scaled(1e-40),
            "tensor t1 holds a number that is infinite, not a number, or out of its storage's range; export the model again",
        ),
        refused(
            "a scale whose largest weight is infinite",
            scaled(3e38),
            "tensor t1 holds a number that is infinite, not a number, or out of its storage's range; export the model again",
        ),
        refused(
            "a weight of -128",
            with_tensor(kernel, |t| t.data[3] = 0x80),
            "tensor t1 holds a number that is infinite, not a number, or out of its storage's range; export the model again",
        ),
        refused(
            "a grid of steps of 0",
            to(0.0),
            "the model's program is unusable: operation 0 (quantise) rounds to a grid of steps of 0e0; a normal number above 0 is needed whose grid is finite; export the model again",
        ),
        refused(
            "a grid that runs backwards",
            to(-0.1),
            "the model's program is unusable: operation 0 (quantise) rounds to a grid of steps of -1e-1; a normal number above 0 is needed whose grid is finite; export the model again",
        ),
        refused(
            "a grid finer than normal numbers",
            to(1e-42),
            "the model's program is unusable: operation 0 (quantise) rounds to a grid of steps of 1e-42; a normal number above 0 is needed whose grid is finite; export the model again",
        ),
        refused(
            "a grid that ends beyond all numbers",
            to(1e37),
            "the model's program is unusable: operation 0 (quantise) rounds to a grid of steps of 1e37; a normal number above 0 is needed whose grid is finite; export the model again",
        ),
        refused(
            "a bias that is no number",
            with_tensor(grid, |t| t.data = f32::NAN.to_le_bytes().to_vec()),
            "holds a number that is infinite, not a number, or out of its storage's range; export the model again",
        ),
    ]
}

fn wrong_programs() -> Vec<Disaster> {
    let refused = |name, package, sentence| Disaster {
        name,
        package,
        with: BOTH,
        sentence,
    };
    vec![
        refused(
            "no operation at all",
            programmed(|p| p.ops.clear()),
            "the program has 0 operations; 1 to 4096 are possible",
        ),
        refused(
            "five thousand rectifiers",
            {
                let mut raw = Raw::new();
                let x = (0..5000).fold(ValueId::INPUT, |x, _| raw.relu(x));
                raw.head(x, 1)
            },
            "the program has 5001 operations; 1 to 4096 are possible",
        ),
        refused(
            "tiles of 2,048 pixels",
            programmed(|p| p.multiple = 2048),
            "the program's input multiple is 2048; it must be in 1 to 1024",
        ),
        refused(
            "more classes than labels",
            programmed(|p| p.classes = 1000),
            "the program's number of classes is 1000; it must be in 1 to 64",
        ),
        refused(
            "a value that nothing makes",
            programmed(|p| p.ops.swap(0, 1)),
            "which nothing before it defines",
        ),
        refused(
            "a value that makes itself",
            {
                let mut raw = Raw::new();
                raw.relu(ValueId(1));
                raw.head(ValueId(1), 1)
            },
            "operation 0 (relu) reads v1, which nothing before it defines",
        ),
        refused(
            "a value made twice",
            programmed(|p| p.ops.insert(1, p.ops[0].clone())),
            "operation 1 (quantise) defines v1, which is defined already or numbered too high",
        ),
        refused(
            "logits that are not there",
            programmed(|p| {
                p.ops.pop();
                p.output = ValueId(u32::MAX);
            }),
            "the logits v4294967295 are not defined where [3, 4n, 4n] belong",
        ),
        refused(
            "the image as logits",
            programmed(|p| {
                p.ops.pop();
                (p.output, p.classes) = (ValueId::INPUT, 1);
            }),
            "the logits v0 are the image itself where [1, 4n, 4n] belong",
        ),
        refused(
            "a tensor that is not there",
            first_conv(|weight, _, _| weight.0 = 4_000_000),
            "operation 1 (conv2d) reads tensor t4000000, which does not exist",
        ),
        refused(
            "a tensor of another shape",
            first_conv(|weight, _, _| weight.0 = 1),
            "operation 1 (conv2d) cannot use tensor t1 of shape",
        ),
        refused(
            "a stride of 0",
            first_conv(|_, stride, _| *stride = 0),
            "operation 1 (conv2d) has kernel 3, stride 0, padding 1;",
        ),
        refused(
            "a stride that leaves pixels over",
            first_conv(|_, stride, _| *stride = 3),
            "operation 1 (conv2d) on 4n pixels has no result for every input size that is a multiple of 4",
        ),
        refused(
            "a padding of four thousand million pixels",
            first_conv(|_, _, padding| *padding = u32::MAX),
            "operation 1 (conv2d) has kernel 3, stride 1, padding 4294967295;",
        ),
        refused(
            "a kernel of 33 pixels",
            {
                let mut raw = Raw::new();
                let weight = raw.tensor(&[3, 1, 33, 33], 0.0);
                let logits = raw.conv(ValueId::INPUT, weight, 16);
                raw.logits(logits)
            },
            "operation 0 (conv2d) has kernel 33, stride 1, padding 16;",
        ),
        refused(
            "probabilities in the middle",
            programmed(|p| {
                if let Op::Quantise { input, output, .. } = p.ops[0] {
                    p.ops[0] = Op::Softmax { input, output };
                }
            }),
            "operation 0 is a softmax, which may only come last and on the logits",
        ),
        refused(
            "a tensor for nothing",
            {
                let mut parts = Parts::of(&road::small());
                parts.tensors.push(parts.tensors[0].clone());
                parts
            },
            "is read by no operation; export the model again",
        ),
        refused(
            "a hundred values of 65,536 channels",
            {
                let mut raw = Raw::new();
                let weight = raw.tensor(&[65_536, 1, 1, 1], 0.0);
                let x = raw.conv(ValueId::INPUT, weight, 0);
                let x = (0..100).fold(x, |x, _| raw.relu(x));
                raw.head(x, 65_536)
            },
            "the program's values have 6619140 channels together; at most 4194304 are possible",
        ),
        refused(
            "one megabyte of weights, used two thousand times",
            {
                let mut raw = Raw::new();
                let values = vec![1; 1 << 18];
                let data = nephrobox_engine::program::Data::I8 {
                    values,
                    scales: vec![0.01; 512],
                };
                let widen = raw.tensor(&[512, 1, 1, 1], 0.1);
                let weight = raw.add(Tensor::new("t", vec![512, 512, 1, 1], data).unwrap());
                let x = raw.conv(ValueId::INPUT, widen, 0);
                let x = (0..2000).fold(x, |x, _| raw.conv(x, weight, 0));
                raw.head(x, 512)
            },
            "the program's operations read 524290048 numbers of tensors; at most 134217728 are possible",
        ),
        refused(
            "values of 64 GiB",
            {
                let mut raw = Raw::new();
                let weight = raw.tensor(&[1024, 1, 1, 1], 0.0);
                let x = raw.conv(ValueId::INPUT, weight, 0);
                large(raw.head(x, 1024), 4096)
            },
            "the model cannot run: the values of one slice would take 68920803328 bytes; at most 4294967296 are allowed; export the model again",
        ),
        refused(
            "a slice that takes a day",
            {
                let mut raw = Raw::new();
                let [widen, weight] = [[16, 1, 1, 1], [16, 16, 31, 31]].map(|s| raw.tensor(&s, 0.0));
                let x = raw.conv(ValueId::INPUT, widen, 0);
                let x = (0..100).fold(x, |x, _| raw.conv(x, weight, 15));
                large(raw.head(x, 16), 4096)
            },
            "the model cannot run: one slice would take 412754947080192 multiplications; at most 1099511627776 are allowed; export the model again",
        ),
    ]
}

/// Programs that are sound, and that an executor refuses before it takes memory.
fn programs_for_no_executor() -> Vec<Disaster> {
    let quantised = |raw: &mut Raw| {
        let image = raw.quantise(ValueId::INPUT, 0.004);
        let weight = raw.tensor(&[3, 1, 1, 1], 0.01);
        raw.conv(image, weight, 0)
    };
    let unrounded = "is not quantised in a way that the integer executor knows; quantise the model, or run it in floating point";
    let overflow = "a convolution has so many or so large weights that its sums might overflow; quantise the model again";
    let far = "the grids or factors around an operation are so far apart that its results might be no numbers; quantise the model again";
    vec![
        Disaster {
            name: "a sum that doubles with each addition",
            package: {
                let mut raw = Raw::new();
                let x = quantised(&mut raw);
                let x = (0..40).fold(x, |x, _| raw.sum(x, x));
                raw.logits(x)
            },
            with: INT8,
            sentence: unrounded,
        },
        Disaster {
            name: "a sum of eighty frames",
            package: {
                let mut raw = Raw::new();
                let [widen, five] = [[16, 1, 1, 1], [3, 16, 5, 5]].map(|s| raw.tensor(&s, 0.0));
                let wide = raw.conv(ValueId::INPUT, widen, 0);
                let sum = raw.conv(wide, five, 2);
                let sum = (1..80).fold(sum, |sum, _| {
                    let next = raw.conv(wide, five, 2);
                    raw.sum(sum, next)
                });
                large(raw.logits(sum), 1024)
            },
            with: F32,
            sentence: "bytes of memory; at most 4294967296 are allowed",
        },
        Disaster {
            name: "values of one channel, which integers fill up to sixteen",
            package: {
                let mut raw = Raw::new();
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let [one, three] = [[1, 1, 1, 1], [3, 1, 1, 1]].map(|s| raw.tensor(&s, 0.01));
                let values: Vec<_> = (0..20)
                    .map(|_| {
                        let x = raw.conv(image, one, 0);
                        raw.quantise(x, 0.004)
                    })
                    .collect();
                let sums: Vec<_> = values.iter().map(|&x| raw.conv(x, three, 0)).collect();
                let x = sums[1..].iter().fold(sums[0], |x, &next| raw.sum(x, next));
                large(raw.logits(x), 4096)
            },
            with: INT8,
            sentence: "bytes of memory; at most 4294967296 are allowed",
        },
        Disaster {
            name: "a factor between grids that is infinite",
            package: {
                let mut raw = Raw::new();
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let three = raw.tensor(&[3, 1, 1, 1], 0.01);
                let x = raw.conv(image, three, 0);
                let x = raw.quantise(x, 1e36);
                let x = raw.quantise(x, 1e-37);
                raw.head(x, 3)
            },
            with: INT8,
            sentence: far,
        },
        Disaster {
            name: "logits that are infinite",
            package: {
                let mut raw = Raw::new();
                let image = raw.quantise(ValueId::INPUT, 1e36);
                let weight = raw.tensor(&[3, 1, 1, 1], 1e30);
                let x = raw.conv(image, weight, 0);
                raw.logits(x)
            },
            with: INT8,
            sentence: far,
        },
        Disaster {
            name: "a sum of zeros, infinitely coarser than what is added",
            package: {
                let mut raw = Raw::new();
                let dead = nephrobox_engine::program::Data::I8 {
                    values: vec![0; 3],
                    scales: vec![1e35; 3],
                };
                let fine = nephrobox_engine::program::Data::I8 {
                    values: vec![1; 3],
                    scales: vec![1e-37; 3],
                };
                let [dead, fine] = [dead, fine]
                    .map(|data| raw.add(Tensor::new("t", vec![3, 1, 1, 1], data).unwrap()));
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let [a, b] = [dead, fine].map(|weight| raw.conv(image, weight, 0));
                let x = raw.sum(a, b);
                raw.logits(x)
            },
            with: INT8,
            sentence: far,
        },
        // What was added before takes half of the room there is and these weights more than half: they cannot become coarser, as they would
        // in a sum with room, and in one of four phases they need not.
        Disaster {
            name: "weights that have no room to become coarser",
            package: {
                let mut raw = Raw::new();
                raw.program.multiple = 2;
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let [widen, half] = [[2048, 1, 1, 1], [2048, 1, 2, 2]].map(|s| raw.tensor(&s, 1.0));
                let x = raw.conv(image, widen, 0);
                let x = raw.quantise(x, 0.004);
                let low = raw.push(|output| Op::Conv2d {
                    input: image,
                    output,
                    weight: half,
                    bias: None,
                    stride: 2,
                    padding: 0,
                });
                let low = raw.quantise(low, 0.004);
                // Of four phases only the last has weights.
                let mut values = vec![0; 12 * 2048 * 4];
                values[9 * 2048 * 4..].fill(127);
                let up = nephrobox_engine::program::Data::I8 {
                    values,
                    scales: vec![0.02; 12],
                };
                let up = raw.add(Tensor::new("t", vec![12, 2048, 2, 2], up).unwrap());
                let plain = nephrobox_engine::program::Data::I8 {
                    values: vec![-127; 3 * 2048 * 9],
                    scales: vec![0.01; 3],
                };
                let plain = raw.add(Tensor::new("t", vec![3, 2048, 3, 3], plain).unwrap());
                let a = raw.push(|output| Op::UpConv2d {
                    input: low,
                    output,
                    weight: up,
                    bias: None,
                });
                let b = raw.conv(x, plain, 1);
                let sum = raw.sum(a, b);
                raw.logits(sum)
            },
            with: INT8,
            sentence: overflow,
        },
        Disaster {
            name: "a convolution of so many weights that its sums overflow",
            package: {
                let mut raw = Raw::new();
                let image = raw.quantise(ValueId::INPUT, 0.004);
                let [widen, all] = [[4096, 1, 1, 1], [3, 4096, 3, 3]].map(|s| raw.tensor(&s, 1.0));
                let x = raw.conv(image, widen, 0);
                let x = raw.quantise(x, 0.004);
                let x = raw.conv(x, all, 1);
                raw.logits(x)
            },
            with: INT8,
            sentence: overflow,
        },
    ]
}

#[test]
fn each_disaster_is_refused_in_its_words() {
    let all: Vec<Disaster> = [
        wrong_manifests(),
        wrong_tensors(),
        wrong_programs(),
        programs_for_no_executor(),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(all.len() >= 60, "{} disasters", all.len());
    let mut wrong = Vec::new();
    for Disaster {
        name,
        package,
        with,
        sentence,
    } in all
    {
        let package = package.signed();
        let why = go(&package, &[]).err().unwrap_or_else(|| {
            // The model is sound in itself, and it is for the executors to refuse it.
            let model = Model::from_bytes(&package).unwrap().model;
            let refusals = with.iter().map(|&a| road::refusal(model.clone(), a));
            let refusals: Option<Vec<_>> = refusals.collect();
            let first = refusals.and_then(|all| all.into_iter().next());
            first.map_or("is taken".to_owned(), |error| error.to_string())
        });
        if !why.contains(sentence) {
            wrong.push(format!("{name}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_little_memory();
}
