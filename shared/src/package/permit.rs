//! The permit to go back: a signed statement that one package may replace one version on a box.
//!
//! A box takes a package only if its version is higher than that of the model it runs. When an older model must come back, whoever
//! holds a key signs a permit for exactly that step; it opens no other, so a permit that is kept or copied does no harm later.
//! `docs/formats/permit.md` is the written format of its 128 bytes.

use core::fmt;

use super::layout::{array, u16_at, u64_at};
use super::{KeyId, PublicKey, SecretKey, SignatureError, signing};

/// The first four bytes of every permit.
pub const MAGIC: [u8; 4] = *b"NBP1";
/// Bytes of a permit.
pub const LEN: usize = 128;
/// The format's version, the only one there is.
pub const VERSION: u16 = 1;
/// Bytes that are signed; the signature follows them.
const SIGNED: usize = 64;

/// What a permit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The package that may be installed, by its hash.
    pub package: [u8; 32],
    /// The version on the box that it may replace.
    pub replaces: u64,
    /// Who is said to have signed.
    pub key: KeyId,
}

/// Writes and signs a permit.
pub fn make(package: &[u8; 32], replaces: u64, secret: &SecretKey) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..40].copy_from_slice(package);
    bytes[40..48].copy_from_slice(&replaces.to_le_bytes());
    bytes[48..SIGNED].copy_from_slice(&secret.public().id().0);
    let signature = secret.sign(&bytes[..SIGNED]);
    bytes[SIGNED..].copy_from_slice(&signature);
    bytes
}

impl Permit {
    /// Reads a permit and verifies its signature; what it permits is for [`check`].
    pub fn open(bytes: &[u8], trusted: &[PublicKey]) -> Result<Self, PermitError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(PermitError::NotAPermit);
        }
        let version = bytes.get(4..6).map(|bytes| u16_at(bytes, 0));
        if let Some(version) = version.filter(|&version| version != VERSION) {
            return Err(PermitError::Version { version });
        }
        let bytes: &[u8; LEN] = bytes.try_into().map_err(|_| PermitError::Length {
            found: bytes.len() as u64,
        })?;
        if bytes[6..8] != [0, 0] {
            return Err(PermitError::NotZero);
        }
        let key = KeyId(array(bytes, 48));
        signing::vouched(key, &array(bytes, SIGNED), &bytes[..SIGNED], trusted)?;
        Ok(Self {
            package: array(bytes, 8),
            replaces: u64_at(bytes, 40),
            key,
        })
    }
}

/// Whether a permit lets `package` replace version `running`, and whose permit it is.
pub fn check(
    bytes: &[u8],
    package: &[u8; 32],
    running: u64,
    trusted: &[PublicKey],
) -> Result<KeyId, PermitError> {
    let permit = Permit::open(bytes, trusted)?;
    if permit.package != *package {
        Err(PermitError::OtherPackage)
    } else if permit.replaces != running {
        Err(PermitError::OtherVersion {
            permitted: permit.replaces,
            running,
        })
    } else {
        Ok(permit.key)
    }
}

/// Why a permit permits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PermitError {
    /// The bytes do not begin like a permit.
    NotAPermit,
    /// The format's version is another.
    Version {
        /// Version in the file.
        version: u16,
    },
    /// The file is shorter or longer than a permit.
    Length {
        /// Bytes there are.
        found: u64,
    },
    /// Reserved bytes are not 0.
    NotZero,
    /// It is not signed by a trusted key.
    Signature(SignatureError),
    /// It is for another package.
    OtherPackage,
    /// It is for another version on the box.
    OtherVersion {
        /// The version that may be replaced.
        permitted: u64,
        /// The version that runs.
        running: u64,
    },
}

impl From<SignatureError> for PermitError {
    fn from(error: SignatureError) -> Self {
        Self::Signature(error)
    }
}

impl fmt::Display for PermitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPermit => f.write_str("this is no permit; make one with `nephroctl permit`"),
            Self::Version { version } => write!(
                f,
                "the permit has format version {version} and this program reads {VERSION}; update this program, or make the permit again"
            ),
            Self::Length { found } => write!(
                f,
                "the permit has {found} bytes instead of {LEN}; copy it again"
            ),
            Self::NotZero => f.write_str("reserved bytes of the permit are not 0; make it again"),
            Self::Signature(error) => write!(f, "the permit is not accepted: {error}"),
            Self::OtherPackage => {
                f.write_str("the permit is for another package; make one for this package")
            }
            Self::OtherVersion { permitted, running } => write!(
                f,
                "the permit is to replace version {permitted} and the box runs version {running}; make one for version {running}"
            ),
        }
    }
}

impl core::error::Error for PermitError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Signature(error) => Some(error),
            _ => None,
        }
    }
}
