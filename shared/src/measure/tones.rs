//! What a scan's values look like as a whole, to notice when they are not HU.

/// Counts of voxels by their HU.
///
/// Sums are integers, so slices may come in any order.
///
/// ```
/// use nephrobox_shared::measure::Tones;
/// let mut tones = Tones::new();
/// tones.add(&[-1000, -1000, 40, 1200]);
/// assert_eq!((tones.air(), tones.soft_tissue(), tones.dense()), (0.5, 0.25, 0.25));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tones {
    voxels: u64,
    air: u64,
    soft_tissue: u64,
    dense: u64,
}

impl Tones {
    /// Up to here a voxel counts as air or lung, HU.
    pub const AIR_UP_TO_HU: i16 = -500;
    /// From here a voxel counts as soft tissue: water, blood, muscle, organs with or without contrast agent, HU.
    pub const SOFT_FROM_HU: i16 = -20;
    /// Up to here a voxel counts as soft tissue, HU.
    pub const SOFT_UP_TO_HU: i16 = 250;
    /// From here a voxel counts as dense: compact bone and metal, HU.
    pub const DENSE_FROM_HU: i16 = 700;

    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self {
            voxels: 0,
            air: 0,
            soft_tissue: 0,
            dense: 0,
        }
    }

    /// Adds voxels in HU.
    pub fn add(&mut self, hu: &[i16]) {
        let (mut air, mut soft, mut dense) = (0_u64, 0_u64, 0_u64);
        for &hu in hu {
            air += u64::from(hu <= Self::AIR_UP_TO_HU);
            soft += u64::from((Self::SOFT_FROM_HU..=Self::SOFT_UP_TO_HU).contains(&hu));
            dense += u64::from(hu >= Self::DENSE_FROM_HU);
        }
        self.voxels += hu.len() as u64;
        self.air += air;
        self.soft_tissue += soft;
        self.dense += dense;
    }

    /// Voxels seen.
    pub const fn voxels(&self) -> u64 {
        self.voxels
    }

    /// The part that is air or lung, 0 to 1; 0 before any voxel.
    pub fn air(&self) -> f64 {
        self.share(self.air)
    }

    /// The part that is soft tissue, 0 to 1.
    pub fn soft_tissue(&self) -> f64 {
        self.share(self.soft_tissue)
    }

    /// The part that is dense, 0 to 1.
    pub fn dense(&self) -> f64 {
        self.share(self.dense)
    }

    fn share(&self, part: u64) -> f64 {
        part as f64 / self.voxels.max(1) as f64
    }
}
