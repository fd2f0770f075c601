//! Packing weights and planning memory, once, when a package is loaded.

use super::NetworkError;
use super::graph::{Factors, Graph, Place, Step, Sum};
use crate::cpu::arena::{Request, place};
use crate::cpu::kernels::int8::{
    Affine, Conv, Entry, Epilogue, GROUP, Layout, Mapped, Needs, Output, Pool, Step as Packed,
    Term, Unfit, Window, is_map,
};
use crate::cpu::kernels::memory::SLACK;
use crate::program::{Data, Plan, Storage, Supply, TensorId, Tensors, affordable, bearable};

/// Packed steps with the values whose borders they clear, and what they need.
pub(super) struct Built {
    pub(super) steps: Vec<(Packed, Vec<Layout>)>,
    /// Bytes of memory for all values.
    pub(super) memory: usize,
    /// Bytes of scratch for each thread.
    pub(super) scratch: usize,
    /// Where the labels are.
    pub(super) labels: usize,
}

/// Packs the steps of a graph for images of `rows x cols` pixels and a team of `threads`. Tensors are dropped as soon as they are packed.
///
/// What it will take is computed and compared with [`MAX_MEMORY_BYTES`](crate::program::MAX_MEMORY_BYTES) and
/// [`MAX_WORK`](crate::program::MAX_WORK) before anything is packed.
pub(super) fn build(
    graph: &Graph,
    plan: &Plan,
    tensors: Tensors,
    [rows, cols]: [usize; 2],
    threads: usize,
) -> Result<Built, NetworkError> {
    let (layouts, labels, memory) = lay_out(graph, plan, [rows, cols]);
    let mut weights = Weights::new(graph, tensors);
    let logits = 4 * rows * cols * GROUP;
    bearable(work(graph, &layouts, &weights))?;
    affordable(needs(graph, &layouts, &weights, threads, memory + logits))?;
    let mut steps = Vec::with_capacity(graph.steps.len());
    for step in &graph.steps {
        let packed = match step {
            Step::Entry { factors, output } => Packed::Entry(Entry {
                output: layouts[*output],
                channels: on_grid(factors, 1.0, graph.values[*output].scale)?,
            }),
            Step::Conv {
                sum,
                output,
                stored,
                map,
            } => {
                let value = &graph.values[*output];
                let (scale, precision) = (value.scale, value.precision);
                let map = match map {
                    Some((factors, to)) => {
                        let pairs = on_grid(factors, scale, graph.values[*to].scale)?;
                        let (factor, offset) = pairs.into_iter().map(|[f, o]| (f, o)).unzip();
                        Some((factor, offset, layouts[*to]))
                    }
                    None => None,
                };
                let stored = if *stored {
                    Output::Layout(layouts[*output])
                } else {
                    Output::Nowhere(precision)
                };
                let channels = layouts[*output].channels;
                let end = epilogue(sum, graph, &layouts, channels, scale, stored, map);
                Packed::Conv(Box::new(pack(sum, graph, &layouts, &mut weights, end)?))
            }
            Step::Head { sum } => {
                let end = epilogue(
                    sum,
                    graph,
                    &layouts,
                    weights.outputs(sum),
                    1.0,
                    Output::Labels(labels),
                    None,
                );
                Packed::Conv(Box::new(pack(sum, graph, &layouts, &mut weights, end)?))
            }
            Step::Pool {
                input,
                kernel,
                stride,
                padding,
                output,
                stored,
                map,
            } => Packed::Pool(Pool {
                input: layouts[*input],
                kernel: *kernel,
                stride: *stride,
                padding: *padding,
                output: stored.then_some(layouts[*output]),
                map: match map {
                    Some((factors, to)) => Some((
                        affine(graph, &layouts, *output, factors, *to)?,
                        layouts[*to],
                    )),
                    None => None,
                },
            }),
            Step::Map {
                input,
                factors,
                output,
            } => Packed::Map(Mapped {
                input: layouts[*input],
                output: layouts[*output],
                affine: affine(graph, &layouts, *input, factors, *output)?,
            }),
        };
        let borders = step.writes().into_iter().map(|place| layouts[place]);
        steps.push((packed, borders.filter(|layout| layout.border > 0).collect()));
    }
    let scratch = steps.iter().map(|(step, _)| match step {
        Packed::Conv(conv) => 4 * conv.scratch(),
        _ => 0,
    });
    Ok(Built {
        scratch: scratch.max().unwrap_or(0),
        steps,
        memory,
        labels,
    })
}

