//! From layers to steps of the kernels: where values lie, which algorithm convolves, weights in the kernels' order.

use std::ops::Range;

use super::graph::{Layer, Sum, Term as Convolution, layers};
use super::method::{Method, method};
use crate::cpu::arena::{self, Request};
use crate::cpu::kernels::KernelSet;
use crate::cpu::kernels::f32::{
    Buffer, Concat, Direct, Double, Finish, Flat, FlatKind, Frame, LINE, Layout, Pool, Region,
    Schedule, Second, Step, Term, Window, Winograd, panels,
};
use crate::program::{FitError, Plan, Program, Supply, TensorId, Tensors, ValueId, affordable};

/// A program for images of one size, ready to run.
pub(super) struct Lowered {
    pub(super) schedule: Schedule,
    /// For each layer the values it defines, and its steps.
    pub(super) layers: Vec<(Vec<ValueId>, Range<usize>)>,
    /// Where each value lies while it is alive; `None` for those that are never stored.
    pub(super) values: Vec<Option<Region>>,
}

/// Why a program is not lowered.
pub(super) enum Shortage {
    /// It would take more memory than an executor may.
    Limit(FitError),
    /// The system has no memory for it.
    System,
}

/// Lowers a checked program. Each tensor is dropped as soon as it is packed.
///
/// What it will take is computed and compared with [`MAX_MEMORY_BYTES`](crate::program::MAX_MEMORY_BYTES) before anything is packed.
pub(super) fn lower(
    program: &Program,
    tensors: Tensors,
    plan: &Plan,
    size: [usize; 2],
    options: Options,
) -> Result<Lowered, Shortage> {
    let tiles = size.map(|n| n / program.multiple as usize);
    let layers = layers(program, &tensors, options.fuse);
    let shapes: Vec<Shape> = (0..plan.values())
        .map(|value| {
            let shape = plan.shape(ValueId(value as u32));
            Shape {
                size: tiles.map(|n| shape.extent.at(n)),
                channels: shape.channels,
            }
        })
        .collect();
    let kernels: Vec<usize> = tensors
        .iter()
        .map(|tensor| tensor.shape().last().copied().unwrap_or(0))
        .collect();
    let lowering = Lowering {
        kernels: &kernels,
        shapes: &shapes,
        options,
    };
    let supply = Supply::new(tensors, layers.iter().flat_map(Layer::tensors));
    lowering.run(program, &layers, supply)
}

/// How to lower.
#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) kernels: KernelSet,
    pub(super) threads: usize,
    pub(super) fuse: bool,
}

/// Shape of a value for images of the chosen size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) size: [usize; 2],
    pub(super) channels: usize,
}

impl Shape {
    pub(super) const fn pixels(self) -> usize {
        self.size[0] * self.size[1]
    }

    const fn len(self) -> usize {
        self.pixels() * self.channels
    }
}

pub(super) struct Lowering<'a> {
    /// Rows and columns of the kernel, for each tensor that is one.
    kernels: &'a [usize],
    shapes: &'a [Shape],
    pub(super) options: Options,
}

