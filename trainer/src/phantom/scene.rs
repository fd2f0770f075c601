//! The slice being painted: where each pixel lies in the body, and how shapes are laid over each other.
//!
//! Body coordinates are millimetres from the middle of the vertebral body at the level of the kidneys: x towards the
//! patient's left (rising columns), y towards the back (rising rows), z towards the feet (rising slices).

use super::field::{Noise, lerp};

/// A place in the slice, millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

/// A point from its two coordinates in millimetres.
pub(super) const fn at(x: f32, y: f32) -> Point {
    Point { x, y }
}

/// A square grid of pixels over the slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// Pixels a side.
    pub(super) size: usize,
    /// Width of a pixel, millimetres.
    pub(super) pixel: f32,
    /// The centre of the first pixel.
    pub(super) corner: Point,
}

impl Grid {
    /// The centre of a pixel.
    pub(super) fn point(&self, pixel: usize) -> Point {
        at(
            self.corner.x + (pixel % self.size) as f32 * self.pixel,
            self.corner.y + (pixel / self.size) as f32 * self.pixel,
        )
    }

    /// The middle of the image.
    pub(super) fn middle(&self) -> Point {
        let half = (self.size as f32 - 1.0) * 0.5 * self.pixel;
        at(self.corner.x + half, self.corner.y + half)
    }

    /// Half the width of the image, millimetres.
    pub(super) fn half_width(&self) -> f32 {
        self.size as f32 * self.pixel * 0.5
    }
}

/// An ellipse; `tilt` in radians turns its first axis from the patient's left towards the back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ellipse {
    pub(super) centre: Point,
    pub(super) rx: f32,
    pub(super) ry: f32,
    pub(super) tilt: f32,
}

impl Ellipse {
    pub(super) const fn new(x: f32, y: f32, rx: f32, ry: f32, tilt: f32) -> Self {
        Self {
            centre: at(x, y),
            rx,
            ry,
            tilt,
        }
    }

    /// Signed distance in millimetres, negative inside; of first order near the edge.
    pub(super) fn distance(&self, p: Point) -> f32 {
        let (sin, cos) = self.tilt.sin_cos();
        let (dx, dy) = (p.x - self.centre.x, p.y - self.centre.y);
        let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
        let (u, v) = (u / self.rx, v / self.ry);
        let f = (u * u + v * v).sqrt();
        let slope = ((u / self.rx).powi(2) + (v / self.ry).powi(2)).sqrt();
        if slope < 1e-6 {
            return -self.rx.min(self.ry);
        }
        f * (f - 1.0) / slope
    }

    /// A box that holds the ellipse grown by `margin`.
    pub(super) fn bounds(&self, margin: f32) -> Bounds {
        let reach = self.rx.max(self.ry) + margin;
        Bounds {
            low: at(self.centre.x - reach, self.centre.y - reach),
            high: at(self.centre.x + reach, self.centre.y + reach),
        }
    }
}

/// An ellipsoid whose third axis runs along z.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ellipsoid {
    pub(super) at: [f32; 3],
    pub(super) radii: [f32; 3],
    pub(super) tilt: f32,
}

impl Ellipsoid {
    /// Its section at height `z`, if any.
    pub(super) fn cut(&self, z: f32) -> Option<Ellipse> {
        let share = 1.0 - ((z - self.at[2]) / self.radii[2]).powi(2);
        (share > 0.0).then(|| {
            let share = share.sqrt();
            Ellipse::new(
                self.at[0],
                self.at[1],
                self.radii[0] * share,
                self.radii[1] * share,
                self.tilt,
            )
        })
    }
}

/// Signed distance to a line from `a` to `b` drawn with a round pen of the given radius.
pub(super) fn stroke(p: Point, a: Point, b: Point, radius: f32) -> f32 {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let along = ((p.x - a.x) * dx + (p.y - a.y) * dy) / (dx * dx + dy * dy).max(1e-6);
    let t = along.clamp(0.0, 1.0);
    (p.x - a.x - t * dx).hypot(p.y - a.y - t * dy) - radius
}

/// The box that holds a stroke.
pub(super) fn around(a: Point, b: Point, radius: f32) -> Bounds {
    Bounds {
        low: at(a.x.min(b.x) - radius, a.y.min(b.y) - radius),
        high: at(a.x.max(b.x) + radius, a.y.max(b.y) + radius),
    }
}

/// The union of two shapes with the notch between them filled over `k` millimetres.
pub(super) fn merge(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.min(b) - h * h * k * 0.25
}

/// A box in the slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) low: Point,
    pub(super) high: Point,
}

/// Everything.
pub(super) const EVERYWHERE: Bounds = Bounds {
    low: at(-1e6, -1e6),
    high: at(1e6, 1e6),
};

/// Signed distances to the layers of the body, millimetres, negative inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layers {
    /// To the skin.
    pub(super) skin: f32,
    /// To the outline of the muscles.
    pub(super) muscle: f32,
    /// To the inner side of the muscle wall.
    pub(super) cavity: f32,
    /// To the diaphragm, within the slice; negative in the lung.
    pub(super) lung: f32,
}

