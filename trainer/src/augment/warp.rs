//! Resampling by a map, with OpenCV's fixed-point arithmetic, so that results equal the reference's bit for bit.
//!
//! Images are taken bilinearly, label maps by nearest neighbour; both are mirrored beyond the border without repeating
//! the border pixel ("reflect 101"). Source positions are rounded to 1/32 of a pixel.

use super::{Sample, Spare};

/// Fraction bits of a bilinear position.
const FRACTION: u32 = 5;
/// Fraction bits of the affine map's tables.
const TABLE: u32 = 10;

/// An affine map of the plane: target (x, y) comes from `(a x + b y + c, d x + e y + f)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// `[[a, b, c], [d, e, f]]`.
    pub rows: [[f64; 3]; 2],
}

impl Affine {
    /// The map that undoes `forward` (source to target); all zeros in place of the inverse of a singular one.
    pub fn inverse_of(forward: [[f64; 3]; 2]) -> Self {
        let [[m00, m01, m02], [m10, m11, m12]] = forward;
        let determinant = m00 * m11 - m01 * m10;
        let scale = if determinant == 0.0 {
            0.0
        } else {
            1.0 / determinant
        };
        let (a, b) = (m11 * scale, -m01 * scale);
        let (d, e) = (-m10 * scale, m00 * scale);
        Self {
            rows: [[a, b, -a * m02 - b * m12], [d, e, -d * m02 - e * m12]],
        }
    }

    /// Source to target: rotation by `degrees` (counter-clockwise on the screen) and scaling about the middle
    /// (cols / 2, rows / 2), then a shift by `(dx, dy)` pixels.
    pub fn rotation(
        rows: usize,
        cols: usize,
        degrees: f64,
        scale: f64,
        [dx, dy]: [f64; 2],
    ) -> [[f64; 3]; 2] {
        let (cx, cy) = (cols as f64 / 2.0, rows as f64 / 2.0);
        let (sin, cos) = (degrees * std::f64::consts::PI / 180.0).sin_cos();
        let (al, be) = (scale * cos, scale * sin);
        [
            [al, be, (1.0 - al) * cx - be * cy + dx],
            [-be, al, be * cx + (1.0 - al) * cy + dy],
        ]
    }
}

/// Warps image and labels by an affine map from target to source.
pub fn affine(sample: &mut Sample, spare: &mut Spare, map: &Affine) {
    let (rows, cols) = (sample.rows, sample.cols);
    let [[a, b, c], [d, e, f]] = map.rows;
    let one = f64::from(1 << TABLE);
    let table = |slope: f64| -> Vec<i32> {
        (0..cols)
            .map(|x| (slope * x as f64 * one).round_ties_even() as i32)
            .collect()
    };
    let (across_x, across_y) = (table(a), table(d));
    let down = |slope: f64, offset: f64, y: usize, half: i32| {
        (((slope * y as f64 + offset) * one).round_ties_even() as i32).wrapping_add(half)
    };
    spare.resample(sample, |y, unit, xs, ys| {
        // Nearest adds half a pixel before it cuts the fraction off, bilinear half of a 1/32.
        let (half, shift) = match unit {
            Unit::Nearest => (1 << (TABLE - 1), TABLE),
            Unit::Bilinear => (1 << (TABLE - FRACTION - 1), TABLE - FRACTION),
        };
        let (x0, y0) = (down(b, c, y, half), down(e, f, y, half));
        for ((out, add), place) in [(xs, &across_x), (ys, &across_y)].into_iter().zip([x0, y0]) {
            for (out, add) in out.iter_mut().zip(add) {
                *out = (place.wrapping_add(*add)) >> shift;
            }
        }
    });
    debug_assert_eq!(sample.image.len(), rows * cols);
}

/// Moves every pixel: target (x, y) comes from `(x + dx, y + dy)`, in pixels, `rows * cols` each.
pub fn displace(sample: &mut Sample, spare: &mut Spare, dx: &[f32], dy: &[f32]) {
    let cols = sample.cols;
    spare.resample(sample, |y, unit, xs, ys| {
        let line = y * cols..(y + 1) * cols;
        for (x, (out, dx)) in xs.iter_mut().zip(&dx[line.clone()]).enumerate() {
            *out = unit.of(x as f32 + dx);
        }
        for (out, dy) in ys.iter_mut().zip(&dy[line]) {
            *out = unit.of(y as f32 + dy);
        }
    });
}

