//! Sizes as people write them.

const UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The bytes in a text such as `20 GB` or `1.5 GiB`; `None` if it is no size or larger than 2⁶⁴.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = UNITS.iter().find(|(name, _)| *name == unit.trim())?.1;
    let number = number.replace('_', "");
    let (whole, part) = number.split_once('.').unwrap_or((&number, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if part.is_empty() {
        return (!number.ends_with('.')).then_some(whole);
    }
    // Nine digits are enough for any unit, and keep the product within 128 bits.
    let part = part
        .get(..part.len().min(9))
        .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
    let fraction = part.parse::<u128>().ok()? * u128::from(factor) / 10u128.pow(part.len() as u32);
    whole.checked_add(u64::try_from(fraction).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [
            ("20 GB", Some(20_000_000_000)),
            ("512MiB", Some(512 << 20)),
            ("1.5 GiB", Some(3 << 29)),
            ("7", Some(7)),
            ("1_000 B", Some(1000)),
            ("", None),
            ("GB", None),
            ("1. GB", None),
            ("1.2.3 GB", None),
            ("-1 GB", None),
            ("1 gigabyte", None),
            ("99999999 TiB", None),
        ] {
            assert_eq!(parse(text), bytes, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9._ kKMGTiBé]{0,30}") {
            let _ = parse(&text);
        }
    }
}
