//! AVX2 with fused multiply-add: 8 numbers in each of 16 registers.
#![allow(unsafe_code)]

use std::arch::x86_64 as x86;

use super::Job;
use super::lanes::Lanes;

/// Runs a job with these registers.
///
/// # Safety
///
/// The processor has AVX2 and FMA, and what [`Job::run`] asks.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<J: Job>(job: J) {
    // SAFETY: the caller's promise.
    unsafe { job.run::<Register>() }
}

#[derive(Clone, Copy)]
pub(super) struct Register(x86::__m256);

/// An operation on registers.
macro_rules! on_registers {
    ($operation:expr) => {
        // SAFETY: a register exists only where its instruction set does, see `Lanes`, and the operation touches no memory.
        Self(unsafe { $operation })
    };
}

impl Lanes for Register {
    const WIDTH: usize = 8;
    const COLUMNS: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller has the instruction set.
        Self(unsafe { x86::_mm256_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller has the instruction set, and lets us read a register.
        Self(unsafe { x86::_mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller lets us write a register.
        unsafe { x86::_mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        on_registers!(x86::_mm256_add_ps(self.0, other.0))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        on_registers!(x86::_mm256_sub_ps(self.0, other.0))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        on_registers!(x86::_mm256_mul_ps(self.0, other.0))
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        on_registers!(x86::_mm256_div_ps(self.0, other.0))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        on_registers!(x86::_mm256_fmadd_ps(self.0, factor.0, term.0))
    }

    // The instructions answer with their second operand if one of the two is not a number.
    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        on_registers!(x86::_mm256_max_ps(low.0, self.0))
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        on_registers!(x86::_mm256_min_ps(high.0, self.0))
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        on_registers!({
            let broken = x86::_mm256_cmp_ps::<{ x86::_CMP_UNORD_Q }>(self.0, self.0);
            x86::_mm256_blendv_ps(x86::_mm256_max_ps(self.0, other.0), self.0, broken)
        })
    }

    #[inline(always)]
    fn round(self) -> Self {
        on_registers!(x86::_mm256_round_ps::<
            { x86::_MM_FROUND_TO_NEAREST_INT | x86::_MM_FROUND_NO_EXC },
        >(self.0))
    }
}
