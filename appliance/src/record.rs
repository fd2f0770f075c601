//! Records on the box's disk: one line that says what follows and its CRC, then JSON that a person can read.

use crc::{CRC_32_ISO_HDLC, Crc};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes kept of a reason.
const REASON: usize = 400;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A kind of record, in the version that this program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Its word in the first line.
    pub(crate) name: &'static str,
    /// Its version there.
    pub(crate) version: u32,
}

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Its bytes are not what was written.
    Damaged,
    /// A newer program wrote it.
    Newer,
}

impl Kind {
    /// A value as the bytes of a record.
    pub(crate) fn seal<T: Serialize>(self, value: &T) -> serde_json::Result<Vec<u8>> {
        let json = serde_json::to_vec_pretty(value)?;
        let crc = CRC.checksum(&json);
        let Self { name, version } = self;
        let mut bytes = format!("nephrobox {name} {version} {crc:08x}\n").into_bytes();
        bytes.extend(json);
        Ok(bytes)
    }

    /// The value in the bytes of a record.
    pub(crate) fn unseal<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, Unusable> {
        let line = bytes
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or(Unusable::Damaged)?;
        let (line, json) = (&bytes[..line], &bytes[line + 1..]);
        let line = std::str::from_utf8(line).map_err(|_| Unusable::Damaged)?;
        let words: Vec<_> = line.split(' ').collect();
        let ["nephrobox", name, version, crc] = words[..] else {
            return Err(Unusable::Damaged);
        };
        if name != self.name || u32::from_str_radix(crc, 16) != Ok(CRC.checksum(json)) {
            return Err(Unusable::Damaged);
        }
        match version.parse::<u32>() {
            Ok(found) if found == self.version => {
                serde_json::from_slice(json).map_err(|_| Unusable::Damaged)
            }
            Ok(found) if found > self.version => Err(Unusable::Newer),
            _ => Err(Unusable::Damaged),
        }
    }
}

/// Words from outside, fit for a record: no control characters, at most `longest` bytes.
pub(crate) fn tame(words: &str, longest: usize) -> String {
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
pub(crate) fn tame_reason(reason: &str) -> String {
    tame(&reason.replace(['\n', '\t'], " "), REASON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_it_is_and_shows_damage() {
        const NUMBER: Kind = Kind {
            name: "sequence",
            version: 1,
        };
        const OTHER: Kind = Kind {
            name: "scan",
            version: 1,
        };
        let sealed = NUMBER.seal(&42u32).expect("a number");
        assert_eq!(sealed, b"nephrobox sequence 1 3224b088\n42");
        assert_eq!(NUMBER.unseal(&sealed), Ok(42u32));
        assert_eq!(OTHER.unseal::<u32>(&sealed), Err(Unusable::Damaged));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 0x10;
            assert!(NUMBER.unseal::<u32>(&damaged).is_err(), "byte {at}");
            assert!(NUMBER.unseal::<u32>(&sealed[..at]).is_err());
        }
        let newer = b"nephrobox sequence 2 3224b088\n42";
        assert_eq!(NUMBER.unseal::<u32>(newer), Err(Unusable::Newer));
    }

    #[test]
    fn words_from_outside_stay_words() {
        assert_eq!(tame("a\n\u{7}b\u{0}c", 9), "abc");
        assert_eq!(tame("üüü", 5), "üü");
    }
}
