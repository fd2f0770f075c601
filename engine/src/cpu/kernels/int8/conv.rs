//! A sum of convolutions with everything that follows it, in one pass over the output.
//!
//! ```text
//! sum[o]  = runs of (bytes . weights[o]), convolution by convolution       exact in i32
//! x[o]    = sum[o] * factor[o] + offset[o] + residual[o] * residual_factor[o]
//! q[o]    = round(limit(x[o]))                                             stored as i16 or u8
//! next[o] = round(limit(q[o] * map_factor[o] + map_offset[o]))             stored as u8
//! ```
//!
//! Convolutions of one sum may have different scales: between two of them the sum so far is multiplied by the ratio and
//! rounded. A convolution of a doubled value is done for each of the four phases of its output, on the small value.
//!
//! Weights are packed by blocks of up to 64 output channels, and within a block in the order in which the innermost loop reads them. A block
//! whose weights exceed [`PANEL`] is visited several times, so that its weights stay in the second-level cache while the pixels pass by.

#![allow(unsafe_code)]

mod needs;
mod packing;
mod unit;

use needs::scratch;
use packing::{Packing, Pass, pack, visits};
use unit::Unit;

pub(crate) use needs::{Needs, Window};

use super::lanes::Kernels;
use super::layout::{GROUP, Layout};
use crate::cpu::kernels::memory::{Memory, Packed};
use crate::program::Precision;

/// Widest block of output channels.
const BLOCK: usize = 64;
/// Bytes of weights that are used for all pixels before the next ones are touched: they and the pixels that pass by must fit into a
/// core's second-level cache. That has 512 KiB and more on desktops and servers, and 256 KiB in the Cortex-A78AE of a Jetson Orin. Both
/// numbers are what a block of a 3 x 3 kernel takes, for 512 and for 256 input channels. Results do not depend on it: sums are exact.
const PANEL: usize = if cfg!(target_arch = "aarch64") {
    144 << 10
} else {
    288 << 10
};
/// Most runs of one visit.
const RUNS: usize = 8;
/// No sum may reach this, rounding included.
const ROOM: f64 = (1_u32 << 30) as f64;
/// Largest magnitude of a quantised number.
const LARGEST: f64 = 32_768.0;
/// Most sums of one tile: any table of tiles has at most 24 registers of 16.
const TILE: usize = 24 * GROUP;

/// One convolution of a sum.
pub(crate) struct Term {
    /// What it reads.
    pub(crate) input: Layout,
    /// Rows and columns of the kernel.
    pub(crate) kernel: usize,
    /// Stride in pixels.
    pub(crate) stride: usize,
    /// Padding in pixels, within the input's border.
    pub(crate) padding: usize,
    /// Whether it is an `UpConv2d`.
    pub(crate) doubled: bool,
    /// `[output channels, input channels, kernel, kernel]`, four times if doubled.
    pub(crate) weights: Vec<i8>,
    /// What one step of the integer sum is worth, for each kernel.
    pub(crate) scales: Vec<f64>,
}

impl Term {
    pub(super) const fn window(&self) -> Window {
        Window {
            kernel: self.kernel,
            step: self.input.step,
            doubled: self.doubled,
        }
    }

    /// Makes the weights of kernels coarser in whose steps the sums before, at most `held`, would leave no room.
    ///
    /// That is a channel that is nearly dead in this convolution. Its new steps are still a tiny part of what the sum holds.
    fn coarsen(&mut self, held: &[f64]) {
        let taps = self.weights.len() / self.scales.len();
        let kernels = self.weights.chunks_exact_mut(taps);
        for ((kernel, scale), &held) in kernels.zip(&mut self.scales).zip(held) {
            if held / *scale + most(kernel) >= ROOM {
                // Never finer: weights stay within a byte.
                let coarser = (held / (ROOM / 2.0)).max(*scale);
                for w in kernel {
                    *w = (f64::from(*w) * *scale / coarser).round_ties_even() as i8;
                }
                *scale = coarser;
            }
        }
    }
}

/// The largest sum that weights can have.
fn most(kernel: &[i8]) -> f64 {
    let sum: u64 = kernel.iter().map(|w| u64::from(w.unsigned_abs())).sum();
    255.0 * sum as f64
}

/// Whether a magnitude that is computed in `f64` is a number in `f32` too.
fn is_number(magnitude: f64) -> bool {
    magnitude <= f64::from(f32::MAX)
}

