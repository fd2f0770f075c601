//! What threads wait on: somebody rings, the time is over, or the box stops.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A bell for one thread that waits; cloning it gives another handle on the same one.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stop: AtomicBool,
    woken: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    /// Wakes the thread, now or as soon as it sleeps.
    pub fn ring(&self) {
        *self.0.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.rung.notify_all();
    }

    /// Asks the thread to stop, and wakes it.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
        self.ring();
    }

    /// Whether the thread is to stop.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }

    /// Sleeps until somebody rings or the time is over. Returns at once if somebody rang since the last sleep.
    pub fn sleep(&self, longest: Duration) {
        let woken = self.0.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let slept = self
            .0
            .rung
            .wait_timeout_while(woken, longest, |woken| !*woken);
        *slept.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_that_rang_before_the_sleep_is_not_slept_through() {
        let bell = Bell::default();
        bell.ring();
        bell.sleep(Duration::MAX);
        assert!(!bell.stops());
        let other = bell.clone();
        let sleeper = std::thread::spawn(move || {
            while !other.stops() {
                other.sleep(Duration::MAX);
            }
        });
        bell.stop();
        sleeper.join().expect("it stopped");
    }
}
