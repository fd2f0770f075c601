//! Numbers to test with, and what they add up to.

use super::super::{GROUP, Layout, Term};
use crate::program::Precision;

/// Numbers that look random (`SplitMix64`).
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }

    /// In -1 .. 1.
    pub(super) fn float(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    pub(super) fn floats(&mut self, count: usize, size: f64) -> Vec<f64> {
        (0..count).map(|_| self.float() * size).collect()
    }
}

/// What bytes and weights are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Noise,
    /// All bytes 255 and all weights 127.
    Most,
    /// All bytes 255 and all weights -127.
    Least,
    /// Bytes 0 or 255, weights -127 or 127.
    Extremes,
}

impl Kind {
    pub(super) fn byte(self, noise: &mut Noise) -> u8 {
        match self {
            Self::Noise => noise.next() as u8,
            Self::Most | Self::Least => 255,
            Self::Extremes => noise.pick(&[0, 255]),
        }
    }

    pub(super) fn weight(self, noise: &mut Noise) -> i8 {
        match self {
            Self::Noise => ((noise.next() % 255) as i16 - 127) as i8,
            Self::Most => 127,
            Self::Least => -127,
            Self::Extremes => noise.pick(&[-127, 127]),
        }
    }

    /// About as large as a sum of so many products gets.
    pub(super) fn size(self, taps: usize) -> f64 {
        match self {
            Self::Noise | Self::Extremes => (taps as f64).sqrt() * 16_000.0,
            Self::Most | Self::Least => taps as f64 * 32_000.0,
        }
    }
}

/// Places for values, one after another.
pub(super) struct Places(pub(super) usize);

impl Places {
    pub(super) fn layout(
        &mut self,
        [rows, cols]: [usize; 2],
        channels: usize,
        border: usize,
        precision: Precision,
    ) -> Layout {
        let step = if channels < 3 && precision == Precision::U8 {
            channels
        } else {
            channels.next_multiple_of(GROUP)
        };
        let layout = Layout {
            start: self.0,
            rows,
            cols,
            channels,
            step,
            border,
            precision,
        };
        self.0 = layout.end().next_multiple_of(64);
        layout
    }

    /// One that kernels write, and so never has the layout of an image.
    pub(super) fn written(
        &mut self,
        size: [usize; 2],
        channels: usize,
        precision: Precision,
    ) -> Layout {
        let mut layout = self.layout(size, channels.max(3), 1, precision);
        layout.channels = channels;
        layout
    }
}

pub(super) fn number(bytes: &[u8], layout: &Layout, row: usize, col: usize, channel: usize) -> i32 {
    let at = layout.at(row, col) + channel * layout.size();
    match layout.precision {
        Precision::U8 => i32::from(bytes[at]),
        Precision::I16 => i32::from(i16::from_le_bytes([bytes[at], bytes[at + 1]])),
    }
}

pub(super) fn round(x: f32, [low, high]: [f32; 2]) -> f32 {
    x.max(low).min(high).round_ties_even()
}

/// What the sum of the terms is for one output.
pub(super) fn sum(
    terms: &[Term],
    bytes: &[u8],
    channels: usize,
    doubled: bool,
    [row, col]: [usize; 2],
    o: usize,
) -> i32 {
    let phase = if doubled { row % 2 * 2 + col % 2 } else { 0 };
    let own = |t: &Term| if t.doubled { phase * channels + o } else { o };
    let mut sum = 0_i32;
    for (number_of_term, term) in terms.iter().enumerate() {
        if number_of_term > 0 {
            let before = &terms[number_of_term - 1];
            let ratio = (before.scales[own(before)] / term.scales[own(term)]) as f32;
            sum = (sum as f32 * ratio).round_ties_even() as i32;
        }
        let input = &term.input;
        let corner = if term.doubled {
            [row / 2 + row % 2, col / 2 + col % 2]
        } else {
            [row * term.stride, col * term.stride]
        };
        for tap in 0..term.kernel * term.kernel {
            let y = (corner[0] + tap / term.kernel).wrapping_sub(term.padding);
            let x = (corner[1] + tap % term.kernel).wrapping_sub(term.padding);
            if y < input.rows && x < input.cols {
                for c in 0..input.channels {
                    let at = (own(term) * input.channels + c) * term.kernel * term.kernel + tap;
                    sum += number(bytes, input, y, x, c) * i32::from(term.weights[at]);
                }
            }
        }
    }
    sum
}
