//! What a kernel asks of an instruction set: a register of `f32` and a dozen operations on it.
#![allow(unsafe_code)]

/// Rows of a tile of sums: pixels that share each register of weights.
pub(super) const ROWS: usize = 6;

/// A register of `f32`.
///
/// A register can only be made by the unsafe functions here, whose callers promise that the instruction set is present. So
/// whoever holds one may use it: its methods that touch no memory are safe.
pub(super) trait Lanes: Copy {
    /// Numbers in a register; a divisor of [`super::LINE`].
    const WIDTH: usize;
    /// Most registers of weights side by side in a tile. With [`ROWS`] they fit the register file: one sum for each pair, the
    /// weights, and a pixel.
    const COLUMNS: usize;

    /// # Safety
    ///
    /// The instruction set is present.
    unsafe fn splat(x: f32) -> Self;

    /// # Safety
    ///
    /// The instruction set is present and [`Self::WIDTH`] numbers can be read.
    unsafe fn load(from: *const f32) -> Self;

    /// # Safety
    ///
    /// [`Self::WIDTH`] numbers can be written.
    unsafe fn store(self, to: *mut f32);

    /// The first `count` numbers; zeros in the other lanes.
    ///
    /// # Safety
    ///
    /// The instruction set is present and `count` numbers, fewer than [`Self::WIDTH`], can be read.
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0_f32; super::LINE];
        // SAFETY: `lanes` has room for any register, and the caller lets us read `count`.
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }

    /// Writes the first `count` lanes.
    ///
    /// # Safety
    ///
    /// `count` numbers, fewer than [`Self::WIDTH`], can be written.
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        let mut lanes = [0.0_f32; super::LINE];
        // SAFETY: `lanes` has room for any register, and the caller lets us write `count`.
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// `self * factor + term`, rounded once where the instruction set can.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// `self`, but `low` where it is less. What is not a number stays so: a rectifier must not heal a broken network.
    fn at_least(self, low: Self) -> Self;
    /// `self`, but `high` where it is more. What is not a number stays so.
    fn at_most(self, high: Self) -> Self;
    /// The larger of two, and not a number if one of them is not.
    fn larger(self, other: Self) -> Self;
    /// To the nearest whole number, halves to even.
    fn round(self) -> Self;
}
