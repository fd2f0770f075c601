//! aarch64 without dot products, and the 128-bit registers that all of aarch64 has.

#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::dots::{Dots, Run, Sums};
use super::lanes::{Lanes, kernels};

/// Registers of 128 bits.
pub(super) struct Quad;

impl Lanes for Quad {
    type Ints = int32x4_t;
    type Floats = float32x4_t;

    const COUNT: usize = 4;

    // SAFETY, in all functions: the instructions are present and the pointers valid by the trait's contract.

    #[inline(always)]
    unsafe fn zero() -> int32x4_t {
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> int32x4_t {
        unsafe { vld1q_s32(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut i32, x: int32x4_t) {
        unsafe { vst1q_s32(to, x) }
    }

    #[inline(always)]
    unsafe fn sum(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        unsafe { vaddq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn floats(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn limit(x: float32x4_t, low: float32x4_t, high: float32x4_t) -> float32x4_t {
        // Those that take the number where the other is none, as everywhere else.
        unsafe { vminnmq_f32(vmaxnmq_f32(x, low), high) }
    }

    #[inline(always)]
    unsafe fn to_floats(x: int32x4_t) -> float32x4_t {
        unsafe { vcvtq_f32_s32(x) }
    }

    #[inline(always)]
    unsafe fn round(x: float32x4_t) -> int32x4_t {
        unsafe { vcvtnq_s32_f32(x) }
    }

    #[inline(always)]
    unsafe fn round_large(x: float32x4_t) -> int32x4_t {
        unsafe { vcvtnq_s32_f32(x) }
    }

    #[inline(always)]
    unsafe fn store_floats(to: *mut f32, x: float32x4_t) {
        unsafe { vst1q_f32(to, x) }
    }

    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> int32x4_t {
        unsafe {
            let four = vcreate_u8(u64::from(from.cast::<u32>().read_unaligned()));
            vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(four))))
        }
    }

    #[inline(always)]
    unsafe fn load_i16(from: *const i16) -> int32x4_t {
        unsafe { vmovl_s16(vld1_s16(from)) }
    }

    #[inline(always)]
    unsafe fn store_u8(to: *mut u8, x: int32x4_t) {
        unsafe {
            // Every other byte, twice: the lowest of each number.
            let bytes = vreinterpretq_u8_s32(x);
            let bytes = vuzp1q_u8(bytes, bytes);
            let bytes = vreinterpretq_u32_u8(vuzp1q_u8(bytes, bytes));
            to.cast::<u32>().write_unaligned(vgetq_lane_u32::<0>(bytes));
        }
    }

    #[inline(always)]
    unsafe fn store_i16(to: *mut i16, x: int32x4_t) {
        unsafe { vst1_s16(to, vmovn_s32(x)) }
    }
}

/// Centred bytes and weights are multiplied in 16 bits, where two products of 128 by 127 fit; every two neighbours then go to one of two
/// sums of an output channel.
pub(super) struct Neon;

/// Two registers hold the sums of four output channels: of each, those of bytes 0 and 1 of every four, and those of bytes 2 and 3.
type Halves = [int32x4_t; 2];

/// Four bytes, centred, as often as a register holds them: they meet the weights of several output channels.
///
/// # Safety
///
/// Four bytes can be read.
#[inline(always)]
pub(super) unsafe fn centred(from: *const u8) -> int8x16_t {
    // SAFETY: the caller's promise.
    unsafe {
        let bytes = vdupq_n_u32(from.cast::<u32>().read_unaligned());
        vreinterpretq_s8_u32(veorq_u32(bytes, vdupq_n_u32(0x8080_8080)))
    }
}

impl Dots for Neon {
    type Lanes = Quad;

    const CENTRED: bool = true;

    #[inline(always)]
    unsafe fn add<const PIXELS: usize, const VECTORS: usize>(
        sums: &mut Sums<Quad, PIXELS, VECTORS>,
        run: &Run,
        weight_step: usize,
    ) {
        // SAFETY: the run's bytes and weights can be read by the trait's contract, and no others are.
        unsafe {
            let mut all: [[Halves; VECTORS]; PIXELS] = [[[vdupq_n_s32(0); 2]; VECTORS]; PIXELS];
            let mut weights = run.weights;
            for row in 0..run.rows {
                let mut at = run.bytes.add(row * run.row_step);
                let end = at.add(run.length);
                let pairs = at.add(run.length & !7);
                while at < pairs {
                    let mut bytes = [[vdup_n_s8(0); 2]; PIXELS];
                    for (m, bytes) in bytes.iter_mut().enumerate() {
                        let at = at.add(m * run.pixel_step);
                        *bytes = [centred(at), centred(at.add(4))].map(|x| vget_low_s8(x));
                    }
                    for half in 0..2 * VECTORS {
                        let first = vld1_s8(weights.add(8 * half));
                        let second = vld1_s8(weights.add(weight_step + 8 * half));
                        for (all, &[a, b]) in all.iter_mut().zip(&bytes) {
                            let sum = &mut all[half / 2][half % 2];
                            let products = vmlal_s8(vmull_s8(first, a), second, b);
                            *sum = vpadalq_s16(*sum, products);
                        }
                    }
                    weights = weights.add(2 * weight_step);
                    at = at.add(8);
                }
                if at < end {
                    for (m, all) in all.iter_mut().enumerate() {
                        let bytes = vget_low_s8(centred(at.add(m * run.pixel_step)));
                        for half in 0..2 * VECTORS {
                            let sum = &mut all[half / 2][half % 2];
                            let products = vmull_s8(vld1_s8(weights.add(8 * half)), bytes);
                            *sum = vpadalq_s16(*sum, products);
                        }
                    }
                    weights = weights.add(weight_step);
                }
            }
            for (sums, all) in sums.iter_mut().zip(&all) {
                for (sum, &[low, high]) in sums.iter_mut().zip(all) {
                    *sum = vaddq_s32(*sum, vpaddq_s32(low, high));
                }
            }
        }
    }
}

kernels!(
    Neon, #[target_feature(enable = "neon")], block: 16,
    tiles: { 1: [1, 2] }
);
