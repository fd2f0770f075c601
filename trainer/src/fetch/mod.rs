//! Downloads: KiTS19 and encoders' weights, whole or not at all.
//!
//! A file grows as `NAME.part` and gets its name only when its checksum holds (or, where none is published, gzip's own
//! and the NIfTI header). A dropped connection goes on where it stopped; what came from another address, or changed on
//! the server meanwhile, starts anew. A manifest in the folder remembers what is whole.

mod download;
mod manifest;
mod sources;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use verify::hex;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use manifest::{Entry, Manifest};
pub use sources::{DEFAULT as DEFAULT_SOURCES, Sources};
pub use verify::Check;

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it goes, within the folder.
    pub path: PathBuf,
    /// Where it comes from; tried in order.
    pub urls: Vec<String>,
    /// What makes it right.
    pub check: Check,
}

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Failures in a row, without a byte of progress between, before an address is given up.
    pub attempts: u32,
    /// Pause after the first failure; it doubles with each, up to a minute.
    pub pause: Duration,
    /// Longest time that one connection may take; a longer download goes on over the next one.
    pub connection: Duration,
    /// Hash files again that the manifest calls whole, instead of comparing their size only.
    pub rehash: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 6,
            pause: Duration::from_secs(1),
            connection: Duration::from_mins(10),
            rehash: false,
        }
    }
}

/// What happens while files are fetched.
#[derive(Debug)]
pub enum Event<'a> {
    /// The file is there and whole.
    Whole(&'a Path),
    /// A file's bytes start to come, `from` of `total` being there already.
    Receiving {
        /// The file, within the folder.
        path: &'a Path,
        /// Bytes that are there.
        from: u64,
        /// Bytes in all, if the server says.
        total: Option<u64>,
    },
    /// So many more bytes are there.
    Bytes(u64),
    /// Something went wrong and is tried again.
    Again {
        /// What went wrong.
        error: &'a FetchError,
        /// How long to wait first.
        pause: Duration,
    },
    /// The file is whole under its name.
    Fetched(&'a Path),
    /// The file is given up.
    Failed {
        /// The file, within the folder.
        path: &'a Path,
        /// Why.
        error: &'a FetchError,
    },
}

/// Why a file is not there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A list of addresses or a manifest cannot be used.
    #[error("{file} cannot be used: {reason}")]
    Sources {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// There is no such thing to fetch.
    #[error("there is no {what} `{name}` to fetch; {known}")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// Name asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The server answered, but not with the file.
    #[error("{url} answers with status {status}: {}", status_advice(*.status))]
    Status {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// No answer, or one that breaks off.
    #[error("{url}: {reason}")]
    Connection {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// A file came, but not the right one.
    #[error("{url} sent something else: {reason}; nothing of it was kept")]
    Content {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that is already there is not the right one.
    #[error("{path} is there already, but {reason}; move it away and fetch again")]
    Existing {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk is too full.
    #[error(
        "{path} needs {:.1} MB more, but only {:.1} MB are free there; free disk space or choose another folder",
        *.needed as f64 / 1e6,
        *.free as f64 / 1e6
    )]
    Space {
        /// Where.
        path: PathBuf,
        /// Bytes still to come.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// A file cannot be written or read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl FetchError {
    /// Whether the next file would fail alike.
    fn stops_all(&self) -> bool {
        matches!(
            self,
            Self::Space { .. } | Self::File { .. } | Self::Sources { .. }
        )
    }
}

fn status_advice(status: u16) -> &'static str {
    match status {
        404 | 410 => "the file has moved; give its new address with --sources",
        401 | 403 => "the server wants a login; fetch the file with a browser",
        429 => "too many requests; try again later",
        500.. => "the server has a problem; try again later",
        _ => "this is not the file; check the address with --sources",
    }
}

/// How many files a run fetched, found whole, and gave up.
#[derive(Debug, Default)]
pub struct Summary {
    /// Fetched now.
    pub fetched: usize,
    /// Already there.
    pub whole: usize,
    /// Given up, and why.
    pub failed: Vec<(PathBuf, FetchError)>,
}

/// Fetches `items` into `folder`, one after the other. A file that fails does not keep the others from coming, unless
/// they would fail alike (a full disk).
pub fn fetch(
    items: &[Item],
    folder: &Path,
    policy: Policy,
    mut on_event: impl FnMut(Event<'_>),
) -> Result<Summary, FetchError> {
    std::fs::create_dir_all(folder).map_err(|source| FetchError::File {
        path: folder.into(),
        error: source,
    })?;
    let mut manifest = Manifest::open(folder)?;
    let client = download::client();
    let mut summary = Summary::default();
    for item in items {
        let outcome = one(item, folder, policy, &client, &mut manifest, &mut on_event);
        match outcome {
            Ok(true) => {
                summary.fetched += 1;
                on_event(Event::Fetched(&item.path));
            }
            Ok(false) => {
                summary.whole += 1;
                on_event(Event::Whole(&item.path));
            }
            Err(error) => {
                on_event(Event::Failed {
                    path: &item.path,
                    error: &error,
                });
                let stop = error.stops_all();
                summary.failed.push((item.path.clone(), error));
                if stop {
                    break;
                }
            }
        }
    }
    Ok(summary)
}

/// Fetches one file; false if it is there already.
fn one(
    item: &Item,
    folder: &Path,
    policy: Policy,
    client: &ureq::Agent,
    manifest: &mut Manifest,
    on_event: &mut impl FnMut(Event<'_>),
) -> Result<bool, FetchError> {
    let target = folder.join(&item.path);
    let file = |source| FetchError::File {
        path: target.clone(),
        error: source,
    };
    let there = match std::fs::metadata(&target) {
        Ok(m) => Some(m.len()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(file(e)),
    };
    if let Some(bytes) = there {
        let known = manifest
            .get(&item.path)
            .filter(|entry| entry.bytes == bytes);
        if known.is_some() && !policy.rehash {
            return Ok(false);
        }
        // Put there by other means, such as a clone of the repository, or to be hashed again.
        let sha256 = verify::verify(&target, &item.check).map_err(file)?;
        let sha256 = sha256.and_then(|found| match known {
            Some(entry) if entry.sha256 != found => {
                Err("its SHA-256 is not that of the manifest".into())
            }
            _ => Ok(found),
        });
        let sha256 = sha256.map_err(|reason| FetchError::Existing {
            path: target.clone(),
            reason,
        })?;
        if known.is_none() {
            let from = "found in the folder".into();
            manifest.add(
                &item.path,
                Entry {
                    bytes,
                    sha256,
                    from,
                },
            )?;
        }
        return Ok(false);
    }
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(file)?;
    }
    let entry = download::download(item, &target, policy, client, on_event)?;
    manifest.add(&item.path, entry)?;
    Ok(true)
}
