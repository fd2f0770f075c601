//! A job says that it lives, and stops when it is asked to.

use std::fs;

use nephrobox::job::{self, Options, Package};
use nephrobox::output;
use nephrobox::progress::Progress;
use nephrobox::pulse::Pulse;
use nephrobox::scan;
use tempfile::TempDir;

use super::support::nifti::{Declared, Order};
use super::support::{SHAPE, manifest, raw_scan};
use super::{Oracle, engine};

/// Counts the signs of life between what is told of a job; it gives none of its own.
#[derive(Default)]
struct Counting {
    pulse: Pulse,
    stops: bool,
    told: Vec<(String, u64)>,
}

impl Counting {
    fn tell(&mut self, words: String) {
        self.told.push((words, self.pulse.beats()));
    }

    /// Signs of life until something was told.
    fn until(&self, words: &str) -> u64 {
        let told = self.told.iter().rev().find(|(told, _)| told == words);
        told.unwrap_or_else(|| panic!("no {words}: {:?}", self.told))
            .1
    }
}

impl Progress for Counting {
    fn slices(&mut self, done: usize, slices: usize) {
        self.tell(format!("{done} of {slices}"));
    }

    fn stage(&mut self, words: &str) {
        self.tell(words.to_owned());
    }

    fn stop(&self) -> bool {
        self.stops
    }

    fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }
}

/// Works on a phantom's file, whose slices lie one behind the other; its length in bytes.
fn count(progress: &mut Counting) -> (u64, Result<(), String>) {
    let home = TempDir::new().expect("a folder");
    let streams = Order {
        axes: [2, 1, 0],
        reversed: [false; 3],
    };
    let path = raw_scan(streams, Declared::Sform).save(home.path().join("case.nii"));
    let (manifest, engine) = (manifest(), engine());
    let package = Package {
        manifest: &manifest,
        hash: &[7; 32],
        engine: &engine,
        notes: &[],
    };
    let out = output::Destination::check(&home.path().join("out"), false).expect("free");
    let reader = scan::open(&path).expect("a scan");
    let mut models = [Oracle::default()];
    let options = Options::default();
    let report = job::run(reader, &mut models, package, options, &out, progress);
    let bytes = fs::metadata(&path).expect("a file").len();
    (bytes, report.map(drop).map_err(|failure| failure.told.what))
}

/// Four gigabytes on a card that gives 30 MB a second take longer than systemd waits for a sign of life.
#[test]
fn a_job_gives_signs_of_life_while_it_reads_looks_again_and_writes() {
    let mut progress = Counting::default();
    let (bytes, done) = count(&mut progress);
    done.expect("a report");
    let until = |words: &str| progress.until(words);
    let hashed = until(&format!("0 of {}", SHAPE[0]));
    assert!(hashed >= bytes.div_ceil(1 << 16), "{:?}", progress.told);
    let outlined = until(&format!("{0} of {0}", SHAPE[0]));
    let again = until("looking again at some slices");
    let looked = until("writing the label map and the pictures");
    let written = until("drawing the report");
    // One for each slice read again, two for each shown again as it is and mirrored, one for each written. Of the phantom at least four are looked at again.
    assert!(again > outlined + 4, "{:?}", progress.told);
    assert!(looked >= again + 8, "{:?}", progress.told);
    assert!(written >= looked + SHAPE[0] as u64, "{:?}", progress.told);
}

#[test]
fn a_job_that_is_asked_to_stop_ends_before_it_has_read_the_whole_scan() {
    let mut progress = Counting {
        stops: true,
        ..Counting::default()
    };
    let stopped = count(&mut progress).1.expect_err("it was asked to stop");
    assert!(stopped.contains("on request"), "{stopped}");
    assert_eq!((progress.pulse.beats(), progress.told), (0, Vec::new()));
}
