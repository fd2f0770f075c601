//! The box's own time, by which it knows how long it has had a scan.
//!
//! Clocks jump: a battery is flat, a server tells nonsense, somebody types a wrong year. A box that erased by the clock alone could lose
//! everything to that. So it keeps a time of its own, in seconds, that
//!
//! * goes as fast as time passes while the box runs, which the system counts from its start and nobody can set;
//! * goes on over the time for which it was off, which only the clock can tell, by a quarter of the retention time at most for each start;
//! * never goes back.
//!
//! A jump while the box runs therefore changes nothing. A start with a clock that is ahead never reaches what is in the newest three quarters of
//! that time; one with a clock that is behind, as on a board without a battery, does not count the time off, and scans are kept longer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

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
/// How far the clock may be from where it should be before that is noted, in seconds: a server corrects it all the time.
const SLACK_S: u64 = 60;
/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// What the machine's clocks say at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// The one that people and servers set.
    wall: SystemTime,
    /// The one that counts while the machine runs.
    steady: Instant,
}

impl Clocks {
    /// At this moment.
    pub(super) fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            steady: Instant::now(),
        }
    }
}

/// Time at one moment: the box's own, and what the clock said then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Moment {
    own_s: u64,
    clock_s: u64,
}

impl Moment {
    /// Whether the clock is not where it should be by an earlier moment.
    fn has_jumped_since(self, earlier: Self) -> bool {
        let passed = self.own_s.saturating_sub(earlier.own_s);
        let should = earlier.clock_s.saturating_add(passed);
        self.clock_s.abs_diff(should) > SLACK_S
    }
}

