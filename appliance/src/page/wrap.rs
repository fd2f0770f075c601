//! Words into lines of a fixed width.

/// Columns of a page.
pub(super) const WIDTH: usize = 80;

/// Breaks `words` into lines of at most [`WIDTH`] columns: the first begins with `first`, the others with as many
/// spaces. At most `most` lines; the last ends in `…` if words are left over.
pub(super) fn wrapped(first: &str, words: &str, most: usize) -> Vec<String> {
    let indent = " ".repeat(columns(first));
    let room = WIDTH.saturating_sub(indent.len()).max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in words.split_whitespace().flat_map(|word| pieces(word, room)) {
        if !line.is_empty() && columns(&line) + 1 + columns(&word) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            while columns(last) + 2 > room && last.pop().is_some() {}
            last.push_str(" …");
        }
    }
    lines
        .iter()
        .enumerate()
        .map(|(index, line)| format!("{}{line}", if index == 0 { first } else { &indent }))
        .collect()
}

/// `left` and `right` at the two ends of a line.
pub(super) fn ends(left: &str, right: &str) -> String {
    let gap = WIDTH.saturating_sub(columns(left) + columns(right)).max(1);
    format!("{left}{}{right}", " ".repeat(gap))
}

/// Columns that a text takes on a terminal, for the scripts used here.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// A word cut so that each piece fits in `room` columns.
fn pieces(word: &str, room: usize) -> Vec<String> {
    let characters: Vec<char> = word.chars().collect();
    characters
        .chunks(room)
        .map(|piece| piece.iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_hang_under_their_first() {
        let lines = wrapped("Name   ", &"word ".repeat(20), 9);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("Name   word"));
        assert!(lines[1].starts_with("       word"));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_page(words in "[ a-zäß²±]{0,400}", most in 1_usize..5) {
            let lines = wrapped("  ! ", &words, most);
            prop_assert!(!lines.is_empty() && lines.len() <= most);
            for line in &lines {
                prop_assert!(columns(line) <= WIDTH, "{line}");
            }
        }

        #[test]
        fn no_word_is_lost_while_there_is_room(words in proptest::collection::vec("[a-z]{1,60}", 0..30)) {
            let lines = wrapped("", &words.join(" "), usize::MAX);
            let kept: Vec<_> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            prop_assert_eq!(kept, words);
        }
    }
}
