//! The scanner: point spread, noise of several kernels, streaks, beam hardening, and how the values are stored.

use std::f32::consts::TAU;

use super::field::{Noise, blur, smoothstep};
use super::rng::Rng;
use super::scene::Scene;

/// What the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// HU as a scanner writes them, air at -1000 or below.
    Full,
    /// HU cut to 0..=255, as published 8-bit slices have them.
    Clipped,
}

/// One scanner's settings.
#[derive(Clone, Debug)]
pub(super) struct Acquisition {
    pub(super) storage: Storage,
    /// Standard deviation of the noise, HU: 1.3 times this in the middle of the image, 0.55 times at its edge.
    noise: f32,
    /// How far noise is correlated, millimetres.
    grain_mm: f32,
    /// Share of the slow part of the noise that a sharp kernel takes away.
    sharp: f32,
    /// Point spread, millimetres.
    spread_mm: f32,
    /// Deviation of the horizontal streaks of starved rays, HU.
    starved: f32,
    /// How much brighter the middle of the body is than the edge of the image, HU; negative where beams harden.
    hardening: f32,
    /// Rise of HU from the middle of the image to its left and back edge.
    tilt: [f32; 2],
    /// Strength of streaks that spread from a point, HU, and the direction in which the point lies, radians.
    streaks: Option<(f32, f32)>,
    /// Whether everything outside the round field of view is -1024 HU.
    padding: bool,
    /// Values are rounded to multiples of this.
    step: f32,
}

impl Acquisition {
    pub(super) fn draw(rng: &mut Rng, storage: Storage) -> Self {
        Self {
            storage,
            // Evenly spread over the orders of magnitude from 5 to 30 HU.
            noise: 5.0 * (rng.unit() * 6f32.ln()).exp(),
            grain_mm: rng.range(0.3, 1.3),
            sharp: rng.range(0.0, 0.7),
            spread_mm: rng.range(0.35, 1.2),
            starved: rng.range(0.0, 9.0) * rng.unit(),
            hardening: rng.range(-9.0, 5.0),
            tilt: [rng.normal(0.0, 3.0), rng.normal(0.0, 3.0)],
            streaks: rng
                .chance(0.15)
                .then(|| (rng.range(6.0, 22.0), rng.range(0.0, TAU))),
            padding: rng.chance(0.3),
            step: 1.0,
        }
    }

    /// A quiet scanner with a smooth kernel, whose values are rounded to 4 HU: such a scan packs small.
    pub(super) fn quiet() -> Self {
        Self {
            storage: Storage::Full,
            noise: 7.0,
            grain_mm: 1.1,
            sharp: 0.2,
            spread_mm: 0.9,
            starved: 0.0,
            hardening: -3.0,
            tilt: [0.0; 2],
            streaks: None,
            padding: false,
            step: 4.0,
        }
    }

    /// Turns a painted slice into stored values. Noise comes from `rng`.
    pub(super) fn scan(&self, scene: Scene, rng: &mut Rng) -> Vec<i16> {
        let grid = scene.grid;
        let size = grid.size;
        let middle = grid.middle();
        let reach = grid.half_width();
        let mut hu = scene.hu;
        let spread = self.spread_mm / grid.pixel;
        blur(&mut hu, size, spread, spread);

        let noise = self.noise_image(size, grid.pixel, rng);
        let starved = self.starved_image(size, rng);
        let spokes = Noise::new(rng.bits(), 1.0);
        let streak_noise = self.streaks.map(|(strength, turn)| {
            let from = [turn.cos() * 60.0, turn.sin() * 40.0 - 10.0];
            (strength, from)
        });
        (0..size * size)
            .map(|pixel| {
                let p = grid.point(pixel);
                let (u, v) = ((p.x - middle.x) / reach, (p.y - middle.y) / reach);
                let inside = in_tissue(hu[pixel]);
                // More rays are lost in the middle of the body, so that it is the noisiest place.
                let loss = 0.55 + 0.75 * smoothstep(1.0, 0.1, u.hypot(v));
                let mut value = hu[pixel] + noise[pixel] * self.noise * loss;
                value += starved[pixel] * self.starved * smoothstep(0.35, 0.0, v.abs());
                value += inside
                    * (self.hardening * (1.0 - u * u - v * v)
                        + self.tilt[0] * u
                        + self.tilt[1] * v);
                if let Some((strength, from)) = streak_noise {
                    let (dx, dy) = (p.x - from[0], p.y - from[1]);
                    let spoke = spokes.at(dy.atan2(dx).abs() * 9.0, 0.0, 0.0);
                    value += strength * spoke * smoothstep(220.0, 10.0, dx.hypot(dy)) * inside;
                }
                if self.padding && u.hypot(v) > 1.0 {
                    value = -1024.0;
                }
                self.store(value)
            })
            .collect()
    }

    fn store(&self, value: f32) -> i16 {
        let value = (value / self.step).round() * self.step;
        match self.storage {
            // A scan that is to pack small has silent air.
            Storage::Full if self.step > 1.0 && value < -930.0 => -1000,
            Storage::Full => value.clamp(-1024.0, 3071.0) as i16,
            Storage::Clipped => value.clamp(0.0, 255.0) as i16,
        }
    }

    /// Noise of unit deviation with the kernel's correlation.
    fn noise_image(&self, size: usize, pixel: f32, rng: &mut Rng) -> Vec<f32> {
        let mut noise: Vec<f32> = (0..size * size).map(|_| rng.normal(0.0, 1.0)).collect();
        let grain = self.grain_mm / pixel;
        blur(&mut noise, size, grain, grain);
        let mut slow = noise.clone();
        blur(&mut slow, size, grain + 1.2, grain + 1.2);
        for (fast, slow) in noise.iter_mut().zip(slow) {
            *fast -= self.sharp * slow;
        }
        unit_deviation(&mut noise);
        noise
    }

    /// Horizontal streaks: the long way through the body starves the detector.
    fn starved_image(&self, size: usize, rng: &mut Rng) -> Vec<f32> {
        if self.starved < 0.5 {
            return vec![0.0; size * size];
        }
        let mut noise: Vec<f32> = (0..size * size).map(|_| rng.normal(0.0, 1.0)).collect();
        blur(&mut noise, size, size as f32 / 24.0, 0.6);
        unit_deviation(&mut noise);
        noise
    }
}

/// 1 in tissue, 0 in air.
fn in_tissue(hu: f32) -> f32 {
    smoothstep(-600.0, -200.0, hu)
}

fn unit_deviation(values: &mut [f32]) {
    let sum: f64 = values.iter().map(|v| f64::from(v * v)).sum();
    let scale = (sum / values.len() as f64).sqrt().max(1e-9).recip() as f32;
    for value in values {
        *value *= scale;
    }
}
