//! How far a command is, on standard error: a bar on a terminal, and elsewhere a line whenever something else begins.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nephrobox_link::client::Progress;
use nephrobox_link::message::ScanState;
use nephrobox_shared::words;

const BYTES: &str = "{msg}  {bar:32} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
const SLICES: &str = "{msg}  {bar:32} {pos}/{len} slices  {eta} left";
const WORDS: &str = "{spinner} {msg}";

/// Shows progress.
#[derive(Debug)]
pub struct Bar {
    shown: ProgressBar,
    shape: &'static str,
    /// What the last line said, where there is no terminal.
    said: Option<String>,
}

impl Bar {
    /// On standard error.
    #[must_use]
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self {
            shown: bar,
            shape: WORDS,
            said: (!terminal).then(String::new),
        }
    }

    /// Bytes on the line; `doing` says what they are, such as "sending a.nii.gz".
    pub fn transfer(&mut self, doing: &str, progress: Progress) {
        match progress {
            Progress::Bytes { done, total } => self.count(BYTES, doing, done, total),
            Progress::Reconnecting => {
                self.words(&format!("{doing}: the line is lost, trying again"));
            }
            Progress::Checking => self.words(&format!("{doing}: the box checks it")),
        }
    }

    /// What became of a scan.
    pub fn scan(&mut self, name: &str, state: &ScanState) {
        match state {
            ScanState::Receiving { received, bytes } => {
                self.count(BYTES, &format!("{name}: receiving"), *received, *bytes);
            }
            ScanState::Waiting { ahead: 0 } => self.words(&format!("{name}: next in the queue")),
            ScanState::Waiting { ahead } => {
                self.words(&format!("{name}: waiting, {ahead} scans ahead"));
            }
            ScanState::Working { slices: 0, .. } => self.words(&format!("{name}: working")),
            ScanState::Working { slice, slices, .. } => {
                let (slice, slices) = (u64::from(*slice), u64::from(*slices));
                self.count(SLICES, &format!("{name}: working"), slice, slices);
            }
            ScanState::Finished | ScanState::Refused { .. } | ScanState::SetAside { .. } => {
                self.words(&format!("{name}: done"));
            }
        }
    }

    /// Something that cannot be counted.
    pub fn words(&mut self, words: &str) {
        self.shape(WORDS);
        self.say(words);
    }

    /// Takes the bar off the screen while somebody else writes on it.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.shown.suspend(write)
    }

    /// Takes the bar off the screen for good.
    pub fn clear(&self) {
        self.shown.finish_and_clear();
    }

    fn count(&mut self, shape: &'static str, doing: &str, done: u64, total: u64) {
        if self.shown.message() != doing {
            // Another thing: its speed and time left are its own.
            self.shown.reset();
        }
        self.shape(shape);
        self.shown.set_length(total);
        self.shown.set_position(done);
        self.say(doing);
    }

    fn shape(&mut self, shape: &'static str) {
        if self.shape != shape
            && let Ok(style) = ProgressStyle::with_template(shape)
        {
            self.shown.set_style(style);
            self.shape = shape;
        }
    }

    fn say(&mut self, words: &str) {
        let words = &words::line(words);
        self.shown.set_message(words.clone());
        if let Some(said) = &mut self.said
            && said != words
        {
            eprintln!("{words}");
            words.clone_into(said);
        }
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}
