//! The tool's end of the line: blocking calls.
//!
//! Every call goes on over a line that was lost: it is opened again and the call repeated, which the protocol allows, until nothing
//! has moved for [`Options::patience`].

mod error;
mod open;
mod session;

use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::endpoint::Endpoint;
use crate::message::{Item, Object, Reply, Request, Welcome, Word};
use crate::tls::TlsFiles;
pub use error::LinkError;
use session::{Broken, Session};

/// Lines that may be lost in a row without a byte more on the other side. A box that greets and then goes silent each time is not
/// worth waiting for.
const LOSSES: u32 = 5;

/// How to reach a box, and for how long to try.
#[derive(Clone, Debug)]
pub struct Options {
    /// The speed at which sessions begin, in bit/s; as in the box's configuration.
    pub baud: u32,
    /// Fastest speed to go up to, in bit/s; the box has a limit of its own.
    pub max_baud: u32,
    /// How long to wait for a line that is silent or gone before giving up.
    pub patience: Duration,
    /// Certificates, for a network line.
    pub tls: Option<TlsFiles>,
}

impl Default for Options {
    /// 115,200 bit/s to begin with, 3 Mbit/s at most, half a minute of patience, no certificates.
    fn default() -> Self {
        Self {
            baud: 115_200,
            max_baud: 3_000_000,
            patience: Duration::from_secs(30),
            tls: None,
        }
    }
}

/// What happens during a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes are moving.
    Bytes {
        /// Bytes that have arrived at the other side.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The line was lost; it is being opened again.
    Reconnecting,
    /// The box checks what it got.
    Checking,
}

/// A box, spoken with.
pub struct Client {
    runtime: Runtime,
    endpoint: Endpoint,
    options: Options,
    welcome: Welcome,
    /// `None` after the line was lost: whoever opens a port must have let go of it first.
    session: Option<Session>,
}

impl Client {
    /// Opens a line, greets the box, and raises the line's speed as far as both sides allow.
    ///
    /// # Errors
    /// When there is no such line, no box answers, or it speaks another protocol.
    pub fn connect(endpoint: &Endpoint, options: &Options) -> Result<Self, LinkError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| LinkError::Open {
                place: "this program".into(),
                source,
            })?;
        let (endpoint, session) = runtime.block_on(open::open(endpoint, options))?;
        Ok(Self {
            runtime,
            endpoint,
            options: options.clone(),
            welcome: session.welcome().clone(),
            session: Some(session),
        })
    }

    /// What the box said of itself.
    #[must_use]
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The line that is used; for [`Endpoint::Auto`], the one that was found.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`LinkError::Refused`] for [`Reply::Refused`], and what becomes of lines.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, LinkError> {
        self.through(&mut |_| {}, async |session, _| session.ask(request).await)
    }

    /// Sends an object whole and returns its id on the box once the box has it, to stay. It goes on where an earlier try ended.
    ///
    /// # Errors
    /// A source that cannot be read or changes meanwhile, a box that refuses, and what becomes of lines.
    pub fn put(
        &mut self,
        object: &Object,
        source: &mut (impl Read + Seek),
        heard: &mut dyn FnMut(Progress),
    ) -> Result<Word, LinkError> {
        let mut hasher = blake3::Hasher::new();
        source.seek(SeekFrom::Start(0)).map_err(LinkError::Source)?;
        let bytes = std::io::copy(source, &mut hasher).map_err(LinkError::Source)?;
        let blake3 = *hasher.finalize().as_bytes();
        self.through(heard, async |session, heard| {
            session.put(object, bytes, blake3, source, heard).await
        })
    }

    /// Fetches an object of at most `limit` bytes.
    ///
    /// # Errors
    /// A box that refuses, an object that is too large, and what becomes of lines.
    pub fn get(
        &mut self,
        item: &Item,
        limit: u64,
        heard: &mut dyn FnMut(Progress),
    ) -> Result<Vec<u8>, LinkError> {
        let mut begun = session::Begun::default();
        self.through(heard, async |session, heard| {
            session.get(item, limit, &mut begun, heard).await
        })
    }

    /// Does something over as many lines as it takes.
    fn through<T>(
        &mut self,
        heard: &mut dyn FnMut(Progress),
        mut call: impl AsyncFnMut(&mut Session, &mut dyn FnMut(Progress)) -> Result<T, Broken>,
    ) -> Result<T, LinkError> {
        let Self {
            runtime,
            endpoint,
            options,
            welcome,
            session,
        } = self;
        runtime.block_on(async {
            let (mut lost, mut losses, mut best) = (None, 0, 0);
            loop {
                let open = if let Some(open) = session {
                    open
                } else {
                    let opened = open::again(endpoint, options, lost.take()).await?;
                    welcome.clone_from(opened.welcome());
                    session.insert(opened)
                };
                let mut listen = |progress| {
                    if let Progress::Bytes { done, .. } = progress
                        && done > best
                    {
                        (best, losses) = (done, 0);
                    }
                    heard(progress);
                };
                match call(open, &mut listen).await {
                    Ok(done) => return Ok(done),
                    Err(Broken::Fatal(error)) => return Err(error),
                    Err(Broken::Line(error)) => {
                        *session = None;
                        losses += 1;
                        if losses == LOSSES {
                            return Err(open::lost(endpoint, options, &error));
                        }
                        heard(Progress::Reconnecting);
                        lost = Some(error);
                    }
                }
            }
        })
    }
}
