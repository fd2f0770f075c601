//! Numbers that are a function of a text key and a flat index alone.
//!
//! Used for initial weights, for everything drawn at random in training (so that it depends on
//! names and seeds, never on threads), and to regenerate the weights of the golden cases. The key is
//! hashed by FNV-1a 64; each index is mixed by SplitMix64's finaliser; the top 24 bits become a
//! number that is exact in f32.

use std::convert::Infallible;

use rand::TryRng;
use rand_distr::{Distribution, StandardNormal};

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// FNV-1a, 64 bits, of the key's UTF-8 bytes.
pub fn hash(key: &str) -> u64 {
    key.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// 64 well-mixed bits of `hash` at position `index`.
pub fn bits(hash: u64, index: u64) -> u64 {
    let mut z = hash.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN_GAMMA));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `n` numbers in [0, 1), each a multiple of 2^-24.
pub fn unit(key: &str, n: usize) -> impl Iterator<Item = f64> + use<> {
    let h = hash(key);
    (0..n as u64).map(move |i| (bits(h, i) >> 40) as f64 / f64::from(1 << 24))
}

/// `n` numbers in [-1, 1).
pub fn signed(key: &str, n: usize) -> impl Iterator<Item = f64> + use<> {
    unit(key, n).map(|u| 2.0 * u - 1.0)
}

/// A stream of draws from one key, for choices made one after the other.
#[derive(Clone, Debug)]
pub struct Stream {
    hash: u64,
    next: u64,
}

impl Stream {
    /// The stream that belongs to `key`.
    pub fn new(key: &str) -> Self {
        Self {
            hash: hash(key),
            next: 0,
        }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.next += 1;
        bits(self.hash, self.next - 1)
    }

    /// The next number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 40) as f64 / f64::from(1 << 24)
    }

    /// The next number in [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// An index below `n` (0 if `n` is 0), by multiplication, with a bias below 2^-32.
    pub fn index(&mut self, n: usize) -> usize {
        (((self.bits() >> 32) * n as u64) >> 32) as usize
    }

    /// The next number from the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(self)
    }

    /// `items` in a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.index(i + 1));
        }
    }
}

/// So that distributions can draw from a stream.
impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.bits() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check values of `golden/README.md`.
    #[test]
    fn conv0_kernel_gives_the_published_numbers() {
        assert_eq!(hash("conv0/kernel"), 0x0FAC_E5F3_D3A9_9C27);
        let first: Vec<f64> = unit("conv0/kernel", 4)
            .map(|u| u * f64::from(1 << 24))
            .collect();
        assert_eq!(first, [6_264_094.0, 3_600_358.0, 780_157.0, 8_621_250.0]);
    }

    #[test]
    fn a_shuffle_is_a_permutation_and_depends_on_its_key_only() {
        let shuffled = |key: &str| {
            let mut v: Vec<u32> = (0..100).collect();
            Stream::new(key).shuffle(&mut v);
            v
        };
        let mut sorted = shuffled("a");
        assert_eq!(sorted, shuffled("a"));
        assert_ne!(sorted, shuffled("b"));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }
}
