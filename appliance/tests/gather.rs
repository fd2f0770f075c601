//! Slices that come in one by one become scans in the queue: whole, once, and through any restart.

mod support;

// Series as the reader's own tests make them.
#[path = "../../imaging/tests/dicom/series.rs"]
mod series;

#[path = "gather/damage.rs"]
mod damage;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use nephrobox::intake::Turn;
use nephrobox::intake::dicom::{Gathered, Gatherer, Refused, Settings};
use nephrobox::spool::{self, Refusal, Spool, State};
use nephrobox::storage::Folder;
use series::{SUPINE, SliceFile};
use tempfile::TempDir;

const SETTINGS: Settings = Settings {
    quiet: Duration::from_mins(1),
    most_bytes: 10_000_000,
    most_objects: 1000,
    floor_bytes: 0,
    fast: false,
};

/// A gatherer and a queue in folders of their own, and a clock that the test moves.
struct Bench {
    home: TempDir,
    gatherer: Gatherer,
    spool: Spool<Folder>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with(SETTINGS, spool::Settings::default())
    }

    fn with(settings: Settings, queue: spool::Settings) -> Self {
        let home = TempDir::new().expect("a folder");
        let gatherer = Gatherer::open(&home.path().join("dicom"), settings).expect("a folder");
        let storage = Folder::open(&home.path().join("spool")).expect("a folder");
        let spool = Spool::open(storage, queue).expect("a queue").0;
        Self {
            home,
            gatherer,
            spool,
            now: Instant::now(),
        }
    }

    /// What a cut of the power leaves is what lies on the disk.
    fn restart(&mut self) {
        let folder = self.home.path().join("dicom");
        self.gatherer = Gatherer::open(&folder, SETTINGS).expect("a start");
    }

    /// The same, with another configuration of the queue.
    fn restart_with(&mut self, queue: spool::Settings) {
        self.restart();
        let storage = Folder::open(&self.home.path().join("spool")).expect("a folder");
        self.spool = Spool::open(storage, queue).expect("a queue").0;
    }

    fn store(&self, peer: &str, bytes: &[u8]) -> Result<(), Refused> {
        let mut part = self.gatherer.begin()?;
        // In pieces, as a network brings it.
        for piece in bytes.chunks(1000) {
            part.write_all(piece)?;
        }
        self.gatherer.take(part, peer)
    }

    fn store_all(&self, slices: &[SliceFile]) {
        for slice in slices {
            self.store("CT1", &slice.encode()).expect("stored");
        }
    }

    /// Where a slice lies until its series is in the queue.
    fn lies(&self, slice: &SliceFile) -> PathBuf {
        let hash = blake3::hash(&slice.encode()).to_hex();
        let series = fs::read_dir(self.home.path().join("dicom/series")).expect("a folder");
        let mut paths = series.map(|series| series.expect("a name").path().join(&hash[..32]));
        paths
            .find(|path| path.symlink_metadata().is_ok())
            .expect("stored")
    }

    fn turn(&mut self, seconds: u64) -> Turn<Gathered> {
        self.now = self.now.max(Instant::now()) + Duration::from_secs(seconds);
        self.gatherer.turn(&self.spool, self.now)
    }

    fn later(&mut self, seconds: u64) -> Vec<Gathered> {
        self.turn(seconds).whole().expect("a disk")
    }

    fn scans(&self) -> usize {
        let listing = self.spool.listing().expect("a disk");
        let waiting = |state: &State| matches!(state, State::Waiting { .. });
        listing.iter().filter(|one| waiting(&one.state)).count()
    }
}

fn objects(gathered: &[Gathered]) -> Vec<usize> {
    let taken = gathered.iter().map(|one| match one {
        Gathered::Taken { objects, .. } => *objects,
        other => panic!("{other:?}"),
    });
    taken.collect()
}

fn slices() -> Vec<SliceFile> {
    series::series(SUPINE)
}

