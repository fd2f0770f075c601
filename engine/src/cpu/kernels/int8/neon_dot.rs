//! aarch64 with the dot product extension.
//!
//! Its `sdot` wants both factors signed, and `usdot`, which would take bytes as they are, is a later extension: so bytes are centred. Sixteen
//! of them, one load and one `eor`, serve four steps, because the instruction takes any four bytes of a register.

#![allow(unsafe_code)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::dots::{Dots, Run, Sums};
use super::lanes::kernels;
use super::neon::{Quad, centred};

pub(super) struct NeonDot;

/// `sum + weights . bytes[4 * AT..][..4]` for each of four output channels.
///
/// # Safety
///
/// The processor has the extension.
#[inline(always)]
unsafe fn dot<const AT: i32>(
    mut sum: int32x4_t,
    weights: int8x16_t,
    bytes: int8x16_t,
) -> int32x4_t {
    // The intrinsic is not stable in Rust 1.95.
    // SAFETY: the instruction is present, and does nothing but that.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {weights:v}.16b, {bytes:v}.4b[{at}]",
            sum = inout(vreg) sum,
            weights = in(vreg) weights,
            bytes = in(vreg) bytes,
            at = const AT,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// Weights of one step meet four of each pixel's bytes.
///
/// # Safety
///
/// The weights can be read, and the processor has the extension.
#[inline(always)]
unsafe fn step<const AT: i32, const PIXELS: usize, const VECTORS: usize>(
    sums: &mut Sums<Quad, PIXELS, VECTORS>,
    bytes: &[int8x16_t; PIXELS],
    weights: *const i8,
) {
    // SAFETY: the caller's promise, passed on.
    unsafe {
        for j in 0..VECTORS {
            let w = vld1q_s8(weights.add(16 * j));
            for (sums, &bytes) in sums.iter_mut().zip(bytes) {
                sums[j] = dot::<AT>(sums[j], w, bytes);
            }
        }
    }
}

impl Dots for NeonDot {
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
            let centre = vdupq_n_u8(128);
            let mut bytes = [vdupq_n_s8(0); PIXELS];
            let mut weights = run.weights;
            for row in 0..run.rows {
                let mut at = run.bytes.add(row * run.row_step);
                let end = at.add(run.length);
                let whole = at.add(run.length & !15);
                while at < whole {
                    for (m, bytes) in bytes.iter_mut().enumerate() {
                        let sixteen = vld1q_u8(at.add(m * run.pixel_step));
                        *bytes = vreinterpretq_s8_u8(veorq_u8(sixteen, centre));
                    }
                    step::<0, PIXELS, VECTORS>(sums, &bytes, weights);
                    step::<1, PIXELS, VECTORS>(sums, &bytes, weights.add(weight_step));
                    step::<2, PIXELS, VECTORS>(sums, &bytes, weights.add(2 * weight_step));
                    step::<3, PIXELS, VECTORS>(sums, &bytes, weights.add(3 * weight_step));
                    weights = weights.add(4 * weight_step);
                    at = at.add(16);
                }
                while at < end {
                    for (m, bytes) in bytes.iter_mut().enumerate() {
                        *bytes = centred(at.add(m * run.pixel_step));
                    }
                    step::<0, PIXELS, VECTORS>(sums, &bytes, weights);
                    weights = weights.add(weight_step);
                    at = at.add(4);
                }
            }
        }
    }
}

// Six pixels would take all 32 registers, and the compiler then moves most of them around once in each turn of the loop.
kernels!(
    NeonDot, #[target_feature(enable = "neon,dotprod")], block: 16,
    tiles: { 1: [1, 2, 3, 4, 5] }
);
