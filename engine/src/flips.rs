//! Labels from several views of one slice.

use crate::model::{Labeller, LogitsModel, SliceModel};
use crate::program::argmax;

/// A network whose labels come from the mean probabilities over an image and its three mirror images, at four times the work.
///
/// It asks the network for logits only, so any executor can be looked through.
pub fn over_flips<M: LogitsModel>(mut model: M) -> impl SliceModel {
    let shape = model.shape();
    let size = [shape.rows, shape.cols];
    let (pixels, classes) = (shape.rows * shape.cols, model.classes());
    // A batch's mirror images, and sums of its probabilities over two views and over all, `[batch, classes, rows, cols]`.
    let (mut mirrored, mut pairs, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    Labeller::new(shape, move |images, batch, labels| {
        shape.fits(images, batch, labels)?;
        mirrored.resize(images.len(), 0.0);
        sums.clear();
        sums.resize(batch * classes * pixels, 0.0);
        // Pairs first: a mirrored image then gives the same sums to the last bit, whichever view comes first.
        for down in [false, true] {
            pairs.clear();
            pairs.resize(sums.len(), 0.0);
            for across in [false, true] {
                mirror(images, size, [down, across], &mut mirrored);
                let mut logits = model.logits(&mirrored, batch)?;
                for logits in logits.chunks_exact_mut(classes * pixels) {
                    softmax(logits, pixels);
                }
                add_mirrored(&logits, size, [false, across], &mut pairs);
            }
            add_mirrored(&pairs, size, [down, false], &mut sums);
        }
        let sums = sums.chunks_exact(classes * pixels);
        for (sums, labels) in sums.zip(labels.chunks_exact_mut(pixels)) {
            argmax(sums, labels)?;
        }
        Ok(())
    })
}

/// The line of a mirrored image that is line `row` of an image, from the beginning of all images.
const fn line(row: usize, rows: usize, down: bool) -> usize {
    if down {
        row - row % rows + rows - 1 - row % rows
    } else {
        row
    }
}

/// Writes images `[.., rows, cols]` mirrored by rows and columns as told.
pub(crate) fn mirror<T: Copy>(
    images: &[T],
    [rows, cols]: [usize; 2],
    [down, across]: [bool; 2],
    out: &mut [T],
) {
    for (row, out) in out.chunks_exact_mut(cols).enumerate() {
        out.copy_from_slice(&images[line(row, rows, down) * cols..][..cols]);
        if across {
            out.reverse();
        }
    }
}

/// Adds images `[.., rows, cols]`, mirrored by rows and columns as told, to `sums`.
fn add_mirrored(
    images: &[f32],
    [rows, cols]: [usize; 2],
    [down, across]: [bool; 2],
    sums: &mut [f32],
) {
    for (row, sums) in sums.chunks_exact_mut(cols).enumerate() {
        let line = &images[line(row, rows, down) * cols..][..cols];
        if across {
            let line = line.iter().rev();
            sums.iter_mut().zip(line).for_each(|(sum, x)| *sum += x);
        } else {
            sums.iter_mut().zip(line).for_each(|(sum, x)| *sum += x);
        }
    }
}

/// Logits `[classes, pixels]` to probabilities.
fn softmax(logits: &mut [f32], pixels: usize) {
    for pixel in 0..pixels {
        let classes = || (pixel..logits.len()).step_by(pixels);
        let largest = classes().fold(f32::NEG_INFINITY, |m, at| m.max(logits[at]));
        let total: f32 = classes().map(|at| (logits[at] - largest).exp()).sum();
        for at in classes() {
            logits[at] = (logits[at] - largest).exp() / total;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EngineError;
    use crate::program::ArgmaxError;

    /// Logits of two classes on 2 x 4 pixels: 0, and what is in the pixel to the left, -9 where there is none.
    struct LooksLeft;

    impl SliceModel for LooksLeft {
        fn rows(&self) -> usize {
            2
        }

        fn cols(&self) -> usize {
            4
        }

        fn batch(&self) -> usize {
            1
        }

        fn segment(&mut self, _: &[f32], _: usize, _: &mut [u8]) -> Result<(), EngineError> {
            unreachable!("flips ask for logits")
        }
    }

    impl LogitsModel for LooksLeft {
        fn classes(&self) -> usize {
            2
        }

        fn logits(&mut self, images: &[f32], batch: usize) -> Result<Vec<f32>, EngineError> {
            let mut logits = Vec::new();
            for image in images.chunks_exact(8) {
                logits.extend([0.0; 8]);
                logits.extend((0..8).map(|at| if at % 4 == 0 { -9.0 } else { image[at - 1] }));
            }
            assert_eq!(logits.len(), 16 * batch);
            Ok(logits)
        }
    }

    #[test]
    fn every_side_of_every_slice_of_a_batch_counts() {
        // A pixel that convinces two views of four, and on the second slice one that only just does.
        let mut images = [-9.0; 16];
        (images[1], images[8 + 6]) = (20.0, 0.1);
        let mut labels = [7; 16];
        over_flips(LooksLeft)
            .segment(&images, 2, &mut labels)
            .unwrap();
        let mut wanted = [0; 16];
        (wanted[0], wanted[2]) = (1, 1);
        assert_eq!(labels, wanted);
    }

    #[test]
    fn broken_pixels_and_wrong_lengths_are_refused() {
        let mut flips = over_flips(LooksLeft);
        let refused = flips.segment(&[f32::NAN; 8], 1, &mut [0; 8]);
        assert_eq!(refused, Err(EngineError::Logits(ArgmaxError::NotANumber)));
        for (images, batch, labels) in [
            (7, 1, 8),
            (8, 1, 7),
            (8, 2, 8),
            (0, 0, 0),
            (8, usize::MAX, 8),
        ] {
            let refused = flips.segment(&vec![0.0; images], batch, &mut vec![0; labels]);
            assert!(
                matches!(refused, Err(EngineError::Length { .. })),
                "{images} {batch} {labels}"
            );
        }
    }
}
