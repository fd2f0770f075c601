//! A phantom without any symmetry, and an oracle in place of the network.

use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nephrobox_engine::model::{EngineError, SliceModel};
use nephrobox_engine::program::ArgmaxError;
use nephrobox_engine::scan::{ScanError, SegmentedScan, Visit, segment};
use nephrobox_imaging::{Geometry, ScanReader, Spacing, write_scan};
use nephrobox_shared::preprocess::{Interpolation, Preprocess, Window};

pub(crate) const SHAPE: [usize; 3] = [7, 24, 40];

pub(crate) const PREPROCESS: Preprocess = Preprocess {
    window: Window::ABDOMEN,
    interpolation: Interpolation::Linear,
    rows: 12,
    cols: 20,
    pad_to_square: false,
};

/// Labels by brightness, so its answers are known without a network.
pub(crate) struct Oracle {
    pub(crate) batch: usize,
    pub(crate) calls: Vec<usize>,
    pub(crate) fails_at: usize,
}

impl Oracle {
    pub(crate) const fn new(batch: usize) -> Self {
        Self {
            batch,
            calls: Vec::new(),
            fails_at: usize::MAX,
        }
    }

    pub(crate) fn label(value: f32) -> u8 {
        u8::from(value > 0.4) + u8::from(value > 0.8)
    }
}

impl SliceModel for Oracle {
    fn rows(&self) -> usize {
        PREPROCESS.rows
    }

    fn cols(&self) -> usize {
        PREPROCESS.cols
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn segment(
        &mut self,
        images: &[f32],
        batch: usize,
        labels: &mut [u8],
    ) -> Result<(), EngineError> {
        if self.calls.len() == self.fails_at {
            return Err(ArgmaxError::NotANumber.into());
        }
        self.calls.push(batch);
        assert_eq!(images.len(), batch * PREPROCESS.rows * PREPROCESS.cols);
        assert_eq!(images.len(), labels.len());
        for (label, &value) in labels.iter_mut().zip(images) {
            *label = Self::label(value);
        }
        Ok(())
    }
}

/// HU of a phantom in which no two slices, rows or columns are alike.
pub(crate) fn hu(slice: usize, row: usize, col: usize) -> i16 {
    if (row + slice).is_multiple_of(6) {
        -900
    } else {
        (slice * 37 + row * 11 + col * 5) as i16 % 400 - 150
    }
}

pub(crate) fn phantom(slice: usize) -> Vec<i16> {
    let [_, rows, cols] = SHAPE;
    (0..rows * cols)
        .map(|i| hu(slice, i / cols, i % cols))
        .collect()
}

/// What the road must give for one slice, step by step.
pub(crate) fn expected(slice: usize) -> Vec<u8> {
    let [_, rows, cols] = SHAPE;
    let mut small = vec![0.0; PREPROCESS.rows * PREPROCESS.cols];
    PREPROCESS
        .image(&phantom(slice), rows, cols, &mut small)
        .unwrap();
    let small: Vec<u8> = small.into_iter().map(Oracle::label).collect();
    let mut labels = vec![0; rows * cols];
    PREPROCESS
        .labels_back(&small, rows, cols, &mut labels)
        .unwrap();
    labels
}

/// The phantom as KiTS19 files are: slices on the fastest axis.
pub(crate) fn kits(dir: &Path) -> PathBuf {
    let path = dir.join("imaging.nii.gz");
    let spacing = Spacing::new(3.0, 0.8, 0.7).unwrap();
    let geometry = Geometry::kits(SHAPE, spacing).unwrap();
    write_scan(&path, &geometry, &mut |slice, out| {
        out.copy_from_slice(&phantom(slice));
    })
    .unwrap();
    path
}

/// The phantom as most scanners' exports are: slices on the slowest axis, **from the feet**.
pub(crate) fn from_the_feet(dir: &Path) -> PathBuf {
    let [slices, rows, cols] = SHAPE;
    let mut header = [0_u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348_i32.to_le_bytes());
    for (i, n) in [3, cols, rows, slices, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * i, &(n as i16).to_le_bytes());
    }
    put(70, &4_i16.to_le_bytes()); // int16
    put(72, &16_i16.to_le_bytes());
    for (i, mm) in [1.0_f32, 0.7, 0.8, 3.0].into_iter().enumerate() {
        put(76 + 4 * i, &mm.to_le_bytes());
    }
    put(108, &352.0_f32.to_le_bytes());
    put(123, &[2]); // mm
    put(254, &1_i16.to_le_bytes()); // sform: columns to the left, rows to the back, slices to the head
    for (i, (axis, mm)) in [(0, -0.7_f32), (1, -0.8), (2, 3.0)].into_iter().enumerate() {
        put(280 + 16 * i + 4 * axis, &mm.to_le_bytes());
    }
    put(344, b"n+1\0");
    let path = dir.join("from_the_feet.nii");
    let mut file = File::create(&path).unwrap();
    file.write_all(&header).unwrap();
    for slice in (0..slices).rev() {
        let bytes: Vec<u8> = phantom(slice)
            .into_iter()
            .flat_map(i16::to_le_bytes)
            .collect();
        file.write_all(&bytes).unwrap();
    }
    path
}

/// Every slice of a scan with one oracle.
pub(crate) fn run(path: &Path, oracle: &mut Oracle) -> Result<SegmentedScan, ScanError> {
    let mut reader = ScanReader::open(path)?;
    let oracles = std::slice::from_mut(oracle);
    segment(&mut reader, oracles, &PREPROCESS, Visit::Every, &mut |_| {
        ControlFlow::Continue(())
    })
}
