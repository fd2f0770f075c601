//! Kidneys and tumours: what lies inside given masks, and the sinus and vessels beside them.
//!
//! The masks are the truth of the phantom; nothing here moves their edges.

use super::field::{Noise, distance, lerp, smoothstep};
use super::rng::Rng;
use super::scene::{Grid, Point, Scene, at};
use super::tissue::{Phase, Tissues};

/// The kidneys and tumours of one slice on the painter's grid.
#[derive(Clone, Debug)]
pub(super) struct Masks {
    /// KiTS labels at the pixel centres.
    pub(super) labels: Vec<u8>,
    /// The share of each pixel that is kidney or tumour.
    pub(super) share: Vec<f32>,
    /// The share of each pixel that is tumour.
    pub(super) tumour: Vec<f32>,
}

impl Masks {
    /// Asks `label` (of x, y in millimetres) at the centre of each pixel, and at nine points within it for the shares.
    pub(super) fn sample(grid: &Grid, label: impl Fn(f32, f32) -> u8) -> Self {
        let pixels = grid.size * grid.size;
        let mut masks = Self {
            labels: vec![0; pixels],
            share: vec![0.0; pixels],
            tumour: vec![0.0; pixels],
        };
        let step = grid.pixel / 3.0;
        for pixel in 0..pixels {
            let p = grid.point(pixel);
            masks.labels[pixel] = label(p.x, p.y);
            for (dy, dx) in (0..9).map(|point| ((point / 3 - 1) as f32, (point % 3 - 1) as f32)) {
                let found = label(p.x + dx * step, p.y + dy * step);
                masks.share[pixel] += f32::from(u8::from(found > 0)) / 9.0;
                masks.tumour[pixel] += f32::from(u8::from(found == 2)) / 9.0;
            }
        }
        masks
    }
}

/// Distances from the masks of one slice, millimetres.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// To the kidneys with their hollows (the sinus) filled; 0 inside.
    pub(super) clear: Vec<f32>,
    /// From inside those filled kidneys to the outside; 0 outside.
    depth: Vec<f32>,
    /// From inside the tumour to its edge.
    tumour_depth: Vec<f32>,
    deepest_tumour: f32,
}

/// Hollows narrower than twice this are taken to be renal sinus.
const SINUS_MM: f32 = 9.0;

impl Surroundings {
    pub(super) fn of(masks: &Masks, grid: &Grid) -> Self {
        let mm = |mut map: Vec<f32>| {
            for d in &mut map {
                *d = (*d * grid.pixel).min(1e4);
            }
            map
        };
        let size = grid.size;
        let near = mm(distance(|pixel| masks.labels[pixel] > 0, size));
        let far = mm(distance(|pixel| near[pixel] > SINUS_MM, size));
        let filled = |pixel: usize| {
            masks.labels[pixel] > 0 || far[pixel] > SINUS_MM && near[pixel] <= SINUS_MM
        };
        let clear = mm(distance(filled, size));
        let depth = mm(distance(|pixel| !filled(pixel), size));
        let tumour_depth = mm(distance(|pixel| masks.labels[pixel] != 2, size));
        let deepest_tumour = tumour_depth
            .iter()
            .copied()
            .filter(|d| *d < 1e4)
            .fold(0.0, f32::max);
        Self {
            clear,
            depth,
            tumour_depth,
            deepest_tumour,
        }
    }

    /// The middle of the renal sinus on one side (1 the patient's left, -1 the right) and its area in mm².
    pub(super) fn sinus(&self, masks: &Masks, grid: &Grid, side: f32) -> Option<(Point, f32)> {
        let (mut count, mut x, mut y) = (0.0, 0.0, 0.0);
        for (pixel, &share) in masks.share.iter().enumerate() {
            let p = grid.point(pixel);
            if self.depth[pixel] > 1.5 && share == 0.0 && p.x * side > 20.0 {
                count += 1.0;
                x += p.x;
                y += p.y;
            }
        }
        (count > 0.0).then(|| (at(x / count, y / count), count * grid.pixel * grid.pixel))
    }
}

/// How a tumour is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Build {
    /// Clear cell: bright and patchy, with a dead core.
    Hot,
    /// Papillary: darker than kidney, even.
    Cold,
    /// As bright as the kidney.
    Even,
    /// Fluid with walls.
    Cystic,
    /// Angiomyolipoma: holds fat.
    Fatty,
}

