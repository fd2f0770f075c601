//! From logits to labels, pixel by pixel and without memory of its own.

use crate::program::{ArgmaxError, argmax_pixel};

/// The class with the largest logit for each pixel, with the meaning of [`argmax`](crate::program::argmax): ties go to the lowest
/// class, and a logit that is not a number is refused.
///
/// `logits` is `[pixels, classes]`.
pub(super) fn argmax(logits: &[f32], classes: usize, labels: &mut [u8]) -> Result<(), ArgmaxError> {
    let mut broken = false;
    for (logits, label) in logits.chunks_exact(classes.max(1)).zip(labels) {
        broken |= logits.iter().any(|logit| logit.is_nan());
        *label = argmax_pixel(logits);
    }
    if broken {
        Err(ArgmaxError::NotANumber)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program;

    #[test]
    fn labels_are_those_of_the_programs_argmax() {
        let planes = [
            [0.0, 1.0, -1.0, f32::NEG_INFINITY, 2.0],
            [0.0, 3.0, -2.0, f32::NEG_INFINITY, 2.5],
            [0.0, 3.0, 0.5, f32::NEG_INFINITY, 2.5],
        ];
        let pixels: Vec<f32> = (0..5).flat_map(|p| planes.map(|plane| plane[p])).collect();
        let (mut found, mut wanted) = ([9; 5], [9; 5]);
        argmax(&pixels, 3, &mut found).unwrap();
        program::argmax(planes.as_flattened(), &mut wanted).unwrap();
        assert_eq!(found, wanted);
        let refused = argmax(&[0.0, f32::NAN], 2, &mut [0]);
        assert_eq!(refused, Err(ArgmaxError::NotANumber));
    }
}
