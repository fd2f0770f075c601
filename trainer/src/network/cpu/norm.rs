//! Batch norm with an optional rectifier, and sums over pixels, of channels-last maps.

use rayon::prelude::*;

use super::registers::{Simd, WithSimd, dispatch};

/// Pixels whose sums one task makes.
const PIECE: usize = 4096;
/// Pixels summed in f32 before they join an f64 total.
const RUN: usize = 64;

/// Two sums per channel.
type Sums = Vec<[f64; 2]>;

/// What a batch norm does to each channel.
#[derive(Clone, Debug)]
pub(in crate::network) struct Normalisation {
    pub(in crate::network) mean: Vec<f32>,
    /// 1 / sqrt(variance + epsilon).
    pub(in crate::network) inverse: Vec<f32>,
    /// `inverse` times the learned scale.
    pub(in crate::network) scale: Vec<f32>,
    /// Learned shift.
    pub(in crate::network) shift: Vec<f32>,
    /// Whether a rectifier follows.
    pub(in crate::network) relu: bool,
}

/// Sum over pixels of each channel.
pub(in crate::network) fn channel_sums(x: &[f32], channels: usize) -> Vec<f32> {
    let sums = pieces(x.len(), channels, |range, sums| {
        dispatch(Values { x: &x[range], sums });
    });
    sums.iter().map(|s| s[0] as f32).collect()
}

/// Mean and biased variance of each channel.
pub(in crate::network) fn moments(x: &[f32], channels: usize) -> Vec<(f64, f64)> {
    let count = (x.len() / channels) as f64;
    let means: Vec<f64> = pieces(x.len(), channels, |range, sums| {
        dispatch(Values { x: &x[range], sums });
    })
    .iter()
    .map(|s| s[0] / count)
    .collect();
    let centre: Vec<f32> = means.iter().map(|&m| m as f32).collect();
    let centre = &centre[..];
    let sums = pieces(x.len(), channels, |range, sums| {
        dispatch(Deviations {
            x: &x[range],
            centre,
            sums,
        });
    });
    // The second sum corrects for the mean's rounding to f32.
    let variance = |s: &[f64; 2]| s[0] / count - (s[1] / count) * (s[1] / count);
    means.into_iter().zip(sums.iter().map(variance)).collect()
}

/// The normalised, scaled, shifted and perhaps rectified maps.
pub(in crate::network) fn normalise(x: &[f32], norm: &Normalisation) -> Vec<f32> {
    let size = PIECE * norm.mean.len();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(size)
        .zip(x.par_chunks(size))
        .for_each(|(y, x)| dispatch(Normalise { x, norm, y }));
    y
}

/// Per channel, the sum of the gradient and of its product with the normalised input: the gradients
/// of the shift and of the scale. `g` is the gradient of the output, behind the rectifier.
pub(in crate::network) fn gradient_sums(x: &[f32], g: &[f32], norm: &Normalisation) -> Sums {
    pieces(x.len(), norm.mean.len(), |range, sums| {
        let (x, g) = (&x[range.clone()], &g[range]);
        dispatch(GradientSums { x, g, norm, sums });
    })
}

/// Gradient of the input, from [`gradient_sums`]; it flows through mean and variance too.
pub(in crate::network) fn input_gradient(
    x: &[f32],
    g: &[f32],
    norm: &Normalisation,
    sums: &Sums,
) -> Vec<f32> {
    let channels = norm.mean.len();
    let count = (x.len() / channels) as f64;
    let mean_g: Vec<f32> = sums.iter().map(|s| (s[0] / count) as f32).collect();
    // (x - mean) * slope is what the variance takes back.
    let slope: Vec<f32> = sums
        .iter()
        .zip(&norm.inverse)
        .map(|(s, i)| (s[1] / count) as f32 * i)
        .collect();
    let (mean_g, slope) = (&mean_g[..], &slope[..]);
    let size = PIECE * channels;
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(size)
        .zip(x.par_chunks(size).zip(g.par_chunks(size)))
        .for_each(|(out, (x, g))| {
            dispatch(InputGradient {
                x,
                g,
                norm,
                mean_g,
                slope,
                out,
            });
        });
    out
}

/// Sums over pieces of the pixels, added in their order.
fn pieces(
    len: usize,
    channels: usize,
    f: impl Fn(std::ops::Range<usize>, &mut Sums) + Sync,
) -> Sums {
    let size = PIECE * channels;
    let parts: Vec<Sums> = (0..len.div_ceil(size))
        .into_par_iter()
        .map(|piece| {
            let mut sums = vec![[0.0; 2]; channels];
            f(piece * size..len.min((piece + 1) * size), &mut sums);
            sums
        })
        .collect();
    let mut total = vec![[0.0; 2]; channels];
    for part in &parts {
        for (t, p) in total.iter_mut().zip(part) {
            t[0] += p[0];
            t[1] += p[1];
        }
    }
    total
}

