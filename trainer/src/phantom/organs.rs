//! Solid organs and bladders: liver, gall bladder, spleen, pancreas, adrenals, heart, urinary bladder.
//!
//! All of them keep a film of fat between themselves and the kidneys, as the perirenal space does in life; they are
//! the neighbours that a network must not mistake for kidney.

use super::body::Body;
use super::field::{Noise, lerp, smoothstep};
use super::rng::Rng;
use super::scene::{
    Bounds, EVERYWHERE, Ellipse, Ellipsoid, Scene, Site, around, at, merge, stroke,
};
use super::tissue::{Phase, Tissues};

/// A round finding inside an organ: cyst, metastasis, haemangioma.
#[derive(Clone, Copy, Debug)]
struct Lesion {
    shape: Ellipsoid,
    hu: f32,
}

/// One patient's organs.
#[derive(Clone, Debug)]
pub(super) struct Organs {
    right_lobe: Ellipsoid,
    left_lobe: Ellipsoid,
    caudate: Ellipsoid,
    gall_bladder: Ellipsoid,
    gall: f32,
    spleen: Ellipsoid,
    splenule: Ellipsoid,
    heart: Ellipsoid,
    bladder: Ellipsoid,
    pancreas: [[f32; 3]; 5],
    pancreas_girth: f32,
    adrenals: f32,
    adrenal_mass: Option<Ellipsoid>,
    lesions: Vec<Lesion>,
    veins: [Noise; 2],
    zebra: Noise,
    film: f32,
}

impl Organs {
    pub(super) fn draw(rng: &mut Rng, body: &Body, tissues: &Tissues) -> Self {
        let (wide, deep) = (body.side / 138.0, body.front / 112.0);
        let mut around = |x: f32, y: f32, z: f32, radii: [f32; 3], loose: f32| Ellipsoid {
            at: [
                x * wide + rng.normal(0.0, 5.0 * loose),
                y * deep + rng.normal(0.0, 5.0 * loose),
                z + rng.normal(0.0, 9.0 * loose),
            ],
            radii: radii.map(|r| r * rng.normal(1.0, 0.08 * loose)),
            tilt: rng.normal(0.0, 0.15 * loose),
        };
        let right_lobe = around(-84.0, -18.0, -78.0, [78.0 * wide, 88.0, 128.0], 1.2);
        let left_lobe = around(-8.0, -78.0, -88.0, [86.0 * wide, 38.0, 82.0], 1.2);
        let caudate = around(-30.0, -32.0, -75.0, [24.0, 26.0, 45.0], 1.0);
        let gall_bladder = around(-52.0, -62.0, -8.0, [15.0, 21.0, 34.0], 1.5);
        let mut spleen = around(108.0, 2.0, -72.0, [34.0, 58.0, 66.0], 1.5);
        spleen.tilt += 0.25;
        let splenule = around(72.0, 5.0, -35.0, [8.0, 8.0, 8.0], 3.0);
        let heart = around(22.0, -72.0, -195.0, [62.0, 52.0, 62.0], 1.0);
        let bladder = around(0.0, -42.0, 205.0, [40.0, 34.0, 48.0], 1.5);
        let mass = around(-32.0, -18.0, -45.0, [14.0, 14.0, 16.0], 2.0);
        let mut pancreas = [
            [-38.0, -42.0, 5.0],
            [-18.0, -55.0, -8.0],
            [12.0, -60.0, -22.0],
            [48.0, -46.0, -35.0],
            [82.0, -22.0, -48.0],
        ];
        for knot in &mut pancreas {
            *knot = [
                knot[0] * wide + rng.normal(0.0, 4.0),
                knot[1] * deep + rng.normal(0.0, 4.0),
                knot[2] + rng.normal(0.0, 6.0),
            ];
        }
        let enhanced = tissues.phase != Phase::Plain;
        let lesions = (0..rng.below(4) * rng.below(2))
            .map(|_| {
                let r = rng.range(3.0, 22.0);
                Lesion {
                    shape: Ellipsoid {
                        at: [
                            rng.range(-130.0, -30.0),
                            rng.range(-90.0, 30.0),
                            rng.range(-120.0, 30.0),
                        ],
                        radii: [r, r * rng.range(0.8, 1.2), r],
                        tilt: rng.range(0.0, 3.0),
                    },
                    hu: match rng.below(3) {
                        0 => rng.range(0.0, 18.0),
                        1 => rng.range(30.0, 70.0),
                        _ => {
                            tissues.liver
                                + if enhanced {
                                    rng.range(15.0, 90.0)
                                } else {
                                    -12.0
                                }
                        }
                    },
                }
            })
            .collect();
        Self {
            right_lobe,
            left_lobe,
            caudate,
            gall_bladder,
            gall: rng.range(-2.0, 22.0),
            spleen,
            splenule,
            heart,
            bladder,
            pancreas,
            pancreas_girth: rng.range(7.0, 12.0),
            adrenals: rng.range(1.6, 3.2),
            adrenal_mass: rng.chance(0.1).then_some(mass),
            lesions,
            veins: [Noise::new(rng.bits(), 24.0), Noise::new(rng.bits(), 24.0)],
            zebra: Noise::new(rng.bits(), 11.0),
            film: rng.range(0.8, 6.0),
        }
    }

