//! Class weights by median frequency balancing (Eigen and Fergus): the frequency of a class is its pixels divided by
//! all pixels of those images in which it occurs, its weight the median of the frequencies divided by its own.

/// Running sums over images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frequencies {
    /// Pixels of each class, by label.
    pixels: [u64; 3],
    /// Pixels of the images in which the class occurs, by label.
    of: [u64; 3],
}

impl Frequencies {
    /// Adds one image by its number of pixels of each label.
    pub fn add(&mut self, counts: [u32; 3]) {
        let total: u64 = counts.iter().map(|&n| u64::from(n)).sum();
        for (class, &count) in counts.iter().enumerate() {
            if count > 0 {
                self.pixels[class] += u64::from(count);
                self.of[class] += total;
            }
        }
    }

    /// Frequency of each class, by label; `None` for a class that no image has.
    pub fn frequencies(&self) -> [Option<f64>; 3] {
        std::array::from_fn(|class| {
            (self.of[class] > 0).then(|| self.pixels[class] as f64 / self.of[class] as f64)
        })
    }

    /// Weight of each class, by label; `None` for a class that no image has, which then has no part in the median.
    pub fn weights(&self) -> [Option<f64>; 3] {
        let frequencies = self.frequencies();
        let mut sorted: Vec<f64> = frequencies.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let median = match sorted.len() {
            0 => return [None; 3],
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        };
        frequencies.map(|frequency| frequency.map(|f| median / f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_images_by_hand() {
        let mut sums = Frequencies::default();
        sums.add([100, 0, 0]);
        sums.add([80, 20, 0]);
        sums.add([85, 5, 10]);
        // Frequencies: 265 / 300, 25 / 200, 10 / 100; the median is kidney's 0.125.
        let weights = sums.weights().map(Option::unwrap);
        for (weight, expected) in weights.into_iter().zip([0.125 * 300.0 / 265.0, 1.0, 1.25]) {
            assert!((weight - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_class_that_never_occurs_has_no_weight() {
        let mut sums = Frequencies::default();
        assert_eq!(sums.weights(), [None; 3]);
        sums.add([90, 10, 0]);
        let [background, kidney, tumour] = sums.weights(); // median of 0.9 and 0.1 is 0.5
        assert!((background.unwrap() - 0.5 / 0.9).abs() < 1e-12);
        assert!((kidney.unwrap() - 5.0).abs() < 1e-12);
        assert_eq!(tumour, None);
    }
}
