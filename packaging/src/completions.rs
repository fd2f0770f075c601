//! Completions for the shells that Debian ships.

use clap_complete::{Generator, Shell};

use crate::Made;

/// The shells; each file has the name under which its shell looks for it.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// The completions of a program: for bash its own name, for zsh `_NAME`, for fish `NAME.fish`.
pub fn completions(program: &clap::Command) -> Vec<Made> {
    SHELLS
        .into_iter()
        .map(|shell| {
            let name = program.get_name();
            let mut bytes = Vec::new();
            clap_complete::generate(shell, &mut program.clone(), name, &mut bytes);
            let file = match shell {
                Shell::Bash => name.to_owned(),
                _ => shell.file_name(name),
            };
            Made {
                name: file,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            }
        })
        .collect()
}
