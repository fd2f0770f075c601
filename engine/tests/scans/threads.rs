//! Several models at once: the same result in any order of events, and an end after any failure.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use nephrobox_engine::model::{Labeller, SliceModel};
use nephrobox_engine::program::ArgmaxError;
use nephrobox_engine::scan::{Progress, ScanError, SegmentedScan, Visit, segment};
use nephrobox_imaging::{ImagingError, ScanReader, write_scan};

use crate::support::{Oracle, PREPROCESS, SHAPE, from_the_feet, kits, phantom, run};

const VISITS: [Visit; 2] = [Visit::Every, Visit::Fast];

/// What happens at a certain call, counted over all models of a scan.
#[derive(Clone, Copy)]
enum Accident {
    None,
    Error(usize),
    Panic(usize),
    /// The first call does not return before this many others have.
    Waits(usize),
}

/// An oracle that takes its time, up to `most_us` and a different one for each call.
fn slow(
    mut oracle: Oracle,
    mut seed: u64,
    most_us: u64,
    calls: &AtomicUsize,
    accident: Accident,
) -> impl SliceModel + Send {
    Labeller::new(oracle.shape(), move |images, batch, labels| {
        // SplitMix64.
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        std::thread::sleep(Duration::from_micros((z ^ (z >> 31)) % (most_us + 1)));
        let call = calls.fetch_add(1, Ordering::Relaxed);
        match accident {
            Accident::Error(at) if at == call => return Err(ArgmaxError::NotANumber.into()),
            Accident::Panic(at) if at == call => panic!("call {call} of the oracle"),
            Accident::Waits(others) if call == 0 => {
                while calls.load(Ordering::Relaxed) <= others {
                    std::thread::yield_now();
                }
            }
            _ => {}
        }
        oracle.segment(images, batch, labels)
    })
}

/// A scan with models of different speed.
fn with_delays(
    path: &Path,
    [workers, batch]: [usize; 2],
    visit: Visit,
    seed: u64,
    accident: Accident,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SegmentedScan, ScanError> {
    let calls = AtomicUsize::new(0);
    let mut models: Vec<_> = (0..workers as u64)
        .map(|worker| {
            let most_us = if (seed + worker).is_multiple_of(3) {
                0
            } else {
                400
            };
            let oracle = Oracle::new(batch);
            slow(oracle, seed * 100 + worker, most_us, &calls, accident)
        })
        .collect();
    let mut reader = ScanReader::open(path)?;
    segment(&mut reader, &mut models, &PREPROCESS, visit, on_progress)
}

/// Fails in place of waiting for ever.
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = channel();
    let worker = std::thread::spawn(move || {
        work();
        let _ = sender.send(());
    });
    let ended = receiver.recv_timeout(Duration::from_mins(2));
    assert!(
        ended != Err(RecvTimeoutError::Timeout),
        "the threads wait for each other"
    );
    if let Err(panic) = worker.join() {
        std::panic::resume_unwind(panic);
    }
}

const GO_ON: fn(Progress) -> ControlFlow<()> = |_| ControlFlow::Continue(());

#[test]
fn any_number_of_workers_gives_one_result() {
    in_time(|| {
        let dir = tempfile::tempdir().unwrap();
        for path in [kits(dir.path()), from_the_feet(dir.path())] {
            let expected = run(&path, &mut Oracle::new(1)).unwrap();
            for seed in 0..4 {
                for workers in 1..=4 {
                    for batch in [1, 2, 3, 50] {
                        let mut told = Vec::new();
                        let found = with_delays(
                            &path,
                            [workers, batch],
                            Visit::Every,
                            seed,
                            Accident::None,
                            &mut |progress| {
                                told.push(progress.done);
                                ControlFlow::Continue(())
                            },
                        );
                        assert_eq!(found.unwrap(), expected, "{workers} workers, batch {batch}");
                        assert_eq!((told[0], told[told.len() - 1]), (0, SHAPE[0]));
                        assert!(told.is_sorted_by(|a, b| a < b), "{told:?}");
                    }
                }
            }
        }
    });
}

