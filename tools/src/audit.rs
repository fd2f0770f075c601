//! `nephroctl audit`: the box's audit log, and whether its chain is whole (`docs/formats/audit.md`).

use std::io::Write;
use std::path::PathBuf;

use blake3::Hash;
use nephrobox_imaging::files;
use nephrobox_link::message::Item;
use serde::Deserialize;

use crate::failure::{Exit, Failure, say, say_json, unwritable};
use crate::line::{self, Line};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephroctl audit | tail -n 3 | jq .
  nephroctl audit --verify
  nephroctl audit --verify --known 1f4c... --out audit-2027-03.jsonl

The chain shows a line that was changed, removed or put in, but not lines that are missing at the \
end. So note the hash that --verify prints, and give it with --known the next time. Exit code 10 \
says that the log is not what was written.";

/// Largest log that is taken, in bytes; some hundred lines a day for thirty years.
const LARGEST: u64 = 1 << 30;
/// Longest line, in bytes, its end included.
const LONGEST_LINE: usize = 4096;

/// Options of `nephroctl audit`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Check the chain and print its length and last hash instead of the log.
    #[arg(long)]
    pub verify: bool,
    /// Check also that the log holds the line of this hash, which an earlier --verify printed.
    #[arg(long, value_name = "HASH", requires = "verify")]
    pub known: Option<Hash>,
    /// Write the log into this file instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How to reach the box.
    #[command(flatten)]
    pub line: Line,
}

/// Fetches the log and shows or checks it.
///
/// # Errors
/// If the box cannot be reached, the log is not what was written, or the file cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.line.connect()?;
    let log = line::get(&mut client, &Item::Audit, LARGEST, &mut |_| ())?;
    // Kept before it is checked: a log that is not what was written is the more worth keeping.
    if let Some(path) = &args.out {
        files::write(path, &log).map_err(|error| unwritable(path, &error))?;
    }
    if args.verify {
        let chain = verify(&log, args.known.as_ref()).map_err(|broken| {
            Failure::new(
                Exit::Fault,
                broken,
                format_args!("the audit log of {}", client.welcome().name),
                "keep the log with --out, and find out who changed it",
            )
            .coded("audit")
        })?;
        let words = format!(
            "{} lines, the chain is whole\nlast hash: {}\n",
            chain.lines, chain.last
        );
        return say(out, &words);
    }
    match args.out {
        Some(_) => Ok(()),
        None => say_json(out, &String::from_utf8_lossy(&log)),
    }
}

/// A chain that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// Lines of the log.
    pub lines: u64,
    /// Hash of the last line; zeros for an empty log.
    pub last: Hash,
}

/// Where a log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// At a line.
    #[error("line {line} of the audit log: {what}")]
    Line {
        /// Which, 1 for the first.
        line: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A line that was there before is not.
    #[error("no line of the audit log has the hash {0}")]
    Unknown(Hash),
}

/// The fields of a line. Those that are only looked at for being there have no use here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    seq: u64,
    #[serde(rename = "time")]
    _time: String,
    #[serde(rename = "who")]
    _who: Who,
    #[serde(rename = "what")]
    _what: String,
    #[serde(rename = "scan", default)]
    _scan: Option<String>,
    #[serde(rename = "hash", default)]
    _hash: Option<String>,
    prev: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Who {
    Device,
    Key(#[expect(dead_code, reason = "only its form is checked")] String),
    Source(#[expect(dead_code, reason = "only its form is checked")] String),
    Destination(#[expect(dead_code, reason = "only its form is checked")] String),
}

/// Checks a log from its first line to its last.
///
/// # Errors
/// The first line that is not what was written; or that none has the `known` hash.
pub fn verify(log: &[u8], known: Option<&Hash>) -> Result<Chain, Broken> {
    let mut chain = Chain {
        lines: 0,
        last: Hash::from_bytes([0; 32]),
    };
    let mut found = known.is_none_or(|known| *known == chain.last);
    for line in log.split_inclusive(|&byte| byte == b'\n') {
        let wrong = |what| Broken::Line {
            line: chain.lines + 1,
            what,
        };
        let bytes = line
            .strip_suffix(b"\n")
            .ok_or_else(|| wrong("it is cut off"))?;
        if line.len() > LONGEST_LINE {
            return Err(wrong("it is too long"));
        }
        let entry: Entry =
            serde_json::from_slice(bytes).map_err(|_| wrong("it is no line of an audit log"))?;
        if entry.seq != chain.lines + 1 {
            return Err(wrong("its number does not follow the one before"));
        }
        if entry.prev != chain.last.to_hex().as_str() {
            return Err(wrong(
                "it does not follow the line before, or that one was changed",
            ));
        }
        chain = Chain {
            lines: entry.seq,
            last: blake3::hash(bytes),
        };
        found |= known.is_some_and(|known| *known == chain.last);
    }
    match known {
        Some(known) if !found => Err(Broken::Unknown(*known)),
        _ => Ok(chain),
    }
}
