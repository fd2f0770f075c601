//! Results to an archive over HTTP: STOW-RS, DICOM PS3.18 section 10.5.

use std::io::{self, Cursor, Read};
use std::path::Path;
use std::time::Duration;

use ureq::http::header;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, SendBody};

use super::{Delivery, Destination, Results};
use crate::config::DicomWeb;
use crate::spool::ScanId;

/// Most of an answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 1 << 20;
/// Longest token, in bytes.
const LONGEST_TOKEN: u64 = 64 << 10;
/// Failed SOP Sequence, in an archive's answer.
const FAILED: &str = "00081198";
/// Parts the body; no object holds it but by a chance of one in 2^128 at each byte.
const BOUNDARY: &str = "nephrobox-7f0c1e8a5b94d2631c7aa0e3f58b4d96";

/// The longest that each part of a delivery may take as a whole, however slowly it goes on. The outbox has one thread: an archive that stood still must not keep
/// the others waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StowLimits {
    /// Looking up the archive's name.
    pub resolve: Duration,
    /// The connection, with TLS.
    pub connect: Duration,
    /// The head of the request.
    pub head: Duration,
    /// The object.
    pub object: Duration,
    /// The head of the answer, once the object is sent.
    pub answer: Duration,
    /// The words of the answer.
    pub words: Duration,
}

impl Default for StowLimits {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(30),
            connect: Duration::from_secs(30),
            head: Duration::from_secs(30),
            object: Duration::from_mins(10),
            answer: Duration::from_mins(2),
            words: Duration::from_mins(2),
        }
    }
}

/// An archive that takes objects over HTTP.
#[derive(Debug)]
pub struct StowDestination {
    name: String,
    archive: DicomWeb,
    limits: StowLimits,
}

impl StowDestination {
    /// An archive by the name that the configuration gives it. Certificates and token are read at every delivery, so that they can be renewed.
    pub fn new(name: impl Into<String>, archive: &DicomWeb) -> Self {
        Self {
            name: name.into(),
            archive: archive.clone(),
            limits: StowLimits::default(),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn within(mut self, limits: StowLimits) -> Self {
        self.limits = limits;
        self
    }

    fn agent(&self) -> io::Result<Agent> {
        let roots = match &self.archive.ca {
            Some(path) => certificates(path)?,
            None => RootCerts::PlatformVerifier,
        };
        let limits = self.limits;
        Ok(Agent::config_builder()
            .http_status_as_error(false)
            // An object that follows a redirection could be one that leaves the hospital.
            .max_redirects(0)
            .timeout_resolve(Some(limits.resolve))
            .timeout_connect(Some(limits.connect))
            .timeout_send_request(Some(limits.head))
            .timeout_send_body(Some(limits.object))
            .timeout_recv_response(Some(limits.answer))
            .timeout_recv_body(Some(limits.words))
            .user_agent(concat!("nephrobox/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build()
            .into())
    }

    fn send(
        &self,
        agent: &Agent,
        token: Option<&str>,
        len: u64,
        file: impl Read,
    ) -> io::Result<()> {
        let head = format!("--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n");
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let total = len + (head.len() + tail.len()) as u64;
        // A file that grows would not be what its length says.
        let mut body = Cursor::new(head)
            .chain(file.take(len))
            .chain(Cursor::new(tail));
        let mut request = agent
            .post(format!("{}/studies", self.archive.url))
            .header(
                header::CONTENT_TYPE,
                format!("multipart/related; type=\"application/dicom\"; boundary={BOUNDARY}"),
            )
            .header(header::CONTENT_LENGTH, total)
            .header(header::ACCEPT, "application/dicom+json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut answer = request
            .send(SendBody::from_reader(&mut body))
            .map_err(io::Error::other)?;
        let status = answer.status();
        let stored = match status.as_u16() {
            200 => true,
            // Stored with remarks, or not; the body tells. One that cannot be read tells nothing.
            202 => {
                let mut text = answer
                    .body_mut()
                    .with_config()
                    .limit(LONGEST_ANSWER)
                    .reader();
                let answer: Result<serde_json::Value, _> = serde_json::from_reader(&mut text);
                answer.is_ok_and(|answer| !failed(&answer))
            }
            _ => false,
        };
        if stored {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "the archive answers {status} to an object and does not store it"
            )))
        }
    }
}

impl Destination for StowDestination {
    fn name(&self) -> &str {
        &self.name
    }

    /// Sends one object after the other. One that the archive has already is sent again, and is the same object.
    fn deliver(&self, _id: ScanId, results: &Results<'_>) -> io::Result<Delivery> {
        let agent = self.agent()?;
        let token = self.archive.token_file.as_deref().map(token).transpose()?;
        for object in &self.archive.objects {
            if let Some((len, file)) = results.open(object.file())? {
                self.send(&agent, token.as_deref(), len, file)?;
            }
        }
        Ok(Delivery::Confirmed)
    }
}

fn token(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| at(path, &error))?;
    file.take(LONGEST_TOKEN)
        .read_to_string(&mut text)
        .map_err(|error| at(path, &error))?;
    Ok(text.trim().to_owned())
}

fn certificates(path: &Path) -> io::Result<RootCerts> {
    let pem = std::fs::read(path).map_err(|error| at(path, &error))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(io::Error::other(format!(
            "{} holds no certificate",
            path.display()
        )));
    }
    Ok(RootCerts::from(certificates))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Whether an answer names an object that was not stored.
fn failed(answer: &serde_json::Value) -> bool {
    let sets = match answer {
        serde_json::Value::Array(sets) => sets.as_slice(),
        one => std::slice::from_ref(one),
    };
    sets.iter().any(|set| {
        let failed = set.get(FAILED).and_then(|sequence| sequence.get("Value"));
        failed
            .and_then(serde_json::Value::as_array)
            .is_some_and(|items| !items.is_empty())
    })
}
