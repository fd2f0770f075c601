//! What a sum of convolutions will take, before anything is packed.

use super::packing::{Pass, visits};
use super::{BLOCK, GROUP, PANEL, TILE};

/// What a convolution of a sum looks like, before its weights are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Rows and columns of the kernel.
    pub(crate) kernel: usize,
    /// Elements from one pixel of what it reads to the next.
    pub(crate) step: usize,
    /// Whether it is an `UpConv2d`.
    pub(crate) doubled: bool,
}

impl Window {
    /// Neighbouring bytes below a row of the kernel, filled up to a multiple of 4.
    pub(super) const fn run(&self) -> usize {
        (self.kernel * self.step).next_multiple_of(4)
    }

    /// Kernels for each output channel.
    const fn kernels(&self) -> usize {
        if self.doubled { 4 } else { 1 }
    }

    /// Bytes of its packed weights for as many output channels.
    pub(super) const fn packed_bytes(&self, channels: usize) -> usize {
        self.kernels() * channels * self.kernel * self.run()
    }
}

/// What a sum takes once it is packed, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Weights and tables of numbers for each channel.
    pub(crate) packed: u64,
    /// Scratch for each thread.
    pub(crate) scratch: u64,
}

impl Needs {
    /// For a sum of convolutions with `channels` output channels and an output of `size` pixels.
    ///
    /// All sizes are those of a checked program within its limits, which no product here can overflow.
    pub(crate) fn of(windows: &[Window], size: [usize; 2], channels: usize) -> Self {
        Self::with_panel(windows, size, channels, PANEL)
    }

    /// The same with another number of bytes in place of [`PANEL`].
    pub(in super::super) fn with_panel(
        windows: &[Window],
        [rows, cols]: [usize; 2],
        channels: usize,
        panel: usize,
    ) -> Self {
        let filled = channels.next_multiple_of(GROUP);
        let phases = windows.iter().map(Window::kernels).max().unwrap_or(1);
        let weights: usize = windows
            .iter()
            .map(|window| window.packed_bytes(filled))
            .sum();
        // Numbers of 4 bytes, and those of 8 that they are made of.
        let tables = 16 * phases * filled * (4 + 2 * windows.len());
        let scratch = 4 * scratch(
            &visits(windows, filled.min(BLOCK), panel),
            rows * cols / phases,
        );
        Self {
            packed: (weights + tables) as u64,
            scratch: scratch as u64,
        }
    }
}

/// Numbers of scratch for each thread, for an output or a phase of it of so many pixels.
pub(super) const fn scratch(visits: &[Vec<Pass>], pixels: usize) -> usize {
    if visits.len() > 1 {
        pixels * BLOCK
    } else {
        TILE
    }
}