/// Where each value and the labels lie, and the bytes of all.
fn lay_out(graph: &Graph, plan: &Plan, size: [usize; 2]) -> (Vec<Layout>, usize, usize) {
    let mut borders = vec![0; graph.values.len()];
    for step in &graph.steps {
        let read: Vec<(Place, usize)> = match step {
            Step::Conv { sum, .. } | Step::Head { sum } => {
                sum.terms.iter().map(|t| (t.input, t.padding)).collect()
            }
            Step::Pool { input, padding, .. } => vec![(*input, *padding)],
            Step::Entry { .. } | Step::Map { .. } => Vec::new(),
        };
        for (place, padding) in read {
            borders[place] = padding.max(borders[place]);
        }
    }
    let mut layouts: Vec<Layout> = graph
        .values
        .iter()
        .zip(borders)
        .map(|(value, border)| {
            let channels = plan.shape(value.id).channels;
            let [rows, cols] = size.map(|n| plan.pixels(value.id, n));
            Layout {
                start: 0,
                rows,
                cols,
                channels,
                step: if value.is_image {
                    channels
                } else {
                    channels.next_multiple_of(GROUP)
                },
                border,
                precision: value.precision,
            }
        })
        .collect();
    let mut requests: Vec<Request> = layouts
        .iter()
        .enumerate()
        .map(|(value, layout)| {
            let writes = |step: &Step| step.writes().contains(&value);
            let first = graph.steps.iter().position(writes);
            let last = graph
                .steps
                .iter()
                .rposition(|step| step.reads().contains(&value));
            Request {
                // A value that is only mapped needs no place.
                bytes: if first.is_some() { layout.bytes() } else { 0 },
                first: first.unwrap_or(0),
                last: last.or(first).unwrap_or(0),
            }
        })
        .collect();
    let end = graph.steps.len();
    requests.push(Request {
        bytes: size[0] * size[1],
        first: end - 1,
        last: end,
    });
    let (starts, bytes) = place(&requests);
    for (layout, &start) in layouts.iter_mut().zip(&starts) {
        layout.start = start;
    }
    (layouts, starts[graph.values.len()], bytes)
}

/// Bytes of a network: values, packed weights and tables, scratch for each thread. `None` if they cannot be counted.
fn needs(
    graph: &Graph,
    layouts: &[Layout],
    weights: &Weights,
    threads: usize,
    values: usize,
) -> Option<u64> {
    let (mut packed, mut scratch) = (0_u64, 0);
    for step in &graph.steps {
        let (Step::Conv { sum, .. } | Step::Head { sum }) = step else {
            continue;
        };
        let window = |term: &super::graph::Term| Window {
            kernel: weights.kernel(term),
            step: layouts[term.input].step,
            doubled: term.doubled,
        };
        let windows: Vec<Window> = sum.terms.iter().map(window).collect();
        let needs = Needs::of(
            &windows,
            output_size(sum, layouts, weights)?,
            weights.outputs(sum),
        );
        packed = packed.checked_add(needs.packed)?;
        scratch = needs.scratch.max(scratch);
    }
    let teams = (scratch + SLACK as u64).checked_mul(threads.max(1) as u64)?;
    packed.checked_add(values as u64)?.checked_add(teams)
}

/// Multiplications of all convolutions, saturated, filled up as [`Plan::work`] counts them.
///
/// The plan counts an operation once. Here a sum is computed again for each value that is made of it, and a convolution as often as it
/// stands in sums.
fn work(graph: &Graph, layouts: &[Layout], weights: &Weights) -> u64 {
    let of_sum = |sum: &Sum| {
        let pixels: usize =
            output_size(sum, layouts, weights).map_or(0, |[rows, cols]| rows * cols);
        let outputs = weights.outputs(sum).next_multiple_of(GROUP);
        let taps = sum.terms.iter().map(|term| {
            layouts[term.input].channels.next_multiple_of(GROUP) * weights.kernel(term).pow(2)
        });
        (pixels as u64).saturating_mul(outputs as u64 * taps.sum::<usize>() as u64)
    };
    let sums = graph.steps.iter().filter_map(|step| match step {
        Step::Conv { sum, .. } | Step::Head { sum } => Some(of_sum(sum)),
        _ => None,
    });
    sums.fold(0, u64::saturating_add)
}

/// Rows and columns of a sum's result.
fn output_size(sum: &Sum, layouts: &[Layout], weights: &Weights) -> Option<[usize; 2]> {
    let term = sum.terms.first()?;
    let (input, kernel) = (&layouts[term.input], weights.kernel(term));
    Some([input.rows, input.cols].map(|n| {
        if term.doubled {
            2 * n
        } else {
            (n + 2 * term.padding - kernel) / term.stride + 1
        }
    }))
}