/// Target (x, y) comes from `(map_x[x], map_y[y])`.
pub fn stretch(sample: &mut Sample, spare: &mut Spare, map_x: &[f32], map_y: &[f32]) {
    spare.resample(sample, |y, unit, xs, ys| {
        for (out, x) in xs.iter_mut().zip(map_x) {
            *out = unit.of(*x);
        }
        ys.fill(unit.of(map_y[y]));
    });
}

/// What a source position is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Whole pixels.
    Nearest,
    /// 1/32 of a pixel.
    Bilinear,
}

impl Unit {
    /// A position in pixels, rounded half to even.
    #[inline]
    fn of(self, pixels: f32) -> i32 {
        match self {
            Self::Nearest => round(pixels),
            Self::Bilinear => round(pixels * (1 << FRACTION) as f32),
        }
    }
}

/// Half to even, for magnitudes below 2^22, to which others are clamped: in [2^23, 2^24) floats are the integers, so
/// that the addition rounds as wanted. Unlike `round_ties_even` this is one instruction on any processor.
#[inline]
fn round(value: f32) -> i32 {
    const LIMIT: f32 = (1 << 22) as f32 - 1.0;
    const MAGIC: f32 = (3 << 22) as f32;
    #[expect(
        clippy::manual_clamp,
        reason = "a NaN ends at the lower limit, as `max` returns its other operand"
    )]
    let shifted = value.max(-LIMIT).min(LIMIT) + MAGIC;
    (shifted.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32)
}

impl Spare {
    /// Fills the spare image and labels from `sample` and swaps them in. `place` writes the source position of
    /// each pixel of target row y into two lines of `cols` values, first for the image, then for the labels.
    fn resample(
        &mut self,
        sample: &mut Sample,
        place: impl Fn(usize, Unit, &mut [i32], &mut [i32]),
    ) {
        let (rows, cols) = (sample.rows, sample.cols);
        self.image.resize(rows * cols, 0.0);
        self.labels.resize(rows * cols, 0);
        self.xs.resize(cols, 0);
        self.ys.resize(cols, 0);
        if rows == 0 || cols == 0 {
            return;
        }
        for (y, out) in self.image.chunks_exact_mut(cols).enumerate() {
            place(y, Unit::Bilinear, &mut self.xs, &mut self.ys);
            bilinear(&sample.image, rows, cols, &self.xs, &self.ys, out);
        }
        for (y, out) in self.labels.chunks_exact_mut(cols).enumerate() {
            place(y, Unit::Nearest, &mut self.xs, &mut self.ys);
            nearest(&sample.labels, rows, cols, &self.xs, &self.ys, out);
        }
        std::mem::swap(&mut self.image, &mut sample.image);
        std::mem::swap(&mut self.labels, &mut sample.labels);
    }
}

/// Whether all values lie in 0..end; without an early exit, so that several are compared at once.
fn all_below(values: &[i32], end: i32) -> bool {
    values
        .iter()
        .fold(true, |all, v| all & (0..end).contains(v))
}

/// One line of labels at whole positions.
fn nearest(labels: &[u8], rows: usize, cols: usize, xs: &[i32], ys: &[i32], out: &mut [u8]) {
    let places = out.iter_mut().zip(xs).zip(ys);
    if all_below(xs, cols as i32) && all_below(ys, rows as i32) {
        for ((out, &x), &y) in places {
            *out = labels[(y.wrapping_mul(cols as i32).wrapping_add(x)) as usize];
        }
    } else {
        for ((out, &x), &y) in places {
            *out = labels[reflect(y, rows) * cols + reflect(x, cols)];
        }
    }
}

