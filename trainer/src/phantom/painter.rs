//! One patient, drawn once and painted slice by slice: the anatomy that both kinds of phantom share.

use super::acquisition::{Acquisition, Storage};
use super::body::{Body, Room};
use super::bowel::Bowel;
use super::kidney::{Masks, Renal, Surroundings};
use super::organs::Organs;
use super::rng::Rng;
use super::scene::{Fields, Grid, Scene};
use super::spine::Skeleton;
use super::tissue::{Phase, Tissues};
use super::vessels::Vessels;

/// Everything about a patient but the kidneys' masks.
#[derive(Clone, Debug)]
pub(super) struct Patient {
    tissues: Tissues,
    body: Body,
    skeleton: Skeleton,
    organs: Organs,
    vessels: Vessels,
    bowel: Bowel,
    renal: Renal,
    acquisition: Acquisition,
    fields: Fields,
}

/// What a patient must comply with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes<'a> {
    pub(super) room: Room<'a>,
    /// Free half width between the kidneys, millimetres.
    pub(super) narrow: f32,
    /// The phase of the contrast agent; drawn where none is asked for.
    pub(super) phase: Option<Phase>,
    pub(super) storage: Storage,
    /// Where benign cysts of the kidneys may be centred, millimetres.
    pub(super) cysts: &'a [[f32; 3]],
}

impl Patient {
    pub(super) fn draw(rng: &mut Rng, wishes: &Wishes<'_>) -> Self {
        let phase = wishes.phase.unwrap_or_else(|| Phase::draw(rng));
        let tissues = Tissues::draw(phase, rng);
        let body = Body::draw(rng, wishes.room);
        let skeleton = Skeleton::draw(rng, wishes.narrow);
        let organs = Organs::draw(rng, &body, &tissues);
        let vessels = Vessels::draw(rng, skeleton.ry);
        let bowel = Bowel::draw(rng, &body);
        let with_cysts = rng.chance(0.25);
        let mut renal = Renal::draw(rng, &tissues, with_cysts);
        renal.place_cysts(rng, wishes.cysts);
        let acquisition = Acquisition::draw(rng, wishes.storage);
        let fields = Fields {
            seed: rng.bits(),
            warp: rng.range(4.0, 9.0),
        };
        Self {
            tissues,
            body,
            skeleton,
            organs,
            vessels,
            bowel,
            renal,
            acquisition,
            fields,
        }
    }

    /// The same patient in another scanner.
    pub(super) fn with_acquisition(mut self, acquisition: Acquisition) -> Self {
        self.acquisition = acquisition;
        self
    }

    /// Paints and scans the slice at height `z` millimetres; `noise` is the scanner's noise alone.
    pub(super) fn slice(&self, grid: Grid, z: f32, masks: &Masks, noise: &mut Rng) -> Vec<i16> {
        self.acquisition.scan(self.paint(grid, z, masks), noise)
    }

    /// The slice before it is scanned.
    pub(super) fn paint(&self, grid: Grid, z: f32, masks: &Masks) -> Scene {
        let near = Surroundings::of(masks, &grid);
        let mut scene = Scene::new(grid, z, self.fields, &near.clear, |p| {
            self.body.layers(p, z)
        });
        self.body.paint(&mut scene, &self.tissues);
        Body::paint_lungs(&mut scene);
        self.vessels.paint_mesentery(&mut scene, &self.tissues);
        self.skeleton
            .paint_muscles(&mut scene, &self.body, &self.tissues);
        self.bowel.paint(&mut scene, &self.tissues);
        self.organs.paint(&mut scene, &self.tissues);
        self.vessels.paint_great(&mut scene, &self.tissues);
        self.skeleton
            .paint_bones(&mut scene, &self.body, &self.tissues);
        self.vessels
            .paint_renal(&mut scene, masks, &near, &self.tissues);
        self.renal.paint(&mut scene, masks, &near, &self.tissues);
        self.body.paint_table(&mut scene);
        scene
    }
}