#[test]
fn one_slice_that_takes_very_long_holds_up_no_other() {
    in_time(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = kits(dir.path());
        let expected = run(&path, &mut Oracle::new(1)).unwrap();
        for workers in 2..=4 {
            // Ends only if all the others are labelled meanwhile.
            let others = Accident::Waits(SHAPE[0] - 1);
            let found = with_delays(&path, [workers, 1], Visit::Every, 1, others, &mut { GO_ON });
            assert_eq!(found.unwrap(), expected);
        }
    });
}

#[test]
fn a_model_that_fails_at_any_slice_ends_the_scan() {
    in_time(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = kits(dir.path());
        for fails_at in 0..SHAPE[0] {
            for workers in 1..=4 {
                for (batch, visit) in [(1, Visit::Every), (1, Visit::Fast), (2, Visit::Every)] {
                    let failed = with_delays(
                        &path,
                        [workers, batch],
                        visit,
                        fails_at as u64,
                        Accident::Error(fails_at),
                        &mut { GO_ON },
                    );
                    // With two slices a batch there are four calls; in any case the scan has come to an end.
                    match failed {
                        Err(ScanError::Engine { slice, .. }) => assert!(slice < SHAPE[0]),
                        Ok(_) => assert!(batch == 2 && fails_at >= 4),
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        }
    });
}

#[test]
fn a_model_that_panics_takes_the_scan_with_it_and_nobody_waits() {
    in_time(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = kits(dir.path());
        for workers in 1..=4 {
            let scan = || {
                with_delays(
                    &path,
                    [workers, 1],
                    Visit::Every,
                    1,
                    Accident::Panic(3),
                    &mut { GO_ON },
                )
            };
            let panic = catch_unwind(AssertUnwindSafe(scan)).unwrap_err();
            let words = panic.downcast_ref::<String>().map(String::as_str);
            assert_eq!(words, Some("call 3 of the oracle"), "its own words");
        }
    });
}

#[test]
fn the_caller_can_stop_the_scan_at_any_time() {
    in_time(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = kits(dir.path());
        for stop in 0..=SHAPE[0] {
            for workers in 1..=4 {
                for visit in VISITS {
                    let stopped = with_delays(
                        &path,
                        [workers, 1],
                        visit,
                        stop as u64,
                        Accident::None,
                        &mut |progress| {
                            if progress.done >= stop {
                                ControlFlow::Break(())
                            } else {
                                ControlFlow::Continue(())
                            }
                        },
                    );
                    assert!(
                        matches!(stopped, Err(ScanError::Cancelled { done, slices: 7 }) if done >= stop),
                        "{stopped:?}"
                    );
                }
            }
        }
        // A callback that panics is the caller's own fault, and still nobody waits.
        let scan = || {
            with_delays(&path, [4, 1], Visit::Every, 1, Accident::None, &mut |_| {
                panic!("progress")
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(scan)).is_err());
    });
}

#[test]
fn a_file_that_breaks_in_the_middle_ends_the_scan_with_the_readers_words() {
    in_time(|| {
        let dir = tempfile::tempdir().unwrap();
        // Compressed, and slices on the slowest axis: read while the network runs.
        let whole = ScanReader::open(from_the_feet(dir.path())).unwrap();
        let path = dir.path().join("from_the_feet.nii.gz");
        write_scan(&path, whole.geometry(), &mut |slice, out| {
            out.copy_from_slice(&phantom(slice));
        })
        .unwrap();
        assert!(ScanReader::open(&path).unwrap().geometry().streams());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        for workers in 1..=4 {
            for visit in VISITS {
                let broken = with_delays(&path, [workers, 1], visit, 5, Accident::None, &mut {
                    GO_ON
                });
                let error = broken.unwrap_err();
                assert!(
                    matches!(error, ScanError::Imaging(ImagingError::DamagedGzip { .. })),
                    "{error}"
                );
            }
        }
    });
}

#[test]
fn without_a_model_there_is_no_scan() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = ScanReader::open(kits(dir.path())).unwrap();
    let none = &mut [] as &mut [Oracle];
    let refused = segment(&mut reader, none, &PREPROCESS, Visit::Every, &mut { GO_ON });
    assert!(matches!(refused, Err(ScanError::NoModel)));
}
