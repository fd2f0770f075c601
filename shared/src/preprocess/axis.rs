//! Where a target pixel comes from along one axis, by OpenCV's rules (`modules/imgproc/src/resize.cpp`, version 4.5).
//!
//! Pure functions of an index and two lengths of at least 1. OpenCV forms the scale as the reciprocal of
//! `target / source` in f64; it is done the same way here because at some sizes the last bit decides a floor.

/// Source pixels per target pixel.
fn scale(source: usize, target: usize) -> f64 {
    1.0 / (target as f64 / source as f64)
}

/// The source pixel that nearest neighbour takes: `floor(index * scale)`, at most the last one.
pub fn nearest(index: usize, source: usize, target: usize) -> usize {
    // A cast truncates, which is the floor of a value that cannot be negative.
    ((index as f64 * scale(source, target)) as usize).min(source - 1)
}

/// Two source pixels of one axis and the share of the second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tap {
    /// The first pixel.
    pub first: usize,
    /// The second, or the first again at an edge.
    pub second: usize,
    share: f32,
}

impl Tap {
    /// Bilinear between pixel centres (half-pixel centres, edges repeated). The share is taken in f64, as the vendor
    /// library inside the reference's OpenCV does; OpenCV's own fallback takes it in f32, up to 2e-5 away.
    pub fn centred(index: usize, source: usize, target: usize) -> Self {
        let position = (index as f64 + 0.5) * scale(source, target) - 0.5;
        let floor = libm::floor(position);
        if floor < 0.0 {
            return Self::at_edge(0);
        }
        Self::between(floor as usize, (position - floor) as f32, source)
    }

    /// What `INTER_AREA` does when an axis grows: target pixels that lie inside one source pixel copy it, those on a
    /// border mix both sides by the covered lengths.
    pub fn cornered(index: usize, source: usize, target: usize) -> Self {
        let growth = target as f64 / source as f64;
        let first = (index as f64 * scale(source, target)) as usize;
        let position = ((index + 1) as f64 - (first + 1) as f64 * growth) as f32;
        let share = if position <= 0.0 {
            0.0
        } else {
            position - libm::floorf(position)
        };
        Self::between(first, share, source)
    }

    fn between(first: usize, share: f32, source: usize) -> Self {
        if first + 1 >= source {
            Self::at_edge(source - 1)
        } else {
            Self {
                first,
                second: first + 1,
                share,
            }
        }
    }

    fn at_edge(pixel: usize) -> Self {
        Self {
            first: pixel,
            second: pixel,
            share: 0.0,
        }
    }

    /// The two values combined.
    #[inline]
    pub fn mix(&self, first: f32, second: f32) -> f32 {
        first * (1.0 - self.share) + second * self.share
    }
}

/// The run of source pixels that a target pixel covers when an axis shrinks, with their weights, which sum to 1.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    /// The first pixel.
    pub(super) start: usize,
    /// How many pixels, at least 1.
    pub(super) len: usize,
    /// Weight of the first.
    pub(super) head: f32,
    /// Weight of those between.
    pub(super) body: f32,
    /// Weight of the last, equal to `head` if it is the only one.
    pub(super) tail: f32,
}

impl Span {
    /// The covered pixels for `target <= source`. Slivers under a thousandth of a pixel are dropped, as OpenCV does.
    pub(super) fn covered(index: usize, source: usize, target: usize) -> Self {
        const SLIVER: f64 = 1e-3;
        let scale = scale(source, target);
        let from = index as f64 * scale;
        let to = from + scale;
        let width = scale.min(source as f64 - from);
        let whole_end = (to as usize).min(source - 1);
        let whole_start = (libm::ceil(from) as usize).min(whole_end);

        let body = (1.0 / width) as f32;
        let (mut start, mut len) = (whole_start, whole_end - whole_start);
        let (mut head, mut tail) = (body, body);
        let before = whole_start as f64 - from;
        let after = to - whole_end as f64;
        if after > SLIVER {
            tail = (after.min(1.0).min(width) / width) as f32;
            if len == 0 {
                head = tail;
            }
            len += 1;
        }
        if before > SLIVER {
            head = (before / width) as f32;
            if len == 0 {
                tail = head;
            }
            start -= 1;
            len += 1;
        }
        Self {
            start,
            len,
            head,
            body,
            tail,
        }
    }

    /// Source pixels in rising order, each with its weight.
    pub(super) fn weights(self) -> impl Iterator<Item = (usize, f32)> {
        (0..self.len).map(move |offset| {
            let weight = match offset {
                0 => self.head,
                _ if offset + 1 == self.len => self.tail,
                _ => self.body,
            };
            (self.start + offset, weight)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, Tap, nearest};

    #[test]
    fn nearest_takes_the_top_left_of_each_two_by_two() {
        assert_eq!([0, 1, 255].map(|i| nearest(i, 512, 256)), [0, 2, 510]);
        assert_eq!([0, 1, 2, 511].map(|i| nearest(i, 256, 512)), [0, 0, 1, 255]);
    }

    #[test]
    fn every_source_position_is_inside_whatever_the_sizes() {
        for source in 1..70 {
            for target in 1..70 {
                for index in 0..target {
                    assert!(nearest(index, source, target) < source);
                    for tap in [
                        Tap::centred(index, source, target),
                        Tap::cornered(index, source, target),
                    ] {
                        assert!(tap.first <= tap.second && tap.second < source);
                        assert!((0.0..=1.0).contains(&tap.share));
                    }
                    if target <= source {
                        let span = Span::covered(index, source, target);
                        assert!(span.len > 0 && span.start + span.len <= source);
                        let total: f32 = span.weights().map(|(_, weight)| weight).sum();
                        assert!(
                            (total - 1.0).abs() < 2e-3,
                            "{source} to {target}, pixel {index}: {total}"
                        );
                    }
                }
            }
        }
    }
}
