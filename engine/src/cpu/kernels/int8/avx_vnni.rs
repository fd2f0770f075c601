//! AVX-VNNI: the dot products of AVX-512 in 256 bits, for processors without AVX-512.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::avx2::Ymm;
use super::dots::Fours;
use super::lanes::kernels;

/// The same instruction exists in two encodings, each with its own processors.
macro_rules! vnni {
    ($name:ident, $dot:ident, $feature:literal) => {
        pub(super) struct $name;

        impl Fours for $name {
            type Lanes = Ymm;
            type Weights = __m256i;
            type Bytes = __m256i;

            // SAFETY, in all functions: the instructions are present and the pointers valid by the trait's contract.

            #[inline(always)]
            unsafe fn weights(from: *const i8) -> __m256i {
                unsafe { _mm256_loadu_si256(from.cast()) }
            }

            #[inline(always)]
            unsafe fn bytes(from: *const u8) -> __m256i {
                unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
            }

            #[inline(always)]
            unsafe fn dot(sum: __m256i, bytes: __m256i, weights: __m256i) -> __m256i {
                unsafe { $dot(sum, bytes, weights) }
            }
        }

        kernels!(
            $name, #[target_feature(enable = $feature)], block: 16,
            tiles: { 1: [1, 2, 3, 4, 5, 6] }
        );
    };
}

vnni!(AvxVnni, _mm256_dpbusd_avx_epi32, "avx2,avxvnni");

/// For tests on processors that have only the other encoding.
#[cfg(test)]
pub(super) mod evex {
    use super::*;

    vnni!(Evex, _mm256_dpbusd_epi32, "avx2,avx512vl,avx512vnni");
}
