//! The planner's distance and the whole machinery of a fast scan on all label volumes of KiTS19.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nephrobox_engine::model::{Labeller, SliceModel, SliceShape};
use nephrobox_engine::scan::{COARSE_MM, Visit, segment};
use nephrobox_imaging::{Geometry, LabelReader, ScanReader, write_scan};
use nephrobox_shared::preprocess::{Preprocess, Window};

/// Rows and columns of a volume made small.
const SIDE: usize = 16;

const PREPROCESS: Preprocess = Preprocess {
    window: Window::ABDOMEN,
    interpolation: nephrobox_shared::preprocess::Interpolation::Linear,
    rows: SIDE,
    cols: SIDE,
    pad_to_square: false,
};

/// HU that the oracle takes for background, kidney and tumour.
const HU: [i16; 3] = [-100, 100, 200];

fn oracle() -> impl SliceModel + Send {
    Labeller::new(SliceShape::new([SIDE, SIDE]), |images, _, labels| {
        for (label, &value) in labels.iter_mut().zip(images) {
            *label = u8::from(value > 0.4) + u8::from(value > 0.8);
        }
        Ok(())
    })
}

/// A label volume with all its slices and the highest label of each block of pixels.
fn small(path: &Path) -> (Geometry, Vec<[u8; SIDE * SIDE]>) {
    let mut reader = LabelReader::open(path).unwrap();
    let [slices, rows, cols] = reader.geometry().shape();
    let geometry = Geometry::kits([slices, SIDE, SIDE], reader.geometry().spacing()).unwrap();
    let mut volume = vec![[0; SIDE * SIDE]; slices];
    reader
        .for_each_line(&mut |line, labels| {
            assert_eq!(line.axis, 0, "slices are the fastest axis of these files");
            // Most lines run through background alone, and this compares many voxels at once.
            if labels.iter().fold(0, |any, &label| any | label) == 0 {
                return;
            }
            let [_, row, col] = line.start;
            let block = row * SIDE / rows * SIDE + col * SIDE / cols;
            for (i, &label) in labels.iter().enumerate() {
                let pixel = &mut volume[line.voxel(i)[0]][block];
                *pixel = label.max(*pixel);
            }
        })
        .unwrap();
    (geometry, volume)
}

/// What one case tells: slices, labelled slices, their extent in mm, slices visited by a fast scan.
struct Case {
    slices: usize,
    labelled: usize,
    extent_mm: f64,
    visited: usize,
}

fn case(path: &Path, folder: &Path, workers: usize) -> Case {
    let (geometry, volume) = small(path);
    let labelled: Vec<usize> = (0..volume.len())
        .filter(|&slice| volume[slice].iter().any(|&label| label > 0))
        .collect();
    let (first, last) = (labelled[0], labelled[labelled.len() - 1]);
    assert_eq!(
        last - first + 1,
        labelled.len(),
        "{} has two runs",
        path.display()
    );

    let scan = folder.join("imaging.nii.gz");
    write_scan(&scan, &geometry, &mut |slice, out| {
        for (hu, &label) in out.iter_mut().zip(&volume[slice]) {
            *hu = HU[usize::from(label)];
        }
    })
    .unwrap();
    let mut reader = ScanReader::open(&scan).unwrap();
    let mut run = |workers: usize, visit| {
        let mut oracles: Vec<_> = (0..workers).map(|_| oracle()).collect();
        segment(&mut reader, &mut oracles, &PREPROCESS, visit, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap()
    };
    let (every, fast) = (run(1, Visit::Every), run(workers, Visit::Fast));
    assert_eq!(fast.labels, every.labels, "{}", path.display());
    let mut found = [0; SIDE * SIDE];
    for (slice, truth) in volume.iter().enumerate() {
        fast.labels.read(slice, &mut found).unwrap();
        assert_eq!(found, *truth, "slice {slice} of {}", path.display());
    }
    Case {
        slices: volume.len(),
        labelled: labelled.len(),
        extent_mm: labelled.len() as f64 * geometry.spacing().slice_mm,
        visited: fast.visited.slices,
    }
}

/// The numbers here stand in the documentation of [`COARSE_MM`] and in `docs/decisions/0006-whole-scans.md`.
#[test]
fn a_fast_scan_of_each_of_the_210_cases_gives_the_whole_label_map() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/kits19-labels");
    if !folder.is_dir() {
        eprintln!("skipped: ../shared is not here");
        return;
    }
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("segmentation.nii.gz"))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    assert_eq!(paths.len(), 210);

    let next = Mutex::new(paths.iter().enumerate());
    let cases = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let home = tempfile::tempdir().unwrap();
                loop {
                    let Some((index, path)) = next.lock().unwrap().next() else {
                        return;
                    };
                    let case = case(path, home.path(), 1 + index % 4);
                    cases.lock().unwrap().push(case);
                }
            });
        }
    });

    let cases = cases.into_inner().unwrap();
    let sum = |count: fn(&Case) -> usize| cases.iter().map(count).sum::<usize>();
    assert_eq!(
        (sum(|case| case.slices), sum(|case| case.labelled)),
        (45_424, 16_336)
    );
    let shortest_mm = cases
        .iter()
        .map(|case| case.extent_mm)
        .fold(f64::MAX, f64::min);
    let fewest = cases.iter().map(|case| case.labelled).min();
    assert!((shortest_mm - 95.0).abs() < 1e-3, "{shortest_mm} mm");
    assert_eq!(fewest, Some(20));
    assert!(shortest_mm > 6.0 * COARSE_MM, "the margin that was chosen");
    assert_eq!(sum(|case| case.visited), 25_187);
}