#[test]
fn a_series_goes_into_the_queue_once_it_has_been_quiet() {
    let mut bench = Bench::new();
    bench.store_all(&slices());
    assert_eq!(bench.gatherer.arriving(), (1, 6));
    assert!(bench.later(50).is_empty(), "a slice could still come");
    assert_eq!(objects(&bench.later(15)), [6]);
    assert_eq!((bench.scans(), bench.gatherer.arriving()), (1, (0, 0)));
    assert!(bench.later(15).is_empty(), "once is enough");
    let listing = bench.spool.listing().expect("a disk");
    assert_eq!(listing[0].record.source, "dicom CT1");
    assert_eq!(listing[0].record.file_name, "DICOM series of 6 slices");
}

#[test]
fn with_its_count_in_a_series_need_not_be_quiet() {
    for (tags, counts, soon) in [
        (
            &[tags::NUMBER_OF_SERIES_RELATED_INSTANCES][..],
            &[6][..],
            true,
        ),
        (&[tags::NUMBER_OF_SERIES_RELATED_INSTANCES], &[7], false),
        (&[tags::IMAGES_IN_ACQUISITION], &[6], true),
        (&[tags::IMAGES_IN_ACQUISITION], &[12], false),
        (
            &[
                tags::IMAGES_IN_ACQUISITION,
                tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
            ],
            &[3, 12],
            false,
        ),
    ] {
        let mut bench = Bench::new();
        let mut slices = slices();
        for slice in &mut slices {
            for (&tag, count) in tags.iter().zip(counts) {
                slice.text(tag, VR::IS, &count.to_string());
            }
        }
        bench.store_all(&slices);
        assert_eq!(!bench.later(3).is_empty(), soon, "{tags:?} {counts:?}");
        assert_eq!(bench.later(60).is_empty(), soon);
    }
}

#[test]
fn two_acquisitions_of_three_slices_are_whole_together() {
    let mut bench = Bench::new();
    let mut slices = slices();
    for (at, slice) in slices.iter_mut().enumerate() {
        slice.text(tags::ACQUISITION_NUMBER, VR::IS, &(1 + at % 2).to_string());
        slice.text(tags::IMAGES_IN_ACQUISITION, VR::IS, "3");
    }
    bench.store_all(&slices[..5]);
    assert!(bench.later(3).is_empty());
    bench.store_all(&slices[5..]);
    assert_eq!(objects(&bench.later(3)), [6]);
}

/// Shows RQ-58.
#[test]
fn what_comes_late_makes_the_series_a_new_scan_and_a_copy_does_not() {
    let mut bench = Bench::new();
    let slices = slices();
    bench.store_all(&slices[..4]);
    assert_eq!(objects(&bench.later(61)), [4]);
    bench.store_all(&slices[..4]);
    assert!(bench.later(61).is_empty(), "the same four again");
    bench.store_all(&slices[4..]);
    assert_eq!(objects(&bench.later(61)), [6]);
    assert_eq!(bench.scans(), 2);
    assert!(bench.later(3601).is_empty());
    let left = fs::read_dir(bench.home.path().join("dicom/series")).expect("a folder");
    assert_eq!(left.count(), 0, "after an hour it is the queue's alone");
}

/// Shows RQ-75.
#[test]
fn a_series_that_came_in_silent_mode_is_a_scan_anew_when_it_is_sent_again_after_that() {
    let silent = spool::Settings {
        silent: true,
        ..spool::Settings::default()
    };
    let mut bench = Bench::with(SETTINGS, silent);
    bench.store_all(&slices());
    assert_eq!(objects(&bench.later(61)), [6]);
    bench.store_all(&slices());
    assert!(bench.later(61).is_empty(), "in the same mode it is a copy");

    bench.restart_with(spool::Settings::default());
    assert!(bench.later(61).is_empty(), "what came in silence stays");
    bench.store_all(&slices());
    assert_eq!(objects(&bench.later(61)), [6]);
    let listing = bench.spool.listing().expect("a disk");
    let silent: Vec<_> = listing.iter().map(|one| one.record.silent).collect();
    assert_eq!(silent, [true, false]);
    bench.store_all(&slices());
    assert!(bench.later(61).is_empty(), "once is enough");
}

