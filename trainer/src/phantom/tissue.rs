//! HU of the tissues in the four phases of contrast enhancement.
//!
//! Typical values from radiology teaching texts, with the spread seen between patients; KiTS19 itself is nearly all
//! late arterial, where the renal cortex is far brighter than the medulla.

use super::rng::Rng;

/// How long ago the contrast agent was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No agent.
    Plain,
    /// 25 to 40 s: bright arteries, renal cortex over medulla.
    Arterial,
    /// 80 to 120 s: evenly bright kidneys, bright veins.
    Nephrographic,
    /// After 3 minutes: bright urine.
    Excretory,
}

impl Phase {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        [
            Self::Plain,
            Self::Arterial,
            Self::Nephrographic,
            Self::Excretory,
        ][rng.weighted(&[0.08, 0.50, 0.34, 0.08])]
    }
}

/// One patient's HU by tissue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tissues {
    pub(super) phase: Phase,
    pub(super) fat: f32,
    pub(super) muscle: f32,
    pub(super) liver: f32,
    pub(super) spleen: f32,
    pub(super) pancreas: f32,
    pub(super) artery: f32,
    pub(super) vein: f32,
    pub(super) cortex: f32,
    pub(super) medulla: f32,
    pub(super) urine: f32,
    pub(super) gut_wall: f32,
    pub(super) compact_bone: f32,
    pub(super) marrow: f32,
}

impl Tissues {
    pub(super) fn draw(phase: Phase, rng: &mut Rng) -> Self {
        // Mean and deviation, by phase in the order of the enum.
        let mut by_phase = |values: [(f32, f32); 4]| {
            let (mean, deviation) = values[phase as usize];
            rng.normal(mean, deviation)
        };
        let artery = by_phase([(42.0, 4.0), (300.0, 55.0), (160.0, 22.0), (125.0, 12.0)]);
        let vein = by_phase([(42.0, 4.0), (110.0, 28.0), (155.0, 20.0), (122.0, 12.0)]);
        let cortex = by_phase([(32.0, 4.0), (192.0, 32.0), (182.0, 26.0), (138.0, 18.0)]);
        let medulla = by_phase([(30.0, 4.0), (88.0, 20.0), (168.0, 24.0), (140.0, 18.0)]);
        let urine = by_phase([(4.0, 4.0), (6.0, 5.0), (10.0, 6.0), (700.0, 260.0)]);
        let liver = by_phase([(55.0, 7.0), (78.0, 12.0), (108.0, 14.0), (90.0, 10.0)]);
        let spleen = by_phase([(48.0, 4.0), (130.0, 20.0), (122.0, 12.0), (95.0, 8.0)]);
        let pancreas = by_phase([(40.0, 5.0), (98.0, 14.0), (88.0, 12.0), (75.0, 8.0)]);
        let gut_wall = by_phase([(38.0, 5.0), (95.0, 22.0), (95.0, 16.0), (75.0, 10.0)]);
        let muscle = by_phase([(50.0, 5.0), (58.0, 6.0), (64.0, 6.0), (62.0, 6.0)]);
        // One patient in eight has a fatty liver, darker than the spleen in every phase.
        let fatty = if rng.chance(0.12) {
            rng.range(20.0, 50.0)
        } else {
            0.0
        };
        Self {
            phase,
            fat: rng.normal(-104.0, 6.0),
            muscle,
            liver: liver - fatty,
            spleen,
            pancreas,
            artery,
            vein,
            cortex: cortex.max(medulla),
            medulla: medulla.min(cortex),
            urine: urine.clamp(-2.0, 1500.0),
            gut_wall,
            compact_bone: rng.range(420.0, 850.0),
            marrow: rng.range(90.0, 270.0),
        }
    }
}
