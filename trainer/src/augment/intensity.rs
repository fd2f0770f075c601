//! Gain, offset, gamma, smoothing, noise, and clipping below 0 HU.

use nephrobox_shared::preprocess::Window;

use crate::closed_form::Stream;

/// Probability that everything below 0 HU is set to 0 HU, as in slices published as 8-bit images.
const CLIP_BELOW_ZERO: f64 = 0.4;
/// Range of the factor around mid-window.
const GAIN: (f64, f64) = (0.8, 1.25);
/// Range of the offset, in units of the window.
const OFFSET: (f64, f64) = (-0.08, 0.08);
/// Range of the exponent.
const GAMMA: (f64, f64) = (0.8, 1.25);
/// Largest standard deviation of the noise, in units of the window (0.05 is about 17 HU).
const NOISE: f64 = 0.05;
/// Probability of each of the optional changes.
const EACH: f64 = 0.5;

/// Changes intensities; the result stays in [0, 1].
pub(super) fn apply(image: &mut [f32], draw: &mut Stream) {
    let gain = draw.range(GAIN.0, GAIN.1) as f32;
    let offset = draw.range(OFFSET.0, OFFSET.1) as f32;
    let gamma = draw
        .chance(EACH)
        .then(|| draw.range(GAMMA.0, GAMMA.1) as f32);
    let smooth = draw.chance(EACH / 2.0);
    let noise = draw.chance(EACH).then(|| draw.range(0.0, NOISE) as f32);
    let clip = draw.chance(CLIP_BELOW_ZERO);
    if smooth {
        smooth_rows_and_columns(image);
    }
    let floor = Window::ABDOMEN.normalise(0);
    for v in image.iter_mut() {
        let mut x = ((*v - 0.5) * gain + 0.5 + offset).clamp(0.0, 1.0);
        if let Some(gamma) = gamma {
            x = x.powf(gamma);
        }
        if let Some(noise) = noise {
            // Sum of four uniforms: near enough to a normal with deviation 1 after scaling.
            let sum: f64 = (0..4).map(|_| draw.unit() - 0.5).sum();
            x += noise * (sum * 3.0_f64.sqrt()) as f32;
        }
        if clip {
            x = x.max(floor);
        }
        *v = x.clamp(0.0, 1.0);
    }
}

/// 1-2-1 along both axes.
fn smooth_rows_and_columns(image: &mut [f32]) {
    let side = image.len().isqrt();
    let mut line = vec![0.0_f32; side];
    for stride in [1, side] {
        let other = if stride == 1 { side } else { 1 };
        for start in (0..side).map(|i| i * other) {
            for (i, out) in line.iter_mut().enumerate() {
                let at = |i: usize| image[start + i * stride];
                *out = (at(i.saturating_sub(1)) + 2.0 * at(i) + at((i + 1).min(side - 1))) / 4.0;
            }
            for (i, v) in line.iter().enumerate() {
                image[start + i * stride] = *v;
            }
        }
    }
}
