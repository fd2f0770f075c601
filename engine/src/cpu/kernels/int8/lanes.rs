//! What an instruction set must offer, and the loops over it that all sets share.
//!
//! The arithmetic is the same everywhere, to the bit: products and sums are exact in 32-bit integers; a sum becomes a float (rounded to
//! nearest, as the one conversion every set has), is multiplied and added to in `f32` without fusing, limited, and rounded to the
//! nearest integer, halves to even.

#![allow(unsafe_code)]

use super::dots::{Dots, Run};

/// Registers of one instruction set.
///
/// # Safety
///
/// Every function may only be called where the instruction set is present, with pointers valid for the whole register.
pub(super) trait Lanes {
    /// [`COUNT`](Self::COUNT) integers of 32 bits.
    type Ints: Copy;
    /// As many floats.
    type Floats: Copy;

    /// Output channels in a register.
    const COUNT: usize;

    unsafe fn zero() -> Self::Ints;
    unsafe fn load(from: *const i32) -> Self::Ints;
    unsafe fn store(to: *mut i32, x: Self::Ints);
    unsafe fn sum(a: Self::Ints, b: Self::Ints) -> Self::Ints;

    unsafe fn floats(from: *const f32) -> Self::Floats;
    unsafe fn splat(x: f32) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn limit(x: Self::Floats, low: Self::Floats, high: Self::Floats) -> Self::Floats;
    unsafe fn to_floats(x: Self::Ints) -> Self::Floats;
    /// To nearest, halves to even. Magnitudes are below 2^22.
    unsafe fn round(x: Self::Floats) -> Self::Ints;
    /// The same for magnitudes up to 2^30.
    unsafe fn round_large(x: Self::Floats) -> Self::Ints;
    unsafe fn store_floats(to: *mut f32, x: Self::Floats);

    unsafe fn load_u8(from: *const u8) -> Self::Ints;
    unsafe fn load_i16(from: *const i16) -> Self::Ints;
    /// The integers are in 0 ..= 255.
    unsafe fn store_u8(to: *mut u8, x: Self::Ints);
    /// The integers are in the range of `i16`.
    unsafe fn store_i16(to: *mut i16, x: Self::Ints);
}

/// Sums of some pixels in a row for some registers of output channels.
pub(super) struct Tile<'a> {
    /// What is added up.
    pub(super) runs: &'a [Run],
    /// Weights for four bytes and the whole block of output channels.
    pub(super) weight_step: usize,
    /// Sums so far, or null for zeros.
    pub(super) before: *const i32,
    /// Where the sums go.
    pub(super) after: *mut i32,
    /// From the sums of one pixel to those of the next.
    pub(super) sum_step: usize,
}

/// Adds up a tile of `PIXELS` pixels and `VECTORS` registers of output channels.
///
/// # Safety
///
/// All pointers of the tile are valid for what the tile describes, and the set's instructions are present.
#[inline(always)]
pub(super) unsafe fn tile<D: Dots, const PIXELS: usize, const VECTORS: usize>(tile: &Tile<'_>) {
    let count = D::Lanes::COUNT;
    // SAFETY: the caller's promise, passed on.
    unsafe {
        let mut sums = [[D::Lanes::zero(); VECTORS]; PIXELS];
        if !tile.before.is_null() {
            for (m, sums) in sums.iter_mut().enumerate() {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = D::Lanes::load(tile.before.add(m * tile.sum_step + j * count));
                }
            }
        }
        for run in tile.runs {
            if !run.rescale.is_null() {
                for j in 0..VECTORS {
                    let factors = D::Lanes::floats(run.rescale.add(j * count));
                    for sums in &mut sums {
                        let x = D::Lanes::mul(D::Lanes::to_floats(sums[j]), factors);
                        sums[j] = D::Lanes::round_large(x);
                    }
                }
            }
            if D::CENTRED && !run.start.is_null() {
                for j in 0..VECTORS {
                    let start = D::Lanes::load(run.start.add(j * count));
                    for sums in &mut sums {
                        sums[j] = D::Lanes::sum(sums[j], start);
                    }
                }
            }
            D::add(&mut sums, run, tile.weight_step);
        }
        for (m, sums) in sums.iter().enumerate() {
            for (j, &sum) in sums.iter().enumerate() {
                D::Lanes::store(tile.after.add(m * tile.sum_step + j * count), sum);
            }
        }
    }
}

