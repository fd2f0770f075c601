//! The container: skin, fat, muscle wall, lungs, and what lies under and over the patient (table, cloth).

use super::field::{Noise, lerp, smoothstep};
use super::rng::Rng;
use super::scene::{EVERYWHERE, Ellipse, Layers, Point, Scene, around, at, stroke};
use super::tissue::Tissues;

/// What is known about the size of a body before it is drawn, millimetres from the middle of the vertebral body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room<'a> {
    /// Points that must lie within the muscle outline.
    pub(super) hull: &'a [Point],
    /// The front of the muscle outline, where the image tells it.
    pub(super) front: Option<f32>,
    /// The most the body should take, so that it mostly stays inside the image.
    pub(super) side_limit: f32,
    pub(super) front_limit: f32,
}

impl Room<'_> {
    /// Nothing is known.
    pub(super) const FREE: Self = Self {
        hull: &[],
        front: None,
        side_limit: 250.0,
        front_limit: 250.0,
    };
}

/// One patient's outline.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// Half width of the muscle outline, millimetres.
    pub(super) side: f32,
    /// How far it reaches before and behind the middle of the vertebral body, millimetres.
    pub(super) front: f32,
    pub(super) back: f32,
    /// Exponent of its superellipse: 2 is an ellipse, more is squarer.
    power: f32,
    /// Thickness of the fat under the skin in front, at the sides and behind, millimetres.
    fat: [f32; 3],
    /// Thickness of the muscle wall at the flank.
    pub(super) wall: f32,
    streaky: f32,
    shape: Noise,
    /// Height of the domes of the diaphragm and how steeply they fall.
    dome: f32,
    cloth: Option<f32>,
    table: Table,
}

#[derive(Clone, Copy, Debug)]
struct Table {
    gap: f32,
    sag: f32,
    half_width: f32,
    thickness: f32,
    hu: f32,
    second: Option<f32>,
    hooks: bool,
    foam: f32,
}

impl Body {
    pub(super) fn draw(rng: &mut Rng, room: Room<'_>) -> Self {
        let thin = rng.chance(0.25);
        let back = rng.normal(76.0, 4.0);
        let front = room
            .front
            .unwrap_or_else(|| rng.normal(115.0, 14.0))
            .min(room.front_limit);
        // Bodies are about 1.4 times as wide as deep.
        let side = ((front + back) * rng.normal(0.70, 0.04)).min(room.side_limit);
        let fat = if thin {
            [
                rng.range(3.0, 8.0),
                rng.range(3.0, 7.0),
                rng.range(3.0, 8.0),
            ]
        } else {
            [
                rng.range(8.0, 34.0),
                rng.range(6.0, 26.0),
                rng.range(5.0, 24.0),
            ]
        };
        let mut body = Self {
            side,
            front,
            back,
            power: rng.range(2.05, 2.6),
            fat,
            wall: rng.range(8.0, 15.0),
            streaky: rng.range(0.0, 0.6),
            shape: Noise::new(rng.bits(), 80.0),
            dome: rng.normal(-150.0, 12.0),
            cloth: rng.chance(0.3).then(|| rng.range(3.0, 12.0)),
            table: Table {
                gap: rng.range(2.0, 14.0),
                sag: rng.range(0.0, 45.0),
                half_width: rng.range(190.0, 260.0),
                thickness: rng.range(0.8, 2.2),
                hu: rng.range(-150.0, 500.0),
                second: rng.chance(0.6).then(|| rng.range(12.0, 40.0)),
                hooks: rng.chance(0.4),
                foam: rng.range(-995.0, -880.0),
            },
        };
        body.grow_around(room.hull);
        body
    }

    /// Widens the outline until every point lies well inside it.
    fn grow_around(&mut self, hull: &[Point]) {
        for _ in 0..12 {
            let worst = hull
                .iter()
                .map(|&p| (self.wall_distance(p, 0.0), p))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let Some((distance, p)) = worst.filter(|(distance, _)| *distance > -11.0) else {
                return;
            };
            let more = distance + 12.0;
            self.side += more;
            if p.y > 0.0 {
                self.back += more * 0.6;
            } else {
                self.front += more * 0.6;
            }
        }
    }

