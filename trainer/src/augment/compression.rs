//! Compression artefacts: what a JPEG file would do to the image, and resizing down and up.
//!
//! A JPEG file's entropy coding loses nothing, so only the rest is done: eight by eight blocks, discrete cosine
//! transform, quantisation, and back, in libjpeg's integer arithmetic ("islow") with its tables. The result is that of
//! writing and reading a file, at a fraction of the time.

// What is not inlined into the dispatched variants would be compiled for the oldest machines.
#![allow(clippy::inline_always)]

use macerator::{AutoArch, Simd, WithSimd};
use serde::{Deserialize, Serialize};

use super::{Sample, Spare};
use crate::closed_form::Stream;

/// JPEG at a quality from 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compression {
    /// Range of the quality, both ends included.
    pub quality: [u32; 2],
}

/// Nearest neighbour to `scale` of the size and back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Downscale {
    /// Size as a share, above 0 and at most 1.
    pub scale: f64,
}

impl Default for Compression {
    fn default() -> Self {
        Self { quality: [99, 100] }
    }
}

impl Default for Downscale {
    fn default() -> Self {
        Self { scale: 0.25 }
    }
}

impl Compression {
    pub(super) fn apply(self, sample: &mut Sample, draw: &mut Stream) {
        let [low, high] = self.quality;
        jpeg(sample, low + draw.index((high - low) as usize + 1) as u32);
    }
}

impl Downscale {
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare) {
        downscale(sample, spare, self.scale);
    }
}

/// Takes every `1 / scale`-th pixel and repeats it.
pub fn downscale(sample: &mut Sample, spare: &mut Spare, scale: f64) {
    use nephrobox_shared::preprocess::axis::nearest;
    let small = |n: usize| ((n as f64 * scale).round_ties_even() as usize).max(1);
    let twice = |n: usize| -> Vec<usize> {
        let small = small(n);
        let there = |i: usize| nearest(nearest(i, small, n), n, small);
        (0..n).map(there).collect()
    };
    let (down, across) = (twice(sample.rows), twice(sample.cols));
    spare.image.clear();
    for row in down {
        let line = &sample.image[row * sample.cols..(row + 1) * sample.cols];
        spare.image.extend(across.iter().map(|&x| line[x]));
    }
    std::mem::swap(&mut spare.image, &mut sample.image);
}

/// Quantisation of brightness, ITU-T T.81 table K.1, in rows.
const LUMINANCE: [i32; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, //
    12, 12, 14, 19, 26, 58, 60, 55, //
    14, 13, 16, 24, 40, 57, 69, 56, //
    14, 17, 22, 29, 51, 87, 80, 62, //
    18, 22, 37, 56, 68, 109, 103, 77, //
    24, 35, 55, 64, 81, 104, 113, 92, //
    49, 64, 78, 87, 103, 121, 120, 101, //
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// The table at a quality of 1 to 100, by the Independent JPEG Group's rule.
fn table(quality: u32) -> [i32; 64] {
    let quality = quality.clamp(1, 100) as i32;
    let scale = if quality < 50 {
        5000 / quality
    } else {
        200 - 2 * quality
    };
    LUMINANCE.map(|entry| ((entry * scale + 50) / 100).clamp(1, 255))
}

/// Eight values worked on together.
type Lane = [i32; 8];

/// The image in 8 bits (cut, not rounded) as a JPEG of this quality would give it back.
pub fn jpeg(sample: &mut Sample, quality: u32) {
    let table = table(quality);
    AutoArch::new().dispatch(Blocks { sample, table });
}

/// All blocks of an image. Dispatched so that the compiler may use what vector instructions this machine has; they are
/// whole numbers but for single divisions and products, hence the same on any machine.
struct Blocks<'a> {
    sample: &'a mut Sample,
    table: [i32; 64],
}

