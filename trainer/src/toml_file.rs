//! TOML files that a person has written.

use std::path::Path;

use nephrobox_imaging::files;
use serde::de::DeserializeOwned;

/// Longest such file. No setting needs a hundredth of it.
const MOST_BYTES: u64 = 1 << 20;

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
                format!("line {}: {message}", before.matches('\n').count() + 1)
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
        assert!(refusal("a = 1\nb = \"x\"\n").starts_with("line 2: "));
        assert!(refusal("a = \n").starts_with("line 1: "));
        assert!(refusal(&"# \n".repeat(600_000)).contains("at most 1048576"));
    }
}
