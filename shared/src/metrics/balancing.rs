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
/// assert_eq!(frequencies.weights(), Some([0.15 / 0.9, 1.0, 0.15 / 0.05]));
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

    /// Frequency of one class, in (0, 1]; `None` if it never occurs.
    pub fn frequency(&self, class: Class) -> Option<f64> {
        let of = self.of_images_with_class[class.index()];
        (of > 0).then(|| self.pixels[class.index()] as f64 / of as f64)
    }

    /// The weights in label order; `None` unless every class occurs, because the median needs all three.
    pub fn weights(&self) -> Option<[f64; Class::COUNT]> {
        let mut frequencies = [0.0; Class::COUNT];
        for (slot, class) in frequencies.iter_mut().zip(Class::ALL) {
            *slot = self.frequency(class)?;
        }
        let mut sorted = frequencies;
        sorted.sort_unstable_by(f64::total_cmp);
        let median = sorted[Class::COUNT / 2];
        Some(frequencies.map(|frequency| median / frequency))
    }
}
