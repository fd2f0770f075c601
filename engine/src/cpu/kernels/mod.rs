//! The innermost loops, one file for each instruction set. All `unsafe` code of the engine's own executors is in this folder.

pub(super) mod f32;
pub(super) mod int8;
pub(super) mod memory;

/// Names an instruction set in the environment: the executors then use its kernels or none.
pub const VARIABLE: &str = "NEPHROBOX_KERNELS";

/// An instruction set that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KernelSet {
    /// x86-64 with AVX-512 and its vector neural network instructions.
    Avx512Vnni,
    /// x86-64 with AVX2 and the same instructions in half the width.
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
    /// All sets, the fastest first.
    pub const ALL: [Self; 6] = [
        Self::Avx512Vnni,
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
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vnni")
            }
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

    /// The sets this processor has, the fastest first; never none.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|set| set.is_available())
    }

    /// The fastest set of this processor, or the one that [`VARIABLE`] names.
    pub fn choose() -> Result<Self, KernelError> {
        match std::env::var(VARIABLE) {
            Ok(name) => Self::named(&name),
            Err(_) => Ok(Self::available().next().unwrap_or(Self::Portable)),
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
        "there are no kernels called `{0}`; set {VARIABLE} to avx512-vnni, avx-vnni, avx2, neon-dot, neon or portable, or leave it out"
    )]
    Unknown(String),
    /// The processor lacks the instructions.
    #[error("this processor has no {0} instructions; leave {VARIABLE} out, or set it to portable")]
    Absent(KernelSet),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portable_kernels_are_always_there_and_last() {
        assert_eq!(KernelSet::available().last(), Some(KernelSet::Portable));
    }

    #[test]
    fn names_are_found_again_and_others_are_refused_with_the_choice() {
        for set in KernelSet::available() {
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
}
