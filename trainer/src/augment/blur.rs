//! Blurring. The Gaussian is the default reading of the paper's word; the others are its companions in the library.

use serde::{Deserialize, Serialize};

use super::warp::reflect;
use super::{Sample, Spare};
use crate::closed_form::Stream;

/// Gaussian with a kernel of 3, 5 or 7 pixels with chances 1/5, 2/5, 2/5, its deviation fixed by its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianBlur {}

/// Mean over a square of 3, 5, ... up to `largest` pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoxBlur {
    /// Largest side of the square, odd.
    pub largest: usize,
}

/// Median over a square of 3 or 5 pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MedianBlur {
    /// Largest side of the square, 3 or 5.
    pub largest: usize,
}

/// Mean along a random line through a square of 3, 5, ... up to `largest` pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MotionBlur {
    /// Largest side of the square, odd.
    pub largest: usize,
}

impl Default for BoxBlur {
    fn default() -> Self {
        Self { largest: 7 }
    }
}

impl Default for MedianBlur {
    fn default() -> Self {
        Self { largest: 5 }
    }
}

impl Default for MotionBlur {
    fn default() -> Self {
        Self { largest: 7 }
    }
}

/// One of 3, 5, ... up to `largest`.
fn odd(largest: usize, draw: &mut Stream) -> usize {
    3 + 2 * draw.index((largest - 1) / 2)
}

impl GaussianBlur {
    #[expect(clippy::unused_self, reason = "called as the others are")]
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        // The library draws 3 to 7 and makes even sizes the next odd one.
        let size = [3, 5, 5, 7, 7][draw.index(5)];
        separable(sample, spare, &gaussian_kernel(size, 0.0));
    }
}

impl BoxBlur {
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        separable(sample, spare, &box_kernel(odd(self.largest, draw)));
    }
}

impl MedianBlur {
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        median(sample, spare, odd(self.largest, draw));
    }
}

impl MotionBlur {
    pub(super) fn apply(self, sample: &mut Sample, spare: &mut Spare, draw: &mut Stream) {
        let size = odd(self.largest, draw);
        let mut end = || [draw.index(size), draw.index(size)];
        let (from, mut to) = (end(), end());
        if from == to {
            to[0] = (to[0] + 1) % size; // a line, not a point
        }
        square(sample, spare, &line_kernel(size, from, to));
    }
}

/// OpenCV's Gaussian kernel. With `sigma` 0 sizes 3, 5 and 7 are its fixed binomial-like tables; with size 0 it follows
/// from sigma.
pub fn gaussian_kernel(size: usize, sigma: f64) -> Vec<f32> {
    match (size, sigma > 0.0) {
        (3, false) => vec![0.25, 0.5, 0.25],
        (5, false) => vec![0.0625, 0.25, 0.375, 0.25, 0.0625],
        (7, false) => vec![
            0.03125, 0.109_375, 0.218_75, 0.28125, 0.218_75, 0.109_375, 0.03125,
        ],
        _ => {
            let size = match size {
                0 => (sigma * 8.0 + 1.0).round_ties_even() as usize | 1,
                size => size,
            };
            let middle = (size / 2) as f64;
            let weights: Vec<f64> = (0..size)
                .map(|i| (-(i as f64 - middle).powi(2) / (2.0 * sigma * sigma)).exp())
                .collect();
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(|w| (w / sum) as f32).collect()
        }
    }
}

/// The mean over `size` pixels.
pub fn box_kernel(size: usize) -> Vec<f32> {
    vec![1.0 / size as f32; size]
}

/// A line between two pixels (row, column) of a square, its weights summing to 1.
fn line_kernel(size: usize, from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    let mut kernel = vec![0.0_f32; size * size];
    let steps = from[0].abs_diff(to[0]).max(from[1].abs_diff(to[1])).max(1);
    for i in 0..=steps {
        let share = i as f64 / steps as f64;
        let at = |axis: usize| {
            let (a, b) = (from[axis] as f64, to[axis] as f64);
            (a + (b - a) * share).round() as usize
        };
        kernel[at(0) * size + at(1)] = 1.0;
    }
    let sum: f32 = kernel.iter().sum();
    for w in &mut kernel {
        *w /= sum;
    }
    kernel
}

