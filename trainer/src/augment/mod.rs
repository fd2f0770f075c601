//! Changing training images so that a network does not learn them by heart.
//!
//! All draws are a function of (seed, epoch, slice), so neither the order of slices nor the number of
//! threads matters. Image and label map change together; a label map is only ever resampled by
//! nearest neighbour. Presets are tables of ranges; [`Preset::None`] is the paper's 0 %.

mod affine;
mod intensity;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::closed_form::Stream;

/// A square image with its label map, both row-major of `side * side` values.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Rows and columns.
    pub side: usize,
    /// Normalised intensities in [0, 1].
    pub image: Vec<f32>,
    /// Labels 0, 1, 2.
    pub labels: Vec<u8>,
}

/// Which set of transforms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Images as they are.
    #[default]
    None,
    /// For few patients and mixed sources: flips, rotation, scale, shift, gain, noise, and the loss of
    /// everything below 0 HU that some public slices show.
    SmallData,
}

const PRESETS: [(&str, Preset); 2] = [("none", Preset::None), ("small-data", Preset::SmallData)];

impl FromStr for Preset {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        PRESETS
            .iter()
            .find(|(name, _)| *name == s)
            .map(|&(_, preset)| preset)
            .ok_or_else(|| {
                format!(
                    "no augmentation is called `{s}`; choose one of {}",
                    PRESETS.map(|(name, _)| name).join(", ")
                )
            })
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            PRESETS
                .iter()
                .find(|(_, p)| p == self)
                .map_or("none", |(name, _)| name),
        )
    }
}

/// Which images are changed, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// The transforms.
    pub preset: Preset,
    /// Share of images that are changed at all, 0 to 1.
    pub share: f64,
}

impl Augmentation {
    /// Changes `sample` by what `draw` says; `draw` must belong to (seed, epoch, slice).
    pub fn apply(&self, sample: &mut Sample, draw: &mut Stream) {
        if self.preset == Preset::None || !draw.chance(self.share) {
            return;
        }
        affine::apply(sample, draw);
        intensity::apply(&mut sample.image, draw);
    }
}

/// A `side` x `side` window of `sample`: half the time around one of its kidney or tumour pixels, otherwise
/// anywhere. A sample that is not larger is returned as it is.
pub fn crop(sample: &Sample, side: usize, draw: &mut Stream) -> Sample {
    if side >= sample.side {
        return sample.clone();
    }
    let room = sample.side - side;
    let (around, place) = (draw.chance(0.5), draw.unit());
    let (mut top, mut left) = (draw.index(room + 1), draw.index(room + 1));
    let foreground = sample.labels.iter().filter(|&&l| l != 0).count();
    if around && foreground > 0 {
        let nth = (place * foreground as f64) as usize;
        let pixel = (0..)
            .zip(&sample.labels)
            .filter(|(_, l)| **l != 0)
            .nth(nth)
            .map_or(0, |(i, _)| i);
        // The pixel may lie anywhere in the middle half of the window.
        let offset = |at: usize, draw: &mut Stream| {
            (at.saturating_sub(side / 4 + draw.index(side / 2))).min(room)
        };
        top = offset(pixel / sample.side, draw);
        left = offset(pixel % sample.side, draw);
    }
    let rows = || (top..top + side).map(|y| y * sample.side + left);
    Sample {
        side,
        image: rows()
            .flat_map(|at| sample.image[at..at + side].iter().copied())
            .collect(),
        labels: rows()
            .flat_map(|at| sample.labels[at..at + side].iter().copied())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        let side = 64;
        let labels: Vec<u8> = (0..side * side)
            .map(|i| u8::from((20..30).contains(&(i / side)) && (40..50).contains(&(i % side))))
            .collect();
        let image = labels.iter().map(|&l| 0.4 + 0.3 * f32::from(l)).collect();
        Sample {
            side,
            image,
            labels,
        }
    }

    #[test]
    fn the_same_key_gives_the_same_image_and_another_key_another() {
        let run = |key: &str| {
            let mut s = sample();
            Augmentation {
                preset: Preset::SmallData,
                share: 1.0,
            }
            .apply(&mut s, &mut Stream::new(key));
            s
        };
        assert_eq!(run("7/0/3"), run("7/0/3"));
        assert_ne!(run("7/0/3"), run("7/0/4"));
    }

    /// Geometry must move image and labels alike: bright pixels stay under the label.
    #[test]
    fn labels_follow_the_image() {
        for key in 0..50 {
            let mut s = sample();
            affine::apply(&mut s, &mut Stream::new(&format!("{key}")));
            let bright: Vec<u8> = s.image.iter().map(|&v| u8::from(v > 0.55)).collect();
            let differ = bright.iter().zip(&s.labels).filter(|(a, b)| a != b).count();
            let area: usize = s.labels.iter().map(|&l| usize::from(l)).sum();
            assert!(differ <= 8 + area / 4, "{key}: {differ} of {area}");
        }
    }

    #[test]
    fn intensities_stay_in_range_and_share_zero_changes_nothing() {
        for key in 0..50 {
            let mut s = sample();
            Augmentation {
                preset: Preset::SmallData,
                share: 1.0,
            }
            .apply(&mut s, &mut Stream::new(&format!("{key}")));
            assert!(s.image.iter().all(|v| (0.0..=1.0).contains(v)));
        }
        let mut s = sample();
        Augmentation {
            preset: Preset::SmallData,
            share: 0.0,
        }
        .apply(&mut s, &mut Stream::new("x"));
        assert_eq!(s, sample());
    }

    #[test]
    fn a_crop_has_its_size_and_often_shows_the_kidney() {
        let seen = (0..100)
            .filter(|key| {
                let c = crop(&sample(), 32, &mut Stream::new(&format!("{key}")));
                assert_eq!((c.image.len(), c.labels.len()), (32 * 32, 32 * 32));
                c.labels.contains(&1)
            })
            .count();
        assert!(seen > 50, "{seen}");
    }
}
