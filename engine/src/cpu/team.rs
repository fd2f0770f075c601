//! A few threads that work on one slice together, step by step.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Threads that stay ready between slices. One thread is the caller's own, and costs nothing.
pub(crate) struct Team {
    pool: Option<ThreadPool>,
    threads: usize,
}

/// One of the team while it works.
pub(crate) struct Member<'a> {
    /// Its number, from 0.
    pub(crate) index: usize,
    /// How many there are.
    pub(crate) count: usize,
    arrivals: &'a AtomicUsize,
    meetings: usize,
}

/// Turns of an empty loop before a waiting thread offers its core to others. Steps take microseconds, so on cores of
/// its own a team never gets there.
const PATIENCE: usize = 20_000;

/// Arrivals once a member has panicked: more than there ever are.
const BROKEN: usize = usize::MAX / 2;

/// Tells the others, who would wait for ever, that a member has panicked.
struct Warn<'a>(&'a AtomicUsize);

impl Drop for Warn<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(BROKEN, Ordering::Release);
        }
    }
}

impl Member<'_> {
    /// Waits until all members have come this far. What they wrote before is visible to all after.
    ///
    /// # Panics
    ///
    /// If another member has panicked.
    pub(crate) fn wait(&mut self) {
        if self.count == 1 {
            return;
        }
        self.meetings += 1;
        let all = self.meetings * self.count;
        self.arrivals.fetch_add(1, Ordering::AcqRel);
        let mut turns = 0;
        loop {
            let arrived = self.arrivals.load(Ordering::Acquire);
            assert!(arrived < BROKEN, "another thread of the team panicked");
            if arrived >= all {
                break;
            }
            turns += 1;
            if turns < PATIENCE {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }

    /// This member's share of `items` things in a row, as even as possible.
    pub(crate) const fn share(&self, items: usize) -> std::ops::Range<usize> {
        self.index * items / self.count..(self.index + 1) * items / self.count
    }
}

impl Team {
    /// Starts `threads` threads; at least one.
    pub(crate) fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let threads = threads.max(1);
        let pool = (threads > 1)
            .then(|| ThreadPoolBuilder::new().num_threads(threads).build())
            .transpose()?;
        Ok(Self { pool, threads })
    }

    /// Threads.
    pub(crate) const fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` once on every thread and returns when all are done.
    pub(crate) fn run(&self, work: impl Fn(Member<'_>) + Sync) {
        let arrivals = AtomicUsize::new(0);
        let member = |index| Member {
            index,
            count: self.threads,
            arrivals: &arrivals,
            meetings: 0,
        };
        match &self.pool {
            None => work(member(0)),
            Some(pool) => {
                pool.broadcast(|context| {
                    let _warn = Warn(&arrivals);
                    work(member(context.index()));
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_meet_before_they_go_on() {
        let team = Team::new(3).unwrap();
        let steps: [AtomicUsize; 50] = std::array::from_fn(|_| AtomicUsize::new(0));
        team.run(|mut member| {
            for step in &steps {
                step.fetch_add(1, Ordering::Relaxed);
                member.wait();
                assert_eq!(step.load(Ordering::Relaxed), 3);
            }
        });
    }

    #[test]
    fn a_member_that_panics_does_not_let_the_others_wait_for_ever() {
        let team = Team::new(3).unwrap();
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            team.run(|mut member| {
                assert_ne!(member.index, 1);
                member.wait();
            });
        }));
        broken.unwrap_err();
        // And it can work again.
        let all = AtomicUsize::new(0);
        team.run(|mut member| {
            all.fetch_add(1, Ordering::Relaxed);
            member.wait();
        });
        assert_eq!(all.into_inner(), 3);
    }

    #[test]
    fn shares_cover_everything_once() {
        let arrivals = AtomicUsize::new(0);
        for count in 1..6 {
            let shares = (0..count).map(|index| {
                let member = Member {
                    index,
                    count,
                    arrivals: &arrivals,
                    meetings: 0,
                };
                member.share(17)
            });
            let all: Vec<usize> = shares.flatten().collect();
            assert!(all.into_iter().eq(0..17));
        }
    }
}
