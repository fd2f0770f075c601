//! Bones and the muscles that hang on them: vertebra, ribs, pelvis, psoas, back muscles, crura of the diaphragm.

use super::body::Body;
use super::field::{lerp, smoothstep};
use super::rng::Rng;
use super::scene::{Bounds, EVERYWHERE, Ellipse, Point, Scene, Site, around, at, merge, stroke};
use super::tissue::Tissues;

/// One patient's skeleton.
#[derive(Clone, Debug)]
pub(super) struct Skeleton {
    /// Half axes of the vertebral body, millimetres.
    pub(super) rx: f32,
    pub(super) ry: f32,
    shell: f32,
    period: f32,
    phase: f32,
    psoas: f32,
    back: [f32; 2],
    streaky: f32,
    ribs: [f32; 10],
    slope: f32,
    crest: f32,
    /// How far the ribs of the two sides differ, radians.
    skew: f32,
}

impl Skeleton {
    /// `narrow` is the free half width between the kidneys.
    pub(super) fn draw(rng: &mut Rng, narrow: f32) -> Self {
        let mut ribs = [0.0; 10];
        let first = rng.range(-36.0, -8.0);
        for (index, rib) in ribs.iter_mut().enumerate() {
            *rib = first - 27.0 * index as f32 + rng.range(-3.0, 3.0);
        }
        Self {
            rx: rng.range(19.0, 25.0).min(narrow),
            ry: rng.range(14.5, 18.0),
            shell: rng.range(1.0, 2.2),
            period: rng.range(33.0, 39.0),
            phase: rng.range(0.0, 36.0),
            psoas: rng.range(0.75, 1.25),
            back: [rng.range(26.0, 33.0), rng.range(19.0, 25.0)],
            streaky: rng.range(0.0, 1.0),
            ribs,
            slope: rng.range(80.0, 130.0),
            crest: rng.range(95.0, 125.0),
            skew: rng.normal(0.0, 0.05),
        }
    }

    /// Paints psoas, quadratus lumborum and the back muscles; before the bones.
    pub(super) fn paint_muscles(&self, scene: &mut Scene, body: &Body, tissues: &Tissues) {
        let z = scene.z;
        let flesh = |s: &Site, fatty: f32| {
            let streak = smoothstep(0.25, 0.8, s.grain + 0.3 * s.lumps) * fatty;
            lerp(
                tissues.muscle + 4.0 * s.lumps + 5.0 * s.grain,
                tissues.fat,
                streak,
            )
        };
        let [wide, deep] = self.back;
        for side in [-1.0, 1.0] {
            let column = Ellipse::new(
                side * 34.0,
                (body.back - 8.0 - deep).max(46.0),
                wide,
                deep + 3.0,
                side * -0.1,
            );
            let plate = Ellipse::new(side * 22.0, 40.0, 20.0, 16.0, 0.0);
            scene.paint(
                column.bounds(30.0),
                |s| {
                    merge(column.distance(s.soft), plate.distance(s.soft), 8.0)
                        .max(s.body.muscle + 1.5)
                        .max(2.0 - s.clear)
                },
                |s| flesh(s, self.streaky),
            );
            let lumborum = smoothstep(-50.0, 0.0, z) * (1.0 - smoothstep(110.0, 140.0, z));
            if lumborum > 0.05 {
                let muscle = Ellipse::new(
                    side * 58.0,
                    33.0,
                    24.0 * lumborum,
                    9.0 * lumborum,
                    side * 0.15,
                );
                scene.paint(
                    muscle.bounds(0.0),
                    |s| muscle.distance(s.soft).max(3.0 - s.clear),
                    |s| flesh(s, self.streaky * 0.6),
                );
            }
            let girth = self.psoas * lerp(3.0, 25.0, smoothstep(-60.0, 130.0, z));
            let apart = self.rx + girth * 0.75 + 2.0 + (z * 0.12).max(0.0);
            let psoas = Ellipse::new(
                side * apart,
                3.0 - 0.06 * z.max(0.0),
                girth * 0.85,
                girth * 1.1,
                side * 0.25,
            );
            scene.paint(
                psoas.bounds(0.0),
                |s| psoas.distance(s.soft).max(2.5 - s.clear),
                |s| flesh(s, self.streaky * 0.2),
            );
            // The crura hug the vertebra above the kidneys' lower poles.
            if z < 15.0 {
                let a = at(side * (self.rx + 2.0), 6.0);
                let b = at(side * 13.0, -self.ry - 6.0);
                let thick = lerp(5.0, 2.5, smoothstep(-60.0, 15.0, z));
                scene.paint(
                    around(a, b, thick),
                    |s| stroke(s.soft, a, b, thick),
                    |s| flesh(s, 0.0),
                );
            }
        }
    }

