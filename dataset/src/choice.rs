//! Which slices of a volume are kept: every slice with kidney or tumour, and a few of those without.
//!
//! The paper (section 2.2) keeps 1 % of the background-only slices, "at least one image", and reports 16,795 slices
//! in all. Of the readings of that sentence only one gives the number: 1 % of *all* slices of the volume, halves
//! rounded up, no minimum. That is [`SliceChoice::default`]; every other reading can be set.

use serde::{Deserialize, Serialize};

use crate::order;

/// What the fraction is a fraction of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// All slices of the volume.
    All,
    /// The volume's background-only slices.
    Background,
}

/// How the product is made whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// To the nearest, halves up.
    HalfUp,
    /// To the nearest, halves to the even neighbour.
    HalfEven,
    /// Down.
    Down,
    /// Up.
    Up,
}

/// The rule for background-only slices. Slices with kidney or tumour are always kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceChoice {
    /// Fraction kept, 0 to 1.
    pub fraction: f64,
    /// What it is a fraction of.
    pub base: Base,
    /// How it is rounded.
    pub rounding: Rounding,
    /// At least so many per volume, as far as the volume has them.
    pub minimum: u32,
}

impl Default for SliceChoice {
    fn default() -> Self {
        Self {
            fraction: 0.01,
            base: Base::All,
            rounding: Rounding::HalfUp,
            minimum: 0,
        }
    }
}

impl SliceChoice {
    /// Number of background-only slices to keep in a volume of `slices`, of which `background` are background-only.
    pub fn background_kept(&self, slices: usize, background: usize) -> usize {
        // A product such as 0.07 * 100 lands a hair above 7; far less than the 0.01 steps that a fraction can mean.
        const HAIR: f64 = 1e-9;
        let base = match self.base {
            Base::All => slices,
            Base::Background => background,
        };
        let exact = self.fraction * base as f64;
        let whole = match self.rounding {
            Rounding::HalfUp => (exact + 0.5 + HAIR).floor(),
            Rounding::HalfEven if ((exact - exact.floor()) - 0.5).abs() < HAIR => {
                (exact.floor() / 2.0).round() * 2.0
            }
            Rounding::HalfEven => exact.round(),
            Rounding::Down => (exact + HAIR).floor(),
            Rounding::Up => (exact - HAIR).ceil(),
        };
        (whole as usize).max(self.minimum as usize).min(background)
    }

    /// The kept slices of one volume, ascending. `background_only[s]` tells of each slice whether it has neither
    /// kidney nor tumour; which of those are kept is a seeded random choice that depends on `case`, `source` (the
    /// position of its data folder) and `seed` alone.
    pub fn keep(&self, seed: u64, case: &str, source: u32, background_only: &[bool]) -> Vec<u32> {
        let with = |wanted: bool| {
            (0u32..)
                .zip(background_only)
                .filter(move |&(_, &background)| background == wanted)
                .map(|(s, _)| s)
        };
        let mut background: Vec<u32> = with(true).collect();
        let kept = self.background_kept(background_only.len(), background.len());
        background.sort_by_cached_key(|&s| {
            order::rank(
                "nephrobox background slice choice v1",
                seed,
                case,
                [source, s],
            )
        });
        background.truncate(kept);
        background.extend(with(false));
        background.sort_unstable();
        background
    }

    /// The rule in words, for people.
    pub fn describe(&self) -> String {
        let base = match self.base {
            Base::All => "a volume's slices",
            Base::Background => "a volume's background-only slices",
        };
        let rounding = match self.rounding {
            Rounding::HalfUp => "halves rounded up",
            Rounding::HalfEven => "halves rounded to even",
            Rounding::Down => "rounded down",
            Rounding::Up => "rounded up",
        };
        let minimum = match self.minimum {
            0 => "no minimum".to_owned(),
            n => format!("at least {n}"),
        };
        format!(
            "{} % of {base}, {rounding}, {minimum}",
            self.fraction * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_papers_rule_leaves_short_volumes_without_background() {
        let rule = SliceChoice::default();
        assert_eq!(rule.background_kept(29, 10), 0); // KiTS19's shortest volume has 29 slices
        assert_eq!(rule.background_kept(49, 10), 0);
        assert_eq!(rule.background_kept(50, 10), 1); // a half, rounded up
        assert_eq!(rule.background_kept(149, 10), 1);
        assert_eq!(rule.background_kept(150, 10), 2);
        assert_eq!(
            SliceChoice { minimum: 1, ..rule }.background_kept(29, 10),
            1
        );
        assert_eq!(SliceChoice { minimum: 1, ..rule }.background_kept(29, 0), 0); // one cannot keep what is not there
    }

    #[test]
    fn rounding_is_not_fooled_by_binary_fractions() {
        let rule = |fraction, rounding| SliceChoice {
            fraction,
            rounding,
            ..SliceChoice::default()
        };
        assert_eq!(rule(0.07, Rounding::Up).background_kept(100, 100), 7); // 0.07 * 100 > 7 in f64
        assert_eq!(rule(0.29, Rounding::Down).background_kept(100, 100), 29); // 0.29 * 100 < 29 in f64
        assert_eq!(rule(0.01, Rounding::HalfEven).background_kept(250, 100), 2);
        assert_eq!(rule(0.01, Rounding::HalfEven).background_kept(350, 100), 4);
        assert_eq!(rule(0.01, Rounding::HalfEven).background_kept(251, 100), 3);
        assert_eq!(rule(1.0, Rounding::HalfUp).background_kept(100, 60), 60);
    }

    proptest! {
        #[test]
        fn every_labelled_slice_and_the_right_number_of_others_is_kept(
            background in prop::collection::vec(any::<bool>(), 0..400),
            seed: u64,
            fraction in 0.0..=1.0,
            minimum in 0u32..3,
        ) {
            let rule = SliceChoice { fraction, minimum, ..SliceChoice::default() };
            let kept = rule.keep(seed, "case_00007", 0, &background);
            prop_assert!(kept.is_sorted_by(|a, b| a < b));
            for (s, &background_only) in (0u32..).zip(&background) {
                prop_assert!(background_only || kept.contains(&s));
            }
            let of_background = kept.iter().filter(|&&s| background[s as usize]).count();
            let available = background.iter().filter(|&&b| b).count();
            prop_assert_eq!(of_background, rule.background_kept(background.len(), available));
        }
    }

    #[test]
    fn the_choice_follows_seed_and_case_and_covers_the_volume() {
        let rule = SliceChoice {
            fraction: 0.1,
            ..SliceChoice::default()
        };
        let volume = vec![true; 100];
        let first = rule.keep(1, "case_00000", 0, &volume);
        assert_eq!(first, rule.keep(1, "case_00000", 0, &volume));
        assert_ne!(first, rule.keep(2, "case_00000", 0, &volume));
        assert_ne!(first, rule.keep(1, "case_00001", 0, &volume));
        assert_ne!(first, rule.keep(1, "case_00000", 1, &volume));
        let mut drawn = [0u32; 100];
        for seed in 0..1000 {
            for s in rule.keep(seed, "case_00000", 0, &volume) {
                drawn[s as usize] += 1;
            }
        }
        // Binomial(1000, 0.1): mean 100, deviation 9.5; five deviations either way.
        assert!(drawn.iter().all(|&n| (53..=147).contains(&n)), "{drawn:?}");
    }
}
