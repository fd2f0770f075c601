//! A share of a sum's work: one block of output channels in one phase, row by row.

#![allow(unsafe_code)]

use super::packing::Pass;
use super::{BLOCK, Conv, GROUP, Layout, Output, RUNS};
use crate::cpu::kernels::int8::dots::Run;
use crate::cpu::kernels::int8::lanes::{Finish, Kernels, Map, Residual, Target, Tile};
use crate::program::{Precision, argmax_pixel};

/// One block of output channels in one phase.
pub(super) struct Unit<'a> {
    pub(super) conv: &'a Conv,
    pub(super) kernels: &'a Kernels,
    pub(super) base: *mut u8,
    pub(super) scratch: *mut i32,
    pub(super) logits: Option<*mut f32>,
    pub(super) phase: usize,
    pub(super) first: usize,
}

impl Unit<'_> {
    /// Adds up one visit for some rows, and finishes them if it is the last.
    ///
    /// # Safety
    ///
    /// `base` is valid for the conv's reach and `scratch` for its scratch, both with the slack; no other thread writes the same rows and
    /// channels.
    pub(super) unsafe fn visit(&self, number: usize, rows: std::ops::Range<usize>) {
        let conv = self.conv;
        let (visit, last) = (&conv.visits[number], number + 1 == conv.visits.len());
        let width = BLOCK.min(conv.channels[1] - self.first);
        let group = self.widest(width);
        let most = self.kernels.pixels[group / GROUP - 1];
        let [_, cols] = conv.size;
        let tiles = cols.div_ceil(most);
        let empty = Run {
            bytes: std::ptr::null(),
            pixel_step: 0,
            row_step: 0,
            rows: 0,
            length: 0,
            weights: std::ptr::null(),
            rescale: std::ptr::null(),
            start: std::ptr::null(),
        };
        let mut runs = [empty; RUNS];
        for y in rows {
            for t in 0..tiles {
                let (x, end) = (t * cols / tiles, (t + 1) * cols / tiles);
                let whole = conv.visits.len() > 1;
                // SAFETY: with several visits the scratch holds `width` sums for every pixel of a phase; with one, those of a tile.
                let sums = unsafe {
                    self.scratch
                        .add(if whole { (y * cols + x) * width } else { 0 })
                };
                let mut part = 0;
                while part < width {
                    let group = self.widest(width - part);
                    for (run, pass) in runs.iter_mut().zip(visit) {
                        // SAFETY: the window of every pixel lies within the input and its border.
                        *run = unsafe { self.run(pass, width, part, y, x) };
                    }
                    let tile = Tile {
                        runs: &runs[..visit.len()],
                        weight_step: 4 * width,
                        before: if number == 0 {
                            std::ptr::null()
                        } else {
                            sums.wrapping_add(part)
                        },
                        after: sums.wrapping_add(part),
                        sum_step: width,
                    };
                    // SAFETY: all pointers of the tile are valid, and the kernels were chosen for this processor.
                    unsafe { (self.kernels.tile)(&tile, end - x, group) };
                    part += group;
                }
                if last {
                    // SAFETY: as above.
                    unsafe { self.finish(sums, width, y, x, end - x) };
                }
            }
        }
    }

    /// The widest group of channels that the kernels do at once.
    fn widest(&self, width: usize) -> usize {
        width.min(self.kernels.block)
    }

    /// # Safety
    ///
    /// As for [`visit`](Self::visit).
    unsafe fn run(&self, pass: &Pass, width: usize, part: usize, y: usize, x: usize) -> Run {
        let conv = self.conv;
        let term = &conv.terms[pass.term];
        let input = &term.input;
        let (p, q) = (self.phase / 2, self.phase % 2);
        // Input pixel of the window's corner, counted from the corner of the border.
        let (row, col, step) = if term.doubled {
            (y + p, x + q, 1)
        } else if conv.phases == 4 {
            (
                term.stride * (2 * y + p),
                term.stride * (2 * x + q),
                2 * term.stride,
            )
        } else {
            (term.stride * y, term.stride * x, term.stride)
        };
        let inset = input.border - term.padding;
        let corner = input.start
            + (row + inset + pass.row) * input.row()
            + (col + inset) * input.pixel()
            + pass.from;
        let depth = term.rows * term.length;
        let phase = if term.doubled { self.phase } else { 0 };
        let panel = term.first + (phase * conv.channels[1] + self.first) * depth;
        let weights = panel + (pass.row * term.length + pass.from) * width + 4 * part;
        let factors = self.phase * conv.channels[1] + self.first + part;
        // SAFETY: the corner lies in the input, the weights in the pack, the factors among those of all phases.
        unsafe {
            Run {
                bytes: self.base.add(corner).cast_const(),
                pixel_step: step * input.pixel(),
                row_step: input.row(),
                rows: pass.rows,
                length: pass.to - pass.from,
                weights: conv.weights.pointer().add(weights),
                rescale: match &term.rescale {
                    Some(ratio) if pass.begins => ratio.pointer().add(factors),
                    _ => std::ptr::null(),
                },
                start: if pass.begins {
                    term.start.pointer().add(factors)
                } else {
                    std::ptr::null()
                },
            }
        }
    }

    /// # Safety
    ///
    /// As for [`visit`](Self::visit).
    unsafe fn finish(&self, sums: *const i32, width: usize, y: usize, x: usize, pixels: usize) {
        let conv = self.conv;
        let spread = if conv.phases == 4 { 2 } else { 1 };
        let (row, col) = (spread * y + self.phase / 2, spread * x + self.phase % 2);
        let factors = self.phase * conv.channels[1] + self.first;
        let mut labels = [0.0_f32; GROUP * GROUP];
        // SAFETY: the pixel lies in each of the values, the channels in each of the tables.
        unsafe {
            let place = |layout: &Layout| {
                self.base
                    .add(layout.at(row, col) + self.first * layout.size())
            };
            let residual = match &conv.residual {
                None => Residual::None,
                Some((layout, by)) => {
                    let by = by.pointer().add(factors);
                    match layout.precision {
                        Precision::I16 => Residual::I16(
                            place(layout).cast::<i16>().cast_const(),
                            spread * layout.step,
                            by,
                        ),
                        Precision::U8 => {
                            Residual::U8(place(layout).cast_const(), spread * layout.step, by)
                        }
                    }
                }
            };
            let (raw, precision) = match &conv.output {
                Output::Nowhere(precision) => (Target::None, *precision),
                Output::Layout(layout) => match layout.precision {
                    Precision::U8 => (
                        Target::U8(place(layout), spread * layout.step),
                        layout.precision,
                    ),
                    Precision::I16 => (
                        Target::I16(place(layout).cast(), spread * layout.step),
                        layout.precision,
                    ),
                },
                Output::Labels(_) => (Target::Floats(labels.as_mut_ptr(), GROUP), Precision::I16),
            };
            let [low, high] = precision.range();
            let finish = Finish {
                sums,
                sum_step: width,
                pixels,
                channels: width,
                factor: conv.factor.pointer().add(factors),
                offset: conv.offset.pointer().add(factors),
                residual,
                limits: [if conv.relu { 0.0 } else { low }, high],
                raw,
                map: match &conv.map {
                    None => Map {
                        factor: std::ptr::null(),
                        offset: std::ptr::null(),
                        to: std::ptr::null_mut(),
                        step: 0,
                    },
                    Some((factor, offset, layout)) => Map {
                        factor: factor.pointer().add(self.first),
                        offset: offset.pointer().add(self.first),
                        to: place(layout),
                        step: spread * layout.step,
                    },
                },
            };
            (self.kernels.finish)(&finish);
            if let Output::Labels(start) = conv.output {
                let cols = spread * conv.size[1];
                for (m, logits) in labels.chunks_exact(GROUP).take(pixels).enumerate() {
                    let pixel = row * cols + col + spread * m;
                    *self.base.add(start + pixel) = argmax_pixel(&logits[..conv.channels[0]]);
                    if let Some(all) = self.logits {
                        std::ptr::copy_nonoverlapping(
                            logits.as_ptr(),
                            all.add(pixel * GROUP),
                            GROUP,
                        );
                    }
                }
            }
        }
    }
}