    /// Paints the organs.
    pub(super) fn paint(&self, scene: &mut Scene, tissues: &Tissues) {
        let z = scene.z;
        let film = self.film;
        let inside = |s: &Site| {
            (s.body.cavity + 1.5)
                // Organs lie before and beside the kidneys; behind them is only fat and muscle.
                .max(film * (1.0 + 0.5 * s.lumps) + 16.0 * smoothstep(5.0, 38.0, s.p.y) - s.clear)
                .max(3.0 - s.body.lung)
        };
        self.paint_pancreas(scene, tissues, &inside);
        self.paint_adrenals(scene, tissues, &inside);
        self.paint_spleen(scene, tissues, &inside);
        self.paint_liver(scene, tissues, &inside);
        if let Some(cut) = self.gall_bladder.cut(z) {
            scene.paint(
                cut.bounds(2.0),
                |s| (cut.distance(s.soft) - 1.5).max(inside(s)),
                |_| tissues.gut_wall,
            );
            scene.paint(
                cut.bounds(0.0),
                |s| cut.distance(s.soft).max(inside(s)),
                |_| self.gall,
            );
        }
        if let Some(cut) = self.heart.cut(z) {
            let free = |s: &Site| (s.body.cavity + 2.0).max(3.0 - s.clear);
            scene.paint(
                cut.bounds(0.0),
                |s| cut.distance(s.soft).max(free(s)),
                |s| tissues.muscle + 45.0 + 5.0 * s.grain,
            );
            scene.paint(
                cut.bounds(0.0),
                |s| (cut.distance(s.soft) + 11.0 + 4.0 * s.lumps).max(free(s)),
                |_| lerp(tissues.artery, tissues.vein, 0.5),
            );
        }
        if let Some(cut) = self.bladder.cut(z) {
            scene.paint(
                cut.bounds(4.0),
                |s| (cut.distance(s.soft) - 3.0).max(inside(s)),
                |_| tissues.gut_wall,
            );
            let (urine, level) = (tissues.urine, cut.centre.y);
            // Contrast is heavier than urine and sinks to the back.
            scene.paint(
                cut.bounds(0.0),
                |s| cut.distance(s.soft).max(inside(s)),
                |s| lerp(8.0, urine, smoothstep(-2.0, 6.0, s.p.y - level)),
            );
        }
    }