impl Lowering<'_> {
    pub(super) fn shape(&self, value: ValueId) -> Shape {
        self.shapes[value.index()]
    }

    fn run(
        &self,
        program: &Program,
        layers: &[Layer],
        supply: Supply,
    ) -> Result<Lowered, Shortage> {
        // A value that nobody reads lives while it is written. The image is there before the first layer, the logits stay.
        let mut spans: Vec<Option<[usize; 2]>> = vec![None; self.shapes.len()];
        spans[ValueId::INPUT.index()] = Some([0, 0]);
        for (step, layer) in layers.iter().enumerate() {
            for value in layer.outputs() {
                spans[value.index()] = Some([step, step]);
            }
            for value in layer.inputs() {
                if let Some(span) = &mut spans[value.index()] {
                    span[1] = step;
                }
            }
        }
        if let Some(span) = &mut spans[program.output.index()] {
            span[1] = layers.len();
        }
        let methods: Vec<Option<Method>> = layers
            .iter()
            .map(|layer| match layer {
                Layer::Sum(sum) => Some(method(self, sum)),
                _ => None,
            })
            .collect();
        let mut requests = Vec::new();
        let mut request = |len: usize, [first, last]: [usize; 2]| {
            let bytes = len * size_of::<f32>();
            requests.push(Request { bytes, first, last });
        };
        for (shape, span) in self.shapes.iter().zip(&spans) {
            if let Some(span) = *span {
                request(shape.len(), span);
            }
        }
        for (step, method) in methods.iter().enumerate() {
            request(method.as_ref().map_or(0, |m| m.scratch), [step, step]);
        }
        let (starts, bytes) = arena::place(&requests);
        let constants = layers
            .iter()
            .zip(&methods)
            .map(|(layer, method)| match layer {
                // Scale and shift, each repeated up to sixteen times.
                Layer::Affine { input, .. } => 128 * self.shape(*input).channels as u64,
                _ => method.as_ref().map_or(0, |method| method.constants),
            });
        let constants: u64 = constants.sum();
        affordable(constants.checked_add(bytes as u64)).map_err(Shortage::Limit)?;
        let mut starts = starts.into_iter().map(|start| start / size_of::<f32>());
        let mut next = || starts.next().expect("one start for each request");
        let values: Vec<Option<Region>> = self
            .shapes
            .iter()
            .zip(&spans)
            .map(|(shape, span)| {
                span.map(|_| Region {
                    start: next(),
                    len: shape.len(),
                })
            })
            .collect();
        let mut writer = Writer {
            lowering: self,
            values: &values,
            supply,
            steps: Vec::new(),
        };
        let mut ranges = Vec::new();
        for (layer, method) in layers.iter().zip(&methods) {
            let first = writer.steps.len();
            let written = writer.layer(layer, method.as_ref(), next());
            written.ok_or(Shortage::System)?;
            ranges.push((layer.outputs(), first..writer.steps.len()));
        }
        let steps = writer.steps;
        let Options {
            kernels, threads, ..
        } = self.options;
        let schedule = Schedule::new(steps, bytes / size_of::<f32>(), kernels, threads);
        Ok(Lowered {
            schedule: schedule.ok_or(Shortage::System)?,
            layers: ranges,
            values,
        })
    }
}

struct Writer<'a> {
    lowering: &'a Lowering<'a>,
    values: &'a [Option<Region>],
    supply: Supply,
    steps: Vec<Step>,
}

/// Numbers that follow a sum, by channel.
struct Ends {
    bias: Option<Vec<f32>>,
    /// Scale and shift of what is stored beside it.
    beside: Option<[Vec<f32>; 2]>,
}

