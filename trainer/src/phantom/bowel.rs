//! Stomach, duodenum, small bowel and colon, with gas, fluid, stool and swallowed contrast.
//!
//! Bowel loops are the best decoys there are: round, enhanced like kidney, sometimes ringed like cortex, but in the
//! wrong place and of the wrong build.

use super::body::Body;
use super::field::{Noise, lerp, smoothstep};
use super::rng::Rng;
use super::scene::{Ellipse, Ellipsoid, Scene, Site};
use super::tissue::Tissues;

/// What a loop holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    /// Nothing: wall and folds only.
    Collapsed(f32),
    Fluid(f32),
    /// Swallowed contrast.
    Bright(f32),
    /// Gas above fluid: the height of the surface as a share of the radius.
    Level(f32),
    Gas,
    Stool,
    /// A solid mass or node that only looks like a tumour.
    Solid(f32),
}

#[derive(Clone, Debug)]
struct Loop {
    shape: Ellipsoid,
    wall: f32,
    wall_gain: f32,
    content: Content,
    gap: f32,
}

/// One patient's bowel, in painting order.
#[derive(Clone, Debug)]
pub(super) struct Bowel {
    loops: Vec<Loop>,
    crumbs: Noise,
}

impl Bowel {
    pub(super) fn draw(rng: &mut Rng, body: &Body) -> Self {
        let (wide, deep) = (body.side / 138.0, body.front / 112.0);
        let bright = rng.chance(0.25);
        let gassy = rng.range(0.1, 0.6);
        let mut loops = Vec::new();
        // The more visceral fat, the fewer and the further apart the loops.
        let crowd = rng.range(0.35, 1.0);
        let count = (260.0 * crowd) as usize;
        for _ in 0..count {
            let z = rng.range(-45.0, 230.0);
            let reach = rng.range(0.0, 1.0).sqrt();
            let angle = rng.range(0.0, std::f32::consts::TAU);
            let x = angle.cos() * reach * 98.0 * wide;
            let y =
                (angle.sin() * reach * 0.5 - 0.62) * 88.0 * deep + if z > 60.0 { 8.0 } else { 0.0 };
            // The liver's place is taken above the umbilicus on the right.
            if z < 5.0 && x < 15.0 {
                continue;
            }
            let radius = rng.range(8.0, 18.0);
            let content = match rng.weighted(&[
                3.0,
                3.0,
                if bright { 5.0 } else { 0.15 },
                gassy,
                gassy,
                0.25,
            ]) {
                0 => Content::Collapsed(rng.range(0.0, 1.0)),
                1 => Content::Fluid(rng.range(2.0, 45.0)),
                2 => Content::Bright(rng.range(120.0, 600.0)),
                3 => Content::Level(rng.range(-0.4, 0.5)),
                4 => Content::Gas,
                _ => Content::Solid(rng.range(25.0, 130.0)),
            };
            loops.push(Loop {
                shape: Ellipsoid {
                    at: [x, y, z],
                    radii: [
                        radius * rng.range(1.0, 2.4),
                        radius,
                        radius * rng.range(1.0, 2.0),
                    ],
                    tilt: rng.range(0.0, std::f32::consts::PI),
                },
                wall: rng.range(1.5, 3.5),
                wall_gain: rng.range(-10.0, 70.0) * rng.unit(),
                content,
                gap: rng.range(2.0, 14.0),
            });
        }
        let mut part = |at: [f32; 3], radii: [f32; 3], wall: f32, content: Content| {
            let loose = rng.range(0.7, 1.25);
            Loop {
                shape: Ellipsoid {
                    at: [
                        at[0] * wide + rng.normal(0.0, 6.0),
                        at[1] * deep + rng.normal(0.0, 6.0),
                        at[2] + rng.normal(0.0, 10.0),
                    ],
                    radii: [radii[0] * loose, radii[1] * loose, radii[2]],
                    tilt: rng.normal(0.0, 0.3),
                },
                wall,
                wall_gain: rng.range(-15.0, 15.0),
                content,
                gap: rng.range(2.0, 9.0),
            }
        };
        // Duodenum, then the colon's frame, then the stomach over all.
        loops.push(part(
            [-42.0, -38.0, 20.0],
            [14.0, 13.0, 38.0],
            2.5,
            Content::Fluid(20.0),
        ));
        loops.push(part(
            [-5.0, -34.0, 45.0],
            [42.0, 9.0, 12.0],
            2.5,
            Content::Collapsed(0.5),
        ));
        for z in [30.0, 75.0, 120.0] {
            loops.push(part(
                [-100.0, -20.0, z],
                [22.0, 24.0, 36.0],
                2.2,
                Content::Stool,
            ));
        }
        for z in [-25.0, 25.0, 75.0, 125.0] {
            let gas = z < 30.0;
            loops.push(part(
                [112.0, -4.0, z],
                [15.0, 17.0, 36.0],
                2.2,
                if gas { Content::Gas } else { Content::Stool },
            ));
        }
        for (index, x) in [-75.0, -30.0, 25.0, 75.0].into_iter().enumerate() {
            let content = if index % 2 == 0 {
                Content::Level(0.2)
            } else {
                Content::Stool
            };
            loops.push(part(
                [x, -84.0 + (x * 0.2).abs(), 35.0 - x * 0.25],
                [28.0, 17.0, 26.0],
                2.0,
                content,
            ));
        }
        let (level, full) = (rng.range(-0.5, 0.4), rng.chance(0.4));
        let meal = rng.range(10.0, 70.0);
        let mut stomach = |at, radii, content| {
            let mut loop_ = Loop {
                shape: Ellipsoid {
                    at,
                    radii,
                    tilt: rng.normal(0.2, 0.2),
                },
                wall: rng.range(3.0, 6.0),
                wall_gain: rng.range(-15.0, 15.0),
                content,
                gap: rng.range(3.0, 9.0),
            };
            loop_.shape.at[2] += rng.normal(0.0, 10.0);
            loop_
        };
        let inside = if full {
            Content::Fluid(meal)
        } else {
            Content::Level(level)
        };
        loops.push(stomach(
            [66.0 * wide, -48.0 * deep, -88.0],
            [44.0, 44.0, 62.0],
            inside,
        ));
        loops.push(stomach(
            [22.0 * wide, -80.0 * deep, -38.0],
            [46.0, 20.0, 30.0],
            Content::Collapsed(0.7),
        ));
        Self {
            loops,
            crumbs: Noise::new(rng.bits(), 6.0),
        }
    }