    fn paint_liver(&self, scene: &mut Scene, tissues: &Tissues, inside: &impl Fn(&Site) -> f32) {
        let z = scene.z;
        let lobes: Vec<Ellipse> = [self.right_lobe, self.left_lobe, self.caudate]
            .iter()
            .filter_map(|lobe| lobe.cut(z))
            .collect();
        if lobes.is_empty() {
            return;
        }
        let bright = match tissues.phase {
            Phase::Plain => -10.0,
            Phase::Arterial => 18.0,
            Phase::Nephrographic | Phase::Excretory => 40.0,
        };
        scene.paint(
            EVERYWHERE,
            |s| {
                lobes
                    .iter()
                    .map(|lobe| lobe.distance(s.soft))
                    .reduce(|a, b| merge(a, b, 16.0))
                    .unwrap_or(f32::MAX)
                    .max(inside(s))
            },
            |s| {
                let [a, b] = self.veins.map(|n| n.at(s.soft.x, s.soft.y, z));
                let vessel = smoothstep(0.16, 0.08, a.hypot(b));
                tissues.liver + 3.0 * s.lumps + 4.0 * s.grain + bright * vessel
            },
        );
        for lesion in &self.lesions {
            let (Some(cut), Some(host)) = (lesion.shape.cut(z), lobes.first()) else {
                continue;
            };
            scene.paint(
                cut.bounds(0.0),
                |s| {
                    cut.distance(s.soft)
                        .max(host.distance(s.soft) + 2.0)
                        .max(inside(s) + 1.0)
                },
                |s| lesion.hu + 5.0 * s.grain,
            );
        }
    }

    fn paint_spleen(&self, scene: &mut Scene, tissues: &Tissues, inside: &impl Fn(&Site) -> f32) {
        let z = scene.z;
        // Early after the injection the red pulp fills in stripes.
        let stripes = if tissues.phase == Phase::Arterial {
            28.0
        } else {
            4.0
        };
        let pulp = |s: &Site| {
            tissues.spleen + stripes * self.zebra.at(s.soft.x, s.soft.y, z) + 4.0 * s.grain
        };
        if let Some(cut) = self.spleen.cut(z) {
            // A crescent: hollow towards the stomach and the kidney.
            let hollow = Ellipse::new(
                cut.centre.x - cut.rx * 1.5,
                cut.centre.y - 8.0,
                cut.rx * 1.05,
                cut.ry * 0.95,
                0.0,
            );
            scene.paint(
                cut.bounds(0.0),
                |s| {
                    cut.distance(s.soft)
                        .max(-hollow.distance(s.soft))
                        .max(inside(s))
                },
                pulp,
            );
        }
        if let Some(cut) = self.splenule.cut(z) {
            scene.paint(
                cut.bounds(0.0),
                |s| cut.distance(s.soft).max(inside(s)),
                pulp,
            );
        }
    }

    fn paint_pancreas(&self, scene: &mut Scene, tissues: &Tissues, inside: &impl Fn(&Site) -> f32) {
        let z = scene.z;
        let bounds = Bounds {
            low: at(-80.0, -130.0),
            high: at(130.0, 30.0),
        };
        scene.paint(
            bounds,
            |s| {
                let girth = self.pancreas_girth * (1.0 + 0.25 * s.grain);
                self.pancreas
                    .windows(2)
                    .map(|knots| {
                        let away = (z - (knots[0][2] + knots[1][2]) * 0.5).abs() - 8.0;
                        let thin = (away.max(0.0) / 12.0).powi(2);
                        stroke(
                            s.soft,
                            at(knots[0][0], knots[0][1]),
                            at(knots[1][0], knots[1][1]),
                            girth * (1.0 - thin),
                        )
                    })
                    .fold(f32::MAX, f32::min)
                    .max(inside(s))
            },
            |s| {
                lerp(
                    tissues.pancreas,
                    tissues.fat,
                    0.5 * smoothstep(0.2, 0.8, s.grain),
                )
            },
        );
    }

    fn paint_adrenals(&self, scene: &mut Scene, tissues: &Tissues, inside: &impl Fn(&Site) -> f32) {
        let z = scene.z;
        if (-70.0..-28.0).contains(&z) {
            for side in [-1.0, 1.0] {
                let root = at(side * 30.0, -20.0);
                for limb in [at(side * 26.0, 2.0), at(side * 44.0, 0.0)] {
                    scene.paint(
                        around(root, limb, 6.0),
                        |s| stroke(s.soft, root, limb, self.adrenals).max(inside(s)),
                        |_| tissues.pancreas,
                    );
                }
            }
        }
        if let Some(cut) = self.adrenal_mass.and_then(|mass| mass.cut(z)) {
            scene.paint(
                cut.bounds(0.0),
                |s| cut.distance(s.soft).max(inside(s)),
                |s| tissues.pancreas - 30.0 + 20.0 * s.lumps,
            );
        }
    }
}
