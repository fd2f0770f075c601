//! Smooth random fields: white noise through a Gaussian filter whose border is mirrored with its pixel.
//!
//! Mirrored so, a filter is a product in the space of the discrete cosine transform (DCT-II), one factor per
//! frequency: exactly, and also where the kernel is wider than the image. And orthonormal coefficients of white noise
//! are white noise again. So a field is drawn as its few coefficients that the filter lets through and built from
//! cosines, instead of drawing a number per pixel and filtering with hundreds of taps.

use std::f64::consts::PI;

use crate::closed_form::Stream;

/// Standard deviation of noise that is uniform in [-1, 1), as the reference draws it.
const UNIFORM_DEVIATION: f64 = 0.577_350_269_189_625_8;
/// Frequencies from the first that the filter damps below this are left out: along each axis a fifty-thousandth of the
/// field's power.
const SILENT: f64 = 1e-2;

/// A Gaussian filter of one deviation for fields of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Smoother {
    sigma: f64,
    across: Axis,
    down: Axis,
}

/// One axis: `gains[k]` is the filter's factor at frequency k, `cosines[k * n + x]` the orthonormal DCT's basis.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    n: usize,
    gains: Vec<f64>,
    cosines: Vec<f32>,
}

impl Axis {
    fn new(n: usize, sigma: f64, silent: f64) -> Self {
        let (gains, cosines) = spectrum(n, sigma, silent);
        let cosines = cosines.into_iter().map(|v| v as f32).collect();
        Self { n, gains, cosines }
    }
}

/// The filter's factors and the basis of an axis of `n` pixels, up to the first frequency whose factor is below
/// `silent`.
fn spectrum(n: usize, sigma: f64, silent: f64) -> (Vec<f64>, Vec<f64>) {
    let kernel = kernel(sigma);
    let gain = |k: usize| -> f64 {
        let turn = PI * k as f64 / n as f64;
        let tail: f64 = (1..kernel.len())
            .map(|j| 2.0 * kernel[j] * (turn * j as f64).cos())
            .sum();
        kernel[0] + tail
    };
    let gains: Vec<f64> = (0..n)
        .map(gain)
        .take_while(|gain| gain.abs() >= silent)
        .collect();
    let scale = |k: usize| (if k == 0 { 1.0 } else { 2.0 } / n as f64).sqrt();
    let basis = |k: usize| {
        (0..n).map(move |x| scale(k) * (PI * (x as f64 + 0.5) * k as f64 / n as f64).cos())
    };
    let basis = (0..gains.len()).flat_map(basis).collect();
    (gains, basis)
}