/// Correlates with `kernel` (odd length) along the rows, then along the columns; borders mirrored without the border
/// pixel.
pub fn separable(sample: &mut Sample, spare: &mut Spare, kernel: &[f32]) {
    let (rows, cols) = (sample.rows, sample.cols);
    let radius = kernel.len() / 2;
    let mut padded = vec![0.0_f32; cols + 2 * radius];
    spare.image.clear();
    spare.image.resize(rows * cols, 0.0);
    for (line, out) in sample
        .image
        .chunks_exact(cols)
        .zip(spare.image.chunks_exact_mut(cols))
    {
        for (i, slot) in padded[..radius].iter_mut().enumerate() {
            *slot = line[reflect(i as i32 - radius as i32, cols)];
        }
        padded[radius..radius + cols].copy_from_slice(line);
        for (i, slot) in padded[radius + cols..].iter_mut().enumerate() {
            *slot = line[reflect((cols + i) as i32, cols)];
        }
        for (k, weight) in kernel.iter().enumerate() {
            for (out, v) in out.iter_mut().zip(&padded[k..]) {
                *out += weight * v;
            }
        }
    }
    for (y, out) in sample.image.chunks_exact_mut(cols).enumerate() {
        out.fill(0.0);
        for (k, weight) in kernel.iter().enumerate() {
            let source = reflect((y + k) as i32 - radius as i32, rows) * cols;
            for (out, v) in out.iter_mut().zip(&spare.image[source..source + cols]) {
                *out += weight * v;
            }
        }
    }
}

/// Correlates with a square kernel (odd side), borders as above.
pub fn square(sample: &mut Sample, spare: &mut Spare, kernel: &[f32]) {
    let (rows, cols) = (sample.rows, sample.cols);
    let side = kernel.len().isqrt();
    let radius = (side / 2) as i32;
    spare.image.clear();
    for y in 0..rows as i32 {
        for x in 0..cols as i32 {
            let sum = kernel.chunks_exact(side).zip(-radius..).map(|(line, dy)| {
                let source = &sample.image[reflect(y + dy, rows) * cols..];
                line.iter()
                    .zip(-radius..)
                    .map(|(w, dx)| w * source[reflect(x + dx, cols)])
                    .sum::<f32>()
            });
            spare.image.push(sum.sum());
        }
    }
    std::mem::swap(&mut spare.image, &mut sample.image);
}

/// The median over a square of `size` pixels; borders repeat the border pixel.
pub fn median(sample: &mut Sample, spare: &mut Spare, size: usize) {
    let (rows, cols) = (sample.rows as i32, sample.cols as i32);
    let radius = (size / 2) as i32;
    let mut square = Vec::with_capacity(size * size);
    spare.image.clear();
    for y in 0..rows {
        for x in 0..cols {
            square.clear();
            for dy in -radius..=radius {
                let line = (y + dy).clamp(0, rows - 1) * cols;
                square.extend(
                    (-radius..=radius)
                        .map(|dx| sample.image[(line + (x + dx).clamp(0, cols - 1)) as usize]),
                );
            }
            let middle = square.len() / 2;
            let (_, median, _) = square.select_nth_unstable_by(middle, f32::total_cmp);
            spare.image.push(*median);
        }
    }
    std::mem::swap(&mut spare.image, &mut sample.image);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_sum_to_one() {
        let mut draw = Stream::new("kernels");
        for size in [3, 5, 7] {
            let ends = [(); 2].map(|()| [draw.index(size), draw.index(size)]);
            for kernel in [
                gaussian_kernel(size, 0.0),
                gaussian_kernel(size, 1.3),
                box_kernel(size),
                line_kernel(size, ends[0], ends[1]),
            ] {
                let sum: f32 = kernel.iter().sum();
                assert!((sum - 1.0).abs() < 1e-6, "{kernel:?}");
            }
        }
        assert_eq!(gaussian_kernel(0, 1.0).len(), 9);
    }

    #[test]
    fn a_flat_image_stays_flat() {
        let mut sample = Sample::new(4, 9, vec![0.25; 36], vec![0; 36]);
        let mut spare = Spare::default();
        separable(&mut sample, &mut spare, &gaussian_kernel(7, 0.0));
        square(&mut sample, &mut spare, &line_kernel(5, [0, 0], [4, 3]));
        median(&mut sample, &mut spare, 5);
        assert!(sample.image.iter().all(|v| (v - 0.25).abs() < 1e-6));
    }
}
