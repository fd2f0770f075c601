//! Vector registers of the width the machine has, chosen at run time: AVX-512, AVX2, SSE4.2, NEON or none.
//!
//! A thin layer over `macerator` (the crate that Burn's CPU backend uses for the same): loads and stores on
//! slices, so that no code here is unsafe. Everything is `inline(always)` and nothing takes closures:
//! what is not inlined into the chosen variant is compiled for the oldest machines.

use macerator::{AutoArch, Scalar, Vector};
pub(super) use macerator::{Simd, WithSimd};

/// A register of `f32`.
pub(super) type F32s<S> = Vector<S, f32>;

/// Most lanes there are.
const MOST_LANES: usize = 16;

/// Runs `op` in the variant for the widest registers.
pub(super) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    AutoArch::new().dispatch(op)
}

/// Lanes of a register.
pub(super) const fn lanes<S: Simd>() -> usize {
    size_of::<F32s<S>>() / size_of::<f32>()
}

#[inline(always)]
pub(super) fn splat<S: Simd>(value: f32) -> F32s<S> {
    value.splat()
}

/// `a b + c`.
#[inline(always)]
pub(super) fn mul_add<S: Simd>(a: F32s<S>, b: F32s<S>, c: F32s<S>) -> F32s<S> {
    a.mul_add(b, c)
}

/// The first values of a slice; lanes beyond its end are zero.
#[inline(always)]
pub(super) fn load<S: Simd>(values: &[f32]) -> F32s<S> {
    let lanes = lanes::<S>();
    if values.len() >= lanes {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(&values[..lanes]))
    } else {
        let mut whole = [0.0; MOST_LANES];
        whole[..values.len()].copy_from_slice(values);
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(&whole[..lanes]))
    }
}

/// Writes as many lanes as the slice has room for.
#[inline(always)]
pub(super) fn store<S: Simd>(values: &mut [f32], register: F32s<S>) {
    let lanes = lanes::<S>();
    let source: &[f32] = bytemuck::cast_slice(std::slice::from_ref(&register));
    if values.len() >= lanes {
        values[..lanes].copy_from_slice(source);
    } else {
        values.copy_from_slice(&source[..values.len()]);
    }
}