/// What a brush knows about the pixel it paints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    /// The place in the body.
    pub(super) p: Point,
    /// The same place moved by a smooth random field: soft organs drawn with it are never true ellipses.
    pub(super) soft: Point,
    /// Distance to the patient's kidneys and tumours, millimetres.
    pub(super) clear: f32,
    /// Where it lies in the layers of the body.
    pub(super) body: Layers,
    /// Coarse tissue unevenness (about 25 mm), in [-1, 1].
    pub(super) lumps: f32,
    /// Fine tissue unevenness (about 5 mm), in [-1, 1].
    pub(super) grain: f32,
}

/// The seeds and strengths of the fields that are shared by all slices of one phantom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) seed: u64,
    /// How far soft organs are pushed out of shape, millimetres.
    pub(super) warp: f32,
}

/// Air further than this from the skin is left without texture.
const AROUND_MM: f32 = 20.0;

/// The largest move of `Site::soft`, as a multiple of `Fields::warp`.
const WARP_REACH: f32 = 1.35;

/// A slice under the brush.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) grid: Grid,
    pub(super) z: f32,
    /// HU so far.
    pub(super) hu: Vec<f32>,
    sites: Vec<Site>,
    reach: f32,
}

impl Scene {
    /// A slice of air at height `z`. `clear` is the distance of each pixel to the kidneys, millimetres.
    pub(super) fn new(
        grid: Grid,
        z: f32,
        fields: Fields,
        clear: &[f32],
        layers: impl Fn(Point) -> Layers,
    ) -> Self {
        let noise = |salt, scale| Noise::new(fields.seed.wrapping_add(salt), scale);
        let (push_x, push_y) = (noise(1, 55.0), noise(2, 55.0));
        let (crumple_x, crumple_y) = (noise(3, 17.0), noise(4, 17.0));
        let (lumps, grain) = (noise(5, 25.0), noise(6, 5.0));
        let sites = clear
            .iter()
            .enumerate()
            .map(|(pixel, &clear)| {
                let p = grid.point(pixel);
                let body = layers(p);
                let mut site = Site {
                    p,
                    soft: p,
                    clear,
                    body,
                    lumps: 0.0,
                    grain: 0.0,
                };
                if body.skin < AROUND_MM {
                    let push = |long: &Noise, short: &Noise| {
                        fields.warp * (long.at(p.x, p.y, z) + 0.3 * short.at(p.x, p.y, z))
                    };
                    site.soft = at(
                        p.x + push(&push_x, &crumple_x),
                        p.y + push(&push_y, &crumple_y),
                    );
                    site.lumps = lumps.at(p.x, p.y, z);
                    site.grain = grain.at(p.x, p.y, z);
                }
                site
            })
            .collect();
        Self {
            grid,
            z,
            hu: vec![-1000.0; clear.len()],
            sites,
            reach: fields.warp * WARP_REACH,
        }
    }

    /// Lays a tissue over the slice where `shape` (signed distance in millimetres) is negative; pixels that the edge
    /// crosses hold both, as in a scanner.
    pub(super) fn paint(
        &mut self,
        bounds: Bounds,
        shape: impl Fn(&Site) -> f32,
        tissue: impl Fn(&Site) -> f32,
    ) {
        self.glaze(bounds, |site| {
            let distance = shape(site);
            (distance, &tissue)
        });
    }

    /// As [`Scene::paint`], for brushes whose tissue depends on the distance to the edge.
    pub(super) fn paint_by_depth(
        &mut self,
        bounds: Bounds,
        shape: impl Fn(&Site) -> f32,
        tissue: impl Fn(&Site, f32) -> f32,
    ) {
        let tissue = &tissue;
        self.glaze(bounds, |site| {
            let distance = shape(site);
            (distance, move |site: &Site| tissue(site, distance))
        });
    }

    fn glaze<T: Fn(&Site) -> f32>(&mut self, bounds: Bounds, brush: impl Fn(&Site) -> (f32, T)) {
        let grid = self.grid;
        let pixels = |low: f32, high: f32, corner: f32| {
            let first = ((low - self.reach - corner) / grid.pixel).floor();
            let past = ((high + self.reach - corner) / grid.pixel).ceil() + 1.0;
            (
                first.clamp(0.0, grid.size as f32) as usize,
                past.clamp(0.0, grid.size as f32) as usize,
            )
        };
        let (left, right) = pixels(bounds.low.x, bounds.high.x, grid.corner.x);
        let (top, bottom) = pixels(bounds.low.y, bounds.high.y, grid.corner.y);
        for row in top..bottom {
            for pixel in row * grid.size + left..row * grid.size + right.max(left) {
                let site = &self.sites[pixel];
                let (distance, tissue) = brush(site);
                let share = (0.5 - distance / grid.pixel).clamp(0.0, 1.0);
                if share > 0.0 {
                    self.hu[pixel] = lerp(self.hu[pixel], tissue(site), share);
                }
            }
        }
    }

    /// What is known about one pixel.
    pub(super) fn site(&self, pixel: usize) -> &Site {
        &self.sites[pixel]
    }
}
