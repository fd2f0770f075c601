//! UIDs that follow from what they name, so that making an object again gives the same object.

/// A UID under 2.25 (X.667: a UUID as one decimal number) from the hash of `parts`.
///
/// The UUID is of version 8 (RFC 9562: bits of one's own choice). Lengths go into the hash, so `["ab", "c"]` and `["a", "bc"]` differ.
pub(crate) fn derived(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("nephrobox 2026 DICOM UID");
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    from_hash(&hasher.finalize())
}

/// The UID that stands for another one under a secret key: always the same, and nobody without the key finds the way back.
pub(crate) fn keyed(key: &[u8; 32], original: &str) -> String {
    from_hash(&blake3::keyed_hash(key, original.as_bytes()))
}

/// The UID of a hash's first 16 bytes.
pub(crate) fn from_hash(hash: &blake3::Hash) -> String {
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&hash.as_bytes()[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    format!("2.25.{}", u128::from_be_bytes(uuid))
}

/// Whether a text is a UID in alphabet and length (PS3.5 section 9.1): at most 64 digits and dots, no empty component.
///
/// A component with a leading zero passes, here as on the network: scanners exist that make such, and an object has to name what it was
/// made of as that calls itself.
pub(crate) fn is_uid(text: &str) -> bool {
    let component = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 64 && text.split('.').all(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_uid_is_a_uid_and_always_the_same() {
        let uid = derived(&["series", "1.2.3"]);
        assert!(is_uid(&uid), "{uid}");
        assert_eq!(uid, derived(&["series", "1.2.3"]));
        assert_ne!(derived(&["ab", "c"]), derived(&["a", "bc"]));
    }

    /// The crate `dimse` has it as a constant. Another implementation of BLAKE3 gives the same.
    #[test]
    fn the_implementation_goes_by_one_uid_in_objects_and_on_the_network() {
        let uid = derived(&["implementation"]);
        assert_eq!(uid, "2.25.168471660129040875574225519303371205574");
    }

    #[test]
    fn its_number_is_a_uuid_of_version_8() {
        let uid = derived(&["x"]);
        let number: u128 = uid["2.25.".len()..].parse().unwrap();
        assert_eq!((number >> 76) & 0xf, 8);
        assert_eq!((number >> 62) & 0b11, 0b10);
    }

    #[test]
    fn what_is_no_uid_is_seen() {
        for text in [
            "",
            "1..2",
            ".1",
            "1.",
            "1.2a",
            "1.2/../3",
            " 1.2",
            &"1".repeat(65),
        ] {
            assert!(!is_uid(text), "{text:?}");
        }
        for text in ["1.2.840.10008.1.2", "2.25.0", "1", "1.02"] {
            assert!(is_uid(text), "{text:?}");
        }
    }
}
