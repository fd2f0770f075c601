//! A whole patient with procedural kidneys, the same from slice to slice, and a tumour on the left kidney only.
//!
//! Nothing in it comes from anybody's data, so that it may be given away: it is the sample scan of the demonstration.

use super::acquisition::{Acquisition, Storage};
use super::body::Room;
use super::field::Noise;
use super::from_labels::Painted;
use super::kidney::Masks;
use super::painter::{Patient, Wishes};
use super::rng::Rng;
use super::scene::{Grid, at};
use super::tissue::Phase;

/// A kidney: an ellipsoid leaning along the psoas, with a hollow towards the spine.
#[derive(Clone, Copy, Debug)]
struct Bean {
    /// 1 on the patient's left, -1 on the right.
    side: f32,
    centre: [f32; 3],
    /// Half width, half depth, half length, millimetres.
    radii: [f32; 3],
    /// Sideways and forward shift of the lower pole per millimetre of height.
    lean: [f32; 2],
    /// Half axes of the hollow.
    hollow: [f32; 3],
    bumps: Noise,
}

impl Bean {
    fn draw(rng: &mut Rng, side: f32, centre: [f32; 3], length: f32) -> Self {
        Self {
            side,
            centre: centre.map(|mm| mm + rng.normal(0.0, 2.0)),
            radii: [
                length * rng.range(0.50, 0.56),
                length * rng.range(0.43, 0.48),
                length,
            ],
            lean: [rng.range(0.15, 0.25), rng.range(0.12, 0.22)],
            hollow: [length * 0.33, length * 0.15, length * 0.5],
            bumps: Noise::new(rng.bits(), 22.0),
        }
    }

    /// Coordinates in the kidney's own frame: outwards, backwards, downwards.
    fn local(&self, [x, y, z]: [f32; 3]) -> [f32; 3] {
        let down = z - self.centre[2];
        [
            self.side * (x - self.centre[0]) - self.lean[0] * down,
            y - self.centre[1] + self.lean[1] * down,
            down,
        ]
    }

    fn contains(&self, p: [f32; 3]) -> bool {
        let [u, v, w] = self.local(p);
        let bump = 0.05 * self.bumps.at(p[0], p[1], p[2]);
        // The poles curl towards the spine.
        let u = u + 0.16 * w * w / self.radii[2];
        let inside = norm([u, v, w], self.radii) < 1.0 + bump;
        // The hollow opens inwards and a little to the front.
        let sinus = [
            u + self.radii[0] * 0.72,
            v + 0.3 * (u + self.radii[0]) + 2.0,
            w,
        ];
        inside && norm(sinus, self.hollow) > 1.0 + 2.0 * bump
    }
}

fn norm(p: [f32; 3], radii: [f32; 3]) -> f32 {
    (0..3)
        .map(|axis| (p[axis] / radii[axis]).powi(2))
        .sum::<f32>()
        .sqrt()
}

/// A patient of our own.
#[derive(Debug)]
pub(crate) struct Whole {
    seed: u64,
    patient: Patient,
    kidneys: [Bean; 2],
    tumour: [f32; 3],
    tumour_radii: [f32; 3],
    tumour_bumps: Noise,
    grid: Grid,
    top: f32,
    slice_mm: f32,
}

impl Whole {
    /// Draws a patient on `size` x `size` pixels of `pixel` millimetres, `slices` slices `slice_mm` apart with the
    /// kidneys a little above the middle.
    pub(crate) fn draw(seed: u64, slices: usize, size: usize, slice_mm: f32, pixel: f32) -> Self {
        let mut rng = Rng::of(&[seed, 0x57_401e]);
        // The right kidney is the smaller and lies lower, under the liver.
        let left = Bean::draw(&mut rng, 1.0, [67.0, 3.0, -8.0], 57.0);
        let right = Bean::draw(&mut rng, -1.0, [-65.0, 5.0, 12.0], 52.0);
        let radius = rng.range(21.0, 25.0);
        let below = rng.range(14.0, 24.0);
        let tumour = [
            left.centre[0] + left.lean[0] * below + left.radii[0] * 0.75,
            left.centre[1] - left.lean[1] * below - left.radii[1] * 0.45,
            left.centre[2] + below,
        ];
        let patient = Patient::draw(
            &mut rng,
            &Wishes {
                room: Room {
                    front: Some(118.0),
                    ..Room::FREE
                },
                narrow: 25.0,
                phase: Some(Phase::Arterial),
                storage: Storage::Full,
                cysts: &[],
            },
        )
        .with_acquisition(Acquisition::quiet());
        let half = (size as f32 - 1.0) * 0.5 * pixel;
        Self {
            seed,
            patient,
            kidneys: [left, right],
            tumour,
            tumour_radii: [radius, radius * 0.92, radius * 1.05],
            tumour_bumps: Noise::new(rng.bits(), 16.0),
            grid: Grid {
                size,
                pixel,
                corner: at(-half, -half - 18.0),
            },
            top: -(slices as f32) * 0.52 * slice_mm,
            slice_mm,
        }
    }

    /// Paints the slice with this index, 0 at the head end.
    pub(crate) fn paint(&self, index: usize) -> Painted {
        let z = self.top + (index as f32 + 0.5) * self.slice_mm;
        let masks = self.masks(z);
        let mut noise = Rng::of(&[self.seed, 0x57_401e, index as u64 + 1]);
        Painted {
            hu: self.patient.slice(self.grid, z, &masks, &mut noise),
            labels: masks.labels,
        }
    }

    fn label(&self, p: [f32; 3]) -> u8 {
        let away = [0, 1, 2].map(|axis| p[axis] - self.tumour[axis]);
        let bump = 0.12 * self.tumour_bumps.at(p[0], p[1], p[2]);
        if norm(away, self.tumour_radii) < 1.0 + bump {
            2
        } else {
            u8::from(self.kidneys.iter().any(|kidney| kidney.contains(p)))
        }
    }

    fn masks(&self, z: f32) -> Masks {
        Masks::sample(&self.grid, |x, y| self.label([x, y, z]))
    }
}