/// Half of the filter's weights, from the middle outwards: SciPy's, cut at four deviations and normalised.
fn kernel(sigma: f64) -> Vec<f64> {
    let radius = (4.0 * sigma + 0.5) as usize;
    let mut weights: Vec<f64> = (0..=radius)
        .map(|k| (-((k * k) as f64) / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    for w in &mut weights {
        *w /= sum;
    }
    weights
}

impl Smoother {
    /// For fields of `rows` x `cols`; `sigma` in pixels, positive.
    pub fn new(rows: usize, cols: usize, sigma: f64) -> Self {
        Self {
            sigma,
            across: Axis::new(cols, sigma, SILENT),
            down: Axis::new(rows, sigma, SILENT),
        }
    }

    /// Whether this is the filter for such fields.
    pub fn fits(&self, rows: usize, cols: usize, sigma: f64) -> bool {
        (self.down.n, self.across.n, self.sigma) == (rows, cols, sigma)
    }

    /// Filtered noise, times `alpha`. Per pixel the deviation is that of filtered uniform noise in [-1, 1).
    pub fn draw(&self, alpha: f64, draw: &mut Stream, field: &mut Vec<f32>) {
        let scale = alpha * UNIFORM_DEVIATION;
        let n = self.across.n;
        // Along the rows first: one line of pixels for each frequency down.
        let mut lines = vec![0.0_f32; self.down.gains.len() * n];
        let mut row = vec![0.0_f32; self.across.gains.len()];
        for (line, gain_y) in lines.chunks_exact_mut(n).zip(&self.down.gains) {
            for (value, gain_x) in row.iter_mut().zip(&self.across.gains) {
                *value = (scale * gain_y * gain_x * draw.normal()) as f32;
            }
            accumulate(line, row.iter().copied(), &self.across.cosines);
        }
        // Cosines of even frequencies mirror about the middle, those of odd ones turn their sign as well: a row and its
        // mirror image are the sum and the difference of two halves, each of which is made once.
        let [mut even, mut odd] = [Vec::new(), Vec::new()];
        for (k, line) in lines.chunks_exact(n).enumerate() {
            let half: &mut Vec<f32> = if k % 2 == 0 { &mut even } else { &mut odd };
            half.extend_from_slice(line);
        }
        let rows = self.down.n;
        field.clear();
        field.resize(rows * n, 0.0);
        let mut odd_part = vec![0.0_f32; n];
        let (upper, lower) = field.split_at_mut(rows.div_ceil(2) * n);
        let mut mirrored = lower.chunks_exact_mut(n).rev();
        for (y, out) in upper.chunks_exact_mut(n).enumerate() {
            let column = |first: usize| {
                let cosines = self.down.cosines.iter().skip(y + first * rows);
                cosines.step_by(2 * rows).copied()
            };
            accumulate(out, column(0), &even);
            odd_part.fill(0.0);
            accumulate(&mut odd_part, column(1), &odd);
            // The middle row of an odd number has no mirror image.
            match mirrored.next() {
                Some(mirror) => {
                    for ((out, mirror), odd) in out.iter_mut().zip(mirror).zip(&odd_part) {
                        let even = *out;
                        *out = even + odd;
                        *mirror = even - odd;
                    }
                }
                None => out
                    .iter_mut()
                    .zip(&odd_part)
                    .for_each(|(out, odd)| *out += odd),
            }
        }
    }
}

/// `line += factor[k] * rows[k]` over all k, four rows at a time so that `line` is loaded and stored a quarter as often.
fn accumulate(line: &mut [f32], mut factors: impl Iterator<Item = f32>, rows: &[f32]) {
    let n = line.len();
    let mut next = || factors.next().unwrap_or(0.0);
    let (fours, rest) = rows.split_at(rows.len() / (4 * n) * (4 * n));
    for four in fours.chunks_exact(4 * n) {
        let f = [next(), next(), next(), next()];
        let (a, b) = four.split_at(2 * n);
        let ((a, b), (c, d)) = (a.split_at(n), b.split_at(n));
        for ((((out, a), b), c), d) in line.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out += (f[0] * a + f[1] * b) + (f[2] * c + f[3] * d);
        }
    }
    for row in rest.chunks_exact(n) {
        let f = next();
        for (out, a) in line.iter_mut().zip(row) {
            *out += f * a;
        }
    }
}

/// A given field of `rows` x `cols` through the filter, in f64: SciPy's `gaussian_filter` with its default border.
pub fn smooth(noise: &[f64], rows: usize, cols: usize, sigma: f64) -> Vec<f64> {
    let transposed = |field: &[f64], rows: usize, cols: usize| -> Vec<f64> {
        (0..cols)
            .flat_map(|x| (0..rows).map(move |y| field[y * cols + x]))
            .collect()
    };
    let lines = |field: &[f64], n: usize| -> Vec<f64> {
        let (gains, basis) = spectrum(n, sigma, 0.0);
        let mut out = Vec::with_capacity(field.len());
        for line in field.chunks_exact(n) {
            let mut filtered = vec![0.0; n];
            for (gain, basis) in gains.iter().zip(basis.chunks_exact(n)) {
                let coefficient: f64 = line.iter().zip(basis).map(|(a, b)| a * b).sum();
                for (out, b) in filtered.iter_mut().zip(basis) {
                    *out += gain * coefficient * b;
                }
            }
            out.extend(filtered);
        }
        out
    };
    let down = lines(&transposed(noise, rows, cols), rows);
    lines(&transposed(&down, cols, rows), cols)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the filter as it is usually written, its border mirrored as often as it takes.
    #[test]
    fn the_cosine_product_is_the_filter() {
        let n = 17;
        for sigma in [0.8, 3.0, 11.0] {
            let line: Vec<f64> = (0..n).map(|i| f64::from(i * i % 7)).collect();
            let kernel = kernel(sigma);
            let mirrored = |i: i64| {
                let folded = i.rem_euclid(2 * i64::from(n));
                line[folded.min(2 * i64::from(n) - 1 - folded) as usize]
            };
            let found = smooth(&line, 1, n as usize, sigma);
            for (x, found) in (0..).zip(found) {
                let expected: f64 = (1..kernel.len() as i64)
                    .map(|j| kernel[j as usize] * (mirrored(x - j) + mirrored(x + j)))
                    .sum::<f64>()
                    + kernel[0] * mirrored(x);
                assert!((found - expected).abs() < 1e-12, "{sigma} {x}");
            }
        }
    }

    /// The same draws summed up cosine by cosine, for heights with and without a middle row.
    #[test]
    fn mirrored_halves_make_the_whole_field() {
        for (rows, cols) in [(1, 5), (6, 9), (7, 8)] {
            let smoother = Smoother::new(rows, cols, 0.8);
            let mut field = Vec::new();
            smoother.draw(2.0, &mut Stream::new("halves"), &mut field);
            let mut draw = Stream::new("halves");
            let mut expected = vec![0.0; rows * cols];
            let (down, across) = (&smoother.down, &smoother.across);
            for (j, gain_y) in down.gains.iter().enumerate() {
                for (k, gain_x) in across.gains.iter().enumerate() {
                    let value = 2.0 * UNIFORM_DEVIATION * gain_y * gain_x * draw.normal();
                    for (i, sum) in expected.iter_mut().enumerate() {
                        let cosine_y = down.cosines[j * rows + i / cols];
                        let cosine_x = across.cosines[k * cols + i % cols];
                        *sum += value * f64::from(cosine_y) * f64::from(cosine_x);
                    }
                }
            }
            for (found, expected) in field.iter().zip(expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{rows}");
            }
        }
    }

    /// Drawn fields have the deviation, and the likeness of neighbours, of filtered noise.
    #[test]
    fn a_drawn_field_is_like_filtered_noise() {
        let (rows, cols, sigma) = (40, 48, 3.0);
        let smoother = Smoother::new(rows, cols, sigma);
        let statistics = |field: &[f64]| {
            let n = field.len() as f64;
            let power = field.iter().map(|v| v * v).sum::<f64>() / n;
            let apart = |step: usize| {
                field
                    .iter()
                    .zip(&field[step..])
                    .map(|(a, b)| a * b)
                    .sum::<f64>()
                    / n
                    / power
            };
            [power, apart(2 * cols), apart(5 * cols)]
        };
        let (mut drawn, mut filtered) = ([0.0; 3], [0.0; 3]);
        let fields = 60;
        for key in 0..fields {
            let mut draw = Stream::new(&format!("field {key}"));
            let mut field = Vec::new();
            smoother.draw(1.0, &mut draw, &mut field);
            let field: Vec<f64> = field.into_iter().map(f64::from).collect();
            let noise: Vec<f64> = (0..rows * cols).map(|_| draw.range(-1.0, 1.0)).collect();
            let pairs = [
                (&mut drawn, statistics(&field)),
                (
                    &mut filtered,
                    statistics(&smooth(&noise, rows, cols, sigma)),
                ),
            ];
            for (sum, found) in pairs {
                for (sum, v) in sum.iter_mut().zip(found) {
                    *sum += v / f64::from(fields);
                }
            }
        }
        for (drawn, filtered) in drawn.iter().zip(filtered) {
            assert!((drawn / filtered - 1.0).abs() < 0.1, "{drawn} {filtered}");
        }
    }
}