/// The box's own time, and how long it keeps a scan.
#[derive(Debug)]
pub(crate) struct Age<S> {
    storage: S,
    retention_s: u64,
    /// The box's own time when this was opened, in seconds, and when that was.
    opened_s: u64,
    opened: Instant,
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
        clocks: Clocks,
    ) -> std::io::Result<Self> {
        let clock_s = unix_s(clocks.wall);
        let noted = storage.read(FILE, LONGEST)?;
        let noted: Option<Moment> = noted.and_then(|bytes| KEPT.unseal(&bytes).ok());
        let noted = noted.unwrap_or(Moment { own_s: 0, clock_s });
        let retention_s = u64::from(retention_days) * DAY_S;
        let off_s = clock_s.saturating_sub(noted.clock_s).min(retention_s / 4);
        let now = Moment {
            own_s: noted.own_s.max(newest_s).saturating_add(off_s),
            clock_s,
        };
        let age = Self {
            storage,
            retention_s,
            opened_s: now.own_s,
            opened: clocks.steady,
            inner: Mutex::new(Inner { now, noted }),
        };
        age.note(&mut age.lock())?;
        Ok(age)
    }

    /// The box's own time at a moment, in seconds.
    ///
    /// # Errors
    /// When it has to be noted, and the disk refuses.
    pub(crate) fn now_s(&self, clocks: Clocks) -> std::io::Result<u64> {
        let ran = clocks.steady.saturating_duration_since(self.opened);
        let mut inner = self.lock();
        let own_s = self.opened_s.saturating_add(ran.as_secs());
        inner.now = Moment {
            own_s: own_s.max(inner.now.own_s),
            clock_s: unix_s(clocks.wall),
        };
        let (now, noted) = (inner.now, inner.noted);
        if now.has_jumped_since(noted) || now.own_s - noted.own_s >= STEP_S {
            self.note(&mut inner)?;
        }
        Ok(now.own_s)
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
    use crate::storage::faulty::Faulty;

    const DAYS: u16 = 30;
    /// 2026-03-01 12:34:56 UTC.
    const START_S: u64 = 1_772_368_496;

    /// A machine's two clocks.
    #[derive(Clone, Copy)]
    struct Machine(Clocks);

    impl Machine {
        fn new() -> Self {
            Self(Clocks {
                wall: UNIX_EPOCH + Duration::from_secs(START_S),
                steady: Instant::now(),
            })
        }

        /// Time passes, and both clocks go with it.
        fn pass(&mut self, seconds: u64) {
            self.0.wall += Duration::from_secs(seconds);
            self.0.steady += Duration::from_secs(seconds);
        }

        /// Somebody sets the clock.
        fn set(&mut self, unix_s: u64) {
            self.0.wall = UNIX_EPOCH + Duration::from_secs(unix_s);
        }

        fn says_s(&self) -> u64 {
            unix_s(self.0.wall)
        }
    }

    fn open(home: &TempDir, newest_s: u64, machine: Machine) -> Age<Folder> {
        let folder = Folder::open(home.path()).expect("a folder");
        Age::open(folder, DAYS, newest_s, machine.0).expect("a disk")
    }

    fn now_s(age: &Age<impl Storage>, machine: Machine) -> u64 {
        age.now_s(machine.0).expect("noted")
    }

    #[test]
    fn a_scan_is_due_after_its_days_and_not_before() {
        let (home, mut machine) = (TempDir::new().expect("a folder"), Machine::new());
        let age = open(&home, 0, machine);
        let came = now_s(&age, machine);
        for day in 1..30 {
            machine.pass(DAY_S);
            now_s(&age, machine);
            assert!(!age.is_due(came), "day {day}");
        }
        machine.pass(DAY_S);
        now_s(&age, machine);
        assert!(age.is_due(came));
    }

    /// Shows RQ-60.
    #[test]
    fn a_clock_that_jumps_while_the_box_runs_changes_nothing() {
        let (home, mut machine) = (TempDir::new().expect("a folder"), Machine::new());
        let age = open(&home, 0, machine);
        let came = now_s(&age, machine);
        let century_s = 36_500 * DAY_S;
        for says_s in [START_S + DAY_S, START_S + century_s, 0, START_S - DAY_S] {
            machine.set(says_s);
            machine.pass(60);
            now_s(&age, machine);
        }
        assert_eq!(now_s(&age, machine), came + 4 * 60);
        // Nor does it when the box is killed afterwards: the jump has been noted.
        let after = open(&home, 0, machine);
        assert_eq!(now_s(&after, machine), came + 4 * 60);
    }

    #[test]
    fn a_start_counts_the_time_off_and_of_a_year_a_quarter_of_the_retention_time() {
        let (home, mut machine) = (TempDir::new().expect("a folder"), Machine::new());
        let age = open(&home, 0, machine);
        let came = now_s(&age, machine);
        drop(age);
        machine.pass(5 * DAY_S);
        let age = open(&home, 0, machine);
        assert_eq!(now_s(&age, machine), came + 5 * DAY_S);
        drop(age);
        machine.pass(365 * DAY_S);
        let age = open(&home, 0, machine);
        let quarter_s = u64::from(DAYS) * DAY_S / 4;
        assert_eq!(now_s(&age, machine), came + 5 * DAY_S + quarter_s);
    }

    #[test]
    fn a_board_without_a_battery_that_begins_in_1970_at_each_start_erases_nothing_early() {
        let (home, mut machine) = (TempDir::new().expect("a folder"), Machine::new());
        for start in 0..50 {
            let right_s = machine.says_s();
            machine.set(10);
            let age = open(&home, 0, machine);
            machine.pass(20);
            now_s(&age, machine);
            // A server puts it right, and it runs for an hour.
            machine.set(right_s + 30);
            machine.pass(3570);
            assert_eq!(now_s(&age, machine), (start + 1) * 3590);
            drop(age);
            machine.pass(3600);
        }
    }

    /// Shows RQ-60.
    #[test]
    fn what_a_kill_left_unnoted_the_clock_gives_back() {
        let (home, mut machine) = (TempDir::new().expect("a folder"), Machine::new());
        let age = open(&home, 0, machine);
        let came = now_s(&age, machine);
        machine.pass(STEP_S - 1);
        now_s(&age, machine);
        std::mem::forget(age);
        let age = open(&home, 0, machine);
        assert_eq!(now_s(&age, machine), came + STEP_S - 1);
    }

    #[test]
    fn a_lost_note_does_not_bring_time_back() {
        let (home, machine) = (TempDir::new().expect("a folder"), Machine::new());
        for damage in [None, Some("no record")] {
            let path = home.path().join(FILE);
            match damage {
                None => drop(std::fs::remove_file(&path)),
                Some(text) => std::fs::write(&path, text).expect("written"),
            }
            let age = open(&home, 12_345, machine);
            assert_eq!(now_s(&age, machine), 12_345);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_clock_says_time_goes_on_as_it_passes(
            looks in proptest::collection::vec((0..10_000_000_000u64, 0..100_000u64), 1..50)
        ) {
            // In memory: a real disk takes a minute to sync every look.
            let mut machine = Machine::new();
            let age = Age::open(Faulty::new(), DAYS, 0, machine.0).expect("a disk");
            let mut passed_s = 0;
            for (says_s, seconds) in looks {
                machine.set(says_s);
                machine.pass(seconds);
                passed_s += seconds;
                prop_assert_eq!(now_s(&age, machine), passed_s);
            }
        }
    }
}