    fn radii(&self, z: f32) -> (f32, f32, f32) {
        let breathe = 1.0 + 0.03 * self.shape.at(500.0, 0.0, z);
        let side = self.side * breathe * (1.0 + 0.05 * smoothstep(90.0, 190.0, z));
        (
            side,
            (self.front + self.back) * 0.5,
            (self.back - self.front) * 0.5,
        )
    }

    /// Where a place lies in the layers of the body.
    pub(super) fn layers(&self, p: Point, z: f32) -> Layers {
        let muscle = self.wall_distance(p, z);
        Layers {
            skin: muscle - self.fat_thickness(p, z),
            muscle,
            cavity: muscle + self.wall_thickness(p),
            lung: self.lung(p, z),
        }
    }

    /// Distance to the outline of the muscles, negative inside; a superellipse, of first order near the edge.
    fn wall_distance(&self, p: Point, z: f32) -> f32 {
        let (rx, ry, middle) = self.radii(z);
        let ripple = 3.0 * self.shape.at(p.x, p.y, z);
        let (u, v) = (p.x.abs() / rx, (p.y - middle).abs() / ry);
        let f = (u.powf(self.power) + v.powf(self.power)).powf(1.0 / self.power);
        if f < 0.2 {
            return (f - 1.0) * rx.min(ry);
        }
        let steep = |share: f32, radius: f32| (share / f).powf(self.power - 1.0) / radius;
        let slope = steep(u, rx).hypot(steep(v, ry));
        // The two columns of back muscle leave a furrow over the spine.
        let furrow = 7.0 * (-(p.x / 14.0).powi(2)).exp() * smoothstep(0.0, self.back, p.y);
        (f - 1.0) / slope + ripple + furrow
    }

    /// Thickness of the muscle wall in the direction of a point: three layers at the flanks, the two straight muscles
    /// with the white line between them in front.
    fn wall_thickness(&self, p: Point) -> f32 {
        let forward = (-p.y / self.front).clamp(-1.0, 1.0);
        let uneven = 1.0 + 0.45 * self.shape.at(p.x, p.y, 700.0);
        if forward < 0.0 {
            return self.wall * lerp(1.0, 0.8, -forward) * uneven;
        }
        let straight = smoothstep(3.0, 14.0, p.x.abs()) * smoothstep(75.0, 50.0, p.x.abs());
        lerp(
            self.wall * uneven,
            3.0 + self.wall * 0.55 * straight,
            forward * forward,
        )
    }

    fn fat_thickness(&self, p: Point, z: f32) -> f32 {
        let (rx, ry, middle) = self.radii(z);
        let (u, v) = (p.x / rx, (p.y - middle) / ry);
        let v = v / u.hypot(v).max(1e-3);
        let toward = if v < 0.0 { self.fat[0] } else { self.fat[2] };
        let furrow = 5.0 * (-(p.x / 14.0).powi(2)).exp() * f32::from(u8::from(v > 0.0));
        lerp(self.fat[1], toward, v * v)
            * (1.0 + 0.25 * self.shape.at(p.x * 0.6, p.y * 0.6, z + 300.0))
            + 2.0
            - furrow.min(self.fat[2] * 0.6)
    }

    /// The point of the muscle outline, moved inwards by `depth`, at `angle` radians from the back round the left
    /// (positive) or right side.
    pub(super) fn on_wall(&self, angle: f32, depth: f32, z: f32) -> Point {
        let (rx, ry, middle) = self.radii(z);
        let (sin, cos) = angle.sin_cos();
        let f = (sin.abs().powf(self.power) + cos.abs().powf(self.power)).powf(1.0 / self.power);
        at((rx - depth) * sin / f, middle + (ry - depth) * cos / f)
    }

    /// Distance to the diaphragm within the slice, negative in the lung.
    fn lung(&self, p: Point, z: f32) -> f32 {
        // A dome for each side, lower at the back than in front; the right one is higher.
        let side = p.x.signum() * 70.0;
        let top = self.dome + if p.x > 0.0 { 8.0 } else { 0.0 };
        let (u, v) = (
            (p.x - side) / 75.0,
            (p.y + 15.0) / if p.y > -15.0 { 80.0 } else { 110.0 },
        );
        let r2 = u * u + v * v;
        let height = top + 95.0 * r2 + 3.0 * self.shape.at(p.x * 2.0, p.y * 2.0, z);
        let slope = (2.0 * 95.0 * r2.sqrt() / 80.0).max(0.8);
        (z - height) / slope
    }

