//! Words of others on their way to a person: names of files, and what packages, scans and peers say of themselves.
//!
//! Whoever names a file or fills a field may put line breaks and commands to the terminal into it, or 60 kB. Programs pass all such words
//! through here before they print them.

use alloc::{
    format,
    string::{String, ToString},
};
use core::ops::RangeInclusive;

/// Most characters of a sentence that is shown; longer ones lose their middle. Longer than any sentence of the house.
pub const LONGEST: usize = 1200;

/// Marks that turn the direction of text around, and separators of lines and paragraphs; like control characters all below U+10000.
const MARKS: [RangeInclusive<char>; 4] = [
    '\u{61c}'..='\u{61c}',
    '\u{200e}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2066}'..='\u{2069}',
];

/// Whether a character moves the cursor, breaks a line, changes what is there already, or turns the direction of text around.
fn acts(c: char) -> bool {
    c.is_control() || MARKS.iter().any(|marks| marks.contains(&c))
}

fn escaped(text: &str, kept: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) && !kept(c) {
            plain.push_str(&escape(c));
        } else {
            plain.push(c);
        }
    }
    plain
}

fn shown(c: char) -> String {
    c.escape_default().to_string()
}

fn is_layout(c: char) -> bool {
    matches!(c, '\n' | '\t')
}

/// A sentence as one line that only shows: characters that act are written as `\n` or `\u{1b}`, and of a very long one the middle is
/// left out.
///
/// ```
/// use nephrobox_shared::words::line;
/// assert_eq!(line("scan\n\u{1b}[2J.nii"), r"scan\n\u{1b}[2J.nii");
/// ```
pub fn line(text: &str) -> String {
    const HALF: usize = LONGEST / 2;
    let plain = escaped(text, |_| false, shown);
    let from = |count: usize| plain.char_indices().nth(count).map(|(at, _)| at);
    let count = plain.chars().count();
    match (from(HALF), from(count.saturating_sub(HALF))) {
        (Some(head), Some(tail)) if count > LONGEST => {
            let mut short = String::from(&plain[..head]);
            short.push_str(" … ");
            short.push_str(&plain[tail..]);
            short
        }
        _ => plain,
    }
}

/// A text of several lines that only shows: line breaks and tabulators stay.
pub fn lines(text: &str) -> String {
    escaped(text, is_layout, shown)
}

/// A text in JSON that only shows, and still is JSON: characters that act can stand in its strings only, and become escapes of JSON. Line
/// breaks and tabulators between its values stay.
///
/// ```
/// use nephrobox_shared::words::json;
/// assert_eq!(json("{\"file\": \"\u{202e}iin\"}\n"), "{\"file\": \"\\u202eiin\"}\n");
/// ```
pub fn json(text: &str) -> String {
    escaped(text, is_layout, |c| format!("\\u{:04x}", u32::from(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_is_left() {
        for c in (0..0x2100).filter_map(char::from_u32).filter(|&c| acts(c)) {
            let text = alloc::format!("a{c}b");
            assert!(!line(&text).chars().any(acts), "{c:?}");
            let kept = matches!(c, '\n' | '\t');
            assert_eq!(lines(&text).chars().any(acts), kept, "{c:?}");
        }
    }

    #[test]
    fn json_says_the_same_as_before() {
        for c in (0..0x2100).filter_map(char::from_u32) {
            let text = serde_json::to_string_pretty(&[alloc::format!("a{c}b")]).unwrap();
            let shown = json(&text);
            assert!(!shown.chars().any(|c| acts(c) && c != '\n'), "{c:?}");
            let read: [String; 1] = serde_json::from_str(&shown).unwrap();
            assert_eq!(read, [alloc::format!("a{c}b")]);
        }
    }

    #[test]
    fn words_of_every_script_stay_as_they_are() {
        let words = "Nierenbecken µm² – 腎臓 كلية a\\b";
        assert_eq!((line(words), lines(words)), (words.into(), words.into()));
    }

    #[test]
    fn a_flood_loses_its_middle() {
        let flood: String = core::iter::repeat_n('é', 100_000).collect();
        let short = line(&alloc::format!("begin{flood}end"));
        assert!(short.starts_with("beginé") && short.contains(" … ") && short.ends_with("éend"));
        assert_eq!(short.chars().count(), LONGEST + 3);
        let most: String = core::iter::repeat_n('é', LONGEST).collect();
        assert_eq!(line(&most), most);
    }
}
