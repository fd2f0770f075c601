//! Hashes by which data are recognised.

use std::fs::File;
use std::path::Path;

use serde::Serialize;

use crate::error::DataError;

/// BLAKE3 hash of a file's bytes in hexadecimal, and its length.
///
/// # Errors
/// If the file cannot be read.
pub fn hash_file(path: &Path) -> Result<(String, u64), DataError> {
    let failed = |e| DataError::io(path, "read this file", e);
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(File::open(path).map_err(failed)?)
        .map_err(failed)?;
    Ok((hasher.finalize().to_hex().to_string(), hasher.count()))
}

/// BLAKE3 of a value as compact JSON, hexadecimal.
pub fn hash_json(value: &impl Serialize) -> String {
    let mut hasher = blake3::Hasher::new();
    // A hasher takes every byte, and none of these types can fail to serialise.
    let written = serde_json::to_writer(&mut hasher, value);
    debug_assert!(written.is_ok());
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn hashes_are_plain_blake3() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, b"").unwrap();
        // The hash of nothing, as in BLAKE3's own test vectors.
        let expected = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(hash_file(&path).unwrap(), (expected.to_owned(), 0));
    }
}
