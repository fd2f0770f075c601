//! How many products a second the registers of this processor make when nothing else is to be done.

#![allow(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::cpu::KernelSet;
use crate::cpu::team::Team;

/// Sums that are added to in turn: more than an instruction takes cycles, times the instructions that begin in one.
const SUMS: usize = 16;
/// Rounds between two looks at the clock.
const ROUNDS: usize = 200_000;
/// How long the best is looked for.
const PATIENCE: Duration = Duration::from_millis(60);

/// Additions and multiplications of 8-bit products in a second, by the instructions of a kernel set on all threads of a team
/// together, with all numbers in registers: what no kernel can exceed. The best of [`PATIENCE`]. `None` for sets that have
/// no instruction for products of bytes, where it depends on how they are made of others.
pub(crate) fn peak(set: KernelSet, team: &Team) -> Option<f64> {
    // The loop, and products in one of its steps.
    let (spin, products): (unsafe fn(), usize) = match set {
        #[cfg(target_arch = "x86_64")]
        KernelSet::Avx512Vnni => (x86::avx512_vnni, 64),
        #[cfg(target_arch = "x86_64")]
        KernelSet::AvxVnni => (x86::avx_vnni, 32),
        #[cfg(target_arch = "aarch64")]
        KernelSet::NeonDot => (arm::neon_dot, 16),
        _ => return None,
    };
    let operations = (2 * products * SUMS * ROUNDS * team.threads()) as f64;
    let begun = Instant::now();
    let mut best = f64::INFINITY;
    while begun.elapsed() < PATIENCE {
        let start = Instant::now();
        team.run(|mut member| {
            // SAFETY: the caller has found the set to be available.
            unsafe { spin() };
            member.wait();
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    Some(operations / best)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{ROUNDS, SUMS, black_box};

    // Safety, of all: the instructions are present.

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn avx512_vnni() {
        let (bytes, weights) = (
            black_box(_mm512_set1_epi8(3)),
            black_box(_mm512_set1_epi8(5)),
        );
        let mut sums = [_mm512_setzero_si512(); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, bytes, weights);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2,avxvnni")]
    pub(super) fn avx_vnni() {
        let (bytes, weights) = (
            black_box(_mm256_set1_epi8(3)),
            black_box(_mm256_set1_epi8(5)),
        );
        // As many as registers allow.
        let mut sums = [_mm256_setzero_si256(); SUMS / 2];
        for _ in 0..2 * ROUNDS {
            for sum in &mut sums {
                *sum = _mm256_dpbusd_avx_epi32(*sum, bytes, weights);
            }
        }
        black_box(sums);
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;
    use std::arch::asm;

    use super::{ROUNDS, SUMS, black_box};

    // Safety: the dot product extension is present.
    #[target_feature(enable = "neon,dotprod")]
    pub(super) fn neon_dot() {
        let (bytes, weights) = (black_box(vdupq_n_s8(3)), black_box(vdupq_n_s8(5)));
        let mut sums = [vdupq_n_s32(0); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                // SAFETY: changes nothing but the sum.
                unsafe {
                    asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) *sum, in(vreg) bytes, in(vreg) weights,
                        options(pure, nomem, nostack, preserves_flags));
                }
            }
        }
        black_box(sums);
    }
}
