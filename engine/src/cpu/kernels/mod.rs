//! The innermost loops, one file for each instruction set. All `unsafe` code of the engine's own executors is in this folder.
//!
//! No loop checks an index: every pointer is proved when a network is made, by checks that look at nothing but the numbers which the
//! pointers are made of.
//!
//! | what the loops rely on | who sees to it |
//! | --- | --- |
//! | the instructions are there | `KernelSets::within`, which every constructor asks; `Schedule::new` |
//! | integer sums fit 32 bits, weights are not -128, results are numbers | `int8::Conv::with_panel`, `int8::is_map` |
//! | windows of convolutions lie in their inputs and borders; weights and tables have their numbers | `int8::conv::Conv::check` |
//! | values lie in the memory, scratch and logits are long enough | assertions at the head of `Conv::run`, `Entry::run`, `Mapped::run`, `Pool::run`, `clear_border` |
//! | pooling windows lie in the image and its border; whole registers of channels | assertions at the head of `Pool::run` and `Mapped::run` |
//! | what is read past a run, at most a register, is there | `memory::SLACK` bytes behind every memory; `f32::Buffer` ends with a whole cache line |
//! | f32 steps stay in their buffer and never read what another thread writes | `f32::Schedule::new` asks `check` of each step, and `StepCheck::holds` |
//! | values that live at the same time do not overlap | `arena::place`, a property test; for f32 once more by `StepCheck::holds` |
//! | threads write apart, and meet before one reads what another wrote | shares of rows or of channels; `Member::wait` after each step |
//!
//! What is checked is computed from a program that has passed [`Program::check`](crate::program::Program::check) and
//! [`Plan::fits`](crate::program::Plan::fits), so that no size overflows. `tools/sanitize.sh` runs the tests of all this under a sanitizer.

pub(super) mod f32;
pub(super) mod int8;
pub(super) mod memory;

/// Names an instruction set in the environment: the executors then use no instructions beyond it, see [`KernelSets::choose`].
pub const VARIABLE: &str = "NEPHROBOX_KERNELS";

/// An instruction set that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KernelSet {
    /// x86-64 with AVX-512 and its vector neural network instructions.
    Avx512Vnni,
    /// x86-64 with AVX-512F.
    Avx512,
    /// x86-64 with AVX2 and the neural network instructions in half the width.
    AvxVnni,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// aarch64 with the dot product extension.
    NeonDot,
    /// aarch64.
    Neon,
    /// Plain Rust.
    Portable,
}

impl KernelSet {
    /// All sets, the widest first.
    pub const ALL: [Self; 7] = [
        Self::Avx512Vnni,
        Self::Avx512,
        Self::AvxVnni,
        Self::Avx2,
        Self::NeonDot,
        Self::Neon,
        Self::Portable,
    ];

    /// The name used in the environment and in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512Vnni => "avx512-vnni",
            Self::Avx512 => "avx512",
            Self::AvxVnni => "avx-vnni",
            Self::Avx2 => "avx2",
            Self::NeonDot => "neon-dot",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                Self::Avx512.is_available()
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Self::Avx2.is_available() && is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => Self::Avx2.is_available() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            Self::Portable => true,
            _ => false,
        }
    }

    /// The set of that name, if this processor has it.
    pub fn named(name: &str) -> Result<Self, KernelError> {
        let set = Self::ALL.into_iter().find(|set| set.name() == name);
        let set = set.ok_or_else(|| KernelError::Unknown(name.to_owned()))?;
        if set.is_available() {
            Ok(set)
        } else {
            Err(KernelError::Absent(set))
        }
    }

    /// Whether every instruction of `other` is also one of this set's.
    const fn includes(self, other: Self) -> bool {
        match self {
            Self::Avx512Vnni => matches!(
                other,
                Self::Avx512Vnni | Self::Avx512 | Self::Avx2 | Self::Portable
            ),
            Self::Avx512 => matches!(other, Self::Avx512 | Self::Avx2 | Self::Portable),
            Self::AvxVnni => matches!(other, Self::AvxVnni | Self::Avx2 | Self::Portable),
            Self::Avx2 => matches!(other, Self::Avx2 | Self::Portable),
            Self::NeonDot => matches!(other, Self::NeonDot | Self::Neon | Self::Portable),
            Self::Neon => matches!(other, Self::Neon | Self::Portable),
            Self::Portable => matches!(other, Self::Portable),
        }
    }
}

