//! What the docs show, block by block.

use std::fs;
use std::path::{Path, PathBuf};

/// Between this and its end stands why a block is not run.
const NOT_RUN: &str = "<!-- not run: ";

/// What a block can be. A new kind has to say how it is checked; `text` is what programs print, `python` is for machines with the packages.
const KINDS: [&str; 5] = ["sh", "toml", "json", "text", "python"];

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// Page and line of its first line, as in `docs/config.md:7`.
    pub(crate) place: String,
    /// What stands behind the opening fence: `sh`, `toml`, `text` ...
    pub(crate) kind: String,
    pub(crate) text: String,
    /// Why it is not run, if the page says so.
    pub(crate) not_run: Option<String>,
}

/// A page and its blocks.
#[derive(Debug)]
pub(crate) struct Page {
    /// From the root of the repository.
    pub(crate) name: String,
    pub(crate) blocks: Vec<Block>,
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the repository")
}

/// Every page that people read: README, CONTRIBUTING, SECURITY and all of `docs`.
pub(crate) fn all() -> Vec<Page> {
    let mut names: Vec<String> = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
        .map(str::to_owned)
        .into();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                let name = path.strip_prefix(root()).expect("below the root");
                names.push(name.display().to_string());
            }
        }
    }
    names.sort();
    names.into_iter().map(read).collect()
}

/// # Panics
/// When a fence is not closed or of an unknown kind, a reason stands before something else than a fence, or an example stands outside of one.
fn read(name: String) -> Page {
    let text = fs::read_to_string(root().join(&name)).expect("a page");
    let mut blocks = Vec::new();
    let (mut open, mut not_run): (Option<Block>, Option<String>) = (None, None);
    for (number, line) in (1..).zip(text.lines()) {
        let place = format!("{name}:{number}");
        if let Some(block) = &mut open {
            if line == "```" {
                blocks.extend(open.take());
            } else {
                block.text.push_str(line);
                block.text.push('\n');
            }
        } else if let Some(kind) = line.strip_prefix("```") {
            assert!(KINDS.contains(&kind), "{place}: a block of kind {kind:?}");
            open = Some(Block {
                place,
                kind: kind.to_owned(),
                text: String::new(),
                not_run: not_run.take(),
            });
        } else {
            assert_eq!(
                not_run, None,
                "{place}: a reason stands right before its block"
            );
            if let Some(reason) = line.strip_prefix(NOT_RUN) {
                let reason = reason.strip_suffix(" -->").expect("one line");
                assert!(!reason.is_empty(), "{place}: no reason");
                not_run = Some(reason.to_owned());
            }
            let command = line.strip_prefix("    ").unwrap_or_default();
            assert!(
                !["nephro", "cargo ", "$ "]
                    .iter()
                    .any(|start| command.starts_with(start)),
                "{place}: an example outside of a fence"
            );
        }
    }
    assert!(open.is_none(), "{name}: a fence is not closed");
    Page { name, blocks }
}
