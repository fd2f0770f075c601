//! The audit log: who flashed, received, reported, sent, exported and erased what.
//!
//! One JSON object a line, each with the BLAKE3 of the line before, so that a line that was changed, removed or put in
//! shows. A line is synced before [`Audit::add`] returns. It holds ids, hashes and names from the box's configuration, and
//! nothing that comes from a patient or a file's name. `docs/formats/audit.md` is the written form.

use std::time::{SystemTime, UNIX_EPOCH};

use blake3::Hash;
use nephrobox_shared::moment::rfc3339;
use serde::{Deserialize, Serialize};

use crate::config::NAME;
use crate::spool::ScanId;
use crate::storage::Storage;

/// The log's name in its storage.
pub const LOG: &str = "audit.jsonl";
/// Where a line goes that a power cut left unfinished.
pub const TORN: &str = "audit.torn";
/// The longest line in bytes, its end included.
const LONGEST: usize = 4096;

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The box by itself.
    Device,
    /// The holder of a key, by the key's id.
    Key(String),
    /// A line or a watched folder, by its name in the configuration.
    Source(String),
    /// A destination, by its name in the configuration.
    Destination(String),
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The box's service started.
    Started,
    /// A package was written to a slot.
    Flashed,
    /// A scan was accepted.
    Received,
    /// A scan or a package was not taken, or was unusable.
    Refused,
    /// A scan's report was made.
    Reported,
    /// Results were handed to a destination.
    Sent,
    /// A destination has results, or a package was found good.
    Confirmed,
    /// The box went back to an earlier package.
    RolledBack,
    /// A scan and all that was made of it was erased.
    Erased,
    /// A scan's results without whose they are were handed out.
    Exported,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// Who did it.
    pub who: Who,
    /// What was done.
    pub what: What,
    /// The scan it was done with.
    pub scan: Option<ScanId>,
    /// BLAKE3 of what it was done with: a scan, a report, a package.
    pub hash: Option<Hash>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// 1, 2, 3 and on.
    pub seq: u64,
    /// The box's clock, RFC 3339, UTC. Clocks jump; `seq` orders.
    pub time: String,
    /// Who.
    pub who: Who,
    /// What.
    pub what: What,
    /// The scan's id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scan: Option<String>,
    /// The object's BLAKE3 in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hash: Option<String>,
    /// BLAKE3 of the line before without its end; 64 zeros in the first.
    pub prev: String,
}

/// What is wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A line is not what was written.
    #[error("line {line}: {what}; keep the file and find out who changed it")]
    Line {
        /// The line, 1 for the first.
        line: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The last two lines cannot be read, which no power cut does.
    #[error(
        "{LOG}: its end is no log; keep the file apart, find out who changed it, and start the box again"
    )]
    End,
    /// The file cannot be read or written.
    #[error("{LOG}: {0}; check the disk")]
    Storage(#[from] std::io::Error),
}

/// The log, open at its end.
#[derive(Debug)]
pub struct Audit<S> {
    storage: S,
    len: u64,
    seq: u64,
    prev: Hash,
    /// A write failed: what lies after `len` is no line.
    torn: bool,
}

impl<S: Storage> Audit<S> {
    /// Opens the log, which is made if it is not there. A last line that a power cut tore is moved to [`TORN`]; how many bytes
    /// those were is returned too, 0 if there were none.
    ///
    /// # Errors
    /// When the disk refuses, or the last whole line is no line of a log.
    pub fn open(storage: S) -> Result<(Self, u64), AuditError> {
        let lies = storage.len(LOG)?.unwrap_or(0);
        let start = lies.saturating_sub(2 * LONGEST as u64);
        let mut tail = vec![0; (lies - start) as usize];
        if lies > 0 {
            let read = storage.read_at(LOG, start, &mut tail)?;
            tail.truncate(read);
        }
        let mut whole = end_of_line(&tail);
        let mut last = last_line(&tail[..whole]);
        if last.is_none() && whole > 0 {
            // Of a line that was not synced any part may be there, its end too. The one before was.
            whole = end_of_line(&tail[..whole - 1]);
            last = last_line(&tail[..whole]);
        }
        let torn = tail[whole..].to_vec();
        let len = start + whole as u64;
        let (seq, prev) = match last {
            Some(last) => last,
            None if len == 0 => (0, first()),
            None => return Err(AuditError::End),
        };
        let audit = Self {
            storage,
            len,
            seq,
            prev,
            torn: false,
        };
        if !torn.is_empty() {
            // Kept apart first: a cut between the two steps keeps it twice, never not at all.
            let mut kept = torn.clone();
            kept.push(b'\n');
            audit.storage.append(TORN, &kept)?;
            audit.storage.sync(TORN)?;
            audit.storage.sync_folder("")?;
            audit.cut()?;
        }
        Ok((audit, torn.len() as u64))
    }

    /// Adds a line, synced when this returns.
    ///
    /// # Errors
    /// When the disk refuses; the line is not there then.
    pub fn add(&mut self, deed: &Deed) -> Result<u64, AuditError> {
        self.add_at(deed, SystemTime::now())
    }

    fn add_at(&mut self, deed: &Deed, now: SystemTime) -> Result<u64, AuditError> {
        if self.torn {
            self.cut()?;
            self.torn = false;
        }
        // Before 1970 the clock is wrong anyway.
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = Line {
            seq: self.seq + 1,
            time: rfc3339(since),
            who: tame(&deed.who),
            what: deed.what,
            scan: deed.scan.map(|id| id.to_string()),
            hash: deed.hash.map(|hash| hash.to_hex().to_string()),
            prev: self.prev.to_hex().to_string(),
        };
        let mut bytes = serde_json::to_vec(&line).map_err(std::io::Error::other)?;
        let hash = blake3::hash(&bytes);
        bytes.push(b'\n');
        self.torn = true;
        self.storage.append(LOG, &bytes)?;
        self.storage.sync(LOG)?;
        if self.len == 0 {
            self.storage.sync_folder("")?;
        }
        self.torn = false;
        self.len += bytes.len() as u64;
        (self.seq, self.prev) = (line.seq, hash);
        Ok(self.seq)
    }

