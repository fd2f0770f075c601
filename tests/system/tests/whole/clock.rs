//! A clock that jumps: by a day, by years, ahead and back, in the middle of everything that waits for time to pass.
//!
//! The box's process runs on a clock of the test's own (Debian's `faketime`). What only counts while the machine runs goes on as it is, as in
//! a machine whose clock is set.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nephrobox::audit::{self, What};
use nephrobox::storage::Folder;
use nephrobox_dimse::client::Association;

use crate::arrivals::Arrivals;
use crate::clinic::free_port;
use crate::clinic::network::page;
use crate::phantom::SHAPE;
use crate::process::figure;
use crate::site::{Site, Way, objects, put};
use crate::support::{PATIENCE, status};

/// Where Debian puts the library, for any processor.
const LIBRARIES: &str = "/usr/lib";
/// The library's name, below a folder for the processor.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
/// Jumps, each counted from the true time.
const JUMPS: [&str; 6] = ["+1d", "+365d", "-1d", "-7300d", "+36500d", "+0"];

/// The library, where it is installed.
fn library() -> Option<PathBuf> {
    let processors = fs::read_dir(LIBRARIES).ok()?.flatten();
    processors
        .map(|processor| processor.path().join(LIBRARY))
        .find(|path| path.exists())
}

/// Sets the clock of the box.
fn set(file: &Path, offset: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, offset).expect("written");
    fs::rename(beside, file).expect("renamed");
}

/// A program that is the box on a clock of its own.
fn clocked(program: &Path, library: &Path, home: &Path) -> std::io::Result<PathBuf> {
    let script = home.join("nephrobox");
    let words = format!(
        "#!/bin/sh\nLD_PRELOAD='{}' FAKETIME_TIMESTAMP_FILE='{}' FAKETIME_CACHE_DURATION=1 \
         FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 exec '{}' \"$@\"\n",
        library.display(),
        home.join("clock").display(),
        program.display(),
    );
    fs::write(&script, words)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// The audit log's lines, once their chain is found whole.
fn lines(site: &Site) -> Vec<audit::Line> {
    let folder = Folder::open(&site.home.rig.state().join("audit")).expect("a folder");
    let mut lines = Vec::new();
    audit::walk(&folder, &mut |line| lines.push(line)).expect("a whole chain");
    lines
}

#[test]
fn a_clock_that_jumps_loses_nothing_erases_nothing_and_keeps_the_order() {
    let Some(library) = library() else {
        eprintln!("skipped: {LIBRARIES}/*/{LIBRARY} is missing; apt-get install faketime");
        return;
    };
    let (clocks, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let clock = clocks.path().join("clock");
    set(&clock, "+0");
    let more = format!("[status]\nlisten = \"127.0.0.1:{port}\"\n[privacy]\nretention_days = 30\n");
    let (site, mut cable) = Site::through("", &more, |program| {
        clocked(&program, &library, clocks.path())
    });
    let mut tls = site.tls().expect("in");
    let ways = [Way::Cable, Way::Dicom, Way::Folder];
    let sent = (0..JUMPS.len() as u32 * 3).map(|number| (number, ways[number as usize % 3]));
    let mut arrivals = Arrivals::of(&site, sent);
    let share = site.share();
    let away = share.with_extension("away");

    for (jump, offset) in JUMPS.into_iter().enumerate() {
        let first = jump as u32 * 3;
        // The destination is gone, so that results wait for it longer and longer.
        fs::rename(&share, &away).expect("renamed");
        fs::write(&share, "no folder").expect("written");
        put(&mut cable, first).expect("taken");
        let until = Instant::now() + PATIENCE;
        while status(&mut cable)["counters"]["finished"] != first + 1 {
            assert!(Instant::now() < until, "{:#}", status(&mut cable));
            std::thread::sleep(Duration::from_millis(50));
        }
        // Half a series is here, in an association that stays open; a file has just been dropped.
        let mut objects = objects(&site.series(first + 1));
        let remote = site.remote();
        let contexts = [objects[0].context()];
        let mut association = Association::open(&remote, &contexts).expect("an association");
        let (half, rest) = objects.split_at_mut(SHAPE[0] / 2);
        for object in half {
            association.store(object).expect("stored");
        }
        site.drop_in(first + 2);

        set(&clock, offset);
        // The box looks at its clock and its timers once a second.
        std::thread::sleep(Duration::from_secs(3));

        for object in rest {
            association.store(object).expect("stored");
        }
        association.release().expect("released");
        fs::remove_file(&share).expect("removed");
        fs::rename(&away, &share).expect("renamed");
        // Both lines are still the sessions that they were.
        assert!(status(&mut tls)["started"] == true && status(&mut cable)["started"] == true);
        let until = Instant::now() + PATIENCE;
        while arrivals.seen.len() < first as usize + 3 {
            assert!(Instant::now() < until, "{offset}: {:?}", arrivals.ids);
            std::thread::sleep(Duration::from_millis(50));
            arrivals.take();
        }
        for line in page(port, "/metrics").lines() {
            let value = line.rsplit(' ').next().and_then(|value| value.parse().ok());
            assert!(value.is_none_or(|value: f64| value >= 0.0), "{line}");
        }
    }

    assert_eq!(
        arrivals.partial, 0,
        "no series was taken for whole by a jump"
    );
    let state = status(&mut cable);
    let all = arrivals.expected();
    for count in ["accepted", "finished", "delivered"] {
        assert_eq!(state["counters"][count], all, "{count}");
    }
    let kept = fs::read_dir(site.home.rig.state().join("spool/done"));
    assert_eq!(kept.expect("a folder").count(), all, "nothing was erased");

    let lines = lines(&site);
    let reported = lines.iter().filter(|line| line.what == What::Reported);
    let reported: Vec<_> = reported.map(|line| line.scan.clone()).collect();
    assert_eq!(reported.len(), all);
    assert!(reported.is_sorted(), "the order of the queue: {reported:?}");
    let years: BTreeSet<_> = lines.iter().map(|line| &line.time[..4]).collect();
    assert!(years.len() >= 4, "the clock jumped: {years:?}");
    figure(format_args!(
        "{} jumps, {all} scans: each reported once, in the queue's order; years in the audit log: {years:?}",
        JUMPS.len()
    ));
}
