//! Progress as events, and one consumer that shows them on the error stream: a bar on a terminal, plain lines elsewhere.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Told by workers, from any thread, how far a pass over many volumes is.
pub trait Progress: Sync {
    /// A pass over `total` volumes starts. `doing` is a word such as "reading".
    fn start(&self, doing: &str, total: usize);
    /// One more volume is done.
    fn step(&self, name: &str);
    /// Something the user should know although it stops nothing.
    fn note(&self, text: &str);
    /// The pass is over.
    fn finish(&self);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &str, _: usize) {}
    fn step(&self, _: &str) {}
    fn note(&self, _: &str) {}
    fn finish(&self) {}
}

/// Shows progress on the error stream.
#[derive(Debug)]
pub struct Console {
    terminal: bool,
    pass: Mutex<Option<Pass>>,
}

#[derive(Debug)]
struct Pass {
    bar: ProgressBar,
    doing: String,
    total: usize,
    done: usize,
    started: Instant,
    said: Instant,
}

/// Between two plain lines.
const QUIET: Duration = Duration::from_secs(3);

impl Console {
    /// A bar if the error stream is a terminal, otherwise a plain line every few seconds.
    pub fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            pass: Mutex::new(None),
        }
    }

    fn with_pass(&self, act: impl FnOnce(&mut Option<Pass>)) {
        act(&mut self.pass.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Pass {
    fn line(&self) -> String {
        let mut line = format!("{}: {} of {} volumes", self.doing, self.done, self.total);
        let left = self
            .started
            .elapsed()
            .mul_f64((self.total - self.done) as f64 / self.done.max(1) as f64);
        let _ = match self.total - self.done {
            0 => write!(line, ", {:.1} s", self.started.elapsed().as_secs_f64()),
            _ => write!(line, ", about {:.0} s left", left.as_secs_f64()),
        };
        line
    }
}

impl Progress for Console {
    fn start(&self, doing: &str, total: usize) {
        let bar = if self.terminal {
            let style = ProgressStyle::with_template(
                "{prefix} [{bar:30}] {pos}/{len} volumes, {eta} left  {msg}",
            );
            ProgressBar::new(total as u64)
                .with_style(
                    style
                        .unwrap_or_else(|_| ProgressStyle::default_bar())
                        .progress_chars("=> "),
                )
                .with_prefix(doing.to_owned())
        } else {
            ProgressBar::hidden()
        };
        let now = Instant::now();
        self.with_pass(|pass| {
            *pass = Some(Pass {
                bar,
                doing: doing.to_owned(),
                total,
                done: 0,
                started: now,
                said: now,
            });
        });
    }

    fn step(&self, name: &str) {
        self.with_pass(|pass| {
            let Some(pass) = pass else { return };
            pass.done = (pass.done + 1).min(pass.total);
            pass.bar.set_message(name.to_owned());
            pass.bar.inc(1);
            if !self.terminal && (pass.done == pass.total || pass.said.elapsed() >= QUIET) {
                pass.said = Instant::now();
                eprintln!("{}", pass.line());
            }
        });
    }

    fn note(&self, text: &str) {
        self.with_pass(|pass| match pass {
            Some(pass) => pass.bar.suspend(|| eprintln!("note: {text}")),
            None => eprintln!("note: {text}"),
        });
    }

    fn finish(&self) {
        self.with_pass(|pass| {
            if let Some(pass) = pass.take() {
                pass.bar.finish_and_clear();
            }
        });
    }
}
