//! Licence notices of what is linked into a program: most licences ask that theirs travels with the binary.
//!
//! Which crates are in it says `cargo tree`, which knows the features that the program is built with; where their sources
//! lie says `cargo metadata`. A text that several crates have alike is printed once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// How names of files with a licence or a notice begin, in capitals.
const BEGINNINGS: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

/// Why there are no notices.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// A line is not a crate, a tabulator and a licence.
    #[error("line {line} of the list of crates is not a crate, a version and a licence: {text:?}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// The sources are not those of `cargo metadata`.
    #[error("the list of sources is not what cargo metadata prints: {0}")]
    Metadata(#[from] serde_json::Error),
    /// A crate of the list has no sources.
    #[error("no sources are known of {name} {version}")]
    Unknown {
        /// The crate.
        name: String,
        /// Its version.
        version: String,
    },
    /// Nobody says under which licence a crate is.
    #[error("{name} {version} names no licence and has no licence file")]
    Unlicensed {
        /// The crate.
        name: String,
        /// Its version.
        version: String,
    },
    /// A file cannot be read.
    #[error("{path}: {error}", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
    /// Absent for crates of this workspace and patches, which have the project's own licence.
    source: Option<String>,
}

/// The notices for the crates in `tree`, whose sources `metadata` tells.
///
/// `tree` is what `cargo tree -e normal,no-proc-macro --prefix none --no-dedupe` prints with the format `{p}`, a tabulator, `{l}`;
/// `metadata` is from `cargo metadata --format-version 1`.
///
/// # Errors
/// When one of them cannot be read, or a crate has no licence.
pub fn notices(tree: &str, metadata: &str) -> Result<String, NoticeError> {
    let metadata: Metadata = serde_json::from_str(metadata)?;
    let mut list = String::from(
        "The program holds the following crates, each under the licence named. Their sources, unchanged, are at\n\
         https://crates.io/crates/NAME/VERSION. The texts of the licences stand below, each with the crates that carry it.\n\n",
    );
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, version, licence) in crates(tree)? {
        let package = metadata
            .packages
            .iter()
            .find(|one| one.name == name && one.version == version)
            .ok_or_else(|| NoticeError::Unknown {
                name: name.clone(),
                version: version.clone(),
            })?;
        if package.source.is_none() {
            continue;
        }
        let folder = package.manifest_path.parent().unwrap_or(Path::new("/"));
        let found = licence_texts(folder)?;
        if licence.is_empty() && found.is_empty() {
            return Err(NoticeError::Unlicensed { name, version });
        }
        let said = if licence.is_empty() {
            "see its text"
        } else {
            &licence
        };
        let _ = writeln!(list, "  {name} {version}: {said}");
        for text in found {
            texts
                .entry(text)
                .or_default()
                .push(format!("{name} {version}"));
        }
    }
    // By who carries them, so that the order does not hang on the texts' first words.
    let mut texts: Vec<(Vec<String>, String)> =
        texts.into_iter().map(|(text, who)| (who, text)).collect();
    texts.sort();
    for (who, text) in texts {
        let _ = write!(list, "\n{}\n{}\n\n{text}\n", "-".repeat(80), who.join(", "));
    }
    Ok(list)
}

/// Name, version and licence of each crate, once, in the order of names.
fn crates(tree: &str) -> Result<BTreeSet<(String, String, String)>, NoticeError> {
    let mut found = BTreeSet::new();
    for (index, line) in tree
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let parts = line.split_once('\t').and_then(|(package, licence)| {
            let mut words = package.split(' ');
            let name = words.next()?;
            let version = words.next()?.strip_prefix('v')?;
            Some((
                name.to_owned(),
                version.to_owned(),
                licence.trim().to_owned(),
            ))
        });
        found.insert(parts.ok_or_else(|| NoticeError::Line {
            line: index + 1,
            text: line.to_owned(),
        })?);
    }
    Ok(found)
}

/// The licences and notices in the folder of a crate, in the order of their names.
fn licence_texts(folder: &Path) -> Result<Vec<String>, NoticeError> {
    let read = |path: &Path, error| NoticeError::Read {
        path: path.to_owned(),
        error,
    };
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map_err(|error| read(folder, error))?;
    files.sort();
    let mut texts = Vec::new();
    for file in files.iter().filter(|file| is_licence(file)) {
        let bytes = fs::read(file).map_err(|error| read(file, error))?;
        // Ends of lines differ between crates that have the same text.
        let text = String::from_utf8_lossy(&bytes).replace('\r', "");
        texts.push(text.trim().to_owned());
    }
    Ok(texts)
}

fn is_licence(file: &Path) -> bool {
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_uppercase();
    // Some crates have a folder of licences for what they were made from; its texts are the crate's own business.
    file.is_file()
        && BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning))
}
