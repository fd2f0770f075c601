//! What the box notes about its slots: one record, replaced whole.

use std::fmt;

use nephrobox_shared::package::permit;
use serde::{Deserialize, Serialize};

use super::types::{Announced, Identity};
use crate::record::Kind;

/// The record's name in the storage.
pub(super) const STATE: &str = "state";
/// Longest record in bytes.
pub(super) const LONGEST: u64 = 32 << 10;
/// Longest name of a model that is kept in it, in bytes.
pub(super) const NAME: usize = 200;
/// What the record is.
pub(super) const SLOTS: Kind = Kind {
    name: "slots",
    version: 1,
};

/// Which of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Letter {
    /// The first.
    A,
    /// The second.
    B,
}

impl Letter {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The slot's file in the storage.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::A => "a.nbx",
            Self::B => "b.nbx",
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// How far a package is; a slot without one is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Whole and verified, not yet tried.
    Written,
    /// On trial.
    Trial {
        /// Self-tests that have begun.
        attempts: u32,
    },
    /// It passed its self-test.
    Confirmed,
    /// It is not used.
    Bad {
        /// Why.
        reason: String,
    },
}

/// A package in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) package: Identity,
    pub(super) stage: Stage,
}

/// A package on its way into a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reception {
    pub(super) slot: Letter,
    pub(super) announced: Announced,
    /// Bytes that survive a power cut.
    pub(super) kept: u64,
}

/// Everything that is known about the slots besides the packages themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The slot whose model is used; its package is confirmed.
    pub(super) running: Option<Letter>,
    pub(super) a: Option<Entry>,
    pub(super) b: Option<Entry>,
    pub(super) reception: Option<Reception>,
    /// What the next report has to say about a package that failed.
    pub(super) notice: Option<String>,
}

impl Record {
    pub(super) const fn entry(&self, slot: Letter) -> Option<&Entry> {
        match slot {
            Letter::A => self.a.as_ref(),
            Letter::B => self.b.as_ref(),
        }
    }

    pub(super) const fn entry_mut(&mut self, slot: Letter) -> &mut Option<Entry> {
        match slot {
            Letter::A => &mut self.a,
            Letter::B => &mut self.b,
        }
    }

    /// Puts a package that has an entry on another stage.
    pub(super) fn set_stage(&mut self, slot: Letter, stage: Stage) {
        if let Some(entry) = self.entry_mut(slot) {
            entry.stage = stage;
        }
    }

    pub(super) fn stage(&self, slot: Letter) -> Option<&Stage> {
        self.entry(slot).map(|entry| &entry.stage)
    }
}

/// Hashes as hexadecimal digits.
pub(super) mod digits {
    use std::str::FromStr as _;

    use blake3::Hash;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in super::super) fn serialize<S: Serializer>(
        hash: &Hash,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hash.to_hex())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        Hash::from_str(&text).map_err(D::Error::custom)
    }
}

/// The id of a key as hexadecimal digits, or null.
pub(super) mod key_digits {
    use nephrobox_shared::package::KeyId;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    // The form that serde asks for.
    #[allow(clippy::ref_option)]
    pub(in super::super) fn serialize<S: Serializer>(
        key: &Option<KeyId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        key.map(|key| key.to_string()).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<KeyId>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let number = text.map(|text| u128::from_str_radix(&text, 16));
        let number = number.transpose().map_err(D::Error::custom)?;
        Ok(number.map(|number| KeyId(number.to_be_bytes())))
    }
}

/// The most bytes of a permit that are kept: one that is longer is none, and one byte more shows it.
pub(super) const PERMIT: usize = permit::LEN + 1;
