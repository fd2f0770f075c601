//! From a quantised program to the few kinds of steps that the integer kernels do.
//!
//! A [`Op::Quantise`] ends everything before it: walking back from it there is either a sum of convolutions with an optional
//! residual and an optional scale and shift, or one of those on a value that is quantised already, or the image. Whatever else
//! a program does is refused by name; the float executor runs it.

use crate::program::{MAX_TERMS, Op, Plan, Precision, Program, TensorId, Tensors, ValueId};

use super::Unsupported;
use crate::cpu::kernels::int8::GROUP;

/// Number of a quantised value.
pub(super) type Place = usize;

/// A quantised value.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// Its number in the program, for its shape.
    pub(super) id: ValueId,
    /// What one step of its numbers is worth.
    pub(super) scale: f64,
    pub(super) precision: Precision,
    /// Whether it is the image, whose channels are not filled up.
    pub(super) is_image: bool,
}

/// A factor and an offset for each channel, in real numbers.
#[derive(Clone, Debug)]
pub(super) struct Factors {
    pub(super) scale: Vec<f64>,
    pub(super) shift: Vec<f64>,
}

/// One convolution of a sum.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) input: Place,
    pub(super) weight: TensorId,
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) doubled: bool,
}

/// A sum of convolutions and what is done to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    pub(super) terms: Vec<Term>,
    pub(super) residual: Option<Place>,
    pub(super) bias: Option<Vec<f64>>,
    pub(super) affine: Option<Factors>,
    /// Whether negative results become 0 at the end.
    pub(super) relu: bool,
}

impl Sum {
    const fn is_plain(&self) -> bool {
        self.affine.is_none() && !self.relu
    }
}

/// One step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The image: its channels times a factor plus an offset.
    Entry { factors: Factors, output: Place },
    /// A sum, stored as `output` or only mapped.
    Conv {
        sum: Sum,
        output: Place,
        stored: bool,
        map: Option<(Factors, Place)>,
    },
    /// The logits and their labels.
    Head { sum: Sum },
    /// The largest of each window, stored as `output` or only mapped.
    Pool {
        input: Place,
        kernel: usize,
        stride: usize,
        padding: usize,
        output: Place,
        stored: bool,
        map: Option<(Factors, Place)>,
    },
    /// Another grid for the same value.
    Map {
        input: Place,
        factors: Factors,
        output: Place,
    },
}

impl Step {
    /// The values it reads.
    pub(super) fn reads(&self) -> Vec<Place> {
        let of_sum = |sum: &Sum| {
            let terms = sum.terms.iter().map(|t| t.input);
            terms.chain(sum.residual).collect()
        };
        match self {
            Self::Entry { .. } => Vec::new(),
            Self::Conv { sum, .. } | Self::Head { sum } => of_sum(sum),
            Self::Pool { input, .. } | Self::Map { input, .. } => vec![*input],
        }
    }

    /// The values it writes.
    pub(super) fn writes(&self) -> Vec<Place> {
        match self {
            Self::Entry { output, .. } | Self::Map { output, .. } => vec![*output],
            Self::Head { .. } => Vec::new(),
            Self::Conv {
                output,
                stored,
                map,
                ..
            }
            | Self::Pool {
                output,
                stored,
                map,
                ..
            } => {
                let kept = stored.then_some(*output);
                kept.into_iter().chain(map.iter().map(|m| m.1)).collect()
            }
        }
    }
}

/// The steps of a program.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    pub(super) values: Vec<Value>,
    pub(super) steps: Vec<Step>,
}

/// What is known of a value while the program is read.
#[derive(Clone, Debug)]
enum Form {
    /// The image with factors for each channel.
    Image(Factors),
    Quantised(Place),
    /// A quantised value with factors. A rectifier behind them needs no mention: only bytes are made of it.
    Mapped(Place, Factors),
    Sum(Sum),
    /// What no step makes.
    Nothing,
}

