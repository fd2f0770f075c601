//! The command line as a whole.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands;
use crate::data::DataError;
use crate::experiments::ExperimentError;
use crate::train::TrainError;

/// Train and prove networks that outline kidneys and kidney tumours on CT
#[derive(Debug, Parser)]
#[command(
    name = "nephrotrain",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not all done yet (experiments run)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fetch(commands::fetch::FetchArgs),
    Stats(commands::stats::StatsArgs),
    Prepare(commands::prepare::PrepareArgs),
    Train(Box<commands::train::TrainArgs>),
    Evaluate(commands::evaluate::EvaluateArgs),
    Experiments(commands::experiments::ExperimentsArgs),
    Export(commands::export::ExportArgs),
    Golden(commands::golden::GoldenArgs),
    Phantom(commands::phantom::PhantomArgs),
}

/// Parses `args` (the program's name first), runs the command and reports an error on stderr.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are "errors" of clap with exit code 0.
            let _ = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    let result = match cli.command {
        Command::Fetch(args) => args.run(),
        Command::Stats(args) => args.run(),
        Command::Prepare(args) => args.run(),
        Command::Train(args) => args.run(),
        Command::Evaluate(args) => args.run(),
        Command::Experiments(args) => args.run(),
        Command::Export(args) => args.run(),
        Command::Golden(args) => args.run(),
        Command::Phantom(args) => args.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match data_error(&error) {
                Some(e) => eprintln!(
                    "error: {}\nwhere: {}\nwhat to do: {}",
                    e.what(),
                    e.place().display(),
                    e.remedy()
                ),
                None => eprintln!("error: {error:#}"),
            }
            match error.downcast_ref::<commands::experiments::Unfinished>() {
                Some(_) => ExitCode::from(3),
                None => ExitCode::FAILURE,
            }
        }
    }
}

/// The data's own three-part error, wherever it came up.
fn data_error(error: &anyhow::Error) -> Option<&DataError> {
    if let Some(ExperimentError::Data(e)) = error.downcast_ref() {
        return Some(e);
    }
    match error.downcast_ref::<TrainError>() {
        Some(TrainError::Data(e)) => Some(e),
        _ => error.downcast_ref(),
    }
}
