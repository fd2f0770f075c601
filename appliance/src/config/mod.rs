//! The box's configuration: one TOML file, checked whole before anything starts.
//!
//! Every mistake is told at once, with its line and what to do. Nothing listens unless its section is there. The keys
//! stand in [`keys`], and `docs/config.md` lists them.

pub mod command;
pub mod keys;
mod network;
mod read;
mod reader;
pub mod size;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nephrobox_imaging::files;
use nephrobox_shared::package::PublicKey;
use serde::{Serialize, Serializer};

pub(crate) use network::{AE_TITLE, LINE, NAME, RECIPIENTS};
pub use network::{Archive, Destination, Dicom, DicomWeb, Object, Peer, Recipient, Results, Tls};
pub use reader::Problem;

/// The longest file that is read, in bytes. The example with every key has less than 10 kB.
const MOST_BYTES: u64 = 256 << 10;

/// A configuration that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Section `box`.
    #[serde(rename = "box")]
    pub identity: Identity,
    /// Section `serial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// Section `tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Tcp>,
    /// Section `folder`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<Folder>,
    /// Section `dicom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dicom: Option<Dicom>,
    /// Section `spool`.
    pub spool: Spool,
    /// Sections `destination`.
    #[serde(rename = "destination", skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Destination>,
    /// Sections `archive`.
    #[serde(rename = "archive", skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<Archive>,
    /// Sections `dicomweb`.
    #[serde(rename = "dicomweb", skip_serializing_if = "Vec::is_empty")]
    pub dicomweb: Vec<DicomWeb>,
    /// Section `results`.
    pub results: Results,
    /// Section `model`.
    pub model: Model,
    /// Section `compute`.
    pub compute: Compute,
    /// Section `panel`.
    pub panel: Panel,
    /// Section `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Section `privacy`.
    pub privacy: Privacy,
    /// Section `log`.
    pub log: Log,
}

/// Who the box is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// The folder of everything it keeps.
    pub state: PathBuf,
    /// Whether results are kept and never sent.
    pub silent: bool,
}

/// The serial line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Serial {
    /// The port.
    pub device: PathBuf,
    /// First speed, in bit/s.
    pub baud: u32,
    /// Fastest speed, in bit/s.
    pub max_baud: u32,
}

/// The network line: TLS with certificates on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tcp {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The box's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Who may sign clients' certificates, PEM.
    pub client_ca: PathBuf,
}

/// The watched folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Folder {
    /// The folder.
    pub watch: PathBuf,
    /// Seconds without a change before a scan is taken.
    pub quiet_s: u64,
}

/// Room for scans and results, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spool {
    /// Most room of all.
    pub max_bytes: u64,
    /// Room left free on the disk.
    pub keep_free_bytes: u64,
    /// The largest scan.
    pub max_scan_bytes: u64,
}

/// Which models are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Whether models without a self-test are taken.
    pub allow_without_self_test: bool,
    /// Whose signatures count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_keys: Vec<TrustedKey>,
}

/// A key whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrustedKey {
    /// The key; its text is `nephrobox-key-1:…`.
    #[serde(serialize_with = "as_text")]
    pub key: PublicKey,
    /// Whether it no longer installs anything new.
    pub retired: bool,
}

fn as_text<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

/// How the network runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compute {
    /// A name of `nephrobox_engine::device::NAMES`.
    pub device: String,
    /// CPU threads; all cores if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u16>,
    /// Whether slices are looked at coarsely first, as `nephrobox segment --fast` does.
    pub fast: bool,
    /// `auto`, `f32` or `f16`, as `nephrobox segment --arithmetic` takes them.
    pub arithmetic: String,
}

/// Where the panel is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Panel {
    /// The targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<PanelTarget>,
}

/// One screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum PanelTarget {
    /// The kernel's framebuffer.
    Framebuffer {
        /// The device.
        device: PathBuf,
    },
    /// A picture.
    Png {
        /// The file, replaced at each change.
        path: PathBuf,
    },
}

/// The status page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// A loopback address.
    pub listen: SocketAddr,
    /// Whether the pages of studies say whose they are.
    pub show_identity: bool,
}

/// How long scans are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Privacy {
    /// Days after which the box erases; `None`: as long as there is room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u16>,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors: one JSON object a line.
    Json,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}; name a configuration, or make one with `nephrobox config example`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not right; holds every problem, at least one, by line.
    #[error("{}", Listed(path, problems))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problems: Vec<Problem>,
    },
}

struct Listed<'a>(&'a Path, &'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.1.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(out, "{end}{}: {problem}", self.0.display())?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, or every problem in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let cannot = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = files::read(path, MOST_BYTES).map_err(cannot)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let what = format!("byte {} is no UTF-8", error.utf8_error().valid_up_to());
            cannot(io::Error::new(io::ErrorKind::InvalidData, what))
        })?;
        Self::parse(&text).map_err(|problems| ConfigError::Wrong {
            path: path.to_owned(),
            problems,
        })
    }

    /// Everyone whom results are sent to.
    pub fn recipients(&self) -> impl Iterator<Item = Recipient<'_>> {
        let all = self.destinations.iter().map(Recipient::Destination);
        all.chain(self.archives.iter().map(Recipient::Archive))
            .chain(self.dicomweb.iter().map(Recipient::DicomWeb))
    }

    /// Checks a text. Looks at nothing outside it: whether files are there is found out by who opens them.
    ///
    /// # Errors
    /// Every problem, in the order of lines.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        read::config(text)
    }
}

#[cfg(test)]
mod tests;
