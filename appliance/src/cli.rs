//! The command line of `nephrobox`.

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::{bench, config, erase, export, run, segment};

/// Ends every `--help`; `docs/report.md` has the same table.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  a fault in nephrobox itself
  2  the command line makes no sense
  3  the scan cannot be read, or is not a scan
  4  the model package cannot be used
  5  the device is not here, or does not work
  6  the results, or the state folder that was named, cannot be written
  7  the box cannot run: its state folder or an address is in use, or a certificate is unusable

For research use only. Not for diagnosis.";

/// Outlines kidneys and kidney tumours on CT and reports how large they are. For research use only.
#[derive(Debug, Parser)]
#[command(name = "nephrobox", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Segment one scan: report, label map and pictures into a folder.
    #[command(after_help = segment::EXAMPLES)]
    Segment(segment::Args),
    /// Measure how fast a model is on this machine.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Args),
    /// Run the box: take scans from lines, a folder and the DICOM network until told to stop.
    #[command(after_help = run::EXAMPLES)]
    Run(run::Args),
    /// Erase a scan and its results from a box that does not run.
    #[command(after_help = erase::EXAMPLES)]
    Erase(erase::Args),
    /// Write a scan's results without whose they are, from a box that does not run.
    #[command(after_help = export::command::EXAMPLES)]
    Export(export::command::Args),
    /// Check the box's configuration, show it, or print an example.
    #[command(after_help = config::command::EXAMPLES)]
    Config(config::command::Args),
}

/// Runs one command; what it has to say goes to `out`, progress to standard error.
///
/// # Errors
/// Whatever stopped the command, told for a person, with the exit code.
pub fn run(cli: Cli, out: &mut dyn Write) -> Result<(), Failure> {
    match cli.command {
        Command::Segment(args) => segment::run(&args, out),
        Command::Bench(args) => bench::run(&args, out),
        Command::Run(args) => run::run(&args),
        Command::Erase(args) => erase::run(&args, out),
        Command::Export(args) => export::command::run(&args, out),
        Command::Config(args) => config::command::run(&args, out),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().expect("a help text").to_string();
            assert!(help.contains("  nephrobox "), "{}", command.get_name());
        }
    }
}