impl Graph {
    /// Reads a checked program. `input_scale` is what pixels are multiplied by before they enter it.
    pub(super) fn new(
        program: &Program,
        tensors: &Tensors,
        plan: &Plan,
        input_scale: f64,
    ) -> Result<Self, Unsupported> {
        let mut reader = Reader {
            tensors,
            plan,
            graph: Self {
                values: Vec::new(),
                steps: Vec::new(),
            },
            forms: vec![Form::Nothing; plan.values()],
        };
        let channels = program.input_channels as usize;
        reader.forms[0] = Form::Image(Factors {
            scale: vec![input_scale; channels],
            shift: vec![0.0; channels],
        });
        for (index, op) in program.ops.iter().enumerate() {
            let form = reader.op(op).ok_or(Unsupported {
                op: index,
                name: op.name(),
            })?;
            reader.forms[op.output().index()] = form;
        }
        match reader.forms[program.output.index()].clone() {
            Form::Sum(sum) if sum.is_plain() && program.classes as usize <= GROUP => {
                reader.graph.steps.push(Step::Head { sum });
            }
            _ => {
                return Err(Unsupported {
                    op: program.ops.len(),
                    name: "logits",
                });
            }
        }
        Ok(reader.graph.fused())
    }

    /// Moves maps into the steps that make what they read, and leaves out what nobody reads then.
    fn fused(mut self) -> Self {
        let makers: Vec<Option<usize>> = (0..self.values.len())
            .map(|place| {
                self.steps
                    .iter()
                    .position(|step| step.writes().contains(&place))
            })
            .collect();
        let maps: Vec<Option<(Place, Factors, Place)>> = self
            .steps
            .iter()
            .map(|step| match step {
                Step::Map {
                    input,
                    factors,
                    output,
                } if self.values[*output].precision == Precision::U8 => {
                    Some((*input, factors.clone(), *output))
                }
                _ => None,
            })
            .collect();
        let moved: Vec<bool> = maps
            .into_iter()
            .map(|found| {
                let Some((input, factors, output)) = found else {
                    return false;
                };
                let maker = makers[input].map(|maker| &mut self.steps[maker]);
                match maker {
                    Some(Step::Conv { map, .. } | Step::Pool { map, .. }) if map.is_none() => {
                        *map = Some((factors, output));
                        true
                    }
                    _ => false,
                }
            })
            .collect();
        let mut kept = moved.iter();
        self.steps.retain(|_| kept.next() == Some(&false));
        let read: Vec<Place> = self.steps.iter().flat_map(Step::reads).collect();
        for step in &mut self.steps {
            if let Step::Conv { output, stored, .. } | Step::Pool { output, stored, .. } = step {
                *stored = read.contains(output);
            }
        }
        self
    }
}

struct Reader<'a> {
    tensors: &'a Tensors,
    plan: &'a Plan,
    graph: Graph,
    forms: Vec<Form>,
}