/// Factors and offsets from numbers on one grid to numbers on another.
fn on_grid(factors: &Factors, from: f64, to: f64) -> Result<Vec<[f32; 2]>, NetworkError> {
    let pairs = factors.scale.iter().zip(&factors.shift);
    let pairs: Vec<[f32; 2]> = pairs
        .map(|(scale, shift)| [(scale * from / to) as f32, (shift / to) as f32])
        .collect();
    if pairs.iter().all(|&pair| is_map(pair)) {
        Ok(pairs)
    } else {
        Err(NetworkError::Factors)
    }
}

fn affine(
    graph: &Graph,
    layouts: &[Layout],
    from: Place,
    factors: &Factors,
    to: Place,
) -> Result<Affine, NetworkError> {
    let scale = |place: Place| graph.values[place].scale;
    let pairs = on_grid(factors, scale(from), scale(to))?;
    let (factor, offset): (Vec<f32>, Vec<f32>) = pairs.into_iter().map(|[f, o]| (f, o)).unzip();
    Ok(Affine::new(&factor, &offset, &layouts[to]))
}

/// What follows a sum whose result is counted in steps of `scale`.
fn epilogue(
    sum: &Sum,
    graph: &Graph,
    layouts: &[Layout],
    channels: usize,
    scale: f64,
    output: Output,
    map: Option<(Vec<f32>, Vec<f32>, Layout)>,
) -> Epilogue {
    let none = Factors {
        scale: vec![1.0; channels],
        shift: vec![0.0; channels],
    };
    let factors = sum.affine.as_ref().unwrap_or(&none);
    let bias = |o: usize| sum.bias.as_ref().map_or(0.0, |bias| bias[o]);
    let offset = |o: usize| (bias(o) * factors.scale[o] + factors.shift[o]) / scale;
    Epilogue {
        channels,
        gain: factors.scale.iter().map(|s| s / scale).collect(),
        offset: (0..channels).map(offset).collect(),
        residual: sum.residual.map(|place| {
            let step = graph.values[place].scale;
            let by = factors.scale.iter().map(|s| step * s / scale);
            (layouts[place], by.collect())
        }),
        relu: sum.relu,
        output,
        map,
    }
}

fn pack(
    sum: &Sum,
    graph: &Graph,
    layouts: &[Layout],
    weights: &mut Weights,
    end: Epilogue,
) -> Result<Conv, NetworkError> {
    let term = |term: &super::graph::Term| {
        let (kernel, weights, scales) = weights.take(term.weight)?;
        let step = graph.values[term.input].scale;
        Ok(Term {
            input: layouts[term.input],
            kernel,
            stride: term.stride,
            padding: term.padding,
            doubled: term.doubled,
            weights,
            scales: scales.into_iter().map(|s| f64::from(s) * step).collect(),
        })
    };
    let terms = sum
        .terms
        .iter()
        .map(term)
        .collect::<Result<Vec<_>, NetworkError>>()?;
    Conv::new(terms, end).map_err(|unfit| match unfit {
        Unfit::Sums => NetworkError::TooLarge,
        Unfit::Factors => NetworkError::Factors,
    })
}

/// Weights that wait to be packed.
struct Weights(Supply);

impl Weights {
    fn new(graph: &Graph, tensors: Tensors) -> Self {
        let sums = graph.steps.iter().filter_map(|step| match step {
            Step::Conv { sum, .. } | Step::Head { sum } => Some(sum),
            _ => None,
        });
        let terms = sums.flat_map(|sum| &sum.terms);
        Self(Supply::new(tensors, terms.map(|term| term.weight)))
    }

    /// Rows and columns of a term's kernel.
    fn kernel(&self, term: &super::graph::Term) -> usize {
        self.0.get(term.weight).shape()[2]
    }

    /// Output channels of a sum.
    fn outputs(&self, sum: &Sum) -> usize {
        let term = &sum.terms[0];
        let kernels = self.0.get(term.weight).shape()[0];
        if term.doubled { kernels / 4 } else { kernels }
    }

    /// Size of the kernel, weights and scales of a tensor.
    fn take(&mut self, id: TensorId) -> Result<(usize, Vec<i8>, Vec<f32>), NetworkError> {
        let tensor = self.0.take(id);
        let kernel = tensor.shape()[2];
        let tensor = match tensor.storage() {
            Storage::I8 => tensor,
            _ => tensor
                .stored_as(Storage::I8)
                .map_err(|_| NetworkError::TooLarge)?,
        };
        match tensor.into_data() {
            Data::I8 { values, scales } => Ok((kernel, values, scales)),
            _ => unreachable!("just stored as i8"),
        }
    }
}
