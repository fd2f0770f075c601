//! What goes into the slots and what they answer.

use blake3::Hash;
use nephrobox_shared::package::{Header, KeyId, PackageError, PackageView, PublicKey};
use serde::{Deserialize, Serialize};

use super::record::{Letter, NAME, PERMIT, Stage, digits, key_digits};
use crate::config;
use crate::record::tame;
use crate::snapshot;

/// Self-tests of a package that may end in the process's death.
pub const ATTEMPTS: u32 = 3;

/// Whose packages are taken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Keys whose packages and permits are taken.
    pub keys: Vec<PublicKey>,
    /// Keys that install nothing any more, and whose packages that are installed still run.
    pub retired_keys: Vec<PublicKey>,
    /// Whether packages without a self-test are taken.
    pub allow_without_self_test: bool,
    /// Bytes after which a package that is being received is synced: what a power cut costs at most.
    pub checkpoint_bytes: u64,
}

impl Settings {
    /// Every key under whose signature an installed package runs.
    pub(super) fn all_keys(&self) -> Vec<PublicKey> {
        [&self.keys[..], &self.retired_keys].concat()
    }
}

impl From<&config::Model> for Settings {
    /// As the section `model` says, synced every 4 MiB.
    fn from(model: &config::Model) -> Self {
        let keys = |retired| {
            let wanted = model.trusted_keys.iter();
            let wanted = wanted.filter(|trusted| trusted.retired == retired);
            wanted.map(|trusted| trusted.key).collect()
        };
        Self {
            keys: keys(false),
            retired_keys: keys(true),
            allow_without_self_test: model.allow_without_self_test,
            checkpoint_bytes: 4 << 20,
        }
    }
}

/// Which package it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The model's name.
    pub name: String,
    /// The model's version.
    pub version: u64,
    /// The package's own hash, as in its trailer: who signs it again does not change it.
    #[serde(with = "digits")]
    pub hash: Hash,
    /// Who signed it; `None` if nobody did.
    #[serde(with = "key_digits")]
    pub key: Option<KeyId>,
    /// Bytes of its file.
    pub bytes: u64,
}

impl Identity {
    /// Name and version as people read them.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} version {}", self.name, self.version)
    }
}

/// A package that somebody wants to install, in the sender's words. They are good for a refusal before anything is written; the truth is looked
/// at when the package is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Name, version, hash, key and bytes.
    pub package: Identity,
    /// BLAKE3 of the whole file.
    #[serde(with = "digits")]
    pub blake3: Hash,
    /// Major version of the file's format.
    pub format: u16,
    /// A permit to go back, if the version needs one.
    pub permit: Option<Vec<u8>>,
}

impl Announced {
    /// What a package that lies here whole says about itself.
    ///
    /// # Errors
    /// When it is no package.
    pub fn of(file: &[u8], permit: Option<&[u8]>) -> Result<Self, PackageError> {
        let view = PackageView::open(file)?;
        Ok(Self {
            package: identity(&view)?,
            blake3: blake3::hash(file),
            format: Header::read(file)?.major,
            permit: permit.map(<[u8]>::to_vec),
        })
    }

    /// The same, with words that fit into the record.
    pub(super) fn tamed(&self) -> Self {
        let mut tamed = self.clone();
        tamed.package.name = tame(&self.package.name, NAME);
        if let Some(permit) = &mut tamed.permit {
            permit.truncate(PERMIT);
        }
        tamed
    }
}

/// Which package a view shows. The signature is not verified.
pub(super) fn identity(view: &PackageView<'_>) -> Result<Identity, PackageError> {
    let manifest = view.manifest()?;
    Ok(Identity {
        name: tame(&manifest.name, NAME),
        version: manifest.version,
        hash: Hash::from_bytes(*view.hash()),
        key: view.signature().map(|signature| KeyId(signature.key_id)),
        bytes: view.header().total_len,
    })
}

/// The answer to an announced package.
#[derive(Debug)]
pub enum Begin {
    /// Send the bytes from `offset` on.
    Receive {
        /// Where it goes.
        slot: Letter,
        /// Bytes that are already here.
        offset: u64,
    },
    /// That very package is here whole.
    Have {
        /// Where it lies.
        slot: Letter,
        /// Whether it has passed its trial and is in use; it is to be tried if not.
        in_use: bool,
    },
    /// The package is not taken.
    Refused(super::Refusal),
}

/// One slot, for people and for the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which slot.
    pub slot: Letter,
    /// The package in it, and how far it is; a package that cannot be used just now is shown as bad.
    pub package: Option<(Identity, Stage)>,
    /// Bytes that are here of bytes announced, while one is received into it.
    pub receiving: Option<(u64, u64)>,
    /// Whether its model is in use.
    pub in_use: bool,
}

impl Listed {
    /// The slot as panel and status page show it.
    #[must_use]
    pub fn snapshot(&self) -> snapshot::Slot {
        snapshot::Slot {
            model: self.package.as_ref().map(|(package, _)| package.title()),
            state: match self.package.as_ref().map(|(_, stage)| stage) {
                None => snapshot::SlotState::Empty,
                Some(Stage::Written) => snapshot::SlotState::Written,
                Some(Stage::Trial { .. }) => snapshot::SlotState::Trial,
                Some(Stage::Confirmed) => snapshot::SlotState::Confirmed,
                Some(Stage::Bad { .. }) => snapshot::SlotState::Bad,
            },
        }
    }
}

/// The model in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its slot.
    pub slot: Letter,
    /// Its package.
    pub package: Identity,
}