/// What becomes of the sums of some pixels in a row.
pub(super) struct Finish {
    /// Sums of the first pixel.
    pub(super) sums: *const i32,
    /// From the sums of one pixel to those of the next.
    pub(super) sum_step: usize,
    /// Pixels.
    pub(super) pixels: usize,
    /// Output channels; a multiple of 16.
    pub(super) channels: usize,
    /// Factor of each channel's sum.
    pub(super) factor: *const f32,
    /// What is added to it.
    pub(super) offset: *const f32,
    /// Residual stream and its factors, where there is one.
    pub(super) residual: Residual,
    /// Limits of the result.
    pub(super) limits: [f32; 2],
    /// Where the result goes as `i16` or as bytes, or nowhere.
    pub(super) raw: Target,
    /// What is made of the result, where something is.
    pub(super) map: Map,
}

/// Numbers added to sums.
#[derive(Clone, Copy)]
pub(super) enum Residual {
    None,
    /// The first pixel's, the step to the next pixel in elements, and the factors.
    I16(*const i16, usize, *const f32),
    U8(*const u8, usize, *const f32),
}

/// Where numbers go: the first pixel's place, and the step to the next pixel in elements.
#[derive(Clone, Copy)]
pub(super) enum Target {
    None,
    U8(*mut u8, usize),
    I16(*mut i16, usize),
    /// Not rounded.
    Floats(*mut f32, usize),
}

/// A factor and an offset for each channel, and where the bytes go.
#[derive(Clone, Copy)]
pub(super) struct Map {
    /// Null for no map.
    pub(super) factor: *const f32,
    pub(super) offset: *const f32,
    pub(super) to: *mut u8,
    pub(super) step: usize,
}

/// Turns sums into results.
///
/// # Safety
///
/// As for [`tile`].
#[inline(always)]
pub(super) unsafe fn finish<L: Lanes>(f: &Finish) {
    // SAFETY: the caller's promise, passed on.
    unsafe {
        let low = L::splat(f.limits[0]);
        let high = L::splat(f.limits[1]);
        let (none, full) = (L::splat(0.0), L::splat(255.0));
        for c in (0..f.channels).step_by(L::COUNT) {
            let factor = L::floats(f.factor.add(c));
            let offset = L::floats(f.offset.add(c));
            for m in 0..f.pixels {
                let sum = L::load(f.sums.add(m * f.sum_step + c));
                let mut x = L::add(L::mul(L::to_floats(sum), factor), offset);
                match f.residual {
                    Residual::None => {}
                    Residual::I16(from, step, factors) => {
                        let r = L::to_floats(L::load_i16(from.add(m * step + c)));
                        x = L::add(x, L::mul(r, L::floats(factors.add(c))));
                    }
                    Residual::U8(from, step, factors) => {
                        let r = L::to_floats(L::load_u8(from.add(m * step + c)));
                        x = L::add(x, L::mul(r, L::floats(factors.add(c))));
                    }
                }
                if let Target::Floats(to, step) = f.raw {
                    L::store_floats(to.add(m * step + c), x);
                    continue;
                }
                let q = L::round(L::limit(x, low, high));
                match f.raw {
                    Target::U8(to, step) => L::store_u8(to.add(m * step + c), q),
                    Target::I16(to, step) => L::store_i16(to.add(m * step + c), q),
                    Target::None | Target::Floats(..) => {}
                }
                if !f.map.factor.is_null() {
                    let x = L::mul(L::to_floats(q), L::floats(f.map.factor.add(c)));
                    let x = L::add(x, L::floats(f.map.offset.add(c)));
                    let q = L::round(L::limit(x, none, full));
                    L::store_u8(f.map.to.add(m * f.map.step + c), q);
                }
            }
        }
    }
}

