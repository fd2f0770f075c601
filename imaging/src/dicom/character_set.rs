//! Texts in the character sets that DICOM knows (PS3.3 C.12.1.1.2, PS3.5 6.1.2), as Unicode.
//!
//! Used for the patient and the study. Nothing is refused: a byte that a set does not have, and everything but ASCII in a set that is not
//! known here, becomes U+FFFD. Code extensions (ISO 2022) switch sets within a text, as names in Japanese, Korean and Chinese do.

use dicom_encoding::text::{SpecificCharacterSet, TextCodec as _};

const ESCAPE: u8 = 0x1B;
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// What an escape sequence, without its first byte, selects.
enum Selects {
    /// ASCII, or the Japanese set that differs from it in two signs, in the lower half.
    Ascii,
    /// A Japanese set of two bytes in the lower half, by the whole sequence.
    Japanese(&'static [u8]),
    /// A set in the upper half, by its name in DICOM.
    Upper(&'static str),
}

/// PS3.3, tables C.12-3 and C.12-4.
const ESCAPES: [(&[u8], Selects); 17] = [
    (b"(B", Selects::Ascii),
    (b"(J", Selects::Ascii),
    (b"$B", Selects::Japanese(b"\x1B$B")),
    (b"$@", Selects::Japanese(b"\x1B$@")),
    (b"$(D", Selects::Japanese(b"\x1B$(D")),
    (b")I", Selects::Upper("ISO 2022 IR 13")),
    (b"$)C", Selects::Upper("ISO 2022 IR 149")),
    (b"$)A", Selects::Upper("ISO 2022 IR 58")),
    (b"-A", Selects::Upper("ISO 2022 IR 100")),
    (b"-B", Selects::Upper("ISO 2022 IR 101")),
    (b"-C", Selects::Upper("ISO 2022 IR 109")),
    (b"-D", Selects::Upper("ISO 2022 IR 110")),
    (b"-F", Selects::Upper("ISO 2022 IR 126")),
    (b"-G", Selects::Upper("ISO 2022 IR 127")),
    (b"-H", Selects::Upper("ISO 2022 IR 138")),
    (b"-L", Selects::Upper("ISO 2022 IR 144")),
    (b"-T", Selects::Upper("ISO 2022 IR 166")),
];

/// The character set of a data set's texts.
#[derive(Debug)]
pub(super) enum CharacterSet {
    /// The data set names none: ASCII by the standard, UTF-8 or Latin 1 in fact.
    NotGiven,
    Utf8,
    Known(SpecificCharacterSet),
    Unknown,
}

impl CharacterSet {
    /// By the value of Specific Character Set. The first name counts; others are switched to by escape sequences.
    pub(super) fn of(value: &str) -> Self {
        let first = value.split('\\').next().unwrap_or_default().trim();
        match first {
            "" if value.trim().is_empty() => Self::NotGiven,
            "" => Self::Known(SpecificCharacterSet::ISO_IR_6),
            "ISO_IR 192" => Self::Utf8,
            name => SpecificCharacterSet::from_code(name).map_or(Self::Unknown, Self::Known),
        }
    }

    /// The text that the bytes stand for.
    pub(super) fn decode(&self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::NotGiven if std::str::from_utf8(bytes).is_ok() && !bytes.contains(&ESCAPE) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            Self::NotGiven => extended(&SpecificCharacterSet::ISO_IR_6, bytes),
            Self::Known(set) => extended(set, bytes),
            Self::Unknown => bytes.iter().map(|&byte| ascii(byte)).collect(),
        }
    }
}

/// Decodes a text piece by piece, as escape sequences switch its sets.
fn extended(initial: &SpecificCharacterSet, bytes: &[u8]) -> String {
    let mut pieces = bytes.split(|&byte| byte == ESCAPE);
    let mut text = decoded(initial, pieces.next().unwrap_or_default());
    let mut upper = initial.clone();
    let mut japanese: Option<&[u8]> = None;
    for piece in pieces {
        let escape = ESCAPES.iter().find(|(escape, _)| piece.starts_with(escape));
        let Some((escape, selects)) = escape else {
            text.push(UNKNOWN);
            text.extend(piece.iter().map(|&byte| ascii(byte)));
            continue;
        };
        match selects {
            Selects::Ascii => japanese = None,
            Selects::Japanese(sequence) => japanese = Some(sequence),
            Selects::Upper(name) => {
                upper = SpecificCharacterSet::from_code(name).unwrap_or_default();
            }
        }
        let rest = &piece[escape.len()..];
        text += &match japanese {
            Some(sequence) => {
                let set = SpecificCharacterSet::from_code("ISO 2022 IR 87").unwrap_or_default();
                decoded(&set, &[sequence, rest].concat())
            }
            None => decoded(&upper, rest),
        };
    }
    text
}

/// Decodes a piece without escape sequences of its own. The decoder writes what it does not know as a backslash and three octal digits.
fn decoded(set: &SpecificCharacterSet, bytes: &[u8]) -> String {
    let Ok(text) = set.decode(bytes) else {
        return bytes.iter().map(|&byte| ascii(byte)).collect();
    };
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('\\') {
        clean += &rest[..at];
        rest = &rest[at..];
        let octal = rest.as_bytes().get(1..4);
        let upper_half = octal.is_some_and(|digits| {
            matches!(digits[0], b'2' | b'3')
                && digits.iter().all(|digit| (b'0'..b'8').contains(digit))
        });
        let (written, read) = if upper_half { (UNKNOWN, 4) } else { ('\\', 1) };
        clean.push(written);
        rest = &rest[read..];
    }
    clean + rest
}

fn ascii(byte: u8) -> char {
    if byte.is_ascii() {
        byte.into()
    } else {
        UNKNOWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of PS3.5, annexes H, I, J and K, and two of everyday.
    #[test]
    fn names_of_the_standards_examples() {
        for (set, bytes, text) in [
            ("ISO_IR 100", &b"M\xFCller^J\xFCrgen"[..], "Müller^Jürgen"),
            ("ISO_IR 192", "Wang^XiaoDong=王^小东=".as_bytes(), "Wang^XiaoDong=王^小东="),
            ("GB18030", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB=", "Wang^XiaoDong=王^小东="),
            (
                "\\ISO 2022 IR 87",
                b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B",
                "Yamada^Tarou=山田^太郎=やまだ^たろう",
            ),
            (
                "ISO 2022 IR 13\\ISO 2022 IR 87",
                b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J",
                "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
            ),
            (
                "\\ISO 2022 IR 149",
                b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF",
                "Hong^Gildong=洪^吉洞=홍^길동",
            ),
            (
                "\\ISO 2022 IR 58",
                b"Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB=",
                "Zhang^XiaoDong=张^小东=",
            ),
            ("\\ISO 2022 IR 159", b"\x1B$(D0!\x1B(B", "丂"),
            ("ISO_IR 144", b"\xBB\xEEce\xDC\xD1yp\xD3", "Люceмбypг"),
        ] {
            assert_eq!(CharacterSet::of(set).decode(bytes), text, "{set}");
        }
    }

    #[test]
    fn a_set_that_is_not_given_is_utf_8_or_latin_1() {
        let none = CharacterSet::of("");
        assert_eq!(none.decode("Müller".as_bytes()), "Müller");
        assert_eq!(none.decode(b"M\xFCller"), "Müller");
    }

    #[test]
    fn what_a_set_does_not_have_is_replaced() {
        assert_eq!(
            CharacterSet::of("ISO_IR 999").decode(b"M\xFCller"),
            "M\u{FFFD}ller"
        );
        assert_eq!(
            CharacterSet::of("ISO_IR 192").decode(b"M\xFCller"),
            "M\u{FFFD}ller"
        );
        assert_eq!(
            CharacterSet::of("GB18030").decode(b"Wang\xFF"),
            "Wang\u{FFFD}"
        );
        assert_eq!(
            CharacterSet::of("\\ISO 2022 IR 87").decode(b"A\x1B$Q\x1B"),
            "A\u{FFFD}$Q\u{FFFD}"
        );
        assert_eq!(CharacterSet::of("ISO_IR 100").decode(b"A\\B"), "A\\B");
    }
}
