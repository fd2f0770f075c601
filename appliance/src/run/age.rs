//! The box's own time, by which it knows how long it has had a scan.
//!
//! Clocks jump: a battery is flat, a server tells nonsense, somebody types a wrong year. A box that erased by the clock alone could lose
//! everything to that. So it keeps a time of its own, in seconds, that
//!
//! * goes with the clock,
//! * never goes back,
//! * and between two looks, whatever the clock says, goes on by a quarter of the retention time at most.
//!
//! A jump ahead therefore never reaches what is in the newest three quarters of that time, and a jump back only keeps scans longer. A box
//! that is switched off for longer than the quarter counts the quarter.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::results::unix_s;
use crate::record::Kind;
use crate::storage::Storage;

/// Where it is kept, below the state folder.
const FILE: &str = "age";
/// The record in it.
const KEPT: Kind = Kind {
    name: "age",
    version: 1,
};
/// Longest record in bytes.
const LONGEST: u64 = 1 << 10;
/// How far it may go on before it is noted again, in seconds. What a cut leaves out, the clock gives back.
const STEP_S: u64 = 600;
/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// Time at one moment: the box's own, and what the clock said then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Moment {
    own_s: u64,
    clock_s: u64,
}

impl Moment {
    /// The moment at which the clock says `clock_s`.
    fn at(self, clock_s: u64, most_s: u64) -> Self {
        let passed = clock_s.saturating_sub(self.clock_s).min(most_s);
        Self {
            own_s: self.own_s.saturating_add(passed),
            clock_s,
        }
    }
}

/// The box's own time, and how long it keeps a scan.
#[derive(Debug)]
pub(crate) struct Age<S> {
    storage: S,
    retention_s: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    now: Moment,
    /// What is on the disk.
    noted: Moment,
}

impl<S: Storage> Age<S> {
    /// Goes on from what was noted. `newest_s` is the latest moment of the box's own time that its records know of: time never goes back
    /// behind it, even if the note is lost.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn open(
        storage: S,
        retention_days: u16,
        newest_s: u64,
        clock: SystemTime,
    ) -> std::io::Result<Self> {
        let noted = storage.read(FILE, LONGEST)?;
        let noted: Option<Moment> = noted.and_then(|bytes| KEPT.unseal(&bytes).ok());
        let mut noted = noted.unwrap_or(Moment {
            own_s: 0,
            clock_s: unix_s(clock),
        });
        noted.own_s = noted.own_s.max(newest_s);
        let age = Self {
            storage,
            retention_s: u64::from(retention_days) * DAY_S,
            inner: Mutex::new(Inner { now: noted, noted }),
        };
        age.note(&mut age.lock())?;
        Ok(age)
    }

    /// The box's own time when the clock says `clock`, in seconds.
    ///
    /// # Errors
    /// When it has to be noted, and the disk refuses.
    pub(crate) fn now_s(&self, clock: SystemTime) -> std::io::Result<u64> {
        let mut inner = self.lock();
        inner.now = inner.now.at(unix_s(clock), self.retention_s / 4);
        let back = inner.now.clock_s < inner.noted.clock_s;
        if back || inner.now.own_s - inner.noted.own_s >= STEP_S {
            self.note(&mut inner)?;
        }
        Ok(inner.now.own_s)
    }

    /// Whether something that came at `from_s` of the box's own time has been kept for long enough.
    pub(crate) fn is_due(&self, from_s: u64) -> bool {
        let now_s = self.lock().now.own_s;
        now_s.saturating_sub(from_s) >= self.retention_s
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, inner: &mut Inner) -> std::io::Result<()> {
        let sealed = KEPT.seal(&inner.now).map_err(std::io::Error::other)?;
        self.storage.replace(FILE, &sealed)?;
        inner.noted = inner.now;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::storage::Folder;

    const DAYS: u16 = 30;
    /// 2026-03-01 12:34:56 UTC.
    const START_S: u64 = 1_772_368_496;

    fn clock(unix_s: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(unix_s)
    }

    fn open(home: &TempDir, newest_s: u64, at_s: u64) -> Age<Folder> {
        let folder = Folder::open(home.path()).expect("a folder");
        Age::open(folder, DAYS, newest_s, clock(at_s)).expect("a disk")
    }

    fn day(day: u64) -> u64 {
        START_S + day * DAY_S
    }

    #[test]
    fn a_scan_is_due_after_its_days_and_not_before() {
        let home = TempDir::new().expect("a folder");
        let age = open(&home, 0, day(0));
        let came = age.now_s(clock(day(0))).expect("noted");
        for now in 1..30 {
            age.now_s(clock(day(now))).expect("noted");
            assert!(!age.is_due(came), "day {now}");
        }
        age.now_s(clock(day(30))).expect("noted");
        assert!(age.is_due(came));
    }

    /// Shows RQ-60.
    #[test]
    fn a_clock_that_jumps_a_century_ahead_makes_nothing_due_that_is_in_its_first_three_quarters() {
        let home = TempDir::new().expect("a folder");
        let age = open(&home, 0, day(0));
        let came = age.now_s(clock(day(0))).expect("noted");
        age.now_s(clock(day(36_500))).expect("noted");
        assert!(!age.is_due(came));
        // And when it is put right, time goes on as it should: 7.5 days were counted for the jump.
        for now in 1..22 {
            age.now_s(clock(day(now))).expect("noted");
            assert!(!age.is_due(came), "day {now}");
        }
    }

    /// Shows RQ-60.
    #[test]
    fn a_clock_that_jumps_back_only_keeps_longer() {
        let home = TempDir::new().expect("a folder");
        let age = open(&home, 0, day(0));
        let came = age.now_s(clock(day(0))).expect("noted");
        age.now_s(clock(0)).expect("noted");
        assert_eq!(age.now_s(clock(DAY_S)).expect("noted"), came + DAY_S);
    }

    #[test]
    fn a_restart_goes_on_and_counts_the_time_it_was_off_for() {
        let home = TempDir::new().expect("a folder");
        let age = open(&home, 0, day(0));
        let came = age.now_s(clock(day(0))).expect("noted");
        drop(age);
        let age = open(&home, 0, day(5));
        assert_eq!(age.now_s(clock(day(5))).expect("noted"), came + 5 * DAY_S);
        drop(age);
        // Off for a year: a quarter of the retention time is counted.
        let age = open(&home, 0, day(370));
        let quarter = u64::from(DAYS) * DAY_S / 4;
        let now = age.now_s(clock(day(370))).expect("noted");
        assert_eq!(now, came + 5 * DAY_S + quarter);
    }

    #[test]
    fn a_lost_note_does_not_bring_time_back() {
        let home = TempDir::new().expect("a folder");
        for damage in [None, Some("no record")] {
            let path = home.path().join(FILE);
            match damage {
                None => drop(std::fs::remove_file(&path)),
                Some(text) => std::fs::write(&path, text).expect("written"),
            }
            let age = open(&home, 12_345, day(0));
            assert_eq!(age.now_s(clock(day(0))).expect("noted"), 12_345);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_clock_says_time_goes_on_and_not_faster_than_it_may(
            clocks in proptest::collection::vec(0..10_000_000_000u64, 1..50)
        ) {
            let home = TempDir::new().expect("a folder");
            let age = open(&home, 0, START_S);
            let mut before = 0;
            for clock_s in clocks {
                let now = age.now_s(clock(clock_s)).expect("noted");
                prop_assert!(now >= before && now - before <= u64::from(DAYS) * DAY_S / 4);
                before = now;
            }
        }
    }
}
