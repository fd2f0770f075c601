//! One file over HTTP: resume, retries, verification, and only then its name.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::http::{HeaderMap, header};
use ureq::tls::{RootCerts, TlsConfig};

use super::verify::verify;
use super::{Entry, Event, FetchError, Item, Policy};

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Left free on the disk.
const SPARE: u64 = 64 << 20;

/// An HTTP client that trusts what the system trusts and takes its proxy from the environment.
pub(super) fn client() -> ureq::Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_mins(1)))
        .user_agent(concat!("nephrotrain/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .into()
}

/// What a part file is part of, kept beside it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Origin {
    url: String,
    /// The server's tag for this version of the file.
    etag: Option<String>,
}

struct Part {
    path: PathBuf,
    beside: PathBuf,
    origin: Origin,
}

impl Part {
    fn of(target: &Path, url: &str) -> Self {
        let with = |ending: &str| {
            let mut name = target.file_name().unwrap_or_default().to_os_string();
            name.push(ending);
            target.with_file_name(name)
        };
        let (path, beside) = (with(".part"), with(".part.json"));
        let known: Option<Origin> = std::fs::read(&beside)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let fresh = Origin {
            url: url.into(),
            etag: None,
        };
        let origin = known.filter(|o| o.url == url).unwrap_or(fresh);
        Self {
            path,
            beside,
            origin,
        }
    }

    /// Bytes that may be built on.
    fn len(&self) -> u64 {
        if !self.beside.is_file() {
            return 0;
        }
        let known = std::fs::read(&self.beside).unwrap_or_default();
        let same = serde_json::from_slice::<Origin>(&known).is_ok_and(|o| o == self.origin);
        let len = std::fs::metadata(&self.path).map_or(0, |m| m.len());
        if same { len } else { 0 }
    }

    /// Opens the part to go on, or to start anew.
    fn open(&mut self, anew: bool, etag: Option<String>) -> std::io::Result<File> {
        if anew {
            self.origin.etag = etag;
            let text = serde_json::to_vec(&self.origin)?;
            // The part goes first: without it, nothing can be taken for a beginning of this version.
            let file = File::create(&self.path)?;
            std::fs::write(&self.beside, text)?;
            return Ok(file);
        }
        OpenOptions::new().append(true).open(&self.path)
    }

    fn discard(&self) {
        // What is not there need not go.
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(&self.beside);
    }
}

