//! Random numbers whose stream is part of the phantom's definition.
//!
//! A phantom is named by its seed, so the same seed must give the same voxels in every later version of the
//! project. The distributions of the `rand` crates may change between releases; these thirty lines (`SplitMix64`,
//! Steele et al. 2014) do not. Not for cryptography.

/// The finaliser of `SplitMix64`: a bijection on 64 bits that scatters neighbouring inputs.
pub(super) fn mix(mut v: u64) -> u64 {
    v = (v ^ (v >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    v = (v ^ (v >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    v ^ (v >> 31)
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    /// The stream that belongs to these numbers: every part of a phantom has its own, so that neither the order of
    /// work nor the number of threads matters.
    pub(super) fn of(parts: &[u64]) -> Self {
        Self(parts.iter().fold(0x9e37_79b9_7f4a_7c15, |state, &part| {
            mix(state ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)))
        }))
    }

    /// A number to start another stream or a noise field with.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in `[0, 1)`.
    pub(super) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Uniform in `[low, high)`.
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..count`; 0 for an empty range.
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// Normal, cut off at three standard deviations so that no organ leaves the body on a rare draw.
    pub(super) fn normal(&mut self, mean: f32, deviation: f32) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let angle = std::f32::consts::TAU * self.unit();
        mean + deviation * (radius * angle.cos()).clamp(-3.0, 3.0)
    }

    /// An index drawn with the given weights.
    pub(super) fn weighted(&mut self, weights: &[f32]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f32>();
        for (index, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return index;
            }
        }
        weights.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_every_part_and_their_order() {
        let first = |parts: &[u64]| Rng::of(parts).bits();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[1, 2]), first(&[1, 2, 0]));
    }

    #[test]
    fn draws_have_the_stated_moments() {
        let mut rng = Rng::of(&[7]);
        let draws: Vec<f32> = (0..20_000).map(|_| rng.normal(10.0, 2.0)).collect();
        let mean = draws.iter().sum::<f32>() / 20_000.0;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f32>() / 20_000.0;
        assert!((mean - 10.0).abs() < 0.06, "{mean}");
        assert!((variance.sqrt() - 2.0).abs() < 0.06, "{variance}");
        assert!((0..1000).all(|_| rng.below(7) < 7));
        let heavy = (0..10_000)
            .filter(|_| rng.weighted(&[1.0, 0.0, 3.0]) == 2)
            .count();
        assert!((7_300..7_700).contains(&heavy), "{heavy}");
    }
}