/// Shows RQ-48.
#[test]
fn a_start_finds_every_slice_that_the_sender_was_told_is_stored() {
    let mut bench = Bench::new();
    for slice in slices() {
        bench.store("CT1", &slice.encode()).expect("stored");
        bench.restart();
    }
    let half = bench.gatherer.begin().expect("room");
    std::mem::forget(half); // the power goes in the middle of an object
    bench.restart();
    assert_eq!(bench.gatherer.arriving(), (1, 6));
    assert_eq!(objects(&bench.later(61)), [6]);
    bench.restart();
    assert!(bench.later(61).is_empty(), "it is in the queue already");
    assert_eq!(bench.scans(), 1);
    let parts = fs::read_dir(bench.home.path().join("dicom/part")).expect("a folder");
    assert_eq!(parts.count(), 0);
}

/// Shows RQ-51.
#[test]
fn a_series_that_was_queued_just_before_the_power_went_is_queued_once() {
    let mut bench = Bench::new();
    bench.store_all(&slices());
    // As if the power had gone before that could be noted.
    let folder = bench.home.path().join("dicom/series");
    let series = fs::read_dir(&folder).expect("a folder").next();
    let about = series
        .expect("a series")
        .expect("a name")
        .path()
        .join("about");
    let before = fs::read(&about).expect("there");
    assert_eq!(objects(&bench.later(61)), [6]);
    fs::write(&about, before).expect("written");
    bench.restart();
    assert_eq!(objects(&bench.later(61)), [6]);
    assert_eq!(bench.scans(), 1);
}

/// Shows RQ-12.
#[test]
fn nobody_can_put_a_slice_into_what_another_sends() {
    let mut bench = Bench::new();
    let slices = slices();
    bench.store_all(&slices[..5]);
    bench.store("CT2", &slices[5].encode()).expect("stored");
    let mut taken = objects(&bench.later(61));
    taken.sort_unstable();
    assert_eq!(taken, [1, 5]);
}

/// Shows RQ-71.
#[test]
fn names_from_outside_are_on_no_path() {
    let bench = Bench::new();
    let evil = "../../../../tmp/x";
    let mut slice = slices().remove(0);
    for tag in [
        tags::STUDY_INSTANCE_UID,
        tags::SERIES_INSTANCE_UID,
        tags::SOP_INSTANCE_UID,
    ] {
        slice.text(tag, VR::UI, evil);
    }
    bench.store(evil, &slice.encode()).expect("stored");
    assert_hashes(&bench.home.path().join("dicom/series"));
}

fn assert_hashes(folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("text");
        let hash = name.len() == 32 && name.chars().all(|c| c.is_ascii_hexdigit());
        assert!(hash || name == "about", "{name}");
        if entry.path().is_dir() {
            assert_hashes(&entry.path());
        }
    }
}

#[test]
fn what_is_no_object_of_a_series_is_refused_and_leaves_nothing() {
    let bench = Bench::new();
    let slice = slices().remove(0);
    let whole = slice.encode();
    let mut nameless = slice.clone();
    nameless.object.remove_element(tags::SERIES_INSTANCE_UID);
    let mut foreign = whole.clone();
    foreign[128] = b'X';
    for (what, bytes) in [
        ("nothing", &[][..]),
        ("no DICOM", &foreign),
        ("half a header", &whole[..200]),
        ("no series", &nameless.encode()),
    ] {
        let refused = bench.store("CT1", bytes).expect_err(what);
        assert!(
            matches!(refused, Refused::Unreadable(_)),
            "{what}: {refused}"
        );
    }
    let parts = fs::read_dir(bench.home.path().join("dicom/part")).expect("a folder");
    assert_eq!((parts.count(), bench.gatherer.arriving()), (0, (0, 0)));
}