#[derive(Clone, Copy, Debug)]
struct Tumour {
    build: Build,
    hu: f32,
    patchy: f32,
    core: f32,
    core_hu: f32,
    rim: f32,
    calcium: bool,
    patches: Noise,
    flecks: Noise,
}

#[derive(Clone, Copy, Debug)]
struct Cyst {
    centre: [f32; 3],
    radius: f32,
    hu: f32,
}

/// One patient's renal tissue.
#[derive(Clone, Debug)]
pub(super) struct Renal {
    cortex_mm: f32,
    columns: Noise,
    pelvis: Noise,
    tumour: Tumour,
    cysts: Vec<Cyst>,
    strands: f32,
    strand: Noise,
    mottle: f32,
}

impl Renal {
    pub(super) fn draw(rng: &mut Rng, tissues: &Tissues, cysts: bool) -> Self {
        let enhanced = tissues.phase != Phase::Plain;
        let build = [
            Build::Hot,
            Build::Cold,
            Build::Even,
            Build::Cystic,
            Build::Fatty,
        ][rng.weighted(&[5.0, 3.0, 1.2, 1.2, 0.3])];
        let renal = lerp(tissues.cortex, tissues.medulla, 0.4);
        let hu = match (build, enhanced) {
            (Build::Hot, true) => match tissues.phase {
                Phase::Arterial => rng.range(70.0, 170.0),
                _ => rng.range(60.0, 120.0),
            },
            (Build::Cold, true) => rng.range(35.0, 78.0),
            (Build::Even, true) => renal + rng.range(-20.0, 20.0),
            (Build::Cystic, _) => rng.range(0.0, 24.0),
            (Build::Fatty, _) => rng.range(-50.0, 30.0),
            (_, false) => rng.range(25.0, 42.0),
        };
        let has_core = match build {
            Build::Hot => 0.6,
            Build::Cold => 0.3,
            Build::Even => 0.25,
            Build::Cystic | Build::Fatty => 0.0,
        };
        Self {
            cortex_mm: rng.range(4.5, 8.0),
            columns: Noise::new(rng.bits(), rng.range(7.0, 11.0)),
            pelvis: Noise::new(rng.bits(), 12.0),
            tumour: Tumour {
                build,
                hu,
                patchy: if enhanced {
                    rng.range(5.0, if build == Build::Hot { 45.0 } else { 16.0 })
                } else {
                    rng.range(2.0, 7.0)
                },
                core: if rng.chance(has_core) {
                    rng.range(0.25, 0.7)
                } else {
                    9.0
                },
                core_hu: rng.range(8.0, 40.0),
                rim: if rng.chance(0.35) {
                    rng.range(10.0, 60.0)
                } else {
                    0.0
                },
                calcium: rng.chance(0.12),
                patches: Noise::new(rng.bits(), rng.range(7.0, 20.0)),
                flecks: Noise::new(rng.bits(), 4.0),
            },
            cysts: (0..if cysts { 1 + rng.below(3) } else { 0 })
                .map(|_| Cyst {
                    centre: [0.0; 3],
                    radius: rng.range(3.0, 16.0),
                    hu: if rng.chance(0.1) {
                        rng.range(45.0, 75.0)
                    } else {
                        rng.range(-4.0, 20.0)
                    },
                })
                .collect(),
            strands: rng.range(0.0, 0.7),
            strand: Noise::new(rng.bits(), 14.0),
            mottle: rng.range(2.0, 10.0),
        }
    }

    /// Puts the benign cysts at places in the body (they show only where the mask says kidney).
    pub(super) fn place_cysts(&mut self, rng: &mut Rng, places: &[[f32; 3]]) {
        if places.is_empty() {
            self.cysts.clear();
        }
        for cyst in &mut self.cysts {
            cyst.centre = places[rng.below(places.len())];
        }
    }

    /// Paints the perirenal fat with its strands, the sinus, the kidneys and the tumour.
    pub(super) fn paint(
        &self,
        scene: &mut Scene,
        masks: &Masks,
        near: &Surroundings,
        tissues: &Tissues,
    ) {
        for pixel in 0..scene.hu.len() {
            let share = masks.share[pixel];
            let depth = near.depth[pixel];
            if share <= 0.0 && depth <= 0.0 {
                self.strand(scene, pixel, near.clear[pixel]);
                continue;
            }
            let p = scene.grid.point(pixel);
            let around = if depth > 0.0 {
                self.sinus(scene, pixel, p, depth, tissues)
            } else {
                scene.hu[pixel]
            };
            let kidney = self.parenchyma(scene, pixel, p, depth, tissues);
            let tumour_share = if share > 0.0 {
                (masks.tumour[pixel] / share).min(1.0)
            } else {
                0.0
            };
            let tissue = if tumour_share > 0.0 {
                lerp(
                    kidney,
                    self.growth(scene, pixel, p, near, tissues),
                    tumour_share,
                )
            } else {
                kidney
            };
            scene.hu[pixel] = lerp(around, tissue, share);
        }
    }

