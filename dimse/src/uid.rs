//! UIDs and titles as they come from a peer: believed only in the alphabet that they should have.

/// Whether a text is a UID in alphabet and length (PS3.5 section 9.1).
///
/// A component with a leading zero passes: scanners exist that make such, and it harms nobody.
pub(crate) fn is_uid(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A text without the padding that surrounds it; bytes outside printable ASCII become question marks.
pub(crate) fn plain(bytes: &[u8]) -> String {
    let text: String = bytes
        .iter()
        .map(|&byte| match byte {
            0 => ' ',
            b' '..=b'~' => byte as char,
            _ => '?',
        })
        .collect();
    text.trim_matches(' ').to_owned()
}

/// Whether a text can be an application entity title (PS3.5: 1 to 16 characters, no backslash, not only spaces). Spaces at the ends, which
/// would not count, are refused too.
pub(crate) fn is_title(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\')
        && text.trim_matches(' ') == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_digits_and_dots_and_short() {
        for good in ["1", "1.2.840.10008.1.2", "2.25.0", "1.02", &"1".repeat(64)] {
            assert!(is_uid(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "1.",
            ".1",
            "1..2",
            "1.2.x",
            "../1",
            "1/2",
            "1 2",
            "1.2\0",
            &"1".repeat(65),
            "١",
        ] {
            assert!(!is_uid(bad), "{bad}");
        }
    }

    #[test]
    fn a_title_has_1_to_16_printable_characters() {
        for good in ["A", "NEPHROBOX", "CT 1", "0123456789abcdef"] {
            assert!(is_title(good), "{good}");
        }
        for bad in ["", " ", " A", "A ", "A\\B", "A\n", "0123456789abcdefg", "Ä"] {
            assert!(!is_title(bad), "{bad}");
        }
    }

    #[test]
    fn padding_goes_and_what_cannot_be_printed_is_masked() {
        assert_eq!(plain(b"1.2\0"), "1.2");
        assert_eq!(plain(b"  CT 1  "), "CT 1");
        assert_eq!(plain(b"a\x1b[31m\xff"), "a?[31m?");
        assert_eq!(plain(&[0; 16]), "");
    }
}