/// Whether every quantised number times a factor plus an offset is a number.
pub(crate) fn is_map([factor, offset]: [f32; 2]) -> bool {
    is_number(LARGEST * f64::from(factor.abs()) + f64::from(offset.abs()))
}

/// What follows the sum.
pub(crate) struct Epilogue {
    /// Output channels.
    pub(crate) channels: usize,
    /// What the sum is multiplied by, for each channel.
    pub(crate) gain: Vec<f64>,
    /// What is then added.
    pub(crate) offset: Vec<f64>,
    /// A value that is added, with a factor for each channel.
    pub(crate) residual: Option<(Layout, Vec<f64>)>,
    /// Whether negative results become 0.
    pub(crate) relu: bool,
    /// Where the result goes.
    pub(crate) output: Output,
    /// What else is made of the result: factors, offsets, and where the bytes go.
    pub(crate) map: Option<(Vec<f32>, Vec<f32>, Layout)>,
}

/// Where results go.
pub(crate) enum Output {
    /// Rounded to this precision and only read by the map.
    Nowhere(Precision),
    /// Rounded and stored.
    Layout(Layout),
    /// The channels are logits: the label of each pixel, one byte each, from this byte on.
    Labels(usize),
}

/// A sum of convolutions, packed and checked.
pub(crate) struct Conv {
    terms: Vec<Packing>,
    visits: Vec<Vec<Pass>>,
    /// Rows and columns of the output, or of each of its four phases.
    size: [usize; 2],
    phases: usize,
    /// Output channels that count, and with those that fill the last group.
    channels: [usize; 2],
    weights: Packed<i8>,
    factor: Packed<f32>,
    offset: Packed<f32>,
    residual: Option<(Layout, Packed<f32>)>,
    relu: bool,
    output: Output,
    map: Option<(Packed<f32>, Packed<f32>, Layout)>,
    /// Bytes of memory it touches, and numbers of scratch it needs for each thread.
    reach: usize,
    scratch: usize,
    macs: u64,
    input_bytes: usize,
}

/// Why a sum cannot be computed in integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Some image could make a sum that does not fit into 32 bits.
    Sums,
    /// Some image could make a result that is infinite or not a number.
    Factors,
}

impl Conv {
    /// Packs weights and checks that no sum can overflow, whatever the image, and that every result is a number.
    ///
    /// # Panics
    ///
    /// If the parts do not fit: sizes of values, borders narrower than the padding, numbers of weights. The executor derives
    /// all of them from one checked program.
    pub(crate) fn new(terms: Vec<Term>, end: Epilogue) -> Result<Self, Unfit> {
        Self::with_panel(terms, end, PANEL)
    }

