//! The command line of `nephroctl`.

use std::fmt::Write as _;
use std::io::Write;

use clap::{Parser, Subcommand};

use crate::failure::{Exit, Failure};
use crate::{
    audit, bench, erase, export, fetch, flash, inspect, keygen, logs, permit, rollback, scans,
    score, screenshot, send, sign, slots, status, validate, verify,
};

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
    /// Install a signed model on the box and wait for its verdict.
    #[command(after_help = flash::EXAMPLES)]
    Flash(flash::Args),
    /// Show the box's two places for models.
    #[command(after_help = slots::EXAMPLES)]
    Slots(slots::Args),
    /// Go back to the model in the other slot.
    #[command(after_help = rollback::EXAMPLES)]
    Rollback(rollback::Args),
    /// Send scans to the box and bring their results.
    #[command(after_help = send::EXAMPLES)]
    Send(send::Args),
    /// Bring the results of a scan that was sent earlier.
    #[command(after_help = fetch::EXAMPLES)]
    Fetch(fetch::Args),
    /// Bring the results of a scan without whose they are.
    #[command(after_help = export::EXAMPLES)]
    Export(export::Args),
    /// Erase a scan and its results from the box.
    #[command(after_help = erase::EXAMPLES)]
    Erase(erase::Args),
    /// List the scans on the box.
    #[command(after_help = scans::EXAMPLES)]
    Scans(scans::Args),
    /// Show what the box is doing, and what is wrong with it.
    #[command(after_help = status::EXAMPLES)]
    Status(status::Args),
    /// Show the end of the box's log.
    #[command(after_help = logs::EXAMPLES)]
    Logs(logs::Args),
    /// Fetch what the box's panel shows.
    #[command(after_help = screenshot::EXAMPLES)]
    Screenshot(screenshot::Args),
    /// Fetch the box's audit log, and check it.
    #[command(after_help = audit::EXAMPLES)]
    Audit(audit::Args),
    /// Measure how fast the network is on the box.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Args),
    /// Send the held-back cases through the box and compare with the scores in the model's package.
    #[command(after_help = validate::EXAMPLES)]
    Validate(validate::Args),
}

impl Cli {
    /// Whether answers are wanted as JSON; a failure is then told so too, on standard error.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        match &self.command {
            Command::Inspect(args) => args.json,
            Command::Score(args) => args.json,
            Command::Slots(args) => args.json,
            Command::Scans(args) => args.json,
            Command::Status(args) => args.json,
            Command::Bench(args) => args.json,
            Command::Validate(args) => args.json,
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
        Command::Flash(args) => flash::run(&args, out),
        Command::Slots(args) => slots::run(&args, out),
        Command::Rollback(args) => rollback::run(&args, out),
        Command::Send(args) => send::run(&args, out),
        Command::Fetch(args) => fetch::run(&args, out),
        Command::Export(args) => export::run(&args, out),
        Command::Erase(args) => erase::run(&args, out),
        Command::Scans(args) => scans::run(&args, out),
        Command::Status(args) => status::run(&args, out),
        Command::Logs(args) => logs::run(&args, out),
        Command::Screenshot(args) => screenshot::run(&args, out),
        Command::Audit(args) => audit::run(&args, out),
        Command::Bench(args) => bench::run(&args, out),
        Command::Validate(args) => validate::run(&args, out),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_exit_codes_of_the_guide_are_those_of_the_program() {
        let guide = include_str!("../../docs/nephroctl.md");
        for exit in Exit::ALL {
            let row = format!(
                "| {} | `{}` | {} |",
                exit.code(),
                exit.name(),
                exit.meaning()
            );
            assert!(guide.contains(&row), "{row}");
        }
    }

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
