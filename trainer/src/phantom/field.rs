//! Smooth random fields, blurring and distance maps: what the painter builds tissue and edges from.
//!
//! The noise is defined over millimetres in three dimensions, so that neighbouring slices of one phantom agree.

use super::rng::mix;

/// Smooth noise in `[-1, 1]`, mostly within half of that: gradient noise (Perlin 2002) on a lattice that is turned
/// against the image, so that no rows or columns show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    seed: u64,
    per_mm: f32,
}

/// The directions from a cube's middle to its edges, four of them twice to make sixteen.
#[rustfmt::skip]
const EDGES: [[f32; 3]; 16] = [
    [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, -1.0, 0.0],
    [1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 0.0, -1.0],
    [0.0, 1.0, 1.0], [0.0, -1.0, 1.0], [0.0, 1.0, -1.0], [0.0, -1.0, -1.0],
    [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 1.0], [0.0, -1.0, -1.0],
];

impl Noise {
    /// A field whose lumps are about `scale_mm` wide.
    pub(super) fn new(seed: u64, scale_mm: f32) -> Self {
        Self {
            seed: mix(seed),
            per_mm: 1.0 / scale_mm,
        }
    }

    /// The value at a place in millimetres.
    pub(super) fn at(&self, x: f32, y: f32, z: f32) -> f32 {
        // A turn about two axes by angles of no meaning.
        let (x, y) = (0.829 * x - 0.559 * y, 0.559 * x + 0.829 * y);
        let (y, z) = (0.788 * y - 0.616 * z, 0.616 * y + 0.788 * z);
        let cell = |v: f32| {
            // By hand: without SSE4.1, the baseline of x86-64, `floor` is a call into the C library.
            let v = v * self.per_mm;
            let low = v as i32 - i32::from(v < 0.0);
            (low, v - low as f32)
        };
        let ((ix, fx), (iy, fy), (iz, fz)) = (cell(x), cell(y), cell(z));
        let key = |index: i32, factor: u64| {
            let first = (i64::from(index) as u64).wrapping_mul(factor);
            [first, first.wrapping_add(factor)]
        };
        let (kx, ky, kz) = (
            key(ix, 0x9e37_79b9_7f4a_7c15),
            key(iy, 0xbf58_476d_1ce4_e5b9),
            key(iz, 0x94d0_49bb_1331_11eb),
        );
        let slope = |dx: usize, dy: usize, dz: usize| {
            let bits = (self.seed ^ kx[dx] ^ ky[dy] ^ kz[dz]).wrapping_mul(0xd6e8_feb8_6659_fd93);
            let bits = (bits ^ bits >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
            let [a, b, c] = EDGES[(bits >> 60) as usize];
            a * (fx - dx as f32) + b * (fy - dy as f32) + c * (fz - dz as f32)
        };
        let (tx, ty, tz) = (fade(fx), fade(fy), fade(fz));
        let row = |dy, dz| lerp(slope(0, dy, dz), slope(1, dy, dz), tx);
        let value = lerp(
            lerp(row(0, 0), row(1, 0), ty),
            lerp(row(0, 1), row(1, 1), ty),
            tz,
        );
        (1.3 * value).clamp(-1.0, 1.0)
    }
}

fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

/// From `a` at `t` = 0 to `b` at `t` = 1.
pub(super) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 at `low` and before it, 1 at `high` and behind it, smooth between; `low` may be the larger of the two.
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
/// (0 there), exact (Felzenszwalb and Huttenlocher 2012); 1e9 everywhere if there is none.
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
            if line.iter().all(|&value| value == line[0]) {
                continue;
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