    /// The same with another number of bytes in place of [`PANEL`].
    pub(super) fn with_panel(
        mut terms: Vec<Term>,
        end: Epilogue,
        panel: usize,
    ) -> Result<Self, Unfit> {
        let phases = if terms.iter().any(|t| t.doubled) {
            4
        } else {
            1
        };
        let channels = [end.channels, end.channels.next_multiple_of(GROUP)];
        let spread = |values: &dyn Fn(usize, usize) -> f64| -> Vec<f32> {
            let all = (0..phases * channels[1]).map(|i| {
                let (phase, o) = (i / channels[1], i % channels[1]);
                if o < channels[0] {
                    values(phase, o) as f32
                } else {
                    0.0
                }
            });
            all.collect()
        };
        let mut size = None;
        let mut packings: Vec<Packing> = Vec::new();
        // At once as large as needed: growing would take twice the largest layer for a moment.
        let mut weights: Vec<i8> = Vec::with_capacity(
            terms
                .iter()
                .map(|t| t.window().packed_bytes(channels[1]))
                .sum(),
        );
        let mut bounds = vec![0.0_f64; phases * channels[0]];
        let mut scales: Option<Vec<f64>> = None;
        let mut macs = 0;
        for term in &mut terms {
            let kernels = if term.doubled { 4 } else { 1 };
            let input = term.input;
            let out = |n: usize| (n + 2 * term.padding - term.kernel) / term.stride + 1;
            let here = match (term.doubled, phases) {
                (true, _) => [input.rows, input.cols],
                (false, 1) => [out(input.rows), out(input.cols)],
                (false, _) => [out(input.rows) / 2, out(input.cols) / 2],
            };
            assert_eq!(*size.get_or_insert(here), here, "terms of one size");
            assert!(input.border >= term.padding && input.precision == Precision::U8);
            let taps = input.channels * term.kernel * term.kernel;
            assert_eq!(term.weights.len(), kernels * channels[0] * taps);
            assert_eq!(term.scales.len(), kernels * channels[0]);
            let share = if term.doubled { 4 } else { phases };
            macs += (here[0] * here[1] * share * channels[0] * taps) as u64;

            let own = |phase: usize, o: usize| (phase % kernels) * channels[0] + o;
            if let Some(before) = &scales {
                let mut held = vec![0.0_f64; kernels * channels[0]];
                for (i, (scale, bound)) in before.iter().zip(&bounds).enumerate() {
                    let held = &mut held[own(i / channels[0], i % channels[0])];
                    *held = held.max(scale * bound);
                }
                term.coarsen(&held);
            }
            let each: Vec<f64> = (0..phases * channels[0])
                .map(|i| term.scales[own(i / channels[0], i % channels[0])])
                .collect();
            let ratio = scales.take().map(|before| -> Vec<f64> {
                before
                    .iter()
                    .zip(&each)
                    .map(|(before, now)| before / now)
                    .collect()
            });
            let mut start = vec![0_i32; phases * channels[1]];
            for (i, bound) in bounds.iter_mut().enumerate() {
                let kernel = own(i / channels[0], i % channels[0]) * taps;
                let kernel = &term.weights[kernel..kernel + taps];
                let before = ratio.as_ref().map_or(0.0, |ratio| *bound * ratio[i]);
                *bound = before + most(kernel);
                if bound.is_nan() || *bound >= ROOM {
                    return Err(Unfit::Sums);
                }
                // Some kernels count on it; `Tensor` sees to it.
                assert!(kernel.iter().all(|&w| w != i8::MIN));
                start[i / channels[0] * channels[1] + i % channels[0]] =
                    128 * kernel.iter().map(|&w| i32::from(w)).sum::<i32>();
            }
            // A sum of zeros times an infinite ratio is not a number, and stays within every bound.
            if ratio.iter().flatten().any(|&ratio| !is_number(ratio)) {
                return Err(Unfit::Factors);
            }
            let rescale =
                ratio.map(|r| Packed::new(&spread(&|phase, o| r[phase * channels[0] + o])));
            scales = Some(each);
            let length = term.window().run();
            packings.push(Packing {
                input,
                stride: term.stride,
                padding: term.padding,
                doubled: term.doubled,
                rows: term.kernel,
                length,
                first: weights.len(),
                rescale,
                start: Packed::new(&start),
            });
            pack(term, channels, length, &mut weights);
        }
        let (size, scales) = size.zip(scales).expect("a sum has a term");
        let factor = spread(&|phase, o| scales[phase * channels[0] + o] * end.gain[o]);
        let offset = spread(&|_, o| end.offset[o]);
        let residual = end
            .residual
            .map(|(layout, factors)| (layout, spread(&|_, o| factors[o])));
        let most = |i: usize| {
            let residual = residual.as_ref().map_or(0.0, |(_, by)| by[i]);
            let [factor, offset, residual] =
                [factor[i], offset[i], residual].map(|x| f64::from(x.abs()));
            ROOM * factor + offset + LARGEST * residual
        };
        if !(0..factor.len()).all(|i| is_number(most(i))) {
            return Err(Unfit::Factors);
        }
        let residual = residual.map(|(layout, by)| (layout, Packed::new(&by)));
        let numbers = |v: &[f32]| {
            let mut v = v.to_vec();
            v.resize(channels[1], 0.0);
            Packed::new(&v)
        };
        let map = end
            .map
            .map(|(factor, offset, layout)| (numbers(&factor), numbers(&offset), layout));
        let windows: Vec<Window> = terms.iter().map(Term::window).collect();
        let visits = visits(&windows, channels[1].min(BLOCK), panel);
        let mut conv = Self {
            scratch: scratch(&visits, size[0] * size[1]),
            input_bytes: packings.iter().map(|p| p.input.bytes()).sum(),
            terms: packings,
            visits,
            size,
            phases,
            channels,
            weights: Packed::new(&weights),
            factor: Packed::new(&factor),
            offset: Packed::new(&offset),
            residual,
            relu: end.relu,
            output: end.output,
            map,
            reach: 0,
            macs,
        };
        conv.reach = conv.check();
        Ok(conv)
    }

