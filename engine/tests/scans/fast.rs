//! A scan that is looked at coarsely first.

use std::ops::ControlFlow;
use std::path::Path;

use nephrobox_engine::scan::{SegmentedScan, Visit, segment};
use nephrobox_imaging::{Geometry, ScanReader, Spacing, write_scan};
use nephrobox_shared::class::Class;
use nephrobox_shared::report::SliceRun;

use crate::support::{Oracle, PREPROCESS};

/// A scan of 100 slices, 3 mm apart, in which only slices 31 to 52 show anything.
fn one_run(path: &Path) {
    let geometry = Geometry::kits([100, 24, 40], Spacing::new(3.0, 0.8, 0.8).unwrap()).unwrap();
    write_scan(path, &geometry, &mut |slice, out| {
        out.fill(if (31..=52).contains(&slice) {
            100
        } else {
            -100
        });
    })
    .unwrap();
}

fn scan(path: &Path, oracles: &mut [Oracle], visit: Visit) -> SegmentedScan {
    let mut reader = ScanReader::open(path).unwrap();
    segment(&mut reader, oracles, &PREPROCESS, visit, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap()
}

#[test]
fn a_fast_scan_shows_the_network_less_and_finds_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("imaging.nii.gz");
    one_run(&path);
    let every = scan(&path, &mut [Oracle::new(1)], Visit::Every);
    assert_eq!(every.visited.slices, 100);
    assert_eq!(every.labels.count(Class::Kidney), 22 * 24 * 40);
    for workers in 1..=3 {
        for batch in [1, 2, 8] {
            let mut oracles: Vec<_> = (0..workers).map(|_| Oracle::new(batch)).collect();
            let fast = scan(&path, &mut oracles, Visit::Fast);
            assert_eq!(fast.labels, every.labels);
            assert_eq!(fast.midline, every.midline, "it is taken from every slice");
            // Every fifth slice, and all up to nine from the coarse hits 35 to 50; the last slice is coarse too.
            let alone = |slice| SliceRun {
                first_slice: slice,
                last_slice: slice,
            };
            let around = SliceRun {
                first_slice: 25,
                last_slice: 60,
            };
            let mut runs: Vec<_> = [0, 5, 10, 15, 20].map(alone).into();
            runs.push(around);
            runs.extend([65, 70, 75, 80, 85, 90, 95, 99].map(alone));
            assert_eq!(fast.visited.runs, runs);
            let shown: usize = oracles.iter().flat_map(|oracle| &oracle.calls).sum();
            assert_eq!((shown, fast.visited.slices), (49, 49));
        }
    }
}
