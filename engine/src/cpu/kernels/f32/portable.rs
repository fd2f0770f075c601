//! Plain Rust: 4 numbers at a time, which compilers put into whatever registers there are.
#![allow(unsafe_code)]

use super::Job;
use super::lanes::Lanes;

/// Runs a job with these registers.
///
/// # Safety
///
/// What [`Job::run`] asks.
pub(super) unsafe fn run<J: Job>(job: J) {
    // SAFETY: the caller's promise.
    unsafe { job.run::<Register>() }
}

#[derive(Clone, Copy)]
pub(super) struct Register([f32; 4]);

impl Register {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let ([a, b, c, d], [p, q, r, s]) = (self.0, other.0);
        Self([f(a, p), f(b, q), f(c, r), f(d, s)])
    }
}

impl Lanes for Register {
    const WIDTH: usize = 4;
    const COLUMNS: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller lets us read a register.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller lets us write a register.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.with(other, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        // Rounded twice: where the processor cannot fuse, `f32::mul_add` is a slow function call.
        self.mul(factor).add(term)
    }

    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        self.with(low, |x, low| if x < low { low } else { x })
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        self.with(high, |x, high| if x > high { high } else { x })
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.with(other, |a, b| if a > b || a.is_nan() { a } else { b })
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }
}