/// Downloads `item` to `target`, which is not there yet.
pub(super) fn download(
    item: &Item,
    target: &Path,
    policy: Policy,
    client: &ureq::Agent,
    on_event: &mut impl FnMut(Event<'_>),
) -> Result<Entry, FetchError> {
    let mut last = FetchError::Sources {
        file: item.path.display().to_string(),
        reason: "no address is given for it".into(),
    };
    for url in &item.urls {
        match from(url, item, target, policy, client, on_event) {
            Ok(entry) => return Ok(entry),
            Err(error) if error.stops_all() => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// From one address, with retries.
fn from(
    url: &str,
    item: &Item,
    target: &Path,
    policy: Policy,
    client: &ureq::Agent,
    on_event: &mut impl FnMut(Event<'_>),
) -> Result<Entry, FetchError> {
    let mut part = Part::of(target, url);
    let mut furthest = part.len();
    let mut failures = 0;
    let mut connection = policy.connection;
    loop {
        let outcome = attempt(&mut part, item, connection, client, on_event)
            .and_then(|()| finish(&part, item, target));
        let error = match outcome {
            Ok(entry) => return Ok(entry),
            Err(error) => error,
        };
        let reached = part.len();
        if let FetchError::Content { .. } = error {
            part.discard();
            furthest = 0;
            failures += 1;
        } else if reached > furthest {
            furthest = reached;
            failures = 0;
        } else {
            failures += 1;
            // A server that cannot go on in the middle needs the whole file to fit into one connection.
            connection = connection.saturating_mul(2);
        }
        if !is_passing(&error) || failures >= policy.attempts {
            return Err(error);
        }
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        let pause = policy.pause.saturating_mul(factor).min(LONGEST_PAUSE);
        on_event(Event::Again {
            error: &error,
            pause,
        });
        std::thread::sleep(pause);
    }
}

/// Whether another attempt may help.
fn is_passing(error: &FetchError) -> bool {
    match error {
        FetchError::Status { status, .. } => matches!(status, 408 | 429 | 500..),
        FetchError::Connection { .. } | FetchError::Content { .. } => true,
        _ => false,
    }
}

/// One connection: receives what is missing, as far as it comes.
fn attempt(
    part: &mut Part,
    item: &Item,
    connection: Duration,
    client: &ureq::Agent,
    on_event: &mut impl FnMut(Event<'_>),
) -> Result<(), FetchError> {
    let url = part.origin.url.clone();
    let broken = |reason: String| FetchError::Connection {
        url: url.clone(),
        reason,
    };
    let offset = part.len();
    let mut request = client.get(&url);
    // Bytes as stored: a transfer that is compressed on the way has other lengths.
    request = request.header(header::ACCEPT_ENCODING, "identity");
    if offset > 0 {
        request = request.header(header::RANGE, format!("bytes={offset}-"));
        if let Some(etag) = &part.origin.etag {
            request = request.header(header::IF_RANGE, etag);
        }
    }
    let request = request.config().timeout_recv_body(Some(connection)).build();
    let response = request.call().map_err(|e| broken(e.to_string()))?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let (from, total) = match status {
        200 => (0, length(&headers)),
        206 => match range(&headers) {
            Some((from, total)) if from == offset => (offset, total),
            _ => {
                part.discard();
                return Err(broken("it sends another range than was asked for".into()));
            }
        },
        // Nothing lies behind what is there: it is whole, or it is not a part of this file.
        416 if total_of_416(&headers) == Some(offset) => return Ok(()),
        416 => {
            part.discard();
            return Err(broken(
                "it has less of the file than is here already".into(),
            ));
        }
        status => {
            return Err(FetchError::Status {
                url: url.clone(),
                status,
            });
        }
    };
    let path = part.path.clone();
    let file = |source| FetchError::File {
        path: path.clone(),
        error: source,
    };
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    if let Some(total) = total {
        let needed = total.saturating_sub(from).saturating_add(SPARE);
        let free = fs4::available_space(&folder).map_err(file)?;
        if needed > free {
            return Err(FetchError::Space {
                path: folder,
                needed,
                free,
            });
        }
    }
    let mut out = part.open(from == 0, etag(&headers)).map_err(file)?;
    on_event(Event::Receiving {
        path: &item.path,
        from,
        total,
    });
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0_u8; 1 << 16];
    let mut have = from;
    let received = loop {
        match body.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(n) => {
                out.write_all(&buffer[..n]).map_err(file)?;
                have += n as u64;
                on_event(Event::Bytes(n as u64));
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => break Err(e),
        }
    };
    out.sync_all().map_err(file)?;
    match (received, total) {
        (Err(e), _) => Err(broken(format!(
            "the connection broke off after {have} bytes: {e}"
        ))),
        (Ok(()), Some(total)) if have < total => Err(broken(format!(
            "the connection broke off after {have} of {total} bytes"
        ))),
        _ => Ok(()),
    }
}

/// Checks the part and gives it its name.
fn finish(part: &Part, item: &Item, target: &Path) -> Result<Entry, FetchError> {
    let file = |source| FetchError::File {
        path: part.path.clone(),
        error: source,
    };
    let sha256 = verify(&part.path, &item.check)
        .map_err(file)?
        .map_err(|reason| FetchError::Content {
            url: part.origin.url.clone(),
            reason,
        })?;
    let bytes = std::fs::metadata(&part.path).map_err(file)?.len();
    std::fs::rename(&part.path, target).map_err(file)?;
    part.discard();
    Ok(Entry {
        bytes,
        sha256,
        from: part.origin.url.clone(),
    })
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_LENGTH)?.parse().ok()
}

/// A strong tag; a weak one does not promise the same bytes.
fn etag(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, header::ETAG)?;
    tag.starts_with('"').then(|| tag.to_string())
}

/// `bytes FROM-TO/TOTAL`, TOTAL perhaps `*`.
fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = text(headers, header::CONTENT_RANGE)?.strip_prefix("bytes ")?;
    let (span, total) = range.split_once('/')?;
    let (from, _) = span.split_once('-')?;
    Some((from.parse().ok()?, total.parse().ok()))
}

/// `bytes */TOTAL`.
fn total_of_416(headers: &HeaderMap) -> Option<u64> {
    let range = text(headers, header::CONTENT_RANGE)?;
    range.strip_prefix("bytes */")?.parse().ok()
}
