//! Who made a package: ed25519 over its hash, checked against the keys that a box or a person trusts.
//!
//! The hash says that a package is whole, the signature that the owner of a key made it. Which keys to trust is for the
//! caller to say; the keys themselves and their text form are [`PublicKey`] and [`SecretKey`].

use core::fmt;

use super::{KeyId, PackageView, PublicKey};
#[cfg(feature = "alloc")]
use super::{PackageError, SecretKey, Signature, attach_signature};

/// Checks a package's signature against trusted keys and says which of them made it.
pub fn verify(view: &PackageView<'_>, trusted: &[PublicKey]) -> Result<KeyId, SignatureError> {
    let signature = view.signature().ok_or(SignatureError::Unsigned)?;
    vouched(
        KeyId(signature.key_id),
        &signature.bytes,
        view.hash(),
        trusted,
    )
}

/// Signs a package's bytes in place, replacing a signature that is there. The package's identity stays the same.
///
/// The package is checked first and unchanged on an error.
#[cfg(feature = "alloc")]
pub fn sign(file: &mut [u8], secret: &SecretKey) -> Result<KeyId, PackageError> {
    let hash = *PackageView::open(file)?.hash();
    let key = secret.public().id();
    let signature = Signature {
        key_id: key.0,
        bytes: secret.sign(&hash),
    };
    attach_signature(file, signature)?;
    Ok(key)
}

/// The signature's key, if it is among the trusted ones and has signed the message.
pub(super) fn vouched(
    key: KeyId,
    signature: &[u8; 64],
    message: &[u8],
    trusted: &[PublicKey],
) -> Result<KeyId, SignatureError> {
    let mut named = trusted
        .iter()
        .filter(|trusted| trusted.id() == key)
        .peekable();
    if named.peek().is_none() {
        return Err(SignatureError::UnknownKey { key });
    }
    if named.any(|trusted| trusted.vouches(message, signature)) {
        Ok(key)
    } else {
        Err(SignatureError::Wrong { key })
    }
}

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no signature.
    Unsigned,
    /// The key that is said to have signed is not among the trusted ones.
    UnknownKey {
        /// Which key it is said to be.
        key: KeyId,
    },
    /// The key is trusted, but it did not sign this.
    Wrong {
        /// Which key it is said to be.
        key: KeyId,
    },
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => {
                f.write_str("nobody has signed the package; sign it with `nephroctl sign`")
            }
            Self::UnknownKey { key } => write!(
                f,
                "the signature is by key {key}, which is not among the trusted keys; have it signed by a trusted key, or add this one if you know whose it is"
            ),
            Self::Wrong { key } => write!(
                f,
                "the signature is not by key {key}, whose name it bears; do not use the file, and ask its sender for another"
            ),
        }
    }
}

impl core::error::Error for SignatureError {}
