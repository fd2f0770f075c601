//! Folders with DICOM files that somebody copies into the watched folder.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use nephrobox::intake::folder::{Seen, Watched};
use nephrobox::scan;
use nephrobox::spool::{Settings, Spool};
use nephrobox::storage::Folder;
use tempfile::TempDir;

use crate::series::{self, SUPINE, SliceFile};
use crate::slices;
use crate::support::{SHAPE, names};

const QUIET: Duration = Duration::from_secs(5);

fn spool(home: &Path, most_bytes: u64) -> Spool<Folder> {
    let folder = Folder::open(&home.join("spool")).expect("a folder");
    let settings = Settings {
        quota_bytes: most_bytes,
        floor_bytes: 0,
        results_bytes: 1,
        ..Settings::default()
    };
    Spool::open(folder, settings).expect("a spool").0
}

fn watched(home: &Path) -> Watched {
    Watched::open(&home.join("inbox"), "inbox", QUIET, false).expect("a folder")
}

/// Looks twice, with the quiet time in between.
fn taken(home: &Path, spool: &Spool<Folder>) -> Vec<Seen> {
    let mut watched = watched(home);
    let now = Instant::now();
    let early = watched.turn(spool, now).whole().expect("a turn");
    assert!(early.is_empty(), "not quiet yet: {early:?}");
    watched.turn(spool, now + QUIET).whole().expect("a turn")
}

fn folder(home: &Path, name: &str, slices: &[SliceFile]) {
    let folder = home.join("inbox").join(name);
    fs::create_dir_all(&folder).expect("a folder");
    series::save(&folder, slices, |k| {
        format!("{name} {k:03}").replace('/', "-")
    });
}

/// The series with other identifiers, so that it is another.
fn another(slices: &mut [SliceFile]) {
    for (k, slice) in slices.iter_mut().enumerate() {
        slice.text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.4");
        slice.text(
            tags::SOP_INSTANCE_UID,
            VR::UI,
            &format!("2.25.78.{}", k + 1),
        );
    }
}

#[test]
fn a_folder_with_a_series_becomes_one_scan_in_the_queue() {
    let home = TempDir::new().expect("a folder");
    let spool = spool(home.path(), u64::MAX);
    folder(home.path(), "DOE JANE/SE1", &slices(SUPINE));
    fs::write(
        home.path().join("inbox/DOE JANE/README.TXT"),
        "insert the disc",
    )
    .expect("written");
    let seen = taken(home.path(), &spool);
    let [Seen::Taken(id)] = seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(names(&home.path().join("inbox")), ["refused", "taken"]);
    assert_eq!(names(&home.path().join("inbox/taken")), ["DOE JANE"]);
    let listed = spool.listed(id).expect("a list").expect("a scan");
    // Folders are often called after the patient.
    assert_eq!(
        listed.record.file_name,
        format!("DICOM series of {} slices", SHAPE[0])
    );
    let work = spool.next().expect("work").expect("a scan");
    let reader = scan::open(&work.scan).expect("a scan");
    assert_eq!(reader.geometry().shape(), SHAPE);
    assert!(reader.series().is_some());
    spool.failed(work.id, "enough").expect("ended");

    // Dropped in again under another name, it is the same scan.
    folder(home.path(), "again", &slices(SUPINE));
    assert_eq!(taken(home.path(), &spool), seen);
}

#[test]
fn a_folder_is_left_alone_until_nothing_in_it_changes() {
    let home = TempDir::new().expect("a folder");
    let spool = spool(home.path(), u64::MAX);
    let mut watched = watched(home.path());
    let mut now = Instant::now();
    let all = slices(SUPINE);
    for count in 1..=all.len() {
        folder(home.path(), "SE1", &all[..count]);
        assert!(
            watched
                .turn(&spool, now)
                .whole()
                .expect("a turn")
                .is_empty()
        );
        now += QUIET.saturating_sub(Duration::from_millis(1));
        assert!(
            watched
                .turn(&spool, now)
                .whole()
                .expect("a turn")
                .is_empty()
        );
    }
    now += QUIET;
    let seen = watched.turn(&spool, now).whole().expect("a turn");
    assert!(matches!(seen[..], [Seen::Taken(_)]), "{seen:?}");
}

