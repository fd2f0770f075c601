//! Vessels: aorta, vena cava and their branches, the renal vessels, the fine vessels of the mesentery.

use super::field::{Noise, lerp, smoothstep};
use super::kidney::{Masks, Surroundings};
use super::rng::Rng;
use super::scene::{EVERYWHERE, Ellipse, Scene, Site, around, at, stroke};
use super::tissue::Tissues;

/// One patient's vessels.
#[derive(Clone, Debug)]
pub(super) struct Vessels {
    /// Place and radius of the aorta, millimetres.
    aorta: [f32; 3],
    /// Place and half axes of the inferior vena cava.
    cava: [f32; 4],
    /// Where the aorta's wall is chalky, as an angle.
    calcium: Option<f32>,
    mesentery: [Noise; 2],
}

impl Vessels {
    /// `front_of_spine` is the front of the vertebral body, millimetres before its middle.
    pub(super) fn draw(rng: &mut Rng, front_of_spine: f32) -> Self {
        let lumen = rng.range(8.0, 12.5);
        Self {
            aorta: [
                rng.range(1.0, 13.0),
                -front_of_spine - lumen - rng.range(1.0, 4.0),
                lumen,
            ],
            cava: [
                rng.range(-24.0, -16.0),
                -front_of_spine - rng.range(8.0, 13.0),
                rng.range(9.0, 14.0),
                rng.range(6.0, 11.0),
            ],
            calcium: rng.chance(0.35).then(|| rng.range(-3.0, 3.0)),
            mesentery: [Noise::new(rng.bits(), 13.0), Noise::new(rng.bits(), 13.0)],
        }
    }

    /// Paints the vessels of the mesentery into the fat of the cavity; before the bowel.
    pub(super) fn paint_mesentery(&self, scene: &mut Scene, tissues: &Tissues) {
        let z = scene.z;
        let blood = lerp(tissues.vein, tissues.artery, 0.25);
        scene.paint(
            EVERYWHERE,
            |s| {
                let outside = (s.body.cavity + 8.0).max(12.0 - s.clear).max(s.p.y + 12.0);
                if outside > 3.0 {
                    return outside;
                }
                // Two noise surfaces cross in curves: thin vessels that run on from slice to slice.
                let [a, b] = self.mesentery.map(|n| n.at(s.p.x, s.p.y, z * 0.8));
                (a.hypot(b) - 0.13) * 9.0 + outside.max(0.0)
            },
            |_| blood,
        );
    }

    /// Paints aorta, vena cava and the vessels of the gut; after the organs.
    pub(super) fn paint_great(&self, scene: &mut Scene, tissues: &Tissues) {
        let z = scene.z;
        let free = |s: &Site| (1.0 - s.clear).max(s.body.muscle + 3.0);
        let [x, y, r] = self.aorta;
        let sway = 4.0 * (z / 60.0).sin();
        let parted = smoothstep(95.0, 125.0, z);
        let up = smoothstep(-60.0, -140.0, z);
        let mut tubes = vec![];
        for side in [-1.0, 1.0] {
            // Below the fourth lumbar vertebra aorta and cava part into the iliac vessels.
            let spread = side * parted * (9.0 + (z - 110.0).max(0.0) * 0.55);
            let shrink = 1.0 - 0.35 * parted;
            tubes.push((
                Ellipse::new(
                    x + sway * 0.5 + spread + up * 10.0,
                    y + up * 10.0 + parted * 8.0,
                    r * shrink,
                    r * shrink,
                    0.0,
                ),
                tissues.artery,
                true,
            ));
            let [vx, vy, a, b] = self.cava;
            tubes.push((
                Ellipse::new(
                    vx * (1.0 - 0.6 * parted) + spread * 1.2,
                    vy + parted * 14.0 - up * 22.0,
                    a * shrink,
                    b * shrink,
                    0.2,
                ),
                tissues.vein,
                false,
            ));
        }
        let forward = smoothstep(-45.0, 20.0, z) * 12.0;
        let gut = smoothstep(110.0, 80.0, z) * smoothstep(-55.0, -35.0, z);
        if gut > 0.2 {
            tubes.push((
                Ellipse::new(x - 2.0, y - r - 6.0 - forward, 3.6 * gut, 3.6 * gut, 0.0),
                tissues.artery,
                false,
            ));
            tubes.push((
                Ellipse::new(x - 18.0, y - r - 10.0 - forward, 6.0 * gut, 6.0 * gut, 0.0),
                tissues.vein,
                false,
            ));
        }
        if z < -20.0 {
            let portal = at(-34.0 + 0.3 * (z + 60.0), -48.0);
            tubes.push((
                Ellipse::new(portal.x, portal.y, 8.0, 6.5, 0.4),
                tissues.vein * 0.9 + 10.0,
                false,
            ));
        }
        for (tube, blood, aorta) in tubes {
            scene.paint(
                tube.bounds(1.0),
                |s| (tube.distance(s.p) - 1.0).max(free(s)),
                |_| 50.0,
            );
            scene.paint(
                tube.bounds(0.0),
                |s| tube.distance(s.p).max(free(s)),
                |s| blood + 4.0 * s.lumps,
            );
            if let (Some(angle), true) = (self.calcium, aorta) {
                let (sin, cos) = (angle + z * 0.05).sin_cos();
                let plaque = at(tube.centre.x + cos * tube.rx, tube.centre.y + sin * tube.ry);
                let end = at(plaque.x - sin * 4.0, plaque.y + cos * 4.0);
                scene.paint(
                    around(plaque, end, 2.0),
                    |s| stroke(s.p, plaque, end, 1.1).max(free(s)),
                    |_| 620.0,
                );
            }
        }
    }

    /// Paints the renal artery and vein from the great vessels to the sinus of each kidney that shows one.
    pub(super) fn paint_renal(
        &self,
        scene: &mut Scene,
        masks: &Masks,
        near: &Surroundings,
        tissues: &Tissues,
    ) {
        if scene.z.abs() > 25.0 {
            return;
        }
        let aorta = at(self.aorta[0], self.aorta[1]);
        let cava = at(self.cava[0], self.cava[1]);
        for side in [-1.0, 1.0] {
            let Some((hilum, area)) = near.sinus(masks, &scene.grid, side) else {
                continue;
            };
            let shown = smoothstep(20.0, 160.0, area);
            if shown < 0.2 {
                continue;
            }
            for (trunk, girth, blood, forward) in [
                (cava, 3.8, tissues.vein, 7.0),
                (aorta, 2.4, tissues.artery, -2.0),
            ] {
                // In front of the psoas, then down into the hollow of the kidney.
                let knee = at(
                    lerp(trunk.x, hilum.x, 0.6),
                    lerp(trunk.y, hilum.y, 0.35) - forward,
                );
                for (a, b) in [(trunk, knee), (knee, hilum)] {
                    scene.paint(
                        around(a, b, girth),
                        |s| stroke(s.soft, a, b, girth * shown).max(0.3 - s.clear),
                        |_| blood,
                    );
                }
            }
        }
    }
}
