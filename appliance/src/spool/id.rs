//! The name of a scan on the box.

use std::fmt;
use std::str::FromStr;

/// Names a scan, and its folder: `00000042-9f86d081`, the box's running number and the first bytes of the scan's BLAKE3.
///
/// Ids are made by the box alone and sort in the order in which scans were announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScanId {
    sequence: u32,
    hash: u32,
}

impl ScanId {
    /// The last number that has eight digits.
    pub const LAST: u32 = 99_999_999;

    pub(super) fn new(sequence: u32, blake3: &[u8; 32]) -> Self {
        let [a, b, c, d, ..] = *blake3;
        Self {
            sequence,
            hash: u32::from_be_bytes([a, b, c, d]),
        }
    }

    /// The running number.
    pub fn sequence(self) -> u32 {
        self.sequence
    }

    /// Whether the id can belong to a scan with this hash.
    pub fn fits(self, blake3: &[u8; 32]) -> bool {
        Self::new(self.sequence, blake3) == self
    }
}

impl fmt::Display for ScanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:08}-{:08x}", self.sequence, self.hash)
    }
}

/// A text that is no scan id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scan id has eight digits, a hyphen and eight hexadecimal digits, as in 00000042-9f86d081"
)]
pub struct NoScanId;

impl FromStr for ScanId {
    type Err = NoScanId;

    fn from_str(text: &str) -> Result<Self, NoScanId> {
        let (sequence, hash) = text.split_once('-').ok_or(NoScanId)?;
        let id = Self {
            sequence: sequence.parse().map_err(|_| NoScanId)?,
            hash: u32::from_str_radix(hash, 16).map_err(|_| NoScanId)?,
        };
        // One spelling for one id: no signs, capitals or missing zeros.
        (id.to_string() == text && id.sequence <= Self::LAST)
            .then_some(id)
            .ok_or(NoScanId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = ScanId::new(42, &[0x9f; 32]);
        assert_eq!(id.to_string(), "00000042-9f9f9f9f");
        assert_eq!("00000042-9f9f9f9f".parse(), Ok(id));
        for wrong in [
            "",
            "42-9f9f9f9f",
            "+0000042-9f9f9f9f",
            "00000042-9F9F9F9F",
            "00000042-9f9f9f9f.new",
            "../00042-9f9f9f9f",
            "100000000-9f9f9f9f",
        ] {
            assert_eq!(wrong.parse::<ScanId>(), Err(NoScanId), "{wrong}");
        }
    }
}
