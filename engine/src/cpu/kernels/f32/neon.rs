//! NEON: 4 numbers in each of 32 registers. Every aarch64 processor has it.
#![allow(unsafe_code)]

use std::arch::aarch64 as arm;

use super::Job;
use super::lanes::Lanes;

/// Runs a job with these registers.
///
/// # Safety
///
/// What [`Job::run`] asks.
#[target_feature(enable = "neon")]
pub(super) unsafe fn run<J: Job>(job: J) {
    // SAFETY: the caller's promise.
    unsafe { job.run::<Register>() }
}

#[derive(Clone, Copy)]
pub(super) struct Register(arm::float32x4_t);

/// An operation on registers.
macro_rules! on_registers {
    ($operation:expr) => {
        // SAFETY: every aarch64 processor has NEON, and the operation touches no memory.
        Self(unsafe { $operation })
    };
}

impl Lanes for Register {
    const WIDTH: usize = 4;
    const COLUMNS: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        on_registers!(arm::vdupq_n_f32(x))
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller lets us read a register.
        Self(unsafe { arm::vld1q_f32(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller lets us write a register.
        unsafe { arm::vst1q_f32(to, self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        on_registers!(arm::vaddq_f32(self.0, other.0))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        on_registers!(arm::vsubq_f32(self.0, other.0))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        on_registers!(arm::vmulq_f32(self.0, other.0))
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        on_registers!(arm::vdivq_f32(self.0, other.0))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        on_registers!(arm::vfmaq_f32(term.0, self.0, factor.0))
    }

    // These instructions keep what is not a number.
    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        on_registers!(arm::vmaxq_f32(self.0, low.0))
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        on_registers!(arm::vminq_f32(self.0, high.0))
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        on_registers!(arm::vmaxq_f32(self.0, other.0))
    }

    #[inline(always)]
    fn round(self) -> Self {
        on_registers!(arm::vrndnq_f32(self.0))
    }
}
