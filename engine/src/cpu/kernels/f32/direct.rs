//! Convolution as it is written: for each output pixel the numbers below the kernel times the weights.
//!
//! Zero padding is the business of a step before ([`super::Frame`]), so every pixel below a kernel exists. In an image without
//! gaps a row of the kernel covers numbers in a row, so a convolution has as many runs as its kernel has rows.
#![allow(unsafe_code)]

use super::lanes::Lanes;
use super::product::{Product, Run, Runs};
use super::schedule::{Share, StepCheck};
use super::{Buffer, Finish, Job, Layout, Panels};

/// One convolution among those whose sum is computed.
pub(crate) struct Term {
    /// Where the top left number below the kernel lies for each output pixel.
    pub(crate) layout: Layout,
    /// Rows of the kernel.
    pub(crate) kernel_rows: usize,
    /// Numbers below a row of the kernel: kernel columns times channels.
    pub(crate) run: usize,
    /// Numbers from a row of the image to the next.
    pub(crate) row: usize,
}

/// A sum of convolutions.
pub(crate) struct Direct {
    sources: Vec<Layout>,
    runs: Runs,
    weights: Buffer,
    panels: Panels,
    size: [usize; 2],
    finish: Finish,
}

impl Direct {
    /// Plans a sum of convolutions with an output of `size` pixels.
    ///
    /// `weight(term, row, col, channel)` is the number that the output channel has for number `col` below row `row` of the
    /// term's kernel. `None` if there is no memory for the packed weights.
    pub(crate) fn new(
        terms: &[Term],
        size: [usize; 2],
        finish: Finish,
        panels: Panels,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Option<Self> {
        let mut whole = Vec::new();
        let mut rows = Vec::new();
        for (source, term) in terms.iter().enumerate() {
            for row in 0..term.kernel_rows {
                whole.push(Run {
                    source,
                    offset: row * term.row,
                    len: term.run,
                });
                rows.extend((0..term.run).map(|col| [source, row, col]));
            }
        }
        let runs = Runs::new(&whole, panels);
        let columns = finish.channels;
        let mut weights = Buffer::zeros(runs.depth() * panels.row(columns))?;
        panels.pack(
            runs.depth(),
            columns,
            weights.as_mut_slice(),
            |row, channel| {
                let [term, row, col] = rows[row];
                weight(term, row, col, channel)
            },
        );
        Some(Self {
            sources: terms.iter().map(|term| term.layout).collect(),
            runs,
            weights,
            panels,
            size,
            finish,
        })
    }

    pub(super) fn check(&self, panels: Panels) -> StepCheck {
        let [rows, cols] = self.size;
        let read = |run: &Run| {
            let layout = self.sources[run.source];
            let start = layout.start + run.offset;
            Layout { start, ..layout }.extent(self.size, run.len)
        };
        let sound = rows * cols > 0
            && self.panels == panels
            && self.finish.is_sound()
            && self.weights.len() >= self.runs.depth() * self.panels.row(self.finish.channels);
        StepCheck {
            reads: self.runs.iter().map(read).collect(),
            adds: self.finish.reads(self.size),
            writes: self.finish.writes(self.size),
            sound,
        }
    }
}

/// A thread's share of a sum of convolutions.
pub(super) struct DirectJob<'a> {
    pub(super) step: &'a Direct,
    pub(super) memory: *mut f32,
    pub(super) share: Share,
}

impl Job for DirectJob<'_> {
    // Safety: the memory holds what `Direct::check` names, and no other thread has the same share.
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let step = self.step;
        let pixels = step.size[0] * step.size[1];
        let items = Product::items(pixels, step.finish.channels, step.panels);
        let product = Product {
            sources: &step.sources,
            runs: &step.runs,
            weights: step.weights.as_ptr(),
            cols: step.size[1],
            pixels,
            finish: &step.finish,
            input: self.memory,
            output: self.memory,
        };
        // SAFETY: the check found all of it inside the memory, and weights are packed for these kernels.
        unsafe { product.run::<L>(self.share.of(items)) }
    }
}
