//! The tool's end of the line: blocking calls.

use std::io::{Read, Seek};
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::message::{Code, Item, Object, Refused, Reply, Request, Welcome, Word};

/// How to reach a box, and for how long to try.
#[derive(Clone, Debug)]
pub struct Options {
    /// The line's first speed in bit/s; that of the box's configuration.
    pub baud: u32,
    /// Fastest speed to go up to in bit/s.
    pub max_baud: u32,
    /// How long to wait for a line that is silent or gone before giving up.
    pub patience: Duration,
    /// Certificates, for a network line.
    pub tls: Option<TlsFiles>,
}

impl Default for Options {
    fn default() -> Self {
        Self { baud: 115_200, max_baud: 3_000_000, patience: Duration::from_secs(30), tls: None }
    }
}

/// Where the certificates of a network line lie, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The tool's own certificate chain.
    pub certificate: std::path::PathBuf,
    /// Its private key.
    pub key: std::path::PathBuf,
    /// Who may have signed the box's certificate.
    pub ca: std::path::PathBuf,
}

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The box answered that it will not.
    #[error("{}", .0.words)]
    Refused(Refused),
    /// The line cannot be opened.
    #[error("{place}: the line cannot be opened: {source}; see that the box is plugged in and that you may use the port")]
    Open {
        /// Which line.
        place: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A box, spoken with.
pub struct Client {}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes are moving.
    Bytes {
        /// Bytes that the other side has.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The line was lost; it is being opened again.
    Reconnecting,
    /// The box checks what it got.
    Checking,
}

impl Client {
    /// Opens a line and greets the box.
    pub fn connect(endpoint: &Endpoint, options: &Options) -> Result<Self, LinkError> {
        todo!()
    }

    /// What the box said of itself.
    pub fn welcome(&self) -> &Welcome {
        todo!()
    }

    /// The line that is used; for `Auto`, the one that was found.
    pub fn endpoint(&self) -> &Endpoint {
        todo!()
    }

    /// Asks and waits for the answer, over lost lines if need be. [`Reply::Refused`] is an error.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, LinkError> {
        todo!()
    }

    /// Sends an object whole and returns its id on the box once the box has it to stay. It goes on where an earlier try ended.
    pub fn put(
        &mut self,
        object: &Object,
        source: &mut (impl Read + Seek),
        heard: &mut dyn FnMut(Progress),
    ) -> Result<Word, LinkError> {
        todo!()
    }

    /// Fetches an object of at most `limit` bytes.
    pub fn get(
        &mut self,
        item: &Item,
        limit: u64,
        heard: &mut dyn FnMut(Progress),
    ) -> Result<Vec<u8>, LinkError> {
        todo!()
    }
}