#[test]
fn every_series_of_a_folder_is_a_scan_or_a_refusal_of_its_own() {
    let home = TempDir::new().expect("a folder");
    let spool = spool(home.path(), u64::MAX);
    let mut broken = slices(SUPINE);
    another(&mut broken);
    broken.remove(7);
    let mut scout = slices(SUPINE)[..2].to_vec();
    for slice in &mut scout {
        slice.text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
        slice.text(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.9");
    }
    folder(home.path(), "disc/a", &slices(SUPINE));
    folder(home.path(), "disc/b", &broken);
    folder(home.path(), "disc/c", &scout);
    let seen = taken(home.path(), &spool);
    let [Seen::Taken(_), Seen::Refused(why)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(
        why.contains("1 are missing") && why.contains("like disc/b"),
        "{why}"
    );
    assert_eq!(names(&home.path().join("inbox/taken")), ["disc"]);
    let refused = home.path().join("inbox/refused");
    assert_eq!(names(&refused), ["disc.txt"]);
    let text = fs::read_to_string(refused.join("disc.txt")).expect("a text");
    assert_eq!(text, format!("{why}\n"));
}

/// A series that is no CT.
fn magnetic() -> Vec<SliceFile> {
    let mut mr = slices(SUPINE);
    for slice in &mut mr {
        slice.text(tags::MODALITY, VR::CS, "MR");
    }
    mr
}

#[test]
fn a_folder_without_a_usable_series_is_refused_with_a_text() {
    let home = TempDir::new().expect("a folder");
    let spool = spool(home.path(), u64::MAX);
    folder(home.path(), "knee", &magnetic());
    let seen = taken(home.path(), &spool);
    let [Seen::Refused(why)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(why.contains("only MR"), "{why}");
    assert_eq!(
        names(&home.path().join("inbox/refused")),
        ["knee", "knee.txt"]
    );
}

#[test]
fn a_loose_dicom_file_is_refused_with_the_way_that_works() {
    let home = TempDir::new().expect("a folder");
    let spool = spool(home.path(), u64::MAX);
    fs::create_dir(home.path().join("inbox")).expect("a folder");
    series::save(
        &home.path().join("inbox"),
        &slices(SUPINE)[..1],
        series::in_order,
    );
    let seen = taken(home.path(), &spool);
    let [Seen::Refused(why)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(why.contains("into a folder"), "{why}");
}

/// A case folder whose imaging has not come yet must not be moved away under the hands of whoever copies it.
#[test]
fn a_folder_with_nothing_of_a_scan_in_it_is_left_alone() {
    let home = TempDir::new().expect("a folder");
    let spool = spool(home.path(), u64::MAX);
    let case = home.path().join("inbox/case_00000");
    fs::create_dir_all(&case).expect("a folder");
    fs::write(case.join("segmentation.nii.gz"), "labels").expect("written");
    #[cfg(unix)]
    {
        let elsewhere = home.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("a folder");
        series::save(&elsewhere, &slices(SUPINE), series::in_order);
        std::os::unix::fs::symlink(&elsewhere, case.join("link")).expect("a link");
        std::os::unix::fs::symlink(elsewhere.join("slice-000.dcm"), case.join("one"))
            .expect("a link");
    }
    assert!(taken(home.path(), &spool).is_empty());
    assert_eq!(
        names(&home.path().join("inbox")),
        ["case_00000", "refused", "taken"]
    );
}

#[test]
fn a_series_waits_in_its_folder_while_there_is_no_room() {
    let home = TempDir::new().expect("a folder");
    let one = slices(SUPINE);
    let bytes: usize = one.iter().map(|slice| slice.encode().len() + 1024).sum();
    let spool = spool(home.path(), bytes as u64 * 3 / 2);
    let mut other = slices(SUPINE);
    another(&mut other);
    folder(home.path(), "a", &one);
    assert!(matches!(taken(home.path(), &spool)[..], [Seen::Taken(_)]));
    folder(home.path(), "b", &other);
    let seen = taken(home.path(), &spool);
    assert!(matches!(seen[..], [Seen::Waits(_)]), "{seen:?}");
    assert_eq!(names(&home.path().join("inbox")), ["b", "refused", "taken"]);
}

/// Of files of somebody else the box may copy and not move them; here there is nowhere to move them to, which not even root can do.
#[test]
fn what_cannot_be_moved_away_is_taken_once_and_holds_up_nothing_else() {
    let home = TempDir::new().expect("a folder");
    let spool = spool(home.path(), u64::MAX);
    folder(home.path(), "DOE JANE", &slices(SUPINE));
    folder(home.path(), "knee", &magnetic());
    let mut watched = watched(home.path());
    let place = home.path().join("inbox/taken");
    fs::remove_dir(&place).expect("removed");
    fs::write(&place, "a file").expect("written");

    let now = Instant::now();
    assert!(watched.turn(&spool, now).news.is_empty(), "not quiet yet");
    let turn = watched.turn(&spool, now + QUIET);
    let told = matches!(turn.news[..], [Seen::Taken(_), Seen::Refused(_)]);
    assert!(told, "{turn:?}");
    let why = turn.trouble.expect("it stays").to_string();
    assert!(
        why.contains("cannot be moved out of the watched folder") && !why.contains("DOE"),
        "{why}"
    );
    assert_eq!(
        names(&home.path().join("inbox/refused")),
        ["knee", "knee.txt"]
    );
    let again = watched.turn(&spool, now + 2 * QUIET);
    assert!(
        again.news.is_empty() && again.trouble.is_some(),
        "{again:?}"
    );

    fs::remove_file(&place).expect("removed");
    fs::create_dir(&place).expect("a folder");
    let last = watched.turn(&spool, now + 3 * QUIET);
    assert!(last.whole().expect("a turn").is_empty());
    assert_eq!(names(&place), ["DOE JANE"]);
    assert_eq!(spool.listing().expect("a disk").len(), 1);
}

#[test]
fn what_a_power_cut_left_of_packing_is_gone_after_a_start() {
    let home = TempDir::new().expect("a folder");
    fs::create_dir(home.path().join("inbox")).expect("a folder");
    fs::write(home.path().join("inbox/.packing-abc123"), "half a series").expect("written");
    drop(watched(home.path()));
    assert_eq!(names(&home.path().join("inbox")), ["refused", "taken"]);
}
