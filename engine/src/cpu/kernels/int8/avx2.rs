//! AVX2 without dot products, and the 256-bit registers that AVX-VNNI has too.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::dots::Fours;
use super::lanes::{Lanes, kernels};

/// Registers of 256 bits.
pub(super) struct Ymm;

impl Lanes for Ymm {
    type Ints = __m256i;
    type Floats = __m256;

    const COUNT: usize = 8;

    // SAFETY, in all functions: the instructions are present and the pointers valid by the trait's contract.

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> __m256i {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut i32, x: __m256i) {
        unsafe { _mm256_storeu_si256(to.cast(), x) }
    }

    #[inline(always)]
    unsafe fn sum(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn floats(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn limit(x: __m256, low: __m256, high: __m256) -> __m256 {
        unsafe { _mm256_min_ps(_mm256_max_ps(x, low), high) }
    }

    #[inline(always)]
    unsafe fn to_floats(x: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(x) }
    }

    #[inline(always)]
    unsafe fn round(x: __m256) -> __m256i {
        unsafe { _mm256_cvtps_epi32(x) }
    }

    #[inline(always)]
    unsafe fn round_large(x: __m256) -> __m256i {
        unsafe { _mm256_cvtps_epi32(x) }
    }

    #[inline(always)]
    unsafe fn store_floats(to: *mut f32, x: __m256) {
        unsafe { _mm256_storeu_ps(to, x) }
    }

    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> __m256i {
        unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_i16(from: *const i16) -> __m256i {
        unsafe { _mm256_cvtepi16_epi32(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn store_u8(to: *mut u8, x: __m256i) {
        unsafe {
            let shorts =
                _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(shorts, shorts));
        }
    }

    #[inline(always)]
    unsafe fn store_i16(to: *mut i16, x: __m256i) {
        unsafe {
            let shorts =
                _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
            _mm_storeu_si128(to.cast(), shorts);
        }
    }
}

/// Bytes and weights at even and at odd places, widened to 16 bits: `pmaddwd` adds their products in 32 bits. The one instruction for bytes,
/// `pmaddubsw`, adds in 16, where two products do not fit.
pub(super) struct Avx2;

impl Fours for Avx2 {
    type Lanes = Ymm;
    type Weights = [__m256i; 2];
    type Bytes = [__m256i; 2];

    // SAFETY, in all functions: as above.

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> [__m256i; 2] {
        unsafe {
            let w = _mm256_loadu_si256(from.cast());
            let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w));
            [even, _mm256_srai_epi16::<8>(w)]
        }
    }

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> [__m256i; 2] {
        unsafe {
            let bytes = _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
            let even = _mm256_and_si256(bytes, _mm256_set1_epi16(255));
            [even, _mm256_srli_epi16::<8>(bytes)]
        }
    }

    #[inline(always)]
    unsafe fn dot(sum: __m256i, bytes: [__m256i; 2], weights: [__m256i; 2]) -> __m256i {
        unsafe {
            let even = _mm256_madd_epi16(bytes[0], weights[0]);
            let odd = _mm256_madd_epi16(bytes[1], weights[1]);
            _mm256_add_epi32(_mm256_add_epi32(sum, even), odd)
        }
    }
}

kernels!(
    Avx2, #[target_feature(enable = "avx2")], block: 16,
    tiles: { 1: [1, 2, 3, 4] }
);
