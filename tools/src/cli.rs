//! The command line of `nephroctl`.

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::{info, score, verify};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  a fault in nephroctl itself
  2  the command line makes no sense
  3  an input file cannot be used
  4  the model package cannot be used
  6  the answer cannot be written";

/// For engineers and validators: look into and check model packages.
#[derive(Debug, Parser)]
#[command(name = "nephroctl", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a package says about its model: manifest, scores, tensors, hash, signature.
    #[command(after_help = info::EXAMPLES)]
    Info(info::Args),
    /// Check a package: format, sizes, hash, tensors, manifest and program.
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Args),
    /// Compare a label map with the true one: Dice, recall, precision per class.
    #[command(after_help = score::EXAMPLES)]
    Score(score::Args),
}

/// Runs one command; its answer goes to `out`.
///
/// # Errors
/// Whatever stopped the command, told for a person, with the exit code.
pub fn run(cli: Cli, out: &mut dyn Write) -> Result<(), Failure> {
    match cli.command {
        Command::Info(args) => info::run(&args, out),
        Command::Verify(args) => verify::run(&args, out),
        Command::Score(args) => score::run(&args, out),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_command_shows_an_example() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().expect("a help text").to_string();
            assert!(help.contains("  nephroctl "), "{}", command.get_name());
        }
    }
}
