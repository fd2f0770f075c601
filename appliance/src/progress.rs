//! Progress as data, and two ways to show it.
//!
//! The work tells a [`Progress`] how far it is; a terminal shows a bar with slices per second and the time left,
//! anything else (a log, a pipe) gets a plain line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::pulse::Pulse;

/// Hears how far the work is.
pub trait Progress {
    /// Some slices of all are done; called with growing `done`, the last time with `done == slices`.
    fn slices(&mut self, done: usize, slices: usize);
    /// The next part of the work begins, in a few words.
    fn stage(&mut self, words: &str);
    /// Whether the work is to be given up; asked after each batch of slices, and before there are any.
    fn stop(&self) -> bool {
        false
    }
    /// Where the work gives signs of life in its parts that have no slices to tell of, which may take minutes on a slow disk.
    fn pulse(&self) -> Pulse {
        Pulse::default()
    }
}

/// The right display for this process's standard error.
#[must_use]
pub fn on_stderr() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Box::new(Bar::new())
    } else {
        Box::new(Lines::new())
    }
}

/// A bar on a terminal.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self { bar }
    }
}

impl Progress for Bar {
    fn slices(&mut self, done: usize, slices: usize) {
        if self.bar.length().is_none() {
            let shape = "{bar:32} {pos}/{len} slices  {per_sec}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(shape) {
                self.bar.set_style(style);
            }
            self.bar.reset();
            self.bar.set_length(slices as u64);
        }
        self.bar.set_position(done as u64);
        if done >= slices {
            self.bar.finish_and_clear();
        }
    }

    fn stage(&mut self, words: &str) {
        self.bar.suspend(|| eprintln!("{words}"));
    }
}

/// Plain lines: every tenth of the work, but not more often than every two seconds.
struct Lines {
    began: Instant,
    told: Instant,
    tenth: usize,
}

impl Lines {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            told: now,
            tenth: 0,
        }
    }
}

impl Progress for Lines {
    fn slices(&mut self, done: usize, slices: usize) {
        let tenth = (done * 10).checked_div(slices).unwrap_or(10);
        let last = done >= slices;
        if last || (tenth > self.tenth && self.told.elapsed() >= Duration::from_secs(2)) {
            (self.tenth, self.told) = (tenth, Instant::now());
            eprintln!("{}", line(done, slices, self.began.elapsed()));
        }
    }

    fn stage(&mut self, words: &str) {
        eprintln!("{words}");
        self.began = Instant::now();
    }
}

/// One line of plain progress, for instance `60/200 slices, 4.0 slices/s, 35 s left`.
fn line(done: usize, slices: usize, took: Duration) -> String {
    let rate = done as f64 / took.as_secs_f64().max(1e-3);
    let left = (slices.saturating_sub(done)) as f64 / rate.max(1e-9);
    format!("{done}/{slices} slices, {rate:.1} slices/s, {left:.0} s left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_tells_speed_and_time_left() {
        assert_eq!(
            line(60, 200, Duration::from_secs(15)),
            "60/200 slices, 4.0 slices/s, 35 s left"
        );
    }
}