impl Writer<'_> {
    fn region(&self, value: ValueId) -> Region {
        self.values[value.index()].expect("what a layer reads or writes is stored")
    }

    fn take(&mut self, id: TensorId) -> Vec<f32> {
        self.supply.take(id).into_f32()
    }

    fn layer(&mut self, layer: &Layer, method: Option<&Method>, scratch: usize) -> Option<()> {
        let shape = |value| self.lowering.shape(value);
        let step = match *layer {
            Layer::Sum(ref sum) => return self.sum(sum, method?, scratch),
            Layer::Affine { input, beside } => {
                let [scale, shift] = [beside.scale, beside.shift].map(|id| self.take(id));
                let kind = FlatKind::affine(&scale, &shift, beside.relu);
                self.flat(input, beside.output, kind)
            }
            Layer::Relu { input, output } => self.flat(input, output, FlatKind::Relu),
            Layer::Add { a, b, output } => self.flat(a, output, FlatKind::Add(self.region(b))),
            Layer::Quantise {
                input,
                output,
                scale,
                precision,
            } => {
                let scale = *self.take(scale).first()?;
                let range = precision.range();
                self.flat(input, output, FlatKind::Quantise { scale, range })
            }
            Layer::Pool {
                input,
                output,
                kernel,
                stride,
                padding,
            } => Step::Pool(Pool {
                input: self.region(input).start,
                output: self.region(output).start,
                from: shape(input).size,
                to: shape(output).size,
                channels: shape(input).channels,
                kernel,
                stride,
                padding,
            }),
            Layer::Double { input, output } => Step::Double(Double {
                input: self.region(input).start,
                output: self.region(output).start,
                size: shape(input).size,
                channels: shape(input).channels,
            }),
            Layer::Concat { a, b, output } => Step::Concat(Concat {
                parts: [a, b].map(|part| (self.region(part).start, shape(part).channels)),
                output: self.region(output).start,
                pixels: shape(output).pixels(),
            }),
        };
        self.steps.push(step);
        Some(())
    }

    fn flat(&self, input: ValueId, output: ValueId, kind: FlatKind) -> Step {
        Step::Flat(Flat {
            input: self.region(input),
            output: self.region(output),
            kind,
        })
    }

    /// Writes a sum: frames around what needs them, then one step for each algorithm, each adding to the one before.
    fn sum(&mut self, sum: &Sum, method: &Method, scratch: usize) -> Option<()> {
        let result = sum.result()?;
        let shape = self.lowering.shape(result);
        let ends = self.ends(sum, shape.channels);
        if sum.phases {
            return self.phases(sum, &ends, shape, scratch);
        }
        let pick = |numbers: &[usize]| -> Vec<Convolution> {
            numbers.iter().map(|&n| sum.terms[n]).collect()
        };
        let (fewer, plain) = (pick(&method.winograd), pick(&method.direct));
        let whole = Layout::dense(self.region(result).start, shape.size[1], shape.channels);
        if !fewer.is_empty() {
            let finish = if plain.is_empty() {
                self.finish(sum, &ends, whole, sum.add)
            } else {
                Finish {
                    relu: false,
                    sums: true,
                    second: None,
                    ..self.finish(sum, &ends, whole, sum.add)
                }
            };
            let scratch = Region {
                start: scratch,
                len: method.scratch,
            };
            let step = self.winograd(&fewer, shape.size, finish, (method.tiling, scratch))?;
            self.steps.push(Step::Winograd(step));
        }
        if !plain.is_empty() {
            let finish = if fewer.is_empty() {
                self.finish(sum, &ends, whole, sum.add)
            } else {
                Finish {
                    bias: None,
                    ..self.finish(sum, &ends, whole, Some(result))
                }
            };
            let step = self.direct(&plain, shape.size, finish, scratch)?;
            self.steps.push(Step::Direct(step));
        }
        Some(())
    }

    fn ends(&mut self, sum: &Sum, channels: usize) -> Ends {
        let bias = (!sum.biases.is_empty()).then(|| {
            let mut total = vec![0.0; channels];
            for &bias in &sum.biases {
                for (total, x) in total.iter_mut().zip(self.take(bias)) {
                    *total += x;
                }
            }
            total
        });
        let beside = sum.beside;
        Ends {
            bias,
            beside: beside.map(|beside| [beside.scale, beside.shift].map(|id| self.take(id))),
        }
    }

    fn finish(&self, sum: &Sum, ends: &Ends, layout: Layout, add: Option<ValueId>) -> Finish {
        let second = sum.beside.zip(ends.beside.as_ref());
        let result = sum.result().map(|value| self.lowering.shape(value));
        Finish {
            layout,
            channels: result.map_or(0, |shape| shape.channels),
            bias: ends.bias.as_deref().map(Buffer::from_slice),
            add: add.map(|value| self.region(value).start),
            relu: sum.relu,
            sums: sum.output.is_some(),
            second: second.map(|(beside, [scale, shift])| Second {
                start: self.region(beside.output).start,
                scale: Buffer::from_slice(scale),
                shift: Buffer::from_slice(shift),
                relu: beside.relu,
            }),
        }
    }

    fn winograd(
        &mut self,
        terms: &[Convolution],
        size: [usize; 2],
        finish: Finish,
        place: (super::method::Tiling, Region),
    ) -> Option<Winograd> {
        let windows: Vec<Window> = terms
            .iter()
            .map(|term| super::method::window(self.lowering, term, self.region(term.input).start))
            .collect();
        let weights: Vec<_> = terms.iter().map(|term| self.take(term.weight)).collect();
        let panels = panels(self.lowering.options.kernels);
        Winograd::new(&windows, size, finish, place, panels, |term, c, o| {
            let at = (o * windows[term].channels + c) * 9;
            std::array::from_fn(|tap| weights[term][at + tap])
        })
    }

    fn direct(
        &mut self,
        terms: &[Convolution],
        size: [usize; 2],
        finish: Finish,
        scratch: usize,
    ) -> Option<Direct> {
        let mut free = scratch;
        let mut sources = Vec::new();
        let mut kernels = Vec::new();
        for term in terms {
            let shape = self.lowering.shape(term.input);
            let (start, cols) = self.framed(term, &mut free);
            let kernel = self.lowering.kernel(term);
            let row = cols * shape.channels;
            sources.push(Term {
                layout: Layout {
                    start,
                    pitch: row * term.stride,
                    step: shape.channels * term.stride,
                },
                kernel_rows: kernel,
                run: kernel * shape.channels,
                row,
            });
            kernels.push((kernel, shape.channels, self.take(term.weight)));
        }
        let panels = panels(self.lowering.options.kernels);
        Direct::new(&sources, size, finish, panels, |term, row, col, o| {
            let (kernel, channels, weights) = &kernels[term];
            let (kj, c) = (col / channels, col % channels);
            weights[((o * channels + c) * kernel + row) * kernel + kj]
        })
    }

    /// Puts a frame around a term's input if it needs one. Where its pixels begin, and its columns.
    fn framed(&mut self, term: &Convolution, free: &mut usize) -> (usize, usize) {
        let shape = self.lowering.shape(term.input);
        let input = self.region(term.input).start;
        if term.padding == 0 && !term.doubled {
            return (input, shape.size[1]);
        }
        let frame = Frame {
            input,
            output: *free,
            size: shape.size,
            channels: shape.channels,
            doubled: term.doubled,
            padding: term.padding,
        };
        let framed = Frame::framed(shape.size, term.doubled, term.padding);
        *free += self.lowering.frame(term);
        let start = frame.output;
        self.steps.push(Step::Frame(frame));
        (start, framed[1])
    }

    /// The four kernels of an `UpConv2d`, each for every second row and column of the output.
    fn phases(&mut self, sum: &Sum, ends: &Ends, shape: Shape, scratch: usize) -> Option<()> {
        let &[term] = sum.terms.as_slice() else {
            return None;
        };
        let from = self.lowering.shape(term.input);
        let (start, cols) = self.framed(&term, &mut { scratch });
        let weights = self.take(term.weight);
        let panels = panels(self.lowering.options.kernels);
        let result = self.region(sum.result()?).start;
        for phase in 0..4 {
            let (p, q) = (phase / 2, phase % 2);
            let skipped = (p * shape.size[1] + q) * shape.channels;
            let layout = Layout {
                start: result + skipped,
                pitch: 2 * shape.size[1] * shape.channels,
                step: 2 * shape.channels,
            };
            let mut finish = self.finish(sum, ends, layout, sum.add);
            finish.add = finish.add.map(|start| start + skipped);
            if let Some(second) = &mut finish.second {
                second.start += skipped;
            }
            let row = cols * from.channels;
            let source = Term {
                layout: Layout {
                    start: start + p * row + q * from.channels,
                    pitch: row,
                    step: from.channels,
                },
                kernel_rows: 2,
                run: 2 * from.channels,
                row,
            };
            let step = Direct::new(&[source], from.size, finish, panels, |_, row, col, o| {
                let (kj, c) = (col / from.channels, col % from.channels);
                let kernel = phase * shape.channels + o;
                weights[((kernel * from.channels + c) * 2 + row) * 2 + kj]
            })?;
            self.steps.push(Step::Direct(step));
        }
        Some(())
    }
}

impl Sum {
    /// The value whose place sums are put together in.
    pub(super) fn result(&self) -> Option<ValueId> {
        self.output.or(self.beside.map(|beside| beside.output))
    }
}

impl Lowering<'_> {
    /// Rows and columns of a term's kernel.
    pub(super) fn kernel(&self, term: &Convolution) -> usize {
        self.kernels[term.weight.index()]
    }

    /// Numbers of a term's input in a frame of zeros, rounded up to whole cache lines; 0 if it needs no frame.
    pub(super) fn frame(&self, term: &Convolution) -> usize {
        if term.padding == 0 && !term.doubled {
            return 0;
        }
        let shape = self.shape(term.input);
        let [rows, cols] = Frame::framed(shape.size, term.doubled, term.padding);
        (rows * cols * shape.channels).next_multiple_of(LINE)
    }
}
