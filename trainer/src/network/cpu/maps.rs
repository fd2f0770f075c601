//! Pooling, doubling and joining of channels-last maps.

use rayon::prelude::*;

use super::Maps;

/// Kernel, stride and padding of the one pooling there is.
const POOL: (usize, usize, usize) = (3, 2, 1);

/// Size of the pooled maps.
pub(in crate::network) fn pooled(input: Maps) -> Maps {
    let edge = |v: usize| (v + 2 * POOL.2).saturating_sub(POOL.0) / POOL.1 + 1;
    Maps {
        images: input.images,
        height: edge(input.height),
        width: edge(input.width),
    }
}

/// Size of the doubled maps.
pub(in crate::network) fn doubled(input: Maps) -> Maps {
    Maps {
        images: input.images,
        height: 2 * input.height,
        width: 2 * input.width,
    }
}

/// 3x3 maximum with stride 2 and padding 1, and which of the nine pixels had it (the first of equals).
pub(in crate::network) fn max_pool(x: &[f32], input: Maps, channels: usize) -> (Vec<f32>, Vec<u8>) {
    let output = pooled(input);
    let line = output.width * channels;
    let mut y = vec![f32::NEG_INFINITY; output.pixels() * channels];
    let mut from = vec![0_u8; y.len()];
    y.par_chunks_mut(line)
        .zip(from.par_chunks_mut(line))
        .enumerate()
        .for_each(|(row, (y, from))| {
            let (image, top) = (row / output.height, row % output.height);
            for (column, (y, from)) in y
                .chunks_exact_mut(channels)
                .zip(from.chunks_exact_mut(channels))
                .enumerate()
            {
                for tap in 0..9 {
                    let Some(at) = source(input, image, top, column, tap) else {
                        continue;
                    };
                    let x = &x[at * channels..][..channels];
                    for c in 0..channels {
                        if x[c] > y[c] {
                            y[c] = x[c];
                            from[c] = tap as u8;
                        }
                    }
                }
            }
        });
    (y, from)
}

/// Gradient of [`max_pool`]'s input.
pub(in crate::network) fn max_pool_gradient(
    g: &[f32],
    from: &[u8],
    input: Maps,
    channels: usize,
) -> Vec<f32> {
    let output = pooled(input);
    let image_out = output.height * output.width;
    let image_size = input.height * input.width;
    let mut gradient = vec![0.0; input.pixels() * channels];
    gradient
        .par_chunks_mut(image_size * channels)
        .enumerate()
        .for_each(|(image, gradient)| {
            for pixel in 0..image_out {
                let at = (image * image_out + pixel) * channels;
                let (g, from) = (&g[at..at + channels], &from[at..at + channels]);
                for c in 0..channels {
                    let (row, column) = (pixel / output.width, pixel % output.width);
                    if let Some(source) = source(input, 0, row, column, usize::from(from[c])) {
                        gradient[source * channels + c] += g[c];
                    }
                }
            }
        });
    gradient
}

/// The pixel below tap `tap` of an output pixel.
fn source(input: Maps, image: usize, row: usize, column: usize, tap: usize) -> Option<usize> {
    let y = (row * POOL.1 + tap / 3)
        .checked_sub(POOL.2)
        .filter(|&y| y < input.height)?;
    let x = (column * POOL.1 + tap % 3)
        .checked_sub(POOL.2)
        .filter(|&x| x < input.width)?;
    Some((image * input.height + y) * input.width + x)
}

/// Nearest-neighbour doubling of height and width.
pub(in crate::network) fn double(x: &[f32], input: Maps, channels: usize) -> Vec<f32> {
    let line = input.width * channels;
    let mut y = vec![0.0; 4 * x.len()];
    y.par_chunks_mut(4 * line)
        .zip(x.par_chunks(line))
        .for_each(|(y, x)| {
            let (first, second) = y.split_at_mut(2 * line);
            for (y, x) in first
                .chunks_exact_mut(2 * channels)
                .zip(x.chunks_exact(channels))
            {
                let (left, right) = y.split_at_mut(channels);
                left.copy_from_slice(x);
                right.copy_from_slice(x);
            }
            second.copy_from_slice(first);
        });
    y
}

/// Gradient of [`double`]'s input.
pub(in crate::network) fn double_gradient(g: &[f32], input: Maps, channels: usize) -> Vec<f32> {
    let line = input.width * channels;
    let mut gradient = vec![0.0; g.len() / 4];
    gradient
        .par_chunks_mut(line)
        .zip(g.par_chunks(4 * line))
        .for_each(|(out, g)| {
            let (first, second) = g.split_at(2 * line);
            let rows = first
                .chunks_exact(2 * channels)
                .zip(second.chunks_exact(2 * channels));
            for (out, (a, b)) in out.chunks_exact_mut(channels).zip(rows) {
                for c in 0..channels {
                    out[c] = (a[c] + a[channels + c]) + (b[c] + b[channels + c]);
                }
            }
        });
    gradient
}

/// Pixels that one task copies.
const PIECE: usize = 1024;

/// Channels of `a`, then of `b`.
pub(in crate::network) fn join(a: &[f32], b: &[f32], channels: [usize; 2]) -> Vec<f32> {
    let [ca, cb] = channels;
    let mut y = vec![0.0; a.len() + b.len()];
    y.par_chunks_mut(PIECE * (ca + cb))
        .zip(a.par_chunks(PIECE * ca).zip(b.par_chunks(PIECE * cb)))
        .for_each(|(y, (a, b))| {
            let inputs = a.chunks_exact(ca).zip(b.chunks_exact(cb));
            for (y, (a, b)) in y.chunks_exact_mut(ca + cb).zip(inputs) {
                y[..ca].copy_from_slice(a);
                y[ca..].copy_from_slice(b);
            }
        });
    y
}

/// The inverse of [`join`].
pub(in crate::network) fn part(y: &[f32], channels: [usize; 2]) -> [Vec<f32>; 2] {
    let [ca, cb] = channels;
    let pixels = y.len() / (ca + cb);
    let (mut a, mut b) = (vec![0.0; pixels * ca], vec![0.0; pixels * cb]);
    y.par_chunks(PIECE * (ca + cb))
        .zip(
            a.par_chunks_mut(PIECE * ca)
                .zip(b.par_chunks_mut(PIECE * cb)),
        )
        .for_each(|(y, (a, b))| {
            let outputs = a.chunks_exact_mut(ca).zip(b.chunks_exact_mut(cb));
            for (y, (a, b)) in y.chunks_exact(ca + cb).zip(outputs) {
                a.copy_from_slice(&y[..ca]);
                b.copy_from_slice(&y[ca..]);
            }
        });
    [a, b]
}