/// Numbers that a map reads.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    U8(*const u8),
    I16(*const i16),
}

/// Maps numbers of one pixel.
///
/// # Safety
///
/// As for [`tile`].
#[inline(always)]
pub(super) unsafe fn map<L: Lanes>(from: Origin, channels: usize, map: &Map) {
    // SAFETY: the caller's promise, passed on.
    unsafe {
        let (none, full) = (L::splat(0.0), L::splat(255.0));
        for c in (0..channels).step_by(L::COUNT) {
            let q = match from {
                Origin::U8(from) => L::load_u8(from.add(c)),
                Origin::I16(from) => L::load_i16(from.add(c)),
            };
            let x = L::mul(L::to_floats(q), L::floats(map.factor.add(c)));
            let x = L::add(x, L::floats(map.offset.add(c)));
            L::store_u8(map.to.add(c), L::round(L::limit(x, none, full)));
        }
    }
}

/// The loops, compiled for one instruction set.
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    /// Widest group of output channels of one tile.
    pub(super) block: usize,
    /// Most pixels of a tile, for tiles of 16, 32, 48 and 64 output channels.
    pub(super) pixels: [usize; 4],
    /// [`tile`] by number of pixels and output channels.
    pub(super) tile: unsafe fn(&Tile<'_>, usize, usize),
    /// [`finish`].
    pub(super) finish: unsafe fn(&Finish),
    /// [`map`].
    pub(super) map: unsafe fn(Origin, usize, &Map),
}

/// Compiles the loops for an instruction set: `tiles` are the numbers of pixels of tiles of one to four groups of 16 channels.
macro_rules! kernels {
    ($dots:ty, $(#[$feature:meta],)? block: $block:literal, tiles: { $($groups:literal: [$($pixels:literal),*]),* }) => {
        use $crate::cpu::kernels::int8::lanes as loops;

        type Registers = <$dots as $crate::cpu::kernels::int8::dots::Dots>::Lanes;

        $(#[$feature])?
        unsafe fn tile<const PIXELS: usize, const VECTORS: usize>(t: &loops::Tile<'_>) {
            // SAFETY: the caller's promise, passed on.
            unsafe { loops::tile::<$dots, PIXELS, VECTORS>(t) }
        }

        unsafe fn tiles(t: &loops::Tile<'_>, pixels: usize, channels: usize) {
            // SAFETY: the caller's promise, passed on.
            unsafe {
                match (channels, pixels) {
                    $($(
                        (c, $pixels) if c == 16 * $groups => {
                            tile::<$pixels, { 16 * $groups / <Registers as loops::Lanes>::COUNT }>(t);
                        }
                    )*)*
                    _ => unreachable!("tiles are cut to the table"),
                }
            }
        }

        $(#[$feature])?
        unsafe fn finish(f: &loops::Finish) {
            // SAFETY: the caller's promise, passed on.
            unsafe { loops::finish::<Registers>(f) }
        }

        $(#[$feature])?
        unsafe fn map(from: loops::Origin, channels: usize, m: &loops::Map) {
            // SAFETY: the caller's promise, passed on.
            unsafe { loops::map::<Registers>(from, channels, m) }
        }

        /// The loops for this instruction set.
        pub(in $crate::cpu::kernels::int8) const KERNELS: loops::Kernels = {
            let mut most = [1; 4];
            $({ let all: &[usize] = &[$($pixels),*]; most[$groups - 1] = all[all.len() - 1]; })*
            loops::Kernels { block: $block, pixels: most, tile: tiles, finish, map }
        };
    };
}

pub(super) use kernels;
