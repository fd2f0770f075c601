//! The transforms of Winograd's minimal filtering F(4x4, 3x3), along one axis.
//!
//! Four outputs `y` of a kernel `g` of three taps over six inputs `d` need six products instead of twelve (Lavin and Gray,
//! "Fast algorithms for convolutional neural networks", section 4.3): `y = A' [(G g) * (B' d)]`. Along both axes, 36 products
//! replace 144.
#![allow(unsafe_code)]

use super::lanes::Lanes;

/// Outputs along an axis.
pub(super) const TILE: usize = 4;
/// Inputs along an axis, and products.
pub(super) const WINDOW: usize = 6;
/// Products of a tile.
pub(super) const POINTS: usize = WINDOW * WINDOW;
/// Pixels of the small image along an axis if the input is doubled.
pub(super) const SMALL: usize = 4;
/// Products along an axis that are not 0 if the input is doubled.
pub(super) const KEPT: [usize; 5] = [0, 1, 3, 4, 5];

/// `B' d`.
///
/// # Safety
///
/// The instruction set is present.
#[inline(always)]
pub(super) unsafe fn input<L: Lanes>(d: [L; WINDOW]) -> [L; WINDOW] {
    // SAFETY: the caller's promise.
    let [two, four, five] = unsafe { [L::splat(2.0), L::splat(-4.0), L::splat(-5.0)] };
    let even = d[2].mul_add(four, d[4]);
    let odd = d[1].mul_add(four, d[3]);
    let far = d[4].sub(d[2]);
    let twice = d[3].sub(d[1]).mul(two);
    [
        d[2].mul_add(five, d[4]).sub(d[0].mul(four)),
        even.add(odd),
        even.sub(odd),
        far.add(twice),
        far.sub(twice),
        d[3].mul_add(five, d[5]).sub(d[1].mul(four)),
    ]
}

/// `B' d` of `[a, b, b, c, c, e]`, without the third, which is 0: what a window sees of an image whose pixels are doubled.
///
/// # Safety
///
/// The instruction set is present.
#[inline(always)]
pub(super) unsafe fn doubled_input<L: Lanes>([a, b, c, e]: [L; SMALL]) -> [L; KEPT.len()] {
    // SAFETY: the caller's promise.
    let [two, three, four, five] =
        unsafe { [L::splat(2.0), L::splat(-3.0), L::splat(4.0), L::splat(-5.0)] };
    let fall = b.sub(c);
    [
        a.mul_add(four, b.mul_add(five, c)),
        c.sub(b.mul(four)).mul(two),
        fall.mul(three),
        fall,
        b.mul_add(four, c.mul_add(five, e)),
    ]
}

/// `A' m`.
///
/// # Safety
///
/// The instruction set is present.
#[inline(always)]
pub(super) unsafe fn output<L: Lanes>(m: [L; WINDOW]) -> [L; TILE] {
    // SAFETY: the caller's promise.
    let [two, four, eight] = unsafe { [L::splat(2.0), L::splat(4.0), L::splat(8.0)] };
    let (near, nearer) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (far, farther) = (m[3].add(m[4]), m[3].sub(m[4]));
    [
        m[0].add(near).add(far),
        farther.mul_add(two, nearer),
        far.mul_add(four, near),
        farther.mul_add(eight, nearer).add(m[5]),
    ]
}

/// `G g G'`, in f64 because it is done once.
pub(super) fn kernel(g: &[f32; 9]) -> [f32; POINTS] {
    const G: [[f64; 3]; WINDOW] = [
        [0.25, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];
    let mut rows = [[0.0; 3]; WINDOW];
    for (row, taps) in rows.iter_mut().zip(&G) {
        for (col, out) in row.iter_mut().enumerate() {
            *out = (0..3).map(|k| taps[k] * f64::from(g[3 * k + col])).sum();
        }
    }
    let mut points = [0.0; POINTS];
    for (row, out) in rows.iter().zip(points.chunks_exact_mut(WINDOW)) {
        for (out, taps) in out.iter_mut().zip(&G) {
            *out = (0..3).map(|k| row[k] * taps[k]).sum::<f64>() as f32;
        }
    }
    points
}