impl Reader<'_> {
    fn numbers(&self, id: TensorId) -> Vec<f64> {
        let tensor = self.tensors.get(id).map(crate::program::Tensor::to_f32);
        tensor
            .unwrap_or_default()
            .into_iter()
            .map(f64::from)
            .collect()
    }

    fn add(&mut self, value: Value) -> Place {
        self.graph.values.push(value);
        self.graph.values.len() - 1
    }

    /// The form of an operation's result; `None` if no step makes it.
    fn op(&mut self, op: &Op) -> Option<Form> {
        let form = |value: ValueId| self.forms[value.index()].clone();
        // The image's channels are not filled up, which only convolutions bear.
        let convolution = matches!(op, Op::Conv2d { .. } | Op::UpConv2d { .. });
        if !convolution && op.inputs().any(|input| self.is_image(&form(input))) {
            return None;
        }
        Some(match *op {
            Op::Conv2d {
                input,
                weight,
                bias,
                stride,
                padding,
                ..
            } => self.convolution(&form(input), weight, bias, [stride, padding], false)?,
            Op::UpConv2d {
                input,
                weight,
                bias,
                ..
            } => self.convolution(&form(input), weight, bias, [1, 1], true)?,
            Op::Add { a, b, .. } => Form::Sum(join(form(a), form(b))?),
            Op::Relu { input, .. } => match form(input) {
                Form::Sum(sum) => Form::Sum(Sum { relu: true, ..sum }),
                Form::Quantised(place) => {
                    let channels = self.plan.shape(input).channels;
                    Form::Mapped(place, identity(channels))
                }
                Form::Mapped(place, factors) => Form::Mapped(place, factors),
                _ => return None,
            },
            Op::Affine {
                input,
                scale,
                shift,
                relu,
                ..
            } => {
                let factors = Factors {
                    scale: self.numbers(scale),
                    shift: self.numbers(shift),
                };
                affine(form(input), factors, relu)?
            }
            Op::Quantise {
                input,
                output,
                scale,
                precision,
            } => {
                let value = Value {
                    id: output,
                    scale: self.numbers(scale)[0],
                    precision,
                    is_image: matches!(form(input), Form::Image(_)),
                };
                self.quantise(form(input), input, value)?
            }
            Op::MaxPool2d {
                input,
                output,
                kernel,
                stride,
                padding,
            } => {
                let Form::Quantised(place) = form(input) else {
                    return None;
                };
                let from = &self.graph.values[place];
                if from.precision != Precision::U8 || from.is_image {
                    return None;
                }
                let value = Value {
                    id: output,
                    ..from.clone()
                };
                let output = self.add(value);
                self.graph.steps.push(Step::Pool {
                    input: place,
                    kernel: kernel as usize,
                    stride: stride as usize,
                    padding: padding as usize,
                    output,
                    stored: true,
                    map: None,
                });
                Form::Quantised(output)
            }
            // Only on the logits, which labels are made of without it.
            Op::Softmax { .. } => Form::Nothing,
            Op::Upsample2x { .. } | Op::Concat { .. } => return None,
        })
    }

    fn is_image(&self, form: &Form) -> bool {
        matches!(form, Form::Quantised(place) if self.graph.values[*place].is_image)
    }

    fn convolution(
        &self,
        input: &Form,
        weight: TensorId,
        bias: Option<TensorId>,
        [stride, padding]: [u32; 2],
        doubled: bool,
    ) -> Option<Form> {
        let &Form::Quantised(input) = input else {
            return None;
        };
        if self.graph.values[input].precision != Precision::U8 {
            return None;
        }
        let term = Term {
            input,
            weight,
            stride: stride as usize,
            padding: padding as usize,
            doubled,
        };
        Some(Form::Sum(Sum {
            terms: vec![term],
            bias: bias.map(|id| self.numbers(id)),
            ..Sum::default()
        }))
    }

    /// Ends a form with a step that makes `value` of it.
    fn quantise(&mut self, form: Form, from: ValueId, value: Value) -> Option<Form> {
        let output = self.add(value);
        let precision = self.graph.values[output].precision;
        let step = match form {
            Form::Image(factors) if precision == Precision::U8 => Step::Entry { factors, output },
            Form::Sum(sum) => Step::Conv {
                sum,
                output,
                stored: true,
                map: None,
            },
            Form::Quantised(input) if precision == Precision::U8 => Step::Map {
                input,
                factors: identity(self.plan.shape(from).channels),
                output,
            },
            Form::Mapped(input, factors) if precision == Precision::U8 => Step::Map {
                input,
                factors,
                output,
            },
            _ => return None,
        };
        self.graph.steps.push(step);
        Some(Form::Quantised(output))
    }
}

fn identity(channels: usize) -> Factors {
    Factors {
        scale: vec![1.0; channels],
        shift: vec![0.0; channels],
    }
}

/// The sum of two forms, if one step can make it.
fn join(a: Form, b: Form) -> Option<Sum> {
    match (a, b) {
        (Form::Sum(a), Form::Sum(b)) if a.is_plain() && b.is_plain() => {
            if a.residual.is_some() && b.residual.is_some() {
                return None;
            }
            if a.terms.len() + b.terms.len() > MAX_TERMS {
                return None;
            }
            let bias = match (a.bias, b.bias) {
                (Some(a), Some(b)) => Some(a.iter().zip(b).map(|(a, b)| a + b).collect()),
                (a, b) => a.or(b),
            };
            Some(Sum {
                terms: a.terms.into_iter().chain(b.terms).collect(),
                residual: a.residual.or(b.residual),
                bias,
                ..Sum::default()
            })
        }
        (Form::Sum(sum), Form::Quantised(place)) | (Form::Quantised(place), Form::Sum(sum))
            if sum.is_plain() && sum.residual.is_none() =>
        {
            Some(Sum {
                residual: Some(place),
                ..sum
            })
        }
        _ => None,
    }
}

/// A form times a scale plus a shift, if one step can make it.
fn affine(form: Form, factors: Factors, relu: bool) -> Option<Form> {
    Some(match form {
        Form::Image(before) if !relu => Form::Image(Factors {
            shift: (before.shift.iter().zip(&factors.scale).zip(&factors.shift))
                .map(|((b, s), t)| b * s + t)
                .collect(),
            scale: before
                .scale
                .iter()
                .zip(&factors.scale)
                .map(|(a, s)| a * s)
                .collect(),
        }),
        Form::Sum(sum) if sum.is_plain() => Form::Sum(Sum {
            affine: Some(factors),
            relu,
            ..sum
        }),
        Form::Quantised(place) => Form::Mapped(place, factors),
        _ => return None,
    })
}
