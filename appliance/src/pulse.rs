//! The worker's signs of life, which watchdog and liveness look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A count of signs of life; cloning it gives another handle on the same one.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    born: Instant,
    count: AtomicU64,
    /// When the last one was, in milliseconds after `born`.
    last_ms: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Beats {
            born: Instant::now(),
            count: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
        }))
    }
}

impl Pulse {
    /// Gives a sign of life. The worker does after each batch of slices, after each piece of a file that it reads or writes, and once a second or so while
    /// it waits.
    pub fn beat(&self) {
        let now_ms = self.0.born.elapsed().as_millis() as u64;
        self.0.last_ms.store(now_ms, Ordering::Relaxed);
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were. It grows while the worker is idle or makes progress, and stands still while a slice hangs or the
    /// device fails.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// How long ago the last one was; before the first, since this value was made.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.0.last_ms.load(Ordering::Relaxed));
        self.0.born.elapsed().saturating_sub(last)
    }
}
