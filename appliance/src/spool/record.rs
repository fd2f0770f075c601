//! What the box notes about a scan: one line that says what follows and its CRC, then JSON that a person can read.

use std::collections::BTreeSet;

use crc::{CRC_32_ISO_HDLC, Crc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the records that this program writes.
pub(super) const VERSION: u32 = 1;
/// Longest record in bytes.
pub(super) const LONGEST: u64 = 8 << 10;
/// Bytes kept of a reason.
const REASON: usize = 400;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A scan's record, kept beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Bytes of the scan's file.
    pub bytes: u64,
    /// Its BLAKE3 in hexadecimal digits; empty if the record was lost with it.
    pub blake3: String,
    /// The name it came under, for people only.
    pub file_name: String,
    /// Who sent it, for people only.
    pub source: String,
    /// Whether slices may be skipped.
    pub fast: bool,
    /// Bytes that survive a power cut while it is received.
    pub kept: u64,
    /// How often work on it began.
    pub attempts: u32,
    /// How the last attempt ended, if it ended badly and could say so.
    pub trouble: Option<String>,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
    /// Destinations that have its results.
    pub confirmed: BTreeSet<String>,
}

/// How the work on a scan ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There is a report.
    Finished,
    /// The scan itself is unusable; there is an error report.
    Refused {
        /// Why.
        reason: String,
    },
    /// It stopped the worker too often; there is an error report, and the scan is kept.
    SetAside {
        /// How.
        reason: String,
    },
}

impl Outcome {
    /// What to tell where there is no report.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Finished => None,
            Self::Refused { reason } | Self::SetAside { reason } => Some(reason),
        }
    }
}

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Its bytes are not what was written.
    Damaged,
    /// A newer program wrote it.
    Newer,
}

/// A value as the bytes of a record of that kind.
pub(super) fn seal<T: Serialize>(kind: &str, value: &T) -> serde_json::Result<Vec<u8>> {
    let json = serde_json::to_vec_pretty(value)?;
    let crc = CRC.checksum(&json);
    let mut bytes = format!("nephrobox {kind} {VERSION} {crc:08x}\n").into_bytes();
    bytes.extend(json);
    Ok(bytes)
}

/// The value in the bytes of a record.
pub(super) fn unseal<T: DeserializeOwned>(kind: &str, bytes: &[u8]) -> Result<T, Unusable> {
    let line = bytes
        .iter()
        .position(|&byte| byte == b'\n')
        .ok_or(Unusable::Damaged)?;
    let (line, json) = (&bytes[..line], &bytes[line + 1..]);
    let line = std::str::from_utf8(line).map_err(|_| Unusable::Damaged)?;
    let words: Vec<_> = line.split(' ').collect();
    let ["nephrobox", found, version, crc] = words[..] else {
        return Err(Unusable::Damaged);
    };
    if found != kind || u32::from_str_radix(crc, 16) != Ok(CRC.checksum(json)) {
        return Err(Unusable::Damaged);
    }
    match version.parse::<u32>() {
        Ok(VERSION) => serde_json::from_slice(json).map_err(|_| Unusable::Damaged),
        Ok(newer) if newer > VERSION => Err(Unusable::Newer),
        _ => Err(Unusable::Damaged),
    }
}

/// Words from outside, fit for a record: no control characters, at most `longest` bytes.
pub(super) fn tame(words: &str, longest: usize) -> String {
    let mut tamed = String::new();
    for character in words.chars().filter(|character| !character.is_control()) {
        if tamed.len() + character.len_utf8() > longest {
            break;
        }
        tamed.push(character);
    }
    tamed
}

/// A reason, fit for a record: one line of at most 400 bytes.
pub(super) fn tame_reason(reason: &str) -> String {
    tame(&reason.replace(['\n', '\t'], " "), REASON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_it_is_and_shows_damage() {
        let sealed = seal("sequence", &42u32).expect("a number");
        assert_eq!(sealed, b"nephrobox sequence 1 3224b088\n42");
        assert_eq!(unseal("sequence", &sealed), Ok(42u32));
        assert_eq!(unseal::<u32>("scan", &sealed), Err(Unusable::Damaged));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 0x10;
            assert!(unseal::<u32>("sequence", &damaged).is_err(), "byte {at}");
            assert!(unseal::<u32>("sequence", &sealed[..at]).is_err());
        }
        let newer = b"nephrobox sequence 2 3224b088\n42";
        assert_eq!(unseal::<u32>("sequence", newer), Err(Unusable::Newer));
    }

    #[test]
    fn words_from_outside_stay_words() {
        assert_eq!(tame("a\n\u{7}b\u{0}c", 9), "abc");
        assert_eq!(tame("üüü", 5), "üü");
    }
}
