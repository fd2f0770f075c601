//! The weights of a convolution while they are rewritten.

use crate::program::{Tensor, TensorError};

/// Kernels `[outputs, channels, size, size]` before they are rounded to `f32`.
pub(super) struct Kernel {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f64>,
}

impl Kernel {
    pub(super) fn tensor(self, name: String) -> Result<Tensor, TensorError> {
        let data = self.data.into_iter().map(|x| x as f32).collect();
        Tensor::f32(name, self.shape, data)
    }

    fn taps(&self) -> usize {
        self.shape[2] * self.shape[3]
    }

    /// Those for some of the channels.
    pub(super) fn channels(&self, first: usize, channels: usize) -> Self {
        let taps = self.taps();
        let all = self.data.chunks_exact(self.shape[1] * taps);
        Self {
            shape: vec![self.shape[0], channels, self.shape[2], self.shape[3]],
            data: all
                .flat_map(|kernel| &kernel[first * taps..(first + channels) * taps])
                .copied()
                .collect(),
        }
    }

    /// One new channel for each row of factors: the sum of the old channels times their factors.
    pub(super) fn mix(&self, rows: &[Vec<f64>]) -> Self {
        let taps = self.taps();
        let mut data = Vec::with_capacity(self.shape[0] * rows.len() * taps);
        for kernel in self.data.chunks_exact(self.shape[1] * taps) {
            for factors in rows {
                data.extend((0..taps).map(|tap| -> f64 {
                    let channels = kernel.iter().skip(tap).step_by(taps);
                    channels.zip(factors).map(|(w, f)| w * f).sum()
                }));
            }
        }
        Self {
            shape: vec![self.shape[0], rows.len(), self.shape[2], self.shape[3]],
            data,
        }
    }

    /// The four kernels of 2 x 2 for each one of 3 x 3, phase by phase.
    ///
    /// An even row `2 i` sees rows `i - 1`, `i`, `i` of the small image, an odd row `2 i + 1` sees `i`, `i`, `i + 1`: the weights on the
    /// same row are added. Columns likewise.
    pub(super) fn phases(&self) -> Self {
        const FIRST: [usize; 2] = [1, 2];
        let place = |phase: usize, tap: usize| usize::from(tap >= FIRST[phase]);
        let [outputs, channels] = [self.shape[0], self.shape[1]];
        let mut data = vec![0.0; 4 * outputs * channels * 4];
        for phase in 0..4 {
            for (number, kernel) in self.data.chunks_exact(9).enumerate() {
                let out = &mut data[(phase * outputs * channels + number) * 4..][..4];
                for (tap, w) in kernel.iter().enumerate() {
                    out[2 * place(phase / 2, tap / 3) + place(phase % 2, tap % 3)] += w;
                }
            }
        }
        Self {
            shape: vec![4 * outputs, channels, 2, 2],
            data,
        }
    }
}
