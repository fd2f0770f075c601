//! TOML files that a person has written.

use std::path::Path;

use nephrobox_imaging::files;
use serde::de::DeserializeOwned;

/// Longest such file. No setting needs a hundredth of it.
const MOST_BYTES: u64 = 1 << 20;
/// Characters of a line that are quoted.
const LONGEST_LINE: usize = 60;

/// Reads a file of settings, at most 1 MiB of it.
///
/// # Errors
/// Why it cannot be read, or the line of the first mistake and what it is, in one sentence.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let bytes = files::read(path, MOST_BYTES).map_err(|e| e.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is no UTF-8 text".to_owned())?;
    toml::from_str(&text).map_err(|error| {
        let message = error.message().replace('\n', ", ");
        match error.span() {
            Some(span) => {
                let before = text.get(..span.start).unwrap_or_default();
                let number = before.matches('\n').count();
                let line = text.lines().nth(number).unwrap_or_default().trim();
                let shown: String = line.chars().take(LONGEST_LINE).collect();
                let rest = if shown.len() < line.len() { " …" } else { "" };
                format!("line {}, `{shown}{rest}`: {message}", number + 1)
            }
            None => message,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, text).unwrap();
        read::<std::collections::BTreeMap<String, i64>>(&path).unwrap_err()
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        assert!(refusal("a = 1\nb = \"x\"\n").starts_with("line 2, `b = \"x\"`: "));
        assert!(refusal("a = \n").starts_with("line 1, `a =`: "));
        let long = refusal(&format!("{} = true", "a".repeat(500)));
        assert!(long.contains("aaa …`: ") && long.len() < 200, "{long}");
        assert!(refusal(&"# \n".repeat(600_000)).contains("at most 1048576"));
    }
}
