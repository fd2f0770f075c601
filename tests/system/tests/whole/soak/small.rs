//! A queue of a thousand small scans, that come in every way at once.

use std::fs;
use std::time::{Duration, Instant};

use nephrobox::spool::RECORD_BYTES;
use nephrobox_link::client::{Client, LinkError};
use nephrobox_link::message::Code;

use crate::arrivals::Arrivals;
use crate::clinic::files_below;
use crate::process::{Vitals, figure};
use crate::site::{Site, Way, mark, put, store_all};
use crate::support::{PATIENCE, long, status};

/// Scans after which the box has everything that it ever needs: threads, buffers, the last results for its page.
const WARM: usize = 10;
/// What may be resident beyond that, in KiB: 64 while the allocator and the system breathe, and 4 for each scan that the box holds.
/// It keeps a record of each (queue, audit log, series that may still grow) as long as that lies on its disk; 1 KiB of a
/// phantom's scan that was left behind each time would be a hundred times that, since a scan has 245 KiB and its results as much.
const BREATH_KIB: u64 = 8 << 10;
const EACH_KIB: u64 = 4;
/// Files and threads that may be open beyond that: connections that come and go, threads for blocking work that are kept for ten seconds.
const SPARE: usize = 16;

/// The way that a scan takes.
fn way(number: u32) -> Way {
    [Way::Cable, Way::Folder, Way::Dicom][number as usize % 3]
}

/// Sends every scan of one way, one after the other. A box that is full is asked again.
fn send(site: &Site, way_: Way, scans: u32, mut cable: Option<&mut Client>) {
    for number in (0..scans).filter(|&number| way(number) == way_) {
        match &mut cable {
            Some(client) => loop {
                match put(client, number) {
                    Ok(id) => break assert!(id.ends_with(&mark(number)), "{id}"),
                    Err(LinkError::Refused(refused)) if refused.code == Code::Full => {
                        std::thread::sleep(Duration::from_millis(200));
                    }
                    Err(error) => panic!("scan {number}: {error}"),
                }
            },
            None if way_ == Way::Folder => site.drop_in(number),
            None => {
                let folder = site.series(number);
                store_all(&site.remote(), &folder).expect("stored");
                fs::remove_dir_all(folder).expect("removed");
            }
        }
    }
}

#[test]
fn a_thousand_small_scans_leave_memory_files_and_threads_flat_and_the_accounts_even() {
    let scans: u32 = if long() { 1000 } else { 40 };
    let (site, mut client) = Site::running("", "");
    let pid = site.home.rig.pid().expect("it runs");
    let sent = (0..scans).map(|number| (number, way(number)));
    let mut arrivals = Arrivals::of(&site, sent);
    let began = Instant::now();
    let mut samples = Vec::new();
    std::thread::scope(|scope| {
        let (site, client) = (&site, &mut client);
        scope.spawn(move || send(site, Way::Cable, scans, Some(client)));
        scope.spawn(move || send(site, Way::Folder, scans, None));
        scope.spawn(move || send(site, Way::Dicom, scans, None));
        let mut last = Instant::now();
        while arrivals.seen.len() < scans as usize {
            let before = arrivals.seen.len();
            arrivals.take();
            let now = arrivals.seen.len();
            if now > before {
                last = Instant::now();
            }
            if now / 10 > before / 10 {
                samples.push((now, Vitals::of(pid)));
            }
            assert!(last.elapsed() < PATIENCE, "{now} of {scans} came");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let seconds = began.elapsed().as_secs_f64();

    let until = Instant::now() + PATIENCE;
    let state = loop {
        let state = status(&mut client);
        if state["counters"]["delivered"] == scans && state["queued"] == 0 {
            break state;
        }
        assert!(Instant::now() < until, "{state:#}");
        std::thread::sleep(Duration::from_millis(50));
    };
    figure(format_args!(
        "{scans} scans by cable, folder and DICOM at once in {seconds:.0} s"
    ));
    let every = (samples.len() / 10).max(1);
    for (at, (scans, vitals)) in samples.iter().enumerate() {
        if at % every == 0 || at + 1 == samples.len() {
            figure(format_args!("after {scans:>4}: {vitals}"));
        }
    }
    let (warm, start) = samples[0];
    assert!(warm < 2 * WARM, "{samples:?}");
    for (scans, now) in &samples {
        let bound = start.resident_kib + BREATH_KIB + *scans as u64 * EACH_KIB;
        assert!(
            now.resident_kib < bound,
            "after {scans}: {now}, not {start}"
        );
        assert!(now.files <= start.files + SPARE, "{now}, not {start}");
        let threads = start.threads + SPARE as u64;
        assert!(now.threads <= threads, "{now}, not {start}");
    }

    // Each came once, nothing is left over, and the box's accounts say what lies on its disk.
    arrivals.take();
    assert_eq!(arrivals.seen.len(), scans as usize);
    for (count, of) in [
        ("accepted", scans),
        ("finished", scans),
        ("delivered", scans),
        ("failed", 0),
    ] {
        assert_eq!(state["counters"][count], of, "{count}");
    }
    assert_eq!((&state["aside"], &state["queued"]), (&0.into(), &0.into()));
    let results = files_below(&site.home.rig.state().join("spool/done"));
    let results = results.iter().filter(|file| {
        let mut parts = file.components();
        parts.any(|part| part.as_os_str() == "results")
    });
    let bytes: u64 = results
        .map(|file| fs::metadata(file).expect("a file").len())
        .sum();
    // Delivered ones have given way where the queue was full.
    let kept = fs::read_dir(site.home.rig.state().join("spool/done"));
    let kept = kept.expect("a folder").count() as u64;
    let accounted = bytes + kept * RECORD_BYTES;
    assert_eq!(state["used_bytes"], accounted, "{bytes} bytes of results");
    figure(format_args!(
        "{} KiB of results of {kept} scans are kept on the disk, as the box says",
        bytes >> 10
    ));
}