/// One line of bilinear values at positions in 1/32 of a pixel.
fn bilinear(image: &[f32], rows: usize, cols: usize, xs: &[i32], ys: &[i32], out: &mut [f32]) {
    let (last_x, last_y) = (cols as i32 - 1, rows as i32 - 1);
    let places = out.iter_mut().zip(xs).zip(ys);
    let within = |column: i32, row: i32| {
        let at = row.wrapping_mul(cols as i32).wrapping_add(column) as usize;
        // One check for all four.
        let window = &image[at..][..cols + 2];
        [window[0], window[1], window[cols], window[cols + 1]]
    };
    if all_below(xs, last_x << FRACTION) && all_below(ys, last_y << FRACTION) {
        // The middle of most images: no pixel needs to be asked whether it is at the border.
        for ((out, &x), &y) in places {
            *out = mixed(within(x >> FRACTION, y >> FRACTION), x, y);
        }
        return;
    }
    for ((out, &x), &y) in places {
        let (column, row) = (x >> FRACTION, y >> FRACTION);
        let inside = (0..last_x).contains(&column) && (0..last_y).contains(&row);
        let pixels = if inside {
            within(column, row)
        } else {
            let (left, right) = (reflect(column, cols), reflect(column.wrapping_add(1), cols));
            let (upper, lower) = (
                reflect(row, rows) * cols,
                reflect(row.wrapping_add(1), rows) * cols,
            );
            [
                image[upper + left],
                image[upper + right],
                image[lower + left],
                image[lower + right],
            ]
        };
        *out = mixed(pixels, x, y);
    }
}

/// Four pixels, upper left, upper right, lower left, lower right, by the fractions of a position.
#[inline]
fn mixed([p00, p01, p10, p11]: [f32; 4], x: i32, y: i32) -> f32 {
    const MASK: i32 = (1 << FRACTION) - 1;
    const SHARE: f32 = 1.0 / (1 << FRACTION) as f32;
    let (fx, fy) = ((x & MASK) as f32 * SHARE, (y & MASK) as f32 * SHARE);
    // The order of the reference, which decides the last bit.
    p00 * ((1.0 - fy) * (1.0 - fx))
        + p01 * ((1.0 - fy) * fx)
        + p10 * (fy * (1.0 - fx))
        + p11 * (fy * fx)
}

/// The pixel that an index outside 0..n mirrors: c b | a b c | b a.
#[inline]
pub(super) fn reflect(index: i32, n: usize) -> usize {
    if (0..n as i32).contains(&index) {
        return index as usize;
    }
    if n == 1 {
        return 0;
    }
    let period = 2 * (n as i32 - 1);
    let folded = index.rem_euclid(period);
    folded.min(period - folded) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_is_mirrored_without_its_pixel() {
        let seen: Vec<usize> = (-5..8).map(|i| reflect(i, 4)).collect();
        assert_eq!(
            seen,
            [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1].map(|v: usize| v)
        );
        assert_eq!(reflect(-7, 1), 0);
    }

    #[test]
    fn rounding_is_half_to_even() {
        for value in [
            -2.5_f32,
            -1.5,
            -0.5,
            0.5,
            1.5,
            2.5,
            0.49,
            1e9,
            -1e9,
            4_000_000.5,
        ] {
            let expected = value.clamp(-4_194_303.0, 4_194_303.0).round_ties_even() as i32;
            assert_eq!(round(value), expected, "{value}");
        }
        assert_eq!(round(f32::NAN), -4_194_303);
    }

    #[test]
    fn the_identity_changes_nothing_and_a_shift_moves_by_pixels() {
        let original = Sample::new(
            3,
            4,
            (0..12).map(|v| v as f32 / 12.0).collect(),
            (0..12).map(|v| v % 3).collect(),
        );
        let mut spare = Spare::default();
        let mut moved = original.clone();
        let identity = Affine::inverse_of([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
        affine(&mut moved, &mut spare, &identity);
        assert_eq!(moved, original);
        displace(&mut moved, &mut spare, &[1.0; 12], &[0.0; 12]);
        assert_eq!(moved.image[..4], [1, 2, 3, 2].map(|v| v as f32 / 12.0));
        assert_eq!(moved.labels[..4], [1, 2, 0, 2]);
    }
}
