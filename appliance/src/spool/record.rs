//! What the box notes about a scan.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::record::Kind;

/// Longest record that is read, in bytes. One that is written has at most 12 KiB, and 9 more for every configuration that had other
/// recipients while the scan was here.
pub(super) const LONGEST: u64 = 64 << 10;

/// The record of a scan.
pub(super) const SCAN: Kind = Kind {
    name: "scan",
    version: 1,
};
/// The record of the highest number whose scan is gone.
pub(super) const NUMBER: Kind = Kind {
    name: "sequence",
    version: 1,
};

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
    /// It came in silent mode: nobody gets its results, not later either.
    #[serde(default)]
    pub silent: bool,
    /// Destinations that have its results.
    pub confirmed: BTreeSet<String>,
    /// The second of the box's own time from which its age counts; `None` until it is first seen to have ended, or to be on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_from_s: Option<u64>,
    /// Who had it erased, while that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_by: Option<ErasedBy>,
}

/// Who has a scan erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasedBy {
    /// The box by itself, since the scan has been here for long enough.
    Age,
    /// Somebody, by the line's name in the configuration.
    Line(String),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{NAME, RECIPIENTS};
    use crate::record::tame_reason;
    use crate::spool::RECORD_BYTES;

    /// A record that is too long to be read counts as damaged, and with it go the names of those who have the results.
    #[test]
    fn the_longest_record_fits_into_its_room_and_is_read() {
        let quotes = |bytes| "\"".repeat(bytes);
        let reason = tame_reason(&quotes(9_999));
        let recipients = (0..RECIPIENTS).map(|at| format!("{}{at:02}", quotes(NAME - 2)));
        let record = Record {
            bytes: u64::MAX,
            blake3: "f".repeat(64),
            file_name: quotes(255),
            source: quotes(200),
            kept: u64::MAX,
            attempts: u32::MAX,
            trouble: Some(reason.clone()),
            outcome: Some(Outcome::SetAside { reason }),
            confirmed: recipients.collect(),
            age_from_s: Some(u64::MAX),
            erased_by: Some(ErasedBy::Line(quotes(200))),
            ..Record::default()
        };
        let sealed = SCAN.seal(&record).expect("a record");
        assert!(sealed.len() as u64 <= 12 << 10, "{}", sealed.len());
        assert!(sealed.len() as u64 <= RECORD_BYTES.min(LONGEST));
        assert_eq!(SCAN.unseal(&sealed), Ok(record));
    }
}
