//! Class weights by median frequency balancing.

use crate::class::Class;

/// Class frequencies of a training set, fed by the label counts of each image.
///
/// After Eigen and Fergus (2015): freq(c) = pixels of c / pixels of all images in which c occurs, and
/// weight(c) = median of the frequencies / freq(c).
///
/// ```
/// use nephrobox_shared::metrics::ClassFrequencies;
/// let mut frequencies = ClassFrequencies::new();
/// frequencies.add([80, 15, 5]);
/// frequencies.add([100, 0, 0]);
/// assert_eq!(frequencies.weights(), [Some(0.15 / 0.9), Some(1.0), Some(0.15 / 0.05)]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassFrequencies {
    pixels: [u64; Class::COUNT],
    of_images_with_class: [u64; Class::COUNT],
}

impl ClassFrequencies {
    /// No images yet.
    pub const fn new() -> Self {
        Self {
            pixels: [0; Class::COUNT],
            of_images_with_class: [0; Class::COUNT],
        }
    }

    /// Adds one image by its pixels of each class, in label order. Sums saturate, far beyond any real data set.
    pub fn add(&mut self, counts: [u64; Class::COUNT]) {
        let image = counts
            .iter()
            .fold(0_u64, |sum, &count| sum.saturating_add(count));
        for (class, &count) in counts.iter().enumerate() {
            if count > 0 {
                self.pixels[class] = self.pixels[class].saturating_add(count);
                self.of_images_with_class[class] =
                    self.of_images_with_class[class].saturating_add(image);
            }
        }
    }

    /// Pixels of each class, in label order.
    pub const fn pixels(&self) -> [u64; Class::COUNT] {
        self.pixels
    }

    /// Pixels of all images in which the class occurs, in label order.
    pub const fn pixels_of_images_with_class(&self) -> [u64; Class::COUNT] {
        self.of_images_with_class
    }

    /// Frequency of each class in label order, in (0, 1]; `None` for one that never occurs.
    pub fn frequencies(&self) -> [Option<f64>; Class::COUNT] {
        Class::ALL.map(|class| self.frequency(class))
    }

    /// Frequency of one class, in (0, 1]; `None` if it never occurs.
    pub fn frequency(&self, class: Class) -> Option<f64> {
        let of = self.of_images_with_class[class.index()];
        (of > 0).then(|| self.pixels[class.index()] as f64 / of as f64)
    }

    /// Weight of each class in label order; `None` for a class that no image has, which then has no part in the median. Of two classes
    /// the median is their mean.
    pub fn weights(&self) -> [Option<f64>; Class::COUNT] {
        let frequencies = self.frequencies();
        // Those that never occur behind all others.
        let mut sorted = frequencies.map(|frequency| frequency.unwrap_or(f64::INFINITY));
        sorted.sort_unstable_by(f64::total_cmp);
        let median = match frequencies.iter().flatten().count() {
            0 => return [None; Class::COUNT],
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        };
        frequencies.map(|frequency| frequency.map(|frequency| median / frequency))
    }
}