    /// Paints all loops that the slice cuts.
    pub(super) fn paint(&self, scene: &mut Scene, tissues: &Tissues) {
        let z = scene.z;
        for part in &self.loops {
            let Some(cut) = part.shape.cut(z) else {
                continue;
            };
            if cut.ry < part.wall {
                continue;
            }
            let shape = |s: &Site| {
                cut.distance(s.soft)
                    .max(s.body.cavity + 2.5)
                    .max(part.gap - s.clear)
                    .max(2.0 - s.body.lung)
            };
            scene.paint_by_depth(cut.bounds(0.0), shape, |s, depth| {
                let wall = tissues.gut_wall + part.wall_gain + 6.0 * s.grain;
                let lumen = smoothstep(-part.wall * 0.7, -part.wall * 1.3, depth + s.lumps);
                lerp(wall, self.lumen(part, &cut, s, z, wall), lumen)
            });
        }
    }

    fn lumen(&self, part: &Loop, cut: &Ellipse, s: &Site, z: f32, wall: f32) -> f32 {
        let crumbs = || self.crumbs.at(s.soft.x, s.soft.y, z);
        match part.content {
            Content::Collapsed(feathers) => {
                lerp(20.0, wall, (0.6 + feathers * crumbs()).clamp(0.0, 1.0))
            }
            Content::Fluid(hu) => hu + 4.0 * s.grain,
            Content::Bright(hu) => hu + 25.0 * s.lumps,
            Content::Gas => -960.0,
            Content::Level(share) => {
                let surface = s.p.y - cut.centre.y - share * cut.ry.min(cut.rx);
                lerp(-960.0, 25.0, smoothstep(-0.8, 0.8, surface))
            }
            Content::Stool => {
                let bubble = smoothstep(0.15, 0.6, crumbs());
                lerp(45.0 + 40.0 * s.lumps, -620.0, bubble)
            }
            Content::Solid(hu) => hu + 14.0 * s.lumps + 10.0 * s.grain,
        }
    }
}
