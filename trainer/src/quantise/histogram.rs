//! How often the numbers of a value are how large, gathered in one pass over them.

/// Bins. Grids of 255 steps are judged on it, so there must be many more.
const BINS: usize = 4096;

/// Magnitudes of a value's numbers. It widens by itself: where a number is beyond the last bin, neighbouring bins are joined until it is not.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    bins: Vec<u64>,
    width: f64,
    largest: f64,
    /// Numbers that are 0 or, where only numbers above 0 count, below it.
    zeros: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            bins: vec![0; BINS],
            width: 1e-6,
            largest: 0.0,
            zeros: 0,
        }
    }
}

impl Histogram {
    /// Counts numbers by their magnitude, or, if not `signed`, those below 0 as 0.
    pub(super) fn add(&mut self, numbers: &[f32], signed: bool) {
        let magnitude = |x: f32| f64::from(if signed { x.abs() } else { x.max(0.0) });
        let largest = numbers.iter().fold(0.0_f64, |m, &x| m.max(magnitude(x)));
        self.largest = self.largest.max(largest);
        // A number beyond f32 fits no width, and stays in the last bin.
        while self.largest.is_finite() && self.largest >= self.width * BINS as f64 {
            for bin in 0..BINS / 2 {
                self.bins[bin] = self.bins[2 * bin] + self.bins[2 * bin + 1];
            }
            self.bins[BINS / 2..].fill(0);
            self.width *= 2.0;
        }
        let per_width = 1.0 / self.width;
        for &x in numbers {
            let x = magnitude(x);
            if x == 0.0 {
                self.zeros += 1;
            } else {
                self.bins[((x * per_width) as usize).min(BINS - 1)] += 1;
            }
        }
    }

    /// The largest magnitude.
    pub(super) const fn largest(&self) -> f64 {
        self.largest
    }

    fn count(&self) -> u64 {
        self.zeros + self.bins.iter().sum::<u64>()
    }

    /// The magnitude that a share of all numbers stays below, to the width of a bin.
    pub(super) fn percentile(&self, share: f64) -> f64 {
        let mut left = (self.count() as f64 * (1.0 - share)).floor();
        for (bin, &count) in self.bins.iter().enumerate().rev() {
            left -= count as f64;
            if left < 0.0 {
                return ((bin + 1) as f64 * self.width).min(self.largest);
            }
        }
        0.0
    }

    /// Mean squared error of a grid with `steps` steps up to `limit`: numbers within are off by a uniform error of one step, numbers
    /// beyond by what they are beyond.
    fn error(&self, limit: f64, steps: f64) -> f64 {
        let step = limit / steps;
        let mut sum = 0.0;
        for (bin, &count) in self.bins.iter().enumerate() {
            if count > 0 {
                let x = (bin as f64 + 0.5) * self.width;
                let off = if x <= limit {
                    step * step / 12.0
                } else {
                    (x - limit).powi(2)
                };
                sum += count as f64 * off;
            }
        }
        sum / self.count().max(1) as f64
    }

    /// The limit at which a grid of `steps` steps has the least mean squared error.
    pub(super) fn least_error(&self, steps: f64) -> f64 {
        let limits = (20..=100).map(|percent| self.largest * f64::from(percent) / 100.0);
        limits
            .min_by(|&a, &b| self.error(a, steps).total_cmp(&self.error(b, steps)))
            .unwrap_or(self.largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[f32]) -> Histogram {
        let mut histogram = Histogram::default();
        // In pieces, so that it has to widen.
        numbers
            .chunks(7)
            .for_each(|piece| histogram.add(piece, false));
        histogram
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_numbers() {
        let numbers: Vec<f32> = (0..10_000).map(|i| i as f32 * 0.01).collect();
        let histogram = of(&numbers);
        assert!((histogram.largest() - 99.99).abs() < 1e-4);
        for share in [0.5, 0.9, 0.99, 0.999] {
            let found = histogram.percentile(share);
            assert!((found - share * 100.0).abs() < 0.1, "{found} at {share}");
        }
        assert!((histogram.percentile(1.0) - 99.99).abs() < 0.05);
    }

    #[test]
    fn one_outlier_among_many_is_not_worth_a_coarse_grid() {
        let mut numbers: Vec<f32> = (0..100_000).map(|i| (i % 1000) as f32 / 1000.0).collect();
        let without = of(&numbers).least_error(15.0);
        assert!(
            without > 0.95,
            "evenly spread numbers need the whole range: {without}"
        );
        numbers.push(4.0);
        let with = of(&numbers).least_error(15.0);
        assert!(with < 2.0, "{with}");
        // With steps to spare it is kept.
        assert!(of(&numbers).least_error(255.0) > 3.0);
    }

    #[test]
    fn negative_numbers_count_as_zero_or_by_magnitude() {
        let mut bytes = Histogram::default();
        bytes.add(&[-3.0, 1.0], false);
        assert_eq!(bytes.largest(), 1.0);
        let mut signed = Histogram::default();
        signed.add(&[-3.0, 1.0], true);
        assert_eq!(signed.largest(), 3.0);
    }

    /// A network that has diverged may compute such numbers.
    #[test]
    fn an_infinite_number_does_not_widen_for_ever() {
        let mut histogram = Histogram::default();
        histogram.add(&[1.0, f32::INFINITY], false);
        assert_eq!(histogram.largest(), f64::INFINITY);
    }

    #[test]
    fn nothing_and_zeros_have_no_range() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(0.999), 0.0);
        histogram.add(&[0.0; 8], false);
        assert_eq!(
            [histogram.percentile(0.999), histogram.least_error(255.0)],
            [0.0, 0.0]
        );
    }
}
