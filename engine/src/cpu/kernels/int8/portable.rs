//! The loops in plain Rust: the reference for all others, and what runs where nothing better is known.

#![allow(unsafe_code)]

use super::dots::Fours;
use super::lanes::{Lanes, kernels};

pub(super) struct Portable;

/// Adding and subtracting it leaves the nearest integer, halves to even, for magnitudes below 2^22. A call per number to the function for that
/// would be far slower where the instruction set has none.
pub(super) const TO_INTEGER: f32 = 12_582_912.0;

impl Lanes for Portable {
    type Ints = [i32; 16];
    type Floats = [f32; 16];

    const COUNT: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> Self::Ints {
        [0; 16]
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self::Ints {
        // SAFETY: valid for the register by the trait's contract; so in all functions below.
        unsafe { from.cast::<[i32; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut i32, x: Self::Ints) {
        // SAFETY: as above.
        unsafe { to.cast::<[i32; 16]>().write_unaligned(x) }
    }

    #[inline(always)]
    unsafe fn sum(a: Self::Ints, b: Self::Ints) -> Self::Ints {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn floats(from: *const f32) -> Self::Floats {
        // SAFETY: as above.
        unsafe { from.cast::<[f32; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::Floats {
        [x; 16]
    }

    #[inline(always)]
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn limit(x: Self::Floats, low: Self::Floats, high: Self::Floats) -> Self::Floats {
        std::array::from_fn(|i| {
            let x = if x[i] > low[i] { x[i] } else { low[i] };
            if x < high[i] { x } else { high[i] }
        })
    }

    #[inline(always)]
    unsafe fn to_floats(x: Self::Ints) -> Self::Floats {
        x.map(|x| x as f32)
    }

    #[inline(always)]
    unsafe fn round(x: Self::Floats) -> Self::Ints {
        x.map(|x| ((x + TO_INTEGER) - TO_INTEGER) as i32)
    }

    #[inline(always)]
    unsafe fn round_large(x: Self::Floats) -> Self::Ints {
        x.map(|x| x.round_ties_even() as i32)
    }

    #[inline(always)]
    unsafe fn store_floats(to: *mut f32, x: Self::Floats) {
        // SAFETY: as above.
        unsafe { to.cast::<[f32; 16]>().write_unaligned(x) }
    }

    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> Self::Ints {
        // SAFETY: as above.
        unsafe { from.cast::<[u8; 16]>().read_unaligned() }.map(i32::from)
    }

    #[inline(always)]
    unsafe fn load_i16(from: *const i16) -> Self::Ints {
        // SAFETY: as above.
        unsafe { from.cast::<[i16; 16]>().read_unaligned() }.map(i32::from)
    }

    #[inline(always)]
    unsafe fn store_u8(to: *mut u8, x: Self::Ints) {
        // SAFETY: as above.
        unsafe { to.cast::<[u8; 16]>().write_unaligned(x.map(|x| x as u8)) }
    }

    #[inline(always)]
    unsafe fn store_i16(to: *mut i16, x: Self::Ints) {
        // SAFETY: as above.
        unsafe { to.cast::<[i16; 16]>().write_unaligned(x.map(|x| x as i16)) }
    }
}

impl Fours for Portable {
    type Lanes = Self;
    type Weights = [[i8; 4]; 16];
    type Bytes = [u8; 4];

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        // SAFETY: as above.
        unsafe { from.cast::<[[i8; 4]; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> Self::Bytes {
        // SAFETY: as above.
        unsafe { from.cast::<[u8; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn dot(mut sum: [i32; 16], bytes: Self::Bytes, weights: Self::Weights) -> [i32; 16] {
        for (sum, weights) in sum.iter_mut().zip(weights) {
            for (byte, weight) in bytes.into_iter().zip(weights) {
                *sum += i32::from(byte) * i32::from(weight);
            }
        }
        sum
    }
}

kernels!(Portable, block: 16, tiles: { 1: [1, 2, 3, 4] });
