//! What a folder holds, all the way down.

use std::fs;
use std::path::{Path, PathBuf};

/// Every file below a folder whose content or path has a text in it; gzip is looked into.
pub(crate) fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).expect("a file");
            if path.to_string_lossy().contains(text) || holds(&bytes, text) {
                found.push(path);
            }
        }
    }
    found
}

/// Whether bytes have a text in them, as they are or unpacked.
pub(crate) fn holds(bytes: &[u8], text: &str) -> bool {
    let has = |bytes: &[u8]| {
        let text = text.as_bytes();
        bytes.windows(text.len()).any(|part| part == text)
    };
    let mut unpacked = Vec::new();
    let mut gzip = flate2::read::GzDecoder::new(bytes);
    // What is no gzip, or ends early, is looked at as far as it goes.
    let _ = std::io::copy(&mut gzip, &mut unpacked);
    has(bytes) || has(&unpacked)
}
