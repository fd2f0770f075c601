//! Keys that sign packages and permits, and the one line of text in which people keep them.
//!
//! A public key is `nephrobox-key-1:` and 64 hexadecimal digits, a secret key `nephrobox-secret-1:` and 64 hexadecimal
//! digits, so that neither can be taken for the other. The 1 is the version of this text form.

use core::{fmt, str::FromStr};

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const PUBLIC: &str = "nephrobox-key-";
const SECRET: &str = "nephrobox-secret-";
const VERSION: &str = "1:";
const KEY_LEN: usize = 32;

/// Bytes of a secret key's line of text, without a line break.
pub const KEY_TEXT_LEN: usize = SECRET.len() + VERSION.len() + 2 * KEY_LEN;

/// Which key: the first 16 bytes of the BLAKE3 hash of the 32-byte public key. Displays as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A public ed25519 key, with which a box checks who made a package.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Takes the 32 bytes of RFC 8032. Refuses bytes that are no point, and the few points under which one signature fits many messages.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Result<Self, KeyError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            _ => Err(KeyError::Unusable),
        }
    }

    /// The 32 bytes of RFC 8032.
    pub fn bytes(&self) -> &[u8; KEY_LEN] {
        self.0.as_bytes()
    }

    /// The key's short name, as packages carry it.
    pub fn id(&self) -> KeyId {
        let hash = blake3::hash(self.bytes());
        KeyId(super::layout::array(hash.as_bytes(), 0))
    }

    /// Whether `signature` was made over `message` by this key's secret half, by the strict rules that leave one valid signature a message.
    pub(super) fn vouches(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{VERSION}")?;
        self.bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text form; blanks and line breaks around it are passed over.
impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.starts_with(SECRET) {
            return Err(KeyError::IsSecret);
        }
        Self::from_bytes(&*digits(
            text.strip_prefix(PUBLIC).ok_or(KeyError::NotPublic)?,
        )?)
    }
}

/// A secret ed25519 key. Its memory is overwritten when it is dropped, and it cannot be printed.
pub struct SecretKey(SigningKey);

impl ZeroizeOnDrop for SecretKey {}

impl SecretKey {
    /// Takes 32 bytes from a source of random numbers that is fit for keys.
    pub fn from_seed(seed: &[u8; KEY_LEN]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The half that others may know.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The text form, for a file that only its owner can read.
    pub fn text(&self) -> SecretText {
        let mut text = SecretText([0; KEY_TEXT_LEN]);
        let head = SECRET.len() + VERSION.len();
        text.0[..SECRET.len()].copy_from_slice(SECRET.as_bytes());
        text.0[SECRET.len()..head].copy_from_slice(VERSION.as_bytes());
        for (pair, byte) in text.0[head..].chunks_exact_mut(2).zip(self.0.as_bytes()) {
            for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *digit = b"0123456789abcdef"[usize::from(value)];
            }
        }
        text
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public().id())
    }
}

/// The text form; blanks and line breaks around it are passed over.
impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.starts_with(PUBLIC) {
            return Err(KeyError::IsPublic);
        }
        let seed = digits(text.strip_prefix(SECRET).ok_or(KeyError::NotSecret)?)?;
        Ok(Self::from_seed(&seed))
    }
}

/// A secret key's line of text. Its memory is overwritten when it is dropped.
pub struct SecretText([u8; KEY_TEXT_LEN]);

impl SecretText {
    /// The line without a line break.
    pub const fn as_bytes(&self) -> &[u8; KEY_TEXT_LEN] {
        &self.0
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for SecretText {}

/// The bytes behind the version of the text form.
fn digits(text: &str) -> Result<Zeroizing<[u8; KEY_LEN]>, KeyError> {
    let digits = match text.split_once(':') {
        Some(("1", digits)) => digits.as_bytes(),
        Some((version, _))
            if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) =>
        {
            return Err(KeyError::Newer);
        }
        _ => return Err(KeyError::Digits),
    };
    if digits.len() != 2 * KEY_LEN {
        return Err(KeyError::Digits);
    }
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        for &digit in pair {
            let value = char::from(digit).to_digit(16).ok_or(KeyError::Digits)?;
            *byte = *byte << 4 | value as u8;
        }
    }
    Ok(bytes)
}

/// Why a text is not the key that is wanted. None of the sentences quotes the text: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// It does not begin like a public key.
    NotPublic,
    /// It does not begin like a secret key.
    NotSecret,
    /// It is a secret key where a public one is wanted.
    IsSecret,
    /// It is a public key where a secret one is wanted.
    IsPublic,
    /// The text form is a later one.
    Newer,
    /// It does not end with 64 hexadecimal digits.
    Digits,
    /// The bytes are no ed25519 key, or one that proves nothing.
    Unusable,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPublic => "this is no public key; it must begin with \"nephrobox-key-1:\", as `nephroctl keygen` writes it",
            Self::NotSecret => "this is no secret key; it must begin with \"nephrobox-secret-1:\", as `nephroctl keygen` writes it",
            Self::IsSecret => {
                "this is a secret key and a public one is wanted; give the file that ends in .public, and keep the secret one to yourself"
            }
            Self::IsPublic => "this is a public key and a secret one is wanted; give the file that ends in .secret",
            Self::Newer => "the key is written in a later form than this program reads; update this program",
            Self::Digits => "the key does not end with 64 hexadecimal digits; copy the whole line again",
            Self::Unusable => "the key is no ed25519 key that proves anything; copy the line again, or make a new key",
        })
    }
}

impl core::error::Error for KeyError {}