    fn cut(&self) -> std::io::Result<()> {
        if self.storage.len(LOG)?.is_some_and(|lies| lies > self.len) {
            self.storage.truncate(LOG, self.len)?;
            self.storage.sync(LOG)?;
        }
        Ok(())
    }
}

/// Checks a log from its first line to its last and returns how many there are.
///
/// # Errors
/// The first line that is not what was written, or a file that cannot be read.
pub fn verify<S: Storage>(storage: &S) -> Result<u64, AuditError> {
    walk(storage, &mut |_| ())
}

/// The same, and hands over every line that is what was written, from the first on.
///
/// # Errors
/// As [`verify`].
pub fn walk<S: Storage>(storage: &S, each: &mut dyn FnMut(Line)) -> Result<u64, AuditError> {
    let lies = storage.len(LOG)?.unwrap_or(0);
    let (mut offset, mut count, mut prev) = (0, 0, first());
    let mut buffer = vec![0; LONGEST];
    while offset < lies {
        let wrong = |what| AuditError::Line {
            line: count + 1,
            what,
        };
        let read = storage.read_at(LOG, offset, &mut buffer)?;
        let end = buffer[..read].iter().position(|&byte| byte == b'\n');
        let end = end.ok_or_else(|| wrong("the line is torn"))?;
        let bytes = &buffer[..end];
        let line: Line =
            serde_json::from_slice(bytes).map_err(|_| wrong("it is no line of a log"))?;
        if line.seq != count + 1 {
            return Err(wrong("its number does not follow the one before"));
        }
        if line.prev != prev.to_hex().as_str() {
            return Err(wrong(
                "it does not follow the line before, or that one was changed",
            ));
        }
        prev = blake3::hash(bytes);
        count += 1;
        offset += end as u64 + 1;
        each(line);
    }
    Ok(count)
}

/// What the first line names as the one before.
fn first() -> Hash {
    Hash::from_bytes([0; 32])
}

/// Bytes up to and with the last end of a line.
fn end_of_line(bytes: &[u8]) -> usize {
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    end.map_or(0, |end| end + 1)
}

/// Number and hash of the last line, if it can be read.
fn last_line(whole_lines: &[u8]) -> Option<(u64, Hash)> {
    let lines = whole_lines.strip_suffix(b"\n")?;
    let last = &lines[end_of_line(lines)..];
    let line: Line = serde_json::from_slice(last).ok()?;
    Some((line.seq, blake3::hash(last)))
}

/// Names cannot make a line too long.
fn tame(who: &Who) -> Who {
    match who {
        Who::Device => Who::Device,
        Who::Key(name) => Who::Key(short(name)),
        Who::Source(name) => Who::Source(short(name)),
        Who::Destination(name) => Who::Destination(short(name)),
    }
}

/// A name as it stands in a line: whole, if the configuration has it.
pub(crate) fn short(name: &str) -> String {
    crate::record::tame(name, NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Folder;

    fn deed(what: What) -> Deed {
        Deed {
            who: Who::Key("k1".into()),
            what,
            scan: None,
            hash: Some(blake3::hash(b"a scan")),
        }
    }

    fn log_of_three(folder: &Folder) -> Vec<u8> {
        let (mut audit, torn) = Audit::open(folder.clone()).expect("open");
        assert_eq!(torn, 0);
        for what in [What::Started, What::Flashed, What::RolledBack] {
            audit.add(&deed(what)).expect("added");
        }
        std::fs::read(folder.root().join(LOG)).expect("a log")
    }

    /// Shows RQ-72.
    #[test]
    fn every_changed_byte_and_every_missing_line_shows() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(home.path()).expect("open");
        let log = log_of_three(&folder);
        assert_eq!(verify(&folder).expect("whole"), 3);
        let path = home.path().join(LOG);
        let last = end_of_line(&log[..log.len() - 1]);
        for at in 0..last {
            let mut changed = log.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).expect("written");
            assert!(verify(&folder).is_err(), "byte {at}");
        }
        let second = log.iter().position(|&byte| byte == b'\n').expect("a line") + 1;
        std::fs::write(&path, [&log[..second], &log[last..]].concat()).expect("written");
        let error = verify(&folder).expect_err("a line is missing");
        assert!(matches!(error, AuditError::Line { line: 2, .. }), "{error}");
    }

    #[test]
    fn a_line_torn_by_a_power_cut_is_kept_apart_and_the_chain_goes_on() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(home.path()).expect("open");
        let log = log_of_three(&folder);
        let last = end_of_line(&log[..log.len() - 1]);
        for cut in last..log.len() {
            std::fs::write(home.path().join(LOG), &log[..cut]).expect("written");
            let _ = std::fs::remove_file(home.path().join(TORN));
            let (mut audit, torn) = Audit::open(folder.clone()).expect("open");
            assert_eq!(torn, (cut - last) as u64);
            if torn > 0 {
                let kept = std::fs::read(home.path().join(TORN)).expect("kept apart");
                assert_eq!(kept[..kept.len() - 1], log[last..cut]);
            }
            assert_eq!(audit.add(&deed(What::Sent)).expect("added"), 3);
            assert_eq!(verify(&folder).expect("whole"), 3);
        }
    }
}