/// Shows RQ-53.
#[test]
fn a_full_box_refuses_before_anything_is_lost() {
    let mut bench = Bench::with(
        Settings {
            most_bytes: 2500,
            ..SETTINGS
        },
        spool::Settings::default(),
    );
    let mut stored = 0;
    for slice in slices() {
        match bench.store("CT1", &slice.encode()) {
            Ok(()) => stored += 1,
            Err(refused) => assert!(matches!(refused, Refused::NoRoom), "{refused}"),
        }
    }
    assert!((1..6).contains(&stored));
    assert_eq!(objects(&bench.later(61)), [stored]);
    let floor = Settings {
        floor_bytes: u64::MAX,
        ..SETTINGS
    };
    let bench = Bench::with(floor, spool::Settings::default());
    let refused = bench.gatherer.begin().expect_err("the disk is full");
    assert!(matches!(refused, Refused::NoRoom));
}

/// Shows RQ-53.
#[test]
fn a_flood_of_tiny_objects_ends_with_the_blocks_that_they_take_and_with_their_number() {
    let tiny = slices().remove(0);
    assert!(tiny.encode().len() < 2000);
    for settings in [
        Settings {
            most_bytes: 5 * 4096,
            ..SETTINGS
        },
        Settings {
            most_objects: 5,
            ..SETTINGS
        },
    ] {
        let bench = Bench::with(settings, spool::Settings::default());
        let mut stored = 0;
        for number in 0..9 {
            let mut slice = tiny.clone();
            let series = format!("2.25.9.{}", number % 3);
            slice.text(tags::SERIES_INSTANCE_UID, VR::UI, &series);
            slice.text(tags::SOP_INSTANCE_UID, VR::UI, &format!("2.25.88.{number}"));
            match bench.store("CT1", &slice.encode()) {
                Ok(()) => stored += 1,
                Err(refused) => assert!(matches!(refused, Refused::NoRoom), "{refused}"),
            }
        }
        assert_eq!(stored, 5, "{settings:?}");
        let folder = bench.home.path().join("dicom");
        let again = Gatherer::open(&folder, settings).expect("a start");
        let refused = again.begin().expect_err("a start counts alike");
        assert!(matches!(refused, Refused::NoRoom), "{refused}");
    }
}

#[test]
fn what_is_in_the_queue_gives_way_here_to_series_that_are_not() {
    let series = |uid: &str| {
        let mut slices = slices();
        for slice in &mut slices {
            slice.text(tags::SERIES_INSTANCE_UID, VR::UI, uid);
        }
        slices
    };
    let bytes = |slices: &[SliceFile]| -> usize {
        let blocks = |slice: &SliceFile| slice.encode().len().next_multiple_of(4096);
        slices.iter().map(blocks).sum()
    };
    let first = series("2.25.2");
    // Room for one series, and for all but the last slice of another.
    let settings = Settings {
        most_bytes: 2 * bytes(&first) as u64 - 1,
        ..SETTINGS
    };
    let mut bench = Bench::with(settings, spool::Settings::default());
    bench.store_all(&first);
    assert_eq!(objects(&bench.later(61)), [6]);
    bench.store_all(&series("2.25.4"));
    // What is not in the queue gives way to nothing.
    let third = series("2.25.6").remove(0).encode();
    bench.store_all(&series("2.25.4")[..1]);
    bench.store("CT1", &third).expect("room for one more");
    let folders = fs::read_dir(bench.home.path().join("dicom/series")).expect("a folder");
    assert_eq!(folders.count(), 2, "the first is gone from here");
    assert_eq!(objects(&bench.later(61)), [6, 1]);
    assert_eq!(bench.scans(), 3, "and all are in the queue");
}

