//! Logs: lines to standard error for the journal, and to a file in the state folder that never grows past its bound.
//!
//! Work on a scan runs inside [`scan_span`], so each of its lines carries `scan`, the box's own id. Patients' identifiers and
//! names of scan files are never logged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{Span, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFormat};

/// Size at which a file is set aside, in bytes. With the one before it, twice this is kept.
const FILE_BYTES: u64 = 8 << 20;
const NOW: &str = "nephrobox.log";
const BEFORE: &str = "nephrobox.log.1";

/// Why logging does not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be used.
    #[error("{}: the log cannot be opened: {source}; give the user of nephrobox the right to write there", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The level is none.
    #[error("{0:?} is no level; use error, warn, info, debug or trace")]
    Level(String),
    /// Something logs already.
    #[error("logging has been started before; start it once")]
    Twice,
}

/// The log files of one box.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Mutex<Rotating>>);

#[derive(Debug)]
struct Rotating {
    folder: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

impl Logs {
    /// Opens the log in a folder, which is made if it is not there; goes on where it ended.
    ///
    /// # Errors
    /// The folder or file cannot be made.
    pub fn open(folder: &Path) -> Result<Self, LogError> {
        Self::with_limit(folder, FILE_BYTES)
    }

    fn with_limit(folder: &Path, limit: u64) -> Result<Self, LogError> {
        let path = folder.join(NOW);
        let open = || {
            fs::create_dir_all(folder)?;
            let file = append(&path)?;
            let size = file.metadata()?.len();
            Ok(Rotating {
                folder: folder.to_owned(),
                file,
                size,
                limit,
            })
        };
        let rotating = open().map_err(|source| LogError::Open {
            path: path.clone(),
            source,
        })?;
        Ok(Self(Arc::new(Mutex::new(rotating))))
    }

    /// The last lines, oldest first, as they stand in the files.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn tail(&self, lines: usize) -> io::Result<Vec<u8>> {
        // Held while reading, so that no rotation falls between the two files.
        let rotating = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = match fs::read(rotating.folder.join(BEFORE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        text.extend(fs::read(rotating.folder.join(NOW))?);
        let body = text.strip_suffix(b"\n").unwrap_or(&text);
        let start = match lines.checked_sub(1) {
            None => text.len(),
            Some(skip) => body
                .iter()
                .enumerate()
                .rev()
                .filter(|(_, byte)| **byte == b'\n')
                .nth(skip)
                .map_or(0, |(at, _)| at + 1),
        };
        Ok(text.split_off(start))
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Write for Rotating {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.size > 0 && self.size + line.len() as u64 > self.limit {
            fs::rename(self.folder.join(NOW), self.folder.join(BEFORE))?;
            self.file = append(&self.folder.join(NOW))?;
            self.size = 0;
        }
        self.file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// One line on its way into the file.
#[derive(Debug)]
pub struct Line(Logs);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush()
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(self.clone())
    }
}

/// The span of all work on one scan; `id` is the box's own.
#[must_use]
pub fn scan_span(id: &str) -> Span {
    tracing::error_span!("scan", scan = id)
}

/// Starts logging for the whole program.
///
/// # Errors
/// The level is none, or logging runs already.
pub fn start(log: &Log, logs: &Logs) -> Result<(), LogError> {
    let subscriber = subscriber(log, logs, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)
}

/// What [`start`] starts, with `journal` instead of standard error: for programs that listen in.
///
/// # Errors
/// The level is none.
pub fn subscriber<W>(
    log: &Log,
    logs: &Logs,
    journal: W,
) -> Result<impl Subscriber + for<'s> LookupSpan<'s> + Send + Sync + use<W>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level: LevelFilter = log
        .level
        .parse()
        .map_err(|_| LogError::Level(log.level.clone()))?;
    Ok(Registry::default()
        .with(vec![
            layer(log.format, journal),
            layer(log.format, logs.clone()),
        ])
        .with(level))
}

fn layer<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_scan_carries_its_id() {
        for format in [LogFormat::Json, LogFormat::Text] {
            let folder = tempfile::tempdir().expect("a folder");
            let logs = Logs::open(folder.path()).expect("logs");
            let log = Log {
                level: "info".into(),
                format,
            };
            let subscriber = subscriber(&log, &logs, io::sink).expect("a subscriber");
            tracing::subscriber::with_default(subscriber, || {
                let _entered = scan_span("7f3a").entered();
                tracing::info!(slices = 9, "received");
                tracing::debug!("too fine");
            });
            let text = String::from_utf8(logs.tail(10).expect("lines")).expect("UTF-8");
            assert_eq!(text.lines().count(), 1, "{text}");
            if format == LogFormat::Json {
                let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(
                    (&line["span"]["scan"], &line["slices"]),
                    (&"7f3a".into(), &9.into()),
                    "{text}"
                );
            } else {
                assert!(text.contains("scan{scan=\"7f3a\"}: "), "{text}");
            }
        }
    }

    #[test]
    fn the_files_stay_within_their_bound_and_the_tail_spans_both() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = Logs::with_limit(folder.path(), 100).expect("logs");
        for index in 0..1000 {
            logs.make_writer()
                .write_all(format!("line {index:03}\n").as_bytes())
                .expect("written");
        }
        let size: u64 = fs::read_dir(folder.path())
            .expect("files")
            .map(|file| file.expect("a file").metadata().expect("its size").len())
            .sum();
        assert!(size <= 200, "{size}");
        let tail = logs.tail(13).expect("lines");
        assert!(
            tail.starts_with(b"line 987\n") && tail.ends_with(b"line 999\n"),
            "{}",
            String::from_utf8_lossy(&tail)
        );
        assert!(logs.tail(0).expect("none").is_empty());
    }
}