    /// Paints vertebra, ribs and pelvis.
    pub(super) fn paint_bones(&self, scene: &mut Scene, body: &Body, tissues: &Tissues) {
        if scene.z > self.crest {
            self.paint_pelvis(scene, body, tissues);
        }
        self.paint_vertebra(scene, tissues);
        self.paint_ribs(scene, body, tissues);
    }

    fn bone(
        &self,
        scene: &mut Scene,
        bounds: Bounds,
        tissues: &Tissues,
        shape: impl Fn(&Site) -> f32,
    ) {
        let shell = self.shell;
        scene.paint_by_depth(bounds, shape, |s, depth| {
            let inner = smoothstep(-shell * 0.6, -shell * 1.6, depth);
            lerp(
                tissues.compact_bone + 120.0 * s.lumps,
                tissues.marrow + 55.0 * s.grain + 20.0 * s.lumps,
                inner,
            )
        });
    }

    fn paint_vertebra(&self, scene: &mut Scene, tissues: &Tissues) {
        // Along z: body with pedicles, then foramen, then disc.
        let step = (scene.z + self.phase).rem_euclid(self.period) / self.period;
        let disc = step > 0.78;
        let pedicles = (0.1..0.5).contains(&step);
        let spine = (0.25..0.9).contains(&step);
        let (rx, ry) = (self.rx, self.ry);
        let canal = at(0.0, ry + 9.0);
        let everything = Bounds {
            low: at(-60.0, -40.0),
            high: at(60.0, 90.0),
        };
        let round = Ellipse::new(0.0, 0.0, rx, ry, 0.0);
        let arch = |s: &Site| {
            let mut d = f32::MAX;
            for side in [-1.0, 1.0] {
                let p = at(s.p.x * side, s.p.y);
                let lamina = stroke(p, at(14.0, ry + 8.0), at(2.0, ry + 23.0), 3.6);
                d = d.min(lamina);
                if pedicles {
                    d = d.min(stroke(p, at(13.0, ry - 4.0), at(15.0, ry + 8.0), 4.6));
                    d = d.min(stroke(p, at(16.0, ry + 9.0), at(38.0, ry + 13.0), 3.0));
                } else {
                    d = d.min(Ellipse::new(17.0, ry + 12.0, 6.5, 8.0, 0.3).distance(p));
                }
            }
            if spine {
                d = d.min(stroke(s.p, at(0.0, ry + 23.0), at(0.0, ry + 44.0), 3.4));
            }
            d.max(1.0 - s.clear)
        };
        scene.paint(
            everything,
            |s| stroke(s.p, canal, at(0.0, ry + 20.0), 14.0),
            |s| tissues.fat * 0.2 + 20.0 + 5.0 * s.grain,
        );
        self.bone(scene, everything, tissues, arch);
        scene.paint(
            everything,
            |s| Ellipse::new(0.0, canal.y, 11.0, 8.5, 0.0).distance(s.p),
            |s| 18.0 + 10.0 * s.grain,
        );
        scene.paint(
            everything,
            |s| Ellipse::new(0.0, canal.y, 6.0, 4.5, 0.0).distance(s.p),
            |_| 42.0,
        );
        // The body is flat at the back, hollowed by the canal.
        let body = |s: &Site| round.distance(s.p).max(s.p.y - ry + 2.5).max(1.0 - s.clear);
        if disc {
            scene.paint_by_depth(everything, body, |s, depth| {
                lerp(95.0, 75.0, smoothstep(-2.0, -9.0, depth)) + 6.0 * s.grain
            });
        } else {
            self.bone(scene, everything, tissues, body);
            // End plates are brighter than the middle of the vertebra.
            if !(0.08..=0.7).contains(&step) {
                scene.paint(
                    everything,
                    |s| body(s) + self.shell,
                    |s| lerp(tissues.marrow, tissues.compact_bone, 0.35) + 60.0 * s.grain,
                );
            }
        }
    }