    /// Paints skin, fat, the muscle wall and the fat of the cavity.
    pub(super) fn paint(&self, scene: &mut Scene, tissues: &Tissues) {
        if let Some(gap) = self.cloth {
            scene.paint(
                EVERYWHERE,
                |s| (s.body.skin - gap + 3.0 * s.lumps).abs() - 0.7,
                |s| -450.0 + 200.0 * s.grain,
            );
        }
        scene.paint(EVERYWHERE, |s| s.body.skin, |s| 10.0 + 25.0 * s.grain);
        scene.paint(
            EVERYWHERE,
            |s| s.body.skin + 2.0,
            |s| tissues.fat + 5.0 * s.lumps + 6.0 * s.grain,
        );
        scene.paint(
            EVERYWHERE,
            |s| s.body.muscle,
            |s| {
                // Fat between the muscle layers and, in some patients, within them.
                let thickness = s.body.cavity - s.body.muscle;
                let layer = (s.body.muscle / thickness * 3.0 + 0.4 * s.lumps).rem_euclid(1.0);
                let seam = smoothstep(0.25, 0.0, (layer - 0.5).abs()) * self.streaky;
                let streak = smoothstep(0.35, 0.8, s.grain) * self.streaky;
                lerp(
                    tissues.muscle + 6.0 * s.grain,
                    tissues.fat,
                    (seam + streak).min(0.8),
                )
            },
        );
        scene.paint(
            EVERYWHERE,
            |s| s.body.cavity,
            |s| tissues.fat - 3.0 + 5.0 * s.lumps + 6.0 * s.grain,
        );
    }

    /// Paints the lungs; before the organs.
    pub(super) fn paint_lungs(scene: &mut Scene) {
        let between = Ellipse::new(4.0, -35.0, 30.0, 75.0, 0.0);
        scene.paint(
            EVERYWHERE,
            |s| {
                s.body
                    .lung
                    .max(0.2 * s.body.muscle + 0.8 * s.body.cavity)
                    .max(-between.distance(s.soft))
                    .max(4.0 - s.clear)
            },
            |s| -860.0 + 60.0 * s.lumps + 700.0 * smoothstep(0.38, 0.6, s.grain),
        );
    }

    /// Paints the table under the patient.
    pub(super) fn paint_table(&self, scene: &mut Scene) {
        let t = &self.table;
        let top = self.back + self.fat[2] + 2.0 + t.gap;
        let plate = |p: Point, depth: f32| {
            let rise = t.sag * (p.x / t.half_width).powi(2);
            let slope = 2.0 * t.sag * p.x / (t.half_width * t.half_width);
            (p.y - top - depth + rise) / 1f32.hypot(slope)
        };
        let depth = t.second.unwrap_or(0.0);
        if t.second.is_some() {
            scene.paint(
                EVERYWHERE,
                |s| {
                    plate(s.p, depth)
                        .max(-plate(s.p, 0.0))
                        .max(s.p.x.abs() - t.half_width)
                        .max(8.0 - s.body.muscle)
                },
                |_| t.foam,
            );
        }
        for depth in [Some(0.0), t.second].into_iter().flatten() {
            scene.paint(
                EVERYWHERE,
                |s| {
                    (plate(s.p, depth).abs() - t.thickness)
                        .max(s.p.x.abs() - t.half_width)
                        .max(8.0 - s.body.muscle)
                },
                |s| t.hu + 60.0 * s.grain,
            );
        }
        if t.hooks {
            for side in [-1.0, 1.0] {
                let edge = at(side * t.half_width, top - t.sag);
                let end = at(edge.x - side * 12.0, edge.y - 14.0);
                scene.paint(
                    around(edge, end, 6.0),
                    |s| stroke(s.p, edge, end, 3.5).max(8.0 - s.body.muscle),
                    |_| t.hu + 300.0,
                );
            }
        }
    }
}