    /// Checks that all places are of the output's size, that every window lies in what it reads and that every table has its numbers, and
    /// returns the end of the last place. The kernels' pointers rely on this and on nothing else.
    fn check(&self) -> usize {
        let doubled = if self.phases == 4 { 2 } else { 1 };
        let size = self.size.map(|n| n * doubled);
        let all = self.phases * self.channels[1];
        for term in &self.terms {
            let input = &term.input;
            let kernels = if term.doubled { 4 } else { 1 };
            for (n, &out) in [input.rows, input.cols].iter().zip(&size) {
                // A doubled term's window begins one pixel further for odd rows and columns.
                let last = if term.doubled {
                    out / 2
                } else {
                    term.stride * (out - 1)
                };
                assert!(
                    last + term.rows <= n + 2 * term.padding,
                    "a window leaves its input"
                );
            }
            assert!(term.rows * input.step <= term.length && term.length.is_multiple_of(4));
            let packed = kernels * self.channels[1] * term.rows * term.length;
            assert!(term.first + packed <= self.weights.len());
            assert!(term.start.len() == all);
            assert!(term.rescale.as_ref().is_none_or(|by| by.len() == all));
        }
        assert!(self.factor.len() == all && self.offset.len() == all);
        assert!(self.residual.as_ref().is_none_or(|(_, by)| by.len() == all));
        let of_map = |(factor, offset, _): &(Packed<f32>, Packed<f32>, Layout)| {
            factor.len() == self.channels[1] && offset.len() == self.channels[1]
        };
        assert!(self.map.as_ref().is_none_or(of_map));
        assert!(self.channels[1].is_multiple_of(GROUP));
        let mut reach = self.terms.iter().map(|t| t.input.end()).max().unwrap_or(0);
        let residual = self.residual.as_ref().map(|(layout, _)| layout);
        let map = self.map.as_ref().map(|(.., layout)| layout);
        let stored = match &self.output {
            Output::Layout(layout) => Some(layout),
            Output::Nowhere(_) => None,
            Output::Labels(start) => {
                assert!(self.map.is_none() && self.channels[1] == GROUP);
                reach = reach.max(start + size[0] * size[1]);
                None
            }
        };
        for layout in [residual, map, stored].into_iter().flatten() {
            assert_eq!(
                [layout.rows, layout.cols, layout.channels],
                [size[0], size[1], self.channels[0]]
            );
            assert_eq!(layout.step, self.channels[1]);
            reach = reach.max(layout.end());
        }
        assert!(map.is_none_or(|layout| layout.precision == Precision::U8));
        reach
    }

    /// Multiplications it does, those by padding included.
    pub(crate) const fn macs(&self) -> u64 {
        self.macs
    }

    /// Bytes of its packed weights.
    pub(crate) const fn weight_bytes(&self) -> usize {
        self.weights.len()
    }

    /// Numbers of scratch that each thread needs.
    pub(crate) const fn scratch(&self) -> usize {
        self.scratch
    }

    /// Does the share of thread `index` of `count`.
    ///
    /// Logits are also written to `logits`, `[pixels, GROUP]`, if the output is labels.
    ///
    /// # Panics
    ///
    /// If one of the memories is shorter than what was planned.
    pub(super) fn run(
        &self,
        kernels: &Kernels,
        memory: &Memory,
        scratch: &Memory,
        logits: Option<&Memory>,
        [index, count]: [usize; 2],
    ) {
        let pixels = self.size[0] * self.size[1] * self.phases;
        assert!(memory.len() >= self.reach && scratch.len() >= 4 * self.scratch);
        assert!(logits.is_none_or(|m| m.len() >= 4 * pixels * GROUP));
        let blocks = self.channels[1].div_ceil(BLOCK);
        let units = blocks * self.phases;
        let by_units = units.is_multiple_of(count) && self.weights.len() > self.input_bytes;
        let share = |n: usize| index * n / count..(index + 1) * n / count;
        let (units, rows) = if by_units {
            (share(units), 0..self.size[0])
        } else {
            (0..units, share(self.size[0]))
        };
        for unit in units {
            let work = Unit {
                conv: self,
                kernels,
                base: memory.pointer(),
                scratch: scratch.pointer().cast(),
                logits: logits.map(|m| m.pointer().cast()),
                phase: unit / blocks,
                first: unit % blocks * BLOCK,
            };
            for visit in 0..self.visits.len() {
                // SAFETY: `check` and the assertions above hold for every pointer made from these; see `Unit`.
                unsafe { work.visit(visit, rows.clone()) };
            }
        }
    }
}