    fn paint_ribs(&self, scene: &mut Scene, body: &Body, tissues: &Tissues) {
        let z = scene.z;
        // Each rib runs from the spine forwards and down; the lowest two are short.
        for (index, &root) in self.ribs.iter().enumerate() {
            let along = (z - root) / self.slope;
            let end = [0.35, 0.55, 0.9].get(index).copied().unwrap_or(1.0);
            if !(0.0..end).contains(&along) {
                continue;
            }
            let half = lerp(10.0, 5.5, along) / body.side;
            for side in [-1.0, 1.0] {
                let angle = 0.42 + 2.1 * along + side * self.skew;
                let depth = body.wall * 0.62;
                let a = body.on_wall(side * (angle - half), depth, z);
                let b = body.on_wall(side * (angle + half), depth, z);
                self.bone(scene, around(a, b, 8.0), tissues, |s| {
                    stroke(s.p, a, b, 3.3).max(1.5 - s.clear)
                });
            }
        }
        // Costal cartilage in front, above the navel.
        if z < -40.0 {
            for side in [-1.0, 1.0] {
                for (angle, half) in [(2.45, 0.09), (2.8, 0.07)] {
                    let angle = angle + (z * 0.03).sin() * 0.12;
                    let a = body.on_wall(side * (angle - half), body.wall * 0.4, z);
                    let b = body.on_wall(side * (angle + half), body.wall * 0.4, z);
                    scene.paint(
                        around(a, b, 8.0),
                        |s| stroke(s.p, a, b, 5.0).max(1.5 - s.clear),
                        |s| 95.0 + 60.0 * smoothstep(0.4, 0.9, s.grain),
                    );
                }
            }
        }
    }

    fn paint_pelvis(&self, scene: &mut Scene, body: &Body, tissues: &Tissues) {
        let z = scene.z;
        let grown = smoothstep(self.crest, self.crest + 60.0, z);
        for side in [-1.0, 1.0] {
            // The wing of the ilium leans outwards; the flesh inside it is iliacus, outside it gluteus.
            let back = at(side * lerp(75.0, 42.0, grown), lerp(20.0, 42.0, grown));
            let front = at(side * lerp(95.0, 118.0, grown), lerp(0.0, -45.0, grown));
            let flesh = |s: &Site| tissues.muscle + 5.0 * s.grain;
            let inner = |p: Point| at(p.x - side * 9.0, p.y - 3.0);
            let outer = |p: Point| at(p.x + side * 12.0, p.y + 14.0);
            scene.paint(
                EVERYWHERE,
                |s| {
                    stroke(s.soft, outer(back), outer(front), 16.0 * grown).max(s.body.muscle + 2.0)
                },
                flesh,
            );
            scene.paint(
                EVERYWHERE,
                |s| stroke(s.soft, inner(back), inner(front), 10.0 * grown).max(1.0 - s.clear),
                flesh,
            );
            self.bone(scene, around(back, front, 12.0), tissues, |s| {
                stroke(s.p, back, front, lerp(3.0, 6.0, grown))
                    .max(body.wall * 0.3 + s.body.muscle)
                    .max(1.5 - s.clear)
            });
        }
        let sacrum = smoothstep(self.crest + 15.0, self.crest + 50.0, z);
        if sacrum > 0.1 {
            let bone = Ellipse::new(0.0, 20.0, 46.0 * sacrum, 17.0, 0.0);
            self.bone(scene, bone.bounds(8.0), tissues, |s| {
                bone.distance(s.p).max(1.5 - s.clear)
            });
        }
    }
}
