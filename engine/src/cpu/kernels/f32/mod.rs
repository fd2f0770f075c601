//! The f32 kernels: one algorithm each, for every instruction set.
//!
//! Kernels are written over [`lanes::Lanes`], a register of `f32`; one file for each instruction set says what such a register
//! is. All `unsafe` of the f32 executor lives here. What leaves this module is safe: a [`Schedule`] is made of steps whose
//! reads and writes are checked once against the memory they will run in, and then runs them.
//!
//! Images are channels-last without gaps: `[rows, cols, channels]`.
#![allow(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into a function for an instruction set is compiled for it"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "registers stay registers if arrays of them are walked by constant bounds"
)]

mod direct;
mod finish;
mod flat;
mod images;
mod lanes;
mod memory;
mod portable;
mod product;
mod schedule;
mod transforms;
mod winograd;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

use lanes::Lanes;

use super::{KernelSet, KernelSets};

pub(crate) use direct::{Direct, Term};
pub(crate) use finish::{Finish, Second};
pub(crate) use flat::{Flat, FlatKind};
pub(crate) use images::{Concat, Double, Frame, Pool};
pub(crate) use memory::{Buffer, Region};
pub(crate) use product::Layout;
pub(crate) use schedule::{Schedule, Step};
pub(crate) use winograd::{Tiling, Window, Winograd, tiles};

/// Numbers in a cache line and in the widest register; every register's width divides it.
pub(crate) const LINE: usize = 16;

/// The instruction sets there are kernels for.
pub(crate) const KERNELS: KernelSets = KernelSets(&[
    KernelSet::Avx512,
    KernelSet::Avx2,
    KernelSet::Neon,
    KernelSet::Portable,
]);

/// How weights are packed for the kernels of a set.
pub(crate) const fn panels(set: KernelSet) -> Panels {
    const fn of<L: Lanes>() -> Panels {
        Panels {
            width: L::WIDTH,
            columns: L::COLUMNS,
        }
    }
    match set {
        #[cfg(target_arch = "x86_64")]
        KernelSet::Avx512 => of::<avx512::Register>(),
        #[cfg(target_arch = "x86_64")]
        KernelSet::Avx2 => of::<avx2::Register>(),
        #[cfg(target_arch = "aarch64")]
        KernelSet::Neon => of::<neon::Register>(),
        _ => of::<portable::Register>(),
    }
}

/// Does a job with the kernels of a set.
///
/// # Safety
///
/// The set is available, and what [`Job::run`] asks.
unsafe fn run<J: Job>(set: KernelSet, job: J) {
    // SAFETY: the caller's promise.
    unsafe {
        match set {
            #[cfg(target_arch = "x86_64")]
            KernelSet::Avx512 => avx512::run(job),
            #[cfg(target_arch = "x86_64")]
            KernelSet::Avx2 => avx2::run(job),
            #[cfg(target_arch = "aarch64")]
            KernelSet::Neon => neon::run(job),
            _ => portable::run(job),
        }
    }
}

/// Something to do with the registers of some instruction set.
trait Job {
    /// # Safety
    ///
    /// The instruction set of `L` is present, and what the job itself says.
    unsafe fn run<L: Lanes>(self);
}

/// The columns of a matrix of weights in panels: as many registers wide as a tile of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panels {
    /// Numbers in a register.
    width: usize,
    /// Registers in a full panel.
    columns: usize,
}

impl Panels {
    /// Numbers in a row of a full panel.
    const fn full(self) -> usize {
        self.width * self.columns
    }

    /// How many panels `columns` columns have.
    pub(crate) const fn count(self, columns: usize) -> usize {
        columns.div_ceil(self.full())
    }

    /// Numbers in a row of all panels together.
    pub(crate) const fn row(self, columns: usize) -> usize {
        columns.next_multiple_of(self.width)
    }

    /// Where a weight lies among `depth` rows of `columns` columns.
    const fn place(self, [depth, columns]: [usize; 2], [row, column]: [usize; 2]) -> usize {
        let full = self.full();
        let panel = column / full;
        let left = columns - panel * full;
        let width = if left < full { left } else { full }.next_multiple_of(self.width);
        panel * full * depth + row * width + column % full
    }

    /// Writes `depth` rows of a matrix with `columns` columns, `at(row, column)`, panel after panel.
    pub(crate) fn pack(
        self,
        depth: usize,
        columns: usize,
        out: &mut [f32],
        at: impl Fn(usize, usize) -> f32,
    ) {
        let mut rest = out.iter_mut();
        for first in (0..columns).step_by(self.full()) {
            let end = columns.min(first + self.full());
            let width = (end - first).next_multiple_of(self.width);
            for row in 0..depth {
                for (column, out) in (first..first + width).zip(&mut rest) {
                    *out = if column < end { at(row, column) } else { 0.0 };
                }
            }
        }
    }
}
