//! The command line of `nephroctl`.

use std::fmt::Write as _;
use std::io::Write;

use clap::{Parser, Subcommand};

use crate::failure::{Exit, Failure};
use crate::{inspect, keygen, permit, score, sign, verify};

/// Ends every `--help` of the program itself; `docs/nephroctl.md` has the same table.
fn exit_codes() -> String {
    let mut words = String::from("Exit codes:\n  0   done\n");
    for exit in Exit::ALL {
        let _ = writeln!(words, "  {:<3} {}", exit.code(), exit.meaning());
    }
    words.push_str("\nFor research use only. Not for diagnosis.");
    words
}

/// For engineers and validators: sign and check model packages, service a box. For research use only.
#[derive(Debug, Parser)]
#[command(name = "nephroctl", version, after_help = exit_codes())]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a pair of keys to sign packages with.
    #[command(after_help = keygen::EXAMPLES)]
    Keygen(keygen::Args),
    /// Sign a package.
    #[command(after_help = sign::EXAMPLES)]
    Sign(sign::Args),
    /// Permit a box to go back from one version to one package.
    #[command(after_help = permit::EXAMPLES)]
    Permit(permit::Args),
    /// Show everything in a package: manifest, scores, tensors, hash, signature.
    #[command(after_help = inspect::EXAMPLES, alias = "info")]
    Inspect(inspect::Args),
    /// Check a package: format, sizes, hash, tensors, manifest and program.
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Args),
    /// Compare a label map with the true one: Dice, recall, precision per class.
    #[command(after_help = score::EXAMPLES)]
    Score(score::Args),
}

impl Cli {
    /// Whether answers are wanted as JSON; a failure is then told so too, on standard error.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        match &self.command {
            Command::Inspect(args) => args.json,
            Command::Score(args) => args.json,
            _ => false,
        }
    }
}

/// Runs one command; its answer goes to `out`, progress to standard error.
///
/// # Errors
/// Whatever stopped the command, told for a person, with the exit code.
pub fn run(cli: Cli, out: &mut dyn Write) -> Result<(), Failure> {
    match cli.command {
        Command::Keygen(args) => keygen::run(&args, out),
        Command::Sign(args) => sign::run(&args, out),
        Command::Permit(args) => permit::run(&args, out),
        Command::Inspect(args) => inspect::run(&args, out),
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
            let call = format!("  nephroctl {}", command.get_name());
            assert!(help.contains(&call), "{}", command.get_name());
        }
    }
}