/// Moves short sums into the totals.
#[inline(always)]
fn drain(a: &mut [f32], b: &mut [f32], sums: &mut Sums) {
    for ((a, b), s) in a.iter_mut().zip(b).zip(sums) {
        s[0] += f64::from(*a);
        s[1] += f64::from(*b);
        (*a, *b) = (0.0, 0.0);
    }
}

struct Values<'a> {
    x: &'a [f32],
    sums: &'a mut Sums,
}

impl WithSimd for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let channels = self.sums.len();
        let (mut a, mut b) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
        for run in self.x.chunks(RUN * channels) {
            for x in run.chunks_exact(channels) {
                for (a, x) in a.iter_mut().zip(x) {
                    *a += x;
                }
            }
            drain(&mut a, &mut b, self.sums);
        }
    }
}

struct Deviations<'a> {
    x: &'a [f32],
    centre: &'a [f32],
    sums: &'a mut Sums,
}

impl WithSimd for Deviations<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let channels = self.sums.len();
        let (mut a, mut b) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
        let centre = &self.centre[..channels];
        for run in self.x.chunks(RUN * channels) {
            for x in run.chunks_exact(channels) {
                for c in 0..channels {
                    let d = x[c] - centre[c];
                    a[c] += d * d;
                    b[c] += d;
                }
            }
            drain(&mut a, &mut b, self.sums);
        }
    }
}

struct Normalise<'a> {
    x: &'a [f32],
    norm: &'a Normalisation,
    y: &'a mut [f32],
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let channels = self.norm.mean.len();
        let (mean, scale) = (&self.norm.mean[..channels], &self.norm.scale[..channels]);
        let shift = &self.norm.shift[..channels];
        let floor = if self.norm.relu {
            0.0
        } else {
            f32::NEG_INFINITY
        };
        for (y, x) in self
            .y
            .chunks_exact_mut(channels)
            .zip(self.x.chunks_exact(channels))
        {
            for c in 0..channels {
                let v = (x[c] - mean[c]) * scale[c] + shift[c];
                // Written so that what is no number stays none and ends in the loss, where it is noticed.
                y[c] = if v <= floor { floor } else { v };
            }
        }
    }
}

struct GradientSums<'a> {
    x: &'a [f32],
    g: &'a [f32],
    norm: &'a Normalisation,
    sums: &'a mut Sums,
}

impl WithSimd for GradientSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let channels = self.norm.mean.len();
        let (mean, scale) = (&self.norm.mean[..channels], &self.norm.scale[..channels]);
        let (shift, inverse) = (&self.norm.shift[..channels], &self.norm.inverse[..channels]);
        let floor = if self.norm.relu {
            0.0
        } else {
            f32::NEG_INFINITY
        };
        let (mut a, mut b) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
        let size = RUN * channels;
        for (x, g) in self.x.chunks(size).zip(self.g.chunks(size)) {
            for (x, g) in x.chunks_exact(channels).zip(g.chunks_exact(channels)) {
                for c in 0..channels {
                    let d = x[c] - mean[c];
                    // The rectifier passes what it passed on the way forward.
                    let g = if d * scale[c] + shift[c] > floor {
                        g[c]
                    } else {
                        0.0
                    };
                    a[c] += g;
                    b[c] += g * d * inverse[c];
                }
            }
            drain(&mut a, &mut b, self.sums);
        }
    }
}

struct InputGradient<'a> {
    x: &'a [f32],
    g: &'a [f32],
    norm: &'a Normalisation,
    mean_g: &'a [f32],
    slope: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let channels = self.norm.mean.len();
        let (mean, scale) = (&self.norm.mean[..channels], &self.norm.scale[..channels]);
        let (shift, slope) = (&self.norm.shift[..channels], &self.slope[..channels]);
        let mean_g = &self.mean_g[..channels];
        let floor = if self.norm.relu {
            0.0
        } else {
            f32::NEG_INFINITY
        };
        let inputs = self
            .x
            .chunks_exact(channels)
            .zip(self.g.chunks_exact(channels));
        for (out, (x, g)) in self.out.chunks_exact_mut(channels).zip(inputs) {
            for c in 0..channels {
                let d = x[c] - mean[c];
                let g = if d * scale[c] + shift[c] > floor {
                    g[c]
                } else {
                    0.0
                };
                out[c] = scale[c] * (g - mean_g[c] - d * slope[c]);
            }
        }
    }
}
