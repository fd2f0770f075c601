//! The road of a scan with one model: every slice is labelled once and lands where it belongs.

use std::fs::File;
use std::ops::ControlFlow;

use nephrobox_engine::scan::{Progress, ScanError, Visit, segment};
use nephrobox_imaging::{ImagingError, ScanReader};
use nephrobox_shared::class::Class;
use nephrobox_shared::preprocess::Preprocess;
use nephrobox_shared::report::{SliceRun, VisitedSlices};

use crate::support::{Oracle, PREPROCESS, SHAPE, expected, from_the_feet, kits, run};

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
            let all = SliceRun {
                first_slice: 0,
                last_slice: slices - 1,
            };
            let visited = VisitedSlices {
                slices,
                runs: vec![all],
            };
            assert_eq!(scan.visited, visited);
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
    let scan = segment(
        &mut reader,
        &mut [Oracle::new(2)],
        &PREPROCESS,
        Visit::Every,
        &mut |_| ControlFlow::Continue(()),
    )
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
        &mut [Oracle::new(3)],
        &PREPROCESS,
        Visit::Every,
        &mut |progress| {
            told.push(progress);
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    assert_eq!(told, [0, 3, 6, 7].map(|done| Progress { done, slices: 7 }));

    for stop in [0, 3] {
        let mut oracle = [Oracle::new(1)];
        let stopped = segment(
            &mut reader,
            &mut oracle,
            &PREPROCESS,
            Visit::Every,
            &mut |progress| {
                if progress.done == stop {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        assert!(matches!(stopped, Err(ScanError::Cancelled { done, slices: 7 }) if done == stop));
        // One slice may wait to be stored and one for a place to wait, when the word comes.
        assert!((stop..=stop + 2).contains(&oracle[0].calls.len()));
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

/// Shows RQ-45.
#[test]
fn preprocessing_of_another_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = ScanReader::open(kits(dir.path())).unwrap();
    let other = Preprocess::default();
    let refused = segment(
        &mut reader,
        &mut [Oracle::new(1)],
        &other,
        Visit::Every,
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(matches!(
        refused,
        Err(ScanError::Size {
            found: [256, 256],
            expected: [12, 20]
        })
    ));
}
