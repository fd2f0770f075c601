//! What the Debian packages hold beside the programs: manual pages, shell completions, licence notices.
//!
//! Pages and completions come from the command lines themselves ([`nephrobox::cli::Cli`], [`nephroctl::cli::Cli`]), the page of the configuration
//! from the list of its keys, so none can say other than the program. They are made by a crate of their own because a program
//! should not carry what only its package needs. `packaging/build.sh` calls it; docs/packages.md tells the whole.
//!
//! ```text
//! command line ─► page, completions ┐
//! keys         ─► settings          ├─► files below OUT/PROGRAM ─► cargo-deb
//! cargo tree   ─► notices           ┘
//! ```

pub mod completions;
pub mod notices;
pub mod page;
pub mod settings;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;

/// One file that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name, without folders.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// The programs that have a package. `nephrotrain` has none: it runs from a checkout on a workstation, built for the processor and
/// the GPU at hand.
pub fn programs() -> [clap::Command; 2] {
    [
        nephrobox::cli::Cli::command(),
        nephroctl::cli::Cli::command(),
    ]
}

/// The manual pages of a program: one for itself, one for every command, and what else its package documents.
pub fn manual(program: &clap::Command) -> Vec<Made> {
    let mut pages = page::pages(program);
    if program.get_name() == "nephrobox" {
        pages.push(settings::page(program.get_version().unwrap_or_default()));
    }
    pages
}

/// Writes the files into `folder`, which is made; one that is there already is replaced whole.
///
/// # Errors
/// When the folder or a file in it cannot be written.
pub fn write(folder: &Path, files: &[Made]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for file in files {
        let mut beside = tempfile::NamedTempFile::new_in(folder)?;
        beside.write_all(file.text.as_bytes())?;
        beside.persist(folder.join(&file.name))?;
    }
    Ok(())
}
