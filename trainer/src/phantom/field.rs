//! Smooth random fields, blurring and distance maps: what the painter builds tissue and edges from.
//!
//! The noise is defined over millimetres in three dimensions, so that neighbouring slices of one phantom agree.

use super::rng::mix;

/// Smooth noise in `[-1, 1]`: random values on a cubic lattice, blended by a quintic (Perlin 2002).
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    seed: u64,
    per_mm: f32,
}

impl Noise {
    /// A field whose lumps are about `scale_mm` wide.
    pub(super) fn new(seed: u64, scale_mm: f32) -> Self {
        Self {
            seed,
            per_mm: 1.0 / scale_mm,
        }
    }

    /// The value at a place in millimetres.
    pub(super) fn at(&self, x: f32, y: f32, z: f32) -> f32 {
        let corner = |v: f32| {
            let low = (v * self.per_mm).floor();
            (low as i64, fade(v * self.per_mm - low))
        };
        let ((ix, fx), (iy, fy), (iz, fz)) = (corner(x), corner(y), corner(z));
        let value = |dx: i64, dy: i64, dz: i64| {
            let key = (ix + dx) as u64 & 0x1f_ffff
                | ((iy + dy) as u64 & 0x1f_ffff) << 21
                | ((iz + dz) as u64 & 0x1f_ffff) << 42;
            (mix(self.seed ^ mix(key)) >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        let row = |dy, dz| lerp(value(0, dy, dz), value(1, dy, dz), fx);
        lerp(
            lerp(row(0, 0), row(1, 0), fy),
            lerp(row(0, 1), row(1, 1), fy),
            fz,
        )
    }
}

fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

/// From `a` at `t` = 0 to `b` at `t` = 1.
pub(super) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smoothstep(low: f32, high: f32, v: f32) -> f32 {
    let t = ((v - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Blurs a square image in place with a Gaussian of `columns`, `rows` pixels standard deviation; edges are repeated.
pub(super) fn blur(image: &mut [f32], size: usize, columns: f32, rows: f32) {
    let mut line = vec![0.0; size];
    for (deviation, stride, step) in [(columns, 1, size), (rows, size, 1)] {
        let kernel = gaussian(deviation);
        let reach = kernel.len() / 2;
        if reach == 0 {
            continue;
        }
        for start in (0..size).map(|index| index * step) {
            for (index, value) in line.iter_mut().enumerate() {
                *value = image[start + index * stride];
            }
            for index in 0..size {
                image[start + index * stride] = kernel
                    .iter()
                    .enumerate()
                    .map(|(tap, weight)| {
                        weight * line[(index + tap).saturating_sub(reach).min(size - 1)]
                    })
                    .sum();
            }
        }
    }
}

fn gaussian(deviation: f32) -> Vec<f32> {
    if deviation < 0.05 {
        return vec![1.0];
    }
    let reach = (deviation * 2.6).ceil() as i32;
    let taps: Vec<f32> = (-reach..=reach)
        .map(|tap| (-0.5 * (tap as f32 / deviation).powi(2)).exp())
        .collect();
    let sum: f32 = taps.iter().sum();
    taps.iter().map(|tap| tap / sum).collect()
}

/// The Euclidean distance in pixels from every pixel of a square image to the nearest one where `inside` is true
/// (0 there), exact (Felzenszwalb and Huttenlocher 2012); `f32::MAX.sqrt()` where there is none.
pub(super) fn distance(inside: impl Fn(usize) -> bool, size: usize) -> Vec<f32> {
    const FAR: f32 = 1e18;
    let mut squared: Vec<f32> = (0..size * size)
        .map(|pixel| if inside(pixel) { 0.0 } else { FAR })
        .collect();
    let mut line = vec![0.0f32; size];
    let mut vertex = vec![0usize; size];
    let mut from = vec![0.0f32; size + 1];
    for (stride, step) in [(size, 1), (1, size)] {
        for start in (0..size).map(|index| index * step) {
            for (index, value) in line.iter_mut().enumerate() {
                *value = squared[start + index * stride];
            }
            // The lower envelope of the parabolas rooted at each pixel.
            let mut last = 0;
            vertex[0] = 0;
            from[0] = f32::NEG_INFINITY;
            from[1] = f32::INFINITY;
            for q in 1..size {
                let cross = loop {
                    let v = vertex[last];
                    let cross = ((line[q] + (q * q) as f32) - (line[v] + (v * v) as f32))
                        / (2 * (q - v)) as f32;
                    if cross > from[last] || last == 0 {
                        break cross;
                    }
                    last -= 1;
                };
                if cross > from[last] {
                    last += 1;
                }
                vertex[last] = q;
                from[last] = if last == 0 { f32::NEG_INFINITY } else { cross };
                from[last + 1] = f32::INFINITY;
            }
            let mut piece = 0;
            for q in 0..size {
                while from[piece + 1] < q as f32 {
                    piece += 1;
                }
                let v = vertex[piece];
                squared[start + q * stride] = (q.abs_diff(v) * q.abs_diff(v)) as f32 + line[v];
            }
        }
    }
    squared.iter().map(|d| d.sqrt()).collect()
}
