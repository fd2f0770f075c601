//! Integer kernels: the steps of a quantised network, the same to the byte on every instruction set.

#![allow(
    clippy::inline_always,
    clippy::cast_ptr_alignment,
    clippy::wildcard_imports,
    reason = "only what is inlined into a function for an instruction set is compiled for it; intrinsics are named by dozens; values begin at cache lines and pixels at multiples of 16 numbers"
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod conv;
mod dots;
mod lanes;
mod layout;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_dot;
mod peak;
mod portable;
mod steps;
#[cfg(test)]
mod tests;

pub(crate) use conv::{Conv, Epilogue, Needs, Output, Term, Unfit, Window, is_map};
pub(crate) use layout::{GROUP, Layout};
pub(crate) use peak::peak;
pub(crate) use steps::{Affine, Entry, Mapped, Pool};

use lanes::Kernels;

use super::memory::Memory;
use super::{KernelSet, KernelSets};
use crate::cpu::team::Team;

/// The instruction sets there are kernels for.
pub(crate) const KERNELS: KernelSets = KernelSets(&[
    KernelSet::Avx512Vnni,
    KernelSet::AvxVnni,
    KernelSet::Avx2,
    KernelSet::NeonDot,
    KernelSet::Neon,
    KernelSet::Portable,
]);

/// The loops of a set that this processor has.
fn kernels(set: KernelSet) -> Kernels {
    // The table is compiled for one processor family, so it lacks the others' sets, which are never available here.
    match set {
        #[cfg(target_arch = "x86_64")]
        KernelSet::Avx512Vnni => avx512::KERNELS,
        #[cfg(target_arch = "x86_64")]
        KernelSet::AvxVnni => avx_vnni::KERNELS,
        #[cfg(target_arch = "x86_64")]
        KernelSet::Avx2 => avx2::KERNELS,
        #[cfg(target_arch = "aarch64")]
        KernelSet::NeonDot => neon_dot::KERNELS,
        #[cfg(target_arch = "aarch64")]
        KernelSet::Neon => neon::KERNELS,
        _ => portable::KERNELS,
    }
}

/// A step, packed and checked.
pub(crate) enum Step {
    /// The image.
    Entry(Entry),
    /// A sum of convolutions.
    Conv(Box<Conv>),
    /// The largest of each window.
    Pool(Pool),
    /// Another grid for a value.
    Map(Mapped),
}

/// The steps of a network with the kernels that do them.
pub(crate) struct Machine {
    kernels: Kernels,
    steps: Vec<(Step, Vec<Layout>)>,
}

impl Machine {
    /// Takes the steps of a network, each with the values whose borders it clears.
    pub(crate) fn new(set: KernelSet, steps: Vec<(Step, Vec<Layout>)>) -> Self {
        Self {
            kernels: kernels(set),
            steps,
        }
    }

    /// The steps.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().map(|(step, _)| step)
    }

    /// Runs all steps on one image `[rows, cols]`. There is a scratch memory for each thread of the team.
    pub(crate) fn run(
        &self,
        image: &[f32],
        memory: &mut Memory,
        scratch: &mut [Memory],
        logits: Option<&Memory>,
        team: &Team,
    ) {
        assert!(scratch.len() >= team.threads());
        let (memory, scratch) = (&*memory, &*scratch);
        team.run(|mut member| {
            for (step, borders) in &self.steps {
                match step {
                    Step::Entry(entry) => entry.run(memory, image, member.share(entry.output.rows)),
                    Step::Conv(conv) => {
                        let scratch = &scratch[member.index];
                        let of = [member.index, member.count];
                        conv.run(&self.kernels, memory, scratch, logits, of);
                    }
                    Step::Pool(pool) => {
                        pool.run(&self.kernels, memory, member.share(pool.rows()));
                    }
                    Step::Map(map) => {
                        map.run(&self.kernels, memory, member.share(map.output.rows));
                    }
                }
                if member.index + 1 == member.count {
                    for layout in borders {
                        steps::clear_border(layout, memory);
                    }
                }
                member.wait();
            }
        });
    }
}