#[test]
fn a_series_waits_while_the_queue_is_full_and_one_that_never_fits_is_removed() {
    let full = spool::Settings {
        quota_bytes: 100_000,
        results_bytes: 40_000,
        ..spool::Settings::default()
    };
    let mut bench = Bench::with(SETTINGS, full);
    for series in ["2.25.2", "2.25.4"] {
        let mut slices = slices();
        for slice in &mut slices {
            slice.text(tags::SERIES_INSTANCE_UID, VR::UI, series);
        }
        bench.store_all(&slices);
    }
    let [first, second] = &bench.later(61)[..] else {
        panic!("two series");
    };
    assert!(matches!(first, Gathered::Taken { .. }), "{first:?}");
    let waits = matches!(second, Gathered::Waits(Refusal::Full { .. }));
    assert!(waits, "{second:?}");
    assert_eq!(bench.gatherer.arriving(), (1, 6), "nothing is lost");
    // As soon as there is room it goes in.
    let work = bench.spool.next().expect("a disk").expect("a scan");
    bench.spool.failed(work.id, "no scan").expect("ended");
    assert_eq!(objects(&bench.later(1)), [6]);

    let small = spool::Settings {
        largest_scan_bytes: 3000,
        ..spool::Settings::default()
    };
    let mut bench = Bench::with(SETTINGS, small);
    bench.store_all(&slices());
    let refused = bench.later(61);
    assert!(matches!(refused[..], [Gathered::Refused { .. }]));
    assert_eq!(bench.gatherer.arriving(), (0, 0));
}

/// Shows RQ-61.
#[test]
fn a_localiser_alone_is_no_scan_and_a_damaged_series_becomes_an_error_report() {
    let mut bench = Bench::new();
    let mut scout = slices().remove(0);
    scout.text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
    bench.store("CT1", &scout.encode()).expect("stored");
    let told = bench.later(61);
    assert!(matches!(told[..], [Gathered::NoScan { .. }]), "{told:?}");
    assert_eq!((bench.scans(), bench.gatherer.arriving()), (0, (0, 0)));

    let mut slices = slices();
    slices[2]
        .object
        .remove_element(tags::IMAGE_POSITION_PATIENT);
    bench.store_all(&slices);
    assert_eq!(objects(&bench.later(61)), [6]);
    let work = bench.spool.next().expect("a disk").expect("work");
    let refused = nephrobox::scan::open(&work.scan)
        .err()
        .expect("no position");
    assert!(refused.told.what.contains("Image Position"), "{refused}");
}

#[test]
fn what_waits_in_the_queue_is_the_series() {
    let mut bench = Bench::new();
    bench.store_all(&slices());
    bench.later(61);
    let work = bench.spool.next().expect("a disk").expect("work");
    let mut reader = nephrobox::scan::open(&work.scan).expect("a series");
    let [_, rows, cols] = series::SHAPE;
    let mut hu = vec![0; rows * cols];
    while let Some(slice) = reader.next_slice(&mut hu).expect("a slice") {
        let truth = (0..rows * cols).map(|at| series::hu([slice, at / cols, at % cols]));
        assert!(hu.iter().copied().eq(truth), "slice {slice}");
    }
}

#[test]
fn what_is_erased_is_gone_from_here_too() {
    let mut bench = Bench::new();
    bench.store_all(&slices());
    let id = match &bench.later(61)[..] {
        [Gathered::Taken { id, .. }] => *id,
        other => panic!("{other:?}"),
    };
    let folder = bench.home.path().join("dicom");
    let left = |folder: &Path| {
        fs::read_dir(folder.join("series"))
            .map(Iterator::count)
            .ok()
    };
    bench.gatherer.forget(id).expect("a disk");
    assert_eq!(left(&folder), Some(0));

    // A box that does not run.
    bench.store_all(&slices());
    bench.later(61);
    nephrobox::intake::dicom::forget(&folder, id).expect("a disk");
    assert_eq!(left(&folder), Some(0));
    nephrobox::intake::dicom::forget(&folder.join("nothing"), id).expect("nothing was gathered");
}
