//! How bytes meet weights: what an instruction set does of its own, and the loop that most of them share.

#![allow(unsafe_code)]

use super::lanes::Lanes;

/// Sums of some pixels, each for some registers of output channels.
pub(super) type Sums<L, const PIXELS: usize, const VECTORS: usize> =
    [[<L as Lanes>::Ints; VECTORS]; PIXELS];

/// How an instruction set adds up products of bytes and weights; bytes are unsigned, weights signed and never -128.
///
/// # Safety
///
/// As for [`Lanes`].
pub(super) trait Dots {
    /// The registers of sums.
    type Lanes: Lanes;

    /// Whether bytes are taken as signed numbers, each 128 less. Sums then begin at 128 times the sum of the weights: [`Run::start`].
    const CENTRED: bool;

    /// Adds a run to sums.
    unsafe fn add<const PIXELS: usize, const VECTORS: usize>(
        sums: &mut Sums<Self::Lanes, PIXELS, VECTORS>,
        run: &Run,
        weight_step: usize,
    );
}

/// [`Dots`] of an instruction set whose best way is to meet four bytes at a time.
///
/// # Safety
///
/// As for [`Lanes`].
pub(super) trait Fours {
    /// The registers of sums.
    type Lanes: Lanes;
    /// Four weights for each output channel of a register.
    type Weights: Copy;
    /// Four neighbouring bytes of a pixel, ready to meet the weights.
    type Bytes: Copy;

    /// See [`Dots::CENTRED`].
    const CENTRED: bool = false;

    unsafe fn weights(from: *const i8) -> Self::Weights;
    unsafe fn bytes(from: *const u8) -> Self::Bytes;
    /// `sum + bytes . weights` for each output channel.
    unsafe fn dot(
        sum: <Self::Lanes as Lanes>::Ints,
        bytes: Self::Bytes,
        weights: Self::Weights,
    ) -> <Self::Lanes as Lanes>::Ints;
}

impl<D: Fours> Dots for D {
    type Lanes = D::Lanes;

    const CENTRED: bool = D::CENTRED;

    #[inline(always)]
    unsafe fn add<const PIXELS: usize, const VECTORS: usize>(
        sums: &mut Sums<D::Lanes, PIXELS, VECTORS>,
        run: &Run,
        weight_step: usize,
    ) {
        // SAFETY: the caller's promise, passed on.
        unsafe {
            let mut weights = run.weights;
            for row in 0..run.rows {
                let mut at = run.bytes.add(row * run.row_step);
                let end = at.add(run.length);
                while at < end {
                    let mut w = [D::weights(weights); VECTORS];
                    for (j, w) in w.iter_mut().enumerate().skip(1) {
                        *w = D::weights(weights.add(j * D::Lanes::COUNT * 4));
                    }
                    for (m, sums) in sums.iter_mut().enumerate() {
                        let bytes = D::bytes(at.add(m * run.pixel_step));
                        for (sum, w) in sums.iter_mut().zip(w) {
                            *sum = D::dot(*sum, bytes, w);
                        }
                    }
                    weights = weights.add(weight_step);
                    at = at.add(4);
                }
            }
        }
    }
}

/// Neighbouring bytes below each of some pixels, and the weights that meet them.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// The first byte below the first pixel.
    pub(super) bytes: *const u8,
    /// From one pixel to the next.
    pub(super) pixel_step: usize,
    /// From one row of the window to the next.
    pub(super) row_step: usize,
    /// Rows of the window.
    pub(super) rows: usize,
    /// Bytes in a row; a multiple of 4.
    pub(super) length: usize,
    /// The first weights. Each four bytes meet `weight_step` of them.
    pub(super) weights: *const i8,
    /// Factors, one for each output channel, that sums so far are multiplied by before this run is added; null for none.
    pub(super) rescale: *const f32,
    /// What sums of centred bytes begin with, one number for each output channel; null if a run before this one has it.
    pub(super) start: *const i32,
}
