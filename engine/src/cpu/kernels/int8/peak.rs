//! How many products a second the registers of this processor make when nothing else is to be done.

#![allow(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::lanes::Lanes;
use super::portable::Portable;
use crate::cpu::KernelSet;
use crate::cpu::team::Team;

/// Sums that are added to in turn: more than an instruction takes cycles, times the instructions that begin in one.
const SUMS: usize = 16;
/// Rounds between two looks at the clock.
const ROUNDS: usize = 200_000;
/// How long the best is looked for.
const PATIENCE: Duration = Duration::from_millis(60);

/// Additions and multiplications of 8-bit products in a second, by the instructions of a kernel set on all threads of a team
/// together, with all numbers in registers: what no kernel can exceed. The best of a twentieth of a second.
pub(crate) fn peak(set: KernelSet, team: &Team) -> f64 {
    let (rounds, lanes): (unsafe fn(), usize) = match set {
        #[cfg(target_arch = "x86_64")]
        KernelSet::Avx512Vnni => (avx512, super::avx512::Avx512::COUNT),
        _ => (portable, Portable::COUNT),
    };
    let operations = (ROUNDS * SUMS * lanes * 4 * 2 * team.threads()) as f64;
    let begun = Instant::now();
    let mut best = f64::INFINITY;
    while begun.elapsed() < PATIENCE {
        let start = Instant::now();
        team.run(|mut member| {
            // SAFETY: a network of these kernels runs on this processor, so it has the instructions.
            unsafe { rounds() };
            member.wait();
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    operations / best
}

/// # Safety
///
/// The instruction set is present.
#[inline(always)]
unsafe fn spin<L: Lanes>() {
    // SAFETY: the caller's promise; the arrays are as long as any register.
    unsafe {
        let (bytes, weights) = (black_box([3_u8; 64]), black_box([5_i8; 64]));
        let (bytes, weights) = (L::bytes(bytes.as_ptr()), L::weights(weights.as_ptr()));
        let mut sums = [L::zero(); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = L::dot(*sum, bytes, weights);
            }
        }
        let mut result = [0_i32; 16];
        for sum in sums {
            L::store(result.as_mut_ptr(), sum);
            black_box(&result);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn avx512() {
    // SAFETY: the caller's promise.
    unsafe { spin::<super::avx512::Avx512>() }
}

unsafe fn portable() {
    // SAFETY: needs no instruction set.
    unsafe { spin::<Portable>() }
}