    fn strand(&self, scene: &mut Scene, pixel: usize, clear: f32) {
        // Thin septa cross the perirenal fat.
        if clear > 18.0 || scene.hu[pixel] > -70.0 || scene.hu[pixel] < -140.0 {
            return;
        }
        let p = scene.grid.point(pixel);
        let ridge = smoothstep(0.05, 0.0, self.strand.at(p.x, p.y, scene.z).abs());
        scene.hu[pixel] += 55.0 * self.strands * ridge;
    }

    fn sinus(&self, scene: &Scene, pixel: usize, p: Point, depth: f32, tissues: &Tissues) -> f32 {
        let v = self.pelvis.at(p.x, p.y, scene.z);
        let fat = tissues.fat + 14.0 + 10.0 * scene.site(pixel).grain;
        let pelvis = smoothstep(0.12, 0.3, v) * smoothstep(2.0, 4.0, depth);
        let vessel = smoothstep(-0.25, -0.4, v);
        lerp(lerp(fat, tissues.urine, pelvis), tissues.vein, vessel)
    }

    fn parenchyma(
        &self,
        scene: &Scene,
        pixel: usize,
        p: Point,
        depth: f32,
        tissues: &Tissues,
    ) -> f32 {
        let site = scene.site(pixel);
        let edge = self.cortex_mm * (1.0 + 0.25 * site.lumps);
        let pyramid = smoothstep(-0.35, -0.05, self.columns.at(p.x, p.y, scene.z));
        let medulla = smoothstep(edge, edge + 1.8, depth) * pyramid;
        let mut hu = lerp(tissues.cortex, tissues.medulla, medulla)
            + self.mottle * site.grain
            + 3.0 * site.lumps;
        if tissues.phase == Phase::Excretory {
            // Contrast in the calyces reaches into the parenchyma.
            hu = lerp(
                hu,
                tissues.urine,
                smoothstep(0.55, 0.75, self.pelvis.at(p.x, p.y, scene.z))
                    * smoothstep(8.0, 12.0, depth),
            );
        }
        for cyst in &self.cysts {
            let away = (p.x - cyst.centre[0])
                .hypot(p.y - cyst.centre[1])
                .hypot(scene.z - cyst.centre[2])
                - cyst.radius;
            hu = lerp(hu, cyst.hu, smoothstep(0.5, -0.5, away));
        }
        hu
    }

    fn growth(
        &self,
        scene: &Scene,
        pixel: usize,
        p: Point,
        near: &Surroundings,
        tissues: &Tissues,
    ) -> f32 {
        let t = &self.tumour;
        let site = scene.site(pixel);
        let (z, inside, deepest) = (scene.z, near.tumour_depth[pixel], near.deepest_tumour);
        let patch = t.patches.at(p.x, p.y, z);
        let mut hu = t.hu + t.patchy * patch + 4.0 * site.grain;
        match t.build {
            Build::Cystic => {
                let septum = smoothstep(0.07, 0.0, patch.abs()) * smoothstep(9.0, 14.0, deepest);
                let wall = smoothstep(2.6, 1.2, inside);
                hu = lerp(
                    t.hu + 3.0 * site.grain,
                    lerp(tissues.medulla, 60.0, 0.5),
                    septum.max(wall),
                );
            }
            Build::Fatty => hu = lerp(hu, -75.0, smoothstep(0.0, 0.35, patch)),
            Build::Hot | Build::Cold | Build::Even => {
                let share = inside / deepest.max(1.0) + 0.35 * patch;
                hu = lerp(
                    hu,
                    t.core_hu,
                    smoothstep(t.core, t.core + 0.18, share) * smoothstep(7.0, 12.0, deepest),
                );
            }
        }
        hu += t.rim * smoothstep(3.5, 1.5, inside);
        if t.calcium {
            hu = lerp(hu, 450.0, smoothstep(0.62, 0.8, t.flecks.at(p.x, p.y, z)));
        }
        hu
    }
}