/// The instruction sets that one executor has kernels of its own for: [`int8::KERNELS`](crate::cpu::int8::KERNELS) or
/// [`f32::KERNELS`](crate::cpu::f32::KERNELS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelSets(
    /// The fastest first, the portable one last.
    pub(in crate::cpu) &'static [KernelSet],
);

impl KernelSets {
    /// Those that run on this processor, the fastest first; never none.
    pub fn available(self) -> impl Iterator<Item = KernelSet> {
        self.0.iter().copied().filter(|set| set.is_available())
    }

    /// The fastest of this processor; or, if [`VARIABLE`] names a set, the fastest that need no instructions beyond it.
    pub fn choose(self) -> Result<KernelSet, KernelError> {
        match std::env::var_os(VARIABLE) {
            Some(name) => self.within(KernelSet::named(&name.to_string_lossy())?),
            None => Ok(self.available().next().unwrap_or(KernelSet::Portable)),
        }
    }

    /// The fastest that need no instructions beyond those of `set`, which this processor must have: `set` itself where the executor
    /// has kernels for it.
    pub fn within(self, set: KernelSet) -> Result<KernelSet, KernelError> {
        if !set.is_available() {
            return Err(KernelError::Absent(set));
        }
        let mut fits = self.0.iter().copied().filter(|&own| set.includes(own));
        Ok(fits.next().unwrap_or(KernelSet::Portable))
    }
}

impl std::fmt::Display for KernelSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why the wanted kernels cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// No set has that name.
    #[error(
        "there are no kernels called `{0}`; set {VARIABLE} to avx512-vnni, avx512, avx-vnni, avx2, neon-dot, neon or portable, or leave it out"
    )]
    Unknown(String),
    /// The processor lacks the instructions.
    #[error("this processor has no {0} instructions; leave {VARIABLE} out, or set it to portable")]
    Absent(KernelSet),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{f32, int8};

    #[test]
    fn the_portable_kernels_are_always_there_and_last() {
        for kernels in [int8::KERNELS, f32::KERNELS] {
            assert_eq!(kernels.available().last(), Some(KernelSet::Portable));
        }
    }

    #[test]
    fn names_are_found_again_and_others_are_refused_with_the_choice() {
        for set in KernelSet::ALL.into_iter().filter(|set| set.is_available()) {
            assert_eq!(KernelSet::named(set.name()), Ok(set));
        }
        let message = KernelSet::named("sse9").unwrap_err().to_string();
        assert!(
            KernelSet::ALL
                .iter()
                .all(|set| message.contains(set.name())),
            "{message}"
        );
    }

    /// What a processor has follows from what another one has, so kernels chosen within a set always run.
    #[test]
    fn a_set_includes_only_what_processors_with_it_have() {
        for set in KernelSet::ALL {
            assert!(set.includes(set) && set.includes(KernelSet::Portable));
            for other in KernelSet::ALL
                .into_iter()
                .filter(|&other| set.includes(other))
            {
                assert!(
                    !set.is_available() || other.is_available(),
                    "{set} has {other}"
                );
            }
        }
    }

    /// One name in the environment for both executors: each takes its own kernels for the nearest set.
    #[test]
    fn each_executor_takes_its_fastest_kernels_within_a_set() {
        use KernelSet::{Avx2, Avx512, Avx512Vnni, AvxVnni, Neon, NeonDot, Portable};
        for (set, integers, floats) in [
            (Avx512Vnni, Avx512Vnni, Avx512),
            (Avx512, Avx2, Avx512),
            (AvxVnni, AvxVnni, Avx2),
            (Avx2, Avx2, Avx2),
            (NeonDot, NeonDot, Neon),
            (Neon, Neon, Neon),
            (Portable, Portable, Portable),
        ] {
            for (kernels, own) in [(int8::KERNELS, integers), (f32::KERNELS, floats)] {
                let wanted = if set.is_available() {
                    Ok(own)
                } else {
                    Err(KernelError::Absent(set))
                };
                assert_eq!(kernels.within(set), wanted, "{set}");
            }
        }
    }
}
