//! Whole scans with an oracle in place of the network: every slice is labelled once and lands where it belongs.

use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nephrobox_engine::model::{EngineError, SliceModel};
use nephrobox_engine::program::ArgmaxError;
use nephrobox_engine::scan::{Progress, ScanError, SegmentedScan, segment};
use nephrobox_imaging::{Geometry, ImagingError, ScanReader, Spacing, write_scan};
use nephrobox_shared::class::Class;
use nephrobox_shared::preprocess::Preprocess;

const SHAPE: [usize; 3] = [7, 24, 40];

const PREPROCESS: Preprocess = Preprocess {
    window: nephrobox_shared::preprocess::Window::ABDOMEN,
    interpolation: nephrobox_shared::preprocess::Interpolation::Linear,
    rows: 12,
    cols: 20,
    pad_to_square: false,
};

/// Labels by brightness, so its answers are known without a network.
struct Oracle {
    batch: usize,
    calls: Vec<usize>,
    fails_at: usize,
}

impl Oracle {
    const fn new(batch: usize) -> Self {
        Self {
            batch,
            calls: Vec::new(),
            fails_at: usize::MAX,
        }
    }

    fn label(value: f32) -> u8 {
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
fn hu(slice: usize, row: usize, col: usize) -> i16 {
    if (row + slice).is_multiple_of(6) {
        -900
    } else {
        (slice * 37 + row * 11 + col * 5) as i16 % 400 - 150
    }
}

fn phantom(slice: usize) -> Vec<i16> {
    let [_, rows, cols] = SHAPE;
    (0..rows * cols)
        .map(|i| hu(slice, i / cols, i % cols))
        .collect()
}

/// What the road must give for one slice, step by step.
fn expected(slice: usize) -> Vec<u8> {
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
fn kits(dir: &Path) -> PathBuf {
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
fn from_the_feet(dir: &Path) -> PathBuf {
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

fn run(path: &Path, oracle: &mut Oracle) -> Result<SegmentedScan, ScanError> {
    let mut reader = ScanReader::open(path)?;
    segment(&mut reader, oracle, &PREPROCESS, &mut |_| {
        ControlFlow::Continue(())
    })
}

#[test]
fn every_slice_is_labelled_and_lands_at_its_canonical_index() {
    let dir = tempfile::tempdir().unwrap();
    let [slices, rows, cols] = SHAPE;
    let mut found = Vec::new();
    for path in [kits(dir.path()), from_the_feet(dir.path())] {
        for (batch, calls) in [
            (1, vec![1; 7]),
            (3, vec![3, 3, 1]),
            (7, vec![7]),
            (50, vec![7]),
        ] {
            let mut oracle = Oracle::new(batch);
            let scan = run(&path, &mut oracle).unwrap();
            assert_eq!(oracle.calls, calls);
            assert_eq!(
                (scan.labels.slices(), scan.labels.missing()),
                (slices, None)
            );
            let mut labels = vec![9; rows * cols];
            for slice in 0..slices {
                scan.labels.read(slice, &mut labels).unwrap();
                assert_eq!(
                    labels,
                    expected(slice),
                    "slice {slice} of {}",
                    path.display()
                );
            }
            assert!(
                Class::ALL
                    .into_iter()
                    .all(|class| scan.labels.count(class) > 0)
            );
            found.push(scan);
        }
    }
    // Neither the file's order nor the batch changes anything, the midline included.
    assert!(found.iter().all(|scan| *scan == found[0]));
    assert!(found[0].midline.is_estimated());
}

#[test]
fn a_reader_that_was_used_before_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = kits(dir.path());
    let mut reader = ScanReader::open(&path).unwrap();
    reader
        .next_slice(&mut vec![0; SHAPE[1] * SHAPE[2]])
        .unwrap();
    let scan = segment(&mut reader, &mut Oracle::new(2), &PREPROCESS, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(scan, run(&path, &mut Oracle::new(2)).unwrap());
}

#[test]
fn progress_is_told_and_can_stop_the_scan() {
    let dir = tempfile::tempdir().unwrap();
    let path = kits(dir.path());
    let mut told = Vec::new();
    let mut reader = ScanReader::open(&path).unwrap();
    segment(
        &mut reader,
        &mut Oracle::new(3),
        &PREPROCESS,
        &mut |progress| {
            told.push(progress);
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    assert_eq!(told, [0, 3, 6, 7].map(|done| Progress { done, slices: 7 }));

    for stop in [0, 3] {
        let mut oracle = Oracle::new(1);
        let stopped = segment(&mut reader, &mut oracle, &PREPROCESS, &mut |progress| {
            if progress.done == stop {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(stopped, Err(ScanError::Cancelled { done, slices: 7 }) if done == stop));
        assert_eq!(oracle.calls.len(), stop);
    }
}

#[test]
fn a_file_that_breaks_off_ends_the_scan_with_the_readers_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = kits(dir.path());
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(std::fs::metadata(&path).unwrap().len() - 30)
        .unwrap();
    let broken = run(&path, &mut Oracle::new(1)).unwrap_err();
    assert!(
        matches!(broken, ScanError::Imaging(ImagingError::DamagedGzip { .. })),
        "{broken}"
    );
}

#[test]
fn a_failing_network_is_reported_with_its_slice() {
    let dir = tempfile::tempdir().unwrap();
    let path = kits(dir.path());
    let mut oracle = Oracle {
        fails_at: 2,
        ..Oracle::new(2)
    };
    let failed = run(&path, &mut oracle).unwrap_err();
    assert!(
        failed
            .to_string()
            .starts_with("slice 4 cannot be labelled: "),
        "{failed}"
    );
}

#[test]
fn preprocessing_of_another_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = ScanReader::open(kits(dir.path())).unwrap();
    let other = Preprocess::default();
    let refused = segment(&mut reader, &mut Oracle::new(1), &other, &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(matches!(
        refused,
        Err(ScanError::Size {
            found: [256, 256],
            expected: [12, 20]
        })
    ));
}