impl WithSimd for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { sample, table } = self;
        let (rows, cols) = (sample.rows, sample.cols);
        for top in (0..rows).step_by(8) {
            for left in (0..cols).step_by(8) {
                // Blocks that stick out repeat the last row and column.
                let mut block = [[0; 8]; 8];
                for (y, out) in block.iter_mut().enumerate() {
                    let line = &sample.image[(top + y).min(rows - 1) * cols..][..cols];
                    if let Some(whole) = line[left..].first_chunk::<8>() {
                        for (out, v) in out.iter_mut().zip(whole) {
                            *out = grey(*v);
                        }
                    } else {
                        for (x, out) in out.iter_mut().enumerate() {
                            *out = grey(line[(left + x).min(cols - 1)]);
                        }
                    }
                }
                through(&mut block, &table);
                for (y, line) in block.iter().enumerate().take(rows - top) {
                    let start = (top + y) * cols + left;
                    let out = &mut sample.image[start..][..8.min(cols - left)];
                    for (out, v) in out.iter_mut().zip(line) {
                        *out = v.wrapping_add(128).clamp(0, 255) as f32 / 255.0;
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn grey(v: f32) -> i32 {
    ((v * 255.0) as i32).wrapping_sub(128)
}

/// Transform, quantisation and back, of values around 0.
#[inline(always)]
fn through(block: &mut [Lane; 8], table: &[i32; 64]) {
    *block = forward(transposed(block), PASS_BITS, false);
    *block = forward(transposed(block), PASS_BITS, true);
    // The coefficients are 8 times the orthonormal ones; rounding is half away from zero.
    for (line, divisors) in block.iter_mut().zip(table.as_chunks::<8>().0) {
        *line = std::array::from_fn(|i| {
            let step = divisors[i].wrapping_mul(8);
            let sum = line[i].abs().wrapping_add(step / 2);
            let quotient = quotient(sum, step);
            let signed = if line[i] < 0 {
                quotient.wrapping_neg()
            } else {
                quotient
            };
            signed.wrapping_mul(divisors[i])
        });
    }
    *block = inverse(block, BITS - PASS_BITS);
    *block = transposed(&inverse(&transposed(block), BITS + PASS_BITS + 3));
}

/// `sum / step` for what can occur here, through f32, of which a processor divides eight at once: of these whole numbers
/// no quotient is so close below a whole number that it would be rounded up to it.
#[inline(always)]
fn quotient(sum: i32, step: i32) -> i32 {
    (sum as f32 / step as f32) as i32
}

#[inline(always)]
fn transposed(block: &[Lane; 8]) -> [Lane; 8] {
    std::array::from_fn(|y| std::array::from_fn(|x| block[x][y]))
}

/// Fraction bits of the constants.
const BITS: u32 = 13;
/// Fraction bits kept between the two passes.
const PASS_BITS: u32 = 2;

/// Constants of the fast cosine transform of Loeffler, Ligtenberg and Moschytz (1989), times 2^13.
mod fixed {
    pub(super) const F0_298: i32 = 2446;
    pub(super) const F0_390: i32 = 3196;
    pub(super) const F0_541: i32 = 4433;
    pub(super) const F0_765: i32 = 6270;
    pub(super) const F0_899: i32 = 7373;
    pub(super) const F1_175: i32 = 9633;
    pub(super) const F1_501: i32 = 12299;
    pub(super) const F1_847: i32 = 15137;
    pub(super) const F1_961: i32 = 16069;
    pub(super) const F2_053: i32 = 16819;
    pub(super) const F2_562: i32 = 20995;
    pub(super) const F3_072: i32 = 25172;
}

// All values stay far below 2^31; wrapping arithmetic lets a debug build work on a lane at once as well.
#[inline(always)]
fn add(a: Lane, b: Lane) -> Lane {
    std::array::from_fn(|i| a[i].wrapping_add(b[i]))
}

#[inline(always)]
fn sub(a: Lane, b: Lane) -> Lane {
    std::array::from_fn(|i| a[i].wrapping_sub(b[i]))
}

#[inline(always)]
fn times(a: Lane, factor: i32) -> Lane {
    a.map(|v| v.wrapping_mul(factor))
}

/// `a / 2^bits`, rounded half up.
#[inline(always)]
fn scaled(a: Lane, bits: u32) -> Lane {
    let half = 1 << (bits - 1);
    a.map(|v| v.wrapping_add(half) >> bits)
}

/// The odd half that both directions share: four lanes rotated and mixed. Gives the sums for the lanes in order.
#[inline(always)]
fn odd(a: [Lane; 4]) -> [Lane; 4] {
    use fixed::{F0_298, F0_390, F0_899, F1_175, F1_501, F1_961, F2_053, F2_562, F3_072};
    let [t0, t1, t2, t3] = a;
    let (z1, z2) = (times(add(t0, t3), -F0_899), times(add(t1, t2), -F2_562));
    let (z3, z4) = (add(t0, t2), add(t1, t3));
    let z5 = times(add(z3, z4), F1_175);
    let (z3, z4) = (add(times(z3, -F1_961), z5), add(times(z4, -F0_390), z5));
    [
        add(times(t0, F0_298), add(z1, z3)),
        add(times(t1, F2_053), add(z2, z4)),
        add(times(t2, F3_072), add(z2, z3)),
        add(times(t3, F1_501), add(z1, z4)),
    ]
}

/// Forward transform along the first index. The first pass keeps `pass` more bits, the second takes them off.
#[inline(always)]
fn forward(v: [Lane; 8], pass: u32, second: bool) -> [Lane; 8] {
    use fixed::{F0_541, F0_765, F1_847};
    let sums: [Lane; 4] = std::array::from_fn(|i| add(v[i], v[7 - i]));
    let differences: [Lane; 4] = std::array::from_fn(|i| sub(v[3 - i], v[4 + i]));
    let (t10, t13) = (add(sums[0], sums[3]), sub(sums[0], sums[3]));
    let (t11, t12) = (add(sums[1], sums[2]), sub(sums[1], sums[2]));
    let whole = |a: Lane| {
        if second {
            scaled(a, pass)
        } else {
            a.map(|v| v << pass)
        }
    };
    let bits = if second { BITS + pass } else { BITS - pass };
    let z1 = times(add(t12, t13), F0_541);
    let [o7, o5, o3, o1] = odd(differences);
    [
        whole(add(t10, t11)),
        scaled(o1, bits),
        scaled(add(z1, times(t13, F0_765)), bits),
        scaled(o3, bits),
        whole(sub(t10, t11)),
        scaled(o5, bits),
        scaled(sub(z1, times(t12, F1_847)), bits),
        scaled(o7, bits),
    ]
}

/// Inverse transform along the first index; `bits` come off at its end.
#[inline(always)]
fn inverse(v: &[Lane; 8], bits: u32) -> [Lane; 8] {
    use fixed::{F0_541, F0_765, F1_847};
    let z1 = times(add(v[2], v[6]), F0_541);
    let (t2, t3) = (sub(z1, times(v[6], F1_847)), add(z1, times(v[2], F0_765)));
    let t0 = add(v[0], v[4]).map(|v| v << BITS);
    let t1 = sub(v[0], v[4]).map(|v| v << BITS);
    let even = [add(t0, t3), add(t1, t2), sub(t1, t2), sub(t0, t3)];
    let [o0, o1, o2, o3] = odd([v[7], v[5], v[3], v[1]]);
    let odd = [o3, o2, o1, o0];
    std::array::from_fn(|i| {
        let (i, mirrored) = (i.min(7 - i), i > 3);
        let sum = if mirrored {
            sub(even[i], odd[i])
        } else {
            add(even[i], odd[i])
        };
        scaled(sum, bits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_scales_the_table() {
        assert_eq!(table(50), LUMINANCE);
        assert_eq!(table(100), [1; 64]);
        assert_eq!(table(25)[0], 32);
        assert_eq!(table(0), table(1));
    }

    /// A coefficient is at most 8 * 8 * 128 large, half a step at most 4 * 255.
    #[test]
    fn the_division_is_the_whole_one_for_every_value_and_divisor() {
        for step in (1..=255).map(|divisor| 8 * divisor) {
            let wrong = (0..=8192 + 1020).find(|&sum| quotient(sum, step) != sum / step);
            assert_eq!(wrong, None, "{step}");
        }
    }

    #[test]
    fn a_flat_block_survives_any_quality_and_full_quality_changes_little() {
        for quality in [1, 30, 60, 90, 100] {
            let mut sample = Sample::new(9, 11, vec![128.0 / 255.0; 99], vec![0; 99]);
            jpeg(&mut sample, quality);
            assert!(
                sample.image.iter().all(|v| *v == 128.0 / 255.0),
                "{quality}"
            );
        }
        let image: Vec<f32> = (0..99)
            .map(|i| f32::from((i * 37 % 256) as u8) / 255.0)
            .collect();
        let mut sample = Sample::new(9, 11, image.clone(), vec![0; 99]);
        jpeg(&mut sample, 100);
        for (a, b) in sample.image.iter().zip(image) {
            assert!((a - b).abs() < 2.5 / 255.0, "{a} {b}");
        }
    }
}
