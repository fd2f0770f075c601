//! The matrices of Winograd's minimal filtering F(4x4, 3x3), with interpolation points 0, 1, -1, 2, -2
//! and infinity (Lavin and Gray, "Fast algorithms for convolutional neural networks", equation 21), as
//! sums of registers.

use super::registers::{F32s, Simd, mul_add, splat};

/// A one-dimensional transform. (A trait, not closures: those are not inlined into code for wider
/// registers than the rest of the program's.)
pub(super) trait Transform<const A: usize, const B: usize> {
    fn apply<S: Simd>(v: [F32s<S>; A]) -> [F32s<S>; B];
}

/// A transform along both axes.
#[inline(always)]
pub(super) fn both<T: Transform<A, B>, S: Simd, const A: usize, const B: usize>(
    values: &[[F32s<S>; A]; A],
) -> [[F32s<S>; B]; B] {
    let mut rows = [[splat::<S>(0.0); A]; B];
    for y in 0..A {
        let row = T::apply::<S>(values[y]);
        for x in 0..B {
            rows[x][y] = row[x];
        }
    }
    let mut out = [[splat::<S>(0.0); B]; B];
    for x in 0..B {
        let column = T::apply::<S>(rows[x]);
        for y in 0..B {
            out[y][x] = column[y];
        }
    }
    out
}

/// `f a + b`.
#[inline(always)]
fn scaled<S: Simd>(f: f32, a: F32s<S>, b: F32s<S>) -> F32s<S> {
    mul_add::<S>(splat::<S>(f), a, b)
}

/// `f a`.
#[inline(always)]
fn times<S: Simd>(f: f32, a: F32s<S>) -> F32s<S> {
    splat::<S>(f) * a
}

/// `B' d`.
pub(super) struct Input;

impl Transform<6, 6> for Input {
    #[inline(always)]
    fn apply<S: Simd>(d: [F32s<S>; 6]) -> [F32s<S>; 6] {
        let even = scaled::<S>(-4.0, d[2], d[4]);
        let odd = scaled::<S>(-4.0, d[1], d[3]);
        let (evens, odds) = (d[4] - d[2], d[3] - d[1]);
        [
            scaled::<S>(4.0, d[0], scaled::<S>(-5.0, d[2], d[4])),
            even + odd,
            even - odd,
            scaled::<S>(2.0, odds, evens),
            scaled::<S>(-2.0, odds, evens),
            scaled::<S>(4.0, d[1], scaled::<S>(-5.0, d[3], d[5])),
        ]
    }
}

/// `A' m`.
pub(super) struct Output;

impl Transform<6, 4> for Output {
    #[inline(always)]
    fn apply<S: Simd>(m: [F32s<S>; 6]) -> [F32s<S>; 4] {
        let (near, far) = (m[1] + m[2], m[3] + m[4]);
        let (near_odd, far_odd) = (m[1] - m[2], m[3] - m[4]);
        [
            m[0] + near + far,
            scaled::<S>(2.0, far_odd, near_odd),
            scaled::<S>(4.0, far, near),
            scaled::<S>(8.0, far_odd, near_odd) + m[5],
        ]
    }
}

/// `A y`.
pub(super) struct OutputAdjoint;

impl Transform<4, 6> for OutputAdjoint {
    #[inline(always)]
    fn apply<S: Simd>(y: [F32s<S>; 4]) -> [F32s<S>; 6] {
        let (even, odd) = (y[0] + y[2], y[1] + y[3]);
        let (evens, odds) = (scaled::<S>(4.0, y[2], y[0]), scaled::<S>(4.0, y[3], y[1]));
        [
            y[0],
            even + odd,
            even - odd,
            scaled::<S>(2.0, odds, evens),
            scaled::<S>(-2.0, odds, evens),
            y[3],
        ]
    }
}

/// `G w`.
pub(super) struct Filter;

impl Transform<3, 6> for Filter {
    #[inline(always)]
    fn apply<S: Simd>(w: [F32s<S>; 3]) -> [F32s<S>; 6] {
        let ends = times::<S>(-1.0 / 6.0, w[0] + w[2]);
        let middle = times::<S>(1.0 / 6.0, w[1]);
        let outer = scaled::<S>(1.0 / 24.0, w[0], times::<S>(1.0 / 6.0, w[2]));
        let inner = times::<S>(1.0 / 12.0, w[1]);
        [
            times::<S>(0.25, w[0]),
            ends - middle,
            ends + middle,
            outer + inner,
            outer - inner,
            w[2],
        ]
    }
}

/// `G' u`.
pub(super) struct FilterAdjoint;

impl Transform<6, 3> for FilterAdjoint {
    #[inline(always)]
    fn apply<S: Simd>(u: [F32s<S>; 6]) -> [F32s<S>; 3] {
        let near = times::<S>(1.0 / 6.0, u[1] + u[2]);
        let near_odd = times::<S>(1.0 / 6.0, u[2] - u[1]);
        let far = u[3] + u[4];
        let far_odd = u[3] - u[4];
        [
            scaled::<S>(1.0 / 24.0, far, times::<S>(0.25, u[0]) - near),
            scaled::<S>(1.0 / 12.0, far_odd, near_odd),
            ((times::<S>(1.0 / 6.0, far) - near) + u[5]),
        ]
    }
}
