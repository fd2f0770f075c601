//! Number by number: scale and shift, rectifier, sum, rounding to a grid.
#![allow(unsafe_code)]

use super::finish::{load, store};
use super::lanes::Lanes;
use super::schedule::{Share, StepCheck};
use super::{Buffer, Job, LINE, Region};

/// What happens to each number.
pub(crate) enum FlatKind {
    /// `x * scale + shift`, and negative results become 0 if `relu`. Constants as from [`FlatKind::affine`].
    Affine {
        /// Repeated up to whole cache lines.
        scale: Buffer,
        /// Repeated up to whole cache lines.
        shift: Buffer,
        /// Whether negative results become 0.
        relu: bool,
    },
    /// `max(x, 0)`.
    Relu,
    /// The sum with the numbers of another region.
    Add(Region),
    /// `clamp(round(x / scale), low, high) * scale`, halves to even.
    Quantise {
        /// Distance of two numbers of the grid.
        scale: f32,
        /// Lowest and highest multiple.
        range: [f32; 2],
    },
}

impl FlatKind {
    /// Scale and shift for each channel of an image.
    pub(crate) fn affine(scale: &[f32], shift: &[f32], relu: bool) -> Self {
        let repeated = |values: &[f32]| {
            // The shortest repetition that is a whole number of cache lines.
            let times = (1..=LINE)
                .find(|n| (values.len() * n).is_multiple_of(LINE))
                .unwrap_or(LINE);
            Buffer::from_slice(&values.repeat(times))
        };
        Self::Affine {
            scale: repeated(scale),
            shift: repeated(shift),
            relu,
        }
    }
}

/// A step that treats every number by itself.
pub(crate) struct Flat {
    /// What it reads.
    pub(crate) input: Region,
    /// What it writes, as long.
    pub(crate) output: Region,
    /// What it does.
    pub(crate) kind: FlatKind,
}

impl Flat {
    pub(super) fn check(&self) -> StepCheck {
        let mut reads = vec![self.input];
        let mut sound = self.input.len == self.output.len;
        match &self.kind {
            FlatKind::Add(other) => {
                reads.push(*other);
                sound &= other.len == self.input.len;
            }
            FlatKind::Affine { scale, shift, .. } => {
                sound &= scale.len() == shift.len();
                sound &= scale.len() > 0 && scale.len().is_multiple_of(LINE);
            }
            FlatKind::Relu | FlatKind::Quantise { .. } => {}
        }
        StepCheck {
            reads,
            adds: None,
            writes: vec![self.output],
            sound,
        }
    }
}

/// A thread's share.
pub(super) struct FlatJob<'a> {
    pub(super) step: &'a Flat,
    pub(super) memory: *mut f32,
    pub(super) share: Share,
}

impl Job for FlatJob<'_> {
    // Safety: the memory holds what `Flat::check` names, and no other thread has the same share.
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Flat {
            input,
            output,
            kind,
        } = self.step;
        // SAFETY: the check found both regions inside the memory, equally long and apart.
        unsafe {
            let from = self.memory.add(input.start).cast_const();
            let to = self.memory.add(output.start);
            match kind {
                FlatKind::Affine { scale, shift, relu } => {
                    let period = scale.len();
                    let zero = L::splat(0.0);
                    self.each::<L>(period, |at, place, count| {
                        let scale = L::load(scale.as_ptr().add(place));
                        let shift = L::load(shift.as_ptr().add(place));
                        let x = load::<L>(from.add(at), count).mul_add(scale, shift);
                        let x = if *relu { x.at_least(zero) } else { x };
                        store(x, to.add(at), count);
                    });
                }
                FlatKind::Relu => {
                    let zero = L::splat(0.0);
                    self.each::<L>(LINE, |at, _, count| {
                        let x = load::<L>(from.add(at), count);
                        store(x.at_least(zero), to.add(at), count);
                    });
                }
                FlatKind::Add(other) => {
                    let other = self.memory.add(other.start).cast_const();
                    self.each::<L>(LINE, |at, _, count| {
                        let sum = load::<L>(from.add(at), count).add(load(other.add(at), count));
                        store(sum, to.add(at), count);
                    });
                }
                FlatKind::Quantise { scale, range } => {
                    let scale = L::splat(*scale);
                    let [low, high] = [L::splat(range[0]), L::splat(range[1])];
                    self.each::<L>(LINE, |at, _, count| {
                        let steps = load::<L>(from.add(at), count).div(scale).round();
                        let steps = steps.at_least(low).at_most(high);
                        store(steps.mul(scale), to.add(at), count);
                    });
                }
            }
        }
    }
}

impl FlatJob<'_> {
    /// Calls `work` for every register of this share, with where it begins, that place's remainder by `period`, which is whole
    /// cache lines, and how many numbers are left.
    #[inline(always)]
    fn each<L: Lanes>(&self, period: usize, work: impl Fn(usize, usize, usize)) {
        let len = self.step.input.len;
        let lines = self.share.of(len.div_ceil(LINE));
        let mut place = lines.start * LINE % period;
        for at in (lines.start * LINE..len.min(lines.end * LINE)).step_by(L::WIDTH) {
            work(at, place, len - at);
            place += L::WIDTH;
            if place == period {
                place = 0;
            }
        }
    }
}
